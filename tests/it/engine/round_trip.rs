//! What we ask for is what we read back, and what others ask for is read the same.

use super::equal::{assert_no_difference, assert_reads_back};
use super::*;
use moored::engine::model::{Healthcheck, LongMount, Mount, MountSource, Port, Resources, Restart};
use serde_json::json;

use crate::support::docker_cli::docker;
use crate::support::registry::free_port;

fn port(host_ip: &str, published: &str, target: u16, protocol: &str) -> Port {
    Port {
        target,
        protocol: protocol.to_owned(),
        host_ip: host_ip.to_owned(),
        published: published.to_owned(),
    }
}

fn mount(source: MountSource, read_only: bool, options: &[&str]) -> Mount {
    Mount {
        source,
        read_only,
        options: words(options),
        long: LongMount::default(),
    }
}

/// A plain spec with one thing changed, and what that is.
pub(super) type Case = (&'static str, ContainerSpec);

pub(super) fn case(
    name: &'static str,
    image: &str,
    change: impl FnOnce(&mut ContainerSpec),
) -> Case {
    let mut spec = sleeper(image);
    change(&mut spec);
    (name, spec)
}

fn processes(image: &str) -> Vec<Case> {
    let case = |name, change: &dyn Fn(&mut ContainerSpec)| case(name, image, change);
    let check = |test: &[&str]| {
        Some(Healthcheck {
            test: words(test),
            interval: 90_000_000_000,
            timeout: 1_000_000_000,
            start_period: 2_000_000_000,
            retries: 4,
            ..Healthcheck::default()
        })
    };
    let variables = [
        ("A", Some("x=y")),
        ("E", Some("")),
        ("GONE", None),
        ("Ü", Some("ü\n2")),
    ];
    vec![
        case("plain", &|_| {}),
        case("entrypoint", &|spec| {
            spec.entrypoint = Some(words(&["/bin/sh", "-c"]));
            spec.command = Some(words(&["sleep 600; echo \"a b\" $$", ""]));
        }),
        case("empty entrypoint", &|spec| {
            spec.entrypoint = Some(Vec::new());
        }),
        case("env", &|spec| spec.env = env(&variables)),
        case("labels", &|spec| {
            spec.labels = map(&[("a.b/c", "d"), ("e", "")]);
        }),
        case("user", &|spec| spec.user = Some("1000:1000".to_owned())),
        case("working directory", &|spec| {
            spec.working_dir = Some("/tmp".to_owned());
        }),
        case("no init", &|spec| spec.init = Some(false)),
        case("stop signal", &|spec| {
            spec.stop_signal = Some("SIGQUIT".to_owned());
        }),
        case("stop timeout", &|spec| spec.stop_timeout = Some(60)),
        case("no stop timeout", &|spec| spec.stop_timeout = Some(0)),
        case("health", &|spec| {
            spec.healthcheck = check(&["CMD", "true", "a b"]);
        }),
        case("shell health", &|spec| {
            spec.healthcheck = check(&["CMD-SHELL", "true || false"]);
        }),
        case("no health", &|spec| {
            let test = words(&["NONE"]);
            spec.healthcheck = Some(Healthcheck {
                test,
                ..Healthcheck::default()
            });
        }),
        case("restart always", &|spec| spec.restart = Restart::Always),
        case("restart unless stopped", &|spec| {
            spec.restart = Restart::UnlessStopped;
        }),
        case("restart on failure", &|spec| {
            spec.restart = Restart::OnFailure(3);
        }),
        case("restart on any failure", &|spec| {
            spec.restart = Restart::OnFailure(0);
        }),
    ]
}

fn places(sandbox: &Sandbox, image: &str, directory: &str) -> Vec<Case> {
    let case = |name, change: &dyn Fn(&mut ContainerSpec)| case(name, image, change);
    let volume = || MountSource::Volume(sandbox.name("data"));
    let bind = |create| MountSource::Bind {
        path: directory.to_owned(),
        create,
    };
    let (front, back) = (sandbox.name("front"), sandbox.name("back"));
    let published = free_port().to_string();
    vec![
        case("ports", &|spec| {
            spec.ports = [
                port("127.0.0.1", &published, 80, "tcp"),
                port("127.0.0.2", &published, 80, "tcp"),
                port("", "", 81, "udp"),
                port("127.0.0.1", "39000-39005", 82, "tcp"),
            ]
            .into();
            spec.expose = set(&["90/tcp", "53/udp"]);
        }),
        case("mounts", &|spec| {
            spec.mounts = [
                ("/named", mount(volume(), false, &[])),
                ("/named-ro", mount(volume(), true, &["nocopy", "z"])),
                ("/bind", mount(bind(true), false, &[])),
                ("/bind-ro", mount(bind(true), true, &["rprivate", "z"])),
                ("/long", mount(bind(false), true, &[])),
                ("/long-private", mount(bind(false), false, &["rprivate"])),
                (
                    "/anonymous",
                    mount(MountSource::Anonymous(None), false, &[]),
                ),
                (
                    "/memory",
                    mount(MountSource::Tmpfs, false, &["mode=1700", "size=1m"]),
                ),
                ("/memory-ro", mount(MountSource::Tmpfs, true, &[])),
            ]
            .map(|(target, mount)| (target.to_owned(), mount))
            .into();
        }),
        case("network", &|spec| {
            spec.networks = networks(&[(&front, &["web", "web-1"])]);
            spec.network_mode.clone_from(&front);
        }),
        case("networks", &|spec| {
            spec.networks = networks(&[(&front, &["w"]), (&back, &["web", "web-1"])]);
            spec.network_mode.clone_from(&back);
        }),
        case("extra hosts", &|spec| {
            spec.extra_hosts = [("db", "10.0.0.7"), ("six.example", "fd00::1:2")]
                .map(|(name, address)| (name.to_owned(), address.to_owned()))
                .into();
        }),
        case("no network", &|spec| spec.network_mode = "none".to_owned()),
        case("host network", &|spec| {
            spec.network_mode = "host".to_owned();
        }),
    ]
}

fn limits(image: &str) -> Vec<Case> {
    let case = |name, change: &dyn Fn(&mut ContainerSpec)| case(name, image, change);
    vec![
        case("limits", &|spec| {
            spec.resources = Resources {
                memory: 64 << 20,
                memory_reservation: 32 << 20,
                nano_cpus: 500_000_000,
                cpu_shares: 512,
                cpuset_cpus: "0".to_owned(),
                pids_limit: 100,
                ..Resources::default()
            };
        }),
        case("further limits", &|spec| {
            spec.resources = Resources {
                memory: 64 << 20,
                memory_swap: -1,
                cpu_quota: 50_000,
                cpu_period: 100_000,
                ..Resources::default()
            };
        }),
        case("read-only", &|spec| spec.read_only = true),
        case("capabilities", &|spec| {
            spec.cap_add = set(&["NET_ADMIN", "SYS_TIME"]);
            spec.cap_drop = set(&["ALL"]);
        }),
        case("privileged", &|spec| spec.privileged = true),
    ]
}

#[tokio::test]
async fn every_field_reads_back_as_it_was_asked_for() {
    let sandbox = Sandbox::new("eng");
    let image = sandbox.image("app", &[]);
    let directory = tempfile::tempdir().unwrap();
    for network in ["front", "back"] {
        docker(&["network", "create", &sandbox.name(network)]);
    }
    let places = places(&sandbox, &image, directory.path().to_str().unwrap());
    let cases = [processes(&image), places, limits(&image)].concat();
    round_trip(&sandbox, &image, cases).await;
}

/// Makes and starts a container of each case, and looks at it both times.
pub(super) async fn round_trip(sandbox: &Sandbox, image: &str, cases: Vec<Case>) {
    let engine = engine();
    let image = engine.image(image).await.unwrap().unwrap();
    for (case, asked) in cases {
        let name = sandbox.name(&case.replace([' ', ','], "-"));
        let id = engine.create_container(&name, &asked).await.unwrap();
        let made = read(&engine, &id).await;
        assert_eq!(
            (made.id.as_str(), made.name.as_str()),
            (id.as_str(), name.as_str())
        );
        assert_eq!(made.state, ContainerState::Created, "{case}");
        assert_reads_back(case, &asked, &made.spec);
        assert_no_difference(case, &asked, &made, &image);
        for mount in made.spec.mounts.values() {
            if let MountSource::Anonymous(Some(volume)) = &mount.source {
                sandbox.own_volume(volume);
            }
        }
        // Not every host has all of it to give.
        let may_not_start = asked.privileged || case.ends_with("not started");
        if !may_not_start {
            let started = engine.start_container(&id).await;
            assert_eq!(started, Ok(()), "{case}");
            let started = read(&engine, &id).await;
            assert_eq!(started.state, ContainerState::Running, "{case}");
            assert_reads_back(&format!("{case}, running"), &asked, &started.spec);
            assert_no_difference(&format!("{case}, running"), &asked, &started, &image);
        }
        engine.remove_container(&id).await.unwrap();
    }
}

#[tokio::test]
async fn the_engine_got_what_compose_would_have_sent() {
    let sandbox = Sandbox::new("eng");
    let (engine, image) = (engine(), sandbox.image("app", &[]));
    let (front, back, data) = (
        sandbox.name("front"),
        sandbox.name("back"),
        sandbox.name("data"),
    );
    docker(&["network", "create", &front]);
    docker(&["network", "create", &back]);
    let asked = ContainerSpec {
        env: env(&[("A", Some("x$y"))]),
        ports: [
            port("127.0.0.1", "38080", 80, "tcp"),
            port("", "", 82, "tcp"),
        ]
        .into(),
        mounts: [
            (
                "/data",
                mount(MountSource::Volume(data.clone()), false, &[]),
            ),
            ("/anon", mount(MountSource::Anonymous(None), false, &[])),
        ]
        .map(|(target, mount)| (target.to_owned(), mount))
        .into(),
        networks: networks(&[(&front, &["web", "w1"]), (&back, &["web"])]),
        network_mode: back.clone(),
        restart: Restart::OnFailure(3),
        stop_timeout: Some(60),
        ..sleeper(&image)
    };
    let id = engine
        .create_container(&sandbox.name("web"), &asked)
        .await
        .unwrap();
    let seen = |format: &str| -> serde_json::Value {
        let format = format!("{{{{json {format}}}}}");
        serde_json::from_str(&docker(&["inspect", "-f", &format, &id])).unwrap()
    };
    assert_eq!(seen(".Config.Env"), json!(["A=x$y"]));
    assert_eq!(seen(".Config.StopTimeout"), json!(60));
    assert_eq!(
        seen(".Config.ExposedPorts"),
        json!({"80/tcp": {}, "82/tcp": {}})
    );
    assert_eq!(
        seen(".HostConfig.Binds"),
        json!([format!("{data}:/data:rw")])
    );
    let anonymous = json!([{"Target": "/anon", "Type": "volume", "VolumeOptions": {}}]);
    assert_eq!(seen(".HostConfig.Mounts"), anonymous);
    assert_eq!(seen(".HostConfig.NetworkMode"), json!(back));
    let bindings = json!({
        "80/tcp": [{"HostIp": "127.0.0.1", "HostPort": "38080"}],
        "82/tcp": [{"HostIp": "", "HostPort": ""}],
    });
    assert_eq!(seen(".HostConfig.PortBindings"), bindings);
    let policy = json!({"MaximumRetryCount": 3, "Name": "on-failure"});
    assert_eq!(seen(".HostConfig.RestartPolicy"), policy);
    let networks = seen(".NetworkSettings.Networks");
    assert_eq!(networks.as_object().unwrap().len(), 2);
    assert_eq!(networks[&back]["Aliases"], json!(["web"]));
    let front_aliases = networks[&front]["Aliases"].as_array().unwrap();
    assert!(front_aliases.contains(&json!("w1")) && front_aliases.contains(&json!("web")));
}

#[tokio::test]
async fn a_container_made_by_the_cli_reads_the_same() {
    let sandbox = Sandbox::new("eng");
    let image = sandbox.image("app", &[]);
    let (name, data, network) = (
        sandbox.name("cli"),
        sandbox.name("data"),
        sandbox.name("net"),
    );
    docker(&["network", "create", &network]);
    let options = format!(
        "--name {name} --network {network} --network-alias web --env A=b=c --label l=m \
         --publish 127.0.0.1:38081:80 --publish 81/udp --expose 90 --volume {data}:/data:ro \
         --volume /anon --mount type=bind,source=/tmp,target=/t,readonly --tmpfs /mem:size=1m \
         --restart on-failure:2 --memory 64m --cpus 0.5 --cap-add net_admin --cap-drop CAP_CHOWN \
         --read-only --user 1 --workdir /tmp --stop-signal SIGINT --stop-timeout 7 \
         --health-cmd true --health-interval 3s --init"
    );
    let options: Vec<&str> = options.split_whitespace().collect();
    let id = docker(&[&["run", "-d"], &options[..], &[&image, "sleep", "600"]].concat());
    let live = read(&engine(), &id).await.spec;
    let expected = ContainerSpec {
        image,
        command: Some(words(&["sleep", "600"])),
        env: env(&[("A", Some("b=c"))]),
        labels: map(&[("l", "m")]),
        user: Some("1".to_owned()),
        working_dir: Some("/tmp".to_owned()),
        init: Some(true),
        stop_signal: Some("SIGINT".to_owned()),
        stop_timeout: Some(7),
        healthcheck: Some(Healthcheck {
            test: words(&["CMD-SHELL", "true"]),
            interval: 3_000_000_000,
            ..Healthcheck::default()
        }),
        ports: [
            port("127.0.0.1", "38081", 80, "tcp"),
            port("", "", 81, "udp"),
        ]
        .into(),
        expose: set(&["90/tcp"]),
        mounts: [
            ("/data", mount(MountSource::Volume(data), true, &[])),
            ("/anon", mount(MountSource::Anonymous(None), false, &[])),
            (
                "/t",
                mount(
                    MountSource::Bind {
                        path: "/tmp".to_owned(),
                        create: false,
                    },
                    true,
                    &[],
                ),
            ),
            ("/mem", mount(MountSource::Tmpfs, false, &["size=1m"])),
        ]
        .map(|(target, mount)| (target.to_owned(), mount))
        .into(),
        networks: networks(&[(&network, &["web"])]),
        network_mode: network,
        restart: Restart::OnFailure(2),
        resources: Resources {
            memory: 64 << 20,
            nano_cpus: 500_000_000,
            ..Resources::default()
        },
        read_only: true,
        cap_add: set(&["NET_ADMIN"]),
        cap_drop: set(&["CHOWN"]),
        ..ContainerSpec::default()
    };
    assert_reads_back("made by the CLI", &expected, &live);
}
