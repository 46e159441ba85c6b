//! Takes back what an attempt did to those who are in the namespaces of others: they join when
//! they start, so that they come after the others, and have to start anew where the others did.

use super::undo::Undo;
use super::walk::Walk;
use crate::desired::ServiceName;
use crate::plan::facts::Field;
use crate::plan::{Action, ContainerRef, Step};

impl<'a> Walk<'a> {
    /// Returns the restarts of containers that were to follow another one and were not reached:
    /// the other one starts anew when it is put back, and they are in a namespace of before.
    pub(super) fn left_behind(&self) -> Vec<(&'a Step, Undo<'a>)> {
        let reached = |step: &Step| self.begun.iter().any(|one| one.number == step.number);
        let moved = |name: &str| {
            let mut begun = self.begun.iter();
            begun.find(|step| moves(step).is_some_and(|service| service.as_str() == name))
        };
        let left = self.plan.steps.iter().filter(|step| !reached(step));
        left.filter_map(|step| {
            let container = follows(step)?;
            let others = step.reasons.iter().filter_map(|reason| {
                let Field::Dependency(name) = &reason.field else {
                    return None;
                };
                // One that only depends on the other one has nothing to see of it.
                reason.git.as_ref().map(|_| name)
            });
            let mut others = others.filter_map(|name| moved(name));
            Some((*others.next()?, Undo::Restart(container)))
        })
        .collect()
    }
}

/// Returns the service whose container a step starts anew.
fn moves(step: &Step) -> Option<&ServiceName> {
    if let Action::Replace { service, .. }
    | Action::Restart { service, .. }
    | Action::Start { service, .. }
    | Action::Stop { service, .. } = &step.action
    {
        return Some(service);
    }
    None
}

/// Returns the container that a step would have started anew.
fn follows(step: &Step) -> Option<&ContainerRef> {
    if let Action::Replace { old: one, .. } | Action::Restart { container: one, .. } = &step.action
    {
        return Some(one);
    }
    None
}
