//! Stands in for the host where there is none: in CI, or on the machine of a person.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;

use crate::desired::HostFiles;
use crate::source::{ReadError, RepoPath, Tree};

/// A place that is not the host: files of the host can't be seen there, but for those that
/// somebody has put below a directory for the purpose.
pub struct Elsewhere {
    files: Option<Tree>,
    stand_in: Option<&'static str>,
    unseen: RefCell<BTreeSet<String>>,
}

impl Elsewhere {
    /// Makes a place; `hosts` has files of the host below it as they are below `/` there, and
    /// `stand_in` is what values that can't be seen are taken for.
    ///
    /// # Errors
    /// `hosts` is no directory that can be read.
    pub fn new(hosts: Option<&Path>, stand_in: Option<&'static str>) -> Result<Self, ReadError> {
        Ok(Self {
            files: hosts.map(Tree::in_directory).transpose()?,
            stand_in,
            unseen: RefCell::default(),
        })
    }

    /// Returns the files that were asked for and could not be looked into.
    pub fn into_unseen(self) -> BTreeSet<String> {
        self.unseen.into_inner()
    }

    fn find(&self, path: &Path) -> Option<Result<Vec<u8>, ReadError>> {
        let below = path.strip_prefix("/").ok()?.to_str()?;
        let below = RepoPath::new(below).ok()?;
        match self.files.as_ref()?.read(&below) {
            Err(ReadError::Missing { .. }) => None,
            found => Some(found),
        }
    }
}

impl HostFiles for Elsewhere {
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, String> {
        if let Some(found) = self.find(path) {
            return found.map(Some).map_err(|error| error.to_string());
        }
        self.passes_over(&path.display().to_string());
        Ok(None)
    }

    fn is_the_host(&self) -> bool {
        false
    }

    fn stand_in(&self) -> Option<&str> {
        self.stand_in
    }

    fn passes_over(&self, file: &str) {
        self.unseen.borrow_mut().insert(file.to_owned());
    }
}
