//! The direction of the dependencies, and what each room may know.

use std::collections::{BTreeMap, BTreeSet};

use super::{Source, files, none};

/// Rooms that every room may import from; the leaves among themselves only as far as listed.
const LEAVES: [(&str, &[&str]); 15] = [
    ("bell", &[]),
    ("clock", &[]),
    (
        "config",
        &["diagnostic", "document", "gates", "permits", "routes"],
    ),
    ("diagnostic", &[]),
    ("document", &["diagnostic", "yaml"]),
    ("files", &[]),
    ("gates", &["diagnostic", "document", "secret"]),
    ("labels", &[]),
    ("lock", &[]),
    ("permits", &[]),
    ("program", &[]),
    ("routes", &["gates"]),
    ("secret", &[]),
    ("table", &[]),
    ("yaml", &["diagnostic"]),
];

/// The rooms in the order in which data flows, with those that each may import from.
const ROOMS: [(&str, &[&str]); 36] = [
    ("source", &[]),
    ("trust", &["source"]),
    ("sops", &[]),
    ("registries", &[]),
    ("engine", &["registries"]),
    ("policy", &["engine"]),
    ("desired", &["source", "trust", "sops", "engine"]),
    ("check", &["source", "policy", "desired"]),
    ("init", &["source", "engine", "policy", "desired", "check"]),
    ("logs", &["engine", "desired"]),
    ("probe", &["desired"]),
    ("maintenance", &["desired", "probe"]),
    ("proxy", &["desired", "probe"]),
    ("backup", &["source", "engine", "desired"]),
    (
        "observe",
        &[
            "source",
            "engine",
            "policy",
            "desired",
            "maintenance",
            "proxy",
            "backup",
        ],
    ),
    (
        "plan",
        &[
            "source",
            "trust",
            "engine",
            "policy",
            "desired",
            "maintenance",
            "proxy",
            "observe",
        ],
    ),
    // What a pass tells while it works is told in the words of the plan.
    ("events", &["source", "engine", "desired", "plan"]),
    ("journal", &[]),
    (
        "record",
        &["source", "desired", "observe", "plan", "journal"],
    ),
    (
        "execute",
        &[
            "engine",
            "policy",
            "desired",
            "probe",
            "maintenance",
            "proxy",
            "backup",
            "observe",
            "plan",
            "events",
            "journal",
            "record",
        ],
    ),
    (
        "host",
        &[
            "source",
            "registries",
            "engine",
            "policy",
            "events",
            "plan",
            "record",
            "execute",
        ],
    ),
    (
        "stacks",
        &[
            "source", "trust", "engine", "policy", "desired", "plan", "events", "record", "host",
        ],
    ),
    (
        "rollback",
        &["source", "desired", "plan", "record", "host", "stacks"],
    ),
    (
        "pass",
        &[
            "engine",
            "desired",
            "maintenance",
            "observe",
            "plan",
            "journal",
            "record",
            "stacks",
        ],
    ),
    (
        "snapshot",
        &[
            "source", "trust", "engine", "policy", "desired", "check", "observe", "plan", "host",
            "stacks", "pass",
        ],
    ),
    (
        "promote",
        &[
            "source", "trust", "engine", "desired", "plan", "record", "host", "stacks", "pass",
        ],
    ),
    (
        "report",
        &[
            "trust",
            "source",
            "engine",
            "desired",
            "check",
            "init",
            "maintenance",
            "backup",
            "logs",
            "observe",
            "plan",
            "events",
            "journal",
            "record",
            "host",
            "stacks",
            "rollback",
            "pass",
            "snapshot",
            "promote",
        ],
    ),
    (
        "kept",
        &[
            "source", "desired", "observe", "plan", "events", "host", "stacks", "pass",
        ],
    ),
    (
        "reconcile",
        &[
            "engine", "desired", "observe", "plan", "events", "journal", "record", "execute",
            "host", "stacks", "pass", "kept",
        ],
    ),
    (
        "doctor",
        &[
            "source",
            "registries",
            "engine",
            "policy",
            "desired",
            "proxy",
            "backup",
            "observe",
            "plan",
            "events",
            "host",
            "stacks",
            "pass",
            "report",
            "reconcile",
        ],
    ),
    // What a person asks for beside Git, and what a schedule does.
    (
        "by_hand",
        &[
            "engine",
            "policy",
            "desired",
            "maintenance",
            "backup",
            "observe",
            "plan",
            "events",
            "record",
            "execute",
            "host",
            "stacks",
            "pass",
            "reconcile",
        ],
    ),
    (
        "schedule",
        &["desired", "backup", "events", "host", "by_hand"],
    ),
    ("web", &["events"]),
    (
        "alerts",
        &[
            "web", "probe", "trust", "desired", "plan", "events", "journal", "record", "host",
            "stacks", "pass",
        ],
    ),
    (
        "controller",
        &[
            "schedule",
            "web",
            "alerts",
            "source",
            "engine",
            "desired",
            "plan",
            "events",
            "journal",
            "record",
            "host",
            "stacks",
            "pass",
            "reconcile",
        ],
    ),
    (
        "cli",
        &[
            "desired",
            "check",
            "init",
            "snapshot",
            "maintenance",
            "backup",
            "logs",
            "doctor",
            "by_hand",
            "proxy",
            "source",
            "engine",
            "plan",
            "events",
            "journal",
            "record",
            "report",
            "host",
            "stacks",
            "rollback",
            "pass",
            "promote",
            "reconcile",
            "web",
            "alerts",
            "controller",
        ],
    ),
];

fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let path = |text: &str| -> String {
            text.chars()
                .take_while(|c| c.is_ascii_alphanumeric() || "_:".contains(*c))
                .collect()
        };
        match rest.strip_prefix('{') {
            None => {
                found.insert(path(rest));
            }
            Some(group) => {
                let mut depth = 0_u32;
                let mut item = String::new();
                for c in group.chars() {
                    match c {
                        '}' if depth == 0 => break,
                        '{' => depth += 1,
                        '}' => depth -= 1,
                        ',' if depth == 0 => {
                            found.insert(path(item.trim()));
                            item.clear();
                            continue;
                        }
                        _ => {}
                    }
                    item.push(c);
                }
                found.insert(path(item.trim()));
            }
        }
    }
    found.remove("");
    found
}

fn first(path: &str) -> &str {
    path.split("::").next().unwrap_or(path)
}

#[test]
fn imports_are_found_in_groups_too() {
    let code = "use crate::{plan, record::{A, B}, table};\nuse crate::engine::model::Image;\n";
    let found = imports(code);
    let expected = ["engine::model::Image", "plan", "record::", "table"];
    assert_eq!(found, expected.map(str::to_owned).into());
}

#[test]
fn rooms_import_only_from_earlier_ones() {
    let leaves: BTreeMap<&str, &[&str]> = LEAVES.into();
    let rooms: BTreeMap<&str, &[&str]> = ROOMS.into();
    let mut findings = Vec::new();
    for file in files("src") {
        let Some(room) = file.room() else { continue };
        for path in imports(&file.code()) {
            let target = first(&path);
            let allowed = match (leaves.get(room), rooms.get(room)) {
                (Some(may), _) => may.contains(&target),
                (None, Some(may)) => leaves.contains_key(target) || may.contains(&target),
                (None, None) => {
                    findings.push(format!("{}: {room} is no room of this test", file.path));
                    true
                }
            };
            if target != room && !allowed {
                findings.push(format!("{}: imports crate::{path}", file.path));
            }
        }
    }
    none(&findings);
}

#[test]
fn the_rooms_are_in_order() {
    let mut before = BTreeSet::new();
    for (room, may) in ROOMS {
        let later: Vec<&&str> = may.iter().filter(|one| !before.contains(**one)).collect();
        assert!(later.is_empty(), "{room} comes before {later:?}");
        before.insert(room);
    }
}

#[test]
fn desired_and_plan_know_only_the_engines_words() {
    let words_only = ["desired", "plan"];
    let mut findings = Vec::new();
    for file in files("src") {
        if !file.room().is_some_and(|room| words_only.contains(&room)) {
            continue;
        }
        for path in imports(&file.code()) {
            let words = ["engine::api", "engine::model", "engine::reference"];
            if first(&path) == "engine" && !words.iter().any(|word| path.starts_with(word)) {
                findings.push(format!("{}: imports crate::{path}", file.path));
            }
        }
    }
    none(&findings);
}

fn strangers(word: &str, homes: &[&str]) -> Vec<String> {
    let at_home = |file: &Source| homes.iter().any(|home| file.path.starts_with(home));
    files("src")
        .iter()
        .filter(|file| !at_home(file) && file.code().contains(word))
        .map(|file| format!("{}: has {word}", file.path))
        .collect()
}

#[test]
fn libraries_stay_in_their_rooms() {
    let mut findings = Vec::new();
    for (library, home) in [
        ("bollard::", "src/engine/docker/"),
        ("git2::", "src/source/"),
        ("ssh_key::", "src/trust/"),
        ("rusqlite::", "src/record/"),
        ("notify::", "src/source/watch.rs"),
        ("reqwest::", "src/probe/"),
        ("serde_yaml::", "src/document.rs"),
        ("granit_parser::", "src/yaml/"),
        ("clap::", "src/cli/"),
        ("indicatif::", "src/report/"),
        ("comfy_table::", "src/table.rs"),
        ("cap_std::", "src/execute/files.rs"),
        ("croner::", "src/desired/schedule.rs"),
        ("tar::", "src/backup/"),
        ("zstd::", "src/backup/"),
        ("use nix::", "src/proxy/child.rs"),
        ("axum::", "src/web/"),
        ("hyper::", "src/web/listener.rs"),
        ("use age::", "src/sops/"),
        ("aes_gcm::", "src/sops/cipher.rs"),
        ("yaml_edit::", "src/promote/edit.rs"),
    ] {
        let homes: &[&str] = match library {
            // The form of a result is an argument of the command line too.
            "clap::" => &[home, "src/report/mod.rs"],
            "serde_yaml::" => &[home, "src/desired/compose/print.rs", "src/report/"],
            // Databases of others are backed up with the library that they are written with.
            "rusqlite::" => &[home, "src/backup/sqlite.rs", "src/backup/console.rs"],
            // The engine shows and takes files in this form.
            "tar::" => &[
                home,
                "src/engine/docker/content.rs",
                "src/engine/docker/copy.rs",
            ],
            _ => &[home],
        };
        findings.extend(strangers(library, homes));
        let here = files(home).iter().any(|file| file.code().contains(library));
        assert!(here, "{library} is not used in {home} any more");
    }
    none(&findings);
}

#[test]
fn only_cli_and_report_print() {
    let words = [
        "println!", "print!(", "eprint", "stdout()", "stderr()", "dbg!",
    ];
    let findings: Vec<String> = words
        .iter()
        .flat_map(|word| strangers(word, &["src/cli/", "src/report/"]))
        .collect();
    none(&findings);
}

#[test]
fn no_shell_and_few_child_processes() {
    // Our own program, and what the host's settings and its proxy are: credential helpers, nginx.
    let homes = [
        "src/source/fetch.rs",
        "src/program.rs",
        "src/proxy/run.rs",
        "src/proxy/child.rs",
    ];
    let mut findings = Vec::new();
    for word in ["Command::new", "process::Command", "process::{C"] {
        findings.extend(strangers(word, &homes));
    }
    for word in ["\"sh\"", "\"bash\"", "\"-c\"", "/bin/sh", "/bin/bash"] {
        // A container's shell, for health checks written for one and for people; nginx's option for its
        // main file.
        let homes = match word {
            "\"-c\"" => &["src/execute/tries.rs", "src/proxy/commands.rs"][..],
            "/bin/sh" | "/bin/bash" => &["src/execute/tries.rs", "src/by_hand/shell.rs"],
            _ => &["src/execute/tries.rs"],
        };
        findings.extend(strangers(word, homes));
    }
    none(&findings);
}
