//! Keeps what registries said, so that they are not asked more often than Git wants it.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::params;

use super::schema::json;
use super::{Record, RecordError};
use crate::desired::StackName;
use crate::observe::Asked;
use crate::plan::History;

/// What the keys begin with under which it is kept.
const KEY: &str = "asked ";

impl Record {
    /// Returns the history of a stack, and what registries last said; nothing without a record, as
    /// before the first pass.
    ///
    /// # Errors
    /// It can't be read.
    pub fn remembered(
        record: Option<&Self>,
        stack: &StackName,
    ) -> Result<(Arc<History>, BTreeMap<String, Asked>), RecordError> {
        match record {
            Some(record) => Ok((record.history(stack)?, record.asked()?)),
            None => Ok((Arc::default(), BTreeMap::new())),
        }
    }

    /// Returns what registries said last, by image.
    ///
    /// # Errors
    /// It can't be read.
    pub fn asked(&self) -> Result<BTreeMap<String, Asked>, RecordError> {
        let read = || -> rusqlite::Result<Vec<(String, String)>> {
            self.lock()
                .prepare_cached("SELECT key, value FROM meta WHERE key LIKE ?1")?
                .query_map(params![format!("{KEY}%")], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?
                .collect()
        };
        let rows = read().map_err(self.failed("read what registries said"))?;
        Ok(rows
            .into_iter()
            .filter_map(|(key, value)| {
                // What can't be read is asked again.
                Some((
                    key.strip_prefix(KEY)?.to_owned(),
                    serde_json::from_str(&value).ok()?,
                ))
            })
            .collect())
    }

    /// Keeps what registries said.
    ///
    /// # Errors
    /// The database refuses.
    pub fn keep_asked(&self, asked: &BTreeMap<String, Asked>) -> Result<(), RecordError> {
        for (image, asked) in asked {
            self.lock()
                .execute(
                    "INSERT OR REPLACE INTO meta (key, value) VALUES (?1, ?2)",
                    params![format!("{KEY}{image}"), json(asked)],
                )
                .map_err(self.failed("keep what registries said"))?;
        }
        Ok(())
    }
}
