//! The seam to the files that a Compose project is made of, so that loading stays pure.

use std::path::Path;

/// Reads files by their absolute path.
pub trait Files {
    /// Returns the content of a file; `None` when nothing is there.
    ///
    /// # Errors
    /// Why it can't be read, as a sentence for people.
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, String>;

    /// Returns the content of a file that says what the project is: a Compose file, labels, or
    /// values for variables of Compose files; `None` when nothing is there that may say so.
    ///
    /// # Errors
    /// Why it can't be read, as a sentence for people.
    fn read_document(&self, path: &Path) -> Result<Option<Vec<u8>>, String> {
        self.read(path)
    }

    /// Returns whether a directory stands there.
    fn is_dir(&self, path: &Path) -> bool;

    /// Returns what the file is called in findings.
    fn name(&self, path: &Path) -> String;
}
