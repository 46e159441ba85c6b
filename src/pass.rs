//! What a pass comes to: the results that the reports are made of.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use futures_util::future::join_all;

use crate::desired::DesiredState;
use crate::engine::EngineError;
use crate::journal::Outcome;
use crate::lock::LockError;
use crate::maintenance::MaintenanceError;
use crate::observe::{ObserveError, ObservedState};
use crate::plan::{History, Plan};
use crate::record::RecordError;
use crate::stacks::{LoadError, Loaded};

/// Why a stack could not be looked at or worked on.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// What Git wants could not be found out.
    #[error("{0}")]
    Load(#[from] LoadError),
    /// What Git wants can't be loaded, and what was released was kept as it was.
    #[error("{error}")]
    Kept {
        /// Why it can't be.
        error: LoadError,
        /// The pass over what was released.
        passed: Box<Passed>,
    },
    /// The engine could not be asked.
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// The maintenance flag could not be looked at.
    #[error("{0}")]
    Maintenance(#[from] MaintenanceError),
    /// Somebody's command is at work on the stack.
    #[error("{0}")]
    Busy(#[from] LockError),
    /// The record could not be read or written.
    #[error("{0}")]
    Record(#[from] RecordError),
}

impl From<ObserveError> for PassError {
    fn from(error: ObserveError) -> Self {
        match error {
            ObserveError::Engine(error) => Self::Engine(error),
            ObserveError::Maintenance(error) => Self::Maintenance(error),
        }
    }
}

/// A stack that was looked at: everything that the plan was made from, and the plan.
pub struct Looked {
    /// What Git wants.
    pub desired: DesiredState,
    /// What is on the host.
    pub observed: ObservedState,
    /// What was.
    pub history: Arc<History>,
    /// What a pass does about it.
    pub plan: Plan,
    /// What schedules are carried out of.
    pub scheduled: Scheduled,
}

/// What schedules are carried out of: a backup runs commands and takes old backups away, so it waits
/// for what everything else of a commit waits for.
pub enum Scheduled {
    /// What Git wants.
    Wanted,
    /// What was released: what Git wants is held.
    Released(Box<DesiredState>),
    /// Nothing: what Git wants is held, and nothing was released that can be loaded.
    Nothing,
}

impl Looked {
    /// Returns the stack whose schedules are carried out.
    pub fn scheduled(&self) -> Option<&DesiredState> {
        match &self.scheduled {
            Scheduled::Wanted => Some(&self.desired),
            Scheduled::Released(desired) => Some(desired),
            Scheduled::Nothing => None,
        }
    }
}

/// What a pass did to a stack.
pub struct Passed {
    /// What it was made from.
    pub looked: Looked,
    /// How the attempt ended; `None` when there was nothing to do or something holds it.
    pub outcome: Option<Outcome>,
}

impl fmt::Debug for Passed {
    /// Names the stack alone: there are values of it that nobody may see.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a pass over {}", self.looked.desired.stack)
    }
}

/// Returns the pass over a stack, also where its head can't be loaded and its release was kept.
pub fn passed(result: &Result<Passed, PassError>) -> Option<&Passed> {
    match result {
        Ok(passed) => Some(passed),
        Err(PassError::Kept { passed, .. }) => Some(passed),
        Err(
            PassError::Load(_)
            | PassError::Engine(_)
            | PassError::Maintenance(_)
            | PassError::Busy(_)
            | PassError::Record(_),
        ) => None,
    }
}

/// One result for each stack, by the directory of its manifest.
pub type ByStack<T> = BTreeMap<String, Result<T, PassError>>;

/// Does something with all stacks that were loaded, side by side; each by the directory of its
/// manifest.
pub async fn each<T>(
    stacks: Loaded,
    work: impl AsyncFn(&str, Result<DesiredState, LoadError>) -> Result<T, PassError>,
) -> ByStack<T> {
    let results = stacks.into_iter().map(async |(dir, desired)| {
        let result = work(&dir, desired).await;
        (dir, result)
    });
    join_all(results).await.into_iter().collect()
}
