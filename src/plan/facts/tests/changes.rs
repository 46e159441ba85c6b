//! A change of each property that a spec has, and the fields that there are.

use std::collections::BTreeSet;

use super::super::Field;
use super::{bind, map, set, words};
use crate::engine::model::{
    ContainerSpec, CopiedFile, Device, DeviceRequest, Healthcheck, Mount, MountSource, Port,
    Restart, Ulimit,
};
use crate::secret::Sensitive;

/// A change of one property, and the field that must name it.
pub(super) type Change = (&'static str, fn(&mut ContainerSpec));

/// One change for every property that is always told; no two are of one field.
pub(super) const CHANGES: &[Change] = &[
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
    ("mount /v", |spec| bind(spec, "/v", "/srv/v")),
    ("mount /n", |spec| {
        let mut mount = Mount::anonymous();
        mount.source = MountSource::Volume("data".to_owned());
        mount.long.subpath = "logs".to_owned();
        spec.mounts.insert("/n".to_owned(), mount);
    }),
    ("network_mode", |spec| {
        spec.network_mode = "front".to_owned();
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
    ("volumes_from", |spec| spec.volumes_from = set(&["db:ro"])),
    ("volume_driver", |spec| {
        spec.volume_driver = "nfs".to_owned();
    }),
    ("storage_opt size", |spec| {
        spec.storage_opt = map("size", "1G");
    }),
];

/// What is not told beside `volumes_from`: it may have come along.
pub(super) const NAMELESS: Change = ("mount /a", |spec| {
    spec.mounts.insert("/a".to_owned(), Mount::anonymous());
});

/// What the engine fills in or does not show: only told where Git asks for it.
pub(super) const ASKED: &[Change] = &[
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
pub(super) const UNSEEN: &[Change] = &[
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

/// Sorts the fields: those that a spec says something of, and those of other things. The compiler
/// asks for a new one, and then the tests ask for a change of it.
macro_rules! sort_fields {
    (of a spec: $($own:ident)*; of others: $($other:ident)*) => {
        /// The fields that a spec says something of.
        const OF_A_SPEC: &[&str] = &[$(stringify!($own)),*];

        /// Returns the name of a field of a spec without what it is of.
        fn kind(field: &Field) -> Option<&'static str> {
            match field {
                $(Field::$own { .. } => Some(stringify!($own)),)*
                $(Field::$other { .. })|* => None,
            }
        }
    };
}

sort_fields! {
    of a spec:
        Image Command Entrypoint Env Label User WorkingDir Init StopSignal StopTimeout Healthcheck
        Port Expose Mount Network NetworkMode Restart Memory MemoryReservation MemorySwap Cpus
        CpuShares CpuQuota CpuPeriod Cpuset PidsLimit Privileged ReadOnly CapAdd CapDrop Platform
        Hostname Domainname Tty StdinOpen MacAddress ExtraHost Links Dns DnsOptions DnsSearch Ipc
        Pid Uts Userns Cgroup Sysctl Annotation VolumesFrom VolumeDriver Runtime Isolation
        LogDriver LogOption GroupAdd SecurityOpt Ulimit Device DeviceCgroupRules DeviceRequests
        StorageOpt ShmSize OomKillDisable OomScoreAdj MemorySwappiness CpuCount CpuPercent
        CpuRtPeriod CpuRtRuntime CgroupParent BlkioWeight BlkioWeightDevice BlkioRate Copied;
    of others:
        Container Name State ImageId File Dependency Owed Config Inside Upstream Certificate Loaded
        PostStart Setting
}

/// Returns the fields of a spec that are not among those that were seen to change.
pub(super) fn never_seen(seen: &BTreeSet<Field>) -> BTreeSet<&'static str> {
    let seen: BTreeSet<&str> = seen.iter().filter_map(kind).collect();
    let all = OF_A_SPEC.iter().copied();
    all.filter(|name| !seen.contains(name)).collect()
}
