//! Verifies a backup that was taken before.

use super::blocking::{Deadline, blocking};
use super::error::io;
use super::postgres::Tools;
use super::take::fingerprint;
use super::{BackupError, Content, Listed, Work, files, sqlite};
use crate::desired::backups::Source;

/// Checks that a backup is what was taken, to the bit, and that what it consists of can be read.
///
/// A dump of Postgres needs a running container of the service; without one its bits alone are
/// not enough, and that is an error.
///
/// # Errors
/// What is wrong with it, or why it can't be verified.
pub async fn verify(work: &Work<'_>, backup: &Listed) -> Result<(), BackupError> {
    verify_within(work, Deadline::of(work), backup).await
}

pub(super) async fn verify_within(
    work: &Work<'_>,
    deadline: Deadline,
    backup: &Listed,
) -> Result<(), BackupError> {
    let manifest = &backup.manifest;
    let found = std::fs::symlink_metadata(&backup.path).map_err(io("look at", &backup.path))?;
    let unsound = |what: String| BackupError::Unsound {
        file: manifest.file.clone(),
        what,
    };
    if !found.is_file() {
        return Err(unsound("it is not a file".to_owned()));
    }
    if found.len() != manifest.size {
        return Err(unsound(format!(
            "it has {} bytes, and had {} when it was taken",
            found.len(),
            manifest.size
        )));
    }
    let path = backup.path.clone();
    let (sha256, _) = blocking(work, deadline, "read the backup", move |ticket| {
        fingerprint(&path, ticket)
    })
    .await?;
    if sha256 != manifest.sha256 {
        return Err(unsound(
            "its content is not what was taken (SHA-256 differs)".to_owned(),
        ));
    }
    content(work, deadline, backup).await
}

async fn content(work: &Work<'_>, deadline: Deadline, backup: &Listed) -> Result<(), BackupError> {
    let file = backup.manifest.file.clone();
    let path = backup.path.clone();
    match &backup.manifest.content {
        Content::Sqlite { rows, .. } => {
            let name = file.clone();
            let found = blocking(work, deadline, "verify the database", move |ticket| {
                sqlite::examine(&path, &name, ticket)
            })
            .await?;
            same(rows, &found, file)
        }
        Content::Postgres { rows, .. } => {
            let Source::Postgres(postgres) = &work.backup.source else {
                return Err(other_kind(work, backup));
            };
            let tools = Tools::new(work, postgres, deadline)?;
            let examined = tools.examine(&path, &file).await?;
            same(rows, &examined.rows, file)
        }
        Content::Files { .. } => {
            let Some(inventory) = files::inventory(&backup.manifest) else {
                return Err(other_kind(work, backup));
            };
            blocking(work, deadline, "verify the archive", move |ticket| {
                inventory.examine(&path, ticket)
            })
            .await
        }
        // Nobody but its program knows what is in it.
        Content::Command {} => Ok(()),
    }
}

/// Compares rows by table.
pub(super) fn same(
    expected: &std::collections::BTreeMap<String, u64>,
    found: &std::collections::BTreeMap<String, u64>,
    file: String,
) -> Result<(), BackupError> {
    let differs = expected
        .iter()
        .find(|(table, rows)| found.get(*table) != Some(rows));
    match differs {
        None => Ok(()),
        Some((table, rows)) => Err(BackupError::Differs {
            what: format!(
                "table {table} has {} rows, and {rows} were backed up",
                found.get(table).copied().unwrap_or_default()
            ),
            file,
        }),
    }
}

/// Says that the manifest has another kind of source now.
pub(super) fn other_kind(work: &Work<'_>, backup: &Listed) -> BackupError {
    BackupError::NotPossible {
        what: format!(
            "{} is a backup of {}, and {} is one of {} now",
            backup.manifest.file,
            backup.manifest.content.kind(),
            work.name,
            work.backup.source.kind()
        ),
        hint: "use a revision of the manifest that fits it".to_owned(),
    }
}
