//! Copies a directory with changes, so that it can be tested before it is real.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{DirBuilder, File, FileType, Metadata, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{
    DirBuilderExt as _, FileTypeExt as _, MetadataExt as _, PermissionsExt as _,
};
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Gid, OFlags, Uid};

use super::ProxyError;
use crate::files::Mode;

/// Copies `source`, a directory or file of the host that need not exist, to `to` with `changes`
/// applied.
///
/// The paths of the changes are relative to `source`; the empty one means that `source` is itself
/// a file. `None` = absent. Links are copied as links, and a change takes the place of a link.
/// Owners and permissions are kept where that is allowed; sockets and the like are left out. `to`
/// is made; an empty directory may be there.
///
/// # Errors
/// Something can't be read or made, a change leads through a file or link, or there is more than
/// 10,000 entries or 64 MiB. `source` is as it was.
pub fn stage(
    source: &Path,
    changes: &BTreeMap<PathBuf, Option<(Vec<u8>, Mode)>>,
    to: &Path,
) -> Result<(), ProxyError> {
    let whole = changes.get(Path::new(""));
    if let Some(change) = whole {
        if changes.len() > 1 {
            return Err(refused(source, "it is both a file and a directory"));
        }
        return change
            .as_ref()
            .map_or(Ok(()), |(content, mode)| write(to, content, *mode))
            .map_err(failed(to));
    }
    let mut copy = Copy {
        source,
        to,
        entries: 0,
        bytes: 0,
    };
    match std::fs::metadata(source) {
        Ok(found) if found.is_dir() => copy.tree(&found)?,
        Ok(_) if !changes.is_empty() => return Err(refused(source, "it is a file")),
        Ok(found) => copy.file(source, to, &found)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make_directory(to, 0o755).map_err(failed(to))?;
        }
        Err(error) => return Err(failed(source)(error)),
    }
    for (path, change) in changes {
        apply(source, to, path, change.as_ref())?;
    }
    Ok(())
}

/// Most files, directories and links that are copied.
const MOST_ENTRIES: usize = 10_000;

/// Most bytes that are copied.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

fn failed(path: &Path) -> impl Fn(io::Error) -> ProxyError {
    let path = path.to_owned();
    move |source| ProxyError::Stage {
        path: path.clone(),
        source,
    }
}

fn refused(path: &Path, reason: &'static str) -> ProxyError {
    ProxyError::StagePath {
        path: path.to_owned(),
        reason,
    }
}

struct Copy<'a> {
    source: &'a Path,
    to: &'a Path,
    entries: usize,
    bytes: u64,
}

impl Copy<'_> {
    fn too_large(&self, what: &'static str) -> ProxyError {
        ProxyError::StageTooLarge {
            path: self.source.to_owned(),
            what,
        }
    }

    fn tree(&mut self, root: &Metadata) -> Result<(), ProxyError> {
        make_directory(self.to, 0o700).map_err(failed(self.to))?;
        let mut open = VecDeque::from([PathBuf::new()]);
        let mut made = vec![(self.to.to_owned(), root.clone())];
        while let Some(directory) = open.pop_front() {
            let from = self.source.join(&directory);
            for entry in std::fs::read_dir(&from).map_err(failed(&from))? {
                let entry = entry.map_err(failed(&from))?;
                self.entries += 1;
                if self.entries > MOST_ENTRIES {
                    return Err(self.too_large("more than 10,000 entries"));
                }
                let path = directory.join(entry.file_name());
                let (from, to) = (entry.path(), self.to.join(&path));
                let found = std::fs::symlink_metadata(&from).map_err(failed(&from))?;
                let kind = found.file_type();
                if kind.is_dir() {
                    make_directory(&to, 0o700).map_err(failed(&to))?;
                    made.push((to, found));
                    open.push_back(path);
                } else if kind.is_symlink() {
                    link(&from, &to, &found).map_err(failed(&from))?;
                } else if !is_special(kind) {
                    self.file(&from, &to, &found)?;
                }
            }
        }
        // From the inside: a directory that may not be written in must have its entries first.
        for (path, found) in made.iter().rev() {
            own(path, found);
            std::fs::set_permissions(path, permissions(found)).map_err(failed(path))?;
        }
        Ok(())
    }

    fn file(&mut self, from: &Path, to: &Path, found: &Metadata) -> Result<(), ProxyError> {
        // A link in its place, or a pipe without a writer, is not waited for.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOFOLLOW;
        let flags = if from == self.source {
            flags.difference(OFlags::NOFOLLOW)
        } else {
            flags
        };
        let reading = rustix::fs::open(from, flags, rustix::fs::Mode::empty());
        let reading = File::from(reading.map_err(|error| failed(from)(error.into()))?);
        let room = MOST_BYTES.saturating_sub(self.bytes);
        let mut writing = File::create_new(to).map_err(failed(to))?;
        let copied = io::copy(&mut reading.take(room.saturating_add(1)), &mut writing);
        let copied = copied.map_err(failed(from))?;
        self.bytes += copied;
        if copied > room {
            return Err(self.too_large("more than 64 MiB"));
        }
        own(to, found);
        writing
            .set_permissions(permissions(found))
            .map_err(failed(to))
    }
}

fn permissions(of: &Metadata) -> Permissions {
    Permissions::from_mode(of.mode() & 0o7777)
}

fn is_special(kind: FileType) -> bool {
    kind.is_socket() || kind.is_fifo() || kind.is_char_device() || kind.is_block_device()
}

fn link(from: &Path, to: &Path, found: &Metadata) -> io::Result<()> {
    let target = std::fs::read_link(from)?;
    std::os::unix::fs::symlink(target, to)?;
    own(to, found);
    Ok(())
}

/// Gives a copy the owner of what it was copied from; without the right to, it stays ours.
fn own(path: &Path, found: &Metadata) {
    let (user, group) = (Uid::from_raw(found.uid()), Gid::from_raw(found.gid()));
    let _ = rustix::fs::chownat(
        rustix::fs::CWD,
        path,
        Some(user),
        Some(group),
        rustix::fs::AtFlags::SYMLINK_NOFOLLOW,
    );
}

fn make_directory(path: &Path, mode: u32) -> io::Result<()> {
    match DirBuilder::new().mode(mode).create(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            // Whoever made it has made it for this.
            match std::fs::read_dir(path)?.next() {
                None => Ok(()),
                Some(_) => Err(error),
            }
        }
        done => done,
    }
}

fn write(path: &Path, content: &[u8], mode: Mode) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(content)?;
    // The file mode creation mask may have taken bits away.
    file.set_permissions(Permissions::from_mode(mode.bits()))
}

fn apply(
    source: &Path,
    to: &Path,
    path: &Path,
    change: Option<&(Vec<u8>, Mode)>,
) -> Result<(), ProxyError> {
    if path
        .components()
        .any(|component| !matches!(component, Component::Normal(_)))
    {
        return Err(refused(path, "it leads out of the directory"));
    }
    let mut directory = to.to_owned();
    let parents = path.parent().unwrap_or_else(|| Path::new(""));
    for name in parents.components() {
        directory.push(name);
        match kind_of(&directory)? {
            Some(kind) if kind.is_dir() => {}
            Some(_) => {
                return Err(refused(
                    &source.join(path),
                    "a file or a link is where one of its directories should be",
                ));
            }
            None if change.is_none() => return Ok(()),
            None => make_directory(&directory, 0o755).map_err(failed(&directory))?,
        }
    }
    let at = to.join(path);
    match kind_of(&at)? {
        Some(kind) if kind.is_dir() => {
            return Err(refused(
                &source.join(path),
                "there is a directory of its name",
            ));
        }
        Some(_) => std::fs::remove_file(&at).map_err(failed(&at))?,
        None => {}
    }
    match change {
        Some((content, mode)) => write(&at, content, *mode).map_err(failed(&at)),
        None => Ok(()),
    }
}

fn kind_of(path: &Path) -> Result<Option<FileType>, ProxyError> {
    match std::fs::symlink_metadata(path) {
        Ok(found) => Ok(Some(found.file_type())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(path)(error)),
    }
}
