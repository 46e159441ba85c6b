//! The ledger: an application with data in a real database, behind HTTP.
//!
//! | request | answer |
//! |---|---|
//! | `GET /` | version and greeting |
//! | `GET /api/health` | 200 `{"status":"ok",…}`; 500 if the data has a form that this version does not know, or can't be read; 503 before it is ready |
//! | `GET /readyz` | the same in words |
//! | `POST /api/entries?text=…` | inserts a row: 201 `{"id":…}` |
//! | `GET /api/entries[?text=…]` | `{"entries":…,"checksum":…}` of all rows, or of those with this text |
//! | `GET /api/entries.txt` | the texts, a line each, in the order of their insertion |
//! | `GET /api/debug/diagnostics/verify-integrity` | `{"ok":…,"entries":…}`: the form fits, and the rows are those that the totals count |

use crate::database::{Connection, Database, Schema, literal, numbers};
use crate::server::{Answer, Request, json};
use crate::{numeric_setting, setting};

pub struct Ledger {
    reads: Connection,
    // Waits while somebody else writes, and reading does not wait with it.
    writes: Connection,
    expected: u32,
    newest: u32,
    broken: bool,
}

/// Returns the form that this version of the application is written for.
pub fn expected_schema() -> Result<u32, String> {
    Ok(numeric_setting("APP_SCHEMA")?.unwrap_or(1))
}

/// Returns the newest form that it works with.
pub fn newest_schema() -> Result<u32, String> {
    Ok(numeric_setting("APP_SCHEMA_MAX")?.unwrap_or(expected_schema()?))
}

/// Inserts a row; returns its id. The totals change in the same transaction.
pub fn insert(connection: &Connection, text: &str) -> Result<i64, String> {
    let (begin, amount) = (connection.database.begin(), amount(text));
    let text = literal(text);
    let row = connection.run(&format!(
        "{begin}INSERT INTO entries (text, amount) VALUES ({text}, {amount}) RETURNING id;\n\
         UPDATE totals SET entries = entries + 1, amount = amount + {amount};\nCOMMIT;\n"
    ))?;
    numbers(&row).map(|[id]| id)
}

/// Returns how many rows there are, and the sum of their amounts.
pub fn count(connection: &Connection, text: Option<&str>) -> Result<(i64, i64), String> {
    let filter = text.map(|text| format!(" WHERE text = {}", literal(text)));
    let filter = filter.unwrap_or_default();
    let row = connection.run(&format!(
        "SELECT count(*), coalesce(sum(amount), 0) FROM entries{filter};\n"
    ))?;
    numbers(&row).map(|[entries, checksum]| (entries, checksum))
}

/// Returns a number that depends on the text: FNV-1a, kept small so that sums stay exact.
fn amount(text: &str) -> u32 {
    let hash = text.bytes().fold(0x811c_9dc5_u32, |hash, byte| {
        (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193)
    });
    hash % 1_000_003
}

impl Ledger {
    pub fn from_settings() -> Result<Self, String> {
        let database = Database::from_settings()?;
        Ok(Self {
            reads: Connection::new(database.clone()),
            writes: Connection::new(database),
            expected: expected_schema()?,
            newest: newest_schema()?,
            broken: setting("INTEGRITY").is_some_and(|value| value == "broken"),
        })
    }

    pub fn answer(&self, request: &Request<'_>, is_ready: bool) -> Option<Answer> {
        let answer = match (request.method, request.path) {
            ("GET" | "HEAD", "/api/health" | "/readyz") => self.health(request.path, is_ready),
            ("POST", "/api/entries") => self.insert(request),
            ("GET", "/api/entries") => self.count(request),
            ("GET", "/api/entries.txt") => self.list(),
            ("GET", "/api/debug/diagnostics/verify-integrity") => self.verify(),
            _ => return None,
        };
        Some(answer.unwrap_or_else(|problem| {
            eprintln!("standin: {} {}: {problem}", request.method, request.path);
            let error = json(Some(&problem));
            Answer::json(
                "500 Internal Server Error",
                format!("{{\"error\":{error}}}\n"),
            )
        }))
    }

    /// Looks at the form of the data; an error if this version can't work with it.
    fn fitting_schema(&self, connection: &Connection) -> Result<Schema, String> {
        let schema = connection.schema()?;
        if schema.dirty || !(self.expected..=self.newest).contains(&schema.version) {
            let expected = self.expected;
            return Err(format!(
                "schema is {schema}, this version expects {expected}"
            ));
        }
        Ok(schema)
    }

    fn health(&self, path: &str, is_ready: bool) -> Result<Answer, String> {
        let schema = self.fitting_schema(&self.reads)?;
        let version = setting("APP_VERSION").unwrap_or_default();
        let (status, word) = if is_ready {
            ("200 OK", "ok")
        } else {
            ("503 Service Unavailable", "starting")
        };
        Ok(if path == "/readyz" {
            Answer::text(status, format!("{word}\n"))
        } else {
            let version = json(Some(&version));
            let text = format!(r#"{{"status":"{word}","version":{version},"schema":{schema}}}"#);
            Answer::json(status, text + "\n")
        })
    }

    fn insert(&self, request: &Request<'_>) -> Result<Answer, String> {
        self.fitting_schema(&self.writes)?;
        let text = request.parameter("text").unwrap_or_default();
        let id = insert(&self.writes, &text)?;
        println!("standin: entry {id}");
        Ok(Answer::json("201 Created", format!("{{\"id\":{id}}}\n")))
    }

    fn count(&self, request: &Request<'_>) -> Result<Answer, String> {
        let text = request.parameter("text");
        let (entries, checksum) = count(&self.reads, text.as_deref())?;
        let text = format!("{{\"entries\":{entries},\"checksum\":{checksum}}}\n");
        Ok(Answer::json("200 OK", text))
    }

    fn list(&self) -> Result<Answer, String> {
        let texts = self.reads.run("SELECT text FROM entries ORDER BY id;\n")?;
        Ok(Answer::text("200 OK", texts))
    }

    fn verify(&self) -> Result<Answer, String> {
        let schema = self.fitting_schema(&self.reads);
        let row = self.reads.run(
            "SELECT (SELECT count(*) FROM entries), \
             (SELECT coalesce(sum(amount), 0) FROM entries), entries, amount FROM totals;\n",
        )?;
        let [entries, sum, total_entries, total_sum] = numbers(&row)?;
        let pages = match self.reads.database {
            Database::Sqlite(_) => self.reads.run("PRAGMA integrity_check;\n")?,
            Database::Postgres(_) => "ok".to_owned(),
        };
        let problem = match schema {
            Err(problem) => Some(problem),
            Ok(_) if (entries, sum) != (total_entries, total_sum) => {
                Some(format!("{total_entries} entries should be there"))
            }
            Ok(_) if pages.trim() != "ok" => Some(pages),
            Ok(_) => self.broken.then(|| "told to be broken".to_owned()),
        };
        let (ok, problem) = (problem.is_none(), json(problem.as_deref()));
        let text = format!(r#"{{"ok":{ok},"entries":{entries},"problem":{problem}}}"#);
        Ok(Answer::json("200 OK", text + "\n"))
    }
}
