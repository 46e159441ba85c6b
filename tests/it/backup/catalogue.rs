//! The catalogue is the manifests: what is listed, removed, swept, and what is left alone.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;

use moored::backup::{Manifest, catalogue, places, retain, sweep};
use moored::desired::StackName;
use serde_json::json;

use super::sqlite::with_users;
use super::{Stage, names};
use crate::support::put;

fn listed(stage: &Stage) -> Vec<String> {
    let found = catalogue(&stage.to(), &stage.instance, &stage.stack, &stage.name).unwrap();
    found
        .backups
        .into_iter()
        .map(|one| one.manifest.file)
        .collect()
}

fn retained(stage: &Stage, taken: &Manifest, protected: &[&str]) -> Vec<String> {
    let protected: BTreeSet<String> = protected.iter().map(|&file| file.to_owned()).collect();
    stage
        .with(async |work| retain(work, taken, &protected))
        .unwrap()
}

/// Four backups, a day apart, of which one is kept.
fn four() -> (Stage, Vec<Manifest>) {
    let mut stage = with_users(5);
    let path = stage.live("prod.db");
    let keep = json!({"last": 1, "daily": 0, "weekly": 0, "monthly": 0});
    stage.change(json!({"sqlite": path, "keep": keep}));
    let mut taken = Vec::new();
    for _ in 0..4 {
        taken.push(stage.taken().manifest);
        stage.later(24);
    }
    (stage, taken)
}

#[test]
fn the_newest_comes_first_whatever_the_clock_says() {
    let mut stage = with_users(5);
    let first = stage.taken().manifest.file;
    stage.later(24 * 3650);
    let second = stage.taken().manifest.file;
    stage.later(-24 * 7300);
    let third = stage.taken().manifest.file;
    assert_eq!(listed(&stage), [third, second, first]);
}

#[test]
fn what_is_no_longer_kept_is_removed_with_its_manifest() {
    let (stage, taken) = four();
    let guard = taken[1].file.as_str();
    let removed = retained(&stage, &taken[3], &[guard]);
    assert_eq!(removed, [taken[2].file.clone(), taken[0].file.clone()]);
    let mut left = vec![taken[1].file.clone(), taken[3].file.clone()];
    left.extend(left.clone().iter().map(|file| Manifest::own_file(file)));
    left.sort();
    assert_eq!(stage.names(), left);
}

#[test]
fn nothing_of_others_is_ever_removed() {
    let (mut stage, taken) = four();
    let before = names(&stage.to());
    // Another stack, another backup of the stack, another installation, and files of people.
    stage.stack = StackName::try_from("shop-staging".to_owned()).unwrap();
    let other_stack = stage.taken().manifest;
    stage.stack = StackName::try_from("shop".to_owned()).unwrap();
    stage.instance = "there".to_owned();
    let other_instance = stage.take().unwrap();
    stage.instance = "here".to_owned();
    for name in [
        "prod_20250101_000000.db",
        "notes.json",
        "old.db",
        "old.db.json",
        ".moored-x.partial",
    ] {
        put(stage.to().join(name), "mine");
    }
    symlink("/etc/passwd", stage.to().join("passwd.json")).unwrap();
    let theirs: Vec<String> = stage
        .names()
        .into_iter()
        .filter(|name| !before.contains(name))
        .collect();
    assert_eq!(theirs.len(), 10);
    let last = stage.taken().manifest;
    let removed = retained(&stage, &last, &[]);
    assert_eq!(removed.len(), 4);
    sweep(&stage.to(), &stage.instance, &stage.stack).unwrap();
    let after = stage.names();
    assert!(theirs.iter().all(|name| after.contains(name)), "{after:?}");
    assert!(listed(&stage).contains(&other_instance.file));
    assert!(!listed(&stage).contains(&other_stack.file));
    assert!(taken.iter().all(|one| !after.contains(&one.file)));
}

/// After the loss of the state directory the installation has another id.
#[test]
fn backups_of_another_installation_are_listed_and_kept() {
    let (mut stage, taken) = four();
    stage.instance = "new".to_owned();
    let found = catalogue(&stage.to(), "new", &stage.stack, &stage.name).unwrap();
    assert_eq!(found.backups.len(), 4);
    assert!(found.backups.iter().all(|one| one.present && !one.ours));
    let next = stage.taken().manifest;
    assert_eq!(next.sequence, taken[3].sequence + 1);
    assert!(retained(&stage, &next, &[]).is_empty());
}

#[test]
fn a_forged_manifest_leads_nowhere() {
    let (stage, taken) = four();
    let victim = stage.dir.path().join("victim");
    put(&victim, "precious");
    for (file, own) in [
        ("../victim", "x.json"),
        ("/etc/passwd", "y.json"),
        ("", "z.json"),
        (taken[3].file.as_str(), "w.json"),
        (".hidden", ".hidden.json"),
    ] {
        let mut forged = taken[0].clone();
        forged.file = file.to_owned();
        put(stage.to().join(own), serde_json::to_vec(&forged).unwrap());
        put(stage.to().join(own.trim_end_matches(".json")), "");
    }
    let found = catalogue(&stage.to(), "here", &stage.stack, &stage.name).unwrap();
    assert_eq!(found.backups.len(), 4);
    assert_eq!(found.unreadable.len(), 4, "{:?}", found.unreadable);
    retained(&stage, &taken[3], &[]);
    assert_eq!(std::fs::read_to_string(victim).unwrap(), "precious");
}

#[test]
fn manifests_that_cannot_be_read_are_said_and_left() {
    let (stage, taken) = four();
    let own = |n: usize| stage.to().join(Manifest::own_file(&taken[n].file));
    put(own(0), "{\"torn");
    let mut newer: serde_json::Value =
        serde_json::from_slice(&std::fs::read(own(1)).unwrap()).unwrap();
    newer["format"] = json!(2);
    put(own(1), newer.to_string());
    let found = catalogue(&stage.to(), "here", &stage.stack, &stage.name).unwrap();
    assert_eq!(found.backups.len(), 2);
    let said: Vec<&str> = found
        .unreadable
        .iter()
        .map(|(_, cause)| cause.as_str())
        .collect();
    assert!(said[0].starts_with("no manifest"), "{said:?}");
    assert!(said[1].contains("format 2"), "{said:?}");
    retained(&stage, &taken[3], &[]);
    assert!(own(0).exists() && own(1).exists());
    assert!(stage.to().join(&taken[0].file).exists());
}

#[test]
fn a_backup_whose_file_is_gone_or_cut_off_is_not_counted() {
    let (stage, taken) = four();
    let path = |n: usize| stage.to().join(&taken[n].file);
    std::fs::remove_file(path(3)).unwrap();
    put(path(2), "cut off");
    let found = catalogue(&stage.to(), "here", &stage.stack, &stage.name).unwrap();
    assert_eq!(found.newest().unwrap().manifest, taken[1]);
    let next = stage.taken().manifest;
    assert_eq!(
        retained(&stage, &next, &[]),
        [taken[1].file.clone(), taken[0].file.clone()]
    );
    // What was cut off may be wanted for an inquest; a record of nothing is wanted by nobody.
    assert_eq!(listed(&stage), [next.file.clone(), taken[2].file.clone()]);
}

#[test]
fn thirty_failures_remove_nothing() {
    let (mut stage, _) = four();
    put(stage.live("prod.db"), "");
    let before = stage.names();
    for _ in 0..30 {
        stage.later(24);
        stage.take().unwrap_err();
    }
    assert_eq!(stage.names(), before);
}

#[test]
fn what_a_killed_process_left_is_swept_and_nothing_else() {
    let stage = Stage::new(|live| json!({"files": [live.join("uploads")]}));
    std::fs::create_dir(stage.live("uploads")).unwrap();
    put(stage.live("uploads/a"), "a");
    let backup = stage.taken();
    // The name that an unfinished file has can be seen while one is made.
    let prefix = ours(&stage);
    let left = [
        format!("{prefix}db-0123456789ab.partial"),
        format!("{prefix}db-0123456789ab.partial-wal"),
        format!("{prefix}db-0123456789ab.json.partial"),
    ];
    for name in &left {
        put(stage.to().join(name), "half");
    }
    let dir = stage.live(&format!("{prefix}db-ba9876543210.partial"));
    std::fs::create_dir_all(dir.join("new/x")).unwrap();
    symlink("/etc", dir.join("link")).unwrap();
    let foreign = [
        ".moored-000000000000-db-0123.partial".to_owned(),
        format!("{prefix}db.tar"),
        "x.partial".to_owned(),
    ];
    for name in &foreign {
        put(stage.to().join(name), "theirs");
    }
    let mut swept = Vec::new();
    for place in places(&stage.backup) {
        swept.extend(sweep(&place, &stage.instance, &stage.stack).unwrap());
    }
    assert_eq!(swept.len(), 4, "{swept:?}");
    assert_eq!(names(&stage.live("")), ["uploads"]);
    let mut expected = foreign.to_vec();
    expected.extend([
        backup.manifest.file.clone(),
        Manifest::own_file(&backup.manifest.file),
    ]);
    expected.sort();
    assert_eq!(stage.names(), expected);
}

#[test]
fn a_backup_that_lacks_only_its_manifest_gets_it() {
    let stage = with_users(5);
    let backup = stage.taken();
    let own = stage.to().join(Manifest::own_file(&backup.manifest.file));
    let unplaced = stage
        .to()
        .join(format!("{}db-0123456789ab.json.partial", ours(&stage)));
    std::fs::rename(&own, &unplaced).unwrap();
    assert!(listed(&stage).is_empty());
    assert_eq!(
        sweep(&stage.to(), &stage.instance, &stage.stack)
            .unwrap()
            .len(),
        1
    );
    assert_eq!(listed(&stage), std::slice::from_ref(&backup.manifest.file));
    assert!(own.exists() && !unplaced.exists());
}

/// How names of unfinished files of the stage's stack begin, seen from a take that can't end.
fn ours(stage: &Stage) -> String {
    use sha2::Digest as _;
    let text = format!("{}\0{}", stage.instance, stage.stack);
    let digits = hex::encode(sha2::Sha256::digest(text));
    format!(".moored-{}-", &digits[..12])
}
