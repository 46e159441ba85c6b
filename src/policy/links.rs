//! Follows the links of places of the host, as far as they exist.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

/// How many links of one path are followed, as many as Linux does.
const MOST_LINKS: usize = 40;

/// Where places of the host lead when their links are followed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RealPaths(BTreeMap<PathBuf, PathBuf>);

impl RealPaths {
    /// Follows the links of these paths, as far as they exist.
    pub fn of<'a>(paths: impl IntoIterator<Item = &'a str>) -> Self {
        let mut found = BTreeMap::new();
        for path in paths {
            let path = Path::new(path);
            for path in [path.to_owned(), clean(path)] {
                let real = follow(&path);
                found.insert(path, real);
            }
        }
        Self(found)
    }

    /// Returns where a path leads; one that was not looked up leads where it says.
    pub fn get<'a>(&'a self, path: &'a Path) -> &'a Path {
        self.0.get(path).map_or(path, PathBuf::as_path)
    }
}

/// Takes `.` and `..` out of a path by name alone, as the engine does before it mounts.
pub(super) fn clean(path: &Path) -> PathBuf {
    let mut cleaned = PathBuf::from("/");
    for component in path.components() {
        match component {
            Component::Normal(name) => cleaned.push(name),
            Component::ParentDir => {
                cleaned.pop();
            }
            Component::RootDir | Component::CurDir | Component::Prefix(_) => {}
        }
    }
    cleaned
}

/// Follows the links of a path as the kernel does; what does not exist is taken as it is written.
///
/// Too many links lead to `/`, which nobody may mount by the way.
pub(super) fn follow(path: &Path) -> PathBuf {
    trail(path).pop().unwrap_or_else(|| PathBuf::from("/"))
}

/// Returns the links that a path leads over, and where it leads in the end.
pub(super) fn trail(path: &Path) -> Vec<PathBuf> {
    let names = |path: &Path| -> VecDeque<OsString> {
        let parts = path.components().filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_owned()),
            Component::ParentDir => Some(OsString::from("..")),
            Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
        });
        parts.collect()
    };
    let mut at = PathBuf::from("/");
    let mut ahead = names(path);
    let mut links = Vec::new();
    while let Some(name) = ahead.pop_front() {
        if name == ".." {
            at.pop();
            continue;
        }
        let next = at.join(&name);
        let Ok(target) = std::fs::read_link(&next) else {
            // No link, or nothing there.
            at = next;
            continue;
        };
        links.push(next);
        if links.len() > MOST_LINKS {
            return vec![PathBuf::from("/")];
        }
        if target.is_absolute() {
            at = PathBuf::from("/");
        }
        for name in names(&target).into_iter().rev() {
            ahead.push_front(name);
        }
    }
    links.push(at);
    links
}
