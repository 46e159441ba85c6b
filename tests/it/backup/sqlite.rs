//! Databases of `SQLite`: live ones, locked ones, and those that are none.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use moored::backup::{BackupError, Content, Origin, take};
use rusqlite::Connection;
use serde_json::json;

use super::{SmallDisk, Stage};
use crate::support::put;

/// A database `prod.db` with `rows` users.
pub(super) fn with_users(rows: u32) -> Stage {
    let stage = Stage::new(|live| json!({"sqlite": live.join("prod.db")}));
    let live = Connection::open(stage.live("prod.db")).unwrap();
    live.execute_batch(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT); CREATE TABLE \"we\"\"ird\" (a);",
    )
    .unwrap();
    add_users(&live, rows);
    stage
}

pub(super) fn add_users(live: &Connection, rows: u32) {
    live.execute_batch("BEGIN").unwrap();
    for n in 0..rows {
        live.execute(
            "INSERT INTO users (name) VALUES (?1)",
            [format!("user {n}")],
        )
        .unwrap();
    }
    live.execute_batch("COMMIT").unwrap();
}

pub(super) fn users(path: &Path) -> i64 {
    let opened = Connection::open(path).unwrap();
    opened
        .query_row("SELECT count(*) FROM users", [], |row| row.get(0))
        .unwrap()
}

#[test]
fn a_backup_has_a_name_for_people_and_its_manifest_beside_it() {
    let stage = with_users(5);
    let origin = Origin {
        revision: Some("a".repeat(40).parse().unwrap()),
        release: Some("7".to_owned()),
        attempt: Some(8),
        schema: json!({"migrations": ["one", 2]}),
        before_restore_of: None,
    };
    let one = stage.with(async |work| take(work, &origin).await).unwrap();
    let two = stage.taken().manifest;
    assert_eq!(one.file, "prod_20260211_140302.db");
    assert_eq!(two.file, "prod_20260211_140302_2.db");
    assert_eq!((one.sequence, two.sequence), (1, 2));
    let expected = [&one.file, &two.file].map(|file| [file.clone(), format!("{file}.json")]);
    let mut expected = expected.concat();
    expected.sort();
    assert_eq!(stage.names(), expected);
    for name in stage.names() {
        let mode = stage
            .to()
            .join(name)
            .metadata()
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    assert_eq!(one.origin, origin);
    assert_eq!(one.content.rows().unwrap()["users"], 5);
    assert_eq!(one.content.rows().unwrap()["we\"ird"], 0);
    assert!(one.tools.contains_key("sqlite"));
    let text = std::fs::read_to_string(stage.to().join(&one.file).with_added_extension("json"));
    let text: serde_json::Value = serde_json::from_str(&text.unwrap()).unwrap();
    assert_eq!(text["kind"], "sqlite");
    assert_eq!(text["schema"]["migrations"][1], 2);
    let told = stage.told.lock().unwrap();
    let last = told.last().unwrap();
    assert_eq!(last.total, Some(last.done));
}

/// Moves values between two tables in transactions, so that only a consistent copy adds up to 0.
struct Writer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<u32>>,
}

impl Writer {
    fn start(path: &Path, journal_mode: &str) -> Self {
        let live = Connection::open(path).unwrap();
        live.busy_timeout(Duration::from_secs(10)).unwrap();
        live.pragma_update(None, "journal_mode", journal_mode)
            .unwrap();
        live.execute_batch(
            "CREATE TABLE plus (v INTEGER, pad BLOB); CREATE TABLE minus (v INTEGER);",
        )
        .unwrap();
        live.execute_batch(
            "INSERT INTO plus SELECT 0, randomblob(900) FROM
               (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000)
                SELECT i FROM n)",
        )
        .unwrap();
        let stop = Arc::<AtomicBool>::default();
        let stopped = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            let mut written = 0;
            while !stopped.load(Ordering::Relaxed) {
                written += 1;
                let n = written % 20_000 + 1;
                live.execute_batch(&format!(
                    "BEGIN IMMEDIATE; UPDATE plus SET v = v + {n}, pad = randomblob(900) WHERE rowid = {n};
                     INSERT INTO minus VALUES ({n}); COMMIT;"
                ))
                .unwrap();
            }
            written
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }

    fn stop(mut self) -> u32 {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

fn taken_from_a_live_database(journal_mode: &str) {
    let mut stage = with_users(5);
    let path = stage.live("prod.db");
    let writer = Writer::start(&path, journal_mode);
    let mut sizes = Vec::new();
    for _ in 0..3 {
        stage.later(1);
        let backup = stage.taken();
        let copy = Connection::open(&backup.path).unwrap();
        let sum: i64 = copy
            .query_row(
                "SELECT (SELECT sum(v) FROM plus) - (SELECT coalesce(sum(v), 0) FROM minus)",
                [],
                |row| row.get(0),
            )
            .unwrap();
        assert_eq!(sum, 0);
        let mode: String = copy
            .pragma_query_value(None, "journal_mode", |row| row.get(0))
            .unwrap();
        assert_eq!(mode, "delete");
        let Content::Sqlite {
            rows,
            journal_mode: live,
            ..
        } = backup.manifest.content
        else {
            panic!("another kind");
        };
        assert_eq!(live, journal_mode);
        sizes.push(rows["minus"]);
    }
    assert!(writer.stop() > 10, "nobody wrote");
    assert!(
        sizes.is_sorted() && sizes.first() < sizes.last(),
        "{sizes:?}"
    );
    assert_eq!(stage.names().len(), 6, "{:?}", stage.names());
}

#[test]
fn a_database_in_wal_mode_is_taken_while_somebody_writes() {
    taken_from_a_live_database("wal");
}

#[test]
fn a_database_with_a_rollback_journal_is_taken_while_somebody_writes() {
    taken_from_a_live_database("delete");
}

#[test]
fn what_a_killed_writer_left_is_rolled_back_first() {
    let stage = with_users(5);
    let original = stage.dir.path().join("original.db");
    std::fs::rename(stage.live("prod.db"), &original).unwrap();
    let writer = Connection::open(&original).unwrap();
    // Too little room for the transaction in memory: half of it is in the file already.
    writer
        .execute_batch(
            "PRAGMA cache_size = 5; BEGIN; INSERT INTO users (name) SELECT hex(randomblob(500)) FROM
             (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) SELECT i FROM n);
             DELETE FROM users WHERE id < 4;",
        )
        .unwrap();
    std::fs::copy(&original, stage.live("prod.db")).unwrap();
    let journal = original.with_file_name("original.db-journal");
    assert!(journal.metadata().unwrap().len() > 512);
    std::fs::copy(&journal, stage.live("prod.db-journal")).unwrap();
    assert_eq!(stage.taken().manifest.content.rows().unwrap()["users"], 5);
}

#[test]
fn a_database_that_is_locked_for_ever_fails_in_time() {
    let mut stage = with_users(5);
    let path = stage.live("prod.db");
    stage.change(json!({"sqlite": path, "timeout": "1s"}));
    let locker = Connection::open(&path).unwrap();
    locker.execute_batch("BEGIN EXCLUSIVE").unwrap();
    let began = Instant::now();
    let error = stage.take().unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(matches!(error, BackupError::Busy { .. }), "{error}");
    assert!(stage.names().is_empty());
    locker.execute_batch("COMMIT").unwrap();
    stage.taken();
}

#[test]
fn a_database_with_nothing_in_it_is_no_backup() {
    let stage = Stage::new(|live| json!({"sqlite": live.join("prod.db")}));
    let path = stage.live("prod.db");
    let refused = |expected: &str| {
        let message = stage.take().unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
        assert!(stage.names().is_empty());
    };
    refused("is to be backed up and is missing");
    assert!(!path.exists(), "it was made");
    put(&path, "");
    refused("0 tables, and at least 1 are asked for");
    std::fs::remove_file(&path).unwrap();
    let made = Connection::open(&path).unwrap();
    made.execute_batch("CREATE TABLE a (b); DROP TABLE a")
        .unwrap();
    refused("0 tables, and at least 1 are asked for");
    drop(made);
    put(
        &path,
        "certainly no database, and long enough to be one in length at least",
    );
    refused("not a database");
    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    refused("not a file");
}

#[test]
fn a_damaged_database_is_no_backup() {
    let stage = with_users(5000);
    let path = stage.live("prod.db");
    let mut bytes = std::fs::read(&path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle..middle + 3000].fill(0xAA);
    put(&path, bytes);
    let error = stage.take().unwrap_err();
    assert!(matches!(error, BackupError::Unsound { .. }), "{error}");
    assert!(stage.names().is_empty());
}

#[test]
fn floors_are_asked_for() {
    let mut stage = with_users(5);
    let path = stage.live("prod.db");
    for (floors, expected) in [
        (json!({"tables": 3}), "2 tables, and at least 3"),
        (
            json!({"rows": {"users": 6}}),
            "table users has 5 rows, and at least 6",
        ),
        (json!({"rows": {"orders": 0}}), "there is no table orders"),
    ] {
        stage.change(json!({"sqlite": path, "floors": floors}));
        let message = stage.take().unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }
    stage.change(json!({"sqlite": path, "floors": {"tables": 2, "rows": {"users": 5}}}));
    stage.taken();
}

#[test]
fn a_backup_much_smaller_than_the_one_before_is_refused() {
    let mut stage = with_users(100);
    let path = stage.live("prod.db");
    stage.taken();
    let live = Connection::open(&path).unwrap();
    live.execute("DELETE FROM users WHERE id > 49", []).unwrap();
    let message = stage.take().unwrap_err().to_string();
    // The file is as long as before: its pages are only free.
    assert!(
        message.contains("49 rows in all, and prod_20260211_140302.db had 100"),
        "{message}"
    );
    stage.change(json!({"sqlite": path, "floors": {"shrink": "51%"}}));
    stage.taken();
    add_users(&live, 5000);
    live.execute_batch("UPDATE users SET name = hex(randomblob(200))")
        .unwrap();
    stage.change(json!({"sqlite": path}));
    stage.taken();
    live.execute_batch("UPDATE users SET name = ''; VACUUM")
        .unwrap();
    let message = stage.take().unwrap_err().to_string();
    assert!(message.contains(" bytes, and prod_"), "{message}");
}

#[test]
fn lost_data_is_not_in_the_way_of_a_restore_nor_is_what_was_lost_afterwards() {
    let stage = with_users(10);
    let path = stage.live("prod.db");
    let old = stage.taken().manifest.file;
    let live = Connection::open(&path).unwrap();
    add_users(&live, 90);
    stage.taken();
    live.execute("DELETE FROM users", []).unwrap();
    assert!(stage.take().is_err());
    let origin = Origin {
        before_restore_of: Some(old),
        ..Origin::default()
    };
    let safety = stage.with(async |work| take(work, &origin).await).unwrap();
    assert_eq!(safety.origin, origin);
    // What is there now is compared with what was restored, not with what was there before.
    assert!(stage.take().is_err());
    add_users(&live, 9);
    stage.taken();
}

#[test]
fn a_disk_without_room_is_said_before_anything_is_written() {
    let stage = with_users(50_000);
    let Some(_disk) = SmallDisk::at(&stage.to(), 1_500_000) else {
        return;
    };
    let error = stage.take().unwrap_err();
    assert!(matches!(error, BackupError::NoSpace { .. }), "{error}");
    assert!(stage.names().is_empty());
}

#[test]
fn a_disk_that_is_not_mounted_is_not_replaced_by_a_directory() {
    let mut stage = with_users(5);
    let to = stage.dir.path().join("mnt/backups/db");
    stage.backup.to.clone_from(&to);
    let error = stage.take().unwrap_err();
    assert!(matches!(error, BackupError::NoDirectory(_)), "{error}");
    assert!(!stage.dir.path().join("mnt").exists());
    std::fs::create_dir_all(to.parent().unwrap()).unwrap();
    stage.take().unwrap();
    assert_eq!(to.metadata().unwrap().permissions().mode() & 0o777, 0o700);
}
