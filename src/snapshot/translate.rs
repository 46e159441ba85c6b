//! Tells digests that were made with the key of the host in the key of snapshots.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::SnapshotError;

/// Digests in the key of the host, and what they are in that of snapshots.
pub(super) struct Table(BTreeMap<String, String>);

impl Table {
    /// Makes a table of the digests of the same things in both keys.
    pub(super) fn new(
        of_host: &BTreeMap<String, String>,
        of_snapshot: &BTreeMap<String, String>,
    ) -> Self {
        let both = of_host.iter().filter_map(|(name, before)| {
            let after = of_snapshot.get(name)?;
            Some((before.clone(), after.clone()))
        });
        Self(both.collect())
    }

    /// Returns a value with every digest told anew that is known. One that is not is of something
    /// that Git does not say any more: it stays, and is equal to nothing.
    ///
    /// # Errors
    /// It can't be written down.
    pub(super) fn translated<T: Serialize + DeserializeOwned>(
        &self,
        value: &T,
    ) -> Result<T, SnapshotError> {
        let mut json = serde_json::to_value(value).map_err(SnapshotError::Unwritable)?;
        self.translate(&mut json);
        serde_json::from_value(json).map_err(SnapshotError::Unwritable)
    }

    fn translate(&self, value: &mut Value) {
        match value {
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
            Value::String(text) => {
                if let Some(known) = self.0.get(text.as_str()) {
                    text.clone_from(known);
                }
            }
            Value::Array(values) => values.iter_mut().for_each(|one| self.translate(one)),
            Value::Object(map) => map.values_mut().for_each(|one| self.translate(one)),
        }
    }
}
