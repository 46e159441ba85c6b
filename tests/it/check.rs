//! `moored check` and `moored plan --from`, as far as they go without an engine: everything that is
//! wrong with a state repository, told away from its hosts.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use moored::check::{Checked, Severity, check};
use moored::source::Tree;
use serde_json::Value;

use crate::support::origin::Origin;
use crate::support::put;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn below(dir: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(root().join(dir)).unwrap();
    let mut dirs: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    dirs.retain(|dir| dir.is_dir() && !dir.ends_with("snippets"));
    dirs.sort();
    assert!(dirs.len() > 3, "where have they gone?");
    dirs
}

fn errors(checked: &Checked) -> Vec<String> {
    let errors = checked.findings.iter();
    let errors = errors.filter(|one| one.severity == Severity::Error);
    errors.map(|one| format!("{one:?}")).collect()
}

/// Returns the files of a state repository on disk.
fn repository(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        put(path, content);
    }
    dir
}

fn check_files(files: &[(&str, &str)], hosts: Option<&Path>) -> Checked {
    let dir = repository(files);
    check(&Tree::in_directory(dir.path()).unwrap(), hosts).unwrap()
}

#[test]
fn every_example_passes_without_its_host() {
    for dir in below("desired-state-examples") {
        let checked = check(&Tree::in_directory(&dir).unwrap(), None).unwrap();
        assert_eq!(errors(&checked), [""; 0], "{}", dir.display());
        assert!(checked.stacks > 0, "{}", dir.display());
    }
}

/// Whatever a host refuses is refused here as well, or hangs on what can't be seen; and nothing
/// that it accepts is refused.
#[test]
fn no_verdict_is_another_one_than_the_hosts() {
    for (kind, is_good) in [("invalid", false), ("valid", true)] {
        for dir in below(&format!("tests/diagnostics/{kind}")) {
            // Stands for a directory, which the loader's own test makes of it; and where a host
            // keeps the files of its stacks is said by its settings.
            let by_host = [
                "77-host-env-file-is-a-directory",
                "files-in-a-directory-of-our-own",
                "proxy-config-mounted-by-an-absolute-path",
            ];
            if by_host.iter().any(|name| dir.ends_with(name)) {
                continue;
            }
            let tree = Tree::in_directory(&dir.join("tree")).unwrap();
            let host = Some(dir.join("host")).filter(|host| host.is_dir());
            for hosts in [None, host.as_deref()] {
                let checked = check(&tree, hosts).unwrap();
                if is_good {
                    assert_eq!(errors(&checked), [""; 0], "{}", dir.display());
                } else {
                    let told = checked.has_errors() || !checked.unseen.is_empty();
                    assert!(told, "{} passes", dir.display());
                }
            }
        }
    }
}

const COMPOSE: &str = "services: {web: {image: 'shop:${TAG}', ports: ['${PORT}:80'], \
                       environment: {PIN: '${PIN:?is wanted}'}}}\n";

#[test]
fn what_a_file_of_the_host_says_is_not_missed_and_what_it_can_not_mend_is_told() {
    let manifest = "stack: shop\nvariable_files: [/etc/shop.env]\nenv: {web: {files: [/etc/web.env], \
                    require: [SECRET]}}\n";
    let files = [("moored.yaml", manifest), ("compose.yaml", COMPOSE)];
    let checked = check_files(&files, None);
    assert_eq!(errors(&checked), [""; 0]);
    let unseen: Vec<&str> = checked.unseen.iter().map(String::as_str).collect();
    assert_eq!(unseen, ["/etc/shop.env", "/etc/web.env"]);

    // No value of a variable makes this right.
    let broken = COMPOSE.replace("image:", "imagee:");
    let files = [("moored.yaml", manifest), ("compose.yaml", broken.as_str())];
    let found = errors(&check_files(&files, None));
    assert!(found.iter().any(|one| one.contains("imagee")), "{found:?}");

    // With the files of the host, everything is checked.
    let hosts = repository(&[
        ("etc/shop.env", "TAG=v1\nPORT=80a\nPIN=1\n"),
        ("etc/web.env", "OTHER=1\n"),
    ]);
    let files = [("moored.yaml", manifest), ("compose.yaml", COMPOSE)];
    let checked = check_files(&files, Some(hosts.path()));
    assert!(checked.unseen.is_empty(), "{:?}", checked.unseen);
    assert!(checked.has_errors());
}

#[test]
fn every_stack_and_every_key_has_its_findings() {
    let compose = "services: {web: {image: 'shop:main'}}\n";
    let checked = check_files(
        &[
            ("a/moored.yaml", "stack: Shop\nimags: {}\nprune: 7\n"),
            ("b/moored.yaml", "stack: shop\ncompose: [none.yaml]\n"),
            ("c/moored.yaml", "stack: blog\n"),
            ("c/compose.yaml", compose),
            ("d/moored.yaml", "stack: blog\nimages: {web: 'shop:v1'}\n"),
            ("d/compose.yaml", compose),
        ],
        None,
    );
    let told: Vec<(&str, Option<u32>, Severity)> = checked
        .findings
        .iter()
        .map(|one| (one.file.as_str(), one.line, one.severity))
        .collect();
    assert_eq!(
        told,
        [
            ("a/moored.yaml", Some(1), Severity::Error),
            ("a/moored.yaml", Some(2), Severity::Error),
            ("a/moored.yaml", Some(3), Severity::Error),
            ("b/moored.yaml", Some(2), Severity::Error),
            // An image whose tag moves, and two of one name.
            ("c/compose.yaml", Some(1), Severity::Warning),
            ("c/moored.yaml", None, Severity::Warning),
            ("d/moored.yaml", None, Severity::Warning),
        ]
    );
    assert!(check_files(&[("README.md", "")], None).has_errors());
}

fn moored(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_moored"));
    command.args(arguments).output().unwrap()
}

#[test]
fn the_program_tells_findings_as_data_and_by_its_exit_code() {
    let good = [
        ("moored.yaml", "stack: shop\n"),
        ("compose.yaml", "services: {web: {image: 'shop:v1'}}\n"),
    ];
    let dir = repository(&good);
    let path = dir.path().to_str().unwrap();
    let output = moored(&["check", path]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text, "1 stack, 0 errors, 0 warnings\n");

    put(dir.path().join("moored.yaml"), "stack: shop\nimags: {}\n");
    let output = moored(&["check", path, "--format", "json"]);
    assert_eq!(output.status.code(), Some(65), "{output:?}");
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = serde_json::json!([{
        "file": "moored.yaml",
        "line": 2,
        "column": 1,
        "message": "unknown key \"imags\"",
        "hint": "did you mean \"images\"?",
        "severity": "error",
    }]);
    assert_eq!(found, expected);

    assert_eq!(moored(&["check", "/nonexistent"]).status.code(), Some(64));
}

#[test]
fn the_schema_is_printed_as_it_is_published() {
    let output = moored(&["schema"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    let published = std::fs::read(root().join("docs/moored.schema.json")).unwrap();
    assert_eq!(output.stdout, published);
}

#[test]
fn a_commit_is_checked_whatever_the_files_are_now() {
    let good = [
        ("moored.yaml", "stack: shop\n"),
        ("compose.yaml", "services: {web: {image: 'shop:v1'}}\n"),
    ];
    let (origin, first) = Origin::with_main(&good);
    origin.commit("main", &[("moored.yaml", "stack: Shop\n")]);
    let path = origin.path();
    let path = path.to_str().unwrap();
    for (revision, code) in [
        (first.as_str(), 0),
        ("main", 65),
        ("main~1", 0),
        ("none", 64),
    ] {
        let output = moored(&["check", path, "--revision", revision]);
        assert_eq!(output.status.code(), Some(code), "{revision}: {output:?}");
    }
}
