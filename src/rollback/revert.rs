//! Makes the commit that puts a stack's files back.

use std::collections::{BTreeMap, BTreeSet};

use super::{FileChange, Head, Revert, RollbackError, Work};
use crate::record::Released;
use crate::source::{self, Changes, CommitText, RepoPath, Revision, Tree};
use crate::stacks::{self, AtRevision};

/// Rounds in which putting files back may show others: a directory's listing is one, so two do.
const ROUNDS: usize = 8;

impl Work<'_> {
    /// Writes the commit on top of the branch that makes the stack what it was; none when it is
    /// that already.
    ///
    /// Put back are the files that loading the stack asks for: at the release, and at the head
    /// unless another stack asks for them too. What is made is loaded again, and whatever that
    /// asks for beyond is put back as well, until it is the release, file by file.
    pub(super) fn revert(
        &self,
        head: &Head,
        target: &Released,
        content: &AtRevision,
    ) -> Result<Option<Revert>, RollbackError> {
        let mirror = self.view.mirror();
        let parent = &head.commit.revision;
        let (now, then) = (
            Tree::at_commit(&mirror, parent)?,
            Tree::at_commit(&mirror, &target.release.id.revision)?,
        );
        let here = stacks::find(self.view, parent, &self.stack)?;
        let others = self.others(head, &[here.as_deref(), Some(&content.dir)])?;
        let of_others: BTreeSet<&RepoPath> = others.values().flatten().collect();
        let at_head =
            stacks::at_revision(self.view, parent, here.as_ref().unwrap_or(&content.dir))?;
        let own = at_head
            .files
            .keys()
            .filter(|path| !of_others.contains(path));
        let mut paths: BTreeSet<RepoPath> = content.files.keys().chain(own).cloned().collect();
        let text = self.text(target);
        for _ in 0..ROUNDS {
            let changes = differing(&paths, &now, &then)?;
            let commit = if changes.is_empty() {
                parent.clone()
            } else {
                source::commit_on(&mirror, parent, &changes, &text)?
            };
            let made = stacks::at_revision(self.view, &commit, &content.dir)?;
            let missing = missing(&made.files, &then)?;
            if missing.is_empty() {
                let is_new = commit != *parent;
                return Ok(is_new.then(|| revert(head, commit, &changes, &others, &text)));
            }
            let more = missing.difference(&paths).cloned().collect::<Vec<_>>();
            if more.is_empty() {
                return Err(elsewhere(target, &missing));
            }
            paths.extend(more);
        }
        Err(elsewhere(target, &paths))
    }

    /// Returns the files that other stacks of this branch are made of, by their name or directory.
    fn others(
        &self,
        head: &Head,
        own: &[Option<&str>],
    ) -> Result<BTreeMap<String, BTreeSet<RepoPath>>, RollbackError> {
        let revision = &head.commit.revision;
        // Those of other hosts as well, as far as they can be loaded here.
        let dirs = stacks::manifests(&Tree::at_commit(&self.view.mirror(), revision)?)?;
        let mut others = BTreeMap::new();
        for dir in dirs {
            if own.contains(&Some(dir.as_str())) {
                continue;
            }
            let found = stacks::at_revision(self.view, revision, &dir)?;
            let name = match &found.desired {
                Ok(desired) => desired.stack.to_string(),
                Err(_) => found.dir,
            };
            let there = found.files.into_iter().filter(|(_, blob)| blob.is_some());
            others.insert(name, there.map(|(path, _)| path).collect());
        }
        Ok(others)
    }

    fn text(&self, target: &Released) -> CommitText {
        let id = &target.release.id;
        let host = crate::host::name();
        let by = self.ask.by.as_deref().unwrap_or("somebody");
        let subject = crate::secret::escape_control(&target.subject);
        let message = format!(
            "Revert {stack} to {id}\n\nThe files of stack {stack} are again as in commit \
             {revision}:\n\n    {subject}\n\nRun by {by} on {host}, by moored rollback.\n",
            stack = self.stack,
            revision = id.revision,
        );
        stacks::commit_text(self.view, message)
    }
}

fn elsewhere(target: &Released, paths: &BTreeSet<RepoPath>) -> RollbackError {
    RollbackError::Elsewhere {
        release: target.release.id.clone(),
        path: paths.first().map(ToString::to_string).unwrap_or_default(),
    }
}

fn revert(
    head: &Head,
    commit: Revision,
    changes: &Changes,
    others: &BTreeMap<String, BTreeSet<RepoPath>>,
    text: &CommitText,
) -> Revert {
    let of = |paths: &BTreeSet<RepoPath>| -> BTreeSet<RepoPath> {
        let touched = paths.iter().filter(|path| changes.contains_key(*path));
        touched.cloned().collect()
    };
    let shared = others.iter().map(|(name, paths)| (name.clone(), of(paths)));
    Revert {
        commit,
        parent: head.commit.revision.clone(),
        branch: head.branch.clone(),
        subject: text.message.lines().next().unwrap_or_default().to_owned(),
        files: changes
            .iter()
            .map(|(path, blob)| match blob {
                Some(_) => (path.clone(), FileChange::PutBack),
                None => (path.clone(), FileChange::Removed),
            })
            .collect(),
        shared: shared.filter(|(_, paths)| !paths.is_empty()).collect(),
    }
}

/// Returns what is to be at those of `paths` where two commits differ: what was there then.
fn differing(
    paths: &BTreeSet<RepoPath>,
    now: &Tree,
    then: &Tree,
) -> Result<Changes, RollbackError> {
    let mut changes = Changes::new();
    for path in paths {
        let was = then.stored(path)?;
        if now.stored(path)? != was {
            changes.insert(path.clone(), was);
        }
    }
    Ok(changes)
}

/// Returns the paths at which something else is than then.
fn missing(files: &Changes, then: &Tree) -> Result<BTreeSet<RepoPath>, RollbackError> {
    let mut missing = BTreeSet::new();
    for (path, blob) in files {
        if then.stored(path)? != *blob {
            missing.insert(path.clone());
        }
    }
    Ok(missing)
}
