//! Proves that a backup can be restored, in a scratch place that is gone afterwards.

use super::blocking::{Deadline, blocking};
use super::partial::{Partial, ensure_space};
use super::postgres::{self, Dump, Tools};
use super::restore::check_kind;
use super::sqlite::{self, Nature};
use super::verify::{other_kind, same, verify_within};
use super::{BackupError, Content, Listed, Owner, Work, files};
use crate::desired::backups::{Drill, Source};

/// What a drill has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Drilled {
    /// File of the backup.
    pub file: String,
    /// Answer of the query, where one was asked.
    pub answer: Option<i64>,
}

/// Verifies a backup, restores it into a scratch place, and asks that the drill's query.
///
/// # Errors
/// It can't be restored, or the query answers less than it must.
pub async fn drill(
    work: &Work<'_>,
    backup: &Listed,
    drill: &Drill,
) -> Result<Drilled, BackupError> {
    let deadline = Deadline::of(work);
    check_kind(work, backup)?;
    verify_within(work, deadline, backup).await?;
    let manifest = &backup.manifest;
    let query = drill.query.as_deref();
    let answer = match (&work.backup.source, &manifest.content) {
        (Source::Sqlite(_), Content::Sqlite { .. }) => {
            database(work, deadline, backup, query).await?
        }
        (Source::Postgres(source), Content::Postgres { rows, .. }) => {
            let tools = Tools::new(work, source, deadline)?;
            let dump = Dump {
                path: &backup.path,
                file: &manifest.file,
                rows,
            };
            postgres::drill(&tools, &dump, query).await?
        }
        (Source::Files(_), Content::Files { .. }) => {
            let inventory = files::inventory(manifest).ok_or_else(|| other_kind(work, backup))?;
            files::drill(work, deadline, &backup.path, &inventory).await?;
            None
        }
        (
            Source::Sqlite(_) | Source::Postgres(_) | Source::Files(_) | Source::Command(_),
            Content::Sqlite { .. }
            | Content::Postgres { .. }
            | Content::Files { .. }
            | Content::Command {},
        ) => {
            return Err(BackupError::NotPossible {
                what: format!(
                    "there is no scratch place to restore {} into",
                    manifest.file
                ),
                hint: "restore it by hand where it does no harm".to_owned(),
            });
        }
    };
    judge(&manifest.file, drill, answer)
}

fn judge(file: &str, drill: &Drill, answer: Option<String>) -> Result<Drilled, BackupError> {
    let number = answer.as_deref().and_then(|answer| answer.parse().ok());
    let Some(query) = &drill.query else {
        return Ok(Drilled {
            file: file.to_owned(),
            answer: None,
        });
    };
    if number.is_none_or(|number| number < drill.at_least) {
        return Err(BackupError::DrillFailed {
            file: file.to_owned(),
            query: query.clone(),
            answer: answer.unwrap_or_else(|| "nothing".to_owned()),
            at_least: drill.at_least,
        });
    }
    Ok(Drilled {
        file: file.to_owned(),
        answer: number,
    })
}

async fn database(
    work: &Work<'_>,
    deadline: Deadline,
    backup: &Listed,
    query: Option<&str>,
) -> Result<Option<String>, BackupError> {
    let dir = &work.backup.to;
    let Some(rows) = backup.manifest.content.rows() else {
        return Err(other_kind(work, backup));
    };
    ensure_space(dir, backup.manifest.size)?;
    let (scratch, file) = Partial::file(work, dir)?;
    drop(file);
    let (from, to) = (backup.path.clone(), scratch.path().to_owned());
    let (name, query) = (backup.manifest.file.clone(), query.map(str::to_owned));
    // Nobody else opens it, and it keeps the mode that it was made with.
    let nature = Nature {
        journal_mode: "delete".to_owned(),
        owner: Owner {
            uid: 0,
            gid: 0,
            mode: 0o600,
        },
    };
    let (found, answer) = blocking(work, deadline, "restore a scratch copy", move |ticket| {
        sqlite::restore(&from, &to, &nature, ticket)?;
        let found = sqlite::examine(&to, &name, ticket)?;
        let answer = query.map(|query| sqlite::ask(&to, &query, ticket));
        Ok((found, answer.transpose()?))
    })
    .await?;
    same(rows, &found, backup.manifest.file.clone())?;
    Ok(answer)
}
