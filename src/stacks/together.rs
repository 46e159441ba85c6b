//! Finds what is wrong with the stacks of a host together: two directories of one stack, and stacks
//! that are gone.

use std::collections::{BTreeMap, BTreeSet};

use super::{LoadError, Loaded};
use crate::desired::manifest;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::host::View;
use crate::labels;

/// Two directories that claim the same stack would undo one another's work for ever.
pub(super) fn refuse_doubles(loaded: &mut Loaded) {
    let mut dirs_of: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (dir, desired) in loaded.iter() {
        if let Ok(desired) = desired {
            dirs_of
                .entry(desired.stack.to_string())
                .or_default()
                .push(dir.clone());
        }
    }
    for (stack, dirs) in dirs_of.into_iter().filter(|(_, dirs)| dirs.len() > 1) {
        for dir in &dirs {
            let message = format!("stack {stack} is declared in {}", dirs.join(" and in "));
            let file = format!("{dir}/{}", manifest::FILE_NAME);
            let found = Diagnostic::file(&file, message).hint("give each stack a name of its own");
            loaded.insert(dir.clone(), Err(Diagnostics::from(found).into()));
        }
    }
}

/// Adds a finding for every stack that was released here, is no longer in the repository, and
/// still has a container.
pub(super) async fn report_gone(view: &View, loaded: &mut Loaded) -> Result<(), LoadError> {
    let Some(record) = &view.record else {
        return Ok(());
    };
    // A manifest that can't be read may well be the one.
    if loaded.values().any(Result::is_err) {
        return Ok(());
    }
    let here: BTreeSet<String> = loaded
        .values()
        .flatten()
        .map(|desired| desired.stack.to_string())
        .collect();
    let mut gone = record.stacks()?;
    gone.retain(|stack| !here.contains(stack.as_str()));
    if gone.is_empty() {
        return Ok(());
    }
    let containers = view.engine.containers().await?;
    for stack in gone {
        let adopted = record.adopted(&stack)?;
        let is_left = containers.iter().any(|one| {
            let label = |name: &str| one.labels.get(name).map(String::as_str);
            let made = label(labels::INSTANCE) == Some(record.instance())
                && label(labels::STACK) == Some(stack.as_str());
            made || adopted.contains(&one.id)
        });
        if !is_left {
            continue;
        }
        let message = format!("stack {stack} is no longer in the state repository");
        let hint = "its containers are left as they are; bring its moored.yaml back, or remove \
                    them by hand";
        let found = Diagnostic::file(manifest::FILE_NAME, message).hint(hint);
        loaded.insert(stack.to_string(), Err(Diagnostics::from(found).into()));
    }
    Ok(())
}
