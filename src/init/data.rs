//! Looks for databases in the directories that services mount.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::files;

/// How deep it is looked below a mounted directory.
const DEPTH: usize = 3;
/// How many names are looked at in all.
const MOST: usize = 2_000;
/// How many databases are told.
const MOST_FOUND: usize = 5;

/// How an `SQLite` database begins: <https://www.sqlite.org/fileformat.html#magic_header_string>.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// Returns the `SQLite` databases at or below places of the host, as far as they can be read.
pub(super) fn sqlite_in<'a>(places: impl Iterator<Item = &'a Path>) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut left = MOST;
    for place in places {
        look(place, DEPTH, &mut left, &mut found);
    }
    found
}

fn look(place: &Path, depth: usize, left: &mut usize, found: &mut BTreeSet<PathBuf>) {
    if found.len() >= MOST_FOUND {
        return;
    }
    let Ok(about) = place.symlink_metadata() else {
        return;
    };
    if about.is_file() && is_sqlite(place) {
        found.insert(place.to_owned());
    }
    if !about.is_dir() || depth == 0 {
        return;
    }
    let entries = std::fs::read_dir(place).into_iter().flatten().flatten();
    let mut below: Vec<PathBuf> = Vec::new();
    for entry in entries {
        let Some(rest) = left.checked_sub(1) else {
            break;
        };
        *left = rest;
        below.push(entry.path());
    }
    below.sort();
    for path in below {
        look(&path, depth - 1, left, found);
    }
}

fn is_sqlite(path: &Path) -> bool {
    let ends = ["db", "sqlite", "sqlite3"];
    let end = path.extension().and_then(|end| end.to_str());
    if !end.is_some_and(|end| ends.contains(&end)) {
        return false;
    }
    let Ok(Some((mut file, _))) = files::open_regular(path) else {
        return false;
    };
    let mut begin = [0; MAGIC.len()];
    file.read_exact(&mut begin).is_ok() && begin == *MAGIC
}
