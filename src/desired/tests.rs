use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use crate::desired::{self, DesiredState, HostFiles, Place, ServiceName, strategy};
use crate::diagnostic::Diagnostics;
use crate::files::{Mode, write_atomically};
use crate::source::{CommitInfo, RepoPath, Tree};

struct NoHost;

impl HostFiles for NoHost {
    fn read(&self, _: &Path) -> Result<Option<Vec<u8>>, String> {
        Ok(None)
    }
}

fn load_tree(tree: &Tree, dir: &str) -> Result<DesiredState, Diagnostics> {
    let commit = CommitInfo {
        revision: "1".repeat(40).parse().unwrap(),
        subject: String::new(),
        author_name: String::new(),
        author_email: String::new(),
        committed_at: 0,
    };
    let place = Place {
        dir: &RepoPath::new(dir).unwrap(),
        commit: &commit,
        default_directory: &|stack| Path::new("/var/lib/moored/stacks").join(stack),
        time_zone: &jiff::tz::TimeZone::UTC,
    };
    desired::load(tree, &place, &NoHost)
}

fn load(files: &[(&str, &str)], dir: &str) -> Result<DesiredState, Diagnostics> {
    let files = files
        .iter()
        .map(|(path, text)| ((*path).to_owned(), text.as_bytes().to_vec()));
    load_tree(&Tree::from_files(files.collect()).unwrap(), dir)
}

const COMPOSE: &str = "
services:
  web: {image: 'web:v1'}
  front: {image: 'nginx:1.29', volumes: ['./nginx:/etc/nginx/conf.d:ro']}
";
const SITE: &str = "upstream web { server @moored.web:80@; } # @moored.marker@\n";

#[test]
fn paths_are_relative_to_the_manifest_and_placed_beside_the_compose_file() {
    let manifest = "
stack: shop
compose: [../app/compose.yaml]
proxy: {nginx: {service: front, configs: {../app/nginx/site.conf: /etc/nginx/conf.d/site.conf}, marker: /m}}
strategy: {web: blue-green}
files: [{from: pages/, to: /srv/pages}]
";
    let desired = load(
        &[
            ("production/moored.yaml", manifest),
            ("production/pages/off.html", "off"),
            ("app/compose.yaml", COMPOSE),
            ("app/nginx/site.conf", SITE),
        ],
        "production",
    )
    .unwrap_or_else(|refused| panic!("{refused}"));
    let proxy = desired.proxy.unwrap();
    let config = &proxy.configs[Path::new("/etc/nginx/conf.d/site.conf")];
    assert_eq!(config.source.as_str(), "app/nginx/site.conf");
    let below = config.project_path.clone().unwrap();
    assert_eq!(below.as_str(), "nginx/site.conf");
    // What the service mounts is what the proxy reads, until its placeholders are filled in.
    assert_eq!(desired.files[&below].content, config.template.text);
    assert_eq!(desired.files[&below].digest(), config.digest());
    assert!(desired.warnings.is_empty());
    let placed: Vec<&PathBuf> = desired.host_placed.keys().collect();
    assert_eq!(placed, [Path::new("/srv/pages/off.html")]);
}

#[test]
fn a_file_elsewhere_in_the_repository_has_no_place_beside_the_compose_file() {
    let manifest = "
stack: shop
compose: [app/compose.yaml]
proxy: {nginx: {container: front, configs: {nginx/site.conf: /etc/nginx/conf.d/site.conf}, marker: /m}}
";
    let files = [
        ("moored.yaml", manifest),
        ("app/compose.yaml", "services: {web: {image: 'web:v1'}}"),
        ("nginx/site.conf", SITE),
    ];
    let desired = load(&files, "").unwrap_or_else(|refused| panic!("{refused}"));
    let proxy = desired.proxy.unwrap();
    assert!(proxy.configs.values().all(|one| one.project_path.is_none()));
    assert!(desired.files.is_empty() && desired.host_placed.is_empty());
}

#[test]
fn everything_that_is_wrong_is_told_at_once() {
    let manifest = "
stack: shop
proxy: {nginx: {service: front, configs: {nginx/site.conf: /etc/nginx/site.conf, nginx: /x}, marker: /m}}
strategy: {front: blue-green}
files: [{from: a, to: /a}, {from: b, to: /b}]
";
    let files = [
        ("moored.yaml", manifest),
        ("compose.yaml", COMPOSE),
        ("nginx/site.conf", SITE),
    ];
    let Diagnostics(found) = load(&files, "").err().unwrap();
    assert_eq!(found.len(), 5, "{}", Diagnostics(found));
}

#[test]
fn modes_come_from_the_tree_and_empty_directories_place_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = dir.path().join(name);
        write_atomically(&path, text.as_bytes(), 0o644).unwrap();
    };
    let manifest = |from: &str| format!("stack: shop\nfiles: [{{from: {from}, to: /srv/shop}}]\n");
    fs::create_dir_all(dir.path().join("bin")).unwrap();
    fs::create_dir_all(dir.path().join("empty/within")).unwrap();
    write("compose.yaml", COMPOSE);
    write("bin/run.sh", "#!/bin/sh\n");
    write("bin/README", "");
    let executable = fs::Permissions::from_mode(0o755);
    fs::set_permissions(dir.path().join("bin/run.sh"), executable).unwrap();

    let load_here = |from: &str| {
        write("moored.yaml", &manifest(from));
        load_tree(&Tree::in_directory(dir.path()).unwrap(), "")
    };
    let modes = |from: &str| -> BTreeMap<PathBuf, Mode> {
        let desired = load_here(from).unwrap_or_else(|refused| panic!("{refused}"));
        let placed = desired.host_placed.into_iter();
        placed.map(|(path, file)| (path, file.mode)).collect()
    };
    let both = BTreeMap::from([
        (PathBuf::from("/srv/shop/README"), Mode::Plain),
        (PathBuf::from("/srv/shop/run.sh"), Mode::Executable),
    ]);
    assert_eq!(modes("bin"), both);
    assert_eq!(modes("./bin//"), both);
    let one = BTreeMap::from([(PathBuf::from("/srv/shop"), Mode::Executable)]);
    assert_eq!(modes("bin/run.sh"), one);

    let refused = load_here("empty").err().unwrap().to_string();
    assert!(refused.contains("empty has no file in it"), "{refused}");
    std::os::unix::fs::symlink("run.sh", dir.path().join("bin/link")).unwrap();
    let refused = load_here("bin").err().unwrap().to_string();
    assert!(refused.contains("bin/link is a symbolic link"), "{refused}");
}

#[test]
fn more_files_than_anybody_has_are_refused() {
    let mut files: BTreeMap<String, Vec<u8>> = (0..6000)
        .map(|n| (format!("many/{n}"), Vec::new()))
        .collect();
    let entries = "{from: many, to: /a}, {from: many, to: /b}";
    let manifest = format!("stack: shop\nfiles: [{entries}]\n");
    files.insert("moored.yaml".to_owned(), manifest.into_bytes());
    files.insert("compose.yaml".to_owned(), COMPOSE.as_bytes().to_vec());
    let refused = load_tree(&Tree::from_files(files).unwrap(), "")
        .err()
        .unwrap();
    insta::assert_snapshot!(refused, @"
    moored.yaml:2:38: more than 10000 files would be placed on the host
      hint: name a directory with fewer files in it, or put them into an image
    ");
}

#[test]
fn who_joins_another_service_is_found_by_its_container() {
    let manifest = "stack: shop\n";
    let compose = "
services:
  web: {image: 'web:v1'}
  named: {image: 'web:v1', container_name: shop}
  spy: {image: 'web:v1'}
";
    for (space, of_web, of_named) in [
        ("host", false, false),
        ("container:shop-web-1", true, false),
        ("container:shop", false, true),
    ] {
        let files = [("moored.yaml", manifest), ("compose.yaml", compose)];
        let mut desired = load(&files, "").unwrap();
        let name = |text: &str| ServiceName::try_from(text.to_owned()).unwrap();
        let spy = desired.services.get_mut(&name("spy")).unwrap();
        spy.spec.namespaces.pid = space.to_owned();
        let joined = |text: &str| {
            let (name, services) = (name(text), &desired.services);
            strategy::joined_by(&desired.stack, &name, &services[&name], services).is_some()
        };
        assert_eq!(
            (joined("web"), joined("named")),
            (of_web, of_named),
            "{space}"
        );
    }
}
