//! Compose projects, one directory each below `tests/compose`: what comes of the good ones, and
//! why the bad ones are refused.
//!
//! `case.json` says which files, arguments and environment `moored render` gets and in which
//! directory of `project/` it runs. `expected.json` beside a good one is what Docker Compose
//! v2.40.3 prints with `config --format json`; it refuses the bad ones too, but for those that it
//! would take for ever for or that lie on other machines.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::Value;

/// Far more than the slowest takes in a build with all checks on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);
const HOME: &str = "/somebody";

#[derive(Deserialize)]
struct Case {
    files: Vec<PathBuf>,
    args: Vec<String>,
    env: BTreeMap<String, String>,
    directory: PathBuf,
}

fn cases(kind: &str) -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/compose");
    let entries = std::fs::read_dir(root.join(kind)).unwrap();
    let mut cases: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() > 30, "where have they gone?");
    cases
}

/// Runs a check on every directory and names those where it fails.
fn each(kind: &str, check: impl Fn(&Path)) {
    let failed: Vec<PathBuf> = cases(kind)
        .into_iter()
        .filter(|case| catch_unwind(AssertUnwindSafe(|| check(case))).is_err())
        .collect();
    assert!(failed.is_empty(), "these fail, see above: {failed:#?}");
}

fn render(dir: &Path, format: &str) -> Output {
    let case = std::fs::read(dir.join("case.json")).unwrap();
    let case: Case = serde_json::from_slice(&case).unwrap();
    let project = dir.join("project");
    let mut command = Command::new(env!("CARGO_BIN_EXE_moored"));
    command.current_dir(project.join(&case.directory));
    command.env_clear().env("HOME", HOME).envs(&case.env);
    command.args(["render", "--format", format]);
    for file in &case.files {
        command.arg("-f").arg(project.join(file));
    }
    let began = Instant::now();
    let output = command.args(&case.args).output().unwrap();
    assert!(began.elapsed() < PATIENCE, "{:?}", began.elapsed());
    output
}

/// Puts placeholders where a test's own paths are.
fn placed(dir: &Path, text: &str) -> String {
    let project = dir.join("project");
    text.replace(project.to_str().unwrap(), "@PROJECT_DIR@")
        .replace(HOME, "@HOME@")
        .replace(dir.to_str().unwrap(), "@CASE_DIR@")
}

#[test]
fn a_project_is_what_compose_makes_of_it() {
    each("good", |dir| {
        let output = render(dir, "json");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{}: {said}", dir.display());
        let printed = placed(dir, &String::from_utf8(output.stdout).unwrap());
        let printed: Value = serde_json::from_str(&printed).unwrap();
        let expected = std::fs::read(dir.join("expected.json")).unwrap();
        let expected: Value = serde_json::from_slice(&expected).unwrap();
        assert_eq!(printed, expected, "{}", dir.display());
    });
}

#[test]
fn yaml_says_what_json_says() {
    each("good", |dir| {
        let yaml: Value = serde_yaml::from_slice(&render(dir, "yaml").stdout).unwrap();
        let json: Value = serde_json::from_slice(&render(dir, "json").stdout).unwrap();
        assert_eq!(yaml, json, "{}", dir.display());
    });
}

#[test]
fn a_project_that_can_not_be_is_refused_with_the_place() {
    each("bad", |dir| {
        let output = render(dir, "text");
        assert_eq!(output.status.code(), Some(65), "{}", dir.display());
        assert!(output.stdout.is_empty(), "{}", dir.display());
        let said = placed(dir, &String::from_utf8(output.stderr).unwrap());
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(dir);
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!("error", said));
    });
}

#[test]
fn a_model_that_is_rendered_stays_as_it_is() {
    each("good", |dir| {
        // Waits for a service that is not printed, which Compose refuses as well.
        if dir
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with("profiles-"))
        {
            return;
        }
        let once = render(dir, "json");
        let printed = tempfile::tempdir().unwrap();
        let file = printed.path().join("compose.json");
        moored::files::write_atomically(&file, &once.stdout, 0o600).unwrap();
        let mut command = Command::new(env!("CARGO_BIN_EXE_moored"));
        command.env_clear().current_dir(printed.path());
        command.args(["render", "--format", "json", "--profile", "*", "-f"]);
        let twice = command.arg(&file).output().unwrap();
        let said = String::from_utf8_lossy(&twice.stderr);
        assert!(twice.status.success(), "{}: {said}", dir.display());
        let (once, twice): (Value, Value) = (
            serde_json::from_slice(&once.stdout).unwrap(),
            serde_json::from_slice(&twice.stdout).unwrap(),
        );
        assert_eq!(once, twice, "{}", dir.display());
    });
}
