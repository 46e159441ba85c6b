//! Restoring and drilling databases of `SQLite`.

use std::os::unix::fs::MetadataExt;

use moored::backup::{BackupError, Restored, drill, restore};
use moored::desired::backups::Drill;
use rusqlite::Connection;
use serde_json::json;

use super::sqlite::{add_users, users, with_users};
use super::{Stage, names};
use crate::support::put;
use moored::backup::Listed;

fn restored(stage: &Stage, backup: &Listed) -> Result<Restored, BackupError> {
    stage.with(async |work| restore(work, backup).await)
}

fn journal_mode(live: &Connection) -> String {
    live.pragma_query_value(None, "journal_mode", |row| row.get(0))
        .unwrap()
}

#[test]
fn the_live_file_stays_the_same_file_with_the_content_of_the_backup() {
    for mode in ["delete", "wal"] {
        let stage = with_users(50);
        let path = stage.live("prod.db");
        let live = Connection::open(&path).unwrap();
        live.pragma_update(None, "journal_mode", mode).unwrap();
        let backup = stage.taken();
        add_users(&live, 3000);
        live.execute_batch("CREATE TABLE later (a); INSERT INTO later VALUES (1)")
            .unwrap();
        drop(live);
        std::os::unix::fs::chown(&path, Some(1234), Some(2345)).unwrap();
        let before = path.metadata().unwrap();
        restored(&stage, &backup).unwrap();
        let after = path.metadata().unwrap();
        assert_eq!(after.ino(), before.ino());
        assert_eq!(
            (after.uid(), after.gid(), after.mode()),
            (1234, 2345, before.mode())
        );
        assert_eq!(users(&path), 50);
        // Whoever owns the database must be able to open what belongs to it.
        let owner = |name: &String| stage.live(name).metadata().unwrap().uid();
        stage.taken();
        let there = names(&stage.live(""));
        assert!(there.iter().all(|name| owner(name) == 1234), "{there:?}");
        let live = Connection::open(&path).unwrap();
        assert_eq!(journal_mode(&live), mode);
        assert!(live.prepare("SELECT * FROM later").is_err());
        drop(live);
        // Twice is as good as once.
        restored(&stage, &backup).unwrap();
        assert_eq!(users(&path), 50);
    }
}

#[test]
fn a_missing_database_is_made_with_its_owner() {
    let stage = with_users(50);
    let path = stage.live("prod.db");
    std::os::unix::fs::chown(&path, Some(1234), Some(2345)).unwrap();
    let backup = stage.taken();
    std::fs::remove_file(&path).unwrap();
    restored(&stage, &backup).unwrap();
    let found = path.metadata().unwrap();
    assert_eq!(
        (found.uid(), found.gid(), found.mode() & 0o777),
        (1234, 2345, 0o644)
    );
    assert_eq!(users(&path), 50);
    std::fs::remove_dir_all(stage.live("")).unwrap();
    let error = restored(&stage, &backup).unwrap_err();
    assert!(matches!(error, BackupError::NoDirectory(_)), "{error}");
}

#[test]
fn what_is_no_database_any_more_is_set_aside() {
    let stage = with_users(50);
    let path = stage.live("prod.db");
    let backup = stage.taken();
    for n in ["", "_2"] {
        let garbage =
            format!("garbage{n}, and long enough to have been a database once upon a time");
        put(&path, &garbage);
        restored(&stage, &backup).unwrap();
        assert_eq!(users(&path), 50);
        let aside = stage.live(&format!("prod.db.damaged{n}"));
        assert_eq!(std::fs::read_to_string(aside).unwrap(), garbage);
    }
    let left = names(&stage.live(""));
    let expected = ["prod.db", "prod.db.damaged", "prod.db.damaged_2"];
    assert_eq!(left, expected);
}

#[test]
fn a_database_with_other_pages_takes_the_backup_too() {
    let stage = with_users(50);
    let path = stage.live("prod.db");
    let backup = stage.taken();
    std::fs::remove_file(&path).unwrap();
    let live = Connection::open(&path).unwrap();
    live.execute_batch(
        "PRAGMA page_size = 16384; PRAGMA journal_mode = wal; CREATE TABLE other (a)",
    )
    .unwrap();
    drop(live);
    restored(&stage, &backup).unwrap();
    assert_eq!(users(&path), 50);
}

#[test]
fn a_database_that_somebody_uses_is_not_touched() {
    let mut stage = with_users(50);
    let path = stage.live("prod.db");
    let backup = stage.taken();
    stage.change(json!({"sqlite": path, "timeout": "1s"}));
    let live = Connection::open(&path).unwrap();
    add_users(&live, 10);
    live.execute_batch("BEGIN IMMEDIATE; DELETE FROM users")
        .unwrap();
    let error = restored(&stage, &backup).unwrap_err();
    assert!(matches!(error, BackupError::Busy { .. }), "{error}");
    live.execute_batch("ROLLBACK").unwrap();
    assert_eq!(users(&path), 60);
}

#[test]
fn a_backup_of_another_kind_is_not_restored() {
    let mut stage = with_users(50);
    let backup = stage.taken();
    stage.change(json!({"files": [stage.live("prod.db")]}));
    let error = restored(&stage, &backup).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("is a backup of sqlite, and db is one of files now"),
        "{error}"
    );
}

#[test]
fn a_drill_asks_a_scratch_copy_and_leaves_nothing() {
    let stage = with_users(50);
    let backup = stage.taken();
    let before = stage.names();
    let live = std::fs::read(stage.live("prod.db")).unwrap();
    let ask = |query: &str, at_least| {
        let wanted = Drill {
            schedule: None,
            query: Some(query.to_owned()),
            at_least,
        };
        stage.with(async |work| drill(work, &backup, &wanted).await)
    };
    assert_eq!(
        ask("select count(*) from users", 50).unwrap().answer,
        Some(50)
    );
    for (query, at_least, expected) in [
        (
            "select count(*) from users",
            51,
            "answers 50, and at least 51",
        ),
        ("select name from users", 1, "answers user 0"),
        ("select null", 1, "answers a value of type Null"),
        ("select count(*) from orders", 1, "no such table"),
        ("delete from users returning 1", 1, "readonly"),
    ] {
        let message = ask(query, at_least).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
    assert_eq!(stage.names(), before);
    assert_eq!(std::fs::read(stage.live("prod.db")).unwrap(), live);
}

#[test]
fn a_query_without_an_end_is_cut_off() {
    let mut stage = with_users(50);
    let path = stage.live("prod.db");
    let backup = stage.taken();
    stage.change(json!({"sqlite": path, "timeout": "1s"}));
    let wanted = Drill {
        schedule: None,
        query: Some("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n".to_owned()),
        at_least: 1,
    };
    let began = std::time::Instant::now();
    let error = stage
        .with(async |work| drill(work, &backup, &wanted).await)
        .unwrap_err();
    assert!(matches!(error, BackupError::TimedOut { .. }), "{error}");
    assert!(began.elapsed() < std::time::Duration::from_secs(5));
    assert_eq!(stage.names().len(), 2);
}
