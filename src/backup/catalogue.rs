//! Reads the manifests in a directory, and removes what is no longer kept.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::error::io;
use super::manifest::FORMAT;
use super::partial::{is_plain, sync_dir};
use super::{BackupError, Manifest, Work, keep};
use crate::desired::StackName;
use crate::desired::backups::BackupName;

/// A database of a hundred thousand tables fits; more is no manifest of ours.
const LARGEST: u64 = 16 * 1024 * 1024;

/// The backups of one name in a directory.
#[derive(Clone, Debug, Default)]
pub struct Catalogue {
    /// Newest first.
    pub backups: Vec<Listed>,
    /// Manifests that can't be read, and why.
    pub unreadable: Vec<(PathBuf, String)>,
}

/// A backup as its manifest has it.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// Its manifest.
    pub manifest: Manifest,
    /// Its file.
    pub path: PathBuf,
    /// Whether the file is there in its full length.
    pub present: bool,
    /// Whether this installation took it: another one's is never removed.
    pub ours: bool,
}

impl Catalogue {
    /// Returns the newest one that is there.
    pub fn newest(&self) -> Option<&Listed> {
        self.backups.iter().find(|one| one.present)
    }

    /// Returns the one of this file name.
    pub fn find(&self, file: &str) -> Option<&Listed> {
        self.backups.iter().find(|one| one.manifest.file == file)
    }
}

/// Lists the backups of a name of a stack in a directory; none where there is no directory.
///
/// Those of another installation are listed too: they are what is left when the state directory
/// of the first one is lost.
///
/// # Errors
/// The directory can't be read.
pub fn catalogue(
    dir: &Path,
    instance: &str,
    stack: &StackName,
    name: &BackupName,
) -> Result<Catalogue, BackupError> {
    let mut found = Catalogue::default();
    let entries = match std::fs::read_dir(dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(found),
        Err(error) => return Err(io("read", dir)(error)),
    };
    for entry in entries {
        let path = entry.map_err(io("read", dir))?.path();
        let own = path.file_name().and_then(|own| own.to_str());
        let Some(file) = own
            .and_then(|own| own.strip_suffix(".json"))
            .filter(|file| is_plain(file))
        else {
            continue;
        };
        match read_manifest(&path) {
            Ok(manifest) if manifest.file != file => {
                let cause = format!("it speaks of the file {}", manifest.file.escape_default());
                found.unreadable.push((path, cause));
            }
            Ok(manifest) if manifest.stack == *stack && manifest.name == *name => {
                found.backups.push(listed(manifest, dir, instance));
            }
            // Somebody else's JSON without a file of that name is no business of ours.
            Err(cause) if dir.join(file).exists() => found.unreadable.push((path, cause)),
            Ok(_) | Err(_) => {}
        }
    }
    found.backups.sort_by(|a, b| order(b).cmp(&order(a)));
    found.unreadable.sort();
    Ok(found)
}

fn order(one: &Listed) -> (u64, jiff::Timestamp, &str) {
    let manifest = &one.manifest;
    (manifest.sequence, manifest.taken_at, &manifest.file)
}

fn listed(manifest: Manifest, dir: &Path, instance: &str) -> Listed {
    let path = dir.join(&manifest.file);
    // A link is none of ours.
    let present = std::fs::symlink_metadata(&path)
        .is_ok_and(|found| found.is_file() && found.len() == manifest.size);
    Listed {
        ours: manifest.instance == instance,
        manifest,
        path,
        present,
    }
}

/// Reads a manifest; the error is for people.
pub(super) fn read_manifest(path: &Path) -> Result<Manifest, String> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags((OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed())
        .open(path)
        .map_err(|error| error.to_string())?;
    let mut text = Vec::new();
    let length = file
        .take(LARGEST + 1)
        .read_to_end(&mut text)
        .map_err(|error| error.to_string())?;
    if u64::try_from(length).unwrap_or(u64::MAX) > LARGEST {
        return Err(format!("larger than {LARGEST} bytes"));
    }
    let manifest: Manifest =
        serde_json::from_slice(&text).map_err(|error| format!("no manifest: {error}"))?;
    if manifest.format > FORMAT {
        return Err(format!(
            "it has format {}, and this version of moored knows up to {FORMAT}",
            manifest.format
        ));
    }
    if !is_plain(&manifest.file) {
        return Err("it speaks of a file elsewhere".to_owned());
    }
    Ok(manifest)
}

/// Removes the backups that are no longer kept; returns the names of their files.
///
/// To be called after [`super::take()`] has returned `taken`, and only then: while backups fail,
/// the old ones are all there is. `protected` names files that are kept whatever the numbers say,
/// such as the one that guards the current release.
///
/// # Errors
/// The directory can't be read, or a file not be removed.
pub fn retain(
    work: &Work<'_>,
    taken: &Manifest,
    protected: &BTreeSet<String>,
) -> Result<Vec<String>, BackupError> {
    let dir = &work.backup.to;
    let found = catalogue(dir, work.instance, work.stack, work.name)?;
    let mut protected = protected.clone();
    protected.insert(taken.file.clone());
    let ours = || found.backups.iter().filter(|one| one.ours);
    let there: Vec<&Manifest> = ours()
        .filter(|one| one.present)
        .map(|one| &one.manifest)
        .collect();
    let mut removed = Vec::new();
    for manifest in keep::to_remove(&there, &work.backup.keep, &protected, work.zone) {
        let path = dir.join(&manifest.file);
        std::fs::remove_file(&path).map_err(io("remove", &path))?;
        remove_manifest(dir, manifest)?;
        removed.push(manifest.file.clone());
    }
    // A manifest whose file is gone: it was removed by hand, or we were killed above.
    let gone = |one: &&Listed| std::fs::symlink_metadata(&one.path).is_err();
    for one in ours()
        .filter(|one| !one.present && !protected.contains(&one.manifest.file))
        .filter(gone)
    {
        remove_manifest(dir, &one.manifest)?;
    }
    sync_dir(&dir.join(&taken.file))?;
    Ok(removed)
}

fn remove_manifest(dir: &Path, manifest: &Manifest) -> Result<(), BackupError> {
    let own = dir.join(Manifest::own_file(&manifest.file));
    std::fs::remove_file(&own).map_err(io("remove", &own))
}
