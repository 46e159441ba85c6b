//! Plans the removal of what earlier attempts left, where it is in the way of work on the data.

use std::collections::BTreeSet;

use super::RemoveReason;
use super::action::{Action, ContainerRef, Phase};
use super::guard::All;
use super::order::Planner;
use super::services::reference;
use crate::desired::ServiceName;

impl<'a> Planner<'a> {
    /// Removes what a killed or held pass put in the place of a writer: it may write still.
    pub(super) fn remove_half_made(
        &mut self,
        named: &BTreeSet<&'a ServiceName>,
        all: &All<'a>,
        before: &[u32],
    ) -> Vec<u32> {
        let left = named.iter().filter_map(|name| all.get(name));
        let left: Vec<ContainerRef> = left.flat_map(|one| one.half_made.clone()).collect();
        let mut steps = Vec::new();
        for container in left {
            self.removed.insert(container.id.clone());
            let why = RemoveReason::HalfMade;
            let action = Action::Remove { container, why };
            steps.push(self.push(Phase::Guard, action, &[], before.to_vec()));
        }
        steps
    }

    /// Removes one-off containers of earlier attempts, but not one that this plan goes on with:
    /// what one of a failed attempt says is of data that may have been restored since.
    pub(super) fn remove_left_one_offs(&mut self) {
        let doubt = self.input.history.doubt.iter();
        let goes_on: BTreeSet<String> = doubt
            .filter(|doubt| doubt.killed)
            .map(|doubt| doubt.mark.clone())
            .collect();
        let left: Vec<ContainerRef> = self.input.one_offs(&goes_on).map(reference).collect();
        for container in left {
            let why = RemoveReason::HalfMade;
            let action = Action::Remove { container, why };
            let step = self.push(Phase::Prepare, action, &[], Vec::new());
            self.ground.push(step);
        }
    }
}
