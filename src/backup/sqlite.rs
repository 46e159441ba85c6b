//! Copies, examines and restores databases of `SQLite`. Everything here blocks.
//!
//! A copy is made by the library's online backup: a copied file of a live database is corrupt
//! about one time in three.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use super::blocking::Ticket;
use super::error::io;
use super::partial::{COMPANIONS, beside, rename_new, sync_dir};
use super::{BackupError, Owner, Progress};

/// Somebody who writes holds a lock for moments; one held longer than this is held for ever.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long to wait before a lock is tried again: somebody who writes without a pause leaves
/// only moments.
const PAUSE: Duration = Duration::from_millis(3);

/// 4 MiB with the usual page: short steps, so that nobody waits for one.
const PAGES_PER_STEP: i32 = 1024;

/// A copy that somebody's writing throws back to its beginning this often is finished in one
/// step, which makes the writers wait.
const MOST_RESTARTS: u32 = 5;

/// What is known of a database beside its content.
#[derive(Clone)]
pub(super) struct Nature {
    pub(super) journal_mode: String,
    pub(super) owner: Owner,
}

/// Returns the version of the library.
pub(super) fn version() -> &'static str {
    rusqlite::version()
}

/// Returns about how many bytes a copy of a database takes.
pub(super) fn size(path: &Path) -> Result<u64, BackupError> {
    let found = metadata(path)?;
    let wal = std::fs::metadata(beside(path, "-wal")).map_or(0, |wal| wal.len());
    Ok(found.len().saturating_add(wal))
}

fn metadata(path: &Path) -> Result<std::fs::Metadata, BackupError> {
    match std::fs::metadata(path) {
        Ok(found) if found.is_file() => Ok(found),
        Ok(_) => Err(BackupError::Source {
            path: path.to_owned(),
            what: "it is not a file".to_owned(),
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(BackupError::NoSource(path.to_owned()))
        }
        Err(error) => Err(io("look at", path)(error)),
    }
}

/// Copies the database `from` into the empty file `into`, while others may write.
///
/// The copy has the journal mode `delete`, so that it is one file and needs no other.
pub(super) fn copy(from: &Path, into: &Path, ticket: &Ticket) -> Result<Nature, BackupError> {
    const DOING: &str = "back up the database";
    let found = metadata(from)?;
    let owner = Owner {
        uid: found.uid(),
        gid: found.gid(),
        mode: found.permissions().mode() & 0o777,
    };
    let lock = Patience::new(ticket, DOING, from);
    let source = lock.with(|| open_source(from))?;
    let journal_mode = lock.with(|| journal_mode(&source))?;
    if journal_mode == "wal" {
        // A reader holds up nobody there, and what it sees does not change any more: otherwise
        // every write of others would send the copy back to its beginning.
        lock.with(|| begin_reading(&source))?;
    }
    let failed = |error| database("write the copy", into)(error);
    let mut copy = open(into, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(failed)?;
    // It is thrown away unless it is whole; it is made durable before it gets its name.
    copy.pragma_update(None, "journal_mode", "off")
        .and_then(|()| copy.pragma_update(None, "synchronous", "off"))
        .map_err(failed)?;
    transfer(&source, &mut copy, &lock)?;
    drop(source);
    copy.pragma_update_and_check(None, "journal_mode", "delete", |_| Ok(()))
        .map_err(failed)?;
    copy.close().map_err(|(_, error)| failed(error))?;
    Ok(Nature {
        journal_mode,
        owner,
    })
}

/// Opens for reading. After the end of a program in the middle of a transaction, what it left
/// must be rolled back first, which every program does that opens the database, and which needs
/// writing.
pub(super) fn open_source(path: &Path) -> rusqlite::Result<Connection> {
    let look = |source: &Connection| {
        source.query_row("SELECT count(*) FROM sqlite_schema", [], |row| {
            row.get::<_, i64>(0)
        })
    };
    let source = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    match look(&source) {
        Ok(_) => Ok(source),
        Err(error)
            if matches!(
                error.sqlite_error_code(),
                Some(ErrorCode::ReadOnly | ErrorCode::CannotOpen)
            ) =>
        {
            let source = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
            look(&source)?;
            Ok(source)
        }
        Err(error) => Err(error),
    }
}

fn begin_reading(source: &Connection) -> rusqlite::Result<()> {
    if source.is_autocommit() {
        source.execute_batch("BEGIN")?;
    }
    source.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(()))
}

pub(super) fn open(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(Duration::ZERO)?;
    Ok(connection)
}

fn journal_mode(connection: &Connection) -> rusqlite::Result<String> {
    connection.pragma_query_value(None, "journal_mode", |row| row.get(0))
}

/// Copies all pages.
fn transfer(
    from: &Connection,
    to: &mut Connection,
    lock: &Patience<'_>,
) -> Result<(), BackupError> {
    let page: u64 = lock.with(|| from.pragma_query_value(None, "page_size", |row| row.get(0)))?;
    let work = Backup::new(from, to).map_err(database(lock.doing, lock.path))?;
    let mut remaining = i32::MAX;
    let mut restarts = 0;
    loop {
        let pages = if restarts < MOST_RESTARTS {
            PAGES_PER_STEP
        } else {
            -1
        };
        let step = lock.with(|| {
            let step = work.step(pages)?;
            let held_up = matches!(step, StepResult::Busy | StepResult::Locked);
            if held_up { Err(busy()) } else { Ok(step) }
        })?;
        let now = work.progress();
        restarts += u32::from(now.remaining > remaining);
        remaining = now.remaining;
        let total = page.saturating_mul(u64::from(now.pagecount.unsigned_abs()));
        let left = page.saturating_mul(u64::from(now.remaining.unsigned_abs()));
        lock.ticket.tick(Progress {
            done: total.saturating_sub(left),
            total: Some(total),
        })?;
        if step == StepResult::Done {
            return Ok(());
        }
    }
}

fn busy() -> rusqlite::Error {
    rusqlite::Error::SqliteFailure(rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY), None)
}

/// Tries again while somebody else holds a lock.
struct Patience<'a> {
    ticket: &'a Ticket,
    doing: &'static str,
    path: &'a Path,
}

impl<'a> Patience<'a> {
    fn new(ticket: &'a Ticket, doing: &'static str, path: &'a Path) -> Self {
        Self {
            ticket,
            doing,
            path,
        }
    }

    fn with<T>(&self, mut call: impl FnMut() -> rusqlite::Result<T>) -> Result<T, BackupError> {
        let began = Instant::now();
        loop {
            match call() {
                Ok(answer) => return Ok(answer),
                Err(error) if !is_busy(&error) => {
                    return Err(database(self.doing, self.path)(error));
                }
                Err(_) if began.elapsed() >= PATIENCE || self.ticket.is_over() => {
                    return Err(BackupError::Busy {
                        doing: self.doing,
                        path: self.path.to_owned(),
                        waited: began.elapsed(),
                    });
                }
                Err(_) => std::thread::sleep(PAUSE),
            }
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked)
    )
}

pub(super) fn database(
    doing: &'static str,
    path: &Path,
) -> impl Fn(rusqlite::Error) -> BackupError {
    let path = path.to_owned();
    move |error| BackupError::Database {
        doing,
        path: path.clone(),
        cause: error.to_string(),
    }
}

/// Checks a database that nobody writes to, and counts the rows of its tables.
pub(super) fn examine(
    path: &Path,
    name: &str,
    ticket: &Ticket,
) -> Result<BTreeMap<String, u64>, BackupError> {
    let unsound = |error: rusqlite::Error| BackupError::Unsound {
        file: name.to_owned(),
        what: error.to_string(),
    };
    let opened = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(unsound)?;
    let interrupt = opened.get_interrupt_handle();
    ticket.on_end(move || interrupt.interrupt());
    let length = metadata(path)?.len();
    let expected = full_length(&opened).map_err(unsound)?;
    if expected.is_some_and(|expected| expected != length) {
        return Err(BackupError::Unsound {
            file: name.to_owned(),
            what: format!("it has {length} bytes, which is not what its pages need"),
        });
    }
    let said: Vec<String> = opened
        .prepare("PRAGMA integrity_check(5)")
        .and_then(|mut check| check.query_map([], |row| row.get(0))?.collect())
        .map_err(unsound)?;
    if said != ["ok"] {
        return Err(BackupError::Unsound {
            file: name.to_owned(),
            what: format!("the integrity check says {}", said.join("; ")),
        });
    }
    count_rows(&opened, ticket).map_err(unsound)
}

/// Returns how long the file must be: the integrity check takes what is missing of the last page
/// for zeros. With a WAL the newest pages may not be in the file yet.
fn full_length(connection: &Connection) -> rusqlite::Result<Option<u64>> {
    if journal_mode(connection)? == "wal" {
        return Ok(None);
    }
    let number = |name| connection.pragma_query_value(None, name, |row| row.get::<_, u64>(0));
    Ok(Some(
        number("page_count")?.saturating_mul(number("page_size")?),
    ))
}

fn count_rows(connection: &Connection, ticket: &Ticket) -> rusqlite::Result<BTreeMap<String, u64>> {
    // Virtual tables need modules that only the program itself has; their content is in others.
    let names: Vec<String> = connection
        .prepare(
            "SELECT name FROM pragma_table_list WHERE schema = 'main'
             AND type IN ('table', 'shadow') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
        )?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    let mut rows = BTreeMap::new();
    for name in names {
        let query = format!("SELECT count(*) FROM main.{}", quoted(&name));
        let count = connection.query_row(&query, [], |row| row.get(0))?;
        rows.insert(name, count);
        if ticket.is_over() {
            return Err(busy());
        }
    }
    Ok(rows)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Asks a database for the first value of a query, as text.
pub(super) fn ask(path: &Path, query: &str, ticket: &Ticket) -> Result<String, BackupError> {
    let failed = database("ask the restored copy of", path);
    let opened = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(&failed)?;
    let interrupt = opened.get_interrupt_handle();
    ticket.on_end(move || interrupt.interrupt());
    let value: rusqlite::types::Value = opened
        .query_row(query, [], |row| row.get(0))
        .map_err(failed)?;
    Ok(match value {
        rusqlite::types::Value::Integer(number) => number.to_string(),
        rusqlite::types::Value::Text(text) => text,
        other @ (rusqlite::types::Value::Null
        | rusqlite::types::Value::Real(_)
        | rusqlite::types::Value::Blob(_)) => format!("a value of type {}", other.data_type()),
    })
}

/// Puts the content of the backup `from` into the database at `into`, as one transaction: killed
/// at any instant, the database is what it was or what the backup is.
///
/// A file that is no database any more is set aside as `….damaged`; a missing one is made.
pub(super) fn restore(
    from: &Path,
    into: &Path,
    nature: &Nature,
    ticket: &Ticket,
) -> Result<(), BackupError> {
    if std::fs::symlink_metadata(into).is_err() {
        make(into, nature.owner)?;
    }
    match write_into(from, into, nature, ticket)? {
        Written::Whole => Ok(()),
        Written::NoDatabase => {
            set_aside(into)?;
            make(into, nature.owner)?;
            match write_into(from, into, nature, ticket)? {
                Written::Whole => Ok(()),
                Written::NoDatabase => Err(BackupError::Database {
                    doing: RESTORING,
                    path: into.to_owned(),
                    cause: "a new file is not taken for a database".to_owned(),
                }),
            }
        }
    }
}

const RESTORING: &str = "restore the database";

enum Written {
    Whole,
    NoDatabase,
}

fn write_into(
    from: &Path,
    into: &Path,
    nature: &Nature,
    ticket: &Ticket,
) -> Result<Written, BackupError> {
    let source =
        open(from, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(database("open the backup", from))?;
    let mut target =
        open(into, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(database(RESTORING, into))?;
    let lock = Patience::new(ticket, RESTORING, into);
    // A database in WAL mode takes no backup with another page size.
    let ready = lock.with(|| {
        let set = target.pragma_update_and_check(None, "journal_mode", "delete", |_| Ok(()));
        match set {
            Err(error) if is_no_database(&error) => Ok(false),
            other => other.map(|()| true),
        }
    })?;
    if !ready {
        return Ok(Written::NoDatabase);
    }
    target
        .pragma_update(None, "synchronous", "full")
        .map_err(database(RESTORING, into))?;
    transfer(&source, &mut target, &lock)?;
    lock.with(|| {
        target.pragma_update_and_check(None, "journal_mode", &nature.journal_mode, |_| Ok(()))
    })?;
    Ok(Written::Whole)
}

fn is_no_database(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt)
    )
}

/// Makes an empty file, which is an empty database.
fn make(path: &Path, owner: Owner) -> Result<(), BackupError> {
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(owner.mode & 0o777)
        .open(path)
        .map_err(io("make", path))?;
    // Only root may give files away; what we made as somebody else is ours as it was.
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::fchown(&file, Some(owner.uid), Some(owner.gid))
            .map_err(io("give its owner to", path))?;
    }
    sync_dir(path)
}

/// Renames a file that is no database, and what belongs to it.
fn set_aside(path: &Path) -> Result<(), BackupError> {
    let mut aside = beside(path, ".damaged");
    for n in 2_u32.. {
        if std::fs::symlink_metadata(&aside).is_err() {
            break;
        }
        aside = beside(path, &format!(".damaged_{n}"));
    }
    // First what would otherwise be rolled into the new database.
    for companion in COMPANIONS {
        match rename_new(&beside(path, companion), &beside(&aside, companion)) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(io("set aside what belongs to", path)(error));
            }
            Ok(()) | Err(_) => {}
        }
    }
    rename_new(path, &aside).map_err(io("set aside", path))?;
    sync_dir(path)
}
