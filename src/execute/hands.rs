//! What the executor works with.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use backon::{ConstantBuilder, Retryable};

use tokio::sync::{Mutex, watch};

use crate::clock::Clock;
use crate::desired::StackName;
use crate::desired::backups::Backup;
use crate::desired::maintenance::Maintenance;
use crate::engine::WriteEngine;
use crate::events::Events;
use crate::lock::{EngineLock, Lock, LockError};
use crate::permits::Touch;
use crate::policy::{Gated, Refusal};
use crate::record::Record;
use crate::secret::{DigestKey, Redactor};

/// What the executor works with.
pub struct Hands {
    /// The engine, with those of its effects that are permitted.
    pub gate: Arc<Gated>,
    /// Where attempts and releases are recorded.
    pub record: Record,
    /// Key of the digests in a release.
    pub key: DigestKey,
    /// The state directory.
    pub state_dir: PathBuf,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Where it is told what happens.
    pub events: Events,
    /// What errors pass through before anybody sees them.
    pub redactor: Redactor,
    /// This program, to test a proxy's configuration in a child of its own.
    pub program: PathBuf,
    /// Turns true when no new step should begin.
    pub stop: watch::Receiver<bool>,
    /// Attempts that are open now.
    pub open: Arc<AtomicUsize>,
    /// Held by the stack that works on the host's own proxy.
    pub host_proxy: Mutex<()>,
    /// Taken before something is changed.
    pub engine_lock: EngineLock,
}

impl Hands {
    /// Returns the engine, behind the gate.
    pub fn engine(&self) -> &dyn WriteEngine {
        self.gate.as_ref()
    }

    /// Passes a backup whose places may be touched, as their links lead now.
    ///
    /// # Errors
    /// One of them may not.
    pub fn pass_backup(&self, stack: &StackName, backup: &Backup) -> Result<(), Refusal> {
        let mut places = backup.host_places().into_iter();
        let pass = |(_, path, touch)| self.gate.file(stack.as_str(), "backups", (path, touch));
        places.try_for_each(pass)
    }

    /// Passes a maintenance page whose files may be touched, as their links lead now.
    ///
    /// # Errors
    /// One of them may not.
    pub fn pass_page(&self, stack: &StackName, page: &Maintenance) -> Result<(), Refusal> {
        let pass = |path: PathBuf| {
            let place = (path.as_path(), Touch::Write);
            self.gate.file(stack.as_str(), "maintenance", place)
        };
        page.host_places().try_for_each(pass)
    }

    /// Returns where the former content of a stack's files is kept.
    pub(super) fn store_of(&self, stack: &StackName) -> PathBuf {
        self.state_dir.join("store").join(stack.as_str())
    }

    /// Returns where what a stack's proxy has loaded is kept, to go back to.
    pub(super) fn configs_of(&self, stack: &StackName) -> PathBuf {
        self.state_dir.join("configs").join(stack.as_str())
    }

    /// Returns where copies are made of what a proxy's test must not touch.
    pub(super) fn staging_of(&self, stack: &StackName) -> PathBuf {
        self.state_dir.join("staging").join(stack.as_str())
    }

    /// Returns where what people and scripts read about a stack's releases is.
    pub(super) fn releases_of(&self, stack: &StackName) -> PathBuf {
        self.state_dir.join("stacks").join(stack.as_str())
    }

    /// Makes sure that only one process works on a stack: a pass of the controller, or a person's
    /// command beside it. Waits for the other one as long as `patience`.
    ///
    /// # Errors
    /// The other one does not come to an end within that time, or the lock can't be used.
    pub async fn lock_stack(
        &self,
        stack: &StackName,
        patience: Duration,
    ) -> Result<Lock, LockError> {
        const BETWEEN_TRIES: Duration = Duration::from_millis(100);
        let dir = self.releases_of(stack);
        let path = dir.join("lock");
        let what = format!("the stack {stack}");
        let made = std::fs::create_dir_all(&dir);
        made.map_err(|source| LockError::Io {
            what: what.clone(),
            path: path.clone(),
            source,
        })?;
        let holder = format!("process {}", std::process::id());
        let tries = patience.as_millis() / BETWEEN_TRIES.as_millis();
        (|| async { Lock::take(&path, &what, &holder) })
            .retry(
                ConstantBuilder::default()
                    .with_delay(BETWEEN_TRIES)
                    .with_max_times(usize::try_from(tries).unwrap_or(usize::MAX)),
            )
            .when(|error| matches!(error, LockError::Taken { .. }))
            .await
    }

    /// Returns whether an attempt is open.
    pub fn is_at_work(&self) -> bool {
        self.open.load(Ordering::SeqCst) > 0
    }
}
