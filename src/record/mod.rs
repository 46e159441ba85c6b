//! Keeps what was done: attempts with their journals, and releases, in `SQLite`.
//!
//! [`Record`] is the open database of one state directory. WAL with `synchronous=FULL`: what
//! [`Journal::append`] returned from survives a power cut. Format: `docs/decisions/0003-journal.md`.

mod history;
mod schema;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, params};

use crate::desired::{ServiceName, StackName};
use crate::journal::{self, Entry, IllegalEntry, Outcome, Status};
use crate::plan::{Plan, Release, ReleasedImage};

pub use history::Attempt;

/// The database of one state directory. Cloning is cheap; clones share the connection.
#[derive(Clone)]
pub struct Record {
    connection: Arc<Mutex<Connection>>,
    path: PathBuf,
    instance: String,
}

/// Why something can't be recorded or read back.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The database refuses.
    #[error("failed to {doing} in {}: {source}", path.display())]
    Database {
        /// What was being attempted.
        doing: &'static str,
        /// The database.
        path: PathBuf,
        /// What the database says.
        source: rusqlite::Error,
    },
    /// The database was written by a newer version.
    #[error(
        "{} has format {found}, and this version of moored knows up to {known}\n  hint: use the \
         newer version, or another state_dir", path.display()
    )]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its format.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// The journal does not make sense.
    #[error("the journal of attempt {attempt} in {} is damaged: {source}", path.display())]
    Illegal {
        /// Which attempt.
        attempt: u64,
        /// The database.
        path: PathBuf,
        /// What can't be.
        source: IllegalEntry,
    },
    /// A value in the database can't be read.
    #[error("{what} of attempt {attempt} in {} can't be read: {source}", path.display())]
    Unreadable {
        /// What.
        what: &'static str,
        /// Which attempt.
        attempt: u64,
        /// The database.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
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
        })
    }

    /// Returns the id of this installation.
    pub fn instance(&self) -> &str {
        &self.instance
    }

    fn lock(&self) -> MutexGuard<'_, Connection> {
        // A panic elsewhere can't leave a half-written entry: every write is a transaction.
        self.connection
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn failed(&self, doing: &'static str) -> impl FnOnce(rusqlite::Error) -> RecordError {
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
        let number = plan.attempt;
        let mut connection = self.lock();
        let steps = u32::try_from(plan.steps.len()).unwrap_or(u32::MAX);
        let mut write = || -> rusqlite::Result<()> {
            let transaction = connection.transaction()?;
            transaction.execute(
                "INSERT INTO attempts (attempt, stack, revision, subject, author, began_at, plan, touched)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
                params![
                    number,
                    plan.stack.as_str(),
                    plan.commit.revision.as_str(),
                    plan.commit.subject,
                    plan.commit.author_name,
                    now.as_millisecond(),
                    plan.to_string(),
                    json(&history::Touched::new(&plan.steps)),
                ],
            )?;
            schema::append(&transaction, number, &Entry::Began { steps }, now)?;
            schema::prune(&transaction, plan.stack.as_str(), KEPT_ATTEMPTS)?;
            transaction.commit()
        };
        let begun = write();
        drop(connection);
        begun.map_err(self.failed("begin an attempt"))?;
        self.journal(number)
    }

    /// Opens the journal of an attempt that has begun.
    ///
    /// # Errors
    /// It can't be read or makes no sense.
    pub fn journal(&self, attempt: u64) -> Result<Journal, RecordError> {
        Ok(Journal {
            record: self.clone(),
            attempt,
            status: self.status(attempt)?,
        })
    }

    /// Returns where an attempt is, by replay of its journal.
    ///
    /// # Errors
    /// The journal can't be read or makes no sense.
    pub fn status(&self, attempt: u64) -> Result<Status, RecordError> {
        let texts =
            schema::entries(&self.lock(), attempt).map_err(self.failed("read the journal"))?;
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

    fn unreadable(
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
    pub fn release(
        &self,
        stack: &StackName,
        release: &Release,
        now: Timestamp,
    ) -> Result<(), RecordError> {
        let attempt = release.id.attempt;
        self.lock()
            .execute(
                "INSERT OR REPLACE INTO releases (attempt, stack, released_at, release)
                 VALUES (?1, ?2, ?3, ?4)",
                params![
                    attempt,
                    stack.as_str(),
                    now.as_millisecond(),
                    json(&schema::Stored::from(release))
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
        let row: Option<(u64, String)> = self
            .lock()
            .query_row(
                "SELECT attempt, release FROM releases WHERE stack = ?1
                 ORDER BY attempt DESC LIMIT 1",
                params![stack.as_str()],
                |row| Ok((row.get(0)?, row.get(1)?)),
            )
            .optional()
            .map_err(self.failed("read the last release"))?;
        row.map(|(attempt, text)| self.stored(attempt, &text))
            .transpose()
    }

    /// Returns the images of the release that an attempt became; none when it became none.
    ///
    /// # Errors
    /// They can't be read.
    pub fn released_images(
        &self,
        attempt: u64,
    ) -> Result<BTreeMap<ServiceName, ReleasedImage>, RecordError> {
        let text: Option<String> = self
            .lock()
            .query_row(
                "SELECT release FROM releases WHERE attempt = ?1",
                params![attempt],
                |row| row.get(0),
            )
            .optional()
            .map_err(self.failed("read a release"))?;
        let release: Option<Release> = text.map(|text| self.stored(attempt, &text)).transpose()?;
        Ok(release.map(|release| release.images).unwrap_or_default())
    }

    fn stored(&self, attempt: u64, text: &str) -> Result<Release, RecordError> {
        serde_json::from_str::<schema::Stored>(text)
            .map(Into::into)
            .map_err(self.unreadable("the release", attempt))
    }

    /// Returns every stack that an attempt was ever made for.
    ///
    /// # Errors
    /// They can't be read.
    pub fn stacks(&self) -> Result<Vec<StackName>, RecordError> {
        let connection = self.lock();
        let read = || -> rusqlite::Result<Vec<String>> {
            connection
                .prepare("SELECT DISTINCT stack FROM attempts ORDER BY stack")?
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
        let mut forgiven = false;
        for attempt in self.attempts(stack, history::LOOK_BACK)? {
            if attempt.status.outcome.is_some() && !attempt.status.forgiven {
                self.journal(attempt.number)?
                    .append(&Entry::Forgiven, now)?;
                forgiven = true;
            }
        }
        Ok(forgiven)
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
        let mut interrupted = self.attempts(stack, history::LOOK_BACK)?;
        interrupted.retain(|attempt| attempt.status.outcome.is_none());
        for attempt in &interrupted {
            let entry = Entry::Ended {
                outcome: Outcome::Interrupted,
            };
            self.journal(attempt.number)?.append(&entry, now)?;
        }
        Ok(interrupted)
    }
}

/// The journal of one attempt, open for writing.
pub struct Journal {
    record: Record,
    attempt: u64,
    status: Status,
}

impl Journal {
    /// Adds an entry; durable when it returns.
    ///
    /// # Errors
    /// The entry can't follow, or the database refuses. The caller must then not have the effect.
    pub fn append(&mut self, entry: &Entry, now: Timestamp) -> Result<(), RecordError> {
        let (record, attempt) = (&self.record, self.attempt);
        let next =
            journal::next(self.status.clone(), entry).map_err(|source| RecordError::Illegal {
                attempt,
                path: record.path.clone(),
                source,
            })?;
        schema::append(&record.lock(), attempt, entry, now)
            .map_err(record.failed("write an entry"))?;
        self.status = next;
        Ok(())
    }

    /// Returns the number of the attempt.
    pub fn attempt(&self) -> u64 {
        self.attempt
    }

    /// Returns where the attempt is.
    pub fn status(&self) -> &Status {
        &self.status
    }
}

fn json<T: serde::Serialize>(value: &T) -> String {
    // Our own types with text keys: there is nothing in them that JSON can't hold.
    serde_json::to_string(value).unwrap_or_default()
}
