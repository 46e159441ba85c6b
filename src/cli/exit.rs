//! The exit codes, and which result has which.

use std::process::ExitCode;

use crate::host::HostError;
use crate::journal::Outcome;
use crate::pass::{ByStack, Looked, PassError, Passed};
use crate::plan::{Plan, Weight};
use crate::promote::PromoteError;
use crate::rollback::{RollbackError, Way};
use crate::source::SourceError;
use crate::stacks::LoadError;

/// How the program ends. Part of the public interface: `docs/operations.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Nothing to do, or done.
    Done,
    /// Something failed on the way.
    Failed,
    /// Differences were found (`plan`, `drift`).
    Differences,
    /// The command line or the host's settings can't be used.
    Usage,
    /// The state repository says something that can't be.
    BadState,
    /// The engine or the source is unavailable, or another controller is at work.
    Unavailable,
    /// A revision is held.
    Held,
    /// What a person ran in a container ended so.
    OfCommand(u8),
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Differences => 2,
            Exit::Usage => 64,
            Exit::BadState => 65,
            Exit::Unavailable => 69,
            Exit::Held => 75,
            Exit::OfCommand(code) => code,
        })
    }
}

impl Exit {
    /// Returns the one that matters more when stacks end differently.
    pub(super) fn or(self, other: Self) -> Self {
        let weight = |exit: Self| match exit {
            Self::Done => 0,
            Self::Differences => 1,
            Self::Held => 2,
            Self::Unavailable => 3,
            Self::BadState => 4,
            Self::Usage => 5,
            Self::Failed => 6,
            Self::OfCommand(_) => 7,
        };
        if weight(other) > weight(self) {
            other
        } else {
            self
        }
    }
}

/// Returns the exit code of a pass.
pub(super) fn of_pass(passed: &ByStack<Passed>) -> Exit {
    let exits = passed.values().map(|passed| match passed {
        Err(error) => of_error(error),
        Ok(passed) => match &passed.outcome {
            // What was mended may be a release that Git has left, with what it wants now held.
            None | Some(Outcome::Succeeded) => of_holds(&passed.looked.plan),
            Some(
                Outcome::RolledBack { .. }
                | Outcome::Failed { .. }
                | Outcome::Held { .. }
                | Outcome::Stuck { .. }
                | Outcome::Unsettled { .. }
                | Outcome::Stopped
                | Outcome::Interrupted,
            ) => Exit::Failed,
            Some(Outcome::Postponed { .. }) => Exit::Unavailable,
        },
    });
    exits.fold(Exit::Done, Exit::or)
}

/// Returns the exit code of a look.
pub(super) fn of_look(looked: &ByStack<Looked>) -> Exit {
    let exits = looked.values().map(|looked| match looked {
        Err(error) => of_error(error),
        Ok(looked) => {
            let plan = &looked.plan;
            let differs =
                !plan.steps.is_empty() || !plan.holds.is_empty() || !plan.differences.is_empty();
            of_holds(plan).or(if differs {
                Exit::Differences
            } else {
                Exit::Done
            })
        }
    });
    exits.fold(Exit::Done, Exit::or)
}

fn of_holds(plan: &Plan) -> Exit {
    match plan.weight() {
        None | Some(Weight::Notice) => Exit::Done,
        Some(Weight::Passing) => Exit::Unavailable,
        Some(Weight::Blocking) => Exit::Held,
    }
}

/// Returns the exit code of a pass that could not be made.
pub(super) fn of_error(error: &PassError) -> Exit {
    match error {
        PassError::Load(error) | PassError::Kept { error, .. } => of_load(error),
        PassError::Engine(_) | PassError::Busy(_) => Exit::Unavailable,
        PassError::Record(_) | PassError::Maintenance(_) => Exit::Failed,
    }
}

/// Returns the exit code of a rollback.
pub(super) fn of_way(way: &Way) -> Exit {
    match way {
        Way::Already { .. } | Way::Pushed(_) | Way::NotPushed(_) | Way::Pinned(_) => Exit::Done,
        Way::Refused(..) => Exit::Unavailable,
    }
}

/// Returns the exit code of a rollback that could not be made.
pub(super) fn of_rollback(error: &RollbackError) -> Exit {
    match error {
        RollbackError::WhichStack { .. }
        | RollbackError::UnknownStack { .. }
        | RollbackError::UnknownRelease { .. }
        | RollbackError::Ambiguous { .. } => Exit::Usage,
        RollbackError::NothingReleased
        | RollbackError::NoneEarlier { .. }
        | RollbackError::Lost { .. }
        | RollbackError::Unreadable { .. }
        | RollbackError::Elsewhere { .. }
        | RollbackError::Commit(_)
        | RollbackError::Record(_) => Exit::Failed,
        RollbackError::NotInSettings { .. }
        | RollbackError::NotLoadable { .. }
        | RollbackError::NowhereInGit { .. }
        | RollbackError::Read(_) => Exit::BadState,
        RollbackError::NoGit { source, .. } => of_load(source),
        RollbackError::Push(_) => Exit::Unavailable,
    }
}

/// Returns the exit code of a bump or a promotion that could not be made.
pub(super) fn of_promotion(error: &PromoteError) -> Exit {
    match error {
        PromoteError::WhichStack { .. }
        | PromoteError::UnknownStack { .. }
        | PromoteError::SameStack { .. }
        | PromoteError::UnknownService { .. }
        | PromoteError::BadImage { .. } => Exit::Usage,
        PromoteError::NotWell { .. }
        | PromoteError::NotPermitted { .. }
        | PromoteError::Refused(_) => Exit::Held,
        PromoteError::NoDigest { .. } | PromoteError::Commit(_) | PromoteError::Record(_) => {
            Exit::Failed
        }
        PromoteError::NothingNamed { .. } | PromoteError::Edit(_) | PromoteError::Read(_) => {
            Exit::BadState
        }
        PromoteError::NotLoadable { source, .. } => of_load(source),
        PromoteError::Load(error) => of_load(error),
        PromoteError::Push(_) => Exit::Unavailable,
    }
}

fn of_load(error: &LoadError) -> Exit {
    match error {
        LoadError::State(_) | LoadError::Read(_) | LoadError::Pinned { .. } => Exit::BadState,
        LoadError::Refused(_) => Exit::Held,
        // These are found on use, but it is the settings that are wrong.
        LoadError::Source(
            SourceError::Unsupported { .. }
            | SourceError::CredentialsInUrl { .. }
            | SourceError::InvalidBranch { .. }
            | SourceError::AuthFile { .. },
        ) => Exit::Usage,
        LoadError::Source(_) | LoadError::Mirror(_) | LoadError::Engine(_) => Exit::Unavailable,
        LoadError::Record(_) => Exit::Failed,
    }
}

/// Returns the exit code of a host that can't be worked on.
pub(super) fn of_host(error: &HostError) -> Exit {
    match error {
        HostError::Lock(_) | HostError::Engine(_) => Exit::Unavailable,
        HostError::StateDir { .. } | HostError::Record(_) => Exit::Failed,
    }
}
