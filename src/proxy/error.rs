//! What can go wrong with the configuration of a proxy.

use std::path::PathBuf;
use std::time::Duration;

use crate::desired::proxy::ProxyKind;

/// Why a configuration could not be tested, loaded or proved.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// There is no such program.
    #[error(
        "{program} can't be started ({source}): install it on this host, or name the container \
         that the proxy runs in"
    )]
    NotInstalled {
        /// As it was called.
        program: String,
        /// What the system says.
        source: std::io::Error,
    },
    /// There is nobody to reload.
    #[error(
        "{kind} is not running ({complaint}): start it; Moored reloads a proxy and never starts one"
    )]
    NotRunning {
        /// Which program.
        kind: ProxyKind,
        /// What it says.
        complaint: String,
    },
    /// The proxy refuses the configuration.
    #[error("the configuration is invalid: {complaint}")]
    Invalid {
        /// What it says; see [`super::complaint`].
        complaint: String,
    },
    /// The marker was not answered.
    #[error(
        "{marker} did not answer \"{wanted}\" within {}: {seen}",
        humantime::format_duration(*.within)
    )]
    NotProved {
        /// Where it was asked for.
        marker: String,
        /// The marker of the configuration that should be loaded.
        wanted: String,
        /// What was seen last, and what that means.
        seen: String,
        /// How long it was asked for.
        within: Duration,
    },
    /// The configuration as the proxy shows it makes no sense.
    #[error("what {kind} shows of its configuration can't be read: {message}")]
    Dump {
        /// Which program.
        kind: ProxyKind,
        /// What is wrong with it.
        message: String,
    },
    /// A directory or file can't be copied to be tested.
    #[error("{path} can't be copied for the test ({source}); the proxy's own files are untouched", path = path.display())]
    Stage {
        /// What was read or made.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A directory is too large to be copied.
    #[error(
        "{path} has {what}: name the directory that holds only the configuration",
        path = path.display()
    )]
    StageTooLarge {
        /// The directory.
        path: PathBuf,
        /// Which limit it is over.
        what: &'static str,
    },
    /// A change leads through what is no directory.
    #[error(
        "{path} can't be put beside the proxy's other files: {reason}",
        path = path.display()
    )]
    StagePath {
        /// Where the change should be.
        path: PathBuf,
        /// What is in the way.
        reason: &'static str,
    },
    /// A directory of the host is missing.
    #[error(
        "{path} does not exist on this host: make it (`mkdir -p {path}`) and include it in the \
         proxy's main configuration",
        path = path.display()
    )]
    NoDirectory {
        /// The directory, or the file that a staged file should stand for.
        path: PathBuf,
    },
    /// The test may not put staged files over the live ones.
    #[error(
        "testing a configuration with the live files around it needs a view of the file system of \
         its own, which is refused ({message}): run Moored as root, or give it CAP_SYS_ADMIN"
    )]
    NoPrivilege {
        /// What the system says.
        message: String,
    },
    /// A staged path can't be put over the live one.
    #[error("{path} can't be covered for the test ({message})", path = path.display())]
    Cover {
        /// The live path.
        path: PathBuf,
        /// What the system says.
        message: String,
    },
    /// The child of our own program failed by itself.
    #[error("the program that runs the test failed: {message}")]
    Child {
        /// What it says.
        message: String,
    },
    /// A command wrote too much.
    #[error("`{command}` wrote more than {} MiB", limit / (1024 * 1024))]
    TooMuch {
        /// The command.
        command: String,
        /// Most bytes that are read.
        limit: usize,
    },
    /// A command did not end.
    #[error(
        "`{command}` did not end within {}, and was ended: look at what it waits for by running \
         it yourself",
        humantime::format_duration(*.within)
    )]
    Timeout {
        /// The command.
        command: String,
        /// Its limit.
        within: Duration,
    },
}

impl ProxyError {
    /// Returns whether a test that failed so may pass another time, with nothing changed: a disk
    /// is full, or the host is busy.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Stage { .. } | Self::Child { .. } | Self::Timeout { .. } => true,
            Self::NotInstalled { .. }
            | Self::NotRunning { .. }
            | Self::Invalid { .. }
            | Self::NotProved { .. }
            | Self::Dump { .. }
            | Self::StageTooLarge { .. }
            | Self::StagePath { .. }
            | Self::NoDirectory { .. }
            | Self::NoPrivilege { .. }
            | Self::Cover { .. }
            | Self::TooMuch { .. } => false,
        }
    }
}
