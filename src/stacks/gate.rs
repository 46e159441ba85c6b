//! Finds out what a change of a stack has to wait for: whether it is new, and who has approved it.

use std::collections::BTreeMap;

use super::head::{Head, Released, commit_at, standing_in};
use super::stays::{manifest_at, suspension};
use super::{LoadError, at_revision, by_branch, manifests, nameless, shown};
use crate::desired::{DesiredState, StackName};
use crate::gates::{self, ApprovalRule, Closed, Nameless};
use crate::host::View;
use crate::plan::{self, Waits};
use crate::source::{self, Changes, CommitInfo, ReadError, RepoPath, Revision, Tree};
use crate::trust::{self, AllowedSigners, Arrival, Gate, NoApproval, Standing, Unapproved};

/// How far back releases are looked at for a way back: months of deploys.
pub const LOOK_BACK: usize = 64;

/// Most commits that are looked at for an approval: months of a state repository.
const MOST_COMMITS: usize = 1000;

/// Returns what a change of a stack at the head of its branch has to wait for.
///
/// # Errors
/// The record or the mirror can't be read.
pub(super) fn gate(
    view: &View,
    head: &Revision,
    dir: &str,
    stack: &StackName,
) -> Result<Gate, LoadError> {
    if !has_rules(view, dir, stack) {
        return Ok(Gate::default());
    }
    let here = at_revision(view, head, dir)?.files;
    gate_of(view, Some(head), dir, stack, &here)
}

/// Returns what a change of a stack would have to wait for if its branch had the files of a tree,
/// which has just been asked for those of the stack and no others.
///
/// # Errors
/// The record, the mirror or the tree can't be read.
pub(super) fn gate_of_tree(
    view: &View,
    tree: &Tree,
    dir: &str,
    stack: &StackName,
) -> Result<Gate, LoadError> {
    if !has_rules(view, dir, stack) {
        return Ok(Gate::default());
    }
    let stored = |path: RepoPath| Ok((path.clone(), tree.stored(&path)?));
    let here = tree.asked().into_iter().map(stored);
    let here = here.collect::<Result<Changes, ReadError>>()?;
    let head = tree.commit().map(|commit| &commit.revision);
    // A commit of another repository has signatures, and nobody vouches for that repository.
    let head = head.filter(|head| Tree::at_commit(&view.mirror(), head).is_ok());
    gate_of(view, head, dir, stack, &here)
}

/// Returns that the settings let changes of a stack in at other hours than now; `shown` is the
/// directory of its manifest as it is shown.
pub fn closed(view: &View, stack: &StackName, shown: &str) -> Option<Closed> {
    let window = gates::of(&view.config.windows, stack.as_str(), shown)?;
    let window = window.clone().in_zone(&view.time_zone);
    window.closed(view.clock.now())
}

/// Returns who must approve what is new in a stack, if the settings say so.
pub fn approvers(view: &View, stack: &StackName, shown: &str) -> Vec<String> {
    let rule = gates::of(&view.config.approvals, stack.as_str(), shown);
    rule.map(|rule| rule.signers.clone()).unwrap_or_default()
}

fn has_rules(view: &View, dir: &str, stack: &StackName) -> bool {
    let (name, shown) = (stack.as_str(), shown(dir));
    gates::of(&view.config.windows, name, &shown).is_some()
        || gates::of(&view.config.approvals, name, &shown).is_some()
}

/// Returns what files of a stack have to wait for; `head` is the commit that has them, where the
/// mirror has that.
fn gate_of(
    view: &View,
    head: Option<&Revision>,
    dir: &str,
    stack: &StackName,
    here: &Changes,
) -> Result<Gate, LoadError> {
    let shown = shown(dir);
    let rule = gates::of(&view.config.approvals, stack.as_str(), &shown);
    let arrival = arrival(view, here, stack)?;
    let unapproved = match (rule, &arrival) {
        (Some(rule), Arrival::New) => match head {
            Some(head) => {
                let asked = Asked {
                    view,
                    head,
                    dir,
                    stack,
                    here,
                    rule,
                };
                asked.unapproved()?
            }
            None => Some(Unapproved {
                stack: stack.to_string(),
                head: CommitInfo::uncommitted().revision,
                signers: rule.signers.clone(),
                trailer: rule.trailer.clone(),
                why: Some("these files are in no commit that this host has fetched".to_owned()),
            }),
        },
        (Some(_), Arrival::Released | Arrival::GoesBack) | (None, _) => None,
    };
    Ok(Gate {
        arrival,
        closed: closed(view, stack, &shown),
        unapproved,
        nameless: Vec::new(),
    })
}

/// Returns what a stack, and the head of its branch as the last fetch found it, have to wait for;
/// does not ask the remote.
///
/// # Errors
/// The record can't be read.
pub fn waiting(view: &View, stack: &StackName) -> Result<Vec<Waits>, LoadError> {
    let Some(record) = &view.record else {
        return Ok(Vec::new());
    };
    let on_host = record.suspension(stack)?;
    let here = plan::suspended_here(stack, on_host.as_ref(), view.clock.now());
    let mut found: Vec<Waits> = here.into_iter().collect();
    // Git has no say in a stack that is pinned.
    if record.pin(stack)?.is_none() {
        match waiting_at_head(view, stack) {
            Ok(more) => found.extend(more),
            // A mirror that is gone or damaged is made again by the next pass.
            Err(LoadError::Read(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn waiting_at_head(view: &View, stack: &StackName) -> Result<Vec<Waits>, LoadError> {
    let head = dir_at_head(view, stack)?.and_then(|dir| {
        let branch = view.config.branch_of(&dir);
        let head = source::fetched(&view.mirror(), branch)?;
        Some((head, dir))
    });
    let Some((head, dir)) = head else {
        return Ok(Vec::new());
    };
    // What is not followed is not read.
    if matches!(standing_in(view, &dir, stack)?, Standing::Refused(_)) {
        return Ok(Vec::new());
    }
    let tree = Tree::at_commit(&view.mirror(), &head)?;
    let manifest = manifest_at(&tree, &dir);
    // What can't be read is told by a pass.
    let Some(manifest) = manifest.filter(|manifest| manifest.stack == *stack) else {
        return Ok(Vec::new());
    };
    let now = view.clock.now();
    let in_git = suspension(view, &manifest);
    let mut found: Vec<Waits> = plan::suspended_in_git(in_git.as_ref(), now)
        .into_iter()
        .collect();
    let mut gate = gate(view, &head, &dir, stack)?;
    let rules = nameless::meant_for(view, stack, &dir)?;
    wait_also(view, &mut gate, (&head, &dir), stack, rules)?;
    if gate.arrival == Arrival::New {
        found.extend(plan::waits_at(&gate));
    }
    Ok(found)
}

/// Returns the directory of a stack at the head of its branch; that of its last release where it is
/// in none that can be read there.
pub(super) fn dir_at_head(view: &View, stack: &StackName) -> Result<Option<String>, LoadError> {
    let Some(Released { dir, .. }) = Released::of(view, stack)? else {
        return Ok(in_git(view)?.remove(stack));
    };
    let head = source::fetched(&view.mirror(), view.config.branch_of(&dir));
    let tree = head.map(|head| Tree::at_commit(&view.mirror(), &head));
    let manifest = tree.transpose()?.and_then(|tree| manifest_at(&tree, &dir));
    if manifest.is_some_and(|manifest| manifest.stack == *stack) {
        return Ok(Some(dir));
    }
    // It may have moved.
    Ok(in_git(view)?.remove(stack).or(Some(dir)))
}

/// Returns the stacks of this host at the heads of their branches, as the last fetch found them, with
/// the directory of each; those of a head that is not followed are left out. Does not ask the remote.
///
/// # Errors
/// The record or the mirror can't be read.
pub fn in_git(view: &View) -> Result<BTreeMap<StackName, String>, LoadError> {
    let mut found = BTreeMap::new();
    for (branch, dirs) in by_branch(view) {
        let Some(revision) = source::fetched(&view.mirror(), &branch) else {
            continue;
        };
        let tree = Tree::at_commit(&view.mirror(), &revision)?;
        let Some(commit) = tree.commit() else {
            continue;
        };
        let mut head = Head::new(view, &branch, commit);
        let dirs = match dirs {
            Some(dirs) => dirs,
            None if head.refusal("")?.is_some() => continue,
            None => manifests(&tree)?,
        };
        for dir in dirs {
            if head.refusal(&dir)?.is_none() {
                let manifest = manifest_at(&tree, &dir);
                found.extend(manifest.map(|manifest| (manifest.stack, dir)));
            }
        }
    }
    Ok(found)
}

/// Has what is new in a stack wait for rules of the settings that name no stack and may be meant for
/// it.
///
/// # Errors
/// The record or the mirror can't be read.
pub(super) fn wait_for_rules(
    view: &View,
    dir: &str,
    desired: &mut DesiredState,
    rules: Vec<Nameless>,
) -> Result<(), LoadError> {
    let head = desired.commit.revision.clone();
    wait_also(view, &mut desired.gate, (&head, dir), &desired.stack, rules)
}

fn wait_also(
    view: &View,
    gate: &mut Gate,
    (head, dir): (&Revision, &str),
    stack: &StackName,
    rules: Vec<Nameless>,
) -> Result<(), LoadError> {
    if *gate == Gate::default() && !rules.is_empty() {
        gate.arrival = match at_revision(view, head, dir) {
            Ok(here) => arrival(view, &here.files, stack)?,
            // Files of no commit that was fetched.
            Err(_) => Arrival::New,
        };
    }
    gate.nameless = rules;
    Ok(())
}

/// Compares what loading a stack asks for with its releases.
fn arrival(view: &View, here: &Changes, stack: &StackName) -> Result<Arrival, LoadError> {
    let Some(record) = &view.record else {
        return Ok(Arrival::New);
    };
    let releases = record.releases(stack, LOOK_BACK)?;
    let revision = |one: &crate::record::Released| one.release.id.revision.clone();
    let same = |one: &crate::record::Released| is_same(view, here, &revision(one));
    Ok(match releases.iter().position(same) {
        Some(0) => Arrival::Released,
        Some(_) => Arrival::GoesBack,
        None => Arrival::New,
    })
}

/// Returns whether a commit stores the same at every path; one that can't be read does not.
fn is_same(view: &View, files: &Changes, revision: &Revision) -> bool {
    let Ok(tree) = Tree::at_commit(&view.mirror(), revision) else {
        return false;
    };
    let mut files = files.iter();
    files.all(|(path, blob)| tree.stored(path).is_ok_and(|stored| stored == *blob))
}

/// Something new of which it is asked who has approved it.
struct Asked<'a> {
    view: &'a View,
    head: &'a Revision,
    dir: &'a str,
    stack: &'a StackName,
    here: &'a Changes,
    rule: &'a ApprovalRule,
}

impl Asked<'_> {
    /// Returns that nobody has, if so: no commit since the last release which has the same files.
    fn unapproved(&self) -> Result<Option<Unapproved>, LoadError> {
        let Self {
            view, rule, stack, ..
        } = *self;
        let signers = rule.allowed_signers.as_deref().or_else(|| {
            let verify = view.config.verify_of(self.dir)?;
            Some(verify.allowed_signers.as_path())
        });
        let Some(path) = signers else {
            let why = "nobody's keys are known: say allowed_signers there, or repository.verify";
            return Ok(Some(self.without(Some(why.to_owned()))));
        };
        let signers = match AllowedSigners::read(path, &view.time_zone) {
            Ok(signers) => signers,
            Err(why) => return Ok(Some(self.without(Some(why.to_string())))),
        };
        let release = Released::of(view, stack)?.map(|release| release.commit);
        let released = release.as_ref().map(|commit| &commit.revision);
        let released_at = release
            .as_ref()
            .map_or(i64::MIN, |commit| commit.committed_at);
        let now = view.clock.now().as_second();
        let mut near = None;
        for revision in self.commits(released)? {
            let at = commit_at(view, &revision)?.committed_at;
            let at = at.max(released_at).min(now);
            let signature = source::signature_of(&view.mirror(), &revision)?;
            match trust::approval(&signature, rule, stack.as_str(), &signers, at) {
                Ok(by) if is_same(view, self.here, &revision) => {
                    let revision = revision.as_str();
                    tracing::debug!(revision, by, "approved");
                    return Ok(None);
                }
                // It approves what came before something else.
                Ok(_) | Err(NoApproval::NoTrailer) => {}
                Err(why) => {
                    near.get_or_insert_with(|| format!("commit {} {why}", revision.short()));
                }
            }
        }
        Ok(Some(self.without(near)))
    }

    /// Returns the commits that may approve, newest first: the head, and those since the release.
    fn commits(&self, released: Option<&Revision>) -> Result<Vec<Revision>, LoadError> {
        let only_head = || vec![self.head.clone()];
        let Some(released) = released else {
            return Ok(only_head());
        };
        let mirror = self.view.mirror();
        let since = source::commits_since(&mirror, self.head, released, MOST_COMMITS)?;
        Ok(since.unwrap_or_else(only_head))
    }

    fn without(&self, why: Option<String>) -> Unapproved {
        Unapproved {
            stack: self.stack.to_string(),
            head: self.head.clone(),
            signers: self.rule.signers.clone(),
            trailer: self.rule.trailer.clone(),
            why,
        }
    }
}
