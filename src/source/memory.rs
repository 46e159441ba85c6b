//! Files in memory.

use std::collections::{BTreeMap, BTreeSet};

use super::path::{PathError, RepoPath};
use super::tree::{Entry, EntryKind, Named, ReadError};

pub(super) struct MemoryFiles {
    files: BTreeMap<RepoPath, Vec<u8>>,
    directories: BTreeSet<RepoPath>,
}

impl MemoryFiles {
    pub(super) fn new(files: BTreeMap<String, Vec<u8>>) -> Result<Self, PathError> {
        let mut by_path = BTreeMap::new();
        let mut directories = BTreeSet::from([RepoPath::root()]);
        for (text, bytes) in files {
            let path = RepoPath::new(&text)?;
            let mut above = path.parent();
            while let Some(directory) = above {
                above = directory.parent();
                directories.insert(directory);
            }
            by_path.insert(path, bytes);
        }
        Ok(Self {
            files: by_path,
            directories,
        })
    }

    pub(super) fn read(&self, path: &RepoPath) -> Result<Vec<u8>, ReadError> {
        if let Some(bytes) = self.files.get(path) {
            Ok(bytes.clone())
        } else if self.directories.contains(path) {
            Err(ReadError::NotAFile { path: path.clone() })
        } else {
            Err(ReadError::Missing { path: path.clone() })
        }
    }

    pub(super) fn entries(&self, directory: &RepoPath) -> Result<Vec<Named>, ReadError> {
        let path = directory.clone();
        if self.files.contains_key(directory) {
            return Err(ReadError::NotADirectory { path });
        }
        if !self.directories.contains(directory) {
            return Err(ReadError::Missing { path });
        }
        let kind = EntryKind::File { executable: false };
        let files = self.files.keys().map(|path| (path, kind));
        let directories = self
            .directories
            .iter()
            .map(|path| (path, EntryKind::Directory));
        let mut entries: Vec<Entry> = files
            .chain(directories)
            .filter(|(path, _)| path.parent().as_ref() == Some(directory))
            .filter_map(|(path, kind)| {
                let name = path.file_name()?.to_owned();
                Some(Entry { name, kind })
            })
            .collect();
        entries.sort();
        Ok(entries.into_iter().map(Ok).collect())
    }
}
