//! Files of a directory on disk, opened beneath it.
//!
//! Every component is opened by itself and without following links (`O_NOFOLLOW`), so that
//! nothing outside the root is reached, whatever is swapped meanwhile.

use std::fs::File;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, Stat, fstat, open, openat, statat};
use rustix::io::Errno;

use super::path::{RepoPath, check_name};
use super::tree::{Entry, EntryKind, LARGEST_FILE, MOST_SEARCHED, Named, ReadError};

pub(super) struct DirectoryFiles {
    root: OwnedFd,
}

impl DirectoryFiles {
    pub(super) fn open(root: &Path) -> Result<Self, ReadError> {
        // The root itself may be a link: the person who named it chose it.
        open(
            root,
            OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC,
            Mode::empty(),
        )
        .map(|root| Self { root })
        .map_err(|e| ReadError::Io {
            path: RepoPath::root(),
            message: format!("{}: {e}", root.display()),
        })
    }

    pub(super) fn read(&self, path: &RepoPath) -> Result<Vec<u8>, ReadError> {
        let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(ReadError::NotAFile { path: path.clone() });
        };
        let directory = self.open_directory(&parent, path)?;
        // Not blocking: opening a FIFO would wait for its writer for ever.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = openat(&directory, name, flags, Mode::empty())
            .map_err(|e| explain(&directory, name, path, e))?;
        let stat = fstat(&file).map_err(|e| failed(path, e))?;
        if FileType::from_raw_mode(stat.st_mode) != FileType::RegularFile {
            return Err(ReadError::NotAFile { path: path.clone() });
        }
        let mut bytes = Vec::new();
        File::from(file)
            .take(LARGEST_FILE + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| ReadError::Io {
                path: path.clone(),
                message: e.to_string(),
            })?;
        if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > LARGEST_FILE {
            let size = u64::try_from(stat.st_size).unwrap_or(u64::MAX);
            let path = path.clone();
            return Err(ReadError::TooLarge { path, size });
        }
        Ok(bytes)
    }

    pub(super) fn entries(&self, path: &RepoPath) -> Result<Vec<Named>, ReadError> {
        let directory = self.open_directory(path, path)?;
        let mut entries = Vec::new();
        for entry in Dir::read_from(&directory).map_err(|e| failed(path, e))? {
            let entry = entry.map_err(|e| failed(path, e))?;
            let Ok(name) = entry.file_name().to_str() else {
                entries.push(Err("a name that is not UTF-8"));
                continue;
            };
            // A work tree has its repository beside the files; a commit of it does not.
            if matches!(name, "." | ".." | ".git") {
                continue;
            }
            if entries.len() >= MOST_SEARCHED {
                return Err(ReadError::TooMany {
                    directory: path.clone(),
                    limit: MOST_SEARCHED,
                });
            }
            if let Err(reason) = check_name(name) {
                entries.push(Err(reason));
                continue;
            }
            let stat =
                statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW).map_err(|e| failed(path, e))?;
            let name = name.to_owned();
            let kind = kind_of(&directory, &name, &stat);
            entries.push(Ok(Entry { name, kind }));
        }
        entries.sort();
        Ok(entries)
    }

    /// Opens a directory component by component; `wanted` is the path to blame.
    fn open_directory(&self, path: &RepoPath, wanted: &RepoPath) -> Result<OwnedFd, ReadError> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut current =
            openat(&self.root, ".", flags, Mode::empty()).map_err(|e| failed(path, e))?;
        let mut here = RepoPath::root();
        for name in path.components() {
            here = here.join(name).map_err(|_| ReadError::Missing {
                path: wanted.clone(),
            })?;
            let next = openat(&current, name, flags, Mode::empty()).map_err(|e| {
                let error = explain(&current, name, &here, e);
                // What lies behind a file simply does not exist.
                let behind_a_file =
                    matches!(error, ReadError::NotADirectory { .. }) && here != *wanted;
                if behind_a_file || matches!(error, ReadError::Missing { .. }) {
                    ReadError::Missing {
                        path: wanted.clone(),
                    }
                } else {
                    error
                }
            })?;
            if is_submodule(&next) {
                return Err(ReadError::Submodule { path: here });
            }
            current = next;
        }
        Ok(current)
    }
}

/// Says why an open failed: systems differ in the error number for a link.
fn explain(directory: &OwnedFd, name: &str, path: &RepoPath, error: Errno) -> ReadError {
    let path = path.clone();
    match statat(directory, name, AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => ReadError::Missing { path },
        Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::Symlink => {
            ReadError::Symlink { path }
        }
        Ok(_) if error == Errno::NOTDIR => ReadError::NotADirectory { path },
        Ok(_) if error == Errno::NXIO => ReadError::NotAFile { path },
        Ok(_) | Err(_) => failed(&path, error),
    }
}

fn kind_of(directory: &OwnedFd, name: &str, stat: &Stat) -> EntryKind {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => EntryKind::File {
            executable: Mode::from_raw_mode(stat.st_mode).contains(Mode::XUSR),
        },
        FileType::Directory => {
            let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::DIRECTORY | OFlags::CLOEXEC;
            match openat(directory, name, flags, Mode::empty()) {
                Ok(inner) if is_submodule(&inner) => EntryKind::Submodule,
                Ok(_) | Err(_) => EntryKind::Directory,
            }
        }
        FileType::Symlink => EntryKind::Symlink,
        FileType::Fifo
        | FileType::Socket
        | FileType::CharacterDevice
        | FileType::BlockDevice
        | FileType::Unknown => EntryKind::Other,
    }
}

/// A directory with a repository of its own is no part of this one.
fn is_submodule(directory: &OwnedFd) -> bool {
    statat(directory, ".git", AtFlags::SYMLINK_NOFOLLOW).is_ok()
}

fn failed(path: &RepoPath, error: Errno) -> ReadError {
    ReadError::Io {
        path: path.clone(),
        message: error.to_string(),
    }
}
