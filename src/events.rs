//! What a pass tells while it works: data, without words. The reporter makes words of it.

use std::net::SocketAddr;
use std::sync::Arc;

use crate::desired::backups::BackupName;
use crate::desired::{DesiredState, StackName};
use crate::diagnostic::Diagnostic;
use crate::engine::model::PullProgress;
use crate::plan::{Plan, Step};
use crate::source::Revision;

/// Something that happened in a pass.
#[derive(Clone)]
#[expect(missing_docs, reason = "the fields are the things of their names")]
pub enum Event {
    /// Something is not wrong and still worth saying.
    Warning {
        stack: StackName,
        warning: Diagnostic,
    },
    /// The settings were read again.
    Reloaded,
    /// The settings could not be read again; the old ones stay.
    ReloadRefused { error: String },
    /// Files can't be watched; changes are found by polling.
    NotWatching { error: String },
    /// HTTP is listened for.
    Listening { address: SocketAddr },
    /// HTTP can't be listened for now; it is tried again.
    NotListening { address: SocketAddr, error: String },
    /// HTTP is listened for at an address that others reach.
    ListensToOthers { address: SocketAddr },
    /// So many webhooks were not signed with the secret, since they were last told.
    WebhooksRefused { times: u64 },
    /// A branch no longer descends from what it was: its history was rewritten.
    Rewound { branch: String, revision: Revision },
    /// A plan is about to be executed.
    Planned { plan: Arc<Plan> },
    /// A step begins.
    StepStarted { stack: StackName, step: Box<Step> },
    /// A pull goes on.
    Pulling {
        stack: StackName,
        step: u32,
        image: String,
        progress: PullProgress,
    },
    /// A step waits, and for what.
    Waiting {
        stack: StackName,
        step: u32,
        what: String,
    },
    /// A person's command waits for what is at work on a stack.
    WaitingForOther { stack: StackName, holder: String },
    /// A backup outside a plan goes on, in bytes.
    BackingUp {
        stack: StackName,
        name: BackupName,
        done: u64,
        total: Option<u64>,
    },
    /// A backup outside a plan was taken and verified.
    BackedUp {
        stack: StackName,
        name: BackupName,
        file: String,
        size: u64,
    },
    /// What was released of a stack whose head can't be loaded could not be kept as it was.
    NotKept { dir: String, error: String },
    /// A backup that a schedule wants failed.
    BackupFailed {
        stack: StackName,
        name: BackupName,
        error: String,
    },
    /// A drill that a schedule wants failed.
    DrillFailed {
        stack: StackName,
        name: BackupName,
        error: String,
    },
    /// Somebody could not be told of something, or it could not be noted; it is tried again or not, as
    /// the error says.
    NotNotified { route: String, error: String },
    /// Others may read the file with the address of somebody who is told.
    RouteOpen { path: String },
    /// A backup was restored into a scratch place and found good.
    Drilled {
        stack: StackName,
        name: BackupName,
        file: String,
    },
    /// A step is done.
    StepDone { stack: StackName, step: u32 },
    /// A step failed.
    StepFailed {
        stack: StackName,
        step: u32,
        error: String,
    },
    /// What a step did is being taken back.
    Undoing { stack: StackName, step: u32 },
}

/// Where events go. Cloning is cheap.
#[derive(Clone)]
pub struct Events(Arc<dyn Fn(Event) + Send + Sync>);

impl Events {
    /// Sends events to `sink`, which must not block.
    pub fn new(sink: impl Fn(Event) + Send + Sync + 'static) -> Self {
        Self(Arc::new(sink))
    }

    /// Sends events nowhere.
    pub fn none() -> Self {
        Self::new(|_| {})
    }

    /// Tells what is not wrong with a stack and still worth saying.
    pub fn warn(&self, desired: &DesiredState) {
        for warning in desired.warnings.iter().cloned() {
            let stack = desired.stack.clone();
            self.tell(Event::Warning { stack, warning });
        }
    }

    /// Tells an event.
    pub fn tell(&self, event: Event) {
        (self.0)(event);
    }
}
