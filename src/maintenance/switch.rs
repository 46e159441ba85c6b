//! Switches maintenance on and off.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{Flag, MaintenanceError, Owner, observe};
use crate::files;

/// A page to put beside the flag.
#[derive(Clone, Copy)]
pub struct Page<'a> {
    /// Name of its file.
    pub name: &'a str,
    /// Its content.
    pub content: &'a [u8],
}

/// What switching on found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SwitchedOn {
    /// It was off, and is on.
    Now,
    /// It was on already, by the same owner.
    Already,
    /// It is on by somebody else, and stays theirs.
    ByAnother(Flag),
}

/// What switching off found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SwitchedOff {
    /// It was on by this owner, and is off.
    Now,
    /// It was off already.
    Already,
    /// It is on by somebody else, and stays on.
    ByAnother(Flag),
}

/// Puts the page beside the flag, then the flag. Repeatable.
///
/// The page is there before the proxy looks for it, and a flag that is there already is never
/// written over. One directory is made where its parent is there.
///
/// # Errors
/// It can't be done; the flag is then as it was.
pub fn switch_on(
    flag: &Path,
    page: Option<Page<'_>>,
    wanted: &Flag,
    instance: &str,
) -> Result<SwitchedOn, MaintenanceError> {
    let dir = directory(flag)?;
    if let Some(there) = look(flag, instance)?
        && !there.owner.is(&wanted.owner)
    {
        return Ok(SwitchedOn::ByAnother(there));
    }
    if let Some(page) = page {
        put_page(dir, page)?;
    }
    let failed = |source| MaintenanceError::Write {
        path: flag.to_owned(),
        source,
    };
    files::sweep(flag).map_err(failed)?;
    match files::create_atomically(flag, &wanted.written(), MODE) {
        Ok(()) => Ok(SwitchedOn::Now),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            match look(flag, instance)? {
                Some(there) if there.owner.is(&wanted.owner) => Ok(SwitchedOn::Already),
                Some(there) => Ok(SwitchedOn::ByAnother(there)),
                // Somebody took it away at this very moment.
                None => Err(failed(error)),
            }
        }
        Err(error) => Err(failed(error)),
    }
}

/// Takes the flag away if it is `owner`'s. Repeatable; the page stays.
///
/// # Errors
/// It can't be looked at or removed.
pub fn switch_off(
    flag: &Path,
    owner: &Owner,
    instance: &str,
) -> Result<SwitchedOff, MaintenanceError> {
    match look(flag, instance)? {
        None => return Ok(SwitchedOff::Already),
        Some(there) if !there.owner.is(owner) => return Ok(SwitchedOff::ByAnother(there)),
        Some(_) => {}
    }
    let failed = |source| MaintenanceError::Remove {
        path: flag.to_owned(),
        source,
    };
    files::sweep(flag).map_err(failed)?;
    files::remove_durably(flag).map_err(failed)?;
    Ok(SwitchedOff::Now)
}

/// Takes the flag away, whoever's it is: a person has asked for that. Repeatable; the page stays.
///
/// Returns the flag that was there.
///
/// # Errors
/// It can't be looked at or removed.
pub fn take_away(flag: &Path, instance: &str) -> Result<Option<Flag>, MaintenanceError> {
    let there = look(flag, instance)?;
    if there.is_some() {
        files::remove_durably(flag).map_err(|source| MaintenanceError::Remove {
            path: flag.to_owned(),
            source,
        })?;
    }
    Ok(there)
}

/// Readable for the user that the proxy runs as.
const MODE: u32 = 0o644;

fn look(flag: &Path, instance: &str) -> Result<Option<Flag>, MaintenanceError> {
    observe(flag, instance).map_err(|source| MaintenanceError::Look {
        path: flag.to_owned(),
        source,
    })
}

/// Returns the directory of the flag, made if only it is missing.
fn directory(flag: &Path) -> Result<&Path, MaintenanceError> {
    let dir = flag.parent().unwrap_or_else(|| Path::new("/"));
    let made = match std::fs::create_dir(dir) {
        // Whatever our own file mode creation mask is, the proxy must get in.
        Ok(()) => std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755)),
        Err(_) if dir.is_dir() => Ok(()),
        Err(error) => Err(error),
    };
    made.map(|()| dir)
        .map_err(|source| MaintenanceError::Directory {
            path: dir.to_owned(),
            source,
        })
}

fn put_page(dir: &Path, page: Page<'_>) -> Result<(), MaintenanceError> {
    let path = dir.join(page.name);
    let put = if path.parent() == Some(dir) {
        files::sweep(&path).and_then(|()| files::write_atomically(&path, page.content, MODE))
    } else {
        Err(io::Error::from(io::ErrorKind::InvalidFilename))
    };
    put.map_err(|source| MaintenanceError::Write { path, source })
}
