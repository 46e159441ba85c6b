//! Opens the database, and writes and reads what is in it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use super::remembered::Remembered;
use super::writer::Journal;
use super::{Attempt, RecordError, history, schema};
use crate::desired::StackName;
use crate::journal::{self, Entry, Outcome, Status};
use crate::plan::{Crashed, Plan, Release, SETTLES_WITHIN};

/// The database of one state directory. Cloning is cheap; clones share the connection.
#[derive(Clone)]
pub struct Record {
    connection: Arc<Mutex<Connection>>,
    pub(super) path: PathBuf,
    instance: String,
    pub(super) remembered: Arc<Mutex<Remembered>>,
}

/// Attempts of a stack that are kept: years of deploys, or some megabytes.
const KEPT_ATTEMPTS: u32 = 1000;

impl Record {
    /// Opens the database of a state directory, making it when there is none.
    ///
    /// # Errors
    /// It can't be opened, or is of a newer version.
    pub fn open(state_dir: &Path) -> Result<Self, RecordError> {
        Self::at(&state_dir.join(schema::FILE_NAME))
    }

    /// Opens the database of a state directory for reading; `None` when there is none yet.
    ///
    /// # Errors
    /// It can't be opened, or is of a newer version.
    pub fn open_existing(state_dir: &Path) -> Result<Option<Self>, RecordError> {
        let path = state_dir.join(schema::FILE_NAME);
        if !path.exists() {
            return Ok(None);
        }
        Self::at(&path).map(Some)
    }

    fn at(path: &Path) -> Result<Self, RecordError> {
        let database = |doing| {
            let path = path.to_owned();
            move |source| RecordError::Database {
                doing,
                path,
                source,
            }
        };
        let mut connection = Connection::open(path).map_err(database("open the journal"))?;
        let found = schema::prepare(&mut connection).map_err(database("prepare the journal"))?;
        if found > schema::VERSION {
            return Err(RecordError::Newer {
                path: path.to_owned(),
                found,
                known: schema::VERSION,
            });
        }
        let instance = schema::instance(&connection).map_err(database("read the instance id"))?;
        Ok(Self {
            connection: Arc::new(Mutex::new(connection)),
            path: path.to_owned(),
            instance,
            remembered: Arc::default(),
        })
    }

    /// Returns the id of this installation.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Connection> {
        // A panic elsewhere can't leave a half-written entry: every write is a transaction.
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn failed(
        &self,
        doing: &'static str,
    ) -> impl FnOnce(rusqlite::Error) -> RecordError {
        let path = self.path.clone();
        move |source| RecordError::Database {
            doing,
            path,
            source,
        }
    }

    /// Begins the attempt that a plan was made for; durable when it returns.
    ///
    /// # Errors
    /// The number is taken (another controller wrote), or the database refuses.
    pub fn begin(&self, plan: &Plan, now: Timestamp) -> Result<Journal, RecordError> {
        let key = (&plan.stack, plan.attempt);
        let mut connection = self.lock();
        let steps = u32::try_from(plan.steps.len()).unwrap_or(u32::MAX);
        let mut write = || -> rusqlite::Result<()> {
            let transaction = connection.transaction()?;
            transaction.execute(
                "INSERT INTO attempts (stack, attempt, revision, subject, author, began_at, plan, touched, kind)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
                params![
                    plan.stack.as_str(),
                    plan.attempt,
                    plan.commit.revision.as_str(),
                    plan.commit.subject,
                    plan.commit.author_name,
                    now.as_millisecond(),
                    plan.to_string(),
                    schema::json(&history::Touched::new(plan)),
                    plan.kind.word(),
                ],
            )?;
            schema::append(&transaction, key, &Entry::Began { steps }, now)?;
            schema::prune(&transaction, plan.stack.as_str(), KEPT_ATTEMPTS)?;
            transaction.commit()
        };
        let begun = write();
        drop(connection);
        begun.map_err(self.failed("begin an attempt"))?;
        self.journal(&plan.stack, plan.attempt)
    }

    /// Opens the journal of an attempt that has begun.
    ///
    /// # Errors
    /// It can't be read or makes no sense.
    pub fn journal(&self, stack: &StackName, attempt: u64) -> Result<Journal, RecordError> {
        Ok(Journal {
            record: self.clone(),
            stack: stack.clone(),
            attempt,
            status: self.status(stack, attempt)?,
        })
    }

    /// Returns where an attempt is, by replay of its journal.
    ///
    /// # Errors
    /// The journal can't be read or makes no sense.
    pub fn status(&self, stack: &StackName, attempt: u64) -> Result<Status, RecordError> {
        let texts = schema::entries(&self.lock(), (stack, attempt))
            .map_err(self.failed("read the journal"))?;
        let entries = texts
            .iter()
            .map(|text| serde_json::from_str(text))
            .collect::<Result<Vec<Entry>, _>>()
            .map_err(self.unreadable("an entry", attempt))?;
        journal::replay(&entries).map_err(|source| RecordError::Illegal {
            attempt,
            path: self.path.clone(),
            source,
        })
    }

    pub(super) fn unreadable(
        &self,
        what: &'static str,
        attempt: u64,
    ) -> impl FnOnce(serde_json::Error) -> RecordError {
        let path = self.path.clone();
        move |source| RecordError::Unreadable {
            what,
            attempt,
            path,
            source,
        }
    }

    /// Records a release; durable when it returns. Repeatable.
    ///
    /// # Errors
    /// The database refuses.
    pub fn record_release(
        &self,
        stack: &StackName,
        release: &Release,
        now: Timestamp,
    ) -> Result<(), RecordError> {
        let attempt = release.id.attempt;
        self.lock()
            .execute(
                "INSERT OR REPLACE INTO releases
                     (stack, attempt, released_at, release, schema)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
                params![
                    stack.as_str(),
                    attempt,
                    now.as_millisecond(),
                    schema::json(release),
                    schema::json(&release.schema),
                ],
            )
            .map_err(self.failed("record a release"))?;
        Ok(())
    }

    /// Returns the last release of a stack.
    ///
    /// # Errors
    /// It can't be read.
    pub fn last_release(&self, stack: &StackName) -> Result<Option<Release>, RecordError> {
        self.stored_release(stack, None)
    }

    /// Returns the release that an attempt became, or the last one.
    pub(super) fn stored_release(
        &self,
        stack: &StackName,
        attempt: Option<u64>,
    ) -> Result<Option<Release>, RecordError> {
        let row: Option<(u64, String)> = self
            .lock()
            .query_row(
                "SELECT attempt, release FROM releases
                 WHERE stack = ?1 AND (?2 IS NULL OR attempt = ?2)
                 ORDER BY attempt DESC LIMIT 1",
                params![stack.as_str(), attempt],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()
            .map_err(self.failed("read a release"))?;
        row.map(|(attempt, text)| self.stored(attempt, &text))
            .transpose()
    }

    pub(super) fn stored(&self, attempt: u64, text: &str) -> Result<Release, RecordError> {
        serde_json::from_str(text).map_err(self.unreadable("the release", attempt))
    }

    /// Returns every stack that an attempt was ever made for.
    ///
    /// # Errors
    /// They can't be read.
    pub fn stacks(&self) -> Result<Vec<StackName>, RecordError> {
        let connection = self.lock();
        let read = || -> rusqlite::Result<Vec<String>> {
            connection
                .prepare_cached("SELECT DISTINCT stack FROM attempts ORDER BY stack")?
                .query_map([], |row| row.get(0))?
                .collect()
        };
        let names = read().map_err(self.failed("read the stacks"))?;
        // Only valid names are ever written.
        Ok(names
            .into_iter()
            .filter_map(|name| StackName::try_from(name).ok())
            .collect())
    }

    /// Lets a stack's held revision be tried again; returns whether anything was held.
    ///
    /// # Errors
    /// The record can't be read or written.
    pub fn forgive(&self, stack: &StackName, now: Timestamp) -> Result<bool, RecordError> {
        let history = self.history(stack)?;
        let last = history.past.last().map(|past| &past.revision);
        let as_last = history
            .past
            .iter()
            .filter(|past| Some(&past.revision) == last);
        let held = history.failed.is_some()
            || history.healed.is_some()
            || history.crashed.as_ref().is_some_and(Crashed::is_too_often)
            || history.doubt.as_ref().is_some_and(|doubt| !doubt.forgiven)
            || as_last.count() >= SETTLES_WITHIN;
        for attempt in self.attempts(stack, history::LOOK_BACK)? {
            if held && attempt.status.outcome.is_some() && !attempt.status.forgiven {
                self.journal(stack, attempt.number)?
                    .append(&Entry::Forgiven, now)?;
            }
        }
        Ok(held)
    }

    /// Ends the attempts that a killed controller left open, and returns them.
    ///
    /// Nothing is repaired here: planning sees what is left on the host and takes it from there.
    ///
    /// # Errors
    /// They can't be read or ended.
    pub fn end_interrupted(
        &self,
        stack: &StackName,
        now: Timestamp,
    ) -> Result<Vec<Attempt>, RecordError> {
        if !self.is_open(stack)? {
            return Ok(Vec::new());
        }
        let mut interrupted = self.attempts(stack, history::LOOK_BACK)?;
        interrupted.retain(|attempt| attempt.status.outcome.is_none());
        for attempt in &interrupted {
            let entry = Entry::Ended {
                outcome: Outcome::Interrupted,
            };
            self.journal(stack, attempt.number)?.append(&entry, now)?;
        }
        Ok(interrupted)
    }
}
