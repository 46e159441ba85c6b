//! Finds stacks that read the same file of secrets, and images whose names do not say what runs.

use std::collections::BTreeMap;
use std::path::Path;

use super::{LoadError, Loaded};
use crate::desired::{DesiredState, StackName};
use crate::diagnostic::{Diagnostic, Diagnostics, Location};
use crate::permits::Strictness;
use crate::policy::Policy;

/// Tells of both, or refuses the stacks that share a file, as the settings say.
///
/// `age_key` is the file of the host's key, which they all have in common.
pub fn check_together(policy: &Policy, age_key: Option<&Path>, loaded: &mut Loaded) {
    for desired in loaded.values_mut().flatten() {
        let moving = desired.services.values().filter_map(|service| {
            let warning = policy.warning_of(&service.spec.image)?;
            let at = service.places.get("image")?;
            Some(Diagnostic::new(at.clone(), warning))
        });
        let mut moving: Vec<Diagnostic> = moving.collect();
        // The containers of one service have the same.
        moving.dedup();
        desired.warnings.extend(moving);
    }
    let strictness = policy.shared_secrets();
    if strictness == Strictness::Allow {
        return;
    }
    for (dir, found) in shared(age_key, loaded) {
        match (strictness, loaded.get_mut(&dir)) {
            (Strictness::Refuse, Some(desired)) => {
                *desired = Err(LoadError::State(Diagnostics(found)));
            }
            (Strictness::Warn | Strictness::Allow, Some(Ok(desired))) => {
                desired.warnings.extend(found);
            }
            (Strictness::Warn | Strictness::Allow, Some(Err(_))) | (_, None) => {}
        }
    }
}

/// Returns for each directory which of its files of secrets another stack reads too.
fn shared(age_key: Option<&Path>, loaded: &Loaded) -> BTreeMap<String, Vec<Diagnostic>> {
    let mut readers: BTreeMap<String, BTreeMap<&String, &StackName>> = BTreeMap::new();
    for (dir, desired) in loaded {
        let Ok(desired) = desired else { continue };
        for file in files(age_key, desired) {
            readers.entry(file).or_default().insert(dir, &desired.stack);
        }
    }
    let mut found: BTreeMap<String, Vec<Diagnostic>> = BTreeMap::new();
    for (file, readers) in readers.iter().filter(|(_, readers)| readers.len() > 1) {
        for (dir, stack) in readers {
            let others = readers.values().filter(|other| *other != stack);
            let others: Vec<&str> = others.map(|other| other.as_str()).collect();
            let message = format!(
                "stack {stack} reads this file of secrets, and so does {}",
                others.join(", ")
            );
            let at = Location {
                file: file.clone(),
                position: None,
            };
            let hint = "give each of them a file of its own; or in the host's settings: \
                        policy: {shared_secrets: allow}";
            let finding = Diagnostic::new(at, message).hint(hint);
            found.entry((*dir).clone()).or_default().push(finding);
        }
    }
    found
}

/// Returns the files of secrets that a stack reads: those of the host, and encrypted ones.
fn files(age_key: Option<&Path>, desired: &DesiredState) -> impl Iterator<Item = String> {
    let of_host = desired.host_files.iter();
    let of_host = of_host.filter(move |file| Some(file.as_path()) != age_key);
    let of_host = of_host.map(|file| file.display().to_string());
    of_host.chain(desired.sealed_files.iter().map(ToString::to_string))
}
