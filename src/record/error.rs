//! Why something can't be recorded or read back.

use std::path::PathBuf;

use crate::journal::IllegalEntry;

/// Why something can't be recorded or read back.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The database refuses.
    #[error("failed to {doing} in {}: {source}", path.display())]
    Database {
        /// What was being attempted.
        doing: &'static str,
        /// The database.
        path: PathBuf,
        /// What the database says.
        source: rusqlite::Error,
    },
    /// The database was written by a newer version.
    #[error(
        "{} has format {found}, and this version of moored knows up to {known}\n  hint: use the \
         newer version, or another state_dir", path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The journal does not make sense.
    #[error("the journal of attempt {attempt} in {} is damaged: {source}", path.display())]
    Illegal {
        /// Which attempt.
        attempt: u64,
        /// The database.
        path: PathBuf,
        /// What can't be.
        source: IllegalEntry,
    },
    /// A value in the database can't be read.
    #[error("{what} of attempt {attempt} in {} can't be read: {source}", path.display())]
    Unreadable {
        /// What.
        what: &'static str,
        /// Which attempt.
        attempt: u64,
        /// The database.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}
