//! Lets a person ask a database of `SQLite` by hand. Everything here blocks.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::fallible_iterator::FallibleIterator as _;
use rusqlite::types::ValueRef;
use rusqlite::{Batch, Connection, OpenFlags, Statement};

use super::BackupError;
use super::sqlite::{database, open, open_source};

/// An application that writes holds its lock for moments.
const PATIENCE: Duration = Duration::from_secs(5);

/// Rows of one answer that are shown.
const MOST_ROWS: usize = 10_000;

/// Bytes of a value without text that are shown.
const LONGEST_BLOB: usize = 32;

/// What may be done to a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// It is only read.
    Read,
    /// It is changed.
    Write,
}

/// A database that a person asks.
pub struct Console {
    connection: Connection,
    path: PathBuf,
}

/// What one statement gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Rows, in the order of the database.
    Rows {
        /// Names of the columns.
        columns: Vec<String>,
        /// The rows, as text; `None` = null.
        rows: Vec<Vec<Option<String>>>,
        /// Whether there are more than are shown.
        more: bool,
    },
    /// So many rows were changed.
    Changed(usize),
}

impl Console {
    /// Opens a database that is there.
    ///
    /// # Errors
    /// It can't be opened.
    pub fn open(path: &Path, access: Access) -> Result<Self, BackupError> {
        let failed = |error| database("open", path)(error);
        let connection = match access {
            Access::Read => open_source(path),
            Access::Write => open(path, OpenFlags::SQLITE_OPEN_READ_WRITE),
        };
        let connection = connection.map_err(failed)?;
        connection.busy_timeout(PATIENCE).map_err(failed)?;
        let only_reads = access == Access::Read;
        connection
            .pragma_update(None, "query_only", only_reads)
            .map_err(failed)?;
        Ok(Self {
            connection,
            path: path.to_owned(),
        })
    }

    /// Runs the statements of a text one after the other, and hands on what each gives.
    ///
    /// # Errors
    /// One of them makes no sense or fails; those after it are not run.
    pub fn run(&self, text: &str, mut to: impl FnMut(Answer)) -> Result<(), BackupError> {
        let failed = |error| database("ask", &self.path)(error);
        let mut statements = Batch::new(&self.connection, text);
        while let Some(mut statement) = statements.next().map_err(failed)? {
            to(answer(&mut statement).map_err(failed)?);
        }
        Ok(())
    }
}

fn answer(statement: &mut Statement<'_>) -> rusqlite::Result<Answer> {
    let count = statement.column_count();
    if count == 0 {
        return statement.execute([]).map(Answer::Changed);
    }
    let columns = statement.column_names().map(str::to_owned).collect();
    let mut found = statement.query([])?;
    let (mut rows, mut more) = (Vec::new(), false);
    while let Some(row) = found.next()? {
        if rows.len() == MOST_ROWS {
            more = true;
            break;
        }
        let cells = (0..count).map(|at| row.get_ref(at).map(shown));
        rows.push(cells.collect::<rusqlite::Result<_>>()?);
    }
    Ok(Answer::Rows {
        columns,
        rows,
        more,
    })
}

fn shown(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(number.to_string()),
        ValueRef::Real(number) => Some(number.to_string()),
        ValueRef::Text(text) => Some(String::from_utf8_lossy(text).into_owned()),
        ValueRef::Blob(bytes) => {
            let first = bytes.get(..LONGEST_BLOB.min(bytes.len()));
            let more = if bytes.len() > LONGEST_BLOB {
                "…"
            } else {
                ""
            };
            Some(format!(
                "x'{}{more}'",
                hex::encode(first.unwrap_or_default())
            ))
        }
    }
}

/// Returns whether a text that is typed line by line ends with a whole statement.
///
/// Quotes and comments are followed as in `SQLite`. The body of a trigger has statements of its
/// own: it ends with `end;`.
pub fn is_complete(text: &str) -> bool {
    let plain = without_quotes(text);
    let plain = plain.trim().to_ascii_lowercase();
    let Some(before) = plain.strip_suffix(';') else {
        return plain.is_empty();
    };
    let mut words = before.split_whitespace();
    let creates = words.next() == Some("create");
    let is_trigger = creates && words.take(4).any(|word| word == "trigger");
    !is_trigger || before.trim_end().ends_with("end")
}

/// Takes out what stands in quotes and in comments; what is open at the end stays open.
fn without_quotes(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after = rest.get(first.len_utf8()..).unwrap_or_default();
        let end = match first {
            '\'' | '"' | '`' => after.find(first).map(|at| at + 1),
            '[' => after.find(']').map(|at| at + 1),
            '-' if after.starts_with('-') => Some(after.find('\n').unwrap_or(after.len())),
            '/' if after.starts_with('*') => {
                let inside = after.get(1..).unwrap_or_default();
                inside.find("*/").map(|at| at + 3)
            }
            _ => {
                plain.push(first);
                Some(0)
            }
        };
        let Some(end) = end else {
            plain.push(first);
            break;
        };
        rest = after.get(end..).unwrap_or_default();
    }
    plain
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn never_panics(text in ".*", code in "[-/*'\"\\[\\];a\n€]{0,16}") {
            is_complete(&text);
            is_complete(&code);
        }
    }

    fn database_with_rows(dir: &tempfile::TempDir) -> PathBuf {
        let path = dir.path().join("prod.db");
        let made = Connection::open(&path).unwrap();
        made.execute_batch(
            "CREATE TABLE users (id INTEGER, name TEXT, photo BLOB);
             INSERT INTO users VALUES (1, 'Ada', x'00ff'), (2, NULL, NULL);",
        )
        .unwrap();
        path
    }

    fn run(console: &Console, text: &str) -> Result<Vec<Answer>, String> {
        let mut answers = Vec::new();
        let ran = console.run(text, |answer| answers.push(answer));
        ran.map(|()| answers).map_err(|error| error.to_string())
    }

    #[test]
    fn statements_are_answered_one_after_the_other() {
        let dir = tempfile::tempdir().unwrap();
        let path = database_with_rows(&dir);
        let console = Console::open(&path, Access::Read).unwrap();
        let answers = run(
            &console,
            "select * from users; select count(*) as n from users",
        )
        .unwrap();
        let some = |text: &str| Some(text.to_owned());
        let rows = |columns: &[&str], rows| Answer::Rows {
            columns: columns.iter().map(|name| (*name).to_owned()).collect(),
            rows,
            more: false,
        };
        assert_eq!(
            answers,
            [
                rows(
                    &["id", "name", "photo"],
                    vec![
                        vec![some("1"), some("Ada"), some("x'00ff'")],
                        vec![some("2"), None, None],
                    ],
                ),
                rows(&["n"], vec![vec![some("2")]]),
            ]
        );
    }

    #[test]
    fn nothing_is_changed_unless_that_is_meant() {
        let dir = tempfile::tempdir().unwrap();
        let path = database_with_rows(&dir);
        let console = Console::open(&path, Access::Read).unwrap();
        let refused = run(&console, "delete from users").unwrap_err();
        assert!(refused.contains("readonly"), "{refused}");
        let console = Console::open(&path, Access::Write).unwrap();
        let done = run(&console, "delete from users where id = 1;").unwrap();
        assert_eq!(done, [Answer::Changed(1)]);
        assert!(Console::open(&dir.path().join("none.db"), Access::Write).is_err());
        assert!(!dir.path().join("none.db").exists());
    }

    #[test]
    fn a_statement_is_complete_at_its_semicolon() {
        for complete in [
            "",
            "select 1;",
            "select ';' ;",
            "select 1; -- that is all",
            "/* ; */ select 1;",
            "create trigger t after insert on u begin delete from v; end;",
        ] {
            assert!(is_complete(complete), "{complete}");
        }
        for open in [
            "select 1",
            "select ';",
            "select 1 -- ;",
            "/* ;",
            "select [;",
            "create temp trigger t after insert on u begin delete from v;",
        ] {
            assert!(!is_complete(open), "{open}");
        }
    }
}
