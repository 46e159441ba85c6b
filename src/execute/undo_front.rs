//! Says what becomes of the proxy when an attempt is taken back.

use std::collections::BTreeSet;

use super::undo::Undo;
use super::walk::Walk;
use crate::desired::ServiceName;
use crate::plan::{Action, Step};

impl<'a> Walk<'a> {
    /// Returns whether the proxy leaves a container beside the old one before that goes: where the
    /// old one was stopped for its data, there is nobody yet to send visitors to, nor a name.
    pub(super) fn leaves_first(&self) -> bool {
        let beside = self.begun.iter().filter_map(|step| {
            let Action::StartBeside { service, .. } = &step.action else {
                return None;
            };
            Some(service)
        });
        let beside: BTreeSet<&ServiceName> = beside.collect();
        let gone = |step: &&'a Step| matches!(&step.action, Action::Stop { service, .. } if beside.contains(service));
        !beside.is_empty() && !self.begun.iter().any(gone)
    }

    /// Returns how the proxy finds again what it sends requests to, if a step that is taken back
    /// has moved that.
    pub(super) fn look_up(&self) -> Option<(&'a Step, Undo<'a>)> {
        let moves = |step: &&&Step| {
            matches!(
                step.action,
                Action::Replace { .. }
                    | Action::Restart { .. }
                    | Action::Stop { .. }
                    | Action::Await {
                        instead: Some(_),
                        ..
                    }
            )
        };
        let first = *self.begun.iter().find(moves)?;
        let mut steps = self.plan.steps.iter();
        let draft = steps.find_map(|step| {
            let Action::Switch(draft) = &step.action else {
                return None;
            };
            (draft.looks_up && draft.container.is_some()).then_some(draft)
        })?;
        Some((first, Undo::LookUp(draft, self.has_begun_to_switch())))
    }

    pub(super) fn has_begun_to_switch(&self) -> bool {
        let mut begun = self.begun.iter();
        begun.any(|step| matches!(step.action, Action::Switch(_)))
    }
}
