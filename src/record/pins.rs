//! Keeps which stacks are pinned: kept at a release of theirs, whatever Git says.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rusqlite::{Row, params};

use super::{Record, RecordError};
use crate::desired::StackName;
use crate::plan::{Pin, ReleaseId};

impl Record {
    /// Pins a stack, in place of an earlier pin; durable when it returns.
    ///
    /// # Errors
    /// The database refuses.
    pub fn set_pin(&self, stack: &StackName, pin: &Pin) -> Result<(), RecordError> {
        self.lock()
            .execute(
                "INSERT OR REPLACE INTO pins (stack, revision, release, since, by)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    stack.as_str(),
                    pin.release.revision.as_str(),
                    pin.release.attempt,
                    pin.since.as_millisecond(),
                    pin.by
                ],
            )
            .map(drop)
            .map_err(self.failed("pin a stack"))
    }

    /// Lifts a stack's pin; returns the one that there was.
    ///
    /// # Errors
    /// The database can't be read or refuses.
    pub fn lift_pin(&self, stack: &StackName) -> Result<Option<Pin>, RecordError> {
        let pin = self.pin(stack)?;
        self.lock()
            .execute("DELETE FROM pins WHERE stack = ?1", params![stack.as_str()])
            .map_err(self.failed("lift a pin"))?;
        Ok(pin)
    }

    /// Returns a stack's pin.
    ///
    /// # Errors
    /// It can't be read.
    pub fn pin(&self, stack: &StackName) -> Result<Option<Pin>, RecordError> {
        Ok(self.pins()?.remove(stack))
    }

    /// Returns every pin by its stack.
    ///
    /// # Errors
    /// They can't be read.
    pub fn pins(&self) -> Result<BTreeMap<StackName, Pin>, RecordError> {
        type Fields = (String, String, u64, i64, Option<String>);
        let fields = |row: &Row<'_>| -> rusqlite::Result<Fields> {
            Ok((
                row.get(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get(4)?,
            ))
        };
        let connection = self.lock();
        let read = || -> rusqlite::Result<Vec<Fields>> {
            connection
                .prepare_cached("SELECT stack, revision, release, since, by FROM pins")?
                .query_map([], fields)?
                .collect()
        };
        let rows = read().map_err(self.failed("read the pins"))?;
        let mut pins = BTreeMap::new();
        for (stack, revision, attempt, since, by) in rows {
            let revision = serde_json::from_value(revision.into())
                .map_err(self.unreadable("the commit of a pin", attempt))?;
            let pin = Pin {
                release: ReleaseId { attempt, revision },
                since: Timestamp::from_millisecond(since).unwrap_or(Timestamp::UNIX_EPOCH),
                by,
            };
            // Only valid names are ever written.
            pins.extend(StackName::try_from(stack).ok().map(|stack| (stack, pin)));
        }
        Ok(pins)
    }
}
