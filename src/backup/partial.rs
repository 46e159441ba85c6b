//! Files and directories that are not finished yet: made beside where they belong, renamed into
//! place, and known as ours by their name when a killed process left them.

use std::collections::BTreeSet;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::RenameFlags;
use sha2::{Digest as _, Sha256};

use super::error::io;
use super::{BackupError, Manifest, Work};
use crate::desired::StackName;
use crate::desired::backups::{Backup, BackupName, Source};
use crate::files;

const END: &str = ".partial";

/// What `SQLite` puts beside a file that it works on.
pub(super) const COMPANIONS: [&str; 3] = ["-journal", "-wal", "-shm"];

/// Returns how names of unfinished files of a stack begin. The digits stand for installation and
/// stack: short, and not to be taken for another stack's whose name begins the same.
fn prefix(instance: &str, stack: &StackName) -> String {
    let mut digest = Sha256::new();
    digest.update(instance.as_bytes());
    digest.update([0]);
    digest.update(stack.as_str().as_bytes());
    let digits = hex::encode(digest.finalize());
    format!(".moored-{}-", digits.get(..12).unwrap_or_default())
}

/// A file or directory that is not finished; removed when it is dropped.
pub(super) struct Partial {
    path: PathBuf,
    placed: bool,
}

impl Partial {
    fn name(work: &Work<'_>, dir: &Path, end: &str) -> Result<PathBuf, BackupError> {
        let random = files::random_bytes(6).map_err(io("read randomness for a name in", dir))?;
        let prefix = prefix(work.instance, work.stack);
        Ok(dir.join(format!(
            "{prefix}{}-{}{end}{END}",
            work.name,
            hex::encode(random)
        )))
    }

    /// Makes an empty file in `dir` that nobody else can read.
    pub(super) fn file(work: &Work<'_>, dir: &Path) -> Result<(Self, File), BackupError> {
        Self::open(Self::name(work, dir, "")?)
    }

    /// Writes a manifest, not yet in its place.
    pub(super) fn manifest(
        work: &Work<'_>,
        dir: &Path,
        manifest: &Manifest,
    ) -> Result<Self, BackupError> {
        let (partial, mut file) = Self::open(Self::name(work, dir, ".json")?)?;
        let written = serde_json::to_vec_pretty(manifest)
            .map_err(std::io::Error::from)
            .and_then(|text| file.write_all(&text))
            .and_then(|()| file.sync_all());
        written.map_err(io("write", &partial.path))?;
        Ok(partial)
    }

    fn open(path: PathBuf) -> Result<(Self, File), BackupError> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)
            .map_err(io("make", &path))?;
        Ok((
            Self {
                path,
                placed: false,
            },
            file,
        ))
    }

    /// Makes an empty directory in `dir` that nobody else can enter.
    pub(super) fn directory(work: &Work<'_>, dir: &Path) -> Result<Self, BackupError> {
        let path = Self::name(work, dir, "")?;
        std::fs::DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .map_err(io("make", &path))?;
        Ok(Self {
            path,
            placed: false,
        })
    }

    /// Returns where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Gives it its name, which must not be taken; durable when it returns. What could not be
    /// placed is given back.
    pub(super) fn place(mut self, at: &Path) -> Result<(), (Self, BackupError)> {
        if let Err(error) = rename_new(&self.path, at) {
            return Err((self, io("make", at)(error)));
        }
        self.placed = true;
        sync_dir(at).map_err(|error| (self, error))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if self.placed {
            return;
        }
        // What can't be removed now is swept later.
        let _gone = remove(&self.path);
        for companion in COMPANIONS {
            let _gone = remove(&beside(&self.path, companion));
        }
    }
}

/// Returns the path with `end` put behind its last component.
pub(super) fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// Renames unless the new name is taken.
pub(super) fn rename_new(from: &Path, to: &Path) -> std::io::Result<()> {
    use rustix::fs::{CWD, renameat_with};
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Some file systems of other hosts don't know the flag.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            if std::fs::symlink_metadata(to).is_ok() {
                return Err(std::io::ErrorKind::AlreadyExists.into());
            }
            std::fs::rename(from, to)
        }
        other => other.map_err(std::io::Error::from),
    }
}

/// Makes the names in the directory of `path` durable.
pub(super) fn sync_dir(path: &Path) -> Result<(), BackupError> {
    let dir = path.parent().unwrap_or_else(|| Path::new("/"));
    File::open(dir)
        .and_then(|dir| dir.sync_all())
        .map_err(io("make the names durable in", dir))
}

/// Removes a file, link or tree, never what a link leads to.
fn remove(path: &Path) -> std::io::Result<()> {
    let found = match std::fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if found.is_dir() {
        std::fs::remove_dir_all(path)
    } else {
        std::fs::remove_file(path)
    }
}

/// Sees to it that the directory for backups is there.
///
/// It is made when only it is missing: more than one missing level means that a disk is not
/// mounted, and a backup on the disk below would be lost with the first glance away.
pub(super) fn ensure_dir(dir: &Path) -> Result<(), BackupError> {
    if dir.is_dir() {
        return Ok(());
    }
    if !dir.parent().is_some_and(Path::is_dir) {
        return Err(BackupError::NoDirectory(dir.to_owned()));
    }
    std::fs::DirBuilder::new()
        .mode(0o700)
        .create(dir)
        .map_err(io("make", dir))?;
    sync_dir(dir)
}

/// Checks that so many bytes, and a little, fit into a directory.
pub(super) fn ensure_space(dir: &Path, needed: u64) -> Result<(), BackupError> {
    /// For the manifest, and for what others write meanwhile.
    const LITTLE: u64 = 1024 * 1024;
    let found = rustix::fs::statvfs(dir)
        .map_err(std::io::Error::from)
        .map_err(io("see how much is free in", dir))?;
    let free = found.f_bavail.saturating_mul(found.f_frsize);
    if needed > 0 && free < needed.saturating_add(LITTLE) {
        return Err(BackupError::NoSpace {
            dir: dir.to_owned(),
            needed,
            free,
        });
    }
    Ok(())
}

/// Returns the directories in which work on a backup may leave something unfinished.
pub fn places(backup: &Backup) -> BTreeSet<PathBuf> {
    let beside = match &backup.source {
        Source::Files(paths) => paths.as_slice(),
        Source::Sqlite(_) | Source::Postgres(_) | Source::Command(_) => &[],
    };
    beside
        .iter()
        .filter_map(|path| path.parent())
        .map(Path::to_owned)
        .chain([backup.to.clone()])
        .collect()
}

/// Takes away what killed work of this installation on this stack left in `dir`, and nothing
/// else; a backup that lacks only its manifest in place gets it. Returns the names it dealt with.
///
/// Must not run while work on a backup of the stack is under way.
///
/// # Errors
/// The directory can't be read, or something of ours not be removed.
pub fn sweep(dir: &Path, instance: &str, stack: &StackName) -> Result<Vec<String>, BackupError> {
    let prefix = prefix(instance, stack);
    let mut dealt_with = Vec::new();
    let found = match std::fs::read_dir(dir) {
        Ok(found) => found,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(dealt_with),
        Err(error) => return Err(io("read", dir)(error)),
    };
    for entry in found {
        let entry = entry.map_err(io("read", dir))?;
        let name = entry.file_name();
        let Some(name) = name.to_str().filter(|name| is_ours(name, &prefix)) else {
            continue;
        };
        let path = entry.path();
        if !(name.ends_with(".json.partial") && finish(dir, &path)?) {
            remove(&path).map_err(io("remove", &path))?;
        }
        dealt_with.push(name.to_owned());
    }
    dealt_with.sort();
    Ok(dealt_with)
}

fn is_ours(name: &str, prefix: &str) -> bool {
    let name = COMPANIONS
        .iter()
        .find_map(|companion| name.strip_suffix(companion))
        .unwrap_or(name);
    name.starts_with(prefix) && name.ends_with(END)
}

/// Puts a manifest into its place whose backup is in its own; returns whether that was the case.
fn finish(dir: &Path, path: &Path) -> Result<bool, BackupError> {
    let Ok(manifest) = super::catalogue::read_manifest(path) else {
        return Ok(false);
    };
    let file = dir.join(&manifest.file);
    let whole = std::fs::symlink_metadata(&file)
        .is_ok_and(|found| found.is_file() && found.len() == manifest.size);
    let own = dir.join(Manifest::own_file(&manifest.file));
    if !whole || std::fs::symlink_metadata(&own).is_ok() {
        return Ok(false);
    }
    rename_new(path, &own).map_err(io("make", &own))?;
    sync_dir(&own)?;
    Ok(true)
}

/// Returns the name of a backup's file that nothing in `dir` has: `prod_20260211_140302.db`,
/// with `_2` and so on for more within a second.
pub(super) fn free_name(work: &Work<'_>, stem: &str, extension: &str) -> String {
    let dir = &work.backup.to;
    let time = work.now.to_zoned(work.zone.clone());
    let stamp = time.strftime("%Y%m%d_%H%M%S").to_string();
    let stem = safe(stem);
    let extension = safe(extension);
    let taken = |name: &String| {
        let there = |name: &str| std::fs::symlink_metadata(dir.join(name)).is_ok();
        there(name) || there(&Manifest::own_file(name))
    };
    let first = format!("{stem}_{stamp}.{extension}");
    let more = (2_u64..).map(|n| format!("{stem}_{stamp}_{n}.{extension}"));
    std::iter::once(first.clone())
        .chain(more)
        .find(|name| !taken(name))
        .unwrap_or(first)
}

/// Returns a name without what has a meaning in paths and shells, and not hidden.
fn safe(text: &str) -> String {
    /// A file name has 255 bytes, and the rest of ours about 40.
    const LONGEST: usize = 120;
    let good = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let replaced = text.chars().map(|c| if good(c) { c } else { '_' });
    let text: String = replaced.take(LONGEST).collect();
    match text.strip_prefix('.') {
        Some(rest) => format!("_{rest}"),
        None => text,
    }
}

/// Returns whether a manifest of this name may speak of `file`: a plain visible name, so that a
/// forged one can't lead anywhere else.
pub(super) fn is_plain(file: &str) -> bool {
    !file.is_empty() && !file.starts_with('.') && !file.contains(['/', '\0'])
}

/// Returns the name of a backup as a name.
pub(super) fn stem_of<'a>(name: &'a BackupName, path: Option<&'a Path>) -> &'a str {
    path.and_then(Path::file_stem)
        .and_then(|stem| stem.to_str())
        .unwrap_or(name.as_str())
}
