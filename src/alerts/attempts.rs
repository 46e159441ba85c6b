//! Finds what came of the attempts that nobody was told of yet, out of the record: what a killed
//! controller did is told by the next one.

use std::collections::BTreeSet;

use super::message::Attempted;
use super::owners_of;
use crate::desired::StackName;
use crate::journal::Outcome;
use crate::pass::Looked;
use crate::plan::{Difference, Kind as PlanKind, Origin, Release};
use crate::record::{Attempt, Record, RecordError};
use crate::routes::{Kind, Topic};

/// What came of an attempt.
pub(super) struct Came {
    pub(super) topic: Topic,
    pub(super) kinds: BTreeSet<Kind>,
    pub(super) text: String,
    pub(super) attempt: Attempted,
}

/// Attempts that are looked back at: more than passes make while nobody is told.
const LOOK_BACK: usize = 20;

/// Returns what came of the attempts of a stack after the one that was told of last, oldest first,
/// and up to which one that is known.
///
/// # Errors
/// The record can't be read.
pub(super) fn since(
    record: &Record,
    stack: &StackName,
    told: u64,
    looked: &Looked,
) -> Result<(Vec<Came>, u64), RecordError> {
    let mut attempts = record.attempts(stack, LOOK_BACK)?;
    attempts.retain(|one| one.number > told);
    attempts.reverse();
    let (mut found, mut last) = (Vec::new(), told);
    for attempt in attempts {
        let Some(outcome) = attempt.status.outcome.clone() else {
            // It goes on, or is ended by the next pass.
            break;
        };
        last = attempt.number;
        found.extend(came(record, stack, attempt, &outcome, looked)?);
    }
    Ok((found, last))
}

fn came(
    record: &Record,
    stack: &StackName,
    attempt: Attempt,
    outcome: &Outcome,
    looked: &Looked,
) -> Result<Option<Came>, RecordError> {
    let release = record.release(stack, attempt.number)?;
    let of_this_pass = looked.plan.attempt == attempt.number;
    let differences = of_this_pass.then_some(looked.plan.differences.as_slice());
    let word = match (attempt.kind, outcome) {
        // Somebody stands beside it.
        (PlanKind::ByHand, _) => return Ok(None),
        // That is told as what is so.
        _ if of_this_pass && looked.plan.is_over() => return Ok(None),
        (
            PlanKind::Deploy | PlanKind::Heal,
            Outcome::RolledBack { error }
            | Outcome::Failed { error }
            | Outcome::Held { error, .. }
            | Outcome::Stuck { error },
        ) => (Topic::Failed, failed(&attempt, outcome, error)),
        (
            PlanKind::Deploy | PlanKind::Heal,
            Outcome::Succeeded
            | Outcome::Postponed { .. }
            | Outcome::Unsettled { .. }
            | Outcome::Stopped
            | Outcome::Interrupted,
        ) => match &release {
            Some(release) if is_new(record, stack, &attempt, differences)? => {
                (Topic::Deployed, deployed(&attempt, release))
            }
            None if *outcome != Outcome::Succeeded => return Ok(None),
            Some(_) | None => (Topic::Drift, mended(differences)),
        },
    };
    let owners = &looked.desired.owners;
    let kinds = if of_this_pass {
        owners_of(&looked.plan, owners)
    } else {
        let all = owners.values().copied();
        all.chain([Kind::Infrastructure]).collect()
    };
    let (topic, text) = word;
    Ok(Some(Came {
        topic,
        kinds,
        text,
        attempt: told_of(attempt, release),
    }))
}

/// Returns whether an attempt put in place what was not released before, and did not only put back
/// what somebody had changed.
fn is_new(
    record: &Record,
    stack: &StackName,
    attempt: &Attempt,
    differences: Option<&[Difference]>,
) -> Result<bool, RecordError> {
    let releases = record.releases(stack, LOOK_BACK)?;
    let mut before = releases.iter().map(|one| &one.release.id);
    let before = before.find(|id| id.attempt < attempt.number);
    let same_commit = before.is_some_and(|before| before.revision == attempt.revision);
    let mut reasons = differences
        .into_iter()
        .flatten()
        .flat_map(|one| &one.reasons);
    Ok(!same_commit || reasons.any(|reason| reason.origin != Origin::Drift))
}

fn deployed(attempt: &Attempt, release: &Release) -> String {
    format!(
        "{} released as {} (\"{}\", {}) in {}",
        release.version(),
        release.id,
        attempt.subject,
        attempt.author,
        took(attempt)
    )
}

fn failed(attempt: &Attempt, outcome: &Outcome, error: &str) -> String {
    let then = match outcome {
        Outcome::Held { way_out, .. } => format!("; it stays as it is: {way_out}"),
        Outcome::Stuck { .. } => {
            "; it could not be taken back, and nothing more is done by itself: \
             look at the host"
                .to_owned()
        }
        Outcome::RolledBack { .. }
        | Outcome::Failed { .. }
        | Outcome::Succeeded
        | Outcome::Postponed { .. }
        | Outcome::Unsettled { .. }
        | Outcome::Stopped
        | Outcome::Interrupted => String::new(),
    };
    format!(
        "attempt {} of {} (\"{}\", {}) {} after {}: {error}{then}",
        attempt.number,
        attempt.revision.short(),
        attempt.subject,
        attempt.author,
        outcome.word(),
        took(attempt)
    )
}

fn mended(differences: Option<&[Difference]>) -> String {
    let named = |one: &Difference| {
        let fields = one.reasons.iter().map(|reason| reason.field.to_string());
        let fields: Vec<String> = fields.collect();
        format!("{} ({})", one.of, fields.join(", "))
    };
    let all: Vec<String> = differences.into_iter().flatten().map(named).collect();
    if all.is_empty() {
        return "what was not as Git says was put back".to_owned();
    }
    format!("was not as Git says, and was put back: {}", all.join(", "))
}

/// Returns how long an attempt took, to a tenth of a second.
fn took(attempt: &Attempt) -> String {
    let tenths = (milliseconds(attempt) + 50) / 100;
    format!("{}.{} s", tenths / 10, tenths % 10)
}

fn milliseconds(attempt: &Attempt) -> i64 {
    let (began, ended) = (attempt.began_at, attempt.last_entry_at);
    (ended.as_millisecond() - began.as_millisecond()).max(0)
}

fn told_of(attempt: Attempt, release: Option<Release>) -> Attempted {
    Attempted {
        number: attempt.number,
        duration_ms: milliseconds(&attempt),
        release: release.as_ref().map(|release| release.id.to_string()),
        version: release.as_ref().map(Release::version),
        images: release
            .into_iter()
            .flat_map(|release| release.images)
            .map(|(service, image)| (service.to_string(), image.reference))
            .collect(),
        revision: attempt.revision.to_string(),
        subject: attempt.subject,
        author: attempt.author,
    }
}
