//! Finds the files of a commit in a repository on this machine that a person names.

use std::path::{Path, PathBuf};

use git2::Repository;

use super::revision::Revision;
use super::tree::{ReadError, Tree};
use crate::secret::escape_control;

/// Why a commit of a local repository can't be read.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// There is no repository.
    #[error("{} is not in a Git repository ({message})\n  hint: name a clone, or leave --revision out to read the files as they are", path.display())]
    NotARepository {
        /// Where it was looked for, upwards.
        path: PathBuf,
        /// libgit2's words.
        message: String,
    },
    /// Nothing has this name.
    #[error(
        "there is no commit \"{revision}\" here ({message})\n  hint: clone with its history (fetch-depth: 0); a host has what its branches have"
    )]
    Unknown {
        /// What was asked for.
        revision: String,
        /// libgit2's words.
        message: String,
    },
    /// The commit can't be read.
    #[error("failed to read the state repository: {0}")]
    Read(#[from] ReadError),
}

/// Opens the files of a commit in the repository that a directory is in; `revision` is written as
/// `git rev-parse` takes it.
///
/// # Errors
/// There is no repository, or no such commit.
pub fn at_revision(dir: &Path, revision: &str) -> Result<Tree, LocalError> {
    let repository = open(dir).map_err(|error| LocalError::NotARepository {
        path: dir.to_owned(),
        message: error.message().to_owned(),
    })?;
    let found = repository
        .revparse_single(revision)
        .and_then(|object| object.peel_to_commit());
    let commit = found.map_err(|error| LocalError::Unknown {
        revision: escape_control(revision),
        message: error.message().to_owned(),
    })?;
    let revision = Revision::from(commit.id());
    Ok(Tree::at_commit(repository.commondir(), &revision)?)
}

/// Opens the repository that a directory is in.
///
/// Opened as a bare one where that can be: whose its files are says nothing here, and in CI they
/// are often somebody else's, which libgit2 refuses otherwise.
fn open(dir: &Path) -> Result<Repository, git2::Error> {
    let is_git = |path: &Path| path.join("objects").is_dir() && path.join("HEAD").is_file();
    let dir = dir
        .canonicalize()
        .map_err(|error| git2::Error::from_str(&error.to_string()))?;
    for above in dir.ancestors() {
        let inner = above.join(".git");
        if is_git(&inner) {
            return Repository::open_bare(inner);
        }
        if is_git(above) {
            return Repository::open_bare(above);
        }
        // A linked work tree: a file that says where the rest is.
        if inner.is_file() {
            return Repository::open(above);
        }
    }
    Err(git2::Error::from_str("no directory above has a .git"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::RepoPath;

    #[test]
    fn a_commit_is_found_from_a_directory_below_by_every_name() {
        let dir = tempfile::tempdir().unwrap();
        let repository = Repository::init(dir.path()).unwrap();
        let below = dir.path().join("production");
        std::fs::create_dir(&below).unwrap();
        let blob = repository.blob(b"stack: shop\n").unwrap();
        let mut tree = repository.treebuilder(None).unwrap();
        tree.insert("moored.yaml", blob, 0o100_644).unwrap();
        let tree = repository.find_tree(tree.write().unwrap()).unwrap();
        let who = git2::Signature::now("a", "a@example.org").unwrap();
        let id = repository
            .commit(Some("HEAD"), &who, &who, "one", &tree, &[])
            .unwrap();
        for name in ["HEAD", &id.to_string()[..7]] {
            let tree = at_revision(&below, name).unwrap();
            let commit = tree.commit().unwrap();
            assert_eq!(commit.revision.as_str(), id.to_string());
            let path = RepoPath::new("moored.yaml").unwrap();
            assert_eq!(tree.read(&path).unwrap(), b"stack: shop\n");
        }
        let unknown = at_revision(dir.path(), "nothing").err().unwrap();
        assert!(matches!(unknown, LocalError::Unknown { .. }), "{unknown}");
        let elsewhere = tempfile::tempdir().unwrap();
        let none = at_revision(elsewhere.path(), "HEAD").err().unwrap();
        assert!(matches!(none, LocalError::NotARepository { .. }), "{none}");
    }
}
