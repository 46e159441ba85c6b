//! Takes back what an attempt did when one of its steps failed: old containers and old files
//! return, newest step first. Networks, volumes and images that were made stay; they harm nobody.

use super::{Walk, containers, files};
use crate::events::Event;
use crate::journal::{Entry, Outcome};
use crate::plan::{Action, Step};
use crate::record::RecordError;

impl Walk<'_> {
    /// Puts back what was replaced, and says how the attempt ended.
    pub(super) async fn put_back(&mut self, error: String) -> Result<Outcome, RecordError> {
        let mut back = false;
        // Restarts last: a service that was restarted for new files must see the old ones again.
        let (restarts, others): (Vec<&Step>, Vec<&Step>) = self
            .begun
            .iter()
            .rev()
            .filter(|step| can_be_undone(step))
            .partition(|step| matches!(step.action, Action::Restart { .. }));
        for step in others.into_iter().chain(restarts) {
            self.note(&Entry::UndoIntent { step: step.number })?;
            self.tell(Event::Undoing {
                stack: self.plan.stack.clone(),
                step: step.number,
            });
            match self.undo(step).await {
                Ok(undone) => {
                    back |= undone;
                    self.note(&Entry::Undone { step: step.number })?;
                }
                Err(cause) => {
                    let cause = self.hands.redactor.clean(&cause);
                    let error = format!(
                        "{error}; and step {} could not be taken back: {cause}; what was before \
                         is kept aside, see: docker ps -a --filter label={}={}",
                        step.number,
                        crate::labels::STACK,
                        self.plan.stack,
                    );
                    return Ok(Outcome::Failed { error });
                }
            }
        }
        Ok(if back {
            Outcome::RolledBack { error }
        } else {
            Outcome::Failed { error }
        })
    }

    async fn undo(&self, step: &Step) -> Result<bool, String> {
        match &step.action {
            Action::Replace {
                old, name, spec, ..
            } => containers::put_back(self.hands.engine.as_ref(), old, name, spec)
                .await
                .map_err(|error| error.to_string()),
            Action::Place { root, files } => files::put_back(root, files, &self.hands.store)
                .map(|()| true)
                .map_err(|error| error.to_string()),
            Action::Restart { container, .. } => {
                let again = self.hands.engine.restart_container(&container.id).await;
                again.map(|()| true).map_err(|error| error.to_string())
            }
            Action::Pull { .. }
            | Action::CreateNetwork(_)
            | Action::CreateVolume(_)
            | Action::Rename { .. }
            | Action::Create { .. }
            | Action::Start { .. }
            | Action::Connect { .. }
            | Action::Disconnect { .. }
            | Action::Await { .. }
            | Action::Remove { .. }
            | Action::Record(_) => Ok(false),
        }
    }
}

fn can_be_undone(step: &Step) -> bool {
    match step.action {
        Action::Replace { .. } | Action::Place { .. } | Action::Restart { .. } => true,
        Action::Pull { .. }
        | Action::CreateNetwork(_)
        | Action::CreateVolume(_)
        | Action::Rename { .. }
        | Action::Create { .. }
        | Action::Start { .. }
        | Action::Connect { .. }
        | Action::Disconnect { .. }
        | Action::Await { .. }
        | Action::Remove { .. }
        | Action::Record(_) => false,
    }
}
