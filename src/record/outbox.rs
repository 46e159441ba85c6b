//! Keeps what somebody is told of: what is so, which attempts were told of, and what is to be sent.
//!
//! All of one pass is written in one transaction: whoever is told of something is told of it once,
//! also when the controller is killed in between.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{OptionalExtension, Row, params};

use super::history::time;
use super::{Record, RecordError};
use crate::desired::StackName;

/// What one pass changes of it.
#[derive(Debug, Default)]
pub struct Change {
    /// What is so now, or is so in another way than before, by scope and key.
    pub begun: Vec<(String, String, String)>,
    /// What is not so any more, by scope and key.
    pub over: Vec<(String, String)>,
    /// Up to which attempt it was told what came of it, by stack.
    pub told: BTreeMap<StackName, u64>,
    /// What is to be sent, by route.
    pub messages: Vec<(String, String)>,
}

/// A message that is to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    /// Its number, which no other message ever has.
    pub id: i64,
    /// The message, as it was given.
    pub message: String,
    /// When it was written.
    pub made_at: Timestamp,
    /// How often it was tried to send it.
    pub tries: u32,
    /// When that is tried next.
    pub due_at: Timestamp,
}

/// Messages that wait for one route at most: the oldest go first. A receiver that is away for so
/// many does not want them all.
const MOST_WAITING: u32 = 200;

/// Messages that are sent to one route at one time.
const AT_ONE_TIME: u32 = 20;

impl Change {
    /// Returns whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        let Self {
            begun,
            over,
            told,
            messages,
        } = self;
        begun.is_empty() && over.is_empty() && told.is_empty() && messages.is_empty()
    }
}

impl Record {
    /// Returns what is so, as it was told: scope, key, and what was given with them.
    ///
    /// # Errors
    /// It can't be read.
    pub fn conditions(&self) -> Result<Vec<(String, String, String)>, RecordError> {
        let connection = self.lock();
        let read = || -> rusqlite::Result<Vec<_>> {
            connection
                .prepare_cached("SELECT scope, key, condition FROM conditions")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                .collect()
        };
        read().map_err(self.failed("read what was told"))
    }

    /// Returns up to which attempt it was told what came of it, by stack.
    ///
    /// # Errors
    /// It can't be read.
    pub fn told(&self) -> Result<BTreeMap<StackName, u64>, RecordError> {
        let connection = self.lock();
        let read = || -> rusqlite::Result<Vec<(String, u64)>> {
            connection
                .prepare_cached("SELECT stack, attempt FROM told")?
                .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
                .collect()
        };
        let rows = read().map_err(self.failed("read what was told"))?;
        // Only valid names are ever written.
        let named = rows.into_iter();
        let named = named.filter_map(|(stack, last)| Some((stack.try_into().ok()?, last)));
        Ok(named.collect())
    }

    /// Writes what is so now and what is to be sent, all or nothing; durable when it returns.
    ///
    /// # Errors
    /// The database refuses.
    pub fn tell(&self, change: &Change, now: Timestamp) -> Result<(), RecordError> {
        let mut connection = self.lock();
        let mut write = || -> rusqlite::Result<()> {
            let transaction = connection.transaction()?;
            for (scope, key, condition) in &change.begun {
                transaction.execute(
                    "INSERT OR REPLACE INTO conditions VALUES (?1, ?2, ?3)",
                    params![scope, key, condition],
                )?;
            }
            for (scope, key) in &change.over {
                transaction.execute(
                    "DELETE FROM conditions WHERE scope = ?1 AND key = ?2",
                    params![scope, key],
                )?;
            }
            for (stack, attempt) in &change.told {
                transaction.execute(
                    "INSERT OR REPLACE INTO told VALUES (?1, ?2)",
                    params![stack.as_str(), attempt],
                )?;
            }
            for (route, message) in &change.messages {
                transaction.execute(
                    "INSERT INTO outbox (route, message, made_at, due_at) VALUES (?1, ?2, ?3, ?3)",
                    params![route, message, now.as_millisecond()],
                )?;
                transaction.execute(
                    "DELETE FROM outbox WHERE route = ?1 AND id NOT IN
                     (SELECT id FROM outbox WHERE route = ?1 ORDER BY id DESC LIMIT ?2)",
                    params![route, MOST_WAITING],
                )?;
            }
            transaction.commit()
        };
        let written = write();
        drop(connection);
        written.map_err(self.failed("write what is to be told"))
    }

    /// Returns the routes that messages wait for.
    ///
    /// # Errors
    /// They can't be read.
    pub fn routes_with_messages(&self) -> Result<Vec<String>, RecordError> {
        let connection = self.lock();
        let read = || -> rusqlite::Result<Vec<String>> {
            connection
                .prepare_cached("SELECT DISTINCT route FROM outbox ORDER BY route")?
                .query_map([], |row| row.get(0))?
                .collect()
        };
        read().map_err(self.failed("read what is to be sent"))
    }

    /// Returns the oldest messages that wait for a route, oldest first.
    ///
    /// # Errors
    /// They can't be read.
    pub fn waiting_for(&self, route: &str) -> Result<Vec<Waiting>, RecordError> {
        let fields = |row: &Row<'_>| -> rusqlite::Result<Waiting> {
            Ok(Waiting {
                id: row.get(0)?,
                message: row.get(1)?,
                made_at: time(row.get(2)?),
                tries: row.get(3)?,
                due_at: time(row.get(4)?),
            })
        };
        let connection = self.lock();
        let read = || -> rusqlite::Result<Vec<Waiting>> {
            connection
                .prepare_cached(
                    "SELECT id, message, made_at, tries, due_at FROM outbox
                     WHERE route = ?1 ORDER BY id LIMIT ?2",
                )?
                .query_map(params![route, AT_ONE_TIME], fields)?
                .collect()
        };
        read().map_err(self.failed("read what is to be sent"))
    }

    /// Returns when the next message is due; `None` = there is none.
    ///
    /// # Errors
    /// It can't be read.
    pub fn next_due(&self) -> Result<Option<Timestamp>, RecordError> {
        let connection = self.lock();
        // Those behind the first one of their route wait for that.
        let asked = "SELECT min(due_at) FROM outbox
                     WHERE id IN (SELECT min(id) FROM outbox GROUP BY route)";
        let read = || -> rusqlite::Result<Option<i64>> {
            let mut asked = connection.prepare_cached(asked)?;
            Ok(asked.query_row([], |row| row.get(0)).optional()?.flatten())
        };
        let due = read().map_err(self.failed("read what is to be sent"))?;
        Ok(due.map(time))
    }

    /// Takes a message out: it was sent, or is given up.
    ///
    /// # Errors
    /// The database refuses.
    pub fn take_out(&self, id: i64) -> Result<(), RecordError> {
        self.lock()
            .execute("DELETE FROM outbox WHERE id = ?1", [id])
            .map(drop)
            .map_err(self.failed("take a message out"))
    }

    /// Notes that a message could not be sent, and when it is tried next.
    ///
    /// # Errors
    /// The database refuses.
    pub fn put_off(&self, id: i64, due_at: Timestamp) -> Result<(), RecordError> {
        self.lock()
            .execute(
                "UPDATE outbox SET tries = tries + 1, due_at = ?2 WHERE id = ?1",
                params![id, due_at.as_millisecond()],
            )
            .map(drop)
            .map_err(self.failed("put a message off"))
    }
}
