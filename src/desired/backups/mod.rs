//! Backups of a manifest: what is backed up, where to, when, and how many are kept.

mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{Schedule, ServiceName};
use crate::files::{self, Mode};
use crate::permits::Touch;

/// Returns the digest of what a manifest says of backups: another one means that it says something
/// else. An update of this program may give the same content another.
pub fn digest(backups: &BTreeMap<BackupName, Backup>) -> String {
    files::digest(format!("{backups:?}").as_bytes(), Mode::Plain)
}

/// One backup. Format: `docs/manifest.md`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "read::RawBackup")]
pub struct Backup {
    /// What is backed up.
    pub source: Source,
    /// Directory of the host that it is written to.
    pub to: PathBuf,
    /// When it is taken by itself.
    pub schedule: Option<Schedule>,
    /// How many are kept.
    pub keep: Keep,
    /// Whether one is taken before every deploy.
    pub before_deploy: bool,
    /// What a backup must hold to count as one.
    pub floors: Floors,
    /// How long one may take, its verification included.
    pub timeout: Duration,
    /// How it is proved that it can be restored.
    pub drill: Option<Drill>,
}

/// What is backed up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// An `SQLite` database: a file of the host.
    Sqlite(PathBuf),
    /// A Postgres database, by the tools in the container of a service.
    Postgres(Postgres),
    /// Directories and files of the host, as one archive.
    Files(Vec<PathBuf>),
    /// What a command in the container of a service writes to its standard output.
    Command(Command),
}

/// A Postgres database, and the service whose container has the tools.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Postgres {
    /// The service.
    pub service: ServiceName,
    /// Which database.
    pub target: Target,
}

/// How a Postgres database is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The server in the container itself.
    Local {
        /// Name of the database.
        database: String,
        /// Who connects.
        user: String,
    },
    /// Wherever the connection string in this file of the host says; it is secret.
    UrlFile(PathBuf),
}

/// A command in the container of a service.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "read::RawCommand")]
pub struct Command {
    /// The service.
    pub service: ServiceName,
    /// Program and arguments; what it writes to its standard output is the backup.
    pub run: Vec<String>,
    /// Program and arguments that read a backup from their standard input; left out = it can't
    /// be restored by Moored.
    pub restore: Option<Vec<String>>,
}

/// How many backups are kept: one is kept when any of these says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "read::RawKeep")]
pub struct Keep {
    /// The newest so many; at least 1.
    pub last: u32,
    /// The newest of each of the newest so many days that have one.
    pub daily: u32,
    /// The same for weeks, which begin on Monday.
    pub weekly: u32,
    /// The same for months.
    pub monthly: u32,
}

impl Default for Keep {
    /// Returns a choice that reaches back half a year with about twenty backups.
    fn default() -> Self {
        Self {
            last: 3,
            daily: 7,
            weekly: 4,
            monthly: 6,
        }
    }
}

/// What a backup must hold to count as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Floors {
    /// The least number of tables.
    pub tables: u64,
    /// The least number of rows, by table; a table of another schema than `public` is written
    /// `schema.table`.
    pub rows: BTreeMap<String, u64>,
    /// By how many hundredths it may be smaller than the one before.
    pub shrink: u8,
}

/// How it is proved that a backup can be restored.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Drill {
    /// When it is done by itself.
    pub schedule: Option<Schedule>,
    /// A query whose first value is a whole number.
    pub query: Option<String>,
    /// The least number that it must answer; left out = 1.
    #[serde(default = "one")]
    pub at_least: i64,
}

fn one() -> i64 {
    1
}

/// Name of a backup: lower-case letters, digits, `-` and `_`, beginning with a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct BackupName(String);

/// It stands in file names beside a time and a random part.
const LONGEST_NAME: usize = 64;

impl BackupName {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BackupName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl TryFrom<String> for BackupName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let good = name.len() <= LONGEST_NAME
            && name.starts_with(letter)
            && name.chars().all(|c| letter(c) || "-_".contains(c));
        if good {
            return Ok(Self(name));
        }
        Err(format!(
            "\"{}\" is not a name of a backup: at most {LONGEST_NAME} lower-case letters, digits, \
             - and _, beginning with a letter or digit",
            name.escape_default()
        ))
    }
}

impl Backup {
    /// Returns the places of the host that it reads and writes, with the key of each and what is
    /// done there.
    pub fn host_places(&self) -> Vec<(&'static str, &Path, Touch)> {
        let url_file = match &self.source {
            Source::Postgres(postgres) => postgres.target.url_file(),
            Source::Sqlite(_) | Source::Files(_) | Source::Command(_) => None,
        };
        let key = self.source.kind().key();
        let data = self.source.paths().iter();
        let data = data.map(|path| (key, path.as_path(), Touch::BackUp));
        let url_file = url_file.map(|path| (key, path, Touch::Read));
        let to = ("to", self.to.as_path(), Touch::BackUp);
        data.chain(url_file).chain([to]).collect()
    }
}

impl Target {
    fn url_file(&self) -> Option<&Path> {
        match self {
            Self::UrlFile(path) => Some(path),
            Self::Local { .. } => None,
        }
    }
}

impl Source {
    /// Returns the service whose container is needed, if one is.
    pub fn service(&self) -> Option<&ServiceName> {
        match self {
            Self::Postgres(postgres) => Some(&postgres.service),
            Self::Command(command) => Some(&command.service),
            Self::Sqlite(_) | Self::Files(_) => None,
        }
    }

    /// Returns the files and directories of the host that it is, if it is any.
    pub fn paths(&self) -> &[PathBuf] {
        match self {
            Self::Sqlite(path) => std::slice::from_ref(path),
            Self::Files(paths) => paths,
            Self::Postgres(_) | Self::Command(_) => &[],
        }
    }

    /// Returns the word of the manifest for this kind of source.
    pub fn kind(&self) -> Kind {
        match self {
            Self::Sqlite(_) => Kind::Sqlite,
            Self::Postgres(_) => Kind::Postgres,
            Self::Files(_) => Kind::Files,
            Self::Command(_) => Kind::Command,
        }
    }
}

/// The kinds of what can be backed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "each is the variant of Source of its name")]
pub enum Kind {
    Sqlite,
    Postgres,
    Files,
    Command,
}

impl Kind {
    /// Returns its key in a manifest.
    pub fn key(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Files => "files",
            Self::Command => "command",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.key())
    }
}
