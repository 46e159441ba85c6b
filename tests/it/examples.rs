//! Loads the example state repositories and the YAML of the documentation: what we show works.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use moored::config;
use moored::desired::proxy::{DesiredProxy, ProxyPlace};
use moored::desired::{self, DesiredState, HostFiles, Place, ServiceName, manifest};
use moored::files::write_atomically;
use moored::policy::{Policy, RealPaths};
use moored::source::{CommitInfo, RepoPath, Revision, Tree};

/// A host whose environment files were made from the example's `.env.example`, if it has one, and
/// that has no other file but an age key: an example must not need one.
struct NewHost(Option<Vec<u8>>);

const AGE_KEY: &str = "/etc/moored/age.key";

impl HostFiles for NewHost {
    fn age_identity(&self) -> Option<&Path> {
        Some(Path::new(AGE_KEY))
    }

    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, String> {
        if path == Path::new(AGE_KEY) {
            let key = fs::read(root().join("tests/sops/age.key"));
            return key.map(Some).map_err(|error| error.to_string());
        }
        let name = path.file_name().unwrap().to_str().unwrap();
        let is_env = name == ".env" || path.extension().is_some_and(|it| it == "env");
        Ok(self.0.clone().filter(|_| is_env))
    }
}

/// Returns the host that the example's README has set up, with a value for each secret.
fn new_host(dir: &Path) -> NewHost {
    let example = fs::read_to_string(dir.join(".env.example")).ok();
    NewHost(example.map(|text| text.replace("=\n", "=filled-in\n").into_bytes()))
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn examples() -> Vec<PathBuf> {
    let found = fs::read_dir(root().join("desired-state-examples")).unwrap();
    let mut dirs: Vec<PathBuf> = found.map(|entry| entry.unwrap().path()).collect();
    dirs.retain(|path| path.is_dir() && !path.ends_with("snippets"));
    dirs.sort();
    assert!(!dirs.is_empty());
    dirs
}

fn load(tree: &Tree, manifest: &RepoPath, host: &NewHost) -> DesiredState {
    let commit = CommitInfo {
        revision: Revision::try_from("0123456789".repeat(4)).unwrap(),
        subject: String::new(),
        author_name: String::new(),
        author_email: String::new(),
        committed_at: 0,
    };
    let place = Place {
        dir: &manifest.parent().unwrap_or_else(RepoPath::root),
        commit: &commit,
        default_directory: &|stack| Path::new("/var/lib/moored/stacks").join(stack),
        time_zone: &jiff::tz::TimeZone::UTC,
    };
    desired::load(tree, &place, host)
        .unwrap_or_else(|findings| panic!("{manifest} can't be loaded:\n{findings}"))
}

#[test]
fn every_example_loads_without_findings() {
    for dir in examples() {
        let tree = Tree::in_directory(&dir).unwrap();
        let manifests = tree.find_named(manifest::FILE_NAME).unwrap();
        assert!(!manifests.is_empty(), "{} has no stack", dir.display());
        for path in manifests {
            let desired = load(&tree, &path, &new_host(&dir));
            let warnings: Vec<String> = desired.warnings.iter().map(ToString::to_string).collect();
            assert_eq!(warnings, [""; 0], "{}", dir.display());
        }
    }
}

#[test]
fn every_example_has_a_readme_and_settings_that_load() {
    for dir in examples() {
        assert!(dir.join("README.md").is_file(), "{}", dir.display());
        let settings = config::load(&dir.join("config.example.yaml"));
        settings.unwrap_or_else(|error| panic!("{error}"));
    }
}

#[test]
fn every_example_names_only_places_that_its_settings_permit() {
    let mut named = 0;
    for dir in examples() {
        let settings = config::load(&dir.join("config.example.yaml")).unwrap();
        let policy = Policy::new(&settings.policy, &settings.state_dir, &settings.engine)
            .keeping(&settings.own_files());
        let tree = Tree::in_directory(&dir).unwrap();
        for path in tree.find_named(manifest::FILE_NAME).unwrap() {
            let desired = load(&tree, &path, &new_host(&dir));
            let (stack, real) = (desired.stack.as_str(), RealPaths::default());
            let places = desired.named.places.iter();
            let places = places.filter_map(|one| {
                named += 1;
                policy.file(stack, one.key, (&one.path, one.touch), &real)
            });
            let on_host = |proxy: &DesiredProxy| proxy.proxy.place == ProxyPlace::Host;
            let granted = policy.host_proxy(stack);
            let proxy = granted.filter(|_| desired.proxy.as_ref().is_some_and(on_host));
            let refused: Vec<String> = places.chain(proxy).map(|one| one.to_string()).collect();
            assert_eq!(refused, [""; 0], "{}", dir.display());
        }
    }
    assert!(named > 10, "{named}");
}

#[test]
fn hello_shows_what_its_readme_says() {
    let tree = Tree::in_directory(&root().join("desired-state-examples/hello")).unwrap();
    let desired = load(
        &tree,
        &RepoPath::new(manifest::FILE_NAME).unwrap(),
        &NewHost(None),
    );
    let services: Vec<&str> = desired.services.keys().map(ServiceName::as_str).collect();
    assert_eq!(services, ["web", "worker"]);
    let placed: BTreeSet<&str> = desired.files.keys().map(RepoPath::as_str).collect();
    assert_eq!(placed, BTreeSet::from(["site/index.html"]));
    assert!(desired.volumes.contains_key("hello_data"));
}

/// Returns the fenced YAML blocks of a document, with the line that each begins at.
fn yaml_blocks(document: &str) -> Vec<(usize, String)> {
    let text = fs::read_to_string(root().join(document)).unwrap();
    let mut blocks = Vec::new();
    let mut open: Option<(usize, String)> = None;
    for (index, line) in text.lines().enumerate() {
        match &mut open {
            None if line == "```yaml" => open = Some((index + 2, String::new())),
            Some(_) if line == "```" => blocks.extend(open.take()),
            Some((_, block)) => {
                block.push_str(line);
                block.push('\n');
            }
            None => {}
        }
    }
    assert!(open.is_none(), "{document}: a block is not closed");
    assert!(!blocks.is_empty(), "{document} has no YAML");
    blocks
}

#[test]
fn the_yaml_of_the_documentation_is_accepted() {
    let dir = tempfile::tempdir().unwrap();
    for document in [
        "README.md",
        "docs/manifest.md",
        "docs/proxy.md",
        "docs/config.md",
        "docs/policy.md",
        "docs/promotion.md",
        "docs/secrets.md",
        "docs/webhooks.md",
        "docs/registries.md",
    ] {
        for (line, block) in yaml_blocks(document) {
            let place = format!("{document}:{line}");
            if block.contains("repository:") {
                let file = dir.path().join("config.yaml");
                write_atomically(&file, block.as_bytes(), 0o600).unwrap();
                config::load(&file).unwrap_or_else(|error| panic!("{place}: {error}"));
            } else {
                manifest::parse(&place, block.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
            }
        }
    }
}
