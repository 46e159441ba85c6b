//! Reads the past back: as the history that planning wants, and as the list that people want.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rusqlite::params;
use serde::{Deserialize, Serialize};

use super::{Record, RecordError};
use crate::desired::{ServiceName, StackName};
use crate::journal::{Outcome, Status};
use crate::plan::facts::Field;
use crate::plan::{Action, Failure, History, PastAttempt, Step};
use crate::source::Revision;

/// How many attempts planning looks back over: more than any rule of it counts.
pub(super) const LOOK_BACK: usize = 64;

/// One attempt as it is told to people.
#[derive(Clone, Debug)]
pub struct Attempt {
    /// Its number.
    pub number: u64,
    /// Its commit.
    pub revision: Revision,
    /// The commit's subject.
    pub subject: String,
    /// The commit's author.
    pub author: String,
    /// When it began.
    pub began_at: Timestamp,
    /// When its last entry was written.
    pub last_entry_at: Timestamp,
    /// Where it is.
    pub status: Status,
    /// Its plan, printed.
    pub plan: String,
    touched: Touched,
}

/// What later plans want to know of a plan.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Touched {
    /// Restarts because of something that is over when they begin (files are placed, a dependency
    /// is replaced), by step: they are owed until done.
    restarts: BTreeMap<u32, ServiceName>,
    /// Services that are started because their process had ended.
    starts: BTreeSet<ServiceName>,
}

impl Record {
    /// Returns the last attempts of a stack, newest first, at most `limit`.
    ///
    /// # Errors
    /// They can't be read.
    pub fn attempts(&self, stack: &StackName, limit: usize) -> Result<Vec<Attempt>, RecordError> {
        type Row = (u64, String, String, String, i64, i64, String, String);
        let read = || -> rusqlite::Result<Vec<Row>> {
            self.lock()
                .prepare_cached(
                    "SELECT attempt, revision, subject, author, began_at,
                            (SELECT max(at) FROM entries e WHERE e.stack = a.stack AND e.attempt = a.attempt
                             AND e.entry <> '{\"entry\":\"forgiven\"}'),
                            plan, touched
                     FROM attempts a WHERE stack = ?1 ORDER BY attempt DESC LIMIT ?2",
                )?
                .query_map(params![stack.as_str(), limit], |row| {
                    Ok((
                        row.get(0)?,
                        row.get(1)?,
                        row.get(2)?,
                        row.get(3)?,
                        row.get(4)?,
                        row.get(5)?,
                        row.get(6)?,
                        row.get(7)?,
                    ))
                })?
                .collect()
        };
        let rows = read().map_err(self.failed("read the attempts"))?;
        rows.into_iter()
            .map(
                |(number, revision, subject, author, began_at, last, plan, touched)| {
                    let revision = serde_json::from_value(revision.into())
                        .map_err(self.unreadable("the commit", number))?;
                    Ok(Attempt {
                        number,
                        revision,
                        subject,
                        author,
                        began_at: time(began_at),
                        last_entry_at: time(last),
                        status: self.status(stack, number)?,
                        plan,
                        touched: serde_json::from_str(&touched)
                            .map_err(self.unreadable("the plan", number))?,
                    })
                },
            )
            .collect()
    }

    /// Returns what planning knows of a stack's past.
    ///
    /// # Errors
    /// It can't be read.
    pub fn history(&self, stack: &StackName) -> Result<History, RecordError> {
        let attempts = self.attempts(stack, LOOK_BACK)?;
        let next_attempt = attempts.first().map_or(0, |attempt| attempt.number) + 1;
        let past = attempts.iter().rev().filter(|attempt| {
            attempt.status.outcome == Some(Outcome::Succeeded) && !attempt.status.forgiven
        });
        Ok(History {
            next_attempt,
            release: self.last_release(stack)?,
            failed: attempts.first().and_then(failure),
            past: past
                .map(|attempt| PastAttempt {
                    revision: attempt.revision.clone(),
                    ended_at: attempt.last_entry_at.as_second(),
                    started: attempt.touched.starts.clone(),
                })
                .collect(),
            owed_restarts: attempts.first().map(owed_restarts).unwrap_or_default(),
        })
    }
}

fn failure(attempt: &Attempt) -> Option<Failure> {
    let error = match &attempt.status.outcome {
        Some(Outcome::RolledBack { error } | Outcome::Failed { error }) => error.clone(),
        Some(
            Outcome::Succeeded
            | Outcome::Postponed { .. }
            | Outcome::Unsettled { .. }
            | Outcome::Stopped
            | Outcome::Interrupted,
        )
        | None => return None,
    };
    let held = !attempt.status.forgiven;
    held.then(|| Failure {
        attempt: attempt.number,
        revision: attempt.revision.clone(),
        error,
    })
}

fn owed_restarts(attempt: &Attempt) -> BTreeSet<ServiceName> {
    // Where a step failed, everything was put back, restarts included.
    if let Some(Outcome::RolledBack { .. } | Outcome::Failed { .. }) = attempt.status.outcome {
        return BTreeSet::new();
    }
    let done = |step: &u32| attempt.status.done.contains(step);
    attempt
        .touched
        .restarts
        .iter()
        .filter(|(step, _)| !done(step))
        .map(|(_, service)| service.clone())
        .collect()
}

impl Touched {
    pub(super) fn new(steps: &[Step]) -> Self {
        let mut touched = Self::default();
        for step in steps {
            let owed = step.reasons.iter().any(|reason| {
                matches!(
                    reason.field,
                    Field::File(_) | Field::Dependency(_) | Field::Owed
                )
            });
            match &step.action {
                Action::Restart { service, .. } | Action::Replace { service, .. } if owed => {
                    touched.restarts.insert(step.number, service.clone());
                }
                Action::Start { service, .. } => {
                    touched.starts.insert(service.clone());
                }
                Action::Restart { .. }
                | Action::Pull { .. }
                | Action::CreateNetwork(_)
                | Action::CreateVolume(_)
                | Action::Place { .. }
                | Action::Rename { .. }
                | Action::Create { .. }
                | Action::Replace { .. }
                | Action::Connect { .. }
                | Action::Disconnect { .. }
                | Action::Await { .. }
                | Action::Remove { .. }
                | Action::Record(_) => {}
            }
        }
        touched
    }
}

fn time(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::UNIX_EPOCH)
}
