//! Walks the steps of a plan, in the order that their `after` allows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;

use super::scene::Scene;
use super::way_back::{WayBack, way_back};
use super::{Hands, StepError, step};
use crate::engine::EngineError;
use crate::events::Event;
use crate::journal::{Entry, Outcome};
use crate::maintenance::MaintenanceError;
use crate::plan::{Action, Phase, Plan, Step};
use crate::record::{Journal, RecordError};

/// Steps at a time. With 16 workers and 50 containers the engine left networks stuck with
/// "active endpoints" in 7 of 16 teardowns, with 4 in none.
const AT_ONCE: usize = 4;

/// The first thing that went wrong in an attempt.
struct Trouble {
    phase: Phase,
    error: String,
    passing: Passing,
}

/// Whether trouble may go away by itself, so that it must not hold the revision.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Passing {
    /// It stays until something is changed.
    No,
    /// A registry or the room on a disk is away for now: nothing was touched yet.
    RegistryAway,
    /// Without an engine nothing can be done, nor put back: the next pass that reaches it goes on
    /// from what it finds.
    EngineAway,
}

/// Executes a plan as the attempt that it was made for.
///
/// # Errors
/// The journal can't be written. No effect follows then; what the host looks like is for the
/// next pass to observe.
pub async fn execute(plan: &Plan, hands: &Hands) -> Result<Outcome, RecordError> {
    hands.open.fetch_add(1, Ordering::SeqCst);
    let outcome = attempt(plan, hands).await;
    hands.open.fetch_sub(1, Ordering::SeqCst);
    outcome
}

async fn attempt(plan: &Plan, hands: &Hands) -> Result<Outcome, RecordError> {
    let journal = hands.record.begin(plan, hands.clock.now())?;
    let mut walk = Walk::new(plan, hands, journal);
    walk.steps().await?;
    let outcome = match walk.trouble.take() {
        None if walk.waiting.is_empty() => Outcome::Succeeded,
        None => Outcome::Stopped,
        Some(Trouble {
            error,
            passing: Passing::EngineAway,
            ..
        }) => Outcome::Postponed { error },
        Some(Trouble {
            error,
            passing,
            phase,
        }) => {
            let status = walk.scene.book.status();
            match (way_back(plan, &status, phase), passing) {
                // The new release stands by then, and going back from it would do harm.
                (WayBack::Stands, _) => Outcome::Unsettled { error },
                (WayBack::Stay { way_out }, _) => Outcome::Held { error, way_out },
                (WayBack::Undo, Passing::RegistryAway) => walk.postpone(error).await?,
                (WayBack::Undo, Passing::EngineAway | Passing::No) => walk.put_back(error).await?,
            }
        }
    };
    walk.note(&Entry::Ended {
        outcome: outcome.clone(),
    })?;
    if outcome == Outcome::Succeeded {
        // There is nothing to put back any more. What can't be removed is removed another time.
        std::fs::remove_dir_all(hands.store_of(&plan.stack)).unwrap_or_default();
    }
    Ok(outcome)
}

pub(super) struct Walk<'a> {
    pub(super) plan: &'a Plan,
    pub(super) scene: Arc<Scene<'a>>,
    /// Steps that have not begun.
    waiting: BTreeMap<u32, &'a Step>,
    pub(super) done: BTreeSet<u32>,
    /// Steps that began, in order: the order in which they are undone is the reverse.
    pub(super) begun: Vec<&'a Step>,
    trouble: Option<Trouble>,
}

impl<'a> Walk<'a> {
    fn new(plan: &'a Plan, hands: &'a Hands, journal: Journal) -> Self {
        Self {
            plan,
            scene: Arc::new(Scene::new(plan, hands, journal)),
            waiting: plan.steps.iter().map(|step| (step.number, step)).collect(),
            done: BTreeSet::new(),
            begun: Vec::new(),
            trouble: None,
        }
    }

    pub(super) fn note(&mut self, entry: &Entry) -> Result<(), RecordError> {
        self.scene.book.append(entry)
    }

    /// Takes back what was touched, so that nothing waits for another try, and ends as postponed.
    async fn postpone(&mut self, error: String) -> Result<Outcome, RecordError> {
        Ok(match self.put_back(error).await? {
            Outcome::RolledBack { error } | Outcome::Failed { error } => {
                Outcome::Postponed { error }
            }
            other @ (Outcome::Stuck { .. }
            | Outcome::Held { .. }
            | Outcome::Succeeded
            | Outcome::Postponed { .. }
            | Outcome::Unsettled { .. }
            | Outcome::Stopped
            | Outcome::Interrupted) => other,
        })
    }

    /// Runs the steps until all are done, one fails, or a stop is asked for.
    async fn steps(&mut self) -> Result<(), RecordError> {
        let (give_up, cancelled) = watch::channel(false);
        let mut halt = self.scene.hands.stop.clone();
        let scene = Arc::clone(&self.scene);
        let mut running = FuturesUnordered::new();
        loop {
            let stopped = *halt.borrow() && !self.is_past_guard();
            let halted = self.trouble.is_some() || stopped;
            while !halted && running.len() < AT_ONCE {
                let Some(step) = self.next_ready() else { break };
                self.begin(step)?;
                let (scene, cancelled) = (&scene, cancelled.clone());
                running.push(async move { (step, step::run(step, scene, cancelled).await) });
            }
            let finished = tokio::select! {
                finished = running.next() => finished,
                // Waits are given up on a stop: they change nothing.
                Ok(()) = halt.changed(), if !halted => {
                    if !self.is_past_guard() {
                        give_up.send_replace(true);
                    }
                    continue;
                }
            };
            let Some((step, result)) = finished else {
                return Ok(());
            };
            match result {
                Ok(()) => self.finish(step)?,
                Err(error) => {
                    let error = error.clean(&scene.hands.redactor);
                    self.fail(step, &error)?;
                    give_up.send_replace(true);
                }
            }
            // What it said is in the journal by now; one that is left is removed another time.
            step::clear(step, &scene).await;
        }
    }

    /// Returns whether visitors or data wait for the end: a stop comes after it then.
    fn is_past_guard(&self) -> bool {
        self.begun.iter().any(|step| {
            matches!(
                step.action,
                Action::MaintainOn(_)
                    | Action::Stop { .. }
                    | Action::Migrate(_)
                    | Action::Restore(_)
            )
        })
    }

    fn next_ready(&mut self) -> Option<&'a Step> {
        let ready = |step: &&Step| step.after.iter().all(|before| self.done.contains(before));
        let number = self.waiting.values().find(|step| ready(step))?.number;
        self.waiting.remove(&number)
    }

    /// Makes the intent durable, before the effect; a journal that can't be written stops us.
    fn begin(&mut self, step: &'a Step) -> Result<(), RecordError> {
        self.note(&Entry::Intent { step: step.number })?;
        self.begun.push(step);
        let stack = self.plan.stack.clone();
        self.scene.hands.events.tell(Event::StepStarted {
            stack,
            step: Box::new(step.clone()),
        });
        Ok(())
    }

    fn finish(&mut self, step: &Step) -> Result<(), RecordError> {
        self.note(&Entry::Done { step: step.number })?;
        self.done.insert(step.number);
        let stack = self.plan.stack.clone();
        self.scene.hands.events.tell(Event::StepDone {
            stack,
            step: step.number,
        });
        Ok(())
    }

    fn fail(&mut self, step: &'a Step, error: &StepError) -> Result<(), RecordError> {
        let text = self.scene.hands.redactor.clean(&error.to_string());
        self.note(&Entry::Failed {
            step: step.number,
            error: text.clone(),
        })?;
        if matches!(error, StepError::GivenUp) {
            self.waiting.insert(step.number, step);
            return Ok(());
        }
        let (verb, subject) = (step.action.verb(), step.action.subject());
        // A service that went down just before it would have been recorded was not up after all.
        let phase = match error {
            StepError::NotUp { .. }
            | StepError::Maintenance(MaintenanceError::NotProved { .. })
                if step.phase == Phase::Settle =>
            {
                Phase::Verify
            }
            StepError::NotUp { .. }
            | StepError::Engine(_)
            | StepError::Proxy(_)
            | StepError::Config { .. }
            | StepError::Place { .. }
            | StepError::Command { .. }
            | StepError::Maintenance(_)
            | StepError::Backup(_)
            | StepError::Smoke { .. }
            | StepError::Record(_)
            | StepError::NotPermitted(_)
            | StepError::GivenUp => step.phase,
        };
        self.trouble.get_or_insert(Trouble {
            phase,
            error: format!("step {}, {verb} {subject}: {text}", step.number),
            passing: passing(error, step.phase),
        });
        let stack = self.plan.stack.clone();
        self.scene.hands.events.tell(Event::StepFailed {
            stack,
            step: step.number,
            error: text,
        });
        Ok(())
    }
}

/// Returns whether an error may go away by itself.
///
/// Before anything was touched a registry that does not answer costs nothing but time.
fn passing(error: &StepError, phase: Phase) -> Passing {
    match error {
        StepError::Engine(EngineError::Unavailable { .. }) => Passing::EngineAway,
        StepError::Config { lasting: false, .. } | StepError::Place { .. }
            if phase == Phase::Prepare =>
        {
            Passing::RegistryAway
        }
        StepError::Proxy(error) if phase == Phase::Prepare && error.is_passing() => {
            Passing::RegistryAway
        }
        // That a registry denies a pull is the fault of a login, and not of the revision.
        StepError::Engine(
            EngineError::Registry { .. }
            | EngineError::Denied { .. }
            | EngineError::TooMany { .. }
            | EngineError::TimedOut { .. },
        ) => {
            if phase == Phase::Prepare {
                Passing::RegistryAway
            } else {
                Passing::No
            }
        }
        StepError::Engine(
            EngineError::NotFound { .. }
            | EngineError::Conflict { .. }
            | EngineError::Refused { .. },
        )
        | StepError::NotUp { .. }
        | StepError::Proxy(_)
        | StepError::Config { .. }
        | StepError::Smoke { .. }
        | StepError::Place { .. }
        | StepError::Command { .. }
        | StepError::Maintenance(_)
        | StepError::Record(_)
        | StepError::NotPermitted(_)
        | StepError::GivenUp => Passing::No,
        StepError::Backup(error) => match error.engine() {
            Some(EngineError::Unavailable { .. }) => Passing::EngineAway,
            Some(_) | None => Passing::No,
        },
    }
}
