//! Takes back what an attempt did to those who are in the namespaces of others: they join when
//! they start, so that they come after the others, and have to start anew where the others did.

use super::undo::{Back, Undo};
use super::walk::Walk;
use super::{StepError, anew, containers};
use crate::desired::ServiceName;
use crate::engine::model::ContainerSpec;
use crate::plan::facts::Field;
use crate::plan::{Action, ContainerRef, Step};

impl<'a> Walk<'a> {
    /// Returns the restarts of containers that were to follow another one and were not reached:
    /// the other one starts anew when it is put back, and they are in a namespace of before.
    pub(super) fn left_behind(&self) -> Vec<(&'a Step, Undo<'a>)> {
        let reached = |step: &Step| self.begun.iter().any(|one| one.number == step.number);
        let left = self.plan.steps.iter().filter(|step| !reached(step));
        left.filter_map(|step| {
            let (service, container) = follows(step)?;
            Some((self.mover_of(step)?, Undo::Follow(service, container)))
        })
        .collect()
    }

    /// Runs the container before again, which has its name back: it joins the others as they are
    /// by then.
    pub(super) async fn serve_again(
        &self,
        step: &Step,
        old: &ContainerRef,
        new: &ContainerSpec,
    ) -> Result<Back, StepError> {
        let engine = self.scene.hands.engine();
        let Some(kept) = engine.container(&old.id).await? else {
            return Ok(Back::Nothing);
        };
        if !kept.spec.is_joiner() {
            return Ok(Back::of(old, containers::run_again(engine, old).await?));
        }
        if !kept.is_running() && anew::is_left_alone(engine, &kept).await? {
            let made = anew::make_again(&self.scene, step, old, &kept, new).await?;
            return Ok(Back::Started(made));
        }
        let down = !kept.is_running() || self.scene.has_put_down(&old.id);
        // One that was not reached is in a namespace of before.
        let started = down || self.mover_of(step).is_some();
        if started {
            engine.restart_container(&old.id).await?;
        }
        Ok(Back::of(old, started))
    }

    /// Returns the step that has begun to start another container anew, where a step follows that
    /// one.
    pub(super) fn mover_of(&self, step: &Step) -> Option<&'a Step> {
        let others = step.reasons.iter().filter_map(|reason| {
            let Field::Dependency(name) = &reason.field else {
                return None;
            };
            // One that only depends on the other one has nothing to see of it.
            reason.git.as_ref().map(|_| name)
        });
        let moved = |name: &String| {
            let mut begun = self.begun.iter().copied();
            begun.find(|step| {
                self.moves(step)
                    .is_some_and(|service| service.as_str() == name)
            })
        };
        let mut others = others.filter_map(moved);
        others.next()
    }

    /// Returns the service whose container a step that has begun starts anew.
    fn moves(&self, step: &'a Step) -> Option<&'a ServiceName> {
        if let Action::Start { service, .. } = &step.action {
            return Some(service);
        }
        if let Action::Replace {
            service,
            old: container,
            ..
        }
        | Action::Restart { service, container }
        | Action::Stop { service, container } = &step.action
        {
            let down = self.scene.has_put_down(&container.id);
            return down.then_some(service);
        }
        None
    }
}

/// Returns the container that a step would have started anew in the namespaces of another one, and
/// of which service it is. One that only has the volumes of another one has nothing to see of it.
fn follows(step: &Step) -> Option<(&ServiceName, &ContainerRef)> {
    if let Action::Replace {
        service, old, spec, ..
    } = &step.action
    {
        return spec.is_joiner().then_some((service, old));
    }
    if let Action::Restart { service, container } = &step.action {
        return Some((service, container));
    }
    None
}
