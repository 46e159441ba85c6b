//! Why a backup can't be taken, verified, restored or drilled.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::desired::ServiceName;
use crate::engine::EngineError;

/// Why a backup can't be taken, verified, restored or drilled.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A file or directory can't be used.
    #[error("failed to {doing} {}: {source}", path.display())]
    Io {
        /// What was being attempted.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The directory for backups is not there, and neither is the one above it.
    #[error(
        "the directory {} for backups is missing, and so is the one above it\n  hint: mount the \
         disk that it lies on, or make the directory", .0.display()
    )]
    NoDirectory(PathBuf),
    /// What is to be backed up is not there.
    #[error(
        "{} is to be backed up and is missing\n  hint: check the path, and that the disk that it \
         lies on is mounted", .0.display()
    )]
    NoSource(PathBuf),
    /// The disk has too little room.
    #[error(
        "{} has {free} bytes free and the backup needs about {needed}\n  hint: free disk space, or \
         keep fewer backups", dir.display()
    )]
    NoSpace {
        /// Where it would be written.
        dir: PathBuf,
        /// About so many bytes.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// A database can't be read or written.
    #[error("failed to {doing} {}: {cause}", path.display())]
    Database {
        /// What was being attempted.
        doing: &'static str,
        /// Its file.
        path: PathBuf,
        /// What the library says.
        cause: String,
    },
    /// A database is locked by somebody else for too long.
    #[error(
        "failed to {doing} {}: somebody else has had it locked for {} s\n  hint: find the program \
         that holds a transaction open, and end it", path.display(), waited.as_secs()
    )]
    Busy {
        /// What was being attempted.
        doing: &'static str,
        /// Its file.
        path: PathBuf,
        /// How long we tried.
        waited: Duration,
    },
    /// A backup is not what it should be: damaged, cut off, or not ours to take apart.
    #[error("the backup {file} is not sound: {what}")]
    Unsound {
        /// Name of its file.
        file: String,
        /// What is wrong.
        what: String,
    },
    /// A backup holds less than it must.
    #[error("the backup holds too little: {what}\n  hint: {hint}")]
    TooLittle {
        /// What is missing.
        what: String,
        /// What to do.
        hint: String,
    },
    /// What is to be backed up can't be as it is.
    #[error("{} can't be backed up: {what}", path.display())]
    Source {
        /// Which file.
        path: PathBuf,
        /// Why.
        what: String,
    },
    /// It took longer than the manifest allows.
    #[error("failed to {doing} within {} s\n  hint: raise timeout if it is only slow", limit.as_secs())]
    TimedOut {
        /// What was being attempted.
        doing: &'static str,
        /// The time it had.
        limit: Duration,
    },
    /// The service whose container has the tools does not run.
    #[error("no container of {0} runs, and the tools for this backup are in it\n  hint: start it")]
    NoContainer(ServiceName),
    /// A program in a container failed.
    #[error("{program} in the container of {service} ended with exit code {code}: {said}")]
    Program {
        /// Which program.
        program: String,
        /// Which service.
        service: ServiceName,
        /// Its exit code.
        code: i64,
        /// The last of what it wrote to its standard error.
        said: String,
    },
    /// A connection string can't be read.
    #[error("the connection string in {} can't be used: {what}", path.display())]
    Url {
        /// The file that it is in.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// The database that answered is not the one that was asked for.
    #[error(
        "database {asked} was asked for and {found} answered\n  hint: check the manifest's backups"
    )]
    WrongDatabase {
        /// Asked for.
        asked: String,
        /// That answered.
        found: String,
    },
    /// What was restored is not what was backed up.
    #[error("what was restored differs from the backup {file}: {what}")]
    Differs {
        /// Name of its file.
        file: String,
        /// In what.
        what: String,
    },
    /// A backup of this kind can't be restored by us.
    #[error("{what}\n  hint: {hint}")]
    NotPossible {
        /// What is not possible.
        what: String,
        /// What to do.
        hint: String,
    },
    /// A drill's query answered less than it must.
    #[error(
        "the drill of {file} failed: \"{query}\" answers {answer}, and at least {at_least} is asked for"
    )]
    DrillFailed {
        /// Name of its file.
        file: String,
        /// The query.
        query: String,
        /// Its answer.
        answer: String,
        /// The least number.
        at_least: i64,
    },
    /// The engine refuses.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// A thread of ours broke.
    #[error("failed to {0}: the thread that did it broke off")]
    Broken(&'static str),
}

impl BackupError {
    /// Returns what the engine said, if it was the engine.
    pub fn engine(&self) -> Option<&EngineError> {
        if let Self::Engine(error) = self {
            Some(error)
        } else {
            None
        }
    }
}

/// Returns what turns an error of the system into one of ours.
pub(super) fn io(doing: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> BackupError {
    let path = path.to_owned();
    move |source| BackupError::Io {
        doing,
        path,
        source,
    }
}
