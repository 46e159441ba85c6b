//! Finds the manifest that an image is written into, at the head of its branch.

use super::PromoteError;
use crate::desired::StackName;
use crate::desired::manifest::{self, Manifest};
use crate::host::View;
use crate::lock::Lock;
use crate::source::{RepoPath, Revision, Tree};
use crate::stacks;
use crate::trust::Standing;

/// A manifest at the head of its branch.
pub(super) struct Target {
    pub(super) branch: String,
    pub(super) head: Revision,
    /// Directory of the manifest.
    pub(super) dir: String,
    pub(super) path: RepoPath,
    pub(super) text: String,
    pub(super) manifest: Manifest,
}

/// Fetches the branches of this host's stacks and finds the one of this name or directory, or the
/// only one; the caller shows the mirror's lock.
///
/// # Errors
/// There is none, or several; Git can't be asked; the head is not followed.
pub(super) async fn find(
    view: &View,
    asked: Option<&str>,
    mirror: &Lock,
) -> Result<Target, PromoteError> {
    let mut found = Vec::new();
    for (branch, wanted) in stacks::by_branch(view) {
        let tree = stacks::fetch(view, &branch, mirror).await?;
        let dirs = match wanted {
            Some(dirs) => dirs,
            None => stacks::manifests(&tree)?,
        };
        found.extend(dirs.iter().filter_map(|dir| read(&tree, &branch, dir)));
    }
    let target = choose(found, asked)?;
    match stacks::standing_in(view, &target.dir, &target.manifest.stack)? {
        Standing::Refused(refusal) => Err(PromoteError::Refused(Box::new(refusal))),
        Standing::Followed | Standing::Rewritten => Ok(target),
    }
}

/// Returns the manifest of a stack at a commit that the mirror has.
///
/// # Errors
/// The commit can't be read.
pub(super) fn manifest_at(
    view: &View,
    revision: &Revision,
    stack: &StackName,
) -> Result<Option<Manifest>, PromoteError> {
    let Some(dir) = stacks::find(view, revision, stack)? else {
        return Ok(None);
    };
    let tree = Tree::at_commit(&view.mirror(), revision)?;
    Ok(read(&tree, "", &dir).map(|target| target.manifest))
}

/// Reads a manifest; one that can't be read is none, as `check` and every pass tell.
fn read(tree: &Tree, branch: &str, dir: &str) -> Option<Target> {
    let path = RepoPath::new(dir).ok()?.join(manifest::FILE_NAME).ok()?;
    let text = tree.read(&path).ok()?;
    Some(Target {
        branch: branch.to_owned(),
        head: tree.commit()?.revision.clone(),
        dir: dir.to_owned(),
        manifest: manifest::parse(path.as_str(), &text).ok()?,
        text: String::from_utf8(text).ok()?,
        path,
    })
}

fn choose(found: Vec<Target>, asked: Option<&str>) -> Result<Target, PromoteError> {
    let names = found.iter().map(|one| one.manifest.stack.to_string());
    let known: Vec<String> = names.collect();
    let mut found = found.into_iter();
    let Some(asked) = asked else {
        return match (found.next(), found.next()) {
            (Some(only), None) => Ok(only),
            (None, _) | (Some(_), Some(_)) => Err(PromoteError::WhichStack { known }),
        };
    };
    let plain = asked.trim_end_matches('/');
    let is_it = |one: &Target| one.manifest.stack.as_str() == asked || one.dir == plain;
    found.find(is_it).ok_or_else(|| PromoteError::UnknownStack {
        asked: asked.to_owned(),
        known,
    })
}
