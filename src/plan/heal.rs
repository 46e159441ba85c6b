//! Keeps the last release as it was while the revision of Git is held: a container of it that dies
//! or goes is made again, although nothing of what Git says is put in place.

use super::facts::Field;
use super::{Context, History, Hold, Kind, Origin, Plan, Reason, Waits, plan};
use crate::desired::DesiredState;
use crate::observe::ObservedState;

/// Plans what takes the drift from the last release away, where a plan is held because its revision
/// failed and was taken back, or has to wait; `desired` is what Git said at that release.
///
/// The plan that comes of it says of Git what the held one says. Nothing but drift is mended: what
/// a release would be today under other files of the host is a deploy that nobody asked for. Pure
/// like [`super::plan`].
pub fn heal(
    held: Plan,
    desired: &DesiredState,
    observed: &ObservedState,
    history: &History,
    context: &Context<'_>,
) -> Plan {
    let history = History {
        failed: history.healed.clone(),
        ..history.clone()
    };
    let healing = plan(desired, observed, &history, context);
    let mut reasons = healing.differences.iter().flat_map(|one| &one.reasons);
    if healing.differences.is_empty() || !reasons.all(is_drift) {
        return held;
    }
    // What keeps it from being mended is why it is down.
    let (mut holds, in_the_way) = (held.holds, &healing.holds);
    for hold in in_the_way.iter().filter(|one| one.is_heavy()) {
        if !holds.contains(hold) {
            holds.push(hold.clone());
        }
    }
    Plan {
        kind: Kind::Heal,
        holds,
        differences: held.differences,
        ..healing
    }
}

pub(super) fn is_drift(reason: &Reason) -> bool {
    // What follows from the drift of another service, or is left of the failed attempt.
    let follows = matches!(
        reason.field,
        Field::Dependency(_) | Field::Owed | Field::State
    );
    reason.origin == Origin::Drift || follows
}

impl Plan {
    /// Returns whether nothing but its revision, which failed, asks for too much or is to wait, keeps
    /// it from being done, and what was there before is there again.
    pub fn waits_for_another_revision(&self) -> bool {
        let mut heavy = self.holds.iter().filter(|one| one.is_heavy());
        let another = |one: &Hold| {
            matches!(
                one,
                Hold::FailedRevision { .. }
                    | Hold::NotPermitted(_)
                    | Hold::Waits(Waits::Approval(_) | Waits::Window(_))
            )
        };
        heavy.clone().next().is_some() && heavy.all(another)
    }
}

impl History {
    /// Returns whether the data has the form that it had at the last release, and nobody doubts it.
    pub fn is_data_as_released(&self) -> bool {
        let release = self.release.as_ref();
        self.doubt.is_none() && release.is_some_and(|release| release.schema == self.schema)
    }
}
