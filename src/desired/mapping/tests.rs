use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::desired::{self, DesiredState, HostFiles, Place, ServiceName};
use crate::diagnostic::Diagnostics;
use crate::engine::model::{Endpoint, MountSource};
use crate::secret::Redactor;
use crate::source::{CommitInfo, RepoPath, Tree};

#[derive(Default)]
struct Host(BTreeMap<PathBuf, &'static str>);

impl HostFiles for Host {
    fn age_identity(&self) -> Option<&Path> {
        self.0
            .keys()
            .find(|path| path.ends_with("age.key"))
            .map(PathBuf::as_path)
    }

    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, String> {
        Ok(self.0.get(path).map(|text| text.as_bytes().to_vec()))
    }
}

/// Loads `hosts/shop/moored.yaml` among these files.
fn load_from(files: &[(&str, &str)], host: &Host) -> Result<DesiredState, Diagnostics> {
    let commit = CommitInfo {
        revision: "1".repeat(40).parse().unwrap(),
        subject: String::new(),
        author_name: String::new(),
        author_email: String::new(),
        committed_at: 0,
    };
    let place = Place {
        dir: &RepoPath::new("hosts/shop").unwrap(),
        commit: &commit,
        default_directory: &|_| PathBuf::from("/srv/shop"),
        time_zone: &jiff::tz::TimeZone::UTC,
    };
    let files = files.iter();
    let files = files.map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()));
    let tree = Tree::from_files(files.collect()).unwrap();
    desired::load(&tree, &place, host)
}

/// Loads files below `hosts`, onto a host that has those.
fn load(
    files: &[(&str, &str)],
    host: &[(&str, &'static str)],
) -> Result<DesiredState, Diagnostics> {
    let files: Vec<(String, &str)> = files
        .iter()
        .map(|(path, text)| (format!("hosts/{path}"), *text))
        .collect();
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (path.as_str(), *text))
        .collect();
    let host = host.iter().map(|(path, text)| (PathBuf::from(path), *text));
    load_from(&files, &Host(host.collect()))
}

/// Loads one Compose file.
fn of(compose: &str) -> DesiredState {
    let files = [
        ("shop/moored.yaml", "stack: shop"),
        ("shop/compose.yaml", compose),
    ];
    load(&files, &[]).unwrap_or_else(|refused| panic!("{refused}"))
}

fn refused(files: &[(&str, &str)], host: &[(&str, &'static str)]) -> String {
    load(files, host).err().unwrap().to_string()
}

fn name(text: &str) -> ServiceName {
    ServiceName::try_from(text.to_owned()).unwrap()
}

#[test]
fn an_encrypted_file_is_hidden_line_by_line() {
    let files = [
        ("shop/moored.yaml", "stack: shop"),
        (
            "shop/compose.yaml",
            "services: {web: {image: a, secrets: [env, key]}}\n\
             secrets: {env: {file: web.sops.env}, key: {file: tls.key.sops}}",
        ),
        (
            "shop/web.sops.env",
            include_str!("../../../tests/sops/web.sops.env"),
        ),
        (
            "shop/tls.key.sops",
            include_str!("../../../tests/sops/tls.key.sops"),
        ),
    ];
    let key = include_str!("../../../tests/sops/age.key");
    let desired = load(&files, &[("/etc/age.key", key)]).unwrap_or_else(|why| panic!("{why}"));
    let redactor = Redactor::default();
    redactor.learn(desired.secrets.iter().cloned());
    for (said, shown) in [
        // The value of a variable, with its quotes or without.
        ("wrong password p4ss word!", "wrong password [hidden]!"),
        (
            "can't reach postgres://app:s3cr3t@db/app?x=1&y=2",
            "can't reach [hidden]",
        ),
        // A line as it stands.
        ("line 1: DB_PASSWORD=p4ss word", "line 1: [hidden]"),
        ("not -----BEGIN KEY----- of a key", "not [hidden] of a key"),
        // What turns up by chance.
        ("QUOTED is a b in eu-1", "QUOTED is a b in eu-1"),
    ] {
        assert_eq!(redactor.clean(said), shown);
    }
}

#[test]
fn what_is_built_on_a_secret_of_the_host_is_one() {
    let files = [
        ("shop/moored.yaml", "stack: shop"),
        (
            "shop/compose.yaml",
            "services: {web: {image: a, env_file: [/etc/secret.env, app.env]}}",
        ),
        ("shop/app.env", "URL=postgres://u:${DB_PW}@db\nMODE=plain\n"),
    ];
    let host = [("/etc/secret.env", "DB_PW=hunter2\n")];
    let desired = load(&files, &host).unwrap();
    let web = &desired.services[&name("web")];
    let url = web.spec.env["URL"].as_ref().unwrap().expose();
    assert_eq!(url, "postgres://u:hunter2@db");
    let shown: Vec<&str> = web.committed_env.iter().map(String::as_str).collect();
    assert_eq!(shown, ["MODE"]);
}

#[test]
fn what_a_stack_is_comes_from_git_alone() {
    let with = |compose| {
        [
            ("shop/moored.yaml", "stack: shop"),
            ("shop/compose.yaml", compose),
            (
                "shop/db/compose.yaml",
                "services: {db: {image: \"db:${TAG-none}\"}}",
            ),
        ]
    };
    let host = [
        ("/srv/shop/db/.env", "TAG=of-the-host\n"),
        ("/srv/shop/old.yaml", "services: {db: {image: old}}"),
        ("/srv/shop/labels", "a=b\n"),
    ];
    let desired = load(&with("include: [db/compose.yaml]"), &host).unwrap();
    assert_eq!(desired.services[&name("db")].spec.image, "db:none");
    for compose in [
        "include: [old.yaml]",
        "services: {db: {extends: {file: old.yaml, service: db}}}",
        "services: {db: {image: a, label_file: labels}}",
    ] {
        let refused = refused(&with(compose), &host);
        assert!(refused.contains("does not exist"), "{refused}");
    }
}

#[test]
fn paths_above_the_compose_file_stay_in_the_repository() {
    let manifest =
        "{stack: shop, project_directory: /opt/shop, compose: [compose.yaml, ../../top.yaml]}";
    let files = [
        ("hosts/shop/moored.yaml", manifest),
        (
            "hosts/shop/compose.yaml",
            "services: {web: {image: a, env_file: ../../common.env}}",
        ),
        ("top.yaml", "services: {web: {user: one}}"),
        ("common.env", "A=1\n"),
    ];
    let desired = load_from(&files, &Host::default());
    let desired = desired.unwrap_or_else(|refused| panic!("{refused}"));
    let web = &desired.services[&name("web")].spec;
    assert_eq!(web.user.as_deref(), Some("one"));
    assert!(web.env.contains_key("A"));
}

#[test]
fn a_directory_of_the_host_may_hold_what_git_has() {
    let desired = of("services: {web: {image: a, volumes: ['/srv:/all:ro']}}");
    assert!(desired.files.is_empty());
    let files = [
        ("shop/moored.yaml", "stack: shop"),
        (
            "shop/compose.yaml",
            "services: {web: {image: a, volumes: ['../x.conf:/x']}}",
        ),
        ("x.conf", ""),
    ];
    let refused = refused(&files, &[]);
    assert!(refused.contains("above the Compose file"), "{refused}");
}

#[test]
fn a_mode_may_be_the_name_of_a_network() {
    let desired = of(
        "services:\n  web: {image: a, network_mode: edge}\n  db: {image: b, network_mode: bridge}\n  \
         app: {image: c, network_mode: bridge, links: [db]}\n  vpn: {image: d, network_mode: 'service:web'}",
    );
    let spec = |service: &str| &desired.services[&name(service)].spec;
    assert_eq!(spec("web").network_mode, "edge");
    assert_eq!(spec("web").networks["edge"], Endpoint::default());
    assert!(spec("app").networks.is_empty());
    let links: Vec<&str> = spec("app").links.iter().map(String::as_str).collect();
    assert_eq!(
        links,
        ["shop-db-1:db", "shop-db-1:db-1", "shop-db-1:shop-db-1"]
    );
    assert_eq!(spec("vpn").network_mode, "container:shop-web-1");
    assert!(spec("vpn").networks.is_empty());
}

#[test]
fn an_exposed_port_has_a_number() {
    let desired = of("services: {web: {image: a, expose: ['', 90, '53/udp']}}");
    let ports = &desired.services[&name("web")].spec.expose;
    assert_eq!(
        *ports,
        BTreeSet::from(["53/udp", "90/tcp"].map(str::to_owned))
    );
}

#[test]
fn all_containers_of_a_service_are_linked() {
    let desired = of(
        "services:\n  web: {image: a, scale: 2}\n  app: {image: b, scale: 2, links: ['web:w'], \
                      external_links: [x]}\n  old: {image: c, scale: 2, network_mode: bridge, links: [web]}",
    );
    let links = |service: &str| {
        let spec = &desired.services[&name(service)].spec;
        let place = spec.networks.get("shop_default");
        let links = place.map_or(&spec.links, |place| &place.links);
        links.iter().cloned().collect::<Vec<_>>().join(" ")
    };
    let of = |container: &str, names: [&str; 3]| {
        names.map(|name| format!("{container}:{name}")).join(" ")
    };
    let (one, two) = ("shop-web-1", "shop-web-2");
    let names = ["shop-web-1", "w", "web-1"];
    assert_eq!(
        links("app"),
        format!("{} {} x:x", of(one, names), of(two, names))
    );
    let names = ["shop-web-2", "w", "web-2"];
    assert_eq!(
        links("app#2"),
        format!("{} {} x:x", of(one, names), of(two, names))
    );
    let names = ["shop-web-2", "web", "web-2"];
    assert_eq!(
        links("old#2"),
        format!("{} {}", of(one, names), of(two, names))
    );
}

#[test]
fn the_manifest_may_speak_of_services_that_no_active_profile_has() {
    let compose = "services: {web: {image: a}, job: {profiles: [by-hand]}}";
    let files = |manifest| {
        [
            ("shop/moored.yaml", manifest),
            ("shop/compose.yaml", compose),
        ]
    };
    let rest = "images: {job: b}, env: {job: {files: [/x]}}, on_file_change: {job: ignore}";
    let manifest = format!("{{stack: shop, {rest}}}");
    let desired = load(&files(&manifest), &[]).unwrap();
    assert_eq!(desired.services.len(), 1);
    let manifest = format!("{{stack: shop, variables: {{COMPOSE_PROFILES: by-hand}}, {rest}}}");
    let desired = load(&files(&manifest), &[("/x", "A=b")]).unwrap();
    assert_eq!(desired.services[&name("job")].spec.image, "b");
    let refused = refused(&files("{stack: shop, images: {jobs: b}}"), &[]);
    assert!(
        refused.contains("there is no service \"jobs\""),
        "{refused}"
    );
    assert!(refused.contains("job"), "{refused}");
}

#[test]
fn processors_are_counted_as_compose_counts_them() {
    let desired = of("services: {web: {image: a, cpus: 2.25}, db: {image: b, cpus: '0.5'}}");
    let cpus = |service: &str| desired.services[&name(service)].spec.resources.nano_cpus;
    assert_eq!(cpus("web"), 2_249_999_872);
    assert_eq!(cpus("db"), 500_000_000);
}

#[test]
fn each_of_several_containers_is_a_unit() {
    let compose = "services:\n  web: {image: a, scale: 3, volumes: ['data:/d']}\n  \
                   app: {image: b, depends_on: [web]}\nvolumes: {data: }";
    let desired = of(compose);
    let names: Vec<&str> = desired.services.keys().map(ServiceName::as_str).collect();
    assert_eq!(names, ["app", "web", "web#2", "web#3"]);
    let needed: Vec<&str> = desired.services[&name("app")]
        .depends_on
        .keys()
        .map(ServiceName::as_str)
        .collect();
    assert_eq!(needed, ["web", "web#2", "web#3"]);
    let second = &desired.services[&name("web#2")].spec;
    let aliases = &second.networks["shop_default"].aliases;
    assert!(
        aliases.contains("web") && aliases.contains("shop-web-2"),
        "{aliases:?}"
    );
    assert!(!aliases.contains("shop-web-1"));
    assert_eq!(
        second.mounts["/d"].source,
        MountSource::Volume("shop_data".to_owned())
    );
    let with = |manifest, compose| {
        [
            ("shop/moored.yaml", manifest),
            ("shop/compose.yaml", compose),
        ]
    };
    let ready = "{stack: shop, ready: [{service: 'web#2', tcp: 80}]}";
    let message = refused(&with(ready, compose), &[]);
    assert!(
        message.contains("web#2 is one container of web"),
        "{message}"
    );
    let fixed = "services: {web: {image: a, scale: 2, ports: ['8080:80']}}";
    let message = refused(&with("stack: shop", fixed), &[]);
    assert!(
        message.contains("only one of them can have port 8080"),
        "{message}"
    );
}

#[test]
fn a_service_at_rest_has_no_container_and_nobody_waits_for_it() {
    let desired = of("services:\n  none: {image: a, scale: 0}\n  \
                      app: {image: b, depends_on: {none: {condition: service_healthy}}}");
    assert_eq!(desired.at_rest, [name("none")].into());
    assert_eq!(desired.services.keys().collect::<Vec<_>>(), [&name("app")]);
    assert!(desired.services[&name("app")].depends_on.is_empty());
}

#[test]
fn what_needs_the_container_of_a_service_at_rest_is_refused() {
    let web = "web: {image: a, scale: 0}";
    let cases = [
        (
            "stack: shop",
            "network_mode: 'service:web'",
            "app shares what the container of web has",
        ),
        (
            "stack: shop",
            "volumes_from: ['web:ro']",
            "app shares what the container of web has",
        ),
        (
            "{stack: shop, jobs: {tidy: {service: web, run: [a], when: first_deploy}}}",
            "init: true",
            "moored.yaml:1:38: service web has no container: its replicas are 0",
        ),
    ];
    for (manifest, more, expected) in cases {
        let compose = format!("services: {{{web}, app: {{image: b, {more}}}}}");
        let files = [
            ("shop/moored.yaml", manifest),
            ("shop/compose.yaml", &compose),
        ];
        let message = refused(&files, &[]);
        assert!(message.contains(expected), "{message}");
    }
    let ready = "{stack: shop, ready: [{service: web, tcp: 80}]}";
    let compose = format!("services: {{{web}, app: {{image: b}}}}");
    let files = [
        ("shop/moored.yaml", ready),
        ("shop/compose.yaml", compose.as_str()),
    ];
    assert!(load(&files, &[]).is_ok_and(|desired| desired.ready.is_empty()));
}
