//! The real database behind the ledger: SQL through `sqlite3` or `psql` as a child process.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

use crate::setting;

/// Where the data is, from `DATABASE`.
#[derive(Clone)]
pub enum Database {
    Sqlite(PathBuf),
    Postgres(String),
}

/// Which form the data has.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Schema {
    /// As recorded; 0 before the first migration.
    pub version: u32,
    /// Whether the tables are not those of that version: a migration ended half-way.
    pub dirty: bool,
}

impl std::fmt::Display for Schema {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let dirty = if self.dirty { " dirty" } else { "" };
        write!(f, "{}{dirty}", self.version)
    }
}

/// Takes the password out of `postgres://user:password@host/name`.
fn without_password(url: &str) -> (String, &str) {
    let whole = || (url.to_owned(), "");
    let Some((scheme, rest)) = url.split_once("://") else {
        return whole();
    };
    let Some((login, place)) = rest.rsplit_once('@') else {
        return whole();
    };
    match login.split_once(':') {
        Some((user, password)) => (format!("{scheme}://{user}@{place}"), password),
        None => whole(),
    }
}

impl Database {
    pub fn from_settings() -> Result<Self, String> {
        let text = setting("DATABASE").ok_or("DATABASE is not set")?;
        if let Some(path) = text.strip_prefix("sqlite:") {
            Ok(Self::Sqlite(PathBuf::from(path)))
        } else if text.starts_with("postgres://") || text.starts_with("postgresql://") {
            Ok(Self::Postgres(text))
        } else {
            // Not told what it is: it may have a password.
            Err("DATABASE is neither sqlite:FILE nor postgres://…".to_owned())
        }
    }

    /// Runs SQL in a session of its own; returns what it selected, a row a line and `|` between
    /// the columns. The first statement that fails ends it.
    pub fn run(&self, sql: &str) -> Result<String, String> {
        let mut session = self.open()?;
        session.send(sql)?;
        session.end()
    }

    /// Starts a child that takes SQL bit by bit.
    pub fn open(&self) -> Result<Session, String> {
        let (name, mut command) = match self {
            Self::Sqlite(file) => {
                let mut command = Command::new("sqlite3");
                command.args(["-batch", "-bail"]).arg(file);
                ("sqlite3", command)
            }
            Self::Postgres(url) => {
                // Arguments are there for everybody on the host to read.
                let (url, password) = without_password(url);
                let mut command = Command::new("psql");
                command
                    .args(["-X", "-q", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1"])
                    .args(["-d", &url])
                    .env("PGPASSWORD", password)
                    .env("PGCONNECT_TIMEOUT", "3")
                    .env(
                        "PGOPTIONS",
                        "-c lock_timeout=5s -c client_min_messages=warning",
                    );
                ("psql", command)
            }
        };
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| format!("{name} can't be run: {e}"))?;
        let stdout = child.stdout.take().ok_or("a child without output")?;
        let mut session = Session {
            name,
            child,
            stdout: BufReader::new(stdout),
        };
        if matches!(self, Self::Sqlite(_)) {
            session.send(".timeout 5000\n")?;
        }
        Ok(session)
    }

    /// Returns the statement that begins a transaction which will write.
    pub fn begin(&self) -> &'static str {
        match self {
            Self::Sqlite(_) => "BEGIN IMMEDIATE;\n",
            Self::Postgres(_) => "BEGIN;\n",
        }
    }

    /// Looks at the form of the data.
    pub fn schema(&self) -> Result<Schema, String> {
        self.schema_by(|sql| self.run(sql))
    }

    fn schema_by(
        &self,
        run: impl FnOnce(&str) -> Result<String, String>,
    ) -> Result<Schema, String> {
        const NOTHING: Schema = Schema {
            version: 0,
            dirty: false,
        };
        let columns = match self {
            // Looking would make the file.
            Self::Sqlite(file) if !file.exists() => return Ok(NOTHING),
            Self::Sqlite(_) => {
                "SELECT count(*) FROM pragma_table_info('entries') WHERE name GLOB 'v[0-9]*'"
            }
            Self::Postgres(_) => {
                "SELECT count(*) FROM information_schema.columns WHERE table_name = 'entries' \
                 AND table_schema = current_schema() AND column_name ~ '^v[0-9]+$'"
            }
        };
        let row = match run(&format!(
            "SELECT version, ({columns}) FROM schema_version;\n"
        )) {
            Err(problem)
                if problem.contains("no such table: schema_version")
                    || problem.contains(r#""schema_version" does not exist"#) =>
            {
                return Ok(NOTHING);
            }
            answer => answer?,
        };
        let [version, columns] = numbers(&row)?;
        Ok(Schema {
            version: u32::try_from(version).map_err(|e| e.to_string())?,
            dirty: columns != version - 1,
        })
    }
}

/// A session that stays open between two requests, as those of real applications do.
pub struct Connection {
    pub database: Database,
    session: Mutex<Option<Session>>,
}

impl Connection {
    pub fn new(database: Database) -> Self {
        Self {
            database,
            session: Mutex::new(None),
        }
    }

    /// Does what [`Database::run`] does.
    pub fn run(&self, sql: &str) -> Result<String, String> {
        let mut held = self.session.lock().unwrap_or_else(PoisonError::into_inner);
        let mut session = match held.take() {
            Some(session) => session,
            None => {
                let mut session = self.database.open()?;
                if let Database::Postgres(_) = self.database {
                    session.send("SET statement_timeout = '10s';\n")?;
                }
                session
            }
        };
        session.send(sql)?;
        let mark = match self.database {
            Database::Sqlite(_) => format!(".print {MARK}\n"),
            Database::Postgres(_) => format!("\\echo {MARK}\n"),
        };
        session.send(&mark)?;
        match session.read_to_mark() {
            Some(selected) => {
                *held = Some(session);
                Ok(selected)
            }
            None => session.end(),
        }
    }

    /// Looks at the form of the data. Opens the session again if the database has closed it.
    pub fn schema(&self) -> Result<Schema, String> {
        let schema = || self.database.schema_by(|sql| self.run(sql));
        schema().or_else(|_| schema())
    }
}

/// What a session prints after its last row.
const MARK: &str = "=== end of rows ===";

/// Returns the numbers of a row.
pub fn numbers<const N: usize>(row: &str) -> Result<[i64; N], String> {
    let numbers: Option<Vec<i64>> = row
        .trim()
        .split('|')
        .map(|cell| cell.parse().ok())
        .collect();
    numbers
        .and_then(|numbers| numbers.try_into().ok())
        .ok_or_else(|| format!("the database answered {row:?}"))
}

/// Returns text as an SQL literal.
pub fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\0', "").replace('\'', "''"))
}

/// A child that takes SQL from its standard input.
pub struct Session {
    name: &'static str,
    child: Child,
    stdout: BufReader<ChildStdout>,
}

impl Session {
    /// Hands over SQL. A child that has ended says why at the end.
    pub fn send(&mut self, sql: &str) -> Result<(), String> {
        let stdin = self.child.stdin.as_mut().ok_or("the session has ended")?;
        drop(stdin.write_all(sql.as_bytes()).and_then(|()| stdin.flush()));
        Ok(())
    }

    /// Returns the rows until the mark; none if the child ends before.
    fn read_to_mark(&mut self) -> Option<String> {
        let mut rows = String::new();
        loop {
            let begin = rows.len();
            if self.stdout.read_line(&mut rows).ok()? == 0 {
                return None;
            }
            if rows[begin..].trim_end() == MARK {
                rows.truncate(begin);
                return Some(rows);
            }
        }
    }

    /// Says that no more comes and waits for the end; returns what was selected since the mark.
    pub fn end(mut self) -> Result<String, String> {
        let mut ask = || {
            drop(self.child.stdin.take());
            let (mut rows, mut said) = (String::new(), String::new());
            self.stdout.read_to_string(&mut rows)?;
            if let Some(stderr) = &mut self.child.stderr {
                stderr.read_to_string(&mut said)?;
            }
            Ok((self.child.wait()?, rows, said))
        };
        let (status, rows, said) = ask().map_err(|e: std::io::Error| e.to_string())?;
        if status.success() {
            return Ok(rows);
        }
        Err(format!(
            "{} ended with {status}: {}",
            self.name,
            said.trim()
        ))
    }
}
