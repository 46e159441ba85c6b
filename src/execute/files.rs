//! Places repository files in the project directory, beneath it and nowhere else.
//!
//! Everything goes through a directory handle (`cap-std`): a link that a container has planted
//! there can't lead a write out of it.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt, Permissions, PermissionsExt};

use super::StepError;
use crate::observe::content_digest;
use crate::plan::Placement;

/// Writes and removes files, keeping what was there in `store`. Repeatable.
pub(super) fn place(root: &Path, files: &[Placement], store: &Path) -> Result<(), StepError> {
    let dir = open(root)?;
    for placement in files {
        let path = Path::new(placement.path.as_str());
        let failed = |source| StepError::Place {
            path: root.join(path),
            source,
        };
        keep(&dir, path, store).map_err(failed)?;
        match &placement.file {
            Some(file) => {
                let mode = if file.executable { 0o755 } else { 0o644 };
                if file.mounted_singly && dir.is_file(path) {
                    write_in_place(&dir, path, &file.content, mode).map_err(failed)?;
                } else {
                    write_atomically(&dir, path, &file.content, mode).map_err(failed)?;
                }
            }
            None => remove(&dir, path).map_err(failed)?,
        }
    }
    Ok(())
}

/// Puts back what was there before. Repeatable.
pub(super) fn put_back(root: &Path, files: &[Placement], store: &Path) -> Result<(), StepError> {
    let dir = open(root)?;
    for placement in files {
        let path = Path::new(placement.path.as_str());
        let failed = |source| StepError::Place {
            path: root.join(path),
            source,
        };
        if present(&dir, path).map_err(failed)? == placement.before {
            continue;
        }
        match &placement.before {
            Some(digest) => {
                let content = std::fs::read(store.join(digest)).map_err(failed)?;
                let mode = dir
                    .metadata(path)
                    .map_or(0o644, |there| there.permissions().mode());
                // On the same inode, because a container may mount this very file.
                write_in_place(&dir, path, &content, mode & 0o777).map_err(failed)?;
            }
            None => remove(&dir, path).map_err(failed)?,
        }
    }
    Ok(())
}

/// Returns the digest of what is at a path, if anything is.
fn present(dir: &Dir, path: &Path) -> io::Result<Option<String>> {
    match dir.read(path) {
        Ok(content) => Ok(Some(content_digest(&content))),
        Err(error) if is_nothing_there(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Something else may stand where a directory of the path should be.
fn is_nothing_there(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn open(root: &Path) -> Result<Dir, StepError> {
    let failed = |source| StepError::Place {
        path: PathBuf::from(root),
        source,
    };
    std::fs::create_dir_all(root).map_err(failed)?;
    Dir::open_ambient_dir(root, ambient_authority()).map_err(failed)
}

/// Keeps the present content of a file in the store, under its digest.
fn keep(dir: &Dir, path: &Path, store: &Path) -> io::Result<()> {
    let mut content = Vec::new();
    match dir.open(path) {
        Ok(mut file) => file.read_to_end(&mut content)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let kept = store.join(content_digest(&content));
    if kept.exists() {
        return Ok(());
    }
    std::fs::create_dir_all(store)?;
    // Only for us: what a container put into its file may be secret.
    crate::files::write_atomically(&kept, &content, 0o600)
}

fn write_atomically(dir: &Dir, path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let parent = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        make_directories(dir, parent)?;
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

fn write_new(dir: &Dir, path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    let mut file = dir.open_with(path, &options)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(content)?;
    file.sync_all()
}

/// Writes a file on the inode that it has: a container that mounts this very file sees the new
/// content, which it would not after a rename.
fn write_in_place(dir: &Dir, path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).mode(mode);
    let mut file = dir.open_with(path, &options)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(content)?;
    // After the write: a reader in between sees a mix, never an empty file.
    file.set_len(content.len() as u64)?;
    file.sync_all()
}

fn remove(dir: &Dir, path: &Path) -> io::Result<()> {
    match dir.remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
