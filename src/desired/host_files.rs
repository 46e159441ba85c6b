//! The seam to files of the host, so that loading stays pure.

use std::path::Path;

/// Reads files of the host.
pub trait HostFiles {
    /// Returns the content of a file; `None` when nothing is there.
    ///
    /// # Errors
    /// Why it can't be read, as a sentence for people.
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, String>;

    /// Returns the file with the age keys of this host; `None` when the settings name none.
    fn age_identity(&self) -> Option<&Path> {
        None
    }
}
