//! Bad input, one directory each, numbered as in the catalogue of faults: what is refused, with
//! its place and the way out (`tests/diagnostics/invalid`), and what is accepted although it looks
//! odd (`tests/diagnostics/valid`). `tree/` is the state repository, `host/` the files of the host.

use std::fmt::Write as _;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use moored::desired::strategy::Strategy;
use moored::desired::{DesiredState, OnFileChange};
use moored::diagnostic::Diagnostics;
use moored::source::RepoPath;

use crate::support::bench::{Files, Hosted, files_below, load};

fn cases(kind: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/diagnostics");
    let entries = std::fs::read_dir(root.join(kind)).unwrap();
    let mut dirs: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    dirs.sort();
    assert!(dirs.len() > 10, "where have they gone?");
    dirs
}

fn load_case(dir: &Path) -> Result<DesiredState, Diagnostics> {
    let mut host = Hosted::default();
    for (path, content) in files_below(&dir.join("host")) {
        host.0.insert(Path::new("/").join(path), content);
    }
    load_files(&files_below(&dir.join("tree")), &host)
}

fn load_files(files: &Files, host: &Hosted) -> Result<DesiredState, Diagnostics> {
    load(files, '1', host, &|_| PathBuf::from("/project"))
}

fn snapshot(dir: &Path, name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(dir);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// Runs a check on every directory and names those where it fails.
fn each(kind: &str, check: impl Fn(&Path)) {
    let failed: Vec<PathBuf> = cases(kind)
        .into_iter()
        .filter(|dir| catch_unwind(AssertUnwindSafe(|| check(dir))).is_err())
        .collect();
    assert!(failed.is_empty(), "these fail, see above: {failed:#?}");
}

#[test]
fn what_is_wrong_is_refused_with_its_place() {
    each("invalid", |dir| {
        let refused = load_case(dir).err().expect("it is accepted");
        let text = refused.to_string();
        assert!(
            !text.contains('\u{1b}') && !text.contains('\u{202e}'),
            "{text:?}"
        );
        snapshot(dir, "error", &text);
        let without = refused.0.iter().find(|one| one.hint.is_none());
        assert_eq!(without, None, "it does not say what to write instead");
    });
}

/// Writes the proxy, and what is placed at fixed places of the host.
fn beside_the_services(desired: &DesiredState) -> String {
    let mut text = String::new();
    for (path, file) in &desired.host_placed {
        let (path, mode, size) = (path.display(), file.mode, file.content.len());
        writeln!(text, "placed {path} {mode:?} {size} bytes").unwrap();
    }
    if let Some(proxy) = &desired.proxy {
        writeln!(text, "{:?}", proxy.proxy).unwrap();
        for (path, config) in &proxy.configs {
            let below = config.project_path.as_ref().map(RepoPath::as_str);
            let (path, source) = (path.display(), config.source.as_str());
            writeln!(text, "config {path} from {source}, mounted {below:?}").unwrap();
            for upstream in &config.template.upstreams {
                writeln!(text, "  upstream {upstream}").unwrap();
            }
        }
    }
    text
}

#[test]
fn what_only_looks_wrong_is_accepted() {
    each("valid", |dir| {
        let desired = load_case(dir).unwrap_or_else(|refused| panic!("{refused}"));
        let mut text = String::new();
        for (name, service) in &desired.services {
            let spec = &service.spec;
            writeln!(text, "{name}: {} {:?}", spec.image, spec.command).unwrap();
            for (name, value) in &spec.env {
                let value = value.as_ref().map(moored::secret::Sensitive::expose);
                writeln!(text, "  env {name} = {value:?}").unwrap();
            }
            for port in &spec.ports {
                writeln!(text, "  port {port}").unwrap();
            }
            if let Some(check) = &spec.healthcheck {
                writeln!(text, "  healthcheck {:?}", check.test).unwrap();
            }
            if service.strategy != Strategy::Recreate {
                writeln!(text, "  strategy {:?}", service.strategy).unwrap();
            }
            if service.on_file_change != OnFileChange::Restart {
                writeln!(text, "  on_file_change {:?}", service.on_file_change).unwrap();
            }
        }
        text += &beside_the_services(&desired);
        for warning in &desired.warnings {
            writeln!(text, "warning {warning}").unwrap();
        }
        snapshot(dir, "loaded", &text);
    });
}

/// Returns the refusal of a Compose file that is too large to be kept in the repository.
fn refusal_of(compose: String) -> String {
    let files = Files::from([
        ("moored.yaml".to_owned(), b"stack: shop\n".to_vec()),
        ("compose.yaml".to_owned(), compose.into_bytes()),
    ]);
    let refused = load_files(&files, &Hosted::default()).err();
    refused.expect("it is accepted").to_string()
}

#[test]
fn what_is_too_much_is_refused_in_little_time() {
    let began = std::time::Instant::now();
    let head = "services:\n  web:\n    image: app:v1\n";
    let mut merges = String::from("x-a: &a0 {k: v}\n");
    for n in 0..2000 {
        writeln!(merges, "x-{n}: &a{} {{<<: *a{n}, k{n}: v}}", n + 1).unwrap();
    }
    let services: String = (0..1_000_000).fold(String::from("services:\n"), |mut text, n| {
        writeln!(text, "  s{n}: {{image: a}}").unwrap();
        text
    });
    for (what, compose) in [
        (
            "12 merge keys that grow as a square",
            format!("{merges}{head}"),
        ),
        (
            "14 nesting",
            format!("{head}x-a: {}{}", "[".repeat(10_000), "]".repeat(10_000)),
        ),
        (
            "15 a scalar of 100 MB",
            format!("{head}x-a: {}", "a".repeat(100 << 20)),
        ),
        ("16 a million services", services),
        (
            "60 a label of 100 MB",
            format!("{head}    labels: {{a: {}}}", "a".repeat(100 << 20)),
        ),
    ] {
        let refusal = refusal_of(compose);
        assert!(refusal.starts_with("compose.yaml"), "{what}: {refusal}");
        assert!(refusal.len() < 1000, "{what}: a long refusal");
    }
    assert!(began.elapsed().as_secs() < 20, "{:?}", began.elapsed());
}

#[test]
fn an_environment_file_has_bounds() {
    let text = |env: String| {
        Files::from([
            ("moored.yaml".to_owned(), b"stack: shop\n".to_vec()),
            (
                "compose.yaml".to_owned(),
                b"services: {web: {image: a, env_file: a.env}}".to_vec(),
            ),
            ("a.env".to_owned(), env.into_bytes()),
        ])
    };
    // 75: a line of a megabyte says as much as the engine would take, or is refused by place.
    if let Err(refused) = load_files(
        &text(format!("A={}", "x".repeat(1 << 20))),
        &Hosted::default(),
    ) {
        assert!(refused.to_string().starts_with("a.env:1"), "{refused}");
    }
}
