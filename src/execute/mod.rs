//! Walks a plan: journals before and after each step, and decides nothing.
//!
//! Steps run as parallel as their `after` allows, at most [`AT_ONCE`] at a time. When one fails,
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
    let failed = walk.steps().await?;
    let outcome = match failed {
        // The new release stands by then, and going back from it would do harm.
        Some((Phase::Settle, error)) => Outcome::Unsettled { error },
        Some((Phase::Prepare | Phase::Converge | Phase::Verify, error)) => {
            walk.put_back(error).await?
        }
        None if walk.waiting.is_empty() => Outcome::Succeeded,
        None => Outcome::Stopped,
    };
    walk.note(&Entry::Ended {
        outcome: outcome.clone(),
    })?;
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
}

impl<'a> Walk<'a> {
    fn new(plan: &'a Plan, hands: &'a Hands, journal: Journal) -> Self {
        let waiting = plan.steps.iter().map(|step| (step.number, step)).collect();
        Self {
            plan,
            hands,
            journal,
            waiting,
            done: BTreeSet::new(),
            begun: Vec::new(),
        }
    }

    fn note(&mut self, entry: &Entry) -> Result<(), RecordError> {
        self.journal.append(entry, self.hands.clock.now())
    }

    /// Runs the steps until all are done, one fails, or a stop is asked for; returns the failure.
    async fn steps(&mut self) -> Result<Option<(Phase, String)>, RecordError> {
        let (give_up, cancelled) = watch::channel(false);
        let mut halt = self.hands.stop.clone();
        let mut running = FuturesUnordered::new();
        let mut failure = None;
        loop {
            let halted = failure.is_some() || *halt.borrow();
            while !halted && running.len() < AT_ONCE {
                let Some(step) = self.next_ready() else { break };
                // Intent is durable before the effect; a journal that can't be written stops us.
                self.note(&Entry::Intent { step: step.number })?;
                self.begun.push(step);
                self.tell(Event::StepStarted {
                    stack: self.plan.stack.clone(),
                    step: step.clone(),
                });
                let cancelled = cancelled.clone();
                let (hands, stack) = (self.hands, &self.plan.stack);
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
                break;
            };
            match result {
                Ok(()) => {
                    self.note(&Entry::Done { step: step.number })?;
                    self.done.insert(step.number);
                    self.tell(Event::StepDone {
                        stack: self.plan.stack.clone(),
                        step: step.number,
                    });
                }
                Err(StepError::GivenUp) => {
                    self.note(&Entry::Failed {
                        step: step.number,
                        error: "given up".to_owned(),
                    })?;
                    self.waiting.insert(step.number, step);
                }
                Err(error) => {
                    let error = self.hands.redactor.clean(&error.to_string());
                    self.note(&Entry::Failed {
                        step: step.number,
                        error: error.clone(),
                    })?;
                    let stack = self.plan.stack.clone();
                    self.tell(Event::StepFailed {
                        stack,
                        step: step.number,
                        error: error.clone(),
                    });
                    let (verb, subject) = (step.action.verb(), step.action.subject());
                    let error = format!("step {}, {verb} {subject}: {error}", step.number);
                    failure.get_or_insert((step.phase, error));
                    give_up.send_replace(true);
                }
            }
        }
        Ok(failure)
    }

    fn next_ready(&mut self) -> Option<&'a Step> {
        let ready = |step: &&Step| step.after.iter().all(|before| self.done.contains(before));
        let number = self.waiting.values().find(|step| ready(step))?.number;
        self.waiting.remove(&number)
    }

    fn tell(&self, event: Event) {
        self.hands.events.tell(event);
    }
}
