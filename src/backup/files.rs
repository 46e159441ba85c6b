//! Backs up and restores directories and files of the host.

use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::blocking::{Deadline, Ticket, blocking};
use super::error::io;
use super::manifest::Content;
use super::pack::pack;
use super::partial::{Partial, ensure_space, rename_new, sync_dir};
use super::unpack::Package;
use super::{BackupError, Manifest, Work};

/// Packs `paths` into the archive `into`.
pub(super) async fn take(
    work: &Work<'_>,
    deadline: Deadline,
    paths: &[PathBuf],
    into: File,
) -> Result<Content, BackupError> {
    let paths = paths.to_vec();
    blocking(work, deadline, "back up the files", move |ticket| {
        let packed = pack(&paths, into, ticket)?;
        Ok(Content::Files {
            paths,
            entries: packed.entries,
            bytes: packed.bytes,
            left_out: packed.left_out,
        })
    })
    .await
}

/// What is in an archive, by its manifest.
#[derive(Clone)]
pub(super) struct Inventory {
    pub(super) file: String,
    pub(super) paths: Vec<PathBuf>,
    pub(super) entries: u64,
    pub(super) bytes: u64,
}

impl Inventory {
    fn package<'a>(&'a self, path: &'a Path) -> Package<'a> {
        Package {
            path,
            file: &self.file,
            paths: &self.paths,
            entries: self.entries,
            bytes: self.bytes,
        }
    }

    /// Reads the archive through.
    pub(super) fn examine(&self, path: &Path, ticket: &Ticket) -> Result<(), BackupError> {
        self.package(path).read_through(ticket)
    }
}

/// Restores the archive: each path is unpacked beside its place, and changes places with what is
/// there when all are whole.
pub(super) async fn restore(
    work: &Work<'_>,
    deadline: Deadline,
    archive: &Path,
    inventory: &Inventory,
) -> Result<(), BackupError> {
    let mut fresh = Vec::new();
    for path in &inventory.paths {
        let dir = path.parent().unwrap_or(path);
        if !dir.is_dir() {
            return Err(BackupError::NoDirectory(path.clone()));
        }
        ensure_space(dir, inventory.bytes)?;
        // In a directory that only we can enter nobody can touch what is not finished.
        fresh.push(Partial::directory(work, dir)?);
    }
    let targets: Vec<PathBuf> = fresh
        .iter()
        .map(|partial| partial.path().join("new"))
        .collect();
    let made = targets.clone();
    let (archive, package) = (archive.to_owned(), inventory.clone());
    blocking(work, deadline, "restore the files", move |ticket| {
        package.package(&archive).unpack(&made, ticket)
    })
    .await?;
    for (target, path) in targets.iter().zip(&inventory.paths) {
        if std::fs::symlink_metadata(target).is_ok() {
            swap(target, path)?;
        }
    }
    // What was there before goes with the directories that it was moved into.
    drop(fresh);
    Ok(())
}

/// Puts `fresh` at `path`, and what is there at `fresh` or beside it.
fn swap(fresh: &Path, path: &Path) -> Result<(), BackupError> {
    let failed = || io("put what was restored at", path);
    if std::fs::symlink_metadata(path).is_err() {
        rename_new(fresh, path).map_err(failed())?;
        return sync_dir(path);
    }
    match renameat_with(CWD, fresh, CWD, path, RenameFlags::EXCHANGE) {
        // Some file systems can't do it at once.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            let old = fresh.with_file_name("old");
            std::fs::rename(path, &old)
                .and_then(|()| std::fs::rename(fresh, path))
                .map_err(failed())?;
        }
        other => other.map_err(|error| failed()(error.into()))?,
    }
    sync_dir(path)
}

/// Unpacks the archive into a scratch directory beside it, and drops that.
pub(super) async fn drill(
    work: &Work<'_>,
    deadline: Deadline,
    archive: &Path,
    inventory: &Inventory,
) -> Result<(), BackupError> {
    ensure_space(&work.backup.to, inventory.bytes)?;
    let scratch = Partial::directory(work, &work.backup.to)?;
    let targets: Vec<PathBuf> = (0..inventory.paths.len())
        .map(|n| scratch.path().join(n.to_string()))
        .collect();
    let (archive, package) = (archive.to_owned(), inventory.clone());
    blocking(work, deadline, "unpack the files", move |ticket| {
        package.package(&archive).unpack(&targets, ticket)
    })
    .await
}

/// Returns what the manifest says is in an archive; `None` for another kind of backup.
pub(super) fn inventory(manifest: &Manifest) -> Option<Inventory> {
    match &manifest.content {
        Content::Files {
            paths,
            entries,
            bytes,
            left_out: _,
        } => Some(Inventory {
            file: manifest.file.clone(),
            paths: paths.clone(),
            entries: *entries,
            bytes: *bytes,
        }),
        Content::Sqlite { .. } | Content::Postgres { .. } | Content::Command {} => None,
    }
}
