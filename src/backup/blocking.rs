//! Runs work that blocks on a thread of its own, with progress and a deadline.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::{BackupError, Progress, Work};

/// When a piece of work must be over.
#[derive(Clone, Copy)]
pub(super) struct Deadline {
    until: Instant,
    limit: Duration,
}

impl Deadline {
    /// Begins the time that the manifest allows.
    pub(super) fn of(work: &Work<'_>) -> Self {
        let limit = work.backup.timeout;
        // Centuries are as good as for ever.
        let far = Duration::from_secs(100 * 365 * 24 * 3600);
        Self {
            until: Instant::now() + limit.min(far),
            limit,
        }
    }

    /// Returns the error that says that it is over.
    pub(super) fn exceeded(self, doing: &'static str) -> BackupError {
        BackupError::TimedOut {
            doing,
            limit: self.limit,
        }
    }

    /// Awaits `future` until the deadline.
    pub(super) async fn bound<T>(
        self,
        doing: &'static str,
        future: impl Future<Output = Result<T, BackupError>>,
    ) -> Result<T, BackupError> {
        tokio::time::timeout_at(self.until, future)
            .await
            .unwrap_or_else(|_| Err(self.exceeded(doing)))
    }
}

/// What ends a call that is under way in the thread.
type Interrupt = Box<dyn Fn() + Send>;

/// The thread's line to who waits for it.
pub(super) struct Ticket {
    doing: &'static str,
    deadline: Deadline,
    progress: watch::Sender<Progress>,
    interrupts: Arc<Mutex<Vec<Interrupt>>>,
}

impl Ticket {
    /// Says how far the work is.
    ///
    /// # Errors
    /// The time is over, or nobody waits any more.
    pub(super) fn tick(&self, progress: Progress) -> Result<(), BackupError> {
        let listens = self.progress.send(progress).is_ok();
        if listens && !self.is_over() {
            return Ok(());
        }
        Err(self.deadline.exceeded(self.doing))
    }

    /// Returns whether the time is over.
    pub(super) fn is_over(&self) -> bool {
        Instant::now() >= self.deadline.until || self.progress.is_closed()
    }

    /// Has `interrupt` called when the time is over while a call does not return.
    pub(super) fn on_end(&self, interrupt: impl Fn() + Send + 'static) {
        self.interrupts
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(Box::new(interrupt));
    }
}

/// Ends what the thread does when who waits for it goes away.
struct Leash(Arc<Mutex<Vec<Interrupt>>>);

impl Leash {
    fn pull(&self) {
        for interrupt in self.0.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            interrupt();
        }
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        self.pull();
    }
}

/// A thread looks at the deadline often; one that does not come back hangs in the kernel.
const GRACE: Duration = Duration::from_secs(30);

/// Runs `job` on a thread of its own.
///
/// # Errors
/// What the job says, or that the time is over.
pub(super) async fn blocking<T: Send + 'static>(
    work: &Work<'_>,
    deadline: Deadline,
    doing: &'static str,
    job: impl FnOnce(&Ticket) -> Result<T, BackupError> + Send + 'static,
) -> Result<T, BackupError> {
    let (sender, mut receiver) = watch::channel(Progress::default());
    let interrupts: Arc<Mutex<Vec<Interrupt>>> = Arc::default();
    let leash = Leash(Arc::clone(&interrupts));
    let ticket = Ticket {
        doing,
        deadline,
        progress: sender,
        interrupts,
    };
    let mut thread = tokio::task::spawn_blocking(move || job(&ticket));
    let mut told = true;
    loop {
        tokio::select! {
            changed = receiver.changed(), if told => match changed {
                Ok(()) => (work.progress)(*receiver.borrow_and_update()),
                Err(_) => told = false,
            },
            ended = &mut thread => {
                return ended.unwrap_or(Err(BackupError::Broken(doing)));
            }
            () = tokio::time::sleep_until(deadline.until) => break,
        }
    }
    leash.pull();
    match tokio::time::timeout(GRACE, thread).await {
        Ok(Ok(Err(busy @ BackupError::Busy { .. }))) => Err(busy),
        Ok(Ok(Ok(_) | Err(_)) | Err(_)) | Err(_) => Err(deadline.exceeded(doing)),
    }
}
