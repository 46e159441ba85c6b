//! Writes the journal of one attempt.

use jiff::Timestamp;

use super::{Record, RecordError, schema};
use crate::desired::StackName;
use crate::journal::{self, Entry, Status};

/// The journal of one attempt, open for writing.
pub struct Journal {
    pub(super) record: Record,
    pub(super) stack: StackName,
    pub(super) attempt: u64,
    pub(super) status: Status,
}

impl Journal {
    /// Adds an entry; durable when it returns.
    ///
    /// # Errors
    /// The entry can't follow, or the database refuses. The caller must then not have the effect.
    pub fn append(&mut self, entry: &Entry, now: Timestamp) -> Result<(), RecordError> {
        let (record, attempt) = (&self.record, self.attempt);
        let next =
            journal::next(self.status.clone(), entry).map_err(|source| RecordError::Illegal {
                attempt,
                path: record.path.clone(),
                source,
            })?;
        schema::append(&record.lock(), (&self.stack, attempt), entry, now)
            .map_err(record.failed("write an entry"))?;
        self.status = next;
        Ok(())
    }

    /// Returns the number of the attempt.
    pub fn attempt(&self) -> u64 {
        self.attempt
    }

    /// Returns where the attempt is.
    pub fn status(&self) -> &Status {
        &self.status
    }
}
