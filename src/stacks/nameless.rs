//! Holds what may be guarded by a rule of the settings that names no stack: who has misspelt one
//! must not find out by what it let through.

use std::collections::{BTreeMap, BTreeSet};

use super::gate::wait_for_rules;
use super::head::Released;
use super::stays::manifest_at;
use super::{LoadError, Loaded};
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
    let mut rules = Nameless::among("windows", windows, &known);
    rules.extend(Nameless::among("approvals", approvals, &known));
    if rules.is_empty() {
        return Ok(());
    }
    let gone = past.gone(&known);
    for (dir, desired) in loaded.iter_mut() {
        let Ok(desired) = desired else { continue };
        let followed = matches!(desired.standing, Standing::Followed | Standing::Rewritten);
        let stack = &desired.stack;
        if !followed || past.pinned.contains(stack) {
            continue;
        }
        let (name, is_new) = (stack.as_str(), !past.released.contains_key(stack));
        let is_meant = |rule: &&Nameless| {
            let has_own = match rule.rules.as_str() {
                "windows" => gates::of(windows, name, dir).is_some(),
                _ => gates::of(approvals, name, dir).is_some(),
            };
            !has_own && (is_new || !gone.contains(plain(&rule.name)))
        };
        let meant = rules.iter().filter(is_meant).cloned().collect();
        wait_for_rules(view, dir, desired, meant)?;
    }
    loaded.extend(rules.iter().map(|rule| {
        let hint = format!("there is: {}", Vec::from_iter(known.clone()).join(", "));
        let found = Diagnostic::file("the host's settings", rule.to_string()).hint(hint);
        let refused = Err(Diagnostics::from(found).into());
        (format!("{}.{}", rule.rules, rule.name), refused)
    }));
    Ok(())
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
