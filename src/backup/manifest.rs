//! The record that lies beside every backup: what it is, and where it comes from.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::desired::StackName;
use crate::desired::backups::{BackupName, Kind};
use crate::source::Revision;

/// Version of the format; a newer one is not read.
pub(super) const FORMAT: u32 = 1;

/// What a backup is, and where it comes from; `<file>.json` beside it, mode 0600.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this format.
    pub format: u32,
    /// Id of the installation that took it.
    pub instance: String,
    /// Of which stack.
    pub stack: StackName,
    /// Which of its backups.
    pub name: BackupName,
    /// Counts up with every one that is taken: the order that no clock can change.
    pub sequence: u64,
    /// Name of the file in the same directory.
    pub file: String,
    /// SHA-256 of the file in hexadecimal.
    pub sha256: String,
    /// Length of the file in bytes.
    pub size: u64,
    /// What is in it.
    #[serde(flatten)]
    pub content: Content,
    /// Versions of the programs that made it.
    pub tools: BTreeMap<String, String>,
    /// When it was taken.
    pub taken_at: Timestamp,
    /// Of what the stack was when it was taken.
    #[serde(flatten)]
    pub origin: Origin,
}

/// What the stack was when a backup was taken; the caller says so and gets it back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Origin {
    /// The commit that ran.
    pub revision: Option<Revision>,
    /// The release that ran.
    pub release: Option<String>,
    /// The attempt that the backup was taken for.
    pub attempt: Option<u64>,
    /// What the caller knows of the schema; opaque here.
    #[serde(default)]
    pub schema: serde_json::Value,
    /// File of the backup that was about to be restored: this one guards what was there then,
    /// whatever that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_restore_of: Option<String>,
}

/// What is in a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Content {
    /// A database of `SQLite`.
    Sqlite {
        /// The file that it was.
        path: PathBuf,
        /// Rows by table.
        rows: BTreeMap<String, u64>,
        /// The journal mode of the database; the backup itself has `delete`.
        journal_mode: String,
        /// Whose file it was.
        owner: Owner,
    },
    /// A database of Postgres, in the custom format of `pg_dump`.
    Postgres {
        /// Its name.
        database: String,
        /// Rows by table; a table outside `public` with its schema.
        rows: BTreeMap<String, u64>,
    },
    /// Files, as tar in zstd.
    Files {
        /// What was backed up.
        paths: Vec<PathBuf>,
        /// Number of files, directories and links.
        entries: u64,
        /// Bytes of the files in it.
        bytes: u64,
        /// What was left out, and why; the first of them.
        left_out: Vec<String>,
    },
    /// What a command wrote.
    Command {},
}

/// Whose a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// User.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Permission bits.
    pub mode: u32,
}

impl Content {
    /// Returns which kind it is.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Sqlite { .. } => Kind::Sqlite,
            Self::Postgres { .. } => Kind::Postgres,
            Self::Files { .. } => Kind::Files,
            Self::Command {} => Kind::Command,
        }
    }

    /// Returns the rows by table, where it has tables.
    pub fn rows(&self) -> Option<&BTreeMap<String, u64>> {
        match self {
            Self::Sqlite { rows, .. } | Self::Postgres { rows, .. } => Some(rows),
            Self::Files { .. } | Self::Command {} => None,
        }
    }
}

impl Manifest {
    /// Returns the name of the manifest's own file.
    pub fn own_file(file: &str) -> String {
        format!("{file}.json")
    }
}
