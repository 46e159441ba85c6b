//! What the executor works with.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;

use crate::clock::Clock;
use crate::desired::StackName;
use crate::engine::WriteEngine;
use crate::events::Events;
use crate::record::Record;
use crate::secret::{DigestKey, Redactor};

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
    pub(super) fn store_of(&self, stack: &StackName) -> PathBuf {
        self.store.join(stack.as_str())
    }

    /// Returns whether an attempt is open.
    pub fn is_at_work(&self) -> bool {
        self.open.load(Ordering::SeqCst) > 0
    }
}
