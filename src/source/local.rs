//! Finds the files of a commit in a repository on this machine that a person names.

use std::path::{Path, PathBuf};

use git2::Repository;

use super::revision::Revision;
use super::tree::{ReadError, Tree};
use super::url::Remote;
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

/// A work tree that a directory is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WorkTree {
    /// Its directory.
    pub root: PathBuf,
    /// The branch that it has; `None` where it has none.
    pub branch: Option<String>,
    /// Where it came from, as the settings take it; `None` where they can't.
    pub origin: Option<String>,
}

/// Finds the work tree that a directory is in, which need not be there yet.
pub fn work_tree(dir: &Path) -> Option<WorkTree> {
    let mut above = dir.ancestors();
    let root = above.find(|dir| dir.join(".git").exists())?;
    let repository = open(root).ok()?;
    let head = repository.find_reference("HEAD").ok();
    let head = head.as_ref().and_then(|head| head.symbolic_target().ok()?);
    let branch = head.and_then(|head| head.strip_prefix("refs/heads/"));
    let origin = repository.find_remote("origin").ok();
    let origin = origin.as_ref().and_then(|origin| origin.url().ok());
    Some(WorkTree {
        root: root.to_owned(),
        branch: branch.map(str::to_owned),
        origin: origin.and_then(for_settings),
    })
}

/// Returns the address of a remote as the settings take it: without a password, and with a scheme.
fn for_settings(url: &str) -> Option<String> {
    let url = match url.split_once("://") {
        Some((scheme, rest)) => {
            let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
            let (user, host) = authority.rsplit_once('@').unwrap_or(("", authority));
            let user = user.split(':').next().unwrap_or_default();
            let at = match scheme {
                "ssh" if !user.is_empty() => format!("{user}@"),
                _ => String::new(),
            };
            format!("{scheme}://{at}{host}/{path}")
        }
        None if url.starts_with('/') => url.to_owned(),
        None => {
            let (host, path) = url.split_once(':')?;
            format!("ssh://{host}/{}", path.trim_start_matches('/'))
        }
    };
    Remote::parse(&url).ok().map(|_| url)
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

    #[test]
    fn a_work_tree_is_told_as_the_settings_have_it() {
        for (url, told) in [
            (
                "git@git.example.org:ops/state.git",
                Some("ssh://git@git.example.org/ops/state.git"),
            ),
            (
                "https://ada:hunter2@git.example.org/s.git",
                Some("https://git.example.org/s.git"),
            ),
            (
                "ssh://git:x@git.example.org:2222/s.git",
                Some("ssh://git@git.example.org:2222/s.git"),
            ),
            ("/srv/state.git", Some("/srv/state.git")),
            ("../state", None),
            ("ftp://git.example.org/s.git", None),
        ] {
            assert_eq!(for_settings(url).as_deref(), told, "{url}");
        }
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(work_tree(dir.path()), None);
        let repository = Repository::init(dir.path()).unwrap();
        repository.set_head("refs/heads/next").unwrap();
        let url = "https://git.example.org/s.git";
        repository.remote("origin", url).unwrap();
        let below = dir.path().join("not/there/yet");
        let found = work_tree(&below).unwrap();
        assert_eq!(found.root, dir.path());
        assert_eq!(found.branch.as_deref(), Some("next"));
        assert_eq!(found.origin.as_deref(), Some(url));
    }
}
