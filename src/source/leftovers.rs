//! Clears away what an ended fetch left in the mirror.

use std::fs;
use std::io;
use std::path::Path;

/// Removes locks and half-written files from the mirror. Right only for its sole user: a lock
/// that is there when a fetch begins belongs to nobody any more.
pub(super) fn remove(mirror: &Path) -> io::Result<()> {
    remove_in(mirror, is_lock)?;
    remove_in(&mirror.join("objects"), is_temporary)?;
    remove_in(&mirror.join("objects/pack"), is_temporary)?;
    let mut waiting = vec![mirror.join("refs")];
    while let Some(directory) = waiting.pop() {
        remove_in(&directory, is_lock)?;
        for entry in entries(&directory)? {
            if entry.file_type()?.is_dir() {
                waiting.push(entry.path());
            }
        }
    }
    Ok(())
}

/// Returns the number of packs in the mirror.
pub(super) fn count_packs(mirror: &Path) -> usize {
    entries(&mirror.join("objects/pack")).map_or(0, |entries| {
        entries
            .iter()
            .filter(|entry| entry.path().extension().is_some_and(|e| e == "pack"))
            .count()
    })
}

fn is_lock(name: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|extension| extension == "lock")
}

/// The names that libgit2 gives to packs and objects it has not finished.
fn is_temporary(name: &str) -> bool {
    is_lock(name) || name.contains("_git2_")
}

fn remove_in(directory: &Path, unwanted: fn(&str) -> bool) -> io::Result<()> {
    for entry in entries(directory)? {
        if entry.file_name().to_str().is_some_and(unwanted) && !entry.file_type()?.is_dir() {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

fn entries(directory: &Path) -> io::Result<Vec<fs::DirEntry>> {
    match fs::read_dir(directory) {
        Ok(entries) => entries.collect(),
        // A damaged mirror may lack any part; that is for libgit2 to find.
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            Ok(Vec::new())
        }
        Err(e) => Err(e),
    }
}
