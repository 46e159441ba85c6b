//! The files of this host, and which of them say what a project is.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::InitError;
use crate::desired::HostFiles;
use crate::desired::compose::files::Files;
use crate::files;
use crate::source::LARGEST_FILE;

/// The files of this host as the person who asks may read them; notes those that would have to be
/// in a repository.
#[derive(Default)]
pub(super) struct Disk {
    documents: RefCell<BTreeMap<PathBuf, Vec<u8>>>,
}

impl Disk {
    /// Returns what of those that were read belongs on a host, and what into a repository.
    pub(super) fn into_documents(self) -> (Vec<PathBuf>, BTreeMap<PathBuf, Vec<u8>>) {
        let mut documents = self.documents.into_inner();
        let of_host: Vec<PathBuf> = documents
            .keys()
            .filter(|path| is_of_values(path))
            .cloned()
            .collect();
        documents.retain(|path, _| !is_of_values(path));
        (of_host, documents)
    }
}

/// Returns whether a file has values, as its name says.
fn is_of_values(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let ends = path.extension().is_some_and(|end| end == "env");
    name == ".env" || name.starts_with(".env.") || ends
}

/// Reads a file; `None` when nothing is there.
pub(super) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let opened = match files::open_regular(path) {
        // Below a file there is nothing either.
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(None);
        }
        opened => opened?,
    };
    let Some((file, _)) = opened else {
        return Err(io::Error::other("it is not a regular file"));
    };
    let mut content = Vec::new();
    file.take(LARGEST_FILE).read_to_end(&mut content)?;
    Ok(Some(content))
}

/// Reads a file that a project was started from.
pub(super) fn must_read(path: &Path, project: &str) -> Result<Vec<u8>, InitError> {
    let content = read(path).map_err(|source| InitError::Read {
        path: path.to_owned(),
        source,
    })?;
    content.ok_or_else(|| InitError::Gone {
        project: project.to_owned(),
        file: path.to_owned(),
    })
}

impl Files for Disk {
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, String> {
        read(path).map_err(|error| error.to_string())
    }

    fn read_document(&self, path: &Path) -> Result<Option<Vec<u8>>, String> {
        let content = Files::read(self, path)?;
        if let Some(content) = &content {
            let mut documents = self.documents.borrow_mut();
            documents.insert(path.to_owned(), content.clone());
        }
        Ok(content)
    }

    fn is_dir(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn name(&self, path: &Path) -> String {
        path.display().to_string()
    }
}

impl HostFiles for Disk {
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, String> {
        Files::read(self, path)
    }
}
