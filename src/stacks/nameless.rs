//! Holds what may be guarded by a rule of the settings that names no stack: who has misspelt one
//! must not find out by what it let through.

use std::collections::{BTreeMap, BTreeSet};

use super::gate::wait_for_rules;
use super::head::{Head, Released};
use super::stays::manifest_at;
use super::{LoadError, Loaded, by_branch, manifests, shown};
use crate::desired::StackName;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::gates::{self, Nameless, plain};
use crate::host::View;
use crate::source::{self, Tree};
use crate::trust::Standing;

/// Adds a finding for every rule that names no stack, and has what is new wait in every stack that
/// no other rule of its kind is for.
///
/// # Errors
/// The record or the mirror can't be read.
pub(super) fn hold(view: &View, loaded: &mut Loaded) -> Result<(), LoadError> {
    let (windows, approvals) = (&view.config.windows, &view.config.approvals);
    if windows.is_empty() && approvals.is_empty() {
        return Ok(());
    }
    let unread = |desired: &_| matches!(desired, Err(LoadError::Source(_) | LoadError::Mirror(_)));
    if view.config.stacks.is_none() && loaded.values().any(unread) {
        // Nobody knows what stacks there are.
        return Ok(());
    }
    let past = Past::of(view)?;
    let known = known(view, loaded, &past);
    let astray = Astray::among(view, past, known);
    if astray.rules.is_empty() {
        return Ok(());
    }
    for (dir, desired) in loaded.iter_mut() {
        let Ok(desired) = desired else { continue };
        if matches!(desired.standing, Standing::Followed | Standing::Rewritten) {
            let meant = astray.meant_for(&desired.stack, dir);
            wait_for_rules(view, dir, desired, meant)?;
        }
    }
    let known = Vec::from_iter(astray.known).join(", ");
    loaded.extend(astray.rules.iter().map(|rule| {
        let hint = format!("there is: {known}");
        let found = Diagnostic::file("the host's settings", rule.to_string()).hint(hint);
        let refused = Err(Diagnostics::from(found).into());
        (format!("{}.{}", rule.rules, rule.name), refused)
    }));
    Ok(())
}

/// Returns the rules that name no stack and may be meant for one in a directory, as the heads of the
/// branches were at the last fetch; does not ask the remote.
///
/// # Errors
/// The record or the mirror can't be read.
pub(super) fn meant_for(
    view: &View,
    stack: &StackName,
    dir: &str,
) -> Result<Vec<Nameless>, LoadError> {
    if view.config.windows.is_empty() && view.config.approvals.is_empty() {
        return Ok(Vec::new());
    }
    let Some(dirs) = dirs_at_heads(view)? else {
        return Ok(Vec::new());
    };
    let past = Past::of(view)?;
    let mut known: BTreeSet<String> = dirs.iter().map(|dir| plain(dir).to_owned()).collect();
    // A pinned stack is one even where Git does not have it any more.
    known.extend(past.pinned.iter().map(StackName::to_string));
    let pinned = past.pinned.iter().filter_map(|stack| past.dir_of(stack));
    known.extend(pinned.map(|dir| plain(dir).to_owned()));
    for dir in dirs {
        let name = name_in(view, &dir).or_else(|| past.released_in(&dir));
        known.extend(name.map(|name| name.to_string()));
    }
    Ok(Astray::among(view, past, known).meant_for(stack, &shown(dir)))
}

/// Returns the directories of all stacks at the heads of their branches; `None` where a branch has
/// not been fetched and nobody knows which it has.
fn dirs_at_heads(view: &View) -> Result<Option<Vec<String>>, LoadError> {
    let mut all = Vec::new();
    for (branch, dirs) in by_branch(view) {
        if let Some(dirs) = dirs {
            all.extend(dirs);
            continue;
        }
        let Some(revision) = source::fetched(&view.mirror(), &branch) else {
            return Ok(None);
        };
        let tree = Tree::at_commit(&view.mirror(), &revision)?;
        let Some(commit) = tree.commit() else {
            return Ok(None);
        };
        let mut head = Head::new(view, &branch, commit);
        all.extend(match head.refusal("")? {
            Some(_) => head.released_dirs()?,
            None => manifests(&tree)?,
        });
    }
    Ok(Some(all))
}

/// The rules of the settings that name no stack.
struct Astray<'a> {
    view: &'a View,
    past: Past,
    /// Names and directories of the stacks that there are.
    known: BTreeSet<String>,
    /// Those of stacks that there were.
    gone: BTreeSet<String>,
    rules: Vec<Nameless>,
}

impl<'a> Astray<'a> {
    fn among(view: &'a View, past: Past, known: BTreeSet<String>) -> Self {
        let mut rules = Nameless::among("windows", &view.config.windows, &known);
        rules.extend(Nameless::among("approvals", &view.config.approvals, &known));
        Self {
            gone: past.gone(&known),
            view,
            past,
            known,
            rules,
        }
    }

    /// Returns those that may be meant for a stack, whose directory is given as it is shown.
    fn meant_for(&self, stack: &StackName, dir: &str) -> Vec<Nameless> {
        if self.past.pinned.contains(stack) {
            return Vec::new();
        }
        let (windows, approvals) = (&self.view.config.windows, &self.view.config.approvals);
        let (name, is_new) = (stack.as_str(), !self.past.released.contains_key(stack));
        let is_meant = |rule: &&Nameless| {
            let has_own = match rule.rules.as_str() {
                "windows" => gates::of(windows, name, dir).is_some(),
                _ => gates::of(approvals, name, dir).is_some(),
            };
            !has_own && (is_new || !self.gone.contains(plain(&rule.name)))
        };
        self.rules.iter().filter(is_meant).cloned().collect()
    }
}

/// Returns the names and directories of all stacks, as far as they can be known.
fn known(view: &View, loaded: &Loaded, past: &Past) -> BTreeSet<String> {
    let mut known = BTreeSet::new();
    for (dir, desired) in loaded {
        known.insert(plain(dir).to_owned());
        let name = match desired {
            Ok(desired) => Some(desired.stack.clone()),
            Err(_) => name_in(view, dir).or_else(|| past.released_in(dir)),
        };
        known.extend(name.map(|name| name.to_string()));
    }
    known
}

/// Returns the name of a stack that can't be loaded, if its manifest can.
fn name_in(view: &View, dir: &str) -> Option<StackName> {
    let head = source::fetched(&view.mirror(), view.config.branch_of(dir))?;
    let tree = Tree::at_commit(&view.mirror(), &head).ok()?;
    manifest_at(&tree, dir).map(|manifest| manifest.stack)
}

/// What has been on this host.
#[derive(Default)]
struct Past {
    /// Stacks that were released, with the directory of their manifest where that is known.
    released: BTreeMap<StackName, Option<String>>,
    /// Stacks that are kept at a release: Git brings nothing new to them.
    pinned: BTreeSet<StackName>,
}

impl Past {
    fn of(view: &View) -> Result<Self, LoadError> {
        let mut past = Self::default();
        let Some(record) = &view.record else {
            return Ok(past);
        };
        past.pinned.extend(record.pins()?.into_keys());
        for stack in record.stacks()? {
            if record.last_release(&stack)?.is_some() {
                let dir = Released::of(view, &stack)?.map(|release| release.dir);
                past.released.insert(stack, dir);
            }
        }
        Ok(past)
    }

    fn dir_of(&self, stack: &StackName) -> Option<&str> {
        self.released.get(stack)?.as_deref()
    }

    fn released_in(&self, dir: &str) -> Option<StackName> {
        let mut released = self.released.iter();
        let found = released.find(|(_, at)| at.as_deref() == Some(dir))?;
        Some(found.0.clone())
    }

    /// Returns the names and directories of stacks that were released and are not in Git any more:
    /// their rules were right once, so they are not meant for another stack that was here as well.
    fn gone(&self, known: &BTreeSet<String>) -> BTreeSet<String> {
        let gone = self.released.iter();
        let gone = gone.filter(|(stack, _)| !known.contains(stack.as_str()));
        let both = gone.flat_map(|(stack, dir)| [Some(stack.to_string()), dir.clone()]);
        both.flatten().map(|name| plain(&name).to_owned()).collect()
    }
}
