//! Paths inside the state repository.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::secret::escape_control;

/// Longest path in bytes: the limit of the host's file systems (`PATH_MAX`), where every file
/// of a tree may be written one day.
const LONGEST: usize = 4096;

/// A path beneath the root of a tree: relative, `/` between components, no `.` and no `..`, and
/// no component that Git itself forbids. The empty path is the root.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RepoPath(String);

/// Why a text is no path inside the repository.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// It begins with `/`.
    #[error("\"{}\" is an absolute path; write it relative to the file it is written in", escape_control(.0))]
    Absolute(String),
    /// `..` leads above the root.
    #[error("\"{}\" leads out of the repository", escape_control(.0))]
    Outside(String),
    /// A component is a name that no file of a repository may have.
    #[error("\"{}\" has a component that no file in a repository may have ({reason})", escape_control(.path))]
    Component {
        /// The path as written.
        path: String,
        /// What is wrong with the component.
        reason: &'static str,
    },
    /// Longer than any file system takes.
    #[error("a path of {0} bytes is longer than the {LONGEST} that a file system takes")]
    TooLong(usize),
}

impl RepoPath {
    /// Reads a path relative to the root; `.` components and doubled or trailing slashes are
    /// dropped, `..` is resolved by name alone.
    pub fn new(text: &str) -> Result<Self, PathError> {
        Self::root().join(text)
    }

    /// Returns the root itself.
    pub fn root() -> Self {
        Self(String::new())
    }

    /// Returns the path that `text`, written relative to this directory, leads to.
    pub fn join(&self, text: &str) -> Result<Self, PathError> {
        if text.starts_with('/') {
            return Err(PathError::Absolute(text.to_owned()));
        }
        let mut parts: Vec<&str> = self.components().collect();
        for part in text.split('/') {
            match part {
                "" | "." => {}
                ".." => {
                    if parts.pop().is_none() {
                        return Err(PathError::Outside(text.to_owned()));
                    }
                }
                name => {
                    check_name(name).map_err(|reason| PathError::Component {
                        path: text.to_owned(),
                        reason,
                    })?;
                    parts.push(name);
                }
            }
        }
        let path = parts.join("/");
        if path.len() > LONGEST {
            return Err(PathError::TooLong(path.len()));
        }
        Ok(Self(path))
    }

    /// Returns the directory that holds this path; none for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        let parent = self.0.rsplit_once('/').map_or("", |(parent, _)| parent);
        Some(Self(parent.to_owned()))
    }

    /// Returns the last component; none for the root.
    pub fn file_name(&self) -> Option<&str> {
        self.components().next_back()
    }

    /// Returns the components from the root down.
    pub fn components(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/').filter(|part| !part.is_empty())
    }

    /// Returns whether this is `directory` itself or lies beneath it.
    pub fn is_within(&self, directory: &Self) -> bool {
        directory.is_root()
            || self
                .0
                .strip_prefix(&directory.0)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }

    /// Returns whether this is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the path as text; empty for the root.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Says what is wrong with the name of a file or directory, if anything is.
///
/// The names are those that Git refuses to check out (`verify_path`), because reading trees
/// directly skips that check, and control characters, which would forge lines of a log.
pub(super) fn check_name(name: &str) -> Result<(), &'static str> {
    let folded = name.to_ascii_lowercase();
    if name.is_empty() {
        Err("an empty name")
    } else if name == "." || name == ".." {
        Err("\".\" or \"..\" as a name")
    } else if folded == ".git" || folded == "git~1" {
        Err("the name of Git's own directory")
    } else if name.contains('/') {
        Err("a name with a slash")
    } else if name.chars().any(char::is_control) {
        Err("a control character")
    } else {
        Ok(())
    }
}

impl fmt::Display for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            f.write_str(".")
        } else {
            f.write_str(&escape_control(&self.0))
        }
    }
}

impl fmt::Debug for RepoPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl TryFrom<String> for RepoPath {
    type Error = PathError;

    fn try_from(text: String) -> Result<Self, PathError> {
        Self::new(&text)
    }
}

impl From<RepoPath> for String {
    fn from(path: RepoPath) -> Self {
        path.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(text: &str) -> String {
        RepoPath::new(text).unwrap().as_str().to_owned()
    }

    #[test]
    fn reads_paths_and_drops_what_means_nothing() {
        assert_eq!(path("a/b"), "a/b");
        assert_eq!(path("./a//b/"), "a/b");
        assert_eq!(path("a/../b"), "b");
        assert_eq!(path("."), "");
        assert_eq!(RepoPath::root().to_string(), ".");
    }

    #[test]
    fn joins_beneath_the_root_only() {
        let dir = RepoPath::new("stacks/blog").unwrap();
        assert_eq!(
            dir.join("../compose.yaml").unwrap().as_str(),
            "stacks/compose.yaml"
        );
        assert_eq!(dir.join("../..").unwrap(), RepoPath::root());
        assert!(matches!(
            dir.join("../../../x"),
            Err(PathError::Outside(text)) if text == "../../../x"
        ));
        assert!(matches!(
            dir.join("/etc/passwd"),
            Err(PathError::Absolute(_))
        ));
    }

    #[test]
    fn refuses_names_that_git_refuses() {
        for text in [
            ".git/config",
            "a/.GIT",
            "git~1",
            "a\0b",
            "a\nb",
            "x/\u{1b}[2J",
        ] {
            assert!(
                matches!(RepoPath::new(text), Err(PathError::Component { .. })),
                "{text:?}"
            );
        }
        assert_eq!(path(".gitignore"), ".gitignore");
    }

    #[test]
    fn refuses_what_no_file_system_takes() {
        let long = format!("{}x", "abc/".repeat(1024));
        assert_eq!(RepoPath::new(&long), Err(PathError::TooLong(4097)));
    }

    #[test]
    fn knows_parents_and_containment() {
        let file = RepoPath::new("a/b/c.yaml").unwrap();
        let dir = RepoPath::new("a/b").unwrap();
        assert_eq!(file.parent().unwrap(), dir);
        assert_eq!(file.file_name(), Some("c.yaml"));
        assert_eq!(RepoPath::root().parent(), None);
        assert!(file.is_within(&dir) && file.is_within(&RepoPath::root()));
        assert!(!RepoPath::new("a/bc").unwrap().is_within(&dir));
    }

    #[test]
    fn survives_a_round_trip_and_checks_on_the_way_in() {
        let path = RepoPath::new("a/b").unwrap();
        let json = serde_json::to_string(&path).unwrap();
        assert_eq!(json, "\"a/b\"");
        assert_eq!(serde_json::from_str::<RepoPath>(&json).unwrap(), path);
        assert!(serde_json::from_str::<RepoPath>("\"../a\"").is_err());
    }
}
