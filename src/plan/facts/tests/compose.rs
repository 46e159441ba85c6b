//! A change of any key of a Compose file is named against the container that the file before made.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::super::super::diff::compare;
use super::super::{Facts, Field, Known, Veil, desired, live};
use super::changes::never_seen;
use super::{container, image, set};
use crate::desired::{HostFiles, Place, Service, ServiceName, load};
use crate::secret::DigestKey;
use crate::source::{CommitInfo, RepoPath, Tree};

/// What stands around the service that changes, and what it needs.
const BASE: &str = "
services:
  app:
    image: app:v1
    networks: {back: , front: }
  store: {image: app:v1}
networks:
  back: {name: back}
  front: {name: front}
configs:
  one: {content: '1'}
  two: {content: '2'}
secrets:
  key: {file: ./key}
";

/// A change of the service: the fields that name it, its keys before (none = not there) and after.
type Row = (&'static [&'static str], &'static str, &'static str);

/// One change for every field, and more; no two are of one field, and all can stand together.
const ROWS: &[Row] = &[
    (&["image"], "image: app:v1", "image: app:v2"),
    (&["command"], "command: a b", "command: a c"),
    (&["entrypoint"], "", "entrypoint: [/e, x]"),
    (&["env A"], "environment: {A: 1}", "environment: {A: 2}"),
    (&["env B"], "", "environment: [B=]"),
    (&["label a"], "labels: {a: b}", "labels: {a: c}"),
    (&["label d"], "labels: [d]", ""),
    (&["user"], "", "user: '7:8'"),
    (&["working_dir"], "working_dir: /a", "working_dir: /b"),
    (&["init"], "", "init: true"),
    (&["stop_signal"], "", "stop_signal: SIGINT"),
    (&["stop_grace_period"], "", "stop_grace_period: 1m"),
    (
        &["healthcheck"],
        "healthcheck: {test: 'true', retries: 1}",
        "healthcheck: {test: 'true', retries: 2}",
    ),
    (&["port 80/tcp"], "", "ports: ['8080:80']"),
    (
        &["port 81/udp"],
        "ports: ['127.0.0.1:81:81/udp']",
        "ports: [{target: 81, published: 82, protocol: udp}]",
    ),
    (&["expose"], "", "expose: [90]"),
    (
        &["mount /a"],
        "volumes: [/srv/a:/a]",
        "volumes: [/srv/b:/a]",
    ),
    (
        &["mount /b"],
        "volumes: [/srv/b:/b]",
        "volumes: [/srv/b:/b:ro]",
    ),
    (&["mount /t"], "", "tmpfs: /t"),
    (&["mount /run/secrets/key"], "", "secrets: [key]"),
    (
        &["network back"],
        "networks: {back: {aliases: [a]}}",
        "networks: {back: {aliases: [a, b]}}",
    ),
    (&["network third"], "", "networks: {third: }"),
    // The first network is the mode.
    (&["network_mode"], "", "networks: {front: {priority: 1}}"),
    (
        &["mac_address in front"],
        "",
        "networks: {front: {mac_address: '02:42:00:00:00:07'}}",
    ),
    (&["restart"], "restart: always", "restart: on-failure:3"),
    (&["memory"], "mem_limit: 64m", "mem_limit: 65m"),
    (&["memory reservation"], "", "mem_reservation: 32m"),
    (&["memory+swap"], "memswap_limit: 96m", "memswap_limit: -1"),
    (&["cpus"], "", "cpus: 0.5"),
    (&["cpu shares"], "", "cpu_shares: 512"),
    (&["cpu quota"], "", "cpu_quota: 50000"),
    (&["cpu period"], "", "cpu_period: 100000"),
    (&["cpuset"], "", "cpuset: '0'"),
    (&["pids limit"], "", "pids_limit: 100"),
    (&["privileged"], "", "privileged: true"),
    (&["cap_add"], "cap_add: [CHOWN]", "cap_add: [SETUID]"),
    (&["cap_drop"], "", "cap_drop: [ALL]"),
    (&["platform"], "", "platform: linux/arm64"),
    (&["hostname"], "", "hostname: www"),
    (&["domainname"], "", "domainname: example.org"),
    (&["tty"], "", "tty: true"),
    (&["stdin_open"], "", "stdin_open: true"),
    (
        &["extra_hosts db"],
        "extra_hosts: ['db:10.0.0.7']",
        "extra_hosts: {db: 10.0.0.8}",
    ),
    (&["dns"], "", "dns: 10.0.0.2"),
    (&["dns_opt"], "", "dns_opt: ['ndots:2']"),
    (&["dns_search"], "", "dns_search: [a.example]"),
    (&["ipc"], "ipc: private", "ipc: shareable"),
    (&["pid"], "", "pid: service:store"),
    (&["uts"], "", "uts: host"),
    (&["userns_mode"], "", "userns_mode: host"),
    (&["cgroup"], "cgroup: host", "cgroup: private"),
    (
        &["sysctl net.core.somaxconn"],
        "sysctls: {net.core.somaxconn: 1024}",
        "sysctls: {net.core.somaxconn: 2048}",
    ),
    (&["annotation a"], "", "annotations: {a: b}"),
    (&["volumes_from"], "", "volumes_from: ['store:ro']"),
    (&["runtime"], "", "runtime: nvidia"),
    (&["isolation"], "", "isolation: hyperv"),
    (&["logging driver"], "", "logging: {driver: syslog}"),
    (
        &["logging option tag"],
        "logging: {options: {tag: a}}",
        "logging: {options: {tag: b}}",
    ),
    (&["group_add"], "", "group_add: [audio]"),
    (
        &["security_opt"],
        "",
        "security_opt: ['no-new-privileges:true']",
    ),
    (
        &["ulimit nofile"],
        "ulimits: {nofile: {soft: 1, hard: 2}}",
        "ulimits: {nofile: {soft: 1, hard: 3}}",
    ),
    (&["device /dev/x"], "", "devices: ['/dev/null:/dev/x:r']"),
    (
        &["device_cgroup_rules"],
        "",
        "device_cgroup_rules: ['c 1:3 mr']",
    ),
    (&["gpus and other devices of drivers"], "", "gpus: all"),
    (&["storage_opt size"], "", "storage_opt: {size: 1G}"),
    (&["shm_size"], "shm_size: 32m", "shm_size: 33m"),
    (&["oom_kill_disable"], "", "oom_kill_disable: true"),
    (&["oom_score_adj"], "", "oom_score_adj: -5"),
    (
        &["mem_swappiness"],
        "mem_swappiness: 10",
        "mem_swappiness: 11",
    ),
    (&["cpu_count"], "", "cpu_count: 1"),
    (&["cpu_percent"], "", "cpu_percent: 50"),
    (&["cpu_rt_period"], "", "cpu_rt_period: 1000"),
    (&["cpu_rt_runtime"], "", "cpu_rt_runtime: 950"),
    (&["cgroup_parent"], "", "cgroup_parent: /x"),
    (&["blkio weight"], "", "blkio_config: {weight: 300}"),
    (
        &["blkio weight of /dev/a"],
        "",
        "blkio_config: {weight_device: [{path: /dev/a, weight: 300}]}",
    ),
    (
        &["blkio read_bps /dev/a"],
        "",
        "blkio_config: {device_read_bps: [{path: /dev/a, rate: 1mb}]}",
    ),
    (
        &["blkio write_iops /dev/a"],
        "",
        "blkio_config: {device_write_iops: [{path: /dev/a, rate: 30}]}",
    ),
    (
        &["content of /etc/page"],
        "configs: [{source: one, target: /etc/page}]",
        "configs: [{source: two, target: /etc/page}]",
    ),
];

/// Changes that can't stand beside the others, or are of fields that those are of.
const ALONE: &[Row] = &[
    (
        &["links"],
        "networks: !reset null, network_mode: bridge",
        "networks: !reset null, network_mode: bridge, links: [store]",
    ),
    (
        &["network_mode"],
        "networks: !reset null, network_mode: none",
        "networks: !reset null, network_mode: service:store",
    ),
    // Content can't be copied into one that is read-only.
    (&["read_only"], "", "read_only: true"),
    // It is taken out of them.
    (
        &["network back", "network front", "network_mode"],
        "",
        "networks: !reset null, network_mode: host",
    ),
    // Names in networks are of each of them.
    (&["network back", "network front"], "", "links: ['store:s']"),
    (
        &["network back", "network front"],
        "container_name: one",
        "container_name: two",
    ),
    (&["mount /n"], "", "volumes: [/n]"),
    (&["env A"], "environment: {A: }", "environment: {A: 1}"),
    (
        &["memory"],
        "",
        "deploy: {resources: {limits: {memory: 64m}}}",
    ),
    (
        &["restart"],
        "",
        "deploy: {restart_policy: {condition: on-failure}}",
    ),
    (&["healthcheck"], "", "healthcheck: {disable: true}"),
];

/// Fields that no Compose file can say anything of: its schema has no such key.
const NO_KEY: [&str; 1] = ["VolumeDriver"];

struct NoFiles;

impl HostFiles for NoFiles {
    fn read(&self, _: &Path) -> Result<Option<Vec<u8>>, String> {
        Ok(None)
    }
}

/// Returns the service that comes of the base with these keys over it, each in a file of its own.
fn service(keys: impl Iterator<Item = &'static str>) -> Service {
    let mut files = BTreeMap::from([
        ("000.yaml".to_owned(), BASE.to_owned()),
        ("key".to_owned(), "k".to_owned()),
    ]);
    for key in keys.filter(|key| !key.is_empty()) {
        let text = format!("services: {{app: {{{key}}}}}\nnetworks: {{third: {{name: third}}}}\n");
        files.insert(format!("{:03}.yaml", files.len()), text);
    }
    let names = files.keys().filter(|name| *name != "key");
    let names: Vec<&str> = names.map(String::as_str).collect();
    let manifest = format!("stack: shop\ncompose: [{}]\n", names.join(", "));
    files.insert("moored.yaml".to_owned(), manifest);
    let files = files.into_iter();
    let tree = Tree::from_files(
        files
            .map(|(path, text)| (path, text.into_bytes()))
            .collect(),
    );
    let commit = CommitInfo {
        revision: "1".repeat(40).parse().unwrap(),
        subject: String::new(),
        author_name: String::new(),
        author_email: String::new(),
        committed_at: 0,
    };
    let place = Place {
        dir: &RepoPath::root(),
        commit: &commit,
        default_directory: &|_| PathBuf::from("/srv/shop"),
        time_zone: &jiff::tz::TimeZone::UTC,
    };
    let loaded = load(&tree.unwrap(), &place, &NoFiles);
    let mut loaded = loaded.unwrap_or_else(|refused| panic!("{refused}"));
    let app = ServiceName::try_from("app".to_owned()).unwrap();
    loaded.services.remove(&app).unwrap()
}

/// Returns the fields in which a service differs from the container that was made from it as it
/// was before, and released so.
fn differ(before: &Service, after: &Service) -> BTreeSet<Field> {
    let key = DigestKey::new(vec![1; 32]);
    let veil = Veil {
        key: &key,
        secrets: &[],
    };
    let facts =
        |of: &Service| -> Facts { desired(&of.spec, Some(&image()), &of.committed_env, veil) };
    let (release, git) = (facts(before), facts(after));
    let known = Known {
        git: &git,
        release: Some(&release),
        is_of_git: &|| false,
    };
    let live = live(&container(before.spec.clone()), known, veil);
    let reasons = compare(&git, Some(&release), &live, true);
    reasons.into_iter().map(|one| one.field).collect()
}

fn named(fields: &BTreeSet<Field>) -> BTreeSet<String> {
    fields.iter().map(ToString::to_string).collect()
}

#[test]
fn a_change_of_a_compose_file_is_named_and_nothing_else() {
    let mut seen = BTreeSet::new();
    for (fields, before, after) in ROWS.iter().chain(ALONE) {
        let [one, other] = [before, after].map(|key| service([*key].into_iter()));
        let there = differ(&one, &other);
        assert_eq!(named(&there), set(fields), "{before} → {after}");
        let back = differ(&other, &one);
        assert_eq!(named(&back), set(fields), "{after} → {before}");
        assert_eq!(named(&differ(&other, &other)), set(&[]), "{after}");
        seen.extend(there);
    }
    assert_eq!(never_seen(&seen), NO_KEY.into());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever else the service says, and however much of it changes at once.
    #[test]
    fn any_changes_of_a_compose_file_are_named_each(
        before in prop::collection::vec(any::<bool>(), ROWS.len()),
        change in prop::collection::btree_set(0..ROWS.len(), 0..4),
    ) {
        let key = |index: usize, is_before: bool| {
            let (_, before, after) = ROWS[index];
            if is_before { before } else { after }
        };
        let rows = || before.iter().copied().enumerate();
        let one = service(rows().map(|(index, is_before)| key(index, is_before)));
        let other = service(rows().map(|(index, is_before)| {
            key(index, is_before != change.contains(&index))
        }));
        let fields = change.iter().flat_map(|index| ROWS[*index].0);
        let expected: BTreeSet<String> = fields.map(|field| (*field).to_owned()).collect();
        prop_assert_eq!(named(&differ(&one, &other)), expected);
        prop_assert_eq!(named(&differ(&one, &one)), set(&[]));
    }
}
