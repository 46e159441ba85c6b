//! Takes back what an attempt did when one of its steps failed: the old containers, networks,
//! files, the data where a migration has moved it, and the maintenance page as it was. Networks,
//! volumes and images that were made stay; they harm nobody.

use std::collections::BTreeSet;
use std::path::Path;

use super::undo_order::{JOINS, writers_that_go_first};
use super::walk::Walk;
use super::{
    StepError, beside, containers, data, files, front, inside, maintain, network, way_back,
};
use crate::desired::ServiceName;
use crate::desired::manifest::Reload;
use crate::engine::model::{ContainerSpec, Endpoint};
use crate::engine::{EngineError, WriteEngine};
use crate::events::Event;
use crate::journal::{Entry, Outcome};
use crate::permits::Touch;
use crate::plan::{
    Action, ContainerRef, Kind, MigrationDraft, Placement, Raise, RemadeNetwork, RestoreDraft,
    Retreat, Step, Switch, is_aside,
};
use crate::record::RecordError;

/// How one step is taken back.
pub(super) enum Undo<'a> {
    /// The files that were there before return.
    Files(&'a Path, &'a [Placement]),
    /// A container that was made goes.
    Unmake(&'a str, &'a ContainerSpec),
    /// The container before gets its place back from the one that was made, and serves if it did.
    PutBack {
        old: &'a ContainerRef,
        name: &'a str,
        spec: &'a ContainerSpec,
        serves: bool,
    },
    /// The container before, kept aside by an interrupted pass, comes back.
    BringBack(&'a ContainerRef, &'a str),
    /// The data returns from the backups of this attempt.
    Data(&'a MigrationDraft),
    /// The data returns from the backup that was taken before another one was restored.
    Safety(&'a RestoreDraft),
    /// A container that was stopped runs again.
    Start(&'a ContainerRef),
    /// A container that was started is stopped, because its data is about to be moved.
    Stop(&'a ContainerRef),
    /// A container has the name of before.
    Rename(&'a ContainerRef),
    /// A container is connected to a network.
    Connect(&'a ContainerRef, &'a str, &'a Endpoint),
    /// A container is disconnected from a network.
    Disconnect(&'a ContainerRef, &'a str),
    /// A network is what it was, with the same containers in it.
    Network(&'a RemadeNetwork),
    /// A container is restarted, because it is to see the old files.
    Restart(&'a ContainerRef),
    /// A container of another service is restarted, because the one that it is in a namespace of
    /// is another one again.
    Follow(&'a ServiceName, &'a ContainerRef),
    /// A process reads the old files again.
    Reload(&'a ContainerRef, &'a Reload),
    /// The proxy loads the configuration of before.
    SwitchBack(&'a Switch),
    /// The proxy looks the addresses up of what runs again, and has the configuration of before
    /// if it had another one.
    LookUp(&'a Switch, bool),
    /// An old container that a killed pass has stopped runs again, before visitors are sent to it.
    RunAgain(&'a ContainerRef),
    /// The container beside the old one goes, after its connections have ended.
    End {
        name: &'a str,
        spec: &'a ContainerSpec,
        there: Option<&'a ContainerRef>,
        retreat: &'a Retreat,
        /// Whether the proxy has to go back first; else that is a step of its own.
        moves: bool,
    },
    /// The old container has its name again, and runs if it did.
    HandBack {
        old: &'a ContainerRef,
        name: &'a str,
        beside: &'a str,
        serves: bool,
    },
    /// The maintenance page goes.
    Lower(&'a Raise),
}

/// What taking a step back came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Back {
    /// There was nothing to put back.
    Nothing,
    /// It is as it was before.
    There,
    /// So it is, and the container of this id was started for that.
    Started(String),
}

impl Back {
    /// Returns what it came to where a container has its place back, and was perhaps started.
    pub(super) fn of(container: &ContainerRef, started: bool) -> Self {
        if started {
            Self::Started(container.id.clone())
        } else {
            Self::There
        }
    }
}

impl<'a> Walk<'a> {
    /// Puts back what was replaced, and says how the attempt ended.
    pub(super) async fn put_back(&mut self, error: String) -> Result<Outcome, RecordError> {
        let (mut back, mut failures) = (false, Vec::new());
        let steps = self.in_order_of_undoing();
        let numbers: Vec<u32> = steps.iter().map(|(step, _)| step.number).collect();
        let mut failed = BTreeSet::new();
        let data = steps.iter().rposition(|(_, undo)| undo.is_of_data());
        for (at, (step, undo)) in steps.into_iter().enumerate() {
            // Visitors are not let in to something that could not be put back.
            if matches!(undo, Undo::Lower(_)) && !failures.is_empty() {
                continue;
            }
            // Visitors may be with it still.
            if matches!(undo, Undo::End { .. }) && !failures.is_empty() {
                continue;
            }
            // Whoever could not be taken away may write to the data, and the code before must not
            // run on data that was not taken back.
            if !failures.is_empty() && data.is_some_and(|data| at <= data) {
                break;
            }
            let (before, after) = numbers.split_at(at);
            if !before.contains(&step.number) {
                self.note(&Entry::UndoIntent { step: step.number })?;
            }
            let stack = self.plan.stack.clone();
            self.scene.hands.events.tell(Event::Undoing {
                stack,
                step: step.number,
            });
            match self.go_back(step, &undo).await {
                Ok(undone) => {
                    back |= undone;
                    let more = after.iter().skip(1).any(|number| *number == step.number);
                    if !more && !failed.contains(&step.number) {
                        self.note(&Entry::Undone { step: step.number })?;
                    }
                }
                // The next pass that reaches the engine takes it from there, as after a crash.
                Err(cause) if cause.is_loss_of_engine() => {
                    return Ok(Outcome::Postponed { error });
                }
                // The others are taken back all the same.
                Err(cause) => {
                    failed.insert(step.number);
                    let redactor = &self.scene.hands.redactor;
                    let cause = redactor.clean(&cause.clean(redactor).to_string());
                    failures.push(format!(
                        "step {} could not be taken back: {cause}",
                        step.number
                    ));
                    // Nobody may write to data that is neither what it was nor what it was to be.
                    if undo.is_of_data() {
                        break;
                    }
                }
            }
        }
        if !failures.is_empty() {
            // Of a container that was adopted this is the only one that the engine knows.
            let (stack, label) = (&self.plan.stack, crate::labels::PROJECT);
            let error = format!(
                "{error}\n  {}\n  hint: nothing more is done by itself; a container that was \
                 replaced is kept aside, see: docker ps -a --filter label={label}={stack}; when \
                 the host is well again: moored retry --stack {stack}",
                failures.join("\n  "),
            );
            return Ok(Outcome::Stuck { error });
        }
        Ok(if back {
            Outcome::RolledBack { error }
        } else {
            Outcome::Failed { error }
        })
    }

    fn in_order_of_undoing(&self) -> Vec<(&'a Step, Undo<'a>)> {
        let begun = self.begun.iter().rev();
        let back: Vec<(&'a Step, Undo<'a>)> = begun
            .filter_map(|step| Some((*step, self.undo_of(step)?)))
            .collect();
        let mut steps = writers_that_go_first(&self.begun, &back);
        steps.extend(back);
        steps.extend(
            self.begun
                .iter()
                .filter_map(|step| Some((*step, runs_first(step)?))),
        );
        steps.extend(self.left_behind());
        if let Some(look_up) = self.look_up() {
            if !self.leaves_first() {
                steps.retain(|(_, undo)| !matches!(undo, Undo::SwitchBack(_)));
            }
            steps.push(look_up);
        }
        // Who joins another one comes after it, and is later in the plan.
        steps.sort_by_key(|(step, undo)| {
            let order = undo.order(step);
            (order, if order == JOINS { step.number } else { 0 })
        });
        steps
    }

    /// Returns how a step is taken back; `None` = it is not.
    fn undo_of(&self, step: &'a Step) -> Option<Undo<'a>> {
        match &step.action {
            Action::Place { root, files } => Some(Undo::Files(root, files)),
            // A service that the release before did not have. In a first release there is nothing
            // to go back to, and what failed is left for a person to look at; one that somebody
            // had removed by hand was to be there anyway.
            Action::Create { name, spec, .. } => {
                let goes = self.plan.from.is_some() && self.is_unmade(step);
                goes.then_some(Undo::Unmake(name, spec))
            }
            Action::Replace {
                old,
                old_serves,
                name,
                spec,
                ..
            } => Some(Undo::PutBack {
                old,
                name,
                spec,
                serves: *old_serves,
            }),
            Action::Await {
                container,
                instead: Some(old),
                ..
            } => Some(Undo::BringBack(old, container)),
            Action::Migrate(draft) => {
                let moved = way_back::moved(self.plan, &self.scene.book.status());
                let moved = moved.iter().any(|moved| moved.step == step.number);
                moved.then_some(Undo::Data(draft))
            }
            Action::Restore(draft) => Some(Undo::Safety(draft)),
            // One that gave its place to the container before is gone.
            Action::Stop { service, container } => {
                (!self.gave_way(service)).then_some(Undo::Start(container))
            }
            Action::Start { container, .. } if self.plan.kind == Kind::ByHand => {
                Some(Undo::Stop(container))
            }
            Action::PutBack { old, .. } => Some(Undo::Stop(old)),
            Action::Restart { container, .. } => Some(Undo::Restart(container)),
            Action::Reload { container, how, .. } => Some(Undo::Reload(container, how)),
            Action::Switch(draft) => Some(Undo::SwitchBack(draft)),
            Action::StartBeside {
                name,
                spec,
                there,
                retreat,
                ..
            } => Some(Undo::End {
                name,
                spec,
                there: there.as_ref(),
                retreat,
                moves: !self.has_begun_to_switch(),
            }),
            Action::HandOver {
                old,
                old_serves,
                name,
                beside,
                ..
            } => Some(Undo::HandBack {
                old,
                name,
                beside,
                serves: *old_serves,
            }),
            Action::Rename { container, .. } if !is_aside(&container.name) => {
                Some(Undo::Rename(container))
            }
            Action::Connect { container, network, .. } => {
                Some(Undo::Disconnect(container, network))
            }
            Action::Disconnect {
                container,
                network,
                place,
                ..
            } => Some(Undo::Connect(container, network, place)),
            Action::RemakeNetwork(draft) => Some(Undo::Network(draft)),
            Action::MaintainOn(raise) => Some(Undo::Lower(raise)),
            Action::Pull { .. }
            | Action::CreateNetwork(_)
            | Action::CreateVolume(_)
            // What a killed pass had set aside serves: that stays.
            | Action::Rename { .. }
            // It is as Git says, whatever becomes of the rest.
            | Action::Adopt { .. }
            | Action::Start { .. }
            | Action::Await { instead: None, .. }
            | Action::TestProxy(_)
            | Action::SwitchBack(_)
            | Action::Drain { .. }
            | Action::Measure(_)
            | Action::MaintainOff(_)
            | Action::Backup(_)
            | Action::Job(_)
            | Action::Ready(_)
            | Action::Soak { .. }
            | Action::Smoke(_)
            | Action::Remove { .. }
            | Action::RemoveNetwork { .. }
            | Action::Record(_) => None,
        }
    }

    /// Returns whether what a step has made goes: the release before did not have it, or its code does
    /// not fit the data of before.
    fn is_unmade(&self, step: &Step) -> bool {
        let new = step.reasons.iter().all(|reason| reason.release.is_none());
        let moved = way_back::moved(self.plan, &self.scene.book.status());
        new || moved.iter().any(|moved| moved.step < step.number)
    }

    /// Returns whether the container of a service gave its place to the one before.
    fn gave_way(&self, of: &ServiceName) -> bool {
        self.begun
            .iter()
            .any(|step| matches!(&step.action, Action::PutBack { service, .. } if service == of))
    }

    /// Takes one step back.
    pub(super) async fn undo(&self, step: &Step, undo: &Undo<'_>) -> Result<Back, StepError> {
        let hands = self.scene.hands;
        let engine = hands.engine();
        let tell = self.scene.told(step.number);
        match undo {
            Undo::Files(root, placed) => {
                let guard = self.scene.guard(Touch::Write);
                files::put_back(root, placed, &hands.store_of(&self.plan.stack), guard)?;
            }
            Undo::Unmake(name, spec) => {
                containers::unmake(engine, name, spec).await?;
                return Ok(Back::Nothing);
            }
            Undo::PutBack {
                old,
                name,
                spec,
                serves,
            } => {
                if !containers::put_back(engine, old, name, spec).await? {
                    return Ok(Back::Nothing);
                }
                if *serves {
                    return self.serve_again(step, old, spec).await;
                }
            }
            Undo::BringBack(old, name) => {
                if !containers::bring_back(engine, old, name).await? {
                    return Ok(Back::Nothing);
                }
                return Ok(run_again(engine, old).await?);
            }
            Undo::Data(draft) => {
                maintain::still_on(&self.scene)?;
                let files = way_back::backups(&self.scene.book.status());
                data::restore_all(&draft.backups, &files, &self.scene, &tell).await?;
            }
            Undo::Safety(draft) => {
                let files = way_back::backups(&self.scene.book.status());
                let file = data::file_of(&draft.name, &files)?;
                data::restore(draft, file, &self.scene, &tell).await?;
            }
            Undo::Start(container) => return Ok(run_again(engine, container).await?),
            Undo::Stop(container) => engine.stop_container(&container.id).await?,
            Undo::Rename(container) => containers::name_back(engine, container).await?,
            // One that was not put down has seen nothing of it.
            Undo::Restart(container)
                if !self.scene.has_put_down(&container.id) && self.mover_of(step).is_none() => {}
            Undo::Restart(container) | Undo::Follow(_, container) => {
                engine.restart_container(&container.id).await?;
                return Ok(Back::of(container, true));
            }
            Undo::Connect(container, network, place) => {
                engine.connect(&container.id, network, place).await?;
            }
            Undo::Network(draft) => network::take_back(engine, draft).await?,
            Undo::Disconnect(container, network) => {
                engine.disconnect(&container.id, network).await?;
            }
            Undo::Reload(container, how) => {
                let told = inside::tell_to_reload(engine, container, how).await;
                // One that would not read the new files may not read the old ones either.
                let was_told = self.done.contains(&step.number);
                let lost = told.as_ref().is_err_and(StepError::is_loss_of_engine);
                if was_told || lost {
                    told?;
                }
            }
            Undo::SwitchBack(draft) | Undo::LookUp(draft, true) => {
                front::back(draft, &self.scene, &tell).await?;
            }
            Undo::LookUp(draft, false) => front::look_up(draft, &self.scene).await?,
            Undo::RunAgain(old) => {
                return Ok(Back::of(old, beside::run_again(engine, old).await?));
            }
            Undo::End {
                name,
                spec,
                there,
                retreat,
                moves,
            } => {
                if let Some(back) = retreat.back.as_ref().filter(|_| *moves) {
                    front::back(back, &self.scene, &tell).await?;
                }
                beside::end(engine, name, spec, *there, retreat, &tell).await?;
            }
            Undo::HandBack {
                old,
                name,
                beside,
                serves,
            } => {
                beside::hand_back(engine, old, name, beside).await?;
                if *serves {
                    return Ok(Back::of(old, beside::run_again(engine, old).await?));
                }
            }
            Undo::Lower(raise) => maintain::take_down(raise, &self.scene, &tell).await?,
        }
        Ok(Back::There)
    }
}

/// Returns what runs again before anything else is taken back.
fn runs_first(step: &Step) -> Option<Undo<'_>> {
    let Action::StartBeside { retreat, .. } = &step.action else {
        return None;
    };
    retreat.stopped.as_ref().map(Undo::RunAgain)
}

/// Runs a container again that has its place back.
async fn run_again(
    engine: &dyn WriteEngine,
    container: &ContainerRef,
) -> Result<Back, EngineError> {
    let started = containers::run_again(engine, container).await?;
    Ok(Back::of(container, started))
}
