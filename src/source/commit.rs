//! Files of a commit, read from the object database.
//!
//! Every path is walked component by component from the commit's root tree, and every mode is
//! the one that is stored: libgit2's own path lookup neither checks names nor tells a link from
//! a file. The repository is opened by its object database alone, so neither its configuration
//! nor the user's has a say.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use git2::{Odb, Oid, Repository};

use super::path::{RepoPath, check_name};
use super::revision::{CommitInfo, Revision};
use super::tree::{Entry, EntryKind, LARGEST_FILE, Named, ReadError};

/// Mode of an entry that is a tree.
pub(super) const DIRECTORY: i32 = 0o040_000;

/// Modes of entries that are files.
pub(super) const PLAIN: i32 = 0o100_644;
pub(super) const EXECUTABLE: i32 = 0o100_755;

/// Longest subject, name or address in characters: one line of a terminal or a table.
const LONGEST_LINE: usize = 200;

pub(super) struct CommitFiles {
    // libgit2's repository may move between threads but not be shared by them.
    repository: Mutex<Repository>,
    root: Oid,
}

/// Something that a commit stores at a path, other than a directory: which object, and as what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Blob {
    pub(super) id: Oid,
    pub(super) mode: i32,
}

impl Blob {
    /// Returns what Git would store of a file.
    ///
    /// # Errors
    /// Its object can't be named.
    pub(super) fn of_file(bytes: &[u8], executable: bool) -> Result<Self, git2::Error> {
        Ok(Self {
            id: Oid::hash_object(git2::ObjectType::Blob, bytes)?,
            mode: if executable { EXECUTABLE } else { PLAIN },
        })
    }
}

/// What a path of a commit leads to.
struct Found {
    id: Oid,
    mode: i32,
}

impl Found {
    fn kind(&self) -> EntryKind {
        kind_of(self.mode)
    }
}

impl CommitFiles {
    pub(super) fn open(
        mirror: &Path,
        revision: &Revision,
    ) -> Result<(Self, CommitInfo), ReadError> {
        let repository = open_objects(mirror).map_err(|e| failed(&RepoPath::root(), &e))?;
        let info;
        let root;
        {
            let commit = find_commit(&repository, revision)?;
            root = commit.tree_id();
            info = describe(&commit, revision);
        }
        let files = Self {
            repository: Mutex::new(repository),
            root,
        };
        Ok((files, info))
    }

    pub(super) fn read(&self, path: &RepoPath) -> Result<Vec<u8>, ReadError> {
        let repository = self
            .repository
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let found = self.find(&repository, path)?;
        let path = path.clone();
        match found.kind() {
            EntryKind::File { .. } => read_blob(&repository, found.id, &path),
            EntryKind::Symlink => Err(ReadError::Symlink { path }),
            EntryKind::Submodule => Err(ReadError::Submodule { path }),
            EntryKind::Directory | EntryKind::Other => Err(ReadError::NotAFile { path }),
        }
    }

    pub(super) fn stored(&self, path: &RepoPath) -> Result<Option<Blob>, ReadError> {
        let repository = self
            .repository
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match self.find(&repository, path) {
            Ok(found) if found.kind() == EntryKind::Directory => Ok(None),
            Ok(Found { id, mode }) => Ok(Some(Blob { id, mode })),
            // Behind a link or a submodule this commit has nothing.
            Err(
                ReadError::Missing { .. }
                | ReadError::Symlink { .. }
                | ReadError::Submodule { .. }
                | ReadError::NotADirectory { .. },
            ) => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn entries(&self, directory: &RepoPath) -> Result<Vec<Named>, ReadError> {
        let repository = self
            .repository
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let found = self.find(&repository, directory)?;
        let tree = open_tree(&repository, &found, directory)?;
        let mut names = BTreeSet::new();
        let mut entries: Vec<Named> = tree
            .iter()
            .map(|entry| {
                if !names.insert(entry.name_bytes().to_vec()) {
                    return Err("two entries of one name");
                }
                let name = entry.name().map_err(|_| "a name that is not UTF-8")?;
                check_name(name)?;
                Ok(Entry {
                    name: name.to_owned(),
                    kind: kind_of(entry.filemode_raw()),
                })
            })
            .collect();
        entries.sort();
        Ok(entries)
    }

    fn find(&self, repository: &Repository, path: &RepoPath) -> Result<Found, ReadError> {
        let mut found = Found {
            id: self.root,
            mode: DIRECTORY,
        };
        let mut here = RepoPath::root();
        for name in path.components() {
            let tree = match open_tree(repository, &found, &here) {
                // What lies behind a file simply does not exist, as on disk.
                Err(ReadError::NotADirectory { .. }) => {
                    return Err(ReadError::Missing { path: path.clone() });
                }
                tree => tree?,
            };
            // Not by libgit2's binary search: of two entries of one name it finds either.
            let mut entries = tree.iter().filter(|e| e.name_bytes() == name.as_bytes());
            let entry = entries
                .next()
                .ok_or_else(|| ReadError::Missing { path: path.clone() })?;
            if entries.next().is_some() {
                return Err(ReadError::BadName {
                    directory: here,
                    reason: "two entries of one name",
                });
            }
            found = Found {
                id: entry.id(),
                mode: entry.filemode_raw(),
            };
            here = here
                .join(name)
                .map_err(|_| ReadError::Missing { path: path.clone() })?;
        }
        Ok(found)
    }
}

/// Returns whether `revision` is `ancestor` or descends from it, in the history of the
/// repository at `mirror`; false when the mirror does not have the ancestor any more.
pub fn descends_from(
    mirror: &Path,
    revision: &Revision,
    ancestor: &Revision,
) -> Result<bool, ReadError> {
    let repository = open_objects(mirror).map_err(|e| failed(&RepoPath::root(), &e))?;
    let new = find_commit(&repository, revision)?.id();
    if revision == ancestor {
        return Ok(true);
    }
    let Ok(old) = find_commit(&repository, ancestor).map(|commit| commit.id()) else {
        return Ok(false);
    };
    repository
        .graph_descendant_of(new, old)
        .map_err(|e| failed(&RepoPath::root(), &e))
}

pub(super) fn open_objects(mirror: &Path) -> Result<Repository, git2::Error> {
    let objects = mirror.join("objects");
    let objects = objects
        .to_str()
        .ok_or_else(|| git2::Error::from_str("the path of the mirror is not UTF-8"))?;
    let odb = Odb::new()?;
    odb.add_disk_alternate(objects)?;
    Repository::from_odb(odb)
}

pub(super) fn find_commit<'r>(
    repository: &'r Repository,
    revision: &Revision,
) -> Result<git2::Commit<'r>, ReadError> {
    let missing = || ReadError::NoCommit {
        revision: revision.clone(),
    };
    let id = Oid::from_str(revision.as_str()).map_err(|_| missing())?;
    let odb = repository
        .odb()
        .map_err(|e| failed(&RepoPath::root(), &e))?;
    let (size, kind) = odb.read_header(id).map_err(|_| missing())?;
    if kind != git2::ObjectType::Commit {
        return Err(missing());
    }
    check_size(&RepoPath::root(), size)?;
    repository.find_commit(id).map_err(|_| missing())
}

fn describe(commit: &git2::Commit<'_>, revision: &Revision) -> CommitInfo {
    let author = commit.author();
    CommitInfo {
        revision: revision.clone(),
        subject: first_line(commit.message_bytes()),
        author_name: first_line(author.name_bytes()),
        author_email: first_line(author.email_bytes()),
        committed_at: commit.time().seconds(),
    }
}

fn first_line(bytes: &[u8]) -> String {
    // Bytes are cut before they are decoded: a message may have megabytes without a line end.
    let start = bytes.get(..LONGEST_LINE * 4).unwrap_or(bytes);
    let text = String::from_utf8_lossy(start);
    let line = text.split(['\n', '\r']).next().unwrap_or_default();
    line.chars().take(LONGEST_LINE).collect()
}

fn open_tree<'r>(
    repository: &'r Repository,
    found: &Found,
    path: &RepoPath,
) -> Result<git2::Tree<'r>, ReadError> {
    match found.kind() {
        EntryKind::Directory => repository.find_tree(found.id).map_err(|e| failed(path, &e)),
        EntryKind::Symlink => Err(ReadError::Symlink { path: path.clone() }),
        EntryKind::Submodule => Err(ReadError::Submodule { path: path.clone() }),
        EntryKind::File { .. } | EntryKind::Other => {
            Err(ReadError::NotADirectory { path: path.clone() })
        }
    }
}

fn read_blob(repository: &Repository, id: Oid, path: &RepoPath) -> Result<Vec<u8>, ReadError> {
    let odb = repository.odb().map_err(|e| failed(path, &e))?;
    let (size, kind) = odb.read_header(id).map_err(|e| failed(path, &e))?;
    if kind != git2::ObjectType::Blob {
        return Err(ReadError::NotAFile { path: path.clone() });
    }
    check_size(path, size)?;
    let object = odb.read(id).map_err(|e| failed(path, &e))?;
    Ok(object.data().to_vec())
}

fn check_size(path: &RepoPath, size: usize) -> Result<(), ReadError> {
    let size = u64::try_from(size).unwrap_or(u64::MAX);
    if size > LARGEST_FILE {
        let path = path.clone();
        return Err(ReadError::TooLarge { path, size });
    }
    Ok(())
}

/// Only the modes that Git writes today; see `fsck.badFilemode`.
fn kind_of(mode: i32) -> EntryKind {
    match mode {
        PLAIN => EntryKind::File { executable: false },
        EXECUTABLE => EntryKind::File { executable: true },
        DIRECTORY => EntryKind::Directory,
        0o120_000 => EntryKind::Symlink,
        0o160_000 => EntryKind::Submodule,
        _ => EntryKind::Other,
    }
}

pub(super) fn failed(path: &RepoPath, error: &git2::Error) -> ReadError {
    ReadError::Damaged {
        path: path.clone(),
        message: error.message().to_owned(),
    }
}
