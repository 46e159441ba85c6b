use std::collections::BTreeMap;

use super::*;
use crate::engine::model::{
    ContainerSpec, Device, DeviceRequest, Endpoint, LongMount, Mount, MountSource, Network, Port,
    Volume,
};

fn policy(settings: &str) -> Policy {
    let permits: Permits = serde_yaml::from_str(settings).unwrap();
    Policy::new(
        &permits,
        Path::new("/var/lib/moored"),
        "unix:///var/run/docker.sock",
    )
}

const AGENT: Who<'static> = Who {
    stack: "shop",
    service: Some("agent"),
};

/// Returns what a policy refuses of a container, one a line.
fn refused(settings: &str, spec: &ContainerSpec) -> Vec<String> {
    let real = RealPaths::default();
    let own = BTreeSet::from(["shop-db-1".to_owned()]);
    let seen = Seen {
        real: &real,
        own: &own,
    };
    let refusals = policy(settings).container(AGENT, spec, seen);
    refusals.iter().map(ToString::to_string).collect()
}

/// A container that asks for what `change` says.
fn asks(change: impl FnOnce(&mut ContainerSpec)) -> ContainerSpec {
    let mut spec = ContainerSpec {
        image: "app:v1".to_owned(),
        network_mode: "shop_default".to_owned(),
        ..ContainerSpec::default()
    };
    change(&mut spec);
    spec
}

fn mount(spec: &mut ContainerSpec, source: MountSource) {
    let mount = Mount {
        source,
        read_only: false,
        options: Vec::new(),
        long: LongMount::default(),
    };
    spec.mounts.insert("/x".to_owned(), mount);
}

fn bind(spec: &mut ContainerSpec, path: &str) {
    let path = path.to_owned();
    mount(spec, MountSource::Bind { path, create: true });
}

fn add(all: &mut BTreeSet<String>, one: &str) {
    all.insert(one.to_owned());
}

fn pairs(key: &str, value: &str) -> BTreeMap<String, String> {
    [(key.to_owned(), value.to_owned())].into()
}

/// Changes what a container asks for.
type Change = fn(&mut ContainerSpec);

/// Every kind of thing that is refused by default: the key, the settings that permit it, and what
/// asks for it.
const FORBIDDEN: [(&str, &str, Change); 30] = [
    ("privileged", "{privileged: [shop]}", |spec| {
        spec.privileged = true;
    }),
    (
        "cap_add",
        "{capabilities: {SYS_ADMIN: [shop/agent]}}",
        |spec| add(&mut spec.cap_add, "SYS_ADMIN"),
    ),
    ("cap_add", "{capabilities: {ALL: true}}", |spec| {
        add(&mut spec.cap_add, "CAP_all");
    }),
    ("network_mode", "{host_network: [shop/agent]}", |spec| {
        spec.network_mode = "host".to_owned();
    }),
    ("networks", "{host_network: true}", |spec| {
        spec.networks.insert("host".to_owned(), Endpoint::default());
    }),
    ("pid", "{host_namespaces: true}", |spec| {
        spec.namespaces.pid = "host".to_owned();
    }),
    ("ipc", "{host_namespaces: true}", |spec| {
        spec.namespaces.ipc = "host".to_owned();
    }),
    ("uts", "{host_namespaces: true}", |spec| {
        spec.namespaces.uts = "host".to_owned();
    }),
    ("userns_mode", "{host_namespaces: true}", |spec| {
        spec.namespaces.user = "host".to_owned();
    }),
    ("cgroup", "{host_namespaces: true}", |spec| {
        spec.namespaces.cgroup = "host".to_owned();
    }),
    ("pid", "{other_containers: true}", |spec| {
        spec.namespaces.pid = "container:theirs".to_owned();
    }),
    ("network_mode", "{other_containers: true}", |spec| {
        spec.network_mode = "container:theirs".to_owned();
    }),
    ("volumes_from", "{other_containers: true}", |spec| {
        add(&mut spec.volumes_from, "theirs:ro");
    }),
    ("devices", "{devices: true}", |spec| {
        spec.devices.insert(Device {
            source: "/dev/sda".to_owned(),
            target: "/dev/sda".to_owned(),
            permissions: "r".to_owned(),
        });
    }),
    ("device_cgroup_rules", "{devices: true}", |spec| {
        spec.device_cgroup_rules.push("a *:* rwm".to_owned());
    }),
    ("deploy", "{devices: true}", |spec| {
        spec.device_requests.push(DeviceRequest::default());
    }),
    ("security_opt", "{security_opt: true}", |spec| {
        add(&mut spec.security_opt, "seccomp=unconfined");
    }),
    ("security_opt", "{security_opt: true}", |spec| {
        add(&mut spec.security_opt, "apparmor:unconfined");
    }),
    ("sysctls", "{sysctls: true}", |spec| {
        spec.sysctls = pairs("kernel/core_pattern", "|/x");
    }),
    ("cgroup_parent", "{cgroup_parent: true}", |spec| {
        spec.limits.cgroup_parent = "/".to_owned();
    }),
    ("runtime", "{runtime: true}", |spec| {
        spec.runtime = Some("other".to_owned());
    }),
    ("annotations", "{annotations: true}", |spec| {
        spec.annotations = pairs("org.criu.config", "/x");
    }),
    ("volume_driver", "{drivers: [vieux]}", |spec| {
        spec.volume_driver = "vieux".to_owned();
    }),
    ("volumes", "{docker_socket: true}", |spec| {
        bind(spec, "/var/run/docker.sock");
    }),
    ("volumes", "{bind_roots: [/etc/app]}", |spec| {
        bind(spec, "/etc/app/conf");
    }),
    ("volumes", "{bind_roots: [/]}", |spec| bind(spec, "/")),
    ("volumes", "{bind_roots: [/proc]}", |spec| {
        bind(spec, "/proc/sys");
    }),
    ("volumes", "{bind_roots: [/root]}", |spec| {
        bind(spec, "/root/.ssh");
    }),
    ("volumes", "{bind_roots: [/var/lib/docker]}", |spec| {
        bind(spec, "/var/lib/docker/volumes");
    }),
    ("volumes", "{drivers: [npipe]}", |spec| {
        mount(spec, MountSource::Other("npipe".to_owned()));
    }),
];

#[test]
fn each_is_refused_and_its_setting_permits_it() {
    for (key, setting, change) in FORBIDDEN {
        let spec = asks(change);
        let said = refused("{}", &spec);
        assert_eq!(said.len(), 1, "{setting}: {said:?}");
        assert!(said[0].starts_with(&format!("{key}: ")), "{said:?}");
        let name = setting.trim_start_matches('{').split(':').next().unwrap();
        assert!(said[0].contains("policy: {"), "{said:?}");
        // The engine's socket lies in `/` too, and is told first.
        if setting != "{bind_roots: [/]}" {
            assert!(said[0].contains(name), "{setting}: {said:?}");
            assert_eq!(refused(setting, &spec), Vec::<String>::new(), "{setting}");
        }
    }
}

#[test]
fn what_is_said_can_be_pasted_into_the_settings() {
    for (_, _, change) in FORBIDDEN {
        let spec = asks(change);
        let said = refused("{}", &spec);
        let (_, pasted) = said[0].split_once("(permitted by policy: ").unwrap();
        let pasted = pasted.strip_suffix(')').unwrap();
        let still = refused(pasted, &spec);
        // Of the root of the host, one thing after the other.
        assert!(
            still.is_empty() || said[0].contains("volumes: / "),
            "{pasted}: {still:?}"
        );
    }
}

#[test]
fn what_ordinary_stacks_ask_for_is_permitted() {
    let ordinary: [Change; 12] = [
        |spec| {
            spec.ports.insert(Port {
                target: 80,
                protocol: "tcp".to_owned(),
                host_ip: String::new(),
                published: "80".to_owned(),
            });
        },
        |spec| {
            let added = ["CHOWN", "NET_BIND_SERVICE", "SYS_NICE"];
            spec.cap_add = added.map(str::to_owned).into();
            add(&mut spec.cap_drop, "ALL");
        },
        |spec| add(&mut spec.security_opt, "no-new-privileges:true"),
        |spec| spec.sysctls = pairs("net.core.somaxconn", "1024"),
        |spec| spec.network_mode = "container:shop-db-1".to_owned(),
        |spec| add(&mut spec.volumes_from, "shop-db-1"),
        |spec| spec.namespaces.ipc = "shareable".to_owned(),
        |spec| mount(spec, MountSource::Volume("shop_data".to_owned())),
        |spec| mount(spec, MountSource::Tmpfs),
        |spec| bind(spec, "/srv/app/data"),
        |spec| bind(spec, "/opt/app"),
        |spec| bind(spec, "/var/lib/moored/stacks/shop/project/nginx"),
    ];
    for change in ordinary {
        let spec = asks(change);
        assert_eq!(refused("{}", &spec), Vec::<String>::new());
    }
}

#[test]
fn a_grant_to_another_service_is_none() {
    let spec = asks(|spec| spec.privileged = true);
    assert_eq!(refused("{privileged: [shop/web, other]}", &spec).len(), 1);
    let other = asks(|spec| bind(spec, "/var/lib/moored/stacks/other/project"));
    assert_eq!(refused("{}", &other).len(), 1);
}

#[test]
fn ports_and_images_are_narrowed_by_the_settings() {
    let spec = asks(|spec| {
        spec.ports = [("127.0.0.1", "8080"), ("", "9000")]
            .map(|(host_ip, published)| Port {
                target: 80,
                protocol: "tcp".to_owned(),
                host_ip: host_ip.to_owned(),
                published: published.to_owned(),
            })
            .into();
    });
    assert_eq!(
        refused(
            "{publish: ['127.0.0.1:*', 443], images_from: [ghcr.io/acme/*]}",
            &spec
        ),
        [
            "image: image docker.io/library/app (permitted by policy: {images_from: \
             [docker.io/library/app]})",
            "ports: port 9000:80/tcp (permitted by policy: {publish: [\"9000\"]})",
        ]
    );
    let moving = asks(|spec| spec.image = "app:latest".to_owned());
    assert_eq!(refused("{mutable_tags: refuse}", &moving).len(), 1);
    assert_eq!(refused("{}", &moving).len(), 0);
    assert!(policy("{}").warning_of("app:latest").is_some());
    assert!(
        policy("{mutable_tags: allow}")
            .warning_of("app:latest")
            .is_none()
    );
}

/// Returns what a policy refuses of a volume with these options.
fn of_volume(settings: &str, options: &[(&str, &str)]) -> usize {
    let options = options.iter();
    let options = options.map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
    let volume = Volume {
        name: "shop_data".to_owned(),
        driver: "local".to_owned(),
        options: options.collect(),
        labels: BTreeMap::new(),
    };
    let real = RealPaths::default();
    let own = BTreeSet::new();
    let seen = Seen {
        real: &real,
        own: &own,
    };
    policy(settings).volume(AGENT, &volume, seen).len()
}

#[test]
fn a_volume_that_mounts_the_host_is_a_mount_of_it() {
    for open in [
        &[][..],
        &[("size", "10m")],
        &[
            ("type", "tmpfs"),
            ("device", "tmpfs"),
            ("o", "size=100m,uid=1000"),
        ],
        &[
            ("type", "nfs"),
            ("o", "addr=10.0.0.1,rw"),
            ("device", ":/export"),
        ],
        &[("type", "none"), ("o", "bind"), ("device", "/srv/data")],
    ] {
        assert_eq!(of_volume("{}", open), 0, "{open:?}");
    }
    for (settings, closed) in [
        (
            "{bind_roots: [/etc]}",
            &[("type", "none"), ("o", "bind"), ("device", "/etc")][..],
        ),
        (
            "{bind_roots: [/etc]}",
            &[("type", "nfs"), ("o", "rw, BIND"), ("device", "/etc")][..],
        ),
        (
            "{bind_roots: [/etc]}",
            &[("type", "tmpfs"), ("o", "rbind"), ("device", "/etc")][..],
        ),
        (
            "{bind_roots: [/etc]}",
            &[("type", "none"), ("device", "/etc")][..],
        ),
        (
            "{docker_socket: true}",
            &[("o", "bind"), ("device", "/run/docker.sock")][..],
        ),
        (
            "{volume_options: true}",
            &[("type", "none"), ("o", "bind"), ("device", "etc")][..],
        ),
        (
            "{volume_options: true}",
            &[("type", "ext4"), ("device", "/dev/sda1")][..],
        ),
        (
            "{volume_options: true}",
            &[("type", "overlay"), ("o", "lowerdir=/")][..],
        ),
    ] {
        assert_eq!(of_volume("{}", closed), 1, "{closed:?}");
        assert_eq!(of_volume(settings, closed), 0, "{settings} {closed:?}");
    }
}

#[test]
fn a_network_has_the_driver_that_isolates() {
    let of = |settings: &str, network: &Network| policy(settings).network(AGENT, network).len();
    let network = |driver: &str| Network {
        driver: driver.to_owned(),
        ..Network::default()
    };
    assert_eq!(of("{}", &network("bridge")), 0);
    assert_eq!(of("{}", &network("macvlan")), 1);
    assert_eq!(of("{drivers: [macvlan]}", &network("macvlan")), 0);
    let mode = "com.docker.network.bridge.gateway_mode_ipv4";
    let routed = Network {
        options: pairs(mode, "routed"),
        ..network("bridge")
    };
    assert_eq!(of("{}", &routed), 0, "any port may be published");
    assert_eq!(of("{publish: [80]}", &routed), 1);
}
