//! Reads the past back: as the history that planning wants, and as the list that people want.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rusqlite::params;
use serde::{Deserialize, Serialize};

use super::{Record, RecordError, data};
use crate::desired::{ServiceName, StackName};
use crate::journal::{Outcome, Status};
use crate::plan::facts::Field;
use crate::plan::{
    Action, AfterFailure, Crashed, Failure, History, Kind, PastAttempt, Plan, Release, Schema,
};
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
    /// What it was made for.
    pub kind: Kind,
    pub(super) touched: Touched,
}

/// What later plans want to know of a plan.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Touched {
    /// Restarts because of something that is over when they begin (files are placed, a dependency
    /// is replaced), by step: they are owed until done.
    restarts: BTreeMap<u32, ServiceName>,
    /// Services that are started because their process had ended.
    starts: BTreeSet<ServiceName>,
    // Those below came with version 2.
    /// Services that are stopped so that nobody writes, by step.
    #[serde(default)]
    stops: BTreeMap<u32, ServiceName>,
    /// Migrations, by step.
    #[serde(default)]
    pub(super) migrations: BTreeMap<u32, Migrated>,
    /// Backups that are restored, by step, with the form of the data in them.
    #[serde(default)]
    pub(super) restores: BTreeMap<u32, Schema>,
    /// Jobs, by step.
    #[serde(default)]
    pub(super) jobs: BTreeMap<u32, String>,
    // That below came later in version 2: an older program reads past it.
    /// Starts and restarts with commands that follow, by step: begun and not known to be done,
    /// they are owed.
    #[serde(default)]
    hooks: BTreeMap<u32, ServiceName>,
    /// Every start of a service, by step: one that is done settles what was owed to it.
    #[serde(default)]
    settles: BTreeMap<u32, ServiceName>,
}

/// A migration as later plans know it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Migrated {
    pub(super) mark: String,
    pub(super) compatible: bool,
}

impl Record {
    /// Returns the last attempts of a stack, newest first, at most `limit`.
    ///
    /// # Errors
    /// They can't be read.
    pub fn attempts(&self, stack: &StackName, limit: usize) -> Result<Vec<Attempt>, RecordError> {
        type Row = (
            u64,
            String,
            String,
            String,
            i64,
            i64,
            String,
            String,
            String,
        );
        let read = || -> rusqlite::Result<Vec<Row>> {
            self.lock()
                .prepare_cached(
                    "SELECT attempt, revision, subject, author, began_at,
                            (SELECT max(at) FROM entries e WHERE e.stack = a.stack AND e.attempt = a.attempt
                             AND e.entry <> '{\"entry\":\"forgiven\"}'),
                            plan, touched, kind
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
                        row.get(8)?,
                    ))
                })?
                .collect()
        };
        let rows = read().map_err(self.failed("read the attempts"))?;
        rows.into_iter()
            .map(
                |(number, revision, subject, author, began_at, last, plan, touched, kind)| {
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
                        kind: Kind::of_word(&kind),
                        touched: serde_json::from_str(&touched)
                            .map_err(self.unreadable("the plan", number))?,
                    })
                },
            )
            .collect()
    }

    /// Reads what planning knows of a stack's past, and whether an attempt has not ended.
    pub(super) fn read_past(&self, stack: &StackName) -> Result<(History, bool), RecordError> {
        let release = self.last_release(stack)?;
        // What became of the data and of the last deploy since the release is never forgotten.
        let since = self.attempts_since(stack, release.as_ref())?;
        let attempts = self.attempts(stack, LOOK_BACK.max(since))?;
        let next_attempt = attempts.first().map_or(0, |attempt| attempt.number) + 1;
        let mut deploys = attempts.iter().filter(|one| one.kind == Kind::Deploy);
        let passes = || attempts.iter().filter(|one| one.kind != Kind::ByHand);
        let healed = passes().next().filter(|last| last.kind == Kind::Heal);
        let past = passes().rev().filter(|attempt| {
            attempt.status.outcome == Some(Outcome::Succeeded) && !attempt.status.forgiven
        });
        let since = data::Since::new(release.as_ref(), &attempts);
        let is_open = attempts.iter().any(|one| one.status.outcome.is_none());
        let history = History {
            next_attempt,
            failed: deploys.next().and_then(failure),
            healed: healed.and_then(failure),
            past: past
                .map(|attempt| PastAttempt {
                    revision: attempt.revision.clone(),
                    ended_at: attempt.last_entry_at.as_second(),
                    started: attempt.touched.starts.clone(),
                })
                .collect(),
            owed_restarts: owed_restarts(&attempts),
            crashed: crashed(&attempts),
            unfinished: unfinished(&attempts),
            owed_starts: owed_starts(&attempts),
            past_schemas: self.schemas(stack, LOOK_BACK)?,
            schema: since.schema,
            doubt: since.doubt,
            guards: since.guards,
            ran_jobs: since.jobs,
            release,
            pin: self.pin(stack)?,
            suspended: self.suspension(stack)?,
            adopted: self.adopted(stack)?,
        };
        Ok((history, is_open))
    }

    /// Returns how many attempts there were since a release or the last deploy, whichever is
    /// longer ago: what holds a revision is not forgotten however often a release is mended.
    fn attempts_since(
        &self,
        stack: &StackName,
        release: Option<&Release>,
    ) -> Result<usize, RecordError> {
        let released = release.map_or(0, |release| release.id.attempt);
        let count = |connection: &rusqlite::Connection| {
            connection.query_row(
                "SELECT count(*) FROM attempts WHERE stack = ?1 AND attempt >
                    min(?2, (SELECT ifnull(max(attempt), 1) - 1 FROM attempts
                             WHERE stack = ?1 AND kind = ?3))",
                params![stack.as_str(), released, Kind::Deploy.word()],
                |row| row.get(0),
            )
        };
        count(&self.lock()).map_err(self.failed("count the attempts"))
    }

    /// Returns the forms that a stack's data had at its last releases, newest first.
    fn schemas(&self, stack: &StackName, limit: usize) -> Result<Vec<Schema>, RecordError> {
        let read = || -> rusqlite::Result<Vec<(u64, String)>> {
            self.lock()
                .prepare_cached(
                    "SELECT max(attempt) AS last, schema FROM releases WHERE stack = ?1
                     GROUP BY schema ORDER BY last DESC LIMIT ?2",
                )?
                .query_map(params![stack.as_str(), limit], |row| {
                    Ok((row.get(0)?, row.get(1)?))
                })?
                .collect()
        };
        let rows = read().map_err(self.failed("read the releases"))?;
        rows.into_iter()
            .map(|(attempt, text)| {
                serde_json::from_str(&text).map_err(self.unreadable("the release", attempt))
            })
            .collect()
    }
}

fn failure(attempt: &Attempt) -> Option<Failure> {
    let (error, then) = match &attempt.status.outcome {
        Some(Outcome::RolledBack { error } | Outcome::Failed { error }) => {
            (error.clone(), AfterFailure::Back)
        }
        Some(Outcome::Held { error, way_out }) => {
            let way_out = way_out.clone();
            (error.clone(), AfterFailure::Stays { way_out })
        }
        Some(Outcome::Stuck { error }) => (error.clone(), AfterFailure::Stuck),
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
        then,
    })
}

/// Returns the revision of the last deploy, of attempts that are given newest first, when it was cut
/// short or stopped.
fn unfinished(attempts: &[Attempt]) -> Option<Revision> {
    let last = attempts.iter().find(|one| one.kind == Kind::Deploy)?;
    let is_unfinished = matches!(
        last.status.outcome,
        None | Some(Outcome::Interrupted | Outcome::Stopped)
    );
    is_unfinished.then(|| last.revision.clone())
}

/// Returns the services that were stopped since the last deploy that succeeded and not started
/// again by taking that back: a restore may leave them stopped for the next deploy.
fn owed_starts(attempts: &[Attempt]) -> BTreeSet<ServiceName> {
    let unfinished = attempts.iter().take_while(|one| {
        one.kind == Kind::ByHand || one.status.outcome != Some(Outcome::Succeeded)
    });
    unfinished
        .flat_map(|attempt| {
            let Status { done, in_doubt, .. } = &attempt.status;
            let stopped = move |step: &u32| done.contains(step) || in_doubt.contains(step);
            let stops = attempt.touched.stops.iter();
            stops.filter(move |(step, _)| stopped(step))
        })
        .map(|(_, service)| service.clone())
        .collect()
}

/// Returns the services that are owed a restart, of attempts that are given newest first.
///
/// Whatever comes in between (a person's command, an attempt that failed before it got there) takes
/// nothing away from what is owed but by starting the service.
fn owed_restarts(attempts: &[Attempt]) -> BTreeSet<ServiceName> {
    let oldest_first = attempts.iter().rev();
    oldest_first.fold(BTreeSet::new(), |before, attempt| attempt.owed_then(before))
}

impl Attempt {
    /// Returns the services that are owed a restart after this attempt, of those before it.
    fn owed_then(&self, mut owed: BTreeSet<ServiceName>) -> BTreeSet<ServiceName> {
        let Status { done, in_doubt, .. } = &self.status;
        let Touched {
            restarts,
            hooks,
            settles,
            ..
        } = &self.touched;
        // What was taken back before it was done may not have been put down at all.
        let over = |step: &u32| done.contains(step);
        for (_, service) in restarts
            .iter()
            .chain(settles)
            .filter(|(step, _)| over(step))
        {
            owed.remove(service);
        }
        let services = |owing: &BTreeMap<u32, ServiceName>, is_owed: &dyn Fn(&u32) -> bool| {
            let owing = owing.iter().filter(|(step, _)| is_owed(step));
            owing
                .map(|(_, service)| service.clone())
                .collect::<Vec<_>>()
        };
        let hooks = services(hooks, &|step| in_doubt.contains(step));
        match self.status.outcome {
            // What was owed was a part of it.
            Some(Outcome::Succeeded) if self.kind == Kind::Deploy => owed.clear(),
            // Everything of it was put back, restarts included.
            Some(Outcome::RolledBack { .. }) => {}
            // There was nothing to put back; what was started is left.
            Some(Outcome::Failed { .. }) => owed.extend(hooks),
            Some(
                Outcome::Succeeded
                | Outcome::Held { .. }
                | Outcome::Stuck { .. }
                | Outcome::Postponed { .. }
                | Outcome::Unsettled { .. }
                | Outcome::Stopped
                | Outcome::Interrupted,
            )
            | None => {
                owed.extend(services(restarts, &|step| !done.contains(step)));
                owed.extend(hooks);
            }
        }
        owed
    }
}

/// Returns how often in a row, up to the newest pass that did something, nobody saw one of its
/// revision end.
fn crashed(attempts: &[Attempt]) -> Option<Crashed> {
    let mut deploys = attempts.iter().filter(|one| one.kind != Kind::ByHand);
    let revision = &deploys.clone().next()?.revision;
    let in_a_row = deploys.by_ref().take_while(|one| {
        one.status.outcome == Some(Outcome::Interrupted)
            && !one.status.forgiven
            && one.revision == *revision
    });
    let times = in_a_row.count();
    (times > 0).then(|| Crashed {
        revision: revision.clone(),
        times,
    })
}

impl Touched {
    pub(super) fn new(plan: &Plan) -> Self {
        let mut touched = Self {
            hooks: hooks(plan),
            settles: starts(plan),
            ..Self::default()
        };
        for step in &plan.steps {
            let owed = step.reasons.iter().any(|reason| {
                matches!(
                    reason.field,
                    Field::File(_) | Field::Dependency(_) | Field::Owed
                )
            });
            match &step.action {
                Action::Restart { service, .. }
                | Action::Reload { service, .. }
                | Action::StartBeside { service, .. }
                | Action::Replace { service, .. }
                    if owed =>
                {
                    touched.restarts.insert(step.number, service.clone());
                }
                Action::Start { service, .. } => {
                    touched.starts.insert(service.clone());
                }
                Action::Stop { service, .. } => {
                    touched.stops.insert(step.number, service.clone());
                }
                Action::Migrate(draft) => {
                    let (mark, compatible) = (draft.mark.clone(), draft.compatible);
                    let migrated = Migrated { mark, compatible };
                    touched.migrations.insert(step.number, migrated);
                }
                Action::Restore(draft) => {
                    touched.restores.insert(step.number, draft.schema.clone());
                }
                Action::Job(draft) => {
                    touched.jobs.insert(step.number, draft.name.clone());
                }
                Action::Restart { .. }
                | Action::Pull { .. }
                | Action::CreateNetwork(_)
                | Action::RemakeNetwork(_)
                | Action::CreateVolume(_)
                | Action::RemoveNetwork { .. }
                | Action::Place { .. }
                | Action::Rename { .. }
                | Action::Create { .. }
                | Action::Replace { .. }
                | Action::StartBeside { .. }
                | Action::TestProxy(_)
                | Action::Switch(_)
                | Action::SwitchBack(_)
                | Action::Drain { .. }
                | Action::HandOver { .. }
                | Action::Reload { .. }
                | Action::Connect { .. }
                | Action::Disconnect { .. }
                | Action::Await { .. }
                | Action::Measure(_)
                | Action::MaintainOn(_)
                | Action::MaintainOff(_)
                | Action::Backup(_)
                | Action::PutBack { .. }
                | Action::Ready(_)
                | Action::Soak { .. }
                | Action::Smoke(_)
                | Action::Remove { .. }
                | Action::Adopt { .. }
                | Action::Record(_) => {}
            }
        }
        touched
    }
}

/// Returns the steps that start a service with commands that follow on its start.
fn hooks(plan: &Plan) -> BTreeMap<u32, ServiceName> {
    let mut starts = starts(plan);
    starts.retain(|_, service| {
        let around = plan.around.get(service);
        around.is_some_and(|around| !around.post_start.is_empty())
    });
    starts
}

/// Returns the steps that start a service.
fn starts(plan: &Plan) -> BTreeMap<u32, ServiceName> {
    let starts = plan.steps.iter().filter_map(|step| {
        let turn = step.action.turn().filter(|turn| turn.starts)?;
        Some((step.number, turn.service.clone()))
    });
    starts.collect()
}

pub(super) fn time(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or(Timestamp::UNIX_EPOCH)
}
