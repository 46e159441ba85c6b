//! A snapshot as it is printed.

use serde::Serialize;

use super::Report;
use crate::snapshot::Snapshot;

/// A snapshot: data, whoever reads it.
#[derive(Serialize)]
#[serde(transparent)]
pub struct SnapshotReport(pub Snapshot);

impl Report for SnapshotReport {
    fn text(&self) -> String {
        let json = serde_json::to_string_pretty(&self.0).unwrap_or_default();
        format!("{json}\n")
    }
}
