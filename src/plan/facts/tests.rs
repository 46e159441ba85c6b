//! Every property of a container is seen to change, and nothing else is.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::super::diff::compare;
use super::*;
use crate::engine::model::{
    Container, ContainerSpec, ContainerState, CopiedFile, Device, DeviceRequest, Endpoint,
    Healthcheck, Image, Logging, Mount, MountSource, Port, Restart, Ulimit,
};
use crate::secret::{DigestKey, Sensitive};

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn set(words: &[&str]) -> BTreeSet<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn map(name: &str, value: &str) -> BTreeMap<String, String> {
    [(name.to_owned(), value.to_owned())].into()
}

/// A container that has something of everything, in two networks.
fn base() -> ContainerSpec {
    let place = |aliases: &[&str]| Endpoint {
        aliases: set(aliases),
        ..Endpoint::default()
    };
    ContainerSpec {
        image: "app:v1".to_owned(),
        network_mode: "back".to_owned(),
        networks: [("back", place(&["app"])), ("front", place(&["www"]))]
            .map(|(name, place)| (name.to_owned(), place))
            .into(),
        env: [("A".to_owned(), Some(Sensitive::new("1")))].into(),
        ..ContainerSpec::default()
    }
}

/// A change of one property, and the field that must name it.
type Change = (&'static str, fn(&mut ContainerSpec));

/// One change for every property; no two are of one field.
const CHANGES: &[Change] = &[
    ("image", |spec| spec.image = "app:v2".to_owned()),
    ("command", |spec| spec.command = Some(words(&["a", "b"]))),
    ("entrypoint", |spec| spec.entrypoint = Some(words(&["/e"]))),
    ("env A", |spec| {
        spec.env.insert("A".to_owned(), Some(Sensitive::new("2")));
    }),
    ("env B", |spec| {
        spec.env.insert("B".to_owned(), None);
    }),
    ("label a", |spec| spec.labels = map("a", "b")),
    ("user", |spec| spec.user = Some("7".to_owned())),
    ("working_dir", |spec| {
        spec.working_dir = Some("/w".to_owned());
    }),
    ("init", |spec| spec.init = Some(true)),
    ("tty", |spec| spec.tty = true),
    ("stdin_open", |spec| spec.stdin_open = true),
    ("stop_signal", |spec| {
        spec.stop_signal = Some("SIGINT".to_owned());
    }),
    ("stop_grace_period", |spec| spec.stop_timeout = Some(60)),
    ("healthcheck", |spec| {
        spec.healthcheck = Some(Healthcheck {
            test: words(&["CMD", "true"]),
            start_interval: 1,
            ..Healthcheck::default()
        });
    }),
    ("restart", |spec| spec.restart = Restart::Always),
    ("port 80/tcp", |spec| {
        spec.ports = [Port {
            target: 80,
            protocol: "tcp".to_owned(),
            host_ip: String::new(),
            published: "8080".to_owned(),
        }]
        .into();
    }),
    ("expose", |spec| spec.expose = set(&["90/tcp"])),
    ("mount /v", |spec| {
        spec.mounts.insert("/v".to_owned(), Mount::anonymous());
    }),
    ("mount /n", |spec| {
        let mut mount = Mount::anonymous();
        mount.source = MountSource::Volume("data".to_owned());
        mount.long.subpath = "logs".to_owned();
        spec.mounts.insert("/n".to_owned(), mount);
    }),
    ("network front", |spec| {
        let place = spec.networks.entry("front".to_owned()).or_default();
        place.ipv4_address = "10.0.0.7".to_owned();
    }),
    ("network back", |spec| {
        let place = spec.networks.entry("back".to_owned()).or_default();
        place.links = set(&["db-1:db"]);
    }),
    ("extra_hosts db", |spec| {
        spec.extra_hosts = vec![("db".to_owned(), "10.0.0.9".to_owned())];
    }),
    ("links", |spec| spec.links = set(&["db-1:db"])),
    ("memory", |spec| spec.resources.memory = 1 << 26),
    ("memory reservation", |spec| {
        spec.resources.memory_reservation = 1 << 25;
    }),
    ("memory+swap", |spec| spec.resources.memory_swap = -1),
    ("cpus", |spec| spec.resources.nano_cpus = 1),
    ("cpu shares", |spec| spec.resources.cpu_shares = 2),
    ("cpu quota", |spec| spec.resources.cpu_quota = 3),
    ("cpu period", |spec| spec.resources.cpu_period = 4),
    ("cpuset", |spec| spec.resources.cpuset_cpus = "0".to_owned()),
    ("pids limit", |spec| spec.resources.pids_limit = 5),
    ("shm_size", |spec| spec.limits.shm_size = 1 << 20),
    ("oom_score_adj", |spec| spec.limits.oom_score_adj = -5),
    ("cpu_count", |spec| spec.limits.cpu_count = 1),
    ("cpu_percent", |spec| spec.limits.cpu_percent = 50),
    ("cpu_rt_period", |spec| spec.limits.cpu_rt_period = 1),
    ("cpu_rt_runtime", |spec| spec.limits.cpu_rt_runtime = 1),
    ("cgroup_parent", |spec| {
        spec.limits.cgroup_parent = "/x".to_owned();
    }),
    ("blkio weight", |spec| spec.limits.blkio.weight = 300),
    ("blkio weight of /dev/a", |spec| {
        spec.limits.blkio.weight_device = [("/dev/a".to_owned(), 300)].into();
    }),
    ("blkio read_bps /dev/a", |spec| {
        spec.limits.blkio.read_bps = [("/dev/a".to_owned(), 1)].into();
    }),
    ("blkio read_iops /dev/a", |spec| {
        spec.limits.blkio.read_iops = [("/dev/a".to_owned(), 1)].into();
    }),
    ("blkio write_bps /dev/a", |spec| {
        spec.limits.blkio.write_bps = [("/dev/a".to_owned(), 1)].into();
    }),
    ("blkio write_iops /dev/a", |spec| {
        spec.limits.blkio.write_iops = [("/dev/a".to_owned(), 1)].into();
    }),
    ("mem_swappiness", |spec| {
        spec.limits.memory_swappiness = Some(0);
    }),
    ("oom_kill_disable", |spec| {
        spec.limits.oom_kill_disable = true;
    }),
    ("privileged", |spec| spec.privileged = true),
    ("read_only", |spec| spec.read_only = true),
    ("cap_add", |spec| spec.cap_add = set(&["NET_ADMIN"])),
    ("cap_drop", |spec| spec.cap_drop = set(&["ALL"])),
    ("hostname", |spec| spec.hostname = Some("h".to_owned())),
    ("domainname", |spec| spec.domainname = Some("d".to_owned())),
    ("annotation a", |spec| spec.annotations = map("a", "b")),
    ("runtime", |spec| spec.runtime = Some("nvidia".to_owned())),
    ("isolation", |spec| {
        spec.isolation = Some("hyperv".to_owned());
    }),
    ("logging driver", |spec| {
        let logging = spec.logging.get_or_insert_default();
        logging.driver = "syslog".to_owned();
    }),
    ("dns", |spec| spec.dns = words(&["1.1.1.1"])),
    ("dns_opt", |spec| spec.dns_options = words(&["ndots:2"])),
    ("dns_search", |spec| spec.dns_search = words(&["example"])),
    ("ipc", |spec| spec.namespaces.ipc = "host".to_owned()),
    ("pid", |spec| spec.namespaces.pid = "container:x".to_owned()),
    ("uts", |spec| spec.namespaces.uts = "host".to_owned()),
    ("userns_mode", |spec| {
        spec.namespaces.user = "host".to_owned();
    }),
    ("group_add", |spec| spec.group_add = set(&["audio"])),
    ("security_opt", |spec| {
        spec.security_opt = set(&["no-new-privileges:true"]);
    }),
    ("sysctl a", |spec| spec.sysctls = map("a", "1")),
    ("ulimit nofile", |spec| {
        let limit = Ulimit { hard: 2, soft: 1 };
        spec.ulimits.insert("nofile".to_owned(), limit);
    }),
    ("device /dev/x", |spec| {
        spec.devices.insert(Device {
            source: "/dev/null".to_owned(),
            target: "/dev/x".to_owned(),
            permissions: "rwm".to_owned(),
        });
    }),
    ("device_cgroup_rules", |spec| {
        spec.device_cgroup_rules = words(&["c 1:3 mr"]);
    }),
    ("gpus and other devices of drivers", |spec| {
        spec.device_requests = vec![DeviceRequest {
            count: -1,
            capabilities: vec![words(&["gpu"])],
            ..DeviceRequest::default()
        }];
    }),
    ("volume_driver", |spec| {
        spec.volume_driver = "nfs".to_owned();
    }),
    ("storage_opt size", |spec| {
        spec.storage_opt = map("size", "1G");
    }),
];

/// What the engine fills in or does not show: only told where Git asks for it.
const ASKED: &[Change] = &[
    ("mac_address in front", |spec| {
        let place = spec.networks.entry("front".to_owned()).or_default();
        place.mac_address = "02:42:00:00:00:07".to_owned();
    }),
    ("cgroup", |spec| spec.namespaces.cgroup = "host".to_owned()),
    ("logging option max-size", |spec| {
        let logging = spec.logging.get_or_insert_default();
        logging.options = map("max-size", "1m");
    }),
];

/// What the engine never shows.
const UNSEEN: &[Change] = &[
    ("platform", |spec| {
        spec.platform = Some("linux/arm64".to_owned());
    }),
    ("content of /run/secrets/a", |spec| {
        let file = CopiedFile {
            content: Sensitive::new("x"),
            uid: 0,
            gid: 0,
            mode: 0o444,
        };
        spec.copied.insert("/run/secrets/a".to_owned(), file);
    }),
];

fn container(spec: ContainerSpec) -> Container {
    Container {
        id: "1".to_owned(),
        name: "app".to_owned(),
        image_id: "sha256:1".to_owned(),
        spec,
        state: ContainerState::Running,
        health: None,
        pid: None,
        restart_count: 0,
        started_at: String::new(),
        oom_killed: false,
        addresses: BTreeMap::new(),
    }
}

fn image() -> Image {
    Image {
        id: "sha256:1".to_owned(),
        ..Image::default()
    }
}

fn git_facts(spec: &ContainerSpec) -> Facts {
    let key = DigestKey::new(vec![1; 32]);
    let veil = Veil {
        key: &key,
        secrets: &[],
    };
    desired(spec, Some(&image()), &set(&["A"]), veil)
}

fn live_facts(spec: ContainerSpec, known: Known<'_>) -> Facts {
    let key = DigestKey::new(vec![1; 32]);
    let veil = Veil {
        key: &key,
        secrets: &[],
    };
    live(&container(spec), known, veil)
}

/// Returns the fields in which a live container differs from Git.
fn differ(git: &ContainerSpec, live: ContainerSpec) -> BTreeSet<String> {
    let git = git_facts(git);
    let known = Known {
        git: &git,
        release: None,
        is_of_git: false,
    };
    let live = live_facts(live, known);
    let reasons = compare(&git, None, &live, true);
    reasons.iter().map(|one| one.field.to_string()).collect()
}

fn changed(changes: &[&Change]) -> ContainerSpec {
    let mut spec = base();
    for (_, change) in changes {
        change(&mut spec);
    }
    spec
}

#[test]
fn each_change_is_named_and_nothing_else() {
    for change in CHANGES {
        let expected = set(&[change.0]);
        assert_eq!(differ(&changed(&[change]), base()), expected, "in Git");
        assert_eq!(differ(&base(), changed(&[change])), expected, "on the host");
        assert_eq!(differ(&changed(&[change]), changed(&[change])), set(&[]));
    }
}

#[test]
fn what_the_engine_fills_in_is_compared_where_git_asks() {
    for change in ASKED {
        let expected = set(&[change.0]);
        assert_eq!(differ(&changed(&[change]), base()), expected, "in Git");
        assert_eq!(differ(&base(), changed(&[change])), set(&[]), "filled in");
        // What Git asked for and does no more.
        let before = git_facts(&changed(&[change]));
        let git = git_facts(&base());
        let known = Known {
            git: &git,
            release: Some(&before),
            is_of_git: false,
        };
        let live = live_facts(changed(&[change]), known);
        let reasons = compare(&git, Some(&before), &live, true);
        let fields: Vec<String> = reasons.iter().map(|one| one.field.to_string()).collect();
        assert_eq!(fields, [change.0]);
    }
}

#[test]
fn what_the_engine_never_shows_is_what_the_container_was_made_from() {
    for change in UNSEEN {
        let (git, before) = (git_facts(&changed(&[change])), git_facts(&base()));
        let fields = |git: &Facts, release: Option<&Facts>, is_of_git| {
            let known = Known {
                git,
                release,
                is_of_git,
            };
            let live = live_facts(base(), known);
            let reasons = compare(git, release, &live, true);
            let names = reasons.iter().map(|one| one.field.to_string());
            names.collect::<Vec<_>>()
        };
        assert_eq!(fields(&git, Some(&before), false), [change.0], "new in Git");
        assert_eq!(
            fields(&before, Some(&git), false),
            [change.0],
            "gone from Git"
        );
        assert_eq!(fields(&git, Some(&git), false), [""; 0], "as released");
        assert_eq!(
            fields(&git, Some(&before), true),
            [""; 0],
            "made by a killed pass"
        );
        assert_eq!(fields(&git, None, false), [""; 0], "made by somebody else");
    }
}

#[test]
fn what_the_kernel_can_not_do_is_no_difference_once_it_was_asked_for() {
    let weight = |spec: &mut ContainerSpec| spec.limits.blkio.weight = 300;
    let git = git_facts(&changed(&[&("", weight)]));
    let differs = |is_of_git| {
        let known = Known {
            git: &git,
            release: None,
            is_of_git,
        };
        !compare(&git, None, &live_facts(base(), known), true).is_empty()
    };
    assert_eq!((differs(false), differs(true)), (true, false));
}

fn bind(spec: &mut ContainerSpec, target: &str, path: &str) {
    let mut mount = Mount::anonymous();
    mount.source = MountSource::Bind {
        path: path.to_owned(),
        create: true,
    };
    spec.mounts.insert(target.to_owned(), mount);
}

#[test]
fn the_same_in_other_words_is_no_difference() {
    type Pair = (fn(&mut ContainerSpec), fn(&mut ContainerSpec));
    let pairs: [Pair; 10] = [
        (
            |spec| bind(spec, "/data/", "/var/../srv//./data/"),
            |spec| bind(spec, "/data", "/srv/data"),
        ),
        (|_| {}, |spec| spec.namespaces.ipc = "private".to_owned()),
        (|_| {}, |spec| spec.namespaces.ipc = "shareable".to_owned()),
        (|_| {}, |spec| spec.runtime = Some("runc".to_owned())),
        (
            |_| {},
            |spec| {
                spec.logging = Some(Logging {
                    driver: "json-file".to_owned(),
                    options: map("max-size", "1m"),
                });
            },
        ),
        (
            |spec| spec.security_opt = set(&["label:disable"]),
            |spec| spec.security_opt = set(&["label=disable"]),
        ),
        (
            |spec| spec.privileged = true,
            |spec| {
                spec.privileged = true;
                spec.security_opt = set(&["label=disable"]);
            },
        ),
        (
            |spec| spec.resources.pids_limit = -1,
            |spec| spec.resources.pids_limit = 0,
        ),
        (
            |spec| spec.volumes_from = set(&["db:rw"]),
            |spec| spec.volumes_from = set(&["db"]),
        ),
        (
            |spec| {
                spec.hostname = Some("www".to_owned());
            },
            |spec| {
                spec.hostname = Some("www".to_owned());
                let place = spec.networks.entry("front".to_owned()).or_default();
                place.aliases.clear();
            },
        ),
    ];
    for (index, (git, live)) in pairs.into_iter().enumerate() {
        let (git, live) = (changed(&[&("", git)]), changed(&[&("", live)]));
        assert_eq!(differ(&git, live), set(&[]), "pair {index}");
    }
    // Somebody's own choice where Git makes none.
    let mut live = base();
    live.namespaces.ipc = "container:x".to_owned();
    assert_eq!(differ(&base(), live), set(&["ipc"]));
}

#[test]
fn host_names_of_the_host_are_filled_in() {
    let mut git = base();
    git.networks.clear();
    git.network_mode = "host".to_owned();
    let mut live = git.clone();
    live.hostname = Some("vm".to_owned());
    assert_eq!(differ(&git, live), set(&[]));
}

#[test]
fn passwords_in_options_are_hidden() {
    let mut spec = base();
    spec.logging = Some(Logging {
        driver: "splunk".to_owned(),
        options: map("splunk-token", "hunter2"),
    });
    let place = spec.networks.entry("back".to_owned()).or_default();
    place.driver_opts = map("com.example.api_key", "hunter2");
    let mut mount = Mount::anonymous();
    mount.long.labels = map("token", "hunter2");
    spec.mounts.insert("/data".to_owned(), mount);
    let facts = git_facts(&spec);
    for field in [
        Field::LogOption("splunk-token".to_owned()),
        Field::Network("back".to_owned()),
        Field::Mount("/data".to_owned()),
    ] {
        assert!(matches!(facts[&field], Fact::Hidden(_)), "{field}");
    }
}

proptest! {
    #[test]
    fn any_changes_on_both_sides_are_named_each(
        git in prop::collection::btree_set(0..CHANGES.len(), 0..9),
        live in prop::collection::btree_set(0..CHANGES.len(), 0..9),
    ) {
        let pick = |indices: &BTreeSet<usize>| -> Vec<&Change> {
            indices.iter().map(|index| &CHANGES[*index]).collect()
        };
        let expected: BTreeSet<String> = git
            .symmetric_difference(&live)
            .map(|index| CHANGES[*index].0.to_owned())
            .collect();
        let seen = differ(&changed(&pick(&git)), changed(&pick(&live)));
        prop_assert_eq!(seen, expected);
    }
}
