//! Keeps which containers of Docker Compose are ours by now: a label can't be put on a container
//! that is there, and would prove nothing.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::params;

use super::{Record, RecordError};
use crate::desired::{ServiceName, StackName};
use crate::plan::ContainerRef;

impl Record {
    /// Records containers as ours; durable when it returns. Repeatable.
    ///
    /// # Errors
    /// The database refuses.
    pub fn adopt(
        &self,
        stack: &StackName,
        attempt: u64,
        containers: &[(ServiceName, ContainerRef)],
        now: Timestamp,
    ) -> Result<(), RecordError> {
        let mut connection = self.lock();
        let mut write = || -> rusqlite::Result<()> {
            let transaction = connection.transaction()?;
            for (service, container) in containers {
                transaction.execute(
                    "INSERT OR IGNORE INTO adopted (stack, container, name, service, attempt, at)
                     VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                    params![
                        stack.as_str(),
                        container.id,
                        container.name,
                        service.as_str(),
                        attempt,
                        now.as_millisecond(),
                    ],
                )?;
            }
            transaction.commit()
        };
        let written = write();
        drop(connection);
        written.map_err(self.failed("record adopted containers"))
    }

    /// Returns the ids of a stack's adopted containers; some of them may have gone.
    ///
    /// # Errors
    /// They can't be read.
    pub fn adopted(&self, stack: &StackName) -> Result<BTreeSet<String>, RecordError> {
        let read = || -> rusqlite::Result<BTreeSet<String>> {
            self.lock()
                .prepare_cached("SELECT container FROM adopted WHERE stack = ?1")?
                .query_map(params![stack.as_str()], |row| row.get(0))?
                .collect()
        };
        read().map_err(self.failed("read the adopted containers"))
    }
}
