//! Reads an archive of `pack` through, and unpacks it beneath a directory of ours.
//!
//! An archive may have been tampered with. Only files, directories and links to what is backed up
//! are taken; every name is opened below the directory that holds it without following links, and
//! links are made when everything else is there.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::{File, Permissions};
use std::io::{BufReader, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, fchown};
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{AtFlags, CWD, Mode, OFlags};
use rustix::io::Errno;
use tar::{Archive, Entry, EntryType};

use super::blocking::Ticket;
use super::error::io;
use super::pack::stays_within;
use super::{BackupError, Progress};

type Content = Archive<zstd::Decoder<'static, BufReader<File>>>;

/// An archive, and what must be in it.
pub(super) struct Package<'a> {
    /// The archive.
    pub(super) path: &'a Path,
    /// Its name, for messages.
    pub(super) file: &'a str,
    /// What was backed up.
    pub(super) paths: &'a [PathBuf],
    /// Number of files, directories and links.
    pub(super) entries: u64,
    /// Bytes of the files.
    pub(super) bytes: u64,
}

/// A member that was looked at.
struct Member {
    /// Which of the paths it belongs to, and the components below it.
    root: usize,
    below: Vec<OsString>,
    kind: Kind,
    owner: (u32, u32),
    mode: u32,
    modified: SystemTime,
}

enum Kind {
    File,
    Directory,
    Link(PathBuf),
}

impl Package<'_> {
    /// Reads everything, and checks that it is what was packed.
    pub(super) fn read_through(&self, ticket: &Ticket) -> Result<(), BackupError> {
        self.each(ticket, |_, entry| {
            let mut read = || std::io::copy(entry, &mut std::io::sink());
            read().map(drop).map_err(|error| self.unsound(&error))
        })
    }

    /// Unpacks the n-th of the paths to the n-th of `targets`, each of which is a name in an
    /// existing directory and must not exist.
    pub(super) fn unpack(&self, targets: &[PathBuf], ticket: &Ticket) -> Result<(), BackupError> {
        let mut later = Later::default();
        self.each(ticket, |member, entry| {
            let Some(target) = targets.get(member.root) else {
                return Err(self.unsound(&"it has more than what was backed up"));
            };
            make(target, member, entry, &mut later)
        })?;
        later.finish(targets)
    }

    /// Calls `take` with every member, within the numbers that the manifest has.
    fn each(
        &self,
        ticket: &Ticket,
        mut take: impl FnMut(
            &Member,
            &mut Entry<'_, zstd::Decoder<'static, BufReader<File>>>,
        ) -> Result<(), BackupError>,
    ) -> Result<(), BackupError> {
        let file = File::open(self.path).map_err(io("open", self.path))?;
        let zstd = zstd::Decoder::new(file).map_err(|error| self.unsound(&error))?;
        let mut archive: Content = Archive::new(zstd);
        let (mut entries, mut bytes) = (0_u64, 0_u64);
        for entry in archive.entries().map_err(|error| self.unsound(&error))? {
            let mut entry = entry.map_err(|error| self.unsound(&error))?;
            let member = self.member(&entry)?;
            entries += 1;
            bytes = bytes.saturating_add(entry.size());
            if entries > self.entries || bytes > self.bytes {
                return Err(self.unsound(&"it has more in it than what was backed up"));
            }
            take(&member, &mut entry)?;
            ticket.tick(Progress {
                done: bytes,
                total: Some(self.bytes),
            })?;
        }
        // What follows the last member, with the checksum of the whole.
        let mut rest = archive.into_inner();
        std::io::copy(&mut rest, &mut std::io::sink()).map_err(|error| self.unsound(&error))?;
        if (entries, bytes) == (self.entries, self.bytes) {
            return Ok(());
        }
        Err(self.unsound(&format!(
            "{entries} entries with {bytes} bytes are in it, and {} with {} were backed up",
            self.entries, self.bytes
        )))
    }

    fn member(&self, entry: &Entry<'_, impl Read>) -> Result<Member, BackupError> {
        let path = entry.path().map_err(|error| self.unsound(&error))?;
        let named = |what: &str| {
            let path = path.display().to_string();
            self.unsound(&format!("member {}: {what}", path.escape_default()))
        };
        let normal = |part: Component<'_>| matches!(part, Component::Normal(_));
        if !path.components().all(normal) {
            return Err(named("its path leads out of the archive"));
        }
        let full = Path::new("/").join(&path);
        let mut of = self.paths.iter().enumerate();
        let Some((root, below)) = of.find_map(|(n, root)| Some((n, full.strip_prefix(root).ok()?)))
        else {
            return Err(named("it lies outside of what was backed up"));
        };
        let header = entry.header();
        #[expect(clippy::wildcard_enum_match_arm, reason = "foreign enum")]
        let kind = match header.entry_type() {
            EntryType::Regular => Kind::File,
            EntryType::Directory => Kind::Directory,
            EntryType::Symlink => {
                let target = entry.link_name().map_err(|error| self.unsound(&error))?;
                let target = target.ok_or_else(|| named("a link to nowhere"))?;
                if !stays_within(self.paths, &full, &target) {
                    return Err(named("a link that leads out of what was backed up"));
                }
                Kind::Link(target.into_owned())
            }
            _ => return Err(named("neither file, directory nor link")),
        };
        let number = |read: std::io::Result<u64>| -> Result<u32, BackupError> {
            let number = read.map_err(|error| self.unsound(&error))?;
            u32::try_from(number).map_err(|_| named("an owner that can't be"))
        };
        let mtime = header.mtime().map_err(|error| self.unsound(&error))?;
        Ok(Member {
            root,
            below: below.iter().map(OsStr::to_owned).collect(),
            kind,
            owner: (number(header.uid())?, number(header.gid())?),
            mode: header.mode().map_err(|error| self.unsound(&error))?,
            modified: SystemTime::UNIX_EPOCH
                .checked_add(Duration::from_secs(mtime))
                .unwrap_or(SystemTime::UNIX_EPOCH),
        })
    }

    fn unsound(&self, what: &dyn std::fmt::Display) -> BackupError {
        BackupError::Unsound {
            file: self.file.to_owned(),
            what: what.to_string(),
        }
    }
}

/// Makes what a member is; what must wait for others is noted.
fn make(
    target: &Path,
    member: &Member,
    entry: &mut impl Read,
    later: &mut Later,
) -> Result<(), BackupError> {
    let (parent, name) = open_parent(target, &member.below).map_err(io("open", target))?;
    match &member.kind {
        Kind::File => {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
            let opened = rustix::fs::openat(
                &parent,
                &name,
                flags | OFlags::CLOEXEC,
                Mode::RUSR | Mode::WUSR,
            );
            let mut file = File::from(opened.map_err(making(target))?);
            // Both can be at fault, the archive and the disk; the archive was read before.
            std::io::copy(entry, &mut file).map_err(io("unpack into", target))?;
            dress(&file, member).map_err(io("unpack into", target))?;
            file.sync_all().map_err(io("unpack into", target))
        }
        Kind::Directory => {
            rustix::fs::mkdirat(&parent, &name, Mode::RWXU).map_err(making(target))?;
            let key = (member.root, member.below.clone());
            later.directories.insert(key, Dress::of(member));
            Ok(())
        }
        Kind::Link(to) => {
            let key = (member.root, member.below.clone());
            later.links.insert(key, (to.clone(), member.owner));
            Ok(())
        }
    }
}

fn making(target: &Path) -> impl FnOnce(Errno) -> BackupError {
    let failed = io("unpack into", target);
    move |error| failed(error.into())
}

/// Which of the paths, and the components below it.
type Key = (usize, Vec<OsString>);

/// What is done when all files are there.
#[derive(Default)]
struct Later {
    links: BTreeMap<Key, (PathBuf, (u32, u32))>,
    directories: BTreeMap<Key, Dress>,
}

/// Owner, permissions and time.
#[derive(Clone, Copy)]
struct Dress {
    owner: (u32, u32),
    mode: u32,
    modified: SystemTime,
}

impl Dress {
    fn of(member: &Member) -> Self {
        Self {
            owner: member.owner,
            mode: member.mode,
            modified: member.modified,
        }
    }

    fn put_on(self, file: &File, bits: u32) -> std::io::Result<()> {
        // Only root may give files away.
        if rustix::process::geteuid().is_root() {
            fchown(file, Some(self.owner.0), Some(self.owner.1))?;
        }
        file.set_permissions(Permissions::from_mode(self.mode & bits))?;
        file.set_modified(self.modified)
    }
}

fn dress(file: &File, member: &Member) -> std::io::Result<()> {
    // A file that makes who runs it somebody else is not what is backed up here.
    Dress::of(member).put_on(file, 0o777)
}

impl Later {
    fn finish(self, targets: &[PathBuf]) -> Result<(), BackupError> {
        let target = |root: usize| targets.get(root).map_or(Path::new("/"), PathBuf::as_path);
        for ((root, below), (to, (uid, gid))) in self.links {
            let at = target(root);
            let (parent, name) = open_parent(at, &below).map_err(io("open", at))?;
            rustix::fs::symlinkat(&to, &parent, &name).map_err(making(at))?;
            if rustix::process::geteuid().is_root() {
                let (user, group) = (
                    rustix::fs::Uid::from_raw(uid),
                    rustix::fs::Gid::from_raw(gid),
                );
                let flags = AtFlags::SYMLINK_NOFOLLOW;
                rustix::fs::chownat(&parent, &name, Some(user), Some(group), flags)
                    .map_err(making(at))?;
            }
        }
        // The deepest first: making something in a directory changes its time.
        for ((root, below), dress) in self.directories.into_iter().rev() {
            let at = target(root);
            let (parent, name) = open_parent(at, &below).map_err(io("open", at))?;
            let dir = open_dir(&parent, &name).map_err(io("open", at))?;
            let dir = File::from(dir);
            dress
                .put_on(&dir, 0o7777)
                .and_then(|()| dir.sync_all())
                .map_err(io("unpack into", at))?;
        }
        Ok(())
    }
}

/// Opens the directory of what lies `below` a target, which is itself a name in a directory.
fn open_parent(target: &Path, below: &[OsString]) -> std::io::Result<(OwnedFd, OsString)> {
    let top = target.file_name().unwrap_or_default().to_owned();
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
    let above = target.parent().unwrap_or(target);
    let mut dir = rustix::fs::openat(CWD, above, flags, Mode::empty())?;
    let mut name = top;
    for next in below {
        dir = open_dir(&dir, &name)?;
        name.clone_from(next);
    }
    Ok((dir, name))
}

fn open_dir(dir: impl AsFd, name: &OsStr) -> std::io::Result<OwnedFd> {
    let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(rustix::fs::openat(dir, name, flags, Mode::empty())?)
}
