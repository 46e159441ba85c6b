//! What the steps of one attempt share: the plan, the journal, what was measured before, and whom
//! they have put down.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::Hands;
use super::files::Guard;
use super::pulled::Pulled;
use crate::events::Event;
use crate::journal::{Entry, Note, Status};
use crate::permits::Touch;
use crate::plan::Plan;
use crate::record::{Journal, RecordError};

/// What the steps of one attempt share.
pub(super) struct Scene<'a> {
    pub(super) plan: &'a Plan,
    pub(super) hands: &'a Hands,
    pub(super) book: Book<'a>,
    /// The images that were pulled.
    pub(super) pulled: Pulled,
    /// How fast checks were answered before anything changed, by their number in Git.
    measured: Mutex<BTreeMap<usize, Duration>>,
    /// Whether the site did not answer before the maintenance page was switched on.
    was_down: AtomicBool,
    /// Ids of containers that the engine was told to stop or restart.
    put_down: Mutex<BTreeSet<String>>,
}

impl<'a> Scene<'a> {
    pub(super) fn new(plan: &'a Plan, hands: &'a Hands, journal: Journal) -> Self {
        let journal = Mutex::new(journal);
        Self {
            plan,
            hands,
            book: Book { journal, hands },
            pulled: Pulled::default(),
            measured: Mutex::default(),
            was_down: AtomicBool::new(false),
            put_down: Mutex::default(),
        }
    }

    /// Returns who is asked before files of the host are touched like this.
    pub(super) fn guard(&self, touch: Touch) -> Guard<'_> {
        Guard {
            gate: &self.hands.gate,
            stack: &self.plan.stack,
            touch,
        }
    }

    /// Returns what tells people how a step goes on.
    pub(super) fn told(&self, step: u32) -> impl Fn(String) + Send + Sync + use<'a> {
        let (hands, stack) = (self.hands, self.plan.stack.clone());
        move |what: String| {
            let what = hands.redactor.clean(&what);
            let stack = stack.clone();
            hands.events.tell(Event::Waiting { stack, step, what });
        }
    }

    /// Keeps a note of a step; durable when it returns.
    pub(super) fn note(&self, step: u32, note: Note) -> Result<(), RecordError> {
        self.book.append(&Entry::Noted { step, note })
    }

    pub(super) fn site_was_down(&self, down: bool) {
        self.was_down.store(down, Ordering::SeqCst);
    }

    pub(super) fn was_site_down(&self) -> bool {
        self.was_down.load(Ordering::SeqCst)
    }

    /// Keeps in mind that the engine is about to be told to stop or restart a container.
    pub(super) fn puts_down(&self, container: &str) {
        let mut put_down = self.put_down.lock().unwrap_or_else(PoisonError::into_inner);
        put_down.insert(container.to_owned());
    }

    /// Returns whether the engine was told to stop or restart a container: one that was not has
    /// run all along, whatever became of the step.
    pub(super) fn has_put_down(&self, container: &str) -> bool {
        let put_down = self.put_down.lock().unwrap_or_else(PoisonError::into_inner);
        put_down.contains(container)
    }

    pub(super) fn measured(&self) -> MutexGuard<'_, BTreeMap<usize, Duration>> {
        self.measured.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The journal of the attempt, for steps that run side by side.
pub(super) struct Book<'a> {
    journal: Mutex<Journal>,
    hands: &'a Hands,
}

impl Book<'_> {
    /// Adds an entry; durable when it returns.
    pub(super) fn append(&self, entry: &Entry) -> Result<(), RecordError> {
        let now = self.hands.clock.now();
        self.lock().append(entry, now)
    }

    /// Returns where the attempt is.
    pub(super) fn status(&self) -> Status {
        self.lock().status().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Journal> {
        self.journal.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
