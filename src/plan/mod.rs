//! Decides what a pass does: [`plan`] compares what Git wants with what was observed and returns
//! the steps in order, and what is held and why.
//!
//! Pure, total and deterministic: no I/O, no clock, no randomness; the same input gives the same
//! bytes. The printed form of a [`Plan`] (its `Display`) is the one that commands, logs,
//! documentation and tests show.

mod action;
mod diff;
mod display;
mod examined;
pub mod facts;
mod ground;
mod history;
mod hold;
mod order;
mod services;
mod settle;
mod spec;

use serde::Serialize;

pub use action::{
    Action, Await, ContainerRef, Phase, Placement, ReleaseDraft, RemoveReason, Step, aside,
    incoming, is_aside, is_incoming,
};
pub use diff::{Origin, Reason, value};
pub use ground::SETTLES_WITHIN;
pub use history::{Failure, History, PastAttempt, Release, ReleaseId, ReleasedImage};
pub use hold::{Hold, Weight};
pub use order::plan;
pub use services::observed_facts;

use crate::desired::{ServiceName, StackName};
use crate::secret::DigestKey;
use crate::source::{CommitInfo, Revision};

/// What a pass does to one stack, and what it leaves as it is.
#[derive(Clone)]
pub struct Plan {
    /// Which stack.
    pub stack: StackName,
    /// Number of the attempt that executing it is.
    pub attempt: u64,
    /// The commit that it converges to.
    pub commit: CommitInfo,
    /// The commit of the last release; `None` before the first.
    pub from: Option<Revision>,
    /// Steps in an order in which they can be done one after the other.
    pub steps: Vec<Step>,
    /// What is not done, and why.
    pub holds: Vec<Hold>,
    /// Every difference that was found, whether or not a step takes it away.
    pub differences: Vec<Difference>,
}

/// The fields in which one service differs from Git.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Which service.
    pub service: ServiceName,
    /// In what.
    pub reasons: Vec<Reason>,
}

/// Who plans: everything about this installation that goes into the containers it makes.
pub struct Context<'a> {
    /// Id of this installation.
    pub instance: &'a str,
    /// Key of its digests.
    pub key: &'a DigestKey,
    /// Now, in seconds since 1970: the only time that planning knows.
    pub now: i64,
}

impl Plan {
    /// Returns whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Returns the heaviest hold's weight.
    pub fn weight(&self) -> Option<Weight> {
        self.holds.iter().map(Hold::weight).max()
    }
}
