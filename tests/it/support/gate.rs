//! What `host.yaml` says of what a change has to wait for.

use jiff::{SignedDuration, Timestamp};
use moored::desired::DesiredState;
use moored::gates::{Suspension, Window};
use moored::trust::{Arrival, Gate, Unapproved};
use serde::Deserialize;

use super::bench::Bench;

/// What the settings have a change wait for.
#[derive(Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct GateYaml {
    /// When changes are let in; left out = always.
    window: Option<Window>,
    /// What Git says beside what was released: `new`, `released` or `goes back`.
    arrival: Option<String>,
    /// That it waits for an approval.
    unapproved: bool,
}

impl GateYaml {
    /// Returns what Git wants with what the settings have it wait for.
    pub(crate) fn before(&self, mut desired: DesiredState, now: i64) -> DesiredState {
        let arrival = match self.arrival.as_deref() {
            None | Some("new") => Arrival::New,
            Some("released") => Arrival::Released,
            Some("goes back") => Arrival::GoesBack,
            Some(other) => panic!("{other:?} is no arrival"),
        };
        let unapproved = self.unapproved.then(|| Unapproved {
            stack: desired.stack.to_string(),
            head: desired.commit.revision.clone(),
            signers: vec!["ops@example.org".to_owned()],
            trailer: "Approved-by".to_owned(),
            why: None,
        });
        let now = Timestamp::from_second(now).unwrap();
        desired.gate = Gate {
            arrival,
            closed: self.window.as_ref().and_then(|one| one.closed(now)),
            unapproved,
            nameless: Vec::new(),
        };
        desired
    }
}

/// Suspends the stack as a person does, for some minutes or for good.
pub(crate) fn suspend(bench: &Bench, reason: &str, minutes: Option<&str>) {
    let stack = "shop".to_owned().try_into().unwrap();
    let now = Timestamp::from_second(bench.clock.seconds()).unwrap();
    let minutes = minutes.map(|minutes| minutes.parse::<i64>().unwrap());
    let suspension = Suspension {
        reason: reason.to_owned(),
        until: minutes.map(|minutes| now + SignedDuration::from_mins(minutes)),
        since: Some(now),
        by: Some("ada".to_owned()),
    };
    bench.record().suspend(&stack, &suspension).unwrap();
}
