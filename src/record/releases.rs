//! Reads releases back, to choose one to go back to.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::{Record, RecordError, history};
use crate::desired::StackName;
use crate::plan::Release;

/// A release, and what people know it by.
#[derive(Clone, Debug)]
pub struct Released {
    /// What was put in place.
    pub release: Release,
    /// The commit's subject.
    pub subject: String,
    /// The commit's author.
    pub author: String,
    /// When it was recorded.
    pub at: Timestamp,
}

impl Record {
    /// Returns the last releases of a stack, newest first, at most `limit`.
    ///
    /// # Errors
    /// They can't be read.
    pub fn releases(&self, stack: &StackName, limit: usize) -> Result<Vec<Released>, RecordError> {
        type Row = (u64, String, String, String, i64);
        let connection = self.lock();
        let read = || -> rusqlite::Result<Vec<Row>> {
            connection
                .prepare_cached(
                    "SELECT r.attempt, r.release, a.subject, a.author, r.released_at
                     FROM releases r JOIN attempts a ON a.stack = r.stack AND a.attempt = r.attempt
                     WHERE r.stack = ?1 ORDER BY r.attempt DESC LIMIT ?2",
                )?
                .query_map(params![stack.as_str(), limit], |row| {
                    Ok((
                        row.get(0)?,
                        row.get(1)?,
                        row.get(2)?,
                        row.get(3)?,
                        row.get(4)?,
                    ))
                })?
                .collect()
        };
        let rows = read().map_err(self.failed("read the releases"))?;
        rows.into_iter()
            .map(|(attempt, release, subject, author, at)| {
                Ok(Released {
                    release: self.stored(attempt, &release)?,
                    subject,
                    author,
                    at: Timestamp::from_millisecond(at).unwrap_or(Timestamp::UNIX_EPOCH),
                })
            })
            .collect()
    }

    /// Returns the release that an attempt became; `None` when it became none.
    ///
    /// # Errors
    /// It can't be read.
    pub fn release(&self, stack: &StackName, attempt: u64) -> Result<Option<Release>, RecordError> {
        self.stored_release(stack, Some(attempt))
    }

    /// Records that a backup was proved by a drill; durable when it returns.
    ///
    /// # Errors
    /// The database refuses.
    pub fn drilled(
        &self,
        stack: &StackName,
        backup: &str,
        at: Timestamp,
    ) -> Result<(), RecordError> {
        let row = params![stack.as_str(), backup, at.as_millisecond()];
        self.lock()
            .execute("INSERT OR REPLACE INTO drills VALUES (?1, ?2, ?3)", row)
            .map_err(self.failed("record a drill"))?;
        Ok(())
    }

    /// Returns when a backup was proved by a drill last; `None` = never.
    ///
    /// # Errors
    /// It can't be read.
    pub fn last_drill(
        &self,
        stack: &StackName,
        backup: &str,
    ) -> Result<Option<Timestamp>, RecordError> {
        let at: Option<i64> = self
            .lock()
            .query_row(
                "SELECT at FROM drills WHERE stack = ?1 AND backup = ?2",
                params![stack.as_str(), backup],
                |row| row.get(0),
            )
            .optional()
            .map_err(self.failed("read the last drill"))?;
        Ok(at.map(history::time))
    }
}
