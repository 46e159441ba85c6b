//! Restores a backup in the place of what is live.

use std::path::{Path, PathBuf};

use super::blocking::{Deadline, blocking};
use super::postgres::{self, Dump, Owners, Tools};
use super::sqlite::Nature;
use super::verify::{other_kind, same, verify_within};
use super::{BackupError, Content, Listed, Work, command, files, sqlite};
use crate::desired::backups::{Postgres, Source};

/// What a restore has done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// What is not as it was and still worth saying.
    pub warnings: Vec<String>,
}

/// Verifies a backup and puts it in the place of what is live; where the manifest names another
/// place by now, there.
///
/// The caller has stopped who writes, and starts them again: those that mount a directory see the
/// restored one only after that. Repeatable: killed at any instant and called again it ends with
/// the backup in place. Before everything is restored, what is live is not touched; only several
/// `files` change one after the other, and a `command` does as it does.
///
/// # Errors
/// The backup is not sound, or can't be restored; then what is live is as it was.
pub async fn restore(work: &Work<'_>, backup: &Listed) -> Result<Restored, BackupError> {
    let deadline = Deadline::of(work);
    check_kind(work, backup)?;
    if let Source::Command(source) = &work.backup.source
        && source.restore.is_none()
    {
        // Said before anything is read.
        return command::restore(work, deadline, source, &backup.path)
            .await
            .map(|()| Restored::default());
    }
    verify_within(work, deadline, backup).await?;
    let manifest = &backup.manifest;
    match (&work.backup.source, &manifest.content) {
        (Source::Sqlite(into), Content::Sqlite { .. }) => {
            database(work, deadline, backup, into).await?;
            Ok(Restored::default())
        }
        (Source::Postgres(source), Content::Postgres { .. }) => {
            dump(work, deadline, backup, source).await
        }
        (Source::Files(paths), Content::Files { .. }) => {
            let inventory = files::inventory(manifest).ok_or_else(|| other_kind(work, backup))?;
            files::restore(work, deadline, &backup.path, &inventory).await?;
            let elsewhere = inventory.paths.iter().filter(|path| !paths.contains(path));
            Ok(Restored {
                warnings: elsewhere
                    .map(|path| {
                        let path = path.display();
                        format!("{path} was restored too; the manifest no longer names it")
                    })
                    .collect(),
            })
        }
        (Source::Command(source), Content::Command {}) => {
            command::restore(work, deadline, source, &backup.path).await?;
            Ok(Restored::default())
        }
        (
            Source::Sqlite(_) | Source::Postgres(_) | Source::Files(_) | Source::Command(_),
            Content::Sqlite { .. }
            | Content::Postgres { .. }
            | Content::Files { .. }
            | Content::Command {},
        ) => Err(other_kind(work, backup)),
    }
}

async fn dump(
    work: &Work<'_>,
    deadline: Deadline,
    backup: &Listed,
    source: &Postgres,
) -> Result<Restored, BackupError> {
    let Some(rows) = backup.manifest.content.rows() else {
        return Err(other_kind(work, backup));
    };
    let tools = Tools::new(work, source, deadline)?;
    let dump = Dump {
        path: &backup.path,
        file: &backup.manifest.file,
        rows,
    };
    let warnings = match postgres::restore(&tools, &dump).await? {
        Owners::Kept => Vec::new(),
        Owners::Replaced => vec![
            "a role of the backup is not on this server: everything belongs to the user that \
             restored it, and rights were not restored"
                .to_owned(),
        ],
    };
    Ok(Restored { warnings })
}

/// Refuses a backup of another kind than the manifest's source is now.
pub(super) fn check_kind(work: &Work<'_>, backup: &Listed) -> Result<(), BackupError> {
    if backup.manifest.content.kind() == work.backup.source.kind() {
        return Ok(());
    }
    Err(other_kind(work, backup))
}

async fn database(
    work: &Work<'_>,
    deadline: Deadline,
    backup: &Listed,
    into: &Path,
) -> Result<(), BackupError> {
    let Content::Sqlite {
        rows,
        journal_mode,
        owner,
        path: _,
    } = &backup.manifest.content
    else {
        return Err(other_kind(work, backup));
    };
    if !into.parent().is_some_and(Path::is_dir) {
        return Err(BackupError::NoDirectory(into.to_owned()));
    }
    let nature = Nature {
        journal_mode: journal_mode.clone(),
        owner: *owner,
    };
    let (from, to): (PathBuf, PathBuf) = (backup.path.clone(), into.to_owned());
    let name = backup.manifest.file.clone();
    let found = blocking(work, deadline, "restore the database", move |ticket| {
        sqlite::restore(&from, &to, &nature, ticket)?;
        sqlite::examine(&to, &name, ticket)
    })
    .await?;
    same(rows, &found, backup.manifest.file.clone())
}
