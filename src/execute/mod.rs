//! Walks a plan: journals before and after each step, and decides nothing.
//!
//! Steps run as parallel as their `after` allows, at most four at a time. When one fails,
//! nothing new begins, what runs is let finish, and what was replaced is put back.

mod await_service;
mod containers;
mod files;
mod step;
mod undo;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;

use crate::clock::Clock;
use crate::desired::StackName;
use crate::engine::{EngineError, WriteEngine};
use crate::events::{Event, Events};
use crate::journal::{Entry, Outcome};
use crate::plan::{Phase, Plan, Step};
use crate::record::{Journal, Record, RecordError};
use crate::secret::{DigestKey, Redactor};

/// Steps at a time. With 16 workers and 50 containers the engine left networks stuck with
/// "active endpoints" in 7 of 16 teardowns, with 4 in none.
const AT_ONCE: usize = 4;

/// What the executor works with.
pub struct Hands {
    /// The engine, with its effects.
    pub engine: Arc<dyn WriteEngine>,
    /// Where attempts and releases are recorded.
    pub record: Record,
    /// Key of the digests in a release.
    pub key: DigestKey,
    /// Where placed files' previous content is kept.
    pub store: PathBuf,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Where it is told what happens.
    pub events: Events,
    /// What errors pass through before anybody sees them.
    pub redactor: Redactor,
    /// Turns true when no new step should begin.
    pub stop: watch::Receiver<bool>,
    /// Attempts that are open now.
    pub open: Arc<AtomicUsize>,
}

impl Hands {
    /// Returns where the former content of a stack's files is kept.
    fn store_of(&self, stack: &StackName) -> PathBuf {
        self.store.join(stack.as_str())
    }

    /// Returns whether an attempt is open.
    pub fn is_at_work(&self) -> bool {
        self.open.load(Ordering::SeqCst) > 0
    }
}

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The engine refused or could not be asked.
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// A service did not come up.
    #[error("{service} is not up: {why}\n  hint: see what it says: docker logs {container}")]
    NotUp {
        /// Which one.
        service: String,
        /// Its container.
        container: String,
        /// What was seen.
        why: String,
    },
    /// A file could not be placed.
    #[error("failed to place {}: {source}", path.display())]
    Place {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The release could not be recorded.
    #[error("{0}")]
    Record(#[from] RecordError),
    /// The wait was given up because another step failed or a stop was asked for.
    #[error("given up")]
    GivenUp,
}

/// The first thing that went wrong in an attempt.
struct Trouble {
    phase: Phase,
    error: String,
    /// It may go away by itself, and what was done so far is for the next pass to go on from.
    passing: bool,
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
            passing: true,
            ..
        }) => Outcome::Postponed { error },
        // The new release stands by then, and going back from it would do harm.
        Some(Trouble {
            error,
            phase: Phase::Settle,
            ..
        }) => Outcome::Unsettled { error },
        Some(Trouble {
            error,
            phase: Phase::Prepare | Phase::Converge | Phase::Verify,
            ..
        }) => walk.put_back(error).await?,
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

struct Walk<'a> {
    plan: &'a Plan,
    hands: &'a Hands,
    journal: Journal,
    /// Steps that have not begun.
    waiting: BTreeMap<u32, &'a Step>,
    done: BTreeSet<u32>,
    /// Steps that began, in order: the order in which they are undone is the reverse.
    begun: Vec<&'a Step>,
    trouble: Option<Trouble>,
}

impl<'a> Walk<'a> {
    fn new(plan: &'a Plan, hands: &'a Hands, journal: Journal) -> Self {
        Self {
            plan,
            hands,
            journal,
            waiting: plan.steps.iter().map(|step| (step.number, step)).collect(),
            done: BTreeSet::new(),
            begun: Vec::new(),
            trouble: None,
        }
    }

    fn note(&mut self, entry: &Entry) -> Result<(), RecordError> {
        self.journal.append(entry, self.hands.clock.now())
    }

    /// Runs the steps until all are done, one fails, or a stop is asked for.
    async fn steps(&mut self) -> Result<(), RecordError> {
        let (give_up, cancelled) = watch::channel(false);
        let mut halt = self.hands.stop.clone();
        let mut running = FuturesUnordered::new();
        loop {
            let halted = self.trouble.is_some() || *halt.borrow();
            while !halted && running.len() < AT_ONCE {
                let Some(step) = self.next_ready() else { break };
                self.begin(step)?;
                let (hands, stack, cancelled) = (self.hands, &self.plan.stack, cancelled.clone());
                running.push(async move { (step, step::run(step, stack, hands, cancelled).await) });
            }
            let finished = tokio::select! {
                finished = running.next() => finished,
                // Waits are given up on a stop: they change nothing.
                Ok(()) = halt.changed(), if !halted => {
                    give_up.send_replace(true);
                    continue;
                }
            };
            let Some((step, result)) = finished else {
                return Ok(());
            };
            match result {
                Ok(()) => self.finish(step)?,
                Err(error) => {
                    self.fail(step, &error)?;
                    give_up.send_replace(true);
                }
            }
        }
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
        self.hands.events.tell(Event::StepStarted {
            stack,
            step: step.clone(),
        });
        Ok(())
    }

    fn finish(&mut self, step: &Step) -> Result<(), RecordError> {
        self.note(&Entry::Done { step: step.number })?;
        self.done.insert(step.number);
        let stack = self.plan.stack.clone();
        self.hands.events.tell(Event::StepDone {
            stack,
            step: step.number,
        });
        Ok(())
    }

    fn fail(&mut self, step: &'a Step, error: &StepError) -> Result<(), RecordError> {
        let text = self.hands.redactor.clean(&error.to_string());
        self.note(&Entry::Failed {
            step: step.number,
            error: text.clone(),
        })?;
        if matches!(error, StepError::GivenUp) {
            self.waiting.insert(step.number, step);
            return Ok(());
        }
        let (verb, subject) = (step.action.verb(), step.action.subject());
        self.trouble.get_or_insert(Trouble {
            phase: step.phase,
            error: format!("step {}, {verb} {subject}: {text}", step.number),
            passing: may_pass(error, step.phase),
        });
        let stack = self.plan.stack.clone();
        self.hands.events.tell(Event::StepFailed {
            stack,
            step: step.number,
            error: text,
        });
        Ok(())
    }
}

/// Returns whether an error may go away by itself, so that it must not hold the revision.
///
/// Without an engine nothing can be done, nor put back; before anything was touched a registry
/// that does not answer costs nothing but time.
fn may_pass(error: &StepError, phase: Phase) -> bool {
    match error {
        StepError::Engine(EngineError::Unavailable { .. }) => true,
        StepError::Engine(EngineError::Registry { .. } | EngineError::TimedOut { .. }) => {
            phase == Phase::Prepare
        }
        StepError::Engine(
            EngineError::NotFound { .. }
            | EngineError::Conflict { .. }
            | EngineError::Refused { .. },
        )
        | StepError::NotUp { .. }
        | StepError::Place { .. }
        | StepError::Record(_)
        | StepError::GivenUp => false,
    }
}
