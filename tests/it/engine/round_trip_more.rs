//! The same for what Compose can say beyond the usual.

use moored::engine::model::{
    Blkio, Device, DeviceRequest, Ipam, IpamPool, Limits, Logging, LongMount, Mount, MountSource,
    Namespaces, Network, Ulimit,
};
use moored::plan::network_differences;

use super::round_trip::{Case, case, round_trip};
use super::*;
use crate::support::docker_cli::docker;

fn around(image: &str, neighbour: &str) -> Vec<Case> {
    let case = |name, change: &dyn Fn(&mut ContainerSpec)| case(name, image, change);
    vec![
        case("terminal", &|spec| {
            spec.tty = true;
            spec.stdin_open = true;
        }),
        case("names", &|spec| {
            spec.hostname = Some("www".to_owned());
            spec.domainname = Some("example.org".to_owned());
        }),
        case("name in the network of the host", &|spec| {
            spec.hostname = Some("www".to_owned());
            spec.network_mode = "host".to_owned();
        }),
        case("resolver", &|spec| {
            spec.dns = words(&["10.0.0.2", "10.0.0.1"]);
            spec.dns_options = words(&["ndots:2", "timeout:1"]);
            spec.dns_search = words(&["b.example", "a.example"]);
        }),
        case("logs", &|spec| {
            spec.logging = Some(Logging {
                driver: "json-file".to_owned(),
                options: map(&[("max-size", "1m"), ("max-file", "2")]),
            });
        }),
        case("no logs", &|spec| {
            spec.logging = Some(Logging {
                driver: "none".to_owned(),
                ..Logging::default()
            });
        }),
        case("namespaces of the host", &|spec| {
            spec.namespaces = Namespaces {
                ipc: "host".to_owned(),
                pid: "host".to_owned(),
                uts: "host".to_owned(),
                user: "host".to_owned(),
                cgroup: "host".to_owned(),
            };
        }),
        case("namespaces of its own", &|spec| {
            spec.namespaces.ipc = "shareable".to_owned();
            spec.namespaces.cgroup = "private".to_owned();
        }),
        case("namespaces and volumes of a neighbour", &|spec| {
            let other = format!("container:{neighbour}");
            spec.network_mode.clone_from(&other);
            spec.namespaces.pid.clone_from(&other);
            spec.namespaces.ipc = other;
            spec.volumes_from = set(&[&format!("{neighbour}:ro")]);
        }),
        case("links on the default bridge", &|spec| {
            spec.links = set(&[&format!("{neighbour}:db")]);
        }),
        case("a hardware address on the default bridge", &|spec| {
            let place = spec.networks.entry("bridge".to_owned()).or_default();
            place.mac_address = "02:42:ac:11:65:43".to_owned();
        }),
        case("runtime", &|spec| {
            spec.runtime = Some("io.containerd.runc.v2".to_owned());
        }),
    ]
}

fn limits(image: &str) -> Vec<Case> {
    let case = |name, change: &dyn Fn(&mut ContainerSpec)| case(name, image, change);
    vec![
        case("memory", &|spec| {
            spec.limits = Limits {
                shm_size: 32 << 20,
                oom_score_adj: 500,
                memory_swappiness: Some(10),
                cgroup_parent: "/mooredtest".to_owned(),
                ..Limits::default()
            };
        }),
        case("not killed for memory", &|spec| {
            spec.limits.oom_kill_disable = true;
            spec.resources.memory = 64 << 20;
        }),
        case("rates", &|spec| {
            let rates = |path: &str, rate| [(path.to_owned(), rate)].into();
            spec.limits.blkio = Blkio {
                read_bps: rates("/dev/vda", 1 << 20),
                write_iops: rates("/dev/vda", 30),
                ..Blkio::default()
            };
        }),
        case("rights", &|spec| {
            spec.group_add = set(&["7", "8"]);
            spec.security_opt = set(&["no-new-privileges:true", "seccomp=unconfined"]);
        }),
        case("system paths", &|spec| {
            spec.security_opt = set(&["systempaths=unconfined", "label:disable"]);
        }),
        case("kernel parameters", &|spec| {
            spec.sysctls = map(&[("net.core.somaxconn", "1024")]);
        }),
        case("limits of processes", &|spec| {
            let limit = |soft, hard| Ulimit { hard, soft };
            spec.ulimits = [("nofile", limit(1000, 2000)), ("core", limit(-1, -1))]
                .map(|(name, limit)| (name.to_owned(), limit))
                .into();
        }),
        case("devices", &|spec| {
            spec.devices = [Device {
                source: "/dev/null".to_owned(),
                target: "/dev/nothing".to_owned(),
                permissions: "rw".to_owned(),
            }]
            .into();
            spec.device_cgroup_rules = words(&["c 1:3 mr", "a 7:* rmw"]);
        }),
        case("devices of a driver, not started", &|spec| {
            spec.device_requests = vec![DeviceRequest {
                driver: "nvidia".to_owned(),
                ids: words(&["0"]),
                capabilities: vec![words(&["gpu", "compute"])],
                options: map(&[("a", "b")]),
                ..DeviceRequest::default()
            }];
        }),
    ]
}

fn mounts(sandbox: &Sandbox, image: &str, directory: &str) -> Vec<Case> {
    let volume = || MountSource::Volume(sandbox.name("data"));
    let bind = |create| MountSource::Bind {
        path: directory.to_owned(),
        create,
    };
    let mount = |source, options: &[&str], long: LongMount| Mount {
        source,
        read_only: false,
        options: words(options),
        long,
    };
    let labels = LongMount {
        labels: map(&[("a", "b")]),
        ..LongMount::default()
    };
    let memory = LongMount {
        size: 1 << 20,
        mode: 0o1777,
        ..LongMount::default()
    };
    let flat = LongMount {
        recursive: "disabled".to_owned(),
        ..LongMount::default()
    };
    let none = LongMount::default;
    let all = [
        ("/nocopy", mount(volume(), &["nocopy"], none())),
        ("/nocopy-z", mount(volume(), &["nocopy", "z"], none())),
        ("/labels", mount(volume(), &[], labels)),
        ("/memory", mount(MountSource::TmpfsMount, &[], memory)),
        ("/memory-plain", mount(MountSource::TmpfsMount, &[], none())),
        ("/private", mount(bind(true), &["rprivate"], none())),
        ("/flat", mount(bind(false), &[], flat)),
    ];
    let change = |spec: &mut ContainerSpec| {
        let all = all.clone();
        spec.mounts = all.map(|(target, mount)| (target.to_owned(), mount)).into();
    };
    vec![case("long mounts", image, change)]
}

fn places(sandbox: &Sandbox, image: &str, neighbour: &str) -> Vec<Case> {
    let (front, back) = (sandbox.name("front"), sandbox.name("back"));
    let change = |spec: &mut ContainerSpec| {
        let first = Endpoint {
            ipv4_address: "10.233.77.7".to_owned(),
            link_local_ips: set(&["169.254.8.8"]),
            mac_address: "02:42:0a:e9:4d:99".to_owned(),
            driver_opts: map(&[("org.example.a", "b")]),
            links: set(&[&format!("{neighbour}:db")]),
            aliases: set(&["web"]),
            ..Endpoint::default()
        };
        let second = Endpoint {
            links: set(&[&format!("{neighbour}:db")]),
            aliases: set(&["web-2"]),
            ..Endpoint::default()
        };
        spec.hostname = Some("www".to_owned());
        spec.networks = [(front.clone(), first), (back.clone(), second)].into();
        spec.network_mode.clone_from(&front);
    };
    vec![case("places in networks", image, change)]
}

fn pools() -> Ipam {
    let pool = IpamPool {
        subnet: "10.233.77.0/24".to_owned(),
        ip_range: "10.233.77.0/25".to_owned(),
        gateway: "10.233.77.1".to_owned(),
        aux_addresses: map(&[("router", "10.233.77.9")]),
    };
    Ipam {
        pools: vec![pool],
        ..Ipam::default()
    }
}

#[tokio::test]
async fn the_rest_reads_back_as_it_was_asked_for() {
    let sandbox = Sandbox::new("eng");
    let engine = engine();
    let neighbour = sandbox.name("neighbour");
    let image = sandbox.image("app", &[]);
    let mut other = sleeper(&image);
    other.namespaces.ipc = "shareable".to_owned();
    other.mounts = [("/theirs".to_owned(), Mount::anonymous())].into();
    let id = engine.create_container(&neighbour, &other).await.unwrap();
    let MountSource::Anonymous(Some(volume)) =
        &read(&engine, &id).await.spec.mounts["/theirs"].source
    else {
        panic!("a volume without a name")
    };
    sandbox.own_volume(volume);
    engine.start_container(&id).await.unwrap();
    let front = Network {
        name: sandbox.name("front"),
        driver: "bridge".to_owned(),
        attachable: true,
        enable_ipv6: Some(false),
        ipam: pools(),
        options: map(&[("com.docker.network.bridge.enable_icc", "false")]),
        labels: map(&[("a", "b")]),
        ..Network::default()
    };
    engine.create_network(&front).await.unwrap();
    docker(&["network", "create", &sandbox.name("back")]);
    let networks = engine.networks().await.unwrap();
    let made = networks.iter().find(|one| one.name == front.name).unwrap();
    assert_eq!(network_differences(&front, made), []);
    assert_eq!(made.ipam, front.ipam);
    for (member, network) in [(&neighbour, "front"), (&neighbour, "back")] {
        docker(&["network", "connect", &sandbox.name(network), member]);
    }
    let directory = tempfile::tempdir().unwrap();
    let cases = [
        around(&image, &neighbour),
        limits(&image),
        mounts(&sandbox, &image, directory.path().to_str().unwrap()),
        places(&sandbox, &image, &neighbour),
    ];
    round_trip(&sandbox, &image, cases.concat()).await;

    // Who shares the network of a container that was made anew is seen to be elsewhere.
    let mut guest = sleeper(&image);
    guest.network_mode = format!("container:{neighbour}");
    let guest_id = engine
        .create_container(&sandbox.name("guest"), &guest)
        .await
        .unwrap();
    engine.remove_container(&id).await.unwrap();
    engine.create_container(&neighbour, &other).await.unwrap();
    let stranded = read(&engine, &guest_id).await.spec.network_mode.clone();
    assert_eq!(stranded, format!("container:{id}"));
    let missing = ContainerSpec {
        network_mode: "container:nobody-here".to_owned(),
        ..sleeper(&image)
    };
    let said = expect_error!(
        engine
            .create_container(&sandbox.name("lost"), &missing)
            .await,
        NotFound
    );
    assert!(said.contains("there is no container nobody-here"), "{said}");
}

#[tokio::test]
async fn what_the_api_is_too_old_for_is_refused_by_name() {
    let sandbox = Sandbox::new("eng");
    let engine = engine();
    let image = sandbox.image("app", &[]);
    let mut spec = sleeper(&image);
    spec.annotations = map(&[("a", "b")]);
    let name = sandbox.name("web");
    let said = expect_error!(engine.create_container(&name, &spec).await, Refused);
    let expected = "annotations needs Docker Engine 24.0 (API 1.43) or later";
    assert!(said.contains(expected), "{said}");
    let network = Network {
        name: sandbox.name("net"),
        enable_ipv4: Some(false),
        ..Network::default()
    };
    let said = expect_error!(engine.create_network(&network).await, Refused);
    assert!(said.contains("enable_ipv4: false needs"), "{said}");
}
