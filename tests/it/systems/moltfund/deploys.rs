//! Versions that come and go: by a commit, by a revert, by name, and what becomes of the data.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use rusqlite::Connection;

use super::host;
use crate::support::docker_cli::eventually;
use crate::support::http::{Prober, Writer, lost_or_doubled};
use crate::systems::row::Row;

#[test]
fn deploy() {
    let _row = Row::begin("moltfund", "deploy");
    let play = host("deploy", "v1.1.0");
    let (stage, system) = (&play.stage, &play.system);
    play.runs("v1.1.0");
    let before = play.backups().len();

    play.images("v1.2.0", &["APP_SCHEMA=2"]);
    let writer = Writer::start(&system.url("/api/entries"));
    let prober = Prober::start(&system.url("/"));
    std::thread::sleep(Duration::from_millis(300));
    play.commit("v1.2.0", &[]);
    stage.moored(&["plan"]).exits(2).says(&[
        "pull", "maintain", "stop", "backup", "run", "replace", "smoke", "record",
    ]);
    stage.reconcile();
    play.runs("v1.2.0");
    std::thread::sleep(Duration::from_millis(300));
    let (record, stored) = (prober.stop(), writer.stop());
    assert_eq!(record.statuses(), [200, 503, 200], "{record:?}");
    assert_eq!(record.versions(), ["v1.1.0", "v1.2.0"]);
    assert_eq!(lost_or_doubled(&stored, &system.rows()), [""; 0]);
    assert!(!stored.is_empty());
    assert_eq!(system.schema(), 2);
    play.quiet();

    let backups = play.backups();
    assert_eq!(backups.len(), before + 1);
    let backup = backups.last().unwrap();
    assert_is_named_by_its_time(backup);
    let copy = Connection::open(play.backup_dir().join(backup)).unwrap();
    let ask = |query: &str| copy.query_row(query, [], |row| row.get::<_, String>(0));
    assert_eq!(ask("PRAGMA integrity_check").unwrap(), "ok");
    let schema = ask("SELECT CAST(version AS TEXT) FROM schema_version");
    assert_eq!(schema.unwrap(), "1", "it was taken before the migration");
    let listed = stage.moored(&["backup", "list", "prod"]).exits(0);
    let listed = listed.out.lines().find(|line| line.contains(backup));
    assert!(listed.unwrap().contains("verified"), "{listed:?}");
}

/// Checks that a backup is called `prod_YYYYMMDD_HHMMSS.db`.
#[track_caller]
fn assert_is_named_by_its_time(backup: &str) {
    let parts: Vec<&str> = backup.trim_end_matches(".db").split('_').collect();
    let [name, day, time] = parts.as_slice() else {
        panic!("{backup}");
    };
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    assert_eq!((*name, day.len(), time.len()), ("prod", 8, 6), "{backup}");
    assert!(digits(day) && digits(time), "{backup}");
}

#[test]
fn hotfix() {
    let _row = Row::begin("moltfund", "hotfix");
    let play = host("hotfix", "v1.1.0");
    let (stage, system) = (&play.stage, &play.system);
    play.images("v1.2.0", &["APP_SCHEMA=2"]);
    play.images("v1.2.1", &["APP_SCHEMA=2"]);

    stage.follow("1s", "");
    let prober = Prober::start(&system.url("/"));
    let controller = stage.start(&["run"]);
    play.commit("v1.2.0", &[]);
    // Right after: visitors have the page of the first one still.
    eventually("the page is on", || system.flag().exists());
    play.commit("v1.2.1", &[]);
    eventually("both are there", || released(&play, 3));
    drop(controller);
    play.runs("v1.2.1");
    std::thread::sleep(Duration::from_millis(200));
    let record = prober.stop();
    assert_eq!(record.statuses(), [200, 503, 200, 503, 200], "{record:?}");
    assert_eq!(record.versions(), ["v1.1.0", "v1.2.0", "v1.2.1"]);
    // A backup before each; the night's is there as well.
    let backups = play.backups();
    let history = stage.moored(&["history", "--format", "json"]).json();
    let [hotfix, deploy] = [0, 1].map(|at| history[&stage.stack][at]["backups"]["prod"].clone());
    assert!(deploy.as_str() < hotfix.as_str(), "{history}");
    for backup in [hotfix, deploy] {
        assert!(
            backups.iter().any(|it| backup == it.as_str()),
            "{backups:?}"
        );
    }
    assert_eq!((system.schema(), system.rows().len()), (2, 1));
    play.quiet();
}

/// Returns whether so many releases are in the log for scripts.
fn released(play: &crate::e2e::play::Play, releases: usize) -> bool {
    let log = format!("moored/stacks/{}/releases.log", play.stage.stack);
    let log = fs::read_to_string(play.stage.path(&log)).unwrap_or_default();
    log.lines().count() == releases
}

#[test]
fn rollback() {
    let _row = Row::begin("moltfund", "rollback");
    let mut play = host("rollback", "v1.2.0");
    play.images("v1.3.0", &["APP_SCHEMA=1"]);
    play.commit("v1.3.0", &[]);
    play.stage.reconcile();
    play.runs("v1.3.0");

    play.system.own.registry.as_mut().unwrap().stop();
    play.stage.revert();
    play.stage.reconcile();
    play.runs("v1.2.0");
    assert_eq!(play.system.rows(), ["first"]);
    play.quiet();
}

#[test]
fn rollback_by_name() {
    let _row = Row::begin("moltfund", "rollback by name");
    let play = host("by-name", "v1.2.0");
    let stage = &play.stage;
    // One that fails goes back by itself; Git is told what runs.
    play.images("v1.3.0", &["APP_SCHEMA=1", "INTEGRITY=broken"]);
    play.commit("v1.3.0", &[]);
    play.fails(&["rolled back", "verify-integrity"]);
    play.runs("v1.2.0");
    let lives = play.lives();
    let says = |release: &str| format!("Git says {release}");
    let back = stage.moored(&["rollback"]).exits(0);
    back.says(&[&says("1-"), "(v1.2.0) again"]);
    stage.pull();
    stage.reconcile();
    assert_eq!(play.lives(), lives);
    play.quiet();

    // One that came up and is bad all the same: the one that failed is passed over.
    play.images("v1.3.1", &["APP_SCHEMA=1"]);
    play.commit("v1.3.1", &[]);
    stage.reconcile();
    play.runs("v1.3.1");
    stage.moored(&["rollback"]).exits(0).says(&[&says("3-")]);
    stage.pull();
    assert_eq!(
        fs::read_to_string(stage.path("state/moored.yaml")).unwrap(),
        play.system.manifest("v1.2.0")
    );
    stage.reconcile();
    play.runs("v1.2.0");
    play.quiet();
}

#[test]
fn data() {
    let _row = Row::begin("moltfund", "data");
    let play = host("data", "v1.1.0");
    let (stage, system) = (&play.stage, &play.system);
    let uploads = uploads(&system.root);
    let writer = Writer::start(&system.url("/api/entries"));
    for (tag, settings) in [
        ("v1.2.0", ["APP_SCHEMA=2", "GREETING=new"]),
        ("v1.2.1", ["APP_SCHEMA=2", "GREETING=mended"]),
    ] {
        play.images(tag, &settings);
        play.commit(tag, &[]);
        stage.reconcile();
        play.runs(tag);
    }
    stage.revert();
    stage.reconcile();
    play.runs("v1.2.0");
    let stored = writer.stop();
    let rows = system.rows();
    assert_eq!(lost_or_doubled(&stored, &rows), [""; 0]);
    assert!(stored.len() > 10, "{stored:?}");
    assert_eq!(rows[0], "first");
    assert_eq!(self::uploads(&system.root), uploads);
    play.quiet();
}

/// Returns what is known of each file among the uploads: name, inode, when it was changed, content.
fn uploads(root: &Path) -> Vec<(String, u64, SystemTime, String)> {
    let entries = fs::read_dir(root.join("data/uploads")).unwrap();
    let known = entries.map(|entry| {
        let path = entry.unwrap().path();
        let about = fs::metadata(&path).unwrap();
        (
            path.display().to_string(),
            about.ino(),
            about.modified().unwrap(),
            fs::read_to_string(&path).unwrap(),
        )
    });
    let mut known: Vec<_> = known.collect();
    known.sort();
    assert!(!known.is_empty());
    known
}
