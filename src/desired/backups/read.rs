//! Reads the flat form of the file into types that can't be wrong.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::{Backup, Command, Drill, Floors, Keep, Postgres, Source, Target};
use crate::desired::{Schedule, ServiceName};
use crate::document;

/// A backup as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawBackup {
    sqlite: Option<PathBuf>,
    postgres: Option<RawPostgres>,
    files: Option<Vec<PathBuf>>,
    command: Option<Command>,
    to: PathBuf,
    schedule: Option<Schedule>,
    #[serde(default)]
    keep: Keep,
    #[serde(default)]
    before_deploy: bool,
    #[serde(default)]
    floors: RawFloors,
    #[serde(default = "half_an_hour", deserialize_with = "document::duration")]
    timeout: Duration,
    drill: Option<Drill>,
}

/// Long enough for databases of a small server, short enough to notice one that hangs.
fn half_an_hour() -> Duration {
    Duration::from_secs(30 * 60)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPostgres {
    service: ServiceName,
    database: Option<String>,
    user: Option<String>,
    url_file: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawCommand {
    service: ServiceName,
    run: Vec<String>,
    restore: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct RawKeep {
    last: u32,
    daily: u32,
    weekly: u32,
    monthly: u32,
}

impl Default for RawKeep {
    fn default() -> Self {
        let keep = Keep::default();
        Self {
            last: keep.last,
            daily: keep.daily,
            weekly: keep.weekly,
            monthly: keep.monthly,
        }
    }
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct RawFloors {
    tables: Option<u64>,
    rows: BTreeMap<String, u64>,
    shrink: Option<Hundredths>,
}

/// `50%`.
#[derive(Deserialize)]
#[serde(try_from = "String")]
struct Hundredths(u8);

impl TryFrom<String> for Hundredths {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let number = text
            .strip_suffix('%')
            .and_then(|number| number.parse().ok());
        match number {
            Some(number @ 0..=100) => Ok(Self(number)),
            Some(_) | None => Err(format!(
                "\"{}\" is not a share such as 50%",
                text.escape_default()
            )),
        }
    }
}

impl TryFrom<RawKeep> for Keep {
    type Error = String;

    fn try_from(raw: RawKeep) -> Result<Self, String> {
        if raw.last == 0 {
            return Err("last must be at least 1: the newest backup is always kept".to_owned());
        }
        Ok(Self {
            last: raw.last,
            daily: raw.daily,
            weekly: raw.weekly,
            monthly: raw.monthly,
        })
    }
}

impl TryFrom<RawCommand> for Command {
    type Error = String;

    fn try_from(raw: RawCommand) -> Result<Self, String> {
        let empty = |words: &[String]| words.first().is_none_or(String::is_empty);
        if empty(&raw.run) {
            return Err("run names no program".to_owned());
        }
        if raw.restore.as_deref().is_some_and(empty) {
            return Err("restore names no program".to_owned());
        }
        Ok(Self {
            service: raw.service,
            run: raw.run,
            restore: raw.restore,
        })
    }
}

impl TryFrom<RawPostgres> for Postgres {
    type Error = String;

    fn try_from(raw: RawPostgres) -> Result<Self, String> {
        let target = match (raw.database, raw.user, raw.url_file) {
            (Some(database), Some(user), None) => {
                name("database", &database)?;
                name("user", &user)?;
                Target::Local { database, user }
            }
            (None, None, Some(file)) => Target::UrlFile(absolute("url_file", &file)?),
            (_, _, Some(_)) => {
                return Err(
                    "url_file says which database and user; take database and user out".to_owned(),
                );
            }
            (_, _, None) => {
                return Err(
                    "postgres needs database and user, or a url_file on the host".to_owned(),
                );
            }
        };
        Ok(Self {
            service: raw.service,
            target,
        })
    }
}

/// The server cuts longer names off, and would then answer for another database.
const LONGEST_IDENTIFIER: usize = 63;

fn name(key: &str, value: &str) -> Result<(), String> {
    let good = !value.is_empty()
        && value.len() <= LONGEST_IDENTIFIER
        && !value.chars().any(char::is_control);
    if good {
        return Ok(());
    }
    Err(format!(
        "\"{}\" can't be the {key}: 1 to {LONGEST_IDENTIFIER} bytes without control characters",
        value.escape_default()
    ))
}

fn absolute(key: &str, path: &Path) -> Result<PathBuf, String> {
    if !path.is_absolute() {
        return Err(format!(
            "{key}: {} is a path of the host and must be absolute",
            path.display()
        ));
    }
    if path.components().any(|part| part == Component::ParentDir) {
        return Err(format!("{key}: {} must not have ..", path.display()));
    }
    // Without `.`, doubled and trailing slashes, so that paths can be compared.
    Ok(path.components().collect())
}

impl TryFrom<RawBackup> for Backup {
    type Error = String;

    fn try_from(raw: RawBackup) -> Result<Self, String> {
        let to = absolute("to", &raw.to)?;
        let source = match (raw.sqlite, raw.postgres, raw.files, raw.command) {
            (Some(path), None, None, None) => sqlite(&path, &to)?,
            (None, Some(postgres), None, None) => Source::Postgres(postgres.try_into()?),
            (None, None, Some(paths), None) => files(&paths, &to)?,
            (None, None, None, Some(command)) => Source::Command(command),
            _ => {
                return Err(
                    "a backup has exactly one of sqlite, postgres, files and command".to_owned(),
                );
            }
        };
        if raw.timeout.is_zero() {
            return Err("timeout must be longer than nothing".to_owned());
        }
        let drill = raw.drill.map(|drill| check_drill(drill, &source));
        Ok(Self {
            floors: floors(raw.floors, &source)?,
            drill: drill.transpose()?,
            source,
            to,
            schedule: raw.schedule,
            keep: raw.keep,
            before_deploy: raw.before_deploy,
            timeout: raw.timeout,
        })
    }
}

fn sqlite(path: &Path, to: &Path) -> Result<Source, String> {
    let path = absolute("sqlite", path)?;
    if path.file_name().is_none() || path == to {
        return Err(format!(
            "sqlite: {} must be the file of a database",
            path.display()
        ));
    }
    if path.parent() == Some(to) {
        return Err(format!(
            "to: {} is the directory of the database itself; whatever takes that directory away \
             takes the backups with it",
            to.display()
        ));
    }
    Ok(Source::Sqlite(path))
}

fn files(paths: &[PathBuf], to: &Path) -> Result<Source, String> {
    let paths = paths
        .iter()
        .map(|path| absolute("files", path))
        .collect::<Result<Vec<_>, _>>()?;
    if paths.is_empty() {
        return Err("files names nothing".to_owned());
    }
    for (n, path) in paths.iter().enumerate() {
        if path.file_name().is_none() {
            return Err("files: / can't be backed up as a whole".to_owned());
        }
        if to.starts_with(path) {
            return Err(format!(
                "to: {} lies in {}, so every backup would hold those before it",
                to.display(),
                path.display()
            ));
        }
        let around = paths.iter().enumerate();
        if let Some((_, other)) = around
            .filter(|(m, _)| *m != n)
            .find(|(_, other)| path.starts_with(other))
        {
            return Err(format!(
                "files: {} lies in {} and would be in the backup twice",
                path.display(),
                other.display()
            ));
        }
    }
    Ok(Source::Files(paths))
}

/// By default a backup may be half as large as the one before: clean-ups happen, and what was
/// lost is mostly everything.
const SHRINK: u8 = 50;

fn floors(raw: RawFloors, source: &Source) -> Result<Floors, String> {
    let has_tables = match source {
        Source::Sqlite(_) | Source::Postgres(_) => true,
        Source::Files(_) | Source::Command(_) => false,
    };
    if !has_tables && (raw.tables.is_some() || !raw.rows.is_empty()) {
        return Err(format!(
            "floors: a backup of {} has no tables; only shrink fits",
            source.kind()
        ));
    }
    Ok(Floors {
        tables: raw.tables.unwrap_or(u64::from(has_tables)),
        rows: raw.rows,
        shrink: raw.shrink.map_or(SHRINK, |share| share.0),
    })
}

fn check_drill(drill: Drill, source: &Source) -> Result<Drill, String> {
    match source {
        Source::Sqlite(_) | Source::Postgres(_) => {}
        Source::Files(_) if drill.query.is_none() => {}
        Source::Files(_) => {
            return Err("drill: files can't be asked; take query out".to_owned());
        }
        Source::Command(_) => {
            return Err("drill: there is no scratch place for what a command writes".to_owned());
        }
    }
    Ok(drill)
}
