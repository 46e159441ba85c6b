//! Why maintenance could not be switched or proved.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::Wanted;

/// Why maintenance could not be switched or proved.
#[derive(Debug, thiserror::Error)]
pub enum MaintenanceError {
    /// The flag can't be looked at.
    #[error("failed to look at the maintenance flag {}: {source}", path.display())]
    Look {
        /// The flag.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// There is no directory for the flag.
    #[error(
        "there is no directory {} for the maintenance flag, and it can't be made: {source}; make \
         it, and mount it into the proxy",
        path.display()
    )]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The flag or the page can't be written.
    #[error("failed to write {}: {source}", path.display())]
    Write {
        /// Which of them.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The flag can't be removed.
    #[error("failed to remove the maintenance flag {}: {source}", path.display())]
    Remove {
        /// The flag.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Visitors do not see what they should.
    #[error(
        "{probe} does not show that maintenance is {wanted}: {seen} (asked for {})",
        humantime::format_duration(*within)
    )]
    NotProved {
        /// The address.
        probe: String,
        /// What it should show.
        wanted: Wanted,
        /// What was seen last.
        seen: String,
        /// How long it was asked.
        within: Duration,
    },
}
