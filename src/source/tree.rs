//! Reads desired state: an immutable set of files, wherever it comes from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use super::commit::{Blob, CommitFiles};
use super::directory::DirectoryFiles;
use super::memory::MemoryFiles;
use super::path::{PathError, RepoPath};
use super::revision::{CommitInfo, Revision};

/// Largest file that is read, in bytes. Configuration is kilobytes; more is a mistake, or an
/// attempt to fill the host's memory.
pub const LARGEST_FILE: u64 = 8 * 1024 * 1024;

/// Most entries that [`Tree::walk`] looks at: a mounted directory has dozens of files.
pub const MOST_WALKED: usize = 10_000;

/// Deepest directory that [`Tree::find_named`] looks into.
pub const DEEPEST_SEARCH: usize = 8;

/// Most entries that [`Tree::find_named`] looks at; above [`MOST_WALKED`] because a state
/// repository may lie beside a whole application.
pub const MOST_SEARCHED: usize = 100_000;

/// The first line of every Git LFS pointer file, as its specification demands.
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

/// An immutable set of files.
///
/// Files of a commit are read from the object database, never from a checkout: no symlink is
/// followed and no `.gitattributes` filter touches a byte.
pub struct Tree {
    files: Files,
    commit: Option<CommitInfo>,
    asked: Mutex<BTreeSet<RepoPath>>,
}

enum Files {
    Commit(CommitFiles),
    Directory(DirectoryFiles),
    Memory(MemoryFiles),
}

/// One entry of a directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    /// Its name: never `.`, `..` or `.git`, and without control characters.
    pub name: String,
    /// What it is.
    pub kind: EntryKind,
}

/// What an entry of a directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EntryKind {
    /// A file.
    File {
        /// Whether its owner may execute it.
        executable: bool,
    },
    /// A directory.
    Directory,
    /// A symbolic link; never followed.
    Symlink,
    /// A Git submodule; never fetched.
    Submodule,
    /// Anything else: a socket on disk, a file mode that Git does not write.
    Other,
}

/// Why something could not be read from a tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// Nothing has this path.
    #[error("{path} does not exist")]
    Missing {
        /// Path that was asked for.
        path: RepoPath,
    },
    /// The path is, or leads through, a symbolic link.
    #[error("{path} is a symbolic link, and links are not followed; commit the file itself")]
    Symlink {
        /// The link.
        path: RepoPath,
    },
    /// The path is, or leads into, a submodule.
    #[error(
        "{path} is a Git submodule, and submodules are not fetched; commit its files themselves"
    )]
    Submodule {
        /// The submodule.
        path: RepoPath,
    },
    /// The content is kept in Git LFS.
    #[error("{path} is a Git LFS pointer, and LFS is not fetched; commit the content itself")]
    LfsPointer {
        /// The pointer file.
        path: RepoPath,
    },
    /// Larger than [`LARGEST_FILE`].
    #[error("{path} has {size} bytes, more than the {LARGEST_FILE} that are read")]
    TooLarge {
        /// The file.
        path: RepoPath,
        /// Its size in bytes.
        size: u64,
    },
    /// A directory or something else where a file is needed.
    #[error("{path} is not a file")]
    NotAFile {
        /// What is there instead.
        path: RepoPath,
    },
    /// A file where a directory is needed.
    #[error("{path} is not a directory")]
    NotADirectory {
        /// What is there instead.
        path: RepoPath,
    },
    /// A directory has an entry that no repository may have.
    #[error(
        "{directory} has an entry with a name that is refused ({reason}); remove it from the repository"
    )]
    BadName {
        /// The directory.
        directory: RepoPath,
        /// What is wrong with the name.
        reason: &'static str,
    },
    /// More entries than are looked at.
    #[error("{directory} has more than {limit} files and directories beneath it")]
    TooMany {
        /// Where the walk began.
        directory: RepoPath,
        /// The limit.
        limit: usize,
    },
    /// The commit is not in the repository.
    #[error("commit {revision} is not in the mirror; fetch again")]
    NoCommit {
        /// The commit.
        revision: Revision,
    },
    /// The mirror is damaged; [`super::set_aside`] and the next fetch bring another.
    #[error("{path} can't be read from the mirror, which is damaged ({message}); fetch again")]
    Damaged {
        /// What was read.
        path: RepoPath,
        /// libgit2's words.
        message: String,
    },
    /// The file system failed.
    #[error("could not read {path} ({message})")]
    Io {
        /// What was read.
        path: RepoPath,
        /// The system's words.
        message: String,
    },
}

impl Tree {
    /// Opens the files of a commit in the repository at `mirror`.
    pub fn at_commit(mirror: &Path, revision: &Revision) -> Result<Self, ReadError> {
        let (files, commit) = CommitFiles::open(mirror, revision)?;
        Ok(Self::new(Files::Commit(files), Some(commit)))
    }

    /// Opens a directory on disk, for a look at what is not committed yet. Links are not
    /// followed, and nothing above `root` is reached.
    pub fn in_directory(root: &Path) -> Result<Self, ReadError> {
        Ok(Self::new(
            Files::Directory(DirectoryFiles::open(root)?),
            None,
        ))
    }

    /// Makes a tree of files in memory.
    pub fn from_files(files: BTreeMap<String, Vec<u8>>) -> Result<Self, PathError> {
        Ok(Self::new(Files::Memory(MemoryFiles::new(files)?), None))
    }

    fn new(files: Files, commit: Option<CommitInfo>) -> Self {
        Self {
            files,
            commit,
            asked: Mutex::default(),
        }
    }

    /// Returns the commit that the files belong to; none for files on disk or in memory.
    pub fn commit(&self) -> Option<&CommitInfo> {
        self.commit.as_ref()
    }

    /// Returns every path that [`Self::read`] was called with so far, whether or not a file is
    /// there: together they say which files something is made of.
    pub fn asked(&self) -> BTreeSet<RepoPath> {
        let asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.clone()
    }

    /// Forgets what [`Self::asked`] returns, so that it is that of one question.
    pub fn forget_asked(&self) {
        let mut asked = self.asked.lock().unwrap_or_else(PoisonError::into_inner);
        asked.clear();
    }

    /// Returns what a commit stores at a path, or would of files on disk and in memory: none for a
    /// directory, and where nothing is.
    pub fn stored(&self, path: &RepoPath) -> Result<Option<Blob>, ReadError> {
        let read = match &self.files {
            Files::Commit(files) => return files.stored(path),
            Files::Directory(files) => files.read(path),
            Files::Memory(files) => files.read(path),
        };
        match read {
            Ok(bytes) => {
                let blob = Blob::of_file(&bytes, self.is_executable(path)?);
                blob.map(Some).map_err(|error| ReadError::Io {
                    path: path.clone(),
                    message: error.to_string(),
                })
            }
            Err(
                ReadError::Missing { .. }
                | ReadError::NotAFile { .. }
                | ReadError::NotADirectory { .. }
                | ReadError::Symlink { .. }
                | ReadError::Submodule { .. },
            ) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn is_executable(&self, file: &RepoPath) -> Result<bool, ReadError> {
        let directory = file.parent().unwrap_or_else(RepoPath::root);
        let executable = EntryKind::File { executable: true };
        let mut entries = self.entries(&directory)?.into_iter().flatten();
        Ok(entries.any(|one| one.kind == executable && Some(&*one.name) == file.file_name()))
    }

    /// Reads a file.
    pub fn read(&self, path: &RepoPath) -> Result<Vec<u8>, ReadError> {
        self.asked
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(path.clone());
        let bytes = match &self.files {
            Files::Commit(files) => files.read(path),
            Files::Directory(files) => files.read(path),
            Files::Memory(files) => files.read(path),
        }?;
        if bytes.starts_with(LFS_POINTER) {
            return Err(ReadError::LfsPointer { path: path.clone() });
        }
        Ok(bytes)
    }

    /// Lists a directory in the order of the names.
    pub fn list(&self, directory: &RepoPath) -> Result<Vec<Entry>, ReadError> {
        self.entries(directory)?
            .into_iter()
            .map(|entry| {
                entry.map_err(|reason| ReadError::BadName {
                    directory: directory.clone(),
                    reason,
                })
            })
            .collect()
    }

    /// Returns every file beneath a directory, with whether it is executable, in the order of
    /// the paths; refuses links, submodules and more than [`MOST_WALKED`] entries.
    pub fn walk(&self, directory: &RepoPath) -> Result<Vec<(RepoPath, bool)>, ReadError> {
        let mut found = Vec::new();
        let mut seen = 0;
        let mut waiting = vec![directory.clone()];
        while let Some(current) = waiting.pop() {
            for entry in self.list(&current)? {
                seen += 1;
                if seen > MOST_WALKED {
                    return Err(ReadError::TooMany {
                        directory: directory.clone(),
                        limit: MOST_WALKED,
                    });
                }
                let path = child(&current, &entry.name)?;
                match entry.kind {
                    EntryKind::File { executable } => found.push((path, executable)),
                    EntryKind::Directory => waiting.push(path),
                    EntryKind::Symlink => return Err(ReadError::Symlink { path }),
                    EntryKind::Submodule => return Err(ReadError::Submodule { path }),
                    EntryKind::Other => return Err(ReadError::NotAFile { path }),
                }
            }
        }
        found.sort();
        Ok(found)
    }

    /// Returns every file with this name, in the order of the paths. Looks [`DEEPEST_SEARCH`]
    /// directories deep and not into those whose name begins with a dot; a name that is refused
    /// elsewhere in the repository does not stop the search.
    pub fn find_named(&self, file_name: &str) -> Result<Vec<RepoPath>, ReadError> {
        let mut found = Vec::new();
        let mut seen = 0;
        let mut waiting = vec![(RepoPath::root(), 0)];
        while let Some((current, depth)) = waiting.pop() {
            for entry in self.entries(&current)?.into_iter().flatten() {
                seen += 1;
                if seen > MOST_SEARCHED {
                    return Err(ReadError::TooMany {
                        directory: RepoPath::root(),
                        limit: MOST_SEARCHED,
                    });
                }
                match entry.kind {
                    EntryKind::Directory => {
                        if depth < DEEPEST_SEARCH && !entry.name.starts_with('.') {
                            waiting.push((child(&current, &entry.name)?, depth + 1));
                        }
                    }
                    // A link or a submodule of this name is reported when it is read: leaving
                    // it out would take a stack for removed.
                    EntryKind::File { .. }
                    | EntryKind::Symlink
                    | EntryKind::Submodule
                    | EntryKind::Other => {
                        if entry.name == file_name {
                            found.push(child(&current, &entry.name)?);
                        }
                    }
                }
            }
        }
        found.sort();
        Ok(found)
    }

    fn entries(&self, directory: &RepoPath) -> Result<Vec<Named>, ReadError> {
        match &self.files {
            Files::Commit(files) => files.entries(directory),
            Files::Directory(files) => files.entries(directory),
            Files::Memory(files) => files.entries(directory),
        }
    }
}

/// An entry, or what is wrong with its name.
pub(super) type Named = Result<Entry, &'static str>;

fn child(directory: &RepoPath, name: &str) -> Result<RepoPath, ReadError> {
    directory.join(name).map_err(|_| ReadError::BadName {
        directory: directory.clone(),
        reason: "a path that is too long",
    })
}
