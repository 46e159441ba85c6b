//! Loads stacks as they were released last, where the head of their branch is not followed or
//! can't be loaded.

use super::gate::dir_at_head;
use super::head::{Head, Released};
use super::{LoadError, at_revision, load_one};
use crate::desired::manifest::{self, Manifest};
use crate::desired::{DesiredState, StackName};
use crate::diagnostic::Diagnostics;
use crate::gates::Suspension;
use crate::host::View;
use crate::source::{self, ReadError, RepoPath, Revision, Tree};
use crate::trust::{Refusal, Standing, UnloadableHead};

/// Loads a stack as it was released last, because the head of its branch is not followed;
/// `suspended` is what Git says for all that.
pub(super) fn kept(
    view: &View,
    release: Option<Released>,
    refusal: Refusal,
    suspended: Option<Suspension>,
) -> Result<DesiredState, LoadError> {
    let found =
        release.and_then(|release| at_revision(view, &release.commit.revision, &release.dir).ok());
    match found.map(|found| found.desired) {
        Some(Ok(mut desired)) => {
            desired.standing = Standing::Refused(refusal);
            desired.suspended = suspended;
            Ok(desired)
        }
        // What was released can't be read any more, or nothing was.
        Some(Err(_)) | None => Err(refusal.into()),
    }
}

/// Returns the stack of a directory as it was released last, where what the head of its branch says
/// of it is wrong: `loaded` is what came of loading that.
///
/// None where its manifest can't be read: it may be what says that the stack is left alone.
pub fn instead(
    view: &View,
    dir: &str,
    loaded: &Result<DesiredState, LoadError>,
) -> Option<DesiredState> {
    match loaded {
        // Why the release can't be loaded either is told once the head can be.
        Err(LoadError::State(_)) => while_unloadable(view, dir).ok().flatten(),
        Ok(_) | Err(_) => None,
    }
}

/// Returns that what the head of a stack's branch says of it can't be loaded, as the last fetch found
/// it; does not ask the remote.
///
/// # Errors
/// The record or the mirror can't be read.
pub fn unloadable(view: &View, stack: &StackName) -> Result<Option<Refusal>, LoadError> {
    let Some(dir) = dir_at_head(view, stack)? else {
        return Ok(None);
    };
    let branch = view.config.branch_of(&dir);
    let Some(head) = source::fetched(&view.mirror(), branch) else {
        return Ok(None);
    };
    let tree = Tree::at_commit(&view.mirror(), &head)?;
    let manifest = manifest_path(&dir).map(|path| tree.read(&path));
    if matches!(manifest, Some(Err(ReadError::Missing { .. }))) {
        // It is gone from Git, or has moved.
        return Ok(None);
    }
    Ok(match load_one(view, &tree, &dir) {
        Err(LoadError::State(found)) => Some(not_loadable(branch, head, &found)),
        Ok(_) | Err(_) => None,
    })
}

fn not_loadable(branch: &str, head: Revision, found: &Diagnostics) -> Refusal {
    Refusal::NotLoadable(UnloadableHead {
        branch: branch.to_owned(),
        head,
        findings: found.0.len(),
    })
}

fn while_unloadable(view: &View, dir: &str) -> Result<Option<DesiredState>, LoadError> {
    let branch = view.config.branch_of(dir);
    let Some(revision) = source::fetched(&view.mirror(), branch) else {
        return Ok(None);
    };
    let tree = Tree::at_commit(&view.mirror(), &revision)?;
    let (Some(commit), Some(manifest)) = (tree.commit(), manifest_at(&tree, dir)) else {
        return Ok(None);
    };
    let mut head = Head::new(view, branch, commit);
    if head.refusal(dir)?.is_some() {
        return Ok(None);
    }
    let Err(LoadError::State(found)) = load_one(view, &tree, dir) else {
        return Ok(None);
    };
    let Some(release) = head.release_in(dir)? else {
        return Ok(None);
    };
    let refusal = not_loadable(branch, revision, &found);
    let suspended = suspension(view, &manifest);
    let kept = kept(view, Some(release), refusal, suspended).ok();
    Ok(kept.filter(|kept| kept.stack == manifest.stack))
}

/// Returns the manifest in a directory, if there is one that can be read.
pub(super) fn manifest_at(tree: &Tree, dir: &str) -> Option<Manifest> {
    let text = tree.read(&manifest_path(dir)?).ok()?;
    manifest::parse(dir, &text).ok()
}

fn manifest_path(dir: &str) -> Option<RepoPath> {
    let dir = RepoPath::new(dir);
    dir.and_then(|dir| dir.join(manifest::FILE_NAME)).ok()
}

/// Returns that a manifest has its stack left alone.
pub(super) fn suspension(view: &View, manifest: &Manifest) -> Option<Suspension> {
    let zone = manifest.time_zone.as_ref().unwrap_or(&view.time_zone);
    let suspend = manifest.suspend.clone();
    suspend.map(|suspend| suspend.in_zone(zone))
}
