//! The seam to files of the host, so that loading stays pure.

use std::path::Path;

use super::StackName;

/// Reads files of the host.
pub trait HostFiles {
    /// Returns the content of a file; `None` when nothing is there.
    ///
    /// # Errors
    /// Why it can't be read, as a sentence for people.
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, String>;

    /// Returns why a file may not be read for a stack, if it may not; the stack's own files of
    /// values are asked for before any of them is read.
    fn refuses(&self, _stack: &StackName, _path: &Path) -> Option<String> {
        None
    }

    /// Returns the file with the age keys of this host; `None` when the settings name none.
    fn age_identity(&self) -> Option<&Path> {
        None
    }

    /// Returns whether this is the host itself. Elsewhere, a file that is not there may be on the
    /// host all the same: what it says is not known, and nothing is wrong.
    fn is_the_host(&self) -> bool {
        true
    }

    /// Returns what stands for values that can't be seen from elsewhere: those of encrypted files,
    /// and of variables that a file may set which is on the host alone. `None` leaves them unset.
    fn stand_in(&self) -> Option<&str> {
        None
    }

    /// Takes note of an encrypted file of the repository that can't be read from elsewhere.
    fn passes_over(&self, _file: &str) {}
}
