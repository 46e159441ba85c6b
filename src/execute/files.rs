//! Places repository files in the project directory, beneath it and nowhere else.
//!
//! Everything goes through a directory handle (`cap-std`): a link that a container has planted
//! there can't lead a write out of it. Where the handle itself is, is asked of the kernel, and the
//! host's settings must permit it.

use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt, Permissions, PermissionsExt};

use super::StepError;
use crate::desired::{PlacedFile, StackName};
use crate::files::{Mode, digest, mode_of_digest};
use crate::permits::Touch;
use crate::plan::Placement;
use crate::policy::Gated;

/// Whose files are placed, as what, and who is asked whether they may be.
#[derive(Clone, Copy)]
pub(super) struct Guard<'a> {
    pub(super) gate: &'a Gated,
    pub(super) stack: &'a StackName,
    pub(super) touch: Touch,
}

impl Guard<'_> {
    /// Passes changes below a directory that are permitted, as links lead now.
    pub(super) fn pass(self, root: &Path, files: &[Placement]) -> Result<(), StepError> {
        for one in files {
            // Only what a release of ours has placed is ever removed.
            let touch = match &one.file {
                Some(_) => self.touch,
                None => Touch::Configure,
            };
            let path = root.join(one.path.as_str());
            let stack = self.stack.as_str();
            self.gate.file(stack, "files", (&path, touch))?;
        }
        Ok(())
    }
}

/// Writes and removes files, keeping what was there in `store`. Repeatable.
pub(super) fn place(
    root: &Path,
    files: &[Placement],
    store: &Path,
    guard: Guard<'_>,
) -> Result<(), StepError> {
    let dir = open(root, files, guard)?;
    for (placement, path) in removals_first(files, |placement| placement.file.is_none()) {
        let failed = failed(root.join(path));
        keep(&dir, path, store).map_err(&failed)?;
        match &placement.file {
            Some(file) if file.mounted_singly && dir.is_file(path) => {
                write_in_place(&dir, path, &file.content, file.mode).map_err(&failed)?;
            }
            Some(file) => {
                write_atomically(&dir, path, &file.content, file.mode).map_err(&failed)?;
            }
            None => remove(&dir, path).map_err(&failed)?,
        }
    }
    Ok(())
}

/// Puts back what was there before. Repeatable.
pub(super) fn put_back(
    root: &Path,
    files: &[Placement],
    store: &Path,
    guard: Guard<'_>,
) -> Result<(), StepError> {
    let dir = open(root, files, guard)?;
    for (placement, path) in removals_first(files, |placement| placement.before.is_none()) {
        let failed = failed(root.join(path));
        // One that leads elsewhere was never written to.
        if is_link(&dir, path) || present(&dir, path).map_err(&failed)? == placement.before {
            continue;
        }
        match &placement.before {
            Some(digest) => {
                let content = std::fs::read(store.join(digest)).map_err(&failed)?;
                let mode = mode_of_digest(digest);
                // On the inode that it has, because a container may mount this very file.
                if dir.is_file(path) {
                    write_in_place(&dir, path, &content, mode).map_err(&failed)?;
                } else {
                    write_atomically(&dir, path, &content, mode).map_err(&failed)?;
                }
            }
            None => remove(&dir, path).map_err(&failed)?,
        }
    }
    Ok(())
}

/// Keeps what was placed in `store`, too.
pub(super) fn keep_all(
    root: &Path,
    files: &[Placement],
    store: &Path,
    guard: Guard<'_>,
) -> Result<(), StepError> {
    let dir = open(root, files, guard)?;
    for placement in files {
        let path = Path::new(placement.path.as_str());
        keep(&dir, path, store).map_err(failed(root.join(path)))?;
    }
    Ok(())
}

/// Takes away from `store` what none of these placements puts in place or back. What can't be
/// taken away is another time.
pub(super) fn forget_others<'p>(files: impl Iterator<Item = &'p Placement>, store: &Path) {
    let known: BTreeSet<String> = files
        .flat_map(|one| {
            [
                one.before.clone(),
                one.file.as_ref().map(PlacedFile::digest),
            ]
        })
        .flatten()
        .collect();
    let kept = std::fs::read_dir(store).into_iter().flatten().flatten();
    for entry in kept {
        let name = entry.file_name();
        if !name.to_str().is_some_and(|name| known.contains(name)) {
            std::fs::remove_file(entry.path()).unwrap_or_default();
        }
    }
}

/// Returns the placements with those first that take a file away: a directory may come where one
/// was, or the other way round.
fn removals_first(
    files: &[Placement],
    removes: impl Fn(&Placement) -> bool,
) -> impl Iterator<Item = (&Placement, &Path)> {
    let (first, then): (Vec<_>, Vec<_>) = files.iter().partition(|one| removes(one));
    let all = first.into_iter().chain(then);
    all.map(|placement| (placement, Path::new(placement.path.as_str())))
}

/// Returns whether a link is at a path, wherever it leads.
fn is_link(dir: &Dir, path: &Path) -> bool {
    dir.symlink_metadata(path)
        .is_ok_and(|meta| meta.is_symlink())
}

/// Returns the digest of the file at a path, if there is one.
fn present(dir: &Dir, path: &Path) -> io::Result<Option<String>> {
    match read(dir, path) {
        Ok((content, mode)) => Ok(Some(digest(&content, mode))),
        Err(error) if is_nothing_there(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn read(dir: &Dir, path: &Path) -> io::Result<(Vec<u8>, Mode)> {
    let mut file = dir.open(path)?;
    let mode = Mode::of(file.metadata()?.permissions().mode());
    let mut content = Vec::new();
    file.read_to_end(&mut content)?;
    Ok((content, mode))
}

/// A directory may stand where the file should be, or something else where a directory of its
/// path should be.
fn is_nothing_there(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory
    )
}

/// Says that something of the host can't be placed.
fn failed(path: PathBuf) -> impl Fn(io::Error) -> StepError {
    move |source| StepError::Place {
        path: path.clone(),
        source,
    }
}

/// Opens the directory in which files change, made if it is missing.
fn open(root: &Path, files: &[Placement], guard: Guard<'_>) -> Result<Dir, StepError> {
    guard.pass(root, files)?;
    let failed = failed(root.to_owned());
    std::fs::create_dir_all(root).map_err(&failed)?;
    let dir = Dir::open_ambient_dir(root, ambient_authority()).map_err(&failed)?;
    // Whoever can write to a directory on the way may have turned it elsewhere just now.
    guard.pass(&crate::files::opened_at(&dir).map_err(&failed)?, files)?;
    Ok(dir)
}

/// Keeps what a file is now in the store, under its digest.
fn keep(dir: &Dir, path: &Path, store: &Path) -> io::Result<()> {
    let (content, mode) = match read(dir, path) {
        Ok(there) => there,
        Err(error) if is_nothing_there(&error) => return Ok(()),
        Err(error) => return Err(error),
    };
    let kept = store.join(digest(&content, mode));
    if kept.exists() {
        return Ok(());
    }
    std::fs::create_dir_all(store)?;
    // Only for us: what a container put into its file may be secret.
    crate::files::write_atomically(&kept, &content, 0o600)
}

fn write_atomically(dir: &Dir, path: &Path, content: &[u8], mode: Mode) -> io::Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        make_directories(dir, parent)?;
    }
    // An empty directory: what is left of one that Git had, or what the engine makes where it
    // finds no file to mount. One with something in it is not ours to remove.
    if dir.is_dir(path) {
        dir.remove_dir(path)?;
    }
    let random = hex::encode(crate::files::random_bytes(6)?);
    let temporary = parent
        .unwrap_or_else(|| Path::new(""))
        .join(format!(".moored-{random}"));
    let written =
        write_new(dir, &temporary, content, mode).and_then(|()| dir.rename(&temporary, dir, path));
    if written.is_err() {
        // What matters is the first error; a leftover has a name that tells whose it is.
        dir.remove_file(&temporary).unwrap_or_default();
    }
    written
}

/// Makes the directories that are missing, readable for the users that containers run as,
/// whatever our own file mode creation mask is.
fn make_directories(dir: &Dir, path: &Path) -> io::Result<()> {
    let mut so_far = PathBuf::new();
    for component in path.components() {
        so_far.push(component);
        if !dir.is_dir(&so_far) {
            dir.create_dir(&so_far)?;
            dir.set_permissions(&so_far, Permissions::from_mode(0o755))?;
        }
    }
    Ok(())
}

fn write_new(dir: &Dir, path: &Path, content: &[u8], mode: Mode) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode.bits());
    let mut file = dir.open_with(path, &options)?;
    file.set_permissions(Permissions::from_mode(mode.bits()))?;
    file.write_all(content)?;
    file.sync_all()
}

/// Writes a file on the inode that it has: a container that mounts this very file sees the new
/// content, which it would not after a rename.
fn write_in_place(dir: &Dir, path: &Path, content: &[u8], mode: Mode) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(mode.bits());
    let mut file = dir.open_with(path, &options)?;
    file.set_permissions(Permissions::from_mode(mode.bits()))?;
    file.write_all(content)?;
    // After the write: a reader in between sees a mix, never an empty file.
    file.set_len(content.len() as u64)?;
    file.sync_all()
}

fn remove(dir: &Dir, path: &Path) -> io::Result<()> {
    match dir.remove_file(path) {
        Err(error) if is_nothing_there(&error) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_put_in_place_or_back_is_kept() {
        let store = tempfile::tempdir().unwrap();
        let file = PlacedFile {
            content: b"new".to_vec(),
            mode: Mode::Plain,
            mounted_singly: false,
        };
        let placed = file.digest();
        for name in ["before", "long-ago", placed.as_str()] {
            std::fs::File::create(store.path().join(name)).unwrap();
        }
        let placement = Placement {
            path: crate::source::RepoPath::new("site.conf").unwrap(),
            file: Some(file),
            before: Some("before".to_owned()),
        };
        forget_others(std::iter::once(&placement), store.path());
        let left = std::fs::read_dir(store.path()).unwrap();
        let left: BTreeSet<String> = left
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        assert_eq!(left, ["before".to_owned(), placed].into());
        forget_others(std::iter::empty(), &store.path().join("nowhere"));
    }
}
