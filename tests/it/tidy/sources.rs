//! The form of the sources.

use super::{files, none};

/// Most lines of a file.
const LONGEST: usize = 500;

/// Files with a limit of their own: path, limit.
const OWN_LIMITS: [(&str, usize); 1] = [("src/reconcile.rs", 140)];

#[test]
fn files_are_short_and_finished() {
    let marks = [
        concat!("to", "do!"),
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("unimplemented", "!"),
        concat!("#[ig", "nore"),
        concat!("#[al", "low("),
        concat!("#![al", "low("),
    ];
    let mut findings = Vec::new();
    for file in files("src").into_iter().chain(files("tests")) {
        if !file.is("rs") {
            continue;
        }
        let own = OWN_LIMITS.iter().find(|(path, _)| *path == file.path);
        let limit = own.map_or(LONGEST, |(_, limit)| *limit);
        let lines = file.text.lines().count();
        if lines > limit {
            findings.push(format!("{}: {lines} lines, at most {limit}", file.path));
        }
        for mark in marks.iter().filter(|mark| file.text.contains(**mark)) {
            findings.push(format!("{}: has {mark}", file.path));
        }
    }
    none(&findings);
}

#[test]
fn modules_begin_with_what_they_are() {
    let mut findings = Vec::new();
    for file in files("src").into_iter().chain(files("tests/it")) {
        let test_module = file.path.ends_with("/tests.rs");
        if file.is("rs") && !test_module && !file.text.starts_with("//! ") {
            findings.push(format!("{}: has no first sentence", file.path));
        }
    }
    none(&findings);
}

#[test]
fn nothing_names_a_machine() {
    let needles = [
        concat!("/wo", "rk/"),
        concat!("/ho", "me/"),
        concat!("/Us", "ers/"),
    ];
    let mut findings = Vec::new();
    for place in [
        "src",
        "tests",
        "scripts",
        "docs",
        "desired-state-examples",
        ".ci",
        "Cargo.toml",
        "Dockerfile",
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "SECURITY.md",
    ] {
        for file in files(place) {
            for needle in needles.iter().filter(|needle| file.text.contains(**needle)) {
                findings.push(format!("{}: has {needle}", file.path));
            }
        }
    }
    none(&findings);
}
