//! Holds what has to wait: for an approval, for its hours, for the end of a suspension.

use jiff::Timestamp;
use serde::Serialize;

use super::guard::All;
use super::heal::is_drift;
use super::order::Planner;
use super::services::Input;
use super::{Hold, Plan, Reason};
use crate::desired::StackName;
use crate::gates::{Closed, Nameless, Suspension};
use crate::trust::{Arrival, Gate, Unapproved};

/// What a stack waits for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "for", rename_all = "kebab-case")]
pub enum Waits {
    /// Somebody must approve what is new.
    #[error("{0}")]
    Approval(Unapproved),
    /// Changes are let in at other hours.
    #[error("{}; going back to an earlier release is let in at any time", words(.0))]
    Window(Closed),
    /// A rule of the settings names no stack, and may be meant for it.
    #[error(
        "the host's settings: {0}; no other rule there is for this stack, so what is new in it \
         waits until that one is corrected or taken out"
    )]
    Nameless(Nameless),
    /// Git says that it is left alone.
    #[error("{0} in Git: nothing is changed, not even drift; take suspend out of its moored.yaml")]
    SuspensionInGit(Suspension),
    /// A person at this host has said that it is left alone.
    #[error("{suspension}: nothing is changed, not even drift; lift with: moored resume {stack}")]
    Suspension {
        /// Which stack.
        stack: StackName,
        /// Why, and until when.
        #[serde(flatten)]
        suspension: Suspension,
    },
}

impl Waits {
    /// Returns when it is over by itself, if it is.
    fn ends(&self) -> Option<Timestamp> {
        match self {
            Self::Approval(_) | Self::Nameless(_) => None,
            Self::Window(closed) => closed.opens_at,
            Self::Suspension { suspension, .. } | Self::SuspensionInGit(suspension) => {
                suspension.until
            }
        }
    }
}

impl Plan {
    /// Returns whether the lifetime of the stack is over, and nothing keeps it from going.
    pub fn is_over(&self) -> bool {
        let mut holds = self.holds.iter();
        holds.any(|hold| matches!(hold, Hold::Expired(_)))
    }

    /// Returns when the next of its holds ends by itself: a plan that is made then may be another.
    pub fn changes_at(&self) -> Option<Timestamp> {
        let mut next = None;
        for hold in &self.holds {
            if let Hold::Waits(waits) = hold {
                next = [next, waits.ends()].into_iter().flatten().min();
            }
        }
        next
    }
}

/// Returns what new content waits for at a gate.
pub fn waits_at(gate: &Gate) -> Vec<Waits> {
    let approval = gate.unapproved.clone().map(Waits::Approval);
    let window = gate.closed.clone().map(Waits::Window);
    let nameless = gate.nameless.iter().cloned().map(Waits::Nameless);
    approval.into_iter().chain(window).chain(nameless).collect()
}

/// Returns that a person at the host has suspended a stack, unless that is over.
pub fn suspended_here(
    stack: &StackName,
    suspension: Option<&Suspension>,
    now: Timestamp,
) -> Option<Waits> {
    let suspension = suspension.filter(|one| !one.is_over(now))?.clone();
    let stack = stack.clone();
    Some(Waits::Suspension { stack, suspension })
}

/// Returns that Git has suspended a stack, unless that is over.
pub fn suspended_in_git(suspension: Option<&Suspension>, now: Timestamp) -> Option<Waits> {
    let suspension = suspension.filter(|one| !one.is_over(now))?;
    Some(Waits::SuspensionInGit(suspension.clone()))
}

fn words(closed: &Closed) -> String {
    let why = match &closed.freeze {
        Some(reason) => format!(
            "changes are frozen ({})",
            crate::secret::escape_control(reason)
        ),
        None => "changes are let in at other hours".to_owned(),
    };
    match &closed.opens {
        Some(opens) => format!("{why}; the window opens at {opens}"),
        None => format!("{why}; the window never opens"),
    }
}

impl<'a> Planner<'a> {
    /// Holds the stack while it is suspended, and what arrives while it must not. Comes last: what
    /// would be done is what is let in or not.
    pub(super) fn hold_what_waits(&mut self, examined: &All<'a>) {
        self.hold_while_suspended();
        if self.is_gated(examined) {
            let waits = waits_at(&self.input.desired.gate);
            self.holds.extend(waits.into_iter().map(Hold::Waits));
        }
    }

    /// Holds the stack while it is suspended.
    pub(super) fn hold_while_suspended(&mut self) {
        let Input {
            desired,
            history,
            context,
            ..
        } = self.input;
        let now = Timestamp::from_second(context.now).unwrap_or_default();
        let here = suspended_here(&desired.stack, history.suspended.as_ref(), now);
        let in_git = suspended_in_git(desired.suspended.as_ref(), now);
        let waits = here.into_iter().chain(in_git);
        self.holds.extend(waits.map(Hold::Waits));
    }

    /// Returns whether the plan puts something in place that is not there, and is neither a way back
    /// nor the rest of what was begun.
    fn is_gated(&self, examined: &All<'a>) -> bool {
        let Input {
            desired, history, ..
        } = self.input;
        if history.unfinished.as_ref() == Some(&desired.commit.revision) {
            return false;
        }
        match desired.gate.arrival {
            Arrival::GoesBack => false,
            // What backs up, and how much is kept, is done at its hours without a step.
            Arrival::New => !self.steps.is_empty() || self.backups_differ(),
            Arrival::Released => {
                let services = examined.values().flat_map(|one| &one.reasons);
                let networks: Vec<_> = self.network_differences().collect();
                let others = self.other_differences();
                let beyond = networks.iter().chain(&others);
                let mut all = services.chain(beyond.flat_map(|one| &one.reasons));
                all.any(|reason: &Reason| !is_drift(reason))
            }
        }
    }
}
