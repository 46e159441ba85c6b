//! Writes a commit into the mirror: the files of its parent, some of them put back.
//!
//! Only the trees on the way to a changed path are written anew. An index would write every tree
//! anew, and with that "correct" what other people committed long ago.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use git2::{Oid, Repository, Signature, Time};

use super::commit::{Blob, DIRECTORY, PLAIN};
use super::mirror;
use super::path::RepoPath;
use super::revision::Revision;

/// Who made a commit, when, and what for.
#[derive(Clone, Debug)]
pub struct CommitText {
    /// Name of the author and committer.
    pub name: String,
    /// Their address.
    pub email: String,
    /// When, in seconds since 1970.
    pub at: i64,
    /// The whole message: subject, empty line, body.
    pub message: String,
}

/// Why a commit could not be written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommitError {
    /// A file is to be where a directory with other files is, or the other way round.
    #[error(
        "{path} was a file and is a directory with other files now, or the other way round; \
         move what is in the way and run it again"
    )]
    InTheWay {
        /// Where.
        path: RepoPath,
    },
    /// The mirror can't be written.
    #[error(
        "failed to write a commit into {path} ({message}); check free space and permissions",
        path = path.display()
    )]
    Write {
        /// The mirror.
        path: PathBuf,
        /// libgit2's words.
        message: String,
    },
}

/// Writes the content of a file into the mirror, to be committed; it may be executed where the one
/// that it takes the place of may.
///
/// # Errors
/// The mirror can't be written.
pub fn write_file(
    mirror: &Path,
    content: &[u8],
    before: Option<Blob>,
) -> Result<Blob, CommitError> {
    let written = mirror::open(mirror).and_then(|repository| repository.blob(content));
    let id = written.map_err(|error| CommitError::Write {
        path: mirror.to_owned(),
        message: error.message().to_owned(),
    })?;
    let mode = before.map_or(PLAIN, |before| before.mode);
    Ok(Blob { id, mode })
}

/// What is to be at some paths of a commit: none = nothing.
pub type Changes = BTreeMap<RepoPath, Option<Blob>>;

/// Writes a commit on top of `parent` whose files differ from the parent's in `changes`; no
/// branch points at it yet.
///
/// The caller must hold the mirror's lock, and the blobs must be in the mirror.
///
/// # Errors
/// A change can't be made beside what is there, or the mirror can't be written.
pub fn commit_on(
    mirror: &Path,
    parent: &Revision,
    changes: &Changes,
    text: &CommitText,
) -> Result<Revision, CommitError> {
    let failed = |error: git2::Error| CommitError::Write {
        path: mirror.to_owned(),
        message: error.message().to_owned(),
    };
    let repository = mirror::open(mirror).map_err(failed)?;
    let id = Oid::from_str(parent.as_str()).map_err(failed)?;
    let parent = repository.find_commit(id).map_err(failed)?;
    let writing = Writing {
        repository: &repository,
        mirror,
    };
    let changes: Vec<Change<'_>> = changes
        .iter()
        .map(|(path, blob)| (path.components().collect(), *blob))
        .collect();
    let root = writing.tree(&RepoPath::root(), Some(parent.tree_id()), &changes)?;
    let root = match root {
        Some(root) => root,
        // Every file is gone: a commit has a tree all the same.
        None => (repository.treebuilder(None))
            .and_then(|empty| empty.write())
            .map_err(failed)?,
    };
    let tree = repository.find_tree(root).map_err(failed)?;
    let who = Signature::new(&text.name, &text.email, &Time::new(text.at, 0)).map_err(failed)?;
    repository
        .commit(None, &who, &who, &text.message, &tree, &[&parent])
        .map(Revision::from)
        .map_err(failed)
}

/// A path below the tree at hand, and what is to be there.
type Change<'a> = (Vec<&'a str>, Option<Blob>);

struct Writing<'a> {
    repository: &'a Repository,
    mirror: &'a Path,
}

impl Writing<'_> {
    fn failed(&self, error: &git2::Error) -> CommitError {
        CommitError::Write {
            path: self.mirror.to_owned(),
            message: error.message().to_owned(),
        }
    }

    /// Writes the tree at `here` with changes made to it; none when nothing is left in it.
    fn tree(
        &self,
        here: &RepoPath,
        base: Option<Oid>,
        changes: &[Change<'_>],
    ) -> Result<Option<Oid>, CommitError> {
        let failed = |error| self.failed(&error);
        let base = base.map(|id| self.repository.find_tree(id)).transpose();
        let base = base.map_err(failed)?;
        let mut builder = (self.repository.treebuilder(base.as_ref())).map_err(failed)?;
        for (name, (leaf, below)) in by_first_name(changes) {
            let path = here
                .join(name)
                .map_err(|_| CommitError::InTheWay { path: here.clone() })?;
            let before = base.as_ref().and_then(|tree| tree.get_name(name));
            let before = before.map(|entry| (entry.id(), entry.filemode_raw()));
            let subtree = before.filter(|(_, mode)| *mode == DIRECTORY);
            let mut after = match (leaf, before) {
                (Some(blob), _) => blob.map(|blob| (blob.id, blob.mode)),
                (None, before) => before,
            };
            if !below.is_empty() || (leaf.is_some() && subtree.is_some()) {
                let inner = self.tree(&path, subtree.map(|(id, _)| id), &below)?;
                // A directory stays where only a file of its name is taken away.
                let file = after.filter(|(_, mode)| *mode != DIRECTORY);
                after = match (inner, file) {
                    (Some(_), Some(_)) => return Err(CommitError::InTheWay { path }),
                    (Some(tree), None) => Some((tree, DIRECTORY)),
                    (None, file) => file,
                };
            }
            if after == before {
                continue;
            }
            match after {
                Some((id, mode)) => drop(builder.insert(name, id, mode).map_err(failed)?),
                None => builder.remove(name).map_err(failed)?,
            }
        }
        if builder.is_empty() {
            return Ok(None);
        }
        builder.write().map(Some).map_err(failed)
    }
}

/// What is to be at a name itself, when it is to change, and below it.
type AtName<'a> = (Option<Option<Blob>>, Vec<Change<'a>>);

fn by_first_name<'a>(changes: &[Change<'a>]) -> BTreeMap<&'a str, AtName<'a>> {
    let mut names: BTreeMap<&str, AtName<'_>> = BTreeMap::new();
    for (path, blob) in changes {
        let Some((first, rest)) = path.split_first() else {
            continue;
        };
        let (leaf, below) = names.entry(first).or_default();
        if rest.is_empty() {
            *leaf = Some(*blob);
        } else {
            below.push((rest.to_vec(), *blob));
        }
    }
    names
}
