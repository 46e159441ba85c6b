//! Keeps what was read of the stacks' past until something is written, by whomever.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use super::{Record, RecordError};
use crate::desired::StackName;
use crate::plan::History;

/// Pasts that were read, and when.
#[derive(Default)]
pub(super) struct Remembered {
    at: Stamp,
    pasts: BTreeMap<StackName, Past>,
}

/// What was written before: by others, and by this process.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Stamp {
    /// Changes when another connection has written (`PRAGMA data_version`).
    others: i64,
    /// Rows that this connection has written so far.
    own: u64,
}

#[derive(Clone)]
struct Past {
    history: Arc<History>,
    is_open: bool,
}

impl Record {
    /// Returns what planning knows of a stack's past.
    ///
    /// # Errors
    /// It can't be read.
    pub fn history(&self, stack: &StackName) -> Result<Arc<History>, RecordError> {
        Ok(self.past(stack)?.history)
    }

    /// Returns whether an attempt of a stack has not ended.
    pub(super) fn is_open(&self, stack: &StackName) -> Result<bool, RecordError> {
        Ok(self.past(stack)?.is_open)
    }

    fn past(&self, stack: &StackName) -> Result<Past, RecordError> {
        // Taken before the past is read: what is written meanwhile changes it once more.
        let now = self.stamp()?;
        let remembered = || {
            let remembered = self.remembered.lock();
            remembered.unwrap_or_else(PoisonError::into_inner)
        };
        let known = remembered();
        if let Some(past) = known.pasts.get(stack).filter(|_| known.at == now) {
            return Ok(past.clone());
        }
        drop(known);
        let (history, is_open) = self.read_past(stack)?;
        let history = Arc::new(history);
        let past = Past { history, is_open };
        let mut known = remembered();
        if known.at != now {
            known.pasts.clear();
            known.at = now;
        }
        known.pasts.insert(stack.clone(), past.clone());
        Ok(past)
    }

    fn stamp(&self) -> Result<Stamp, RecordError> {
        let connection = self.lock();
        let ask = || -> rusqlite::Result<i64> {
            let mut asked = connection.prepare_cached("PRAGMA data_version")?;
            asked.query_row([], |row| row.get(0))
        };
        Ok(Stamp {
            others: ask().map_err(self.failed("see whether the journal was written"))?,
            own: connection.total_changes(),
        })
    }
}
