//! Tells people what happens: once, to whom it concerns, and never in the way of a pass.
//!
//! [`Alerts`] is the desk: it compares what a pass came to with what was told before, and writes
//! what is new into the outbox, in one transaction. [`Courier`] sends what lies there beside the
//! passes; [`send`] sends one [`Message`]. Modules: `conditions` finds what is so, `attempts` what
//! came of attempts, `desk`, `heard` what is told while nothing is planned, `message` the forms.
//! Why: `docs/decisions/0031-notifications.md`.

mod attempts;
mod conditions;
mod courier;
mod desk;
mod heard;
mod message;

pub use courier::{Courier, Office, send};
pub use desk::Alerts;
pub use heard::Heard;
pub use message::{Attempted, Message};

use std::collections::BTreeMap;
use std::collections::BTreeSet;

use crate::desired::ServiceName;
use crate::plan::{Plan, Subject};
use crate::routes::Kind;

/// Returns whose business services are: their owners', and that of who keeps the host where one
/// has none, or where it is about none.
fn owners<'a>(
    owners: &BTreeMap<ServiceName, Kind>,
    services: impl Iterator<Item = &'a ServiceName>,
) -> BTreeSet<Kind> {
    let owner = |service: &ServiceName| owners.get(&service.replica(1)).copied();
    let mut kinds: BTreeSet<Kind> = services
        .map(|service| owner(service).unwrap_or(Kind::Infrastructure))
        .collect();
    if kinds.is_empty() {
        kinds.insert(Kind::Infrastructure);
    }
    kinds
}

/// Returns whose business the differences of a plan are.
fn owners_of(plan: &Plan, of: &BTreeMap<ServiceName, Kind>) -> BTreeSet<Kind> {
    let mut of_host = false;
    let services = plan.differences.iter().filter_map(|one| match &one.of {
        Subject::Service(name) => Some(name),
        Subject::Proxy(_) | Subject::Network(_) | Subject::HostFiles => {
            of_host = true;
            None
        }
    });
    let mut kinds = owners(of, services);
    if of_host {
        kinds.insert(Kind::Infrastructure);
    }
    kinds
}
