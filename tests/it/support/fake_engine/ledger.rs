//! A service with data: rows in a real `SQLite` file, written by its container whenever somebody
//! does something on the host, and migrated by one-off containers.
//!
//! Code of version 1 works with data of version 1 only, and code of version 2 with data of version
//! 2; a migration that stops half-way leaves data that neither works with.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

/// What a one-off container does to a database when its process ends.
#[derive(Clone, Debug)]
pub(crate) struct Work {
    pub(crate) db: PathBuf,
    /// A statement that changes it, or a query whose first value is printed.
    pub(crate) sql: String,
    pub(crate) is_query: bool,
}

impl Work {
    /// Does it; the error is what the program prints before it ends with 1.
    pub(super) fn run(&self) -> Result<String, String> {
        let said = |error: rusqlite::Error| error.to_string();
        let db = Connection::open(&self.db).map_err(said)?;
        if self.is_query {
            let value = db.query_row(&self.sql, [], |row| row.get::<_, rusqlite::types::Value>(0));
            return Ok(format!("{:?}\n", value.map_err(said)?));
        }
        db.execute_batch(&self.sql).map_err(said)?;
        Ok(String::new())
    }
}

/// The data of the service `app`, and what visitors were told of it.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    pub(crate) db: PathBuf,
    /// While this file is there, visitors are not let in.
    pub(crate) flag: PathBuf,
    /// Whether the code before works with migrated data.
    pub(crate) compatible: bool,
    /// Rows that visitors were told are kept.
    pub(crate) told: Vec<i64>,
    /// Code that ran on data that it does not work with, and other wrongs.
    pub(crate) wrongs: Vec<String>,
    next: i64,
}

/// Brings data of version 1 to version 2.
pub(crate) const MIGRATE: &str =
    "BEGIN; CREATE TABLE IF NOT EXISTS extra (x); PRAGMA user_version = 2; COMMIT";
/// The same, killed in the middle.
pub(crate) const HALF: &str = "CREATE TABLE IF NOT EXISTS extra (x)";

impl Ledger {
    /// Makes data of version 1 with some rows.
    pub(crate) fn new(db: &Path, flag: &Path) -> Self {
        let opened = Connection::open(db).unwrap();
        opened
            .execute_batch(
                "PRAGMA synchronous = off; CREATE TABLE entries (id INTEGER PRIMARY KEY);
                 INSERT INTO entries VALUES (1), (2), (3); PRAGMA user_version = 1",
            )
            .unwrap();
        Self {
            db: db.to_owned(),
            flag: flag.to_owned(),
            compatible: false,
            told: vec![1, 2, 3],
            wrongs: Vec::new(),
            next: 4,
        }
    }

    /// Returns 1 or 2, and 0 for data in the middle.
    pub(crate) fn version(&self) -> i64 {
        let db = Connection::open(&self.db).unwrap();
        let version: i64 = db
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap();
        let extra = db.table_exists(None, "extra").unwrap();
        match (version, extra) {
            (1, false) => 1,
            (2, true) => 2,
            _ => 0,
        }
    }

    /// Returns the rows that visitors were told are kept and are not there.
    pub(crate) fn lost(&self) -> Vec<i64> {
        let db = Connection::open(&self.db).unwrap();
        let mut query = db.prepare("SELECT id FROM entries").unwrap();
        let there: Vec<i64> = query
            .query_map([], |row| row.get(0))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        let lost = self.told.iter().filter(|id| !there.contains(id));
        lost.copied().collect()
    }

    /// Writes a row by a container of this version of the code that runs.
    pub(super) fn write(&mut self, code: i64, what: &str) {
        let data = self.version();
        let fits = data == code || (self.compatible && data == 2 && code == 1);
        if !fits {
            self.wrongs
                .push(format!("code {code} runs on data {data} after {what}"));
        }
        let db = Connection::open(&self.db).unwrap();
        db.busy_timeout(std::time::Duration::from_secs(5)).unwrap();
        db.execute_batch("PRAGMA synchronous = off").unwrap();
        db.execute("INSERT INTO entries VALUES (?1)", [self.next])
            .unwrap();
        if !self.flag.exists() {
            self.told.push(self.next);
        }
        self.next += 1;
    }
}
