//! Loads the stacks that are kept at a release, whatever Git says.

use std::collections::BTreeMap;

use super::{LoadError, Loaded, at_revision, find};
use crate::desired::{DesiredState, StackName, manifest};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::host::View;
use crate::plan::Pin;

/// The stacks that are kept at a release of theirs, by name: their directory, and what the pinned
/// commit wants.
pub(super) struct PinnedStacks(BTreeMap<StackName, (String, Result<DesiredState, LoadError>)>);

impl PinnedStacks {
    /// Loads the pinned stacks; one that can't be loaded is in there with why.
    pub(super) fn load(view: &View) -> Result<Self, LoadError> {
        let pins = match &view.record {
            Some(record) => record.pins()?,
            None => BTreeMap::new(),
        };
        let load = |(stack, pin): (StackName, Pin)| {
            let revision = &pin.release.revision;
            let found = find(view, revision, &stack)
                .and_then(|dir| dir.map(|dir| at_revision(view, revision, &dir)).transpose());
            let (dir, desired) = match found {
                Ok(Some(found)) => (found.dir, found.desired),
                Ok(None) => {
                    let message =
                        format!("no directory of the settings has stack {stack} as {pin}");
                    let hint = format!("moored retry --stack {stack} lifts the pin");
                    let found = Diagnostic::file(manifest::FILE_NAME, message).hint(hint);
                    (stack.to_string(), Err(Diagnostics::from(found).into()))
                }
                Err(source) => {
                    let (stack, pin) = (stack.clone(), Box::new(pin));
                    (
                        stack.to_string(),
                        Err(LoadError::Pinned { stack, pin, source }),
                    )
                }
            };
            (stack, (dir, desired))
        };
        Ok(Self(pins.into_iter().map(load).collect()))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes out the stack of this name or directory.
    pub(super) fn take(&mut self, name: &str) -> Option<(String, Result<DesiredState, LoadError>)> {
        let is_it = |stack: &StackName, dir: &str| stack.as_str() == name || dir == name;
        let stack = self.0.iter().find(|(stack, (dir, _))| is_it(stack, dir));
        let stack = stack.map(|(stack, _)| stack.clone())?;
        self.0.remove(&stack)
    }

    /// Puts the pinned stacks in the place of what Git says of them now.
    pub(super) fn replace(self, loaded: &mut Loaded) {
        loaded.retain(|_, desired| {
            let stack = desired.as_ref().map(|desired| &desired.stack);
            !stack.is_ok_and(|stack| self.0.contains_key(stack))
        });
        loaded.extend(self.0.into_values());
    }
}
