//! Takes back what an attempt did when one of its steps failed: old containers, old networks and
//! old files return, newest step first. Networks, volumes and images that were made stay; they
//! harm nobody.

use super::walk::Walk;
use super::{StepError, containers, files};
use crate::events::Event;
use crate::journal::{Entry, Outcome};
use crate::plan::{Action, Step};
use crate::record::RecordError;

impl<'a> Walk<'a> {
    /// Puts back what was replaced, and says how the attempt ended.
    pub(super) async fn put_back(&mut self, error: String) -> Result<Outcome, RecordError> {
        let (mut back, mut failures) = (false, Vec::new());
        for step in self.in_order_of_undoing() {
            self.note(&Entry::UndoIntent { step: step.number })?;
            let stack = self.plan.stack.clone();
            self.hands.events.tell(Event::Undoing {
                stack,
                step: step.number,
            });
            match self.undo(step).await {
                Ok(undone) => {
                    back |= undone;
                    self.note(&Entry::Undone { step: step.number })?;
                }
                // The next pass that reaches the engine takes it from there, as after a crash.
                Err(cause) if cause.is_loss_of_engine() => {
                    return Ok(Outcome::Postponed { error });
                }
                // The others are taken back all the same.
                Err(cause) => {
                    let cause = self.hands.redactor.clean(&cause.to_string());
                    failures.push(format!(
                        "step {} could not be taken back: {cause}",
                        step.number
                    ));
                }
            }
        }
        if !failures.is_empty() {
            let (stack, label) = (&self.plan.stack, crate::labels::STACK);
            let error = format!(
                "{error}\n  {}\n  hint: a container that was replaced is kept aside, see: docker \
                 ps -a --filter label={label}={stack}",
                failures.join("\n  "),
            );
            return Ok(Outcome::Failed { error });
        }
        Ok(if back {
            Outcome::RolledBack { error }
        } else {
            Outcome::Failed { error }
        })
    }

    /// Files first, because a container that starts again mounts them; then the others, newest
    /// first; restarts last, because a service that was restarted for new files must see the old.
    fn in_order_of_undoing(&self) -> Vec<&'a Step> {
        let undoable = self
            .begun
            .iter()
            .rev()
            .filter(|step| self.can_be_undone(step));
        let mut steps: Vec<&'a Step> = undoable.copied().collect();
        steps.sort_by_key(|step| match step.action {
            Action::Place { .. } => 0,
            Action::Restart { .. } => 2,
            Action::Pull { .. }
            | Action::CreateNetwork(_)
            | Action::CreateVolume(_)
            | Action::Rename { .. }
            | Action::Create { .. }
            | Action::Replace { .. }
            | Action::Start { .. }
            | Action::Connect { .. }
            | Action::Disconnect { .. }
            | Action::Await { .. }
            | Action::Remove { .. }
            | Action::Record(_) => 1,
        });
        steps
    }

    /// Takes one step back; returns whether something is as it was before.
    async fn undo(&self, step: &Step) -> Result<bool, StepError> {
        let engine = self.hands.engine.as_ref();
        match &step.action {
            Action::Replace {
                old,
                old_serves,
                name,
                spec,
                ..
            } => {
                let there = containers::put_back(engine, old, name, spec).await?;
                if there && *old_serves {
                    containers::run_again(engine, old).await?;
                }
                return Ok(there);
            }
            Action::Await {
                container,
                instead: Some(old),
                ..
            } => return Ok(containers::bring_back(engine, old, container).await?),
            Action::Create { name, spec, .. } => {
                containers::unmake(engine, name, spec).await?;
                return Ok(false);
            }
            Action::Place { root, files } => {
                files::put_back(root, files, &self.hands.store_of(&self.plan.stack))?;
            }
            Action::Restart { container, .. } => engine.restart_container(&container.id).await?,
            Action::Connect {
                container, network, ..
            } => engine.disconnect(&container.id, network).await?,
            Action::Disconnect {
                container,
                network,
                aliases,
                ..
            } => engine.connect(&container.id, network, aliases).await?,
            Action::Pull { .. }
            | Action::CreateNetwork(_)
            | Action::CreateVolume(_)
            | Action::Rename { .. }
            | Action::Start { .. }
            | Action::Await { instead: None, .. }
            | Action::Remove { .. }
            | Action::Record(_) => return Ok(false),
        }
        Ok(true)
    }

    fn can_be_undone(&self, step: &Step) -> bool {
        match step.action {
            Action::Replace { .. }
            | Action::Place { .. }
            | Action::Restart { .. }
            | Action::Connect { .. }
            | Action::Disconnect { .. }
            | Action::Await {
                instead: Some(_), ..
            } => true,
            // A service that the release before did not have. In a first release there is nothing
            // to go back to, and what failed is left for a person to look at; one that somebody
            // had removed by hand was to be there anyway.
            Action::Create { .. } => {
                let new = step.reasons.iter().all(|reason| reason.release.is_none());
                new && self.plan.from.is_some()
            }
            Action::Pull { .. }
            | Action::CreateNetwork(_)
            | Action::CreateVolume(_)
            | Action::Rename { .. }
            | Action::Start { .. }
            | Action::Await { instead: None, .. }
            | Action::Remove { .. }
            | Action::Record(_) => false,
        }
    }
}
