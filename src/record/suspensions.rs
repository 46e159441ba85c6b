//! Keeps which stacks a person at the host has suspended.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Row, params};

use super::history::time;
use super::{Record, RecordError};
use crate::desired::StackName;
use crate::gates::Suspension;

impl Record {
    /// Suspends a stack, in place of an earlier suspension; durable when it returns.
    ///
    /// # Errors
    /// The database refuses.
    pub fn suspend(&self, stack: &StackName, suspension: &Suspension) -> Result<(), RecordError> {
        let written = |at: Timestamp| at.as_millisecond();
        self.lock()
            .execute(
                "INSERT OR REPLACE INTO suspensions (stack, reason, until, since, by)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    stack.as_str(),
                    suspension.reason,
                    suspension.until.map(written),
                    suspension.since.map(written),
                    suspension.by
                ],
            )
            .map(drop)
            .map_err(self.failed("suspend a stack"))
    }

    /// Lifts a stack's suspension; returns the one that there was.
    ///
    /// # Errors
    /// The database can't be read or refuses.
    pub fn resume(&self, stack: &StackName) -> Result<Option<Suspension>, RecordError> {
        let suspension = self.suspension(stack)?;
        self.lock()
            .execute(
                "DELETE FROM suspensions WHERE stack = ?1",
                params![stack.as_str()],
            )
            .map_err(self.failed("lift a suspension"))?;
        Ok(suspension)
    }

    /// Returns a stack's suspension, whether or not it is over.
    ///
    /// # Errors
    /// It can't be read.
    pub fn suspension(&self, stack: &StackName) -> Result<Option<Suspension>, RecordError> {
        Ok(self.suspensions()?.remove(stack))
    }

    /// Returns every suspension by its stack.
    ///
    /// # Errors
    /// They can't be read.
    pub fn suspensions(&self) -> Result<BTreeMap<StackName, Suspension>, RecordError> {
        let fields = |row: &Row<'_>| -> rusqlite::Result<(String, Suspension)> {
            let (until, since): (Option<i64>, Option<i64>) = (row.get(2)?, row.get(3)?);
            let suspension = Suspension {
                reason: row.get(1)?,
                until: until.map(time),
                since: since.map(time),
                by: row.get(4)?,
            };
            Ok((row.get(0)?, suspension))
        };
        let connection = self.lock();
        let read = || -> rusqlite::Result<Vec<(String, Suspension)>> {
            connection
                .prepare_cached("SELECT stack, reason, until, since, by FROM suspensions")?
                .query_map([], fields)?
                .collect()
        };
        let rows = read()
            .map_err(self.failed("read the suspensions"))?
            .into_iter();
        // Only valid names are ever written.
        let named = rows.filter_map(|(stack, one)| Some((StackName::try_from(stack).ok()?, one)));
        Ok(named.collect())
    }
}
