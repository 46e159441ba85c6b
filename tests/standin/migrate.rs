//! The one-off commands of the ledger: migrations that go well or as badly as they are told to.

use std::io::Write;
use std::thread;
use std::time::Duration;

use crate::database::{Database, Schema};
use crate::ledger::{expected_schema, newest_schema};
use crate::{die_by_signal, ignore_term, number, numeric_setting, setting};

/// How a migration misbehaves.
enum Mishap {
    /// None.
    No,
    /// Exits with 1 before anything is changed.
    FailBefore,
    /// Does everything, then exits with 1.
    FailAfter,
    /// Does the first statement outside of any transaction, then exits with 1.
    Half,
    /// Sleeps for ever in its open transaction, and ignores SIGTERM.
    Hang,
    /// Sleeps that long in its open transaction, then goes on.
    Slow(Duration),
    /// Prints `NOISY_MB` megabytes (8), then goes on.
    Noisy,
    /// Prints its whole environment, then goes on.
    Tell,
    /// Dies by a signal in its open transaction.
    KillSelf,
}

impl Mishap {
    fn parse(text: &str) -> Result<Self, String> {
        Ok(match text {
            "" | "ok" => Self::No,
            "fail-before" => Self::FailBefore,
            "fail-after" => Self::FailAfter,
            "half" => Self::Half,
            "hang" => Self::Hang,
            "noisy" => Self::Noisy,
            "tell" => Self::Tell,
            "kill-self" => Self::KillSelf,
            _ => match text.strip_prefix("slow:") {
                Some(seconds) => {
                    let seconds: f64 = number("slow", seconds)?;
                    let slow = Duration::try_from_secs_f64(seconds);
                    Self::Slow(slow.map_err(|e| e.to_string())?)
                }
                None => return Err(format!("MIGRATE={text} is not known")),
            },
        })
    }
}

/// Prints the form of the data: `2`, or `1 dirty` after a migration that ended half-way.
pub fn print_schema() -> Result<u8, String> {
    println!("{}", Database::from_settings()?.schema()?);
    Ok(0)
}

/// Brings the data to the form that this version expects.
pub fn migrate(argument: Option<&str>) -> Result<u8, String> {
    let told = argument.map(str::to_owned).or_else(|| setting("MIGRATE"));
    let mishap = Mishap::parse(&told.unwrap_or_default())?;
    let database = Database::from_settings()?;
    match mishap {
        Mishap::FailBefore => return Err("told to fail before anything".to_owned()),
        Mishap::Noisy => make_noise()?,
        Mishap::Tell => std::env::vars().for_each(|(name, value)| println!("{name}={value}")),
        Mishap::Hang => ignore_term(),
        _ => {}
    }
    let (from, to) = (database.schema()?, expected_schema()?);
    if from.dirty {
        return Err(format!(
            "the schema is {from}: an earlier migration ended half-way"
        ));
    }
    if from.version > newest_schema()? {
        return Err(format!(
            "the schema is {from}, newer than {to}, which this version expects"
        ));
    }
    println!("migrating from {from} to {to}");
    let statements = statements(&database, from, to);
    let (first, rest) = statements.split_at(usize::from(!statements.is_empty()));
    let (first, rest) = (first.concat(), rest.concat());
    if matches!(mishap, Mishap::Half) {
        database.run(&first)?;
        return Err("told to fail half-way".to_owned());
    }
    if from.version == 0 && matches!(database, Database::Sqlite(_)) {
        database.run("PRAGMA journal_mode = WAL;\n")?;
    }
    let mut session = database.open()?;
    session.send(database.begin())?;
    session.send(&first)?;
    match mishap {
        Mishap::Slow(time) => thread::sleep(time),
        Mishap::Hang => loop {
            thread::sleep(Duration::from_secs(3600));
        },
        Mishap::KillSelf => {
            // Long enough for the statement to be carried out.
            thread::sleep(Duration::from_millis(200));
            die_by_signal()
        }
        _ => {}
    }
    session.send(&rest)?;
    session.send("COMMIT;\n")?;
    session.end()?;
    if matches!(mishap, Mishap::FailAfter) {
        return Err("told to fail after everything".to_owned());
    }
    println!("migrated to {to}");
    Ok(0)
}

/// Returns the statements that lead from one form to another.
fn statements(database: &Database, from: Schema, to: u32) -> Vec<String> {
    let id = match database {
        Database::Sqlite(_) => "id INTEGER PRIMARY KEY AUTOINCREMENT",
        Database::Postgres(_) => "id BIGSERIAL PRIMARY KEY",
    };
    let mut all = Vec::new();
    for version in from.version + 1..=to {
        if version == 1 {
            all.extend([
                "CREATE TABLE schema_version (version INTEGER NOT NULL);\n\
                 INSERT INTO schema_version VALUES (0);\n"
                    .to_owned(),
                format!(
                    "CREATE TABLE entries ({id}, text TEXT NOT NULL, amount BIGINT NOT NULL);\n"
                ),
                "CREATE TABLE totals (entries BIGINT NOT NULL, amount BIGINT NOT NULL);\n"
                    .to_owned(),
                "INSERT INTO totals VALUES (0, 0);\n".to_owned(),
            ]);
        } else {
            all.extend([
                format!("ALTER TABLE entries ADD COLUMN v{version} BIGINT NOT NULL DEFAULT 0;\n"),
                format!("UPDATE entries SET v{version} = id * {version};\n"),
            ]);
        }
        all.push(format!("UPDATE schema_version SET version = {version};\n"));
    }
    all
}

fn make_noise() -> Result<(), String> {
    let megabytes: u64 = numeric_setting("NOISY_MB")?.unwrap_or(8);
    let line = format!("{}\n", "noise ".repeat(17));
    let mut out = std::io::stdout().lock();
    for _ in 0..megabytes * 1024 * 1024 / line.len() as u64 {
        out.write_all(line.as_bytes()).map_err(|e| e.to_string())?;
    }
    out.flush().map_err(|e| e.to_string())
}
