//! The tables, and the form of what is stored in them.

use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, ErrorCode, params};

use crate::desired::StackName;
use crate::journal::Entry;

/// File name of the database in the state directory.
pub(super) const FILE_NAME: &str = "moored.db";

/// Version of the format: how many of [`MIGRATIONS`] are behind it. A newer one is refused, an
/// older one is brought forward.
pub(super) const VERSION: i64 = 5;

/// What leads from each version to the next; an empty database has version 0. One that was
/// published is never changed.
pub(super) const MIGRATIONS: [&str; 5] = [
    TABLES,
    PINS_SCHEMAS_KINDS,
    ADOPTED,
    SUSPENSIONS,
    NOTIFICATIONS,
];

/// What somebody is told of: what is so now, up to which attempt of a stack it was told what came of
/// it, and what is still to be sent. Attempts from before are not told of any more.
const NOTIFICATIONS: &str = "
CREATE TABLE conditions (
    scope TEXT NOT NULL,
    key TEXT NOT NULL,
    condition TEXT NOT NULL,
    PRIMARY KEY (scope, key)
) STRICT, WITHOUT ROWID;
CREATE TABLE told (stack TEXT NOT NULL PRIMARY KEY, attempt INTEGER NOT NULL) STRICT;
INSERT INTO told SELECT stack, max(attempt) FROM attempts GROUP BY stack;
CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    route TEXT NOT NULL,
    message TEXT NOT NULL,
    made_at INTEGER NOT NULL,
    tries INTEGER NOT NULL DEFAULT 0,
    due_at INTEGER NOT NULL
) STRICT;
CREATE INDEX outbox_by_route ON outbox (route, id);
";

/// Stacks that a person at the host has suspended.
const SUSPENSIONS: &str = "
CREATE TABLE suspensions (
    stack TEXT NOT NULL PRIMARY KEY,
    reason TEXT NOT NULL,
    until INTEGER,
    since INTEGER,
    by TEXT
) STRICT;
";

/// Containers of Docker Compose that are ours by now, and which attempt took them.
const ADOPTED: &str = "
CREATE TABLE adopted (
    stack TEXT NOT NULL,
    container TEXT NOT NULL,
    name TEXT NOT NULL,
    service TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (stack, container)
) STRICT, WITHOUT ROWID;
";

/// Stacks that are kept at a release of theirs, whatever Git says; what an attempt was made for;
/// the form that the data has at a release; when a backup was last proved by a drill.
const PINS_SCHEMAS_KINDS: &str = "
CREATE TABLE IF NOT EXISTS pins (
    stack TEXT NOT NULL PRIMARY KEY,
    revision TEXT NOT NULL,
    release INTEGER NOT NULL,
    since INTEGER NOT NULL,
    by TEXT
) STRICT;
CREATE TABLE drills (
    stack TEXT NOT NULL,
    backup TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (stack, backup)
) STRICT;
ALTER TABLE attempts ADD COLUMN kind TEXT NOT NULL DEFAULT 'deploy';
ALTER TABLE releases ADD COLUMN schema TEXT NOT NULL DEFAULT '{\"attempt\":0,\"marks\":[]}';
";

const TABLES: &str = "
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE attempts (
    stack TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    revision TEXT NOT NULL,
    subject TEXT NOT NULL,
    author TEXT NOT NULL,
    began_at INTEGER NOT NULL,
    plan TEXT NOT NULL,
    touched TEXT NOT NULL,
    PRIMARY KEY (stack, attempt)
) STRICT;
CREATE TABLE entries (
    stack TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    entry TEXT NOT NULL,
    PRIMARY KEY (stack, attempt, seq),
    FOREIGN KEY (stack, attempt) REFERENCES attempts
) STRICT, WITHOUT ROWID;
CREATE TABLE releases (
    stack TEXT NOT NULL,
    attempt INTEGER NOT NULL,
    released_at INTEGER NOT NULL,
    release TEXT NOT NULL,
    PRIMARY KEY (stack, attempt),
    FOREIGN KEY (stack, attempt) REFERENCES attempts
) STRICT;
";

/// Sets the connection up and makes the tables; returns the format that was found.
pub(super) fn prepare(connection: &mut Connection) -> rusqlite::Result<i64> {
    connection.busy_timeout(Duration::from_secs(5))?;
    use_wal(connection)?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    let version = |connection: &Connection| {
        connection.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))
    };
    if version(connection)? < VERSION {
        // Immediate: two processes that both find an old format must not both bring it forward.
        let transaction =
            connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let found = version(&transaction)?;
        for migration in MIGRATIONS.iter().skip(usize::try_from(found).unwrap_or(0)) {
            transaction.execute_batch(migration)?;
        }
        if found == 0 {
            transaction.execute(
                "INSERT INTO meta VALUES ('instance', lower(hex(randomblob(8))))",
                [],
            )?;
        }
        transaction.pragma_update(None, "user_version", VERSION.max(found))?;
        transaction.commit()?;
    }
    version(connection)
}

/// Sets the journal mode. Changing it does not wait for others as other statements do.
fn use_wal(connection: &Connection) -> rusqlite::Result<()> {
    const TRIES: u32 = 50;
    for _ in 1..TRIES {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy) => {
                std::thread::sleep(Duration::from_millis(100));
            }
            set => return set,
        }
    }
    connection.pragma_update(None, "journal_mode", "WAL")
}

pub(super) fn instance(connection: &Connection) -> rusqlite::Result<String> {
    connection.query_row("SELECT value FROM meta WHERE key = 'instance'", [], |row| {
        row.get(0)
    })
}

pub(super) fn append(
    connection: &Connection,
    (stack, attempt): (&StackName, u64),
    entry: &Entry,
    now: Timestamp,
) -> rusqlite::Result<()> {
    connection
        .prepare_cached(
            "INSERT INTO entries (stack, attempt, seq, at, entry)
             SELECT ?1, ?2, coalesce(max(seq), 0) + 1, ?3, ?4
             FROM entries WHERE stack = ?1 AND attempt = ?2",
        )?
        .execute(params![
            stack.as_str(),
            attempt,
            now.as_millisecond(),
            json(entry)
        ])
        .map(|_rows| ())
}

/// Takes away what is older than anybody looks back, but never a stack's last release.
pub(super) fn prune(connection: &Connection, stack: &str, keep: u32) -> rusqlite::Result<()> {
    let old = "SELECT attempt FROM attempts WHERE stack = ?1
               AND attempt < (SELECT max(attempt) FROM releases WHERE stack = ?1)
               ORDER BY attempt DESC LIMIT -1 OFFSET ?2";
    for table in ["entries", "releases", "attempts"] {
        let delete = format!("DELETE FROM {table} WHERE stack = ?1 AND attempt IN ({old})");
        connection
            .prepare_cached(&delete)?
            .execute(params![stack, keep])?;
    }
    Ok(())
}

pub(super) fn entries(
    connection: &Connection,
    (stack, attempt): (&StackName, u64),
) -> rusqlite::Result<Vec<String>> {
    connection
        .prepare_cached("SELECT entry FROM entries WHERE stack = ?1 AND attempt = ?2 ORDER BY seq")?
        .query_map(params![stack.as_str(), attempt], |row| row.get(0))?
        .collect()
}

/// Returns a value of ours as JSON.
pub(super) fn json<T: serde::Serialize>(value: &T) -> String {
    // Our own types with text keys: there is nothing in them that JSON can't hold.
    serde_json::to_string(value).unwrap_or_default()
}
