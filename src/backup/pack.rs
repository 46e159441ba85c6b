//! Packs files of the host into an archive: tar in zstd, with a checksum over the content.
//!
//! Everything is opened below the directory that holds it, and no link is followed: what somebody
//! puts in the way meanwhile can't lead out. Members are named by their path without the first
//! slash. Owner, permissions and times are kept; extended attributes are not.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use tar::{Builder, EntryType, Header};

use super::blocking::Ticket;
use super::error::io;
use super::{BackupError, Progress};

/// Depth of directories; more is a loop of mounts.
const DEEPEST: usize = 200;

/// Names of what was left out that are kept: enough to see what kind of thing it is.
const MOST_NAMED: usize = 20;

/// zstd's own default: fast, and most of what it can save.
const LEVEL: i32 = 3;

/// What went into an archive.
#[derive(Default)]
pub(super) struct Packed {
    /// Files, directories and links.
    pub(super) entries: u64,
    /// Bytes of the files.
    pub(super) bytes: u64,
    /// What was left out, and why; the first of them.
    pub(super) left_out: Vec<String>,
}

/// Packs `paths` into `file`.
pub(super) fn pack(paths: &[PathBuf], file: File, ticket: &Ticket) -> Result<Packed, BackupError> {
    let out = Path::new("the archive");
    let writing = || io("write", out);
    let mut zstd = zstd::Encoder::new(file, LEVEL).map_err(writing())?;
    zstd.include_checksum(true).map_err(writing())?;
    let mut packer = Packer {
        paths,
        tar: Builder::new(zstd),
        packed: Packed::default(),
        ticket,
    };
    for path in paths {
        packer.root(path)?;
    }
    let zstd = packer.tar.into_inner().map_err(writing())?;
    let mut file = zstd.finish().map_err(writing())?;
    file.flush().map_err(writing())?;
    Ok(packer.packed)
}

struct Packer<'a, W: Write> {
    paths: &'a [PathBuf],
    tar: Builder<W>,
    packed: Packed,
    ticket: &'a Ticket,
}

impl<W: Write> Packer<'_, W> {
    fn root(&mut self, path: &Path) -> Result<(), BackupError> {
        // The way to it may have links: the administrator made them.
        let parent = path.parent().unwrap_or(path);
        let found = rustix::fs::openat(
            CWD,
            parent,
            OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC,
            Mode::empty(),
        );
        let there = found.and_then(|dir| {
            let name = path.file_name().unwrap_or_default();
            rustix::fs::statat(&dir, name, AtFlags::SYMLINK_NOFOLLOW).map(|found| (dir, found))
        });
        match there {
            Ok((dir, found)) => {
                let kind = FileType::from_raw_mode(found.st_mode);
                if !matches!(kind, FileType::RegularFile | FileType::Directory) {
                    return Err(BackupError::Source {
                        path: path.to_owned(),
                        what: "it is neither a file nor a directory; name what it leads to"
                            .to_owned(),
                    });
                }
                self.one(&dir, path, &found, 0)
            }
            Err(Errno::NOENT) => Err(BackupError::NoSource(path.to_owned())),
            Err(error) => Err(io("look at", path)(error.into())),
        }
    }

    /// Packs what has the last component of `path` in `dir`.
    fn one(
        &mut self,
        dir: &OwnedFd,
        path: &Path,
        found: &Stat,
        depth: usize,
    ) -> Result<(), BackupError> {
        if depth > DEEPEST {
            return Err(BackupError::Source {
                path: path.to_owned(),
                what: format!("it lies more than {DEEPEST} directories deep"),
            });
        }
        match FileType::from_raw_mode(found.st_mode) {
            FileType::RegularFile => match open(dir, path, OFlags::empty()) {
                Ok(file) => self.file(file, path),
                Err(error) => gone(path, error),
            },
            FileType::Directory => match open(dir, path, OFlags::DIRECTORY) {
                Ok(opened) => self.directory(&opened, path, depth),
                Err(error) => gone(path, error),
            },
            FileType::Symlink => self.link(dir, path, found),
            FileType::Socket
            | FileType::Fifo
            | FileType::CharacterDevice
            | FileType::BlockDevice
            | FileType::Unknown => {
                self.leave_out(path, "neither file, directory nor link");
                Ok(())
            }
        }
    }

    fn file(&mut self, file: OwnedFd, path: &Path) -> Result<(), BackupError> {
        let found = rustix::fs::fstat(&file).map_err(|error| io("look at", path)(error.into()))?;
        if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
            self.leave_out(path, "changed into something else meanwhile");
            return Ok(());
        }
        let size = u64::try_from(found.st_size).unwrap_or_default();
        let mut header = header(&found, EntryType::Regular);
        header.set_size(size);
        // What is written behind the end meanwhile belongs into the next backup.
        let content = Watched {
            inner: File::from(file).take(size),
            done: self.packed.bytes,
            left: size,
            ticket: self.ticket,
        };
        self.tar
            .append_data(&mut header, member(path), content)
            .map_err(io("back up", path))?;
        self.count(size)
    }

    fn directory(&mut self, dir: &OwnedFd, path: &Path, depth: usize) -> Result<(), BackupError> {
        let reading = |error: Errno| io("read", path)(error.into());
        let found = rustix::fs::fstat(dir).map_err(reading)?;
        let mut header = header(&found, EntryType::Directory);
        header.set_size(0);
        self.tar
            .append_data(&mut header, member(path), std::io::empty())
            .map_err(io("back up", path))?;
        self.count(0)?;
        let mut names = Vec::new();
        for entry in Dir::read_from(dir).map_err(reading)? {
            let name = entry.map_err(reading)?.file_name().to_bytes().to_owned();
            if name != b"." && name != b".." {
                names.push(std::ffi::OsString::from_vec(name));
            }
        }
        names.sort();
        for name in names {
            let path = path.join(&name);
            match rustix::fs::statat(dir, &name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(found) => self.one(dir, &path, &found, depth + 1)?,
                Err(error) => gone(&path, error)?,
            }
        }
        Ok(())
    }

    fn link(&mut self, dir: &OwnedFd, path: &Path, found: &Stat) -> Result<(), BackupError> {
        let name = path.file_name().unwrap_or_default();
        let target = match rustix::fs::readlinkat(dir, name, Vec::new()) {
            Ok(target) => target,
            Err(error) => return gone(path, error),
        };
        let target = Path::new(std::ffi::OsStr::from_bytes(target.as_bytes()));
        if !stays_within(self.paths, path, target) {
            self.leave_out(path, "a link that leads out of what is backed up");
            return Ok(());
        }
        let mut header = header(found, EntryType::Symlink);
        header.set_size(0);
        self.tar
            .append_link(&mut header, member(path), target)
            .map_err(io("back up", path))?;
        self.count(0)
    }

    fn count(&mut self, bytes: u64) -> Result<(), BackupError> {
        self.packed.entries += 1;
        self.packed.bytes += bytes;
        self.ticket.tick(Progress {
            done: self.packed.bytes,
            total: None,
        })
    }

    fn leave_out(&mut self, path: &Path, why: &str) {
        if self.packed.left_out.len() < MOST_NAMED {
            let path = path.display();
            self.packed.left_out.push(format!("{path}: {why}"));
        }
    }
}

fn open(dir: impl AsFd, path: &Path, more: OFlags) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC | more;
    let name = path.file_name().unwrap_or_default();
    rustix::fs::openat(dir, name, flags, Mode::empty())
}

/// What is removed while it is backed up was not to be backed up.
fn gone(path: &Path, error: Errno) -> Result<(), BackupError> {
    match error {
        Errno::NOENT => Ok(()),
        error => Err(io("open", path)(error.into())),
    }
}

fn header(found: &Stat, kind: EntryType) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(found.st_mode & 0o7777);
    header.set_uid(u64::from(found.st_uid));
    header.set_gid(u64::from(found.st_gid));
    header.set_mtime(u64::try_from(found.st_mtime).unwrap_or_default());
    header
}

fn member(path: &Path) -> &Path {
    path.strip_prefix("/").unwrap_or(path)
}

/// Returns whether a link at `at` leads, by name, to somewhere in or beneath `paths`.
pub(super) fn stays_within(paths: &[PathBuf], at: &Path, target: &Path) -> bool {
    let mut reached = at.parent().map(Path::to_owned).unwrap_or_default();
    for part in target.components() {
        match part {
            Component::RootDir | Component::Prefix(_) => reached = PathBuf::from("/"),
            Component::CurDir => {}
            Component::ParentDir => {
                reached.pop();
            }
            Component::Normal(name) => reached.push(name),
        }
    }
    paths.iter().any(|path| reached.starts_with(path))
}

/// A file's content, which fails when it is shorter than it was, or the time is over.
struct Watched<'a, R> {
    inner: R,
    done: u64,
    left: u64,
    ticket: &'a Ticket,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let length = self.inner.read(into)?;
        if length == 0 && self.left > 0 && !into.is_empty() {
            return Err(std::io::Error::other(
                "it became shorter while it was read; stop what writes to it",
            ));
        }
        let more = u64::try_from(length).unwrap_or_default();
        self.left = self.left.saturating_sub(more);
        self.done += more;
        let progress = Progress {
            done: self.done,
            total: None,
        };
        self.ticket
            .tick(progress)
            .map_err(|error| std::io::Error::new(std::io::ErrorKind::TimedOut, error))?;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_may_lead_to_what_is_backed_up() {
        let paths = [PathBuf::from("/srv/a"), PathBuf::from("/srv/b")];
        let within =
            |at: &str, target: &str| stays_within(&paths, Path::new(at), Path::new(target));
        assert!(within("/srv/a/l", "x"));
        assert!(within("/srv/a/d/l", "../x"));
        assert!(within("/srv/a/l", "../b/x"));
        assert!(within("/srv/a/l", "/srv/b/x"));
        assert!(!within("/srv/a/l", "../c"));
        assert!(!within("/srv/a/l", "/etc/passwd"));
        assert!(!within("/srv/a/l", "/srv/b/../c"));
        assert!(!within("/srv/a/l", "../../../../../etc"));
        assert!(!within("/srv/a/l", "../bb"));
    }
}
