//! The half that changes nothing: lists, images, states, and an engine that is not there.

use super::*;
use moored::engine::api::ApiVersion;
use moored::engine::model::{Health, Healthcheck, MountSource, Restart};

use crate::support::docker_cli::docker;
use crate::support::registry::free_port;

#[tokio::test]
async fn the_engine_says_who_it_is() {
    let info = engine().info().await.unwrap();
    assert_eq!(
        info.version,
        docker(&["version", "-f", "{{.Server.Version}}"])
    );
    assert_eq!(info.id, docker(&["info", "-f", "{{.ID}}"]));
    let offered = docker(&["version", "-f", "{{.Server.APIVersion}}"]);
    let spoken = engine().api_version().await.unwrap();
    assert!(spoken <= ApiVersion::parse(&offered).unwrap(), "{spoken}");
    assert!(spoken >= ApiVersion::parse("1.41").unwrap(), "{spoken}");
}

#[tokio::test]
async fn all_containers_are_listed_and_stopped_ones_too() {
    let sandbox = Sandbox::new("eng");
    let (engine, image) = (engine(), sandbox.image("app", &[]));
    let (up, down) = (sandbox.name("up"), sandbox.name("down"));
    let labels = ["--label", "a=b", "--label", "c="];
    let up_id = docker(
        &[
            &["run", "-d", "--init", "--name", &up],
            &labels[..],
            &[&image, "sleep", "600"],
        ]
        .concat(),
    );
    docker(&["create", "--name", &down, &image, "sleep", "600"]);
    let list = engine.containers().await.unwrap();
    let find = |name: &str| {
        list.iter()
            .find(|line| line.name == *name)
            .expect("it is listed")
    };
    let line = find(&up);
    assert_eq!(
        (&line.id, &line.image, line.running),
        (&up_id, &image, true)
    );
    assert_eq!(line.labels, map(&[("a", "b"), ("c", "")]));
    assert!(!find(&down).running);
}

#[tokio::test]
async fn an_image_with_its_defaults_and_a_container_that_inherits_them() {
    let sandbox = Sandbox::new("eng");
    let engine = engine();
    let reference = sandbox.image(
        "app",
        &[
            "ENV A=x=y B=",
            "LABEL l=m",
            "USER 1:2",
            "WORKDIR /tmp",
            "EXPOSE 80 53/udp",
            "VOLUME /data",
            "ENTRYPOINT [\"sleep\"]",
            "CMD [\"600\"]",
            "HEALTHCHECK --interval=3s --retries=2 CMD true",
        ],
    );
    let image = engine.image(&reference).await.unwrap().expect("it is here");
    assert_eq!(
        image.id,
        docker(&["image", "inspect", "-f", "{{.Id}}", &reference])
    );
    assert_eq!(image.env, map(&[("A", "x=y"), ("B", "")]));
    assert_eq!(image.labels, map(&[("l", "m")]));
    assert_eq!(
        (image.user.as_str(), image.working_dir.as_str()),
        ("1:2", "/tmp")
    );
    assert_eq!(image.expose, set(&["80/tcp", "53/udp"]));
    assert_eq!(image.volumes, set(&["/data"]));
    assert_eq!(
        (image.entrypoint, image.command),
        (words(&["sleep"]), words(&["600"]))
    );
    let check = Healthcheck {
        test: words(&["CMD-SHELL", "true"]),
        interval: 3_000_000_000,
        retries: 2,
        ..Healthcheck::default()
    };
    assert_eq!(image.healthcheck, Some(check.clone()));
    assert_eq!(
        engine.image(&image.id).await.unwrap().map(|found| found.id),
        Some(image.id)
    );

    let asked = ContainerSpec {
        env: env(&[("A", None), ("C", Some("d"))]),
        network_mode: "none".to_owned(),
        image: reference,
        ..ContainerSpec::default()
    };
    let id = engine
        .create_container(&sandbox.name("heir"), &asked)
        .await
        .unwrap();
    let live = read(&engine, &id).await.spec;
    assert_eq!(
        (live.entrypoint.clone(), live.command.clone()),
        (Some(words(&["sleep"])), Some(words(&["600"])))
    );
    assert!(live.env == env(&[("A", None), ("B", Some("")), ("C", Some("d"))]));
    assert_eq!(
        (live.user.as_deref(), live.healthcheck.clone()),
        (Some("1:2"), Some(check))
    );
    assert_eq!(live.expose, set(&["80/tcp", "53/udp"]));
    assert!(matches!(
        live.mounts["/data"].source,
        MountSource::Anonymous(Some(_))
    ));
}

#[tokio::test]
async fn what_does_not_exist_is_none() {
    let sandbox = Sandbox::new("eng");
    let engine = engine();
    assert!(
        engine
            .container(&sandbox.name("nobody"))
            .await
            .unwrap()
            .is_none()
    );
    assert!(
        engine
            .image(&sandbox.name("nothing"))
            .await
            .unwrap()
            .is_none()
    );
    // A name that would lead to another place of the API is not sent.
    expect_error!(
        engine.container("../networks/bridge").await.map(|_| ()),
        Refused
    );
    expect_error!(engine.image("x?y").await.map(|_| ()), Refused);
}

#[tokio::test]
async fn networks_and_volumes_with_their_options() {
    let sandbox = Sandbox::new("eng");
    let engine = engine();
    let (network, volume) = (sandbox.name("net"), sandbox.name("vol"));
    let option = "com.docker.network.bridge.enable_icc=false";
    docker(&[
        "network",
        "create",
        "--internal",
        "--opt",
        option,
        "--label",
        "a=b",
        &network,
    ]);
    docker(&[
        "volume",
        "create",
        "--opt",
        "type=tmpfs",
        "--opt",
        "device=tmpfs",
        "--label",
        "c=d",
        &volume,
    ]);
    let networks = engine.networks().await.unwrap();
    let seen = networks
        .iter()
        .find(|seen| seen.name == network)
        .expect("it is listed");
    assert_eq!((seen.driver.as_str(), seen.internal), ("bridge", true));
    assert_eq!(
        seen.options,
        map(&[("com.docker.network.bridge.enable_icc", "false")])
    );
    assert_eq!(seen.labels, map(&[("a", "b")]));
    assert_eq!(
        seen.id,
        docker(&["network", "inspect", "-f", "{{.Id}}", &network])
    );
    let volumes = engine.volumes().await.unwrap();
    let seen = volumes
        .iter()
        .find(|seen| seen.name == volume)
        .expect("it is listed");
    assert_eq!(seen.driver, "local");
    assert_eq!(seen.options, map(&[("type", "tmpfs"), ("device", "tmpfs")]));
    assert_eq!(seen.labels, map(&[("c", "d")]));
}

#[tokio::test]
async fn what_somebody_changed_by_hand_shows() {
    let sandbox = Sandbox::new("eng");
    let engine = engine();
    let id = running(&sandbox, &engine, "web").await;
    let network = sandbox.name("net");
    docker(&["network", "create", &network]);

    docker(&[
        "update",
        "--memory",
        "100m",
        "--memory-swap",
        "300m",
        "--cpus",
        "0.25",
        &id,
    ]);
    docker(&["update", "--restart", "always", &id]);
    let live = read(&engine, &id).await.spec;
    assert_eq!(
        (live.resources.memory, live.resources.memory_swap),
        (100 << 20, 300 << 20)
    );
    assert_eq!(
        (live.resources.nano_cpus, live.restart.clone()),
        (250_000_000, Restart::Always)
    );

    docker(&["network", "connect", "--alias", "api", &network, &id]);
    assert_eq!(
        read(&engine, &id).await.spec.networks,
        networks(&[(&network, &["api"])])
    );
    docker(&["network", "disconnect", &network, &id]);
    assert!(read(&engine, &id).await.spec.networks.is_empty());

    docker(&["pause", &id]);
    assert_eq!(read(&engine, &id).await.state, ContainerState::Paused);
    let list = engine.containers().await.unwrap();
    assert!(
        list.iter().any(|line| line.id == id && line.running),
        "paused, yet alive"
    );
}

/// Starts a container that runs a script, and returns its id.
fn run_script(
    sandbox: &Sandbox,
    image: &str,
    name: &str,
    options: &[&str],
    script: &str,
) -> String {
    let name = sandbox.name(name);
    let start = ["run", "-d", "--network", "none", "--name", &name];
    docker(&[&start, options, &[image, "sh", "-c", script]].concat())
}

#[tokio::test]
async fn ends_of_a_process() {
    let sandbox = Sandbox::new("eng");
    let (engine, image) = (engine(), sandbox.image("app", &[]));
    let run = |name: &str, options: &[&str], script: &str| {
        run_script(&sandbox, &image, name, options, script)
    };
    let failed = run("failed", &[], "exit 7");
    let looping = run("looping", &["--restart", "always"], "exit 1");
    wait_for(&engine, &failed, "failed", is_exited).await;
    let exited = |code, oom_killed| ContainerState::Exited { code, oom_killed };
    assert_eq!(read(&engine, &failed).await.state, exited(7, false));
    // The engine forgets that memory ran out where the end is told before it, so its own answer
    // decides which of a few tries counts.
    let hungry = ["hungry1", "hungry2", "hungry3", "hungry4", "hungry5"];
    let hungry = hungry.iter().find(|name| {
        let memory = ["--memory", "16m", "--memory-swap", "16m"];
        let id = run(name, &memory, "tail /dev/zero");
        docker(&["wait", &id]);
        docker(&["inspect", "-f", "{{.State.OOMKilled}}", &id]) == "true"
    });
    let hungry = sandbox.name(hungry.expect("the engine tells that memory ran out"));
    assert_eq!(read(&engine, &hungry).await.state, exited(137, true));
    wait_for(&engine, &looping, "looping", |seen| seen.restart_count > 0).await;
    wait_for(&engine, &looping, "restarting", |seen| {
        seen.state == ContainerState::Restarting
    })
    .await;
}

#[tokio::test]
async fn a_job_that_ends_is_told_from_a_server_that_is_stopped() {
    let sandbox = Sandbox::new("eng");
    let (engine, image) = (engine(), sandbox.image("app", &[]));
    let run = |name: &str, options: &[&str], script: &str| {
        run_script(&sandbox, &image, name, options, script)
    };
    let job = run("job", &[], "sleep 0.2");
    let again = run("again", &["--restart", "on-failure"], "sleep 0.2");
    let broken = run("broken", &[], "exit 1");
    let polite = "trap 'exit 0' TERM; while :; do sleep 0.1; done";
    let [stopped, killed] = ["stopped", "killed"].map(|name| run(name, &[], polite));
    docker(&["stop", &stopped]);
    docker(&["kill", "--signal", "TERM", &killed]);
    for (id, expected) in [
        (&job, true),
        (&again, true),
        (&broken, false),
        (&stopped, false),
        (&killed, false),
    ] {
        wait_for(&engine, id, "ended", is_exited).await;
        let seen = read(&engine, id).await;
        assert_eq!(seen.ended_by_itself, expected, "{}", seen.name);
    }
    docker(&["start", &job]);
    assert!(!read(&engine, &job).await.ended_by_itself);
    docker(&["stop", "-t", "0", &job]);
    assert!(!read(&engine, &job).await.ended_by_itself);
}

#[tokio::test]
async fn health() {
    let sandbox = Sandbox::new("eng");
    let (engine, image) = (engine(), sandbox.image("app", &["HEALTHCHECK CMD true"]));
    let run = |name: &str, options: &[&str]| {
        let name = sandbox.name(name);
        let start = ["run", "-d", "--init", "--network", "none", "--name", &name];
        docker(&[&start, options, &[&image, "sleep", "600"]].concat())
    };
    let often = ["--health-interval", "200ms", "--health-retries", "1"];
    let well = run("well", &often);
    let ill = run("ill", &[&often[..], &["--health-cmd", "false"]].concat());
    let unchecked = run("unchecked", &["--no-healthcheck"]);
    let slow = run("slow", &["--health-interval", "1h"]);
    wait_for(&engine, &well, "healthy", |seen| {
        seen.health == Some(Health::Healthy)
    })
    .await;
    wait_for(&engine, &ill, "unhealthy", |seen| {
        seen.health == Some(Health::Unhealthy)
    })
    .await;
    let unchecked = read(&engine, &unchecked).await;
    assert_eq!(unchecked.health, None);
    assert_eq!(unchecked.spec.healthcheck.clone().unwrap().test, ["NONE"]);
    assert_eq!(read(&engine, &slow).await.health, Some(Health::Starting));
}

#[tokio::test]
async fn an_engine_that_is_not_there() {
    let missing = Docker::connect("unix:///nonexistent/docker.sock").expect("no I/O yet");
    let said = expect_error!(missing.containers().await, Unavailable);
    assert!(said.contains("unix:///nonexistent/docker.sock"), "{said}");
    assert!(
        said.contains("list containers") && said.contains("is the engine running?"),
        "{said}"
    );

    let closed = Docker::connect(&format!("tcp://127.0.0.1:{}", free_port())).unwrap();
    let said = expect_error!(closed.remove_container("x").await, Unavailable);
    assert!(said.contains("is the engine running?"), "{said}");
}
