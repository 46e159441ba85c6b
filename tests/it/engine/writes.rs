//! The half with effects: what can be repeated, what is in the way, what is left behind.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use super::*;
use moored::engine::model::{LongMount, Mount, MountSource, Network, Port, Volume};

use crate::support::docker_cli::{docker, try_docker};

fn exists(container: &str) -> bool {
    try_docker(&["container", "inspect", container]).is_ok()
}

#[tokio::test]
async fn calls_on_a_container_can_be_repeated() {
    let sandbox = Sandbox::new("eng");
    let engine = engine();
    let id = running(&sandbox, &engine, "web").await;
    engine.start_container(&id).await.expect("it runs already");
    let network = sandbox.name("net");
    docker(&["network", "create", &network]);
    let place = place(&["api", "web"]);
    for _ in 0..2 {
        engine
            .connect(&id, &network, &place)
            .await
            .expect("connect");
    }
    assert_eq!(
        read(&engine, &id).await.spec.networks,
        networks(&[(&network, &["api", "web"])])
    );
    let said = expect_error!(
        engine
            .connect(&id, &network, &super::place(&["other"]))
            .await,
        Conflict
    );
    assert!(
        said.contains("-web to network") && said.contains("under other aliases"),
        "{said}"
    );
    for _ in 0..2 {
        engine.disconnect(&id, &network).await.expect("disconnect");
    }
    let path = "{{json .NetworkSettings.Networks}}";
    assert!(!docker(&["inspect", "-f", path, &id]).contains(&network));
    for _ in 0..2 {
        engine.stop_container(&id).await.expect("stop");
    }
    assert_eq!(
        docker(&["inspect", "-f", "{{.State.Running}}", &id]),
        "false"
    );
    // The same for a container that is stopped.
    for _ in 0..2 {
        engine
            .connect(&id, &network, &place)
            .await
            .expect("connect while stopped");
    }
    for _ in 0..2 {
        engine
            .disconnect(&id, &network)
            .await
            .expect("disconnect while stopped");
    }
    engine.start_container(&id).await.expect("start");
    for _ in 0..2 {
        engine
            .remove_container(&id)
            .await
            .expect("remove, while it runs");
    }
    assert!(!exists(&id));
    engine.stop_container(&id).await.expect("stop what is gone");
    engine
        .disconnect(&id, &network)
        .await
        .expect("disconnect what is gone");
    engine
        .disconnect(&id, &sandbox.name("no-net"))
        .await
        .expect("from what is gone");
    expect_error!(engine.start_container(&id).await, NotFound);
    expect_error!(engine.restart_container(&id).await, NotFound);
    expect_error!(engine.connect(&id, &network, &place).await, NotFound);
}

#[tokio::test]
async fn rename_and_restart() {
    let sandbox = Sandbox::new("eng");
    let engine = engine();
    let id = running(&sandbox, &engine, "web").await;
    let before = read(&engine, &id).await.started_at;
    engine.restart_container(&id).await.unwrap();
    let after = read(&engine, &id).await;
    assert!(after.state == ContainerState::Running && after.started_at > before);
    engine
        .rename_container(&id, &sandbox.name("old"))
        .await
        .unwrap();
    assert_eq!(
        docker(&["inspect", "-f", "{{.Name}}", &id]),
        format!("/{}", sandbox.name("old"))
    );
    let other = running(&sandbox, &engine, "other").await;
    let said = expect_error!(
        engine.rename_container(&other, &sandbox.name("old")).await,
        Conflict
    );
    assert!(
        said.contains(&format!("rename container {}", sandbox.name("other"))),
        "{said}"
    );
}

#[tokio::test]
async fn a_name_that_is_taken() {
    let sandbox = Sandbox::new("eng");
    let (engine, image) = (engine(), sandbox.image("app", &[]));
    let name = sandbox.name("web");
    let theirs = docker(&["create", "--name", &name, &image, "sleep", "600"]);
    let said = expect_error!(
        engine.create_container(&name, &sleeper(&image)).await,
        Conflict
    );
    assert!(said.contains(&format!("create container {name}")), "{said}");
    assert_eq!(docker(&["inspect", "-f", "{{.Id}}", &name]), theirs);
}

#[tokio::test]
async fn a_port_that_is_taken() {
    let sandbox = Sandbox::new("eng");
    let (engine, image) = (engine(), sandbox.image("app", &[]));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let publish = |published: u16| ContainerSpec {
        ports: [Port {
            target: 80,
            protocol: "tcp".to_owned(),
            host_ip: "127.0.0.1".to_owned(),
            published: published.to_string(),
        }]
        .into(),
        ..sleeper(&image)
    };
    let taken = publish(listener.local_addr().unwrap().port());
    let name = sandbox.name("second");
    let id = engine.create_container(&name, &taken).await.unwrap();
    let said = expect_error!(engine.start_container(&id).await, Conflict);
    assert!(
        said.starts_with(&format!("failed to start container {name}: ")),
        "{said}"
    );

    drop(listener);
    engine
        .start_container(&id)
        .await
        .expect("the port is free now");
    let third = engine
        .create_container(&sandbox.name("third"), &taken)
        .await
        .unwrap();
    expect_error!(engine.start_container(&third).await, Conflict);
}

#[tokio::test]
async fn a_process_that_ignores_the_stop_signal_has_its_time_and_no_more() {
    let sandbox = Sandbox::new("eng");
    let (engine, image) = (engine(), sandbox.image("app", &[]));
    let stubborn = ContainerSpec {
        command: Some(words(&[
            "sh",
            "-c",
            "trap '' TERM; while :; do sleep 1; done",
        ])),
        init: None,
        stop_timeout: Some(2),
        ..sleeper(&image)
    };
    let id = engine
        .create_container(&sandbox.name("deaf"), &stubborn)
        .await
        .unwrap();
    engine.start_container(&id).await.unwrap();
    // The shell needs a moment before it is deaf.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let began = Instant::now();
    engine.stop_container(&id).await.unwrap();
    let took = began.elapsed();
    assert!(
        took >= Duration::from_secs(2) && took < Duration::from_secs(8),
        "{took:?}"
    );
    let killed = ContainerState::Exited {
        code: 137,
        oom_killed: false,
    };
    assert_eq!(read(&engine, &id).await.state, killed);
}

#[tokio::test]
async fn a_container_that_can_not_join_all_its_networks_is_not_left_behind() {
    let sandbox = Sandbox::new("eng");
    let (engine, image) = (engine(), sandbox.image("app", &[]));
    let (name, network) = (sandbox.name("web"), sandbox.name("net"));
    docker(&["network", "create", &network]);
    let impossible = ContainerSpec {
        networks: networks(&[(&network, &["web"]), ("host", &[])]),
        network_mode: network,
        ..sleeper(&image)
    };
    let said = expect_error!(engine.create_container(&name, &impossible).await, Refused);
    assert!(
        said.contains(&name) && said.contains("network host"),
        "{said}"
    );
    assert!(!exists(&name));
}

#[tokio::test]
async fn an_image_that_is_not_here() {
    let sandbox = Sandbox::new("eng");
    let engine = engine();
    let name = sandbox.name("web");
    let asked = sleeper(&sandbox.name("nothing"));
    expect_error!(engine.create_container(&name, &asked).await, NotFound);
}

#[tokio::test]
async fn a_missing_bind_source_is_made_only_where_that_is_wanted() {
    let sandbox = Sandbox::new("eng");
    let (engine, image) = (engine(), sandbox.image("app", &[]));
    let directory = tempfile::tempdir().unwrap();
    let asked = |path: &std::path::Path, create| ContainerSpec {
        mounts: [(
            "/x".to_owned(),
            Mount {
                source: MountSource::Bind {
                    path: path.to_str().unwrap().to_owned(),
                    create,
                },
                read_only: false,
                options: Vec::new(),
                long: LongMount::default(),
            },
        )]
        .into(),
        ..sleeper(&image)
    };
    let (kept_away, wanted) = (directory.path().join("a"), directory.path().join("b"));
    let name = sandbox.name("strict");
    expect_error!(
        engine
            .create_container(&name, &asked(&kept_away, false))
            .await,
        Refused
    );
    assert!(!kept_away.exists() && !exists(&name));
    let id = engine
        .create_container(&sandbox.name("easy"), &asked(&wanted, true))
        .await
        .unwrap();
    engine.start_container(&id).await.unwrap();
    assert!(wanted.is_dir());
}

#[tokio::test]
async fn an_anonymous_volume_outlives_its_container_and_is_carried_over() {
    let sandbox = Sandbox::new("eng");
    let (engine, image) = (engine(), sandbox.image("app", &["VOLUME /data"]));
    let mut asked = ContainerSpec {
        command: Some(words(&[
            "sh",
            "-c",
            "echo kept > /data/file; exec sleep 600",
        ])),
        ..sleeper(&image)
    };
    let first = engine
        .create_container(&sandbox.name("first"), &asked)
        .await
        .unwrap();
    engine.start_container(&first).await.unwrap();
    let mounts = read(&engine, &first).await.spec.mounts.clone();
    let MountSource::Anonymous(Some(volume)) = &mounts["/data"].source else {
        panic!("an anonymous volume")
    };
    sandbox.own_volume(volume);
    tokio::time::sleep(Duration::from_millis(300)).await;
    engine.remove_container(&first).await.unwrap();

    asked.mounts = mounts.clone();
    asked.command = Some(words(&["cat", "/data/file"]));
    let second = engine
        .create_container(&sandbox.name("second"), &asked)
        .await
        .unwrap();
    engine.start_container(&second).await.unwrap();
    wait_for(&engine, &second, "the end", is_exited).await;
    assert_eq!(docker(&["logs", &second]), "kept");
    assert_eq!(
        read(&engine, &second).await.spec.mounts,
        mounts,
        "still anonymous"
    );
}

#[tokio::test]
async fn networks_are_made_once() {
    let sandbox = Sandbox::new("eng");
    let engine = engine();
    let ours = Network {
        name: sandbox.name("net"),
        driver: "bridge".to_owned(),
        options: map(&[("com.docker.network.bridge.enable_icc", "true")]),
        internal: true,
        labels: map(&[("com.docker.compose.project", "ours")]),
        ..Network::default()
    };
    // At the same time, then again: the engine itself would make four networks of this name.
    let (one, two) = tokio::join!(engine.create_network(&ours), engine.create_network(&ours));
    one.unwrap();
    two.unwrap();
    engine.create_network(&ours).await.unwrap();
    let listed = docker(&[
        "network",
        "ls",
        "-q",
        "--filter",
        &format!("name={}", ours.name),
    ]);
    assert_eq!(listed.lines().count(), 1, "{listed}");
    let all = engine.networks().await.unwrap();
    let seen = all
        .into_iter()
        .find(|seen| seen.name == ours.name)
        .expect("it is listed");
    assert_eq!(
        seen,
        Network {
            id: seen.id.clone(),
            enable_ipv6: Some(false),
            ipam: seen.ipam.clone(),
            ..ours.clone()
        }
    );

    // A longer name is another network.
    let longer = Network {
        name: format!("{}-longer", ours.name),
        ..ours.clone()
    };
    engine.create_network(&longer).await.unwrap();
    let shorter = Network {
        name: sandbox.name("ne"),
        ..ours.clone()
    };
    engine.create_network(&shorter).await.unwrap();

    let theirs = Network {
        labels: map(&[("com.docker.compose.project", "theirs")]),
        ..ours
    };
    let said = expect_error!(engine.create_network(&theirs).await, Conflict);
    assert!(said.contains("the Compose project ours"), "{said}");
}

#[tokio::test]
async fn volumes_are_made_once() {
    let sandbox = Sandbox::new("eng");
    let engine = engine();
    let ours = Volume {
        name: sandbox.name("data"),
        driver: "local".to_owned(),
        options: map(&[("type", "tmpfs"), ("device", "tmpfs")]),
        labels: map(&[("a", "b")]),
    };
    for _ in 0..2 {
        engine.create_volume(&ours).await.unwrap();
    }
    let all = engine.volumes().await.unwrap();
    assert_eq!(all.iter().find(|seen| seen.name == ours.name), Some(&ours));
    let theirs = Volume {
        labels: map(&[("a", "c")]),
        ..ours
    };
    let said = expect_error!(engine.create_volume(&theirs).await, Conflict);
    assert!(said.contains("exists already"), "{said}");
}

#[tokio::test]
async fn two_processes_that_make_one_network_end_with_one() {
    let sandbox = Sandbox::new("eng");
    // Two clients know as little of each other as two processes.
    let (here, there) = (engine(), engine());
    for round in 0..5 {
        let network = Network {
            name: sandbox.name(&format!("net-{round}")),
            labels: map(&[("a", "b")]),
            ..Network::default()
        };
        let both = tokio::join!(
            here.create_network(&network),
            there.create_network(&network)
        );
        for answer in [both.0, both.1] {
            if answer.is_err() {
                let said = expect_error!(answer, Conflict);
                assert!(said.contains("try again"), "{said}");
            }
        }
        here.create_network(&network).await.unwrap();
        there.create_network(&network).await.unwrap();
        let listed = docker(&[
            "network",
            "ls",
            "-q",
            "--filter",
            &format!("name={}", network.name),
        ]);
        assert_eq!(listed.lines().count(), 1, "{listed}");
    }
}
