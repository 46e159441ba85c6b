//! Takes a backup: written aside, verified, and only then under its name.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::blocking::{Deadline, Ticket, blocking};
use super::error::io;
use super::manifest::{Content, FORMAT};
use super::partial::{Partial, ensure_dir, ensure_space, free_name, stem_of};
use super::postgres::Tools;
use super::{
    BackupError, Catalogue, Listed, Manifest, Origin, Progress, Work, catalogue, command, files,
};
use super::{floors, sqlite};
use crate::desired::StackName;
use crate::desired::backups::{Backup, BackupName, Source, Target};

/// Takes a backup, verifies it, and puts it into the catalogue; nothing is left of one that
/// fails.
///
/// # Errors
/// It could not be taken, or is not what the manifest asks for.
pub async fn take(work: &Work<'_>, origin: &Origin) -> Result<Manifest, BackupError> {
    let deadline = Deadline::of(work);
    let dir = &work.backup.to;
    ensure_dir(dir)?;
    let before = catalogue(dir, work.instance, work.stack, work.name)?;
    let newest = before.newest();
    ensure_space(dir, expected_size(work.backup, newest)?)?;
    let (partial, file) = Partial::file(work, dir)?;
    let made = make(work, deadline, partial.path(), file).await?;
    let path = partial.path().to_owned();
    let (sha256, size) = blocking(work, deadline, "read the backup", move |ticket| {
        fingerprint(&path, ticket)
    })
    .await?;
    // Data that is lost or broken is what a restore is for: it must not be in its way.
    if origin.before_restore_of.is_none() {
        let previous = previous(&before).map(|one| &one.manifest);
        floors::check(&work.backup.floors, &made.content, size, previous)?;
    }
    let last = before.backups.iter().map(|one| one.manifest.sequence).max();
    let manifest = Manifest {
        format: FORMAT,
        instance: work.instance.to_owned(),
        stack: work.stack.clone(),
        name: work.name.clone(),
        sequence: last.unwrap_or_default().saturating_add(1),
        file: String::new(),
        sha256,
        size,
        content: made.content,
        tools: made.tools,
        taken_at: work.now,
        origin: origin.clone(),
    };
    place(work, partial, manifest, &made.name)
}

/// Checks that the next backup fits onto the disk, as far as its size is known before.
///
/// # Errors
/// [`BackupError::NoSpace`] where it does not; others where that can't be seen.
pub fn room(
    backup: &Backup,
    instance: &str,
    stack: &StackName,
    name: &BackupName,
) -> Result<(), BackupError> {
    let before = catalogue(&backup.to, instance, stack, name)?;
    ensure_space(&backup.to, expected_size(backup, before.newest())?)
}

/// Returns the backup that the data may be compared with: after a restore, the one that was
/// restored.
fn previous(catalogue: &Catalogue) -> Option<&Listed> {
    let newest = catalogue.newest()?;
    match &newest.manifest.origin.before_restore_of {
        Some(restored) => catalogue.find(restored),
        None => Some(newest),
    }
}

/// What was made, and how it is to be called.
struct Made {
    content: Content,
    tools: BTreeMap<String, String>,
    name: Name,
}

struct Name {
    stem: String,
    extension: String,
}

fn name(stem: &str, extension: &str) -> Name {
    Name {
        stem: stem.to_owned(),
        extension: extension.to_owned(),
    }
}

fn tools<const N: usize>(versions: [(&str, &str); N]) -> BTreeMap<String, String> {
    let ours = [("moored", env!("CARGO_PKG_VERSION"))];
    ours.into_iter()
        .chain(versions)
        .map(|(tool, version)| (tool.to_owned(), version.to_owned()))
        .collect()
}

/// Returns about how many bytes the backup will have; 0 when nothing is known.
fn expected_size(backup: &Backup, newest: Option<&Listed>) -> Result<u64, BackupError> {
    let last = newest.map_or(0, |one| one.manifest.size);
    Ok(match &backup.source {
        Source::Sqlite(path) => sqlite::size(path)?.max(last),
        Source::Postgres(_) | Source::Files(_) | Source::Command(_) => last,
    })
}

/// Writes the backup to `path` and verifies it there.
async fn make(
    work: &Work<'_>,
    deadline: Deadline,
    path: &Path,
    file: File,
) -> Result<Made, BackupError> {
    match &work.backup.source {
        Source::Sqlite(source) => {
            let extension = source.extension().and_then(|end| end.to_str());
            Ok(Made {
                content: database(work, deadline, source, path).await?,
                tools: tools([("sqlite", sqlite::version())]),
                name: name(stem_of(work.name, Some(source)), extension.unwrap_or("db")),
            })
        }
        Source::Postgres(postgres) => {
            let through = Tools::new(work, postgres, deadline)?;
            through.dump(path, file).await?;
            let examined = through.examine(path, work.name.as_str()).await?;
            let header = examined.header;
            let database = header.database;
            let stem = match &postgres.target {
                Target::Local { .. } => database.clone(),
                // The same database has the same name on every server.
                Target::UrlFile(_) => format!("{}_{database}", work.name),
            };
            Ok(Made {
                tools: tools([("pg_dump", &header.tool), ("postgres", &header.server)]),
                content: Content::Postgres {
                    database,
                    rows: examined.rows,
                },
                name: name(&stem, "dump"),
            })
        }
        Source::Files(paths) => {
            let content = files::take(work, deadline, paths, file).await?;
            Ok(Made {
                content,
                tools: tools([]),
                name: name(stem_of(work.name, None), "tar.zst"),
            })
        }
        Source::Command(source) => {
            command::take(work, deadline, source, path, file).await?;
            Ok(Made {
                content: Content::Command {},
                tools: tools([]),
                name: name(stem_of(work.name, None), "out"),
            })
        }
    }
}

async fn database(
    work: &Work<'_>,
    deadline: Deadline,
    source: &Path,
    path: &Path,
) -> Result<Content, BackupError> {
    let (from, into, name) = (source.to_owned(), path.to_owned(), work.name.to_string());
    blocking(work, deadline, "back up the database", move |ticket| {
        let nature = sqlite::copy(&from, &into, ticket)?;
        let rows = sqlite::examine(&into, &name, ticket)?;
        Ok(Content::Sqlite {
            path: from,
            rows,
            journal_mode: nature.journal_mode,
            owner: nature.owner,
        })
    })
    .await
}

/// Returns SHA-256 and length of a file, which is on the disk when it returns.
pub(super) fn fingerprint(path: &Path, ticket: &Ticket) -> Result<(String, u64), BackupError> {
    let failed = || io("read", path);
    let mut file = File::open(path).map_err(failed())?;
    file.sync_all().map_err(failed())?;
    let total = file.metadata().map_err(failed())?.len();
    let mut digest = Sha256::new();
    let mut buffer = vec![0; 256 * 1024];
    let mut done = 0_u64;
    loop {
        let length = file.read(&mut buffer).map_err(failed())?;
        if length == 0 {
            return Ok((hex::encode(digest.finalize()), done));
        }
        digest.update(buffer.get(..length).unwrap_or_default());
        done += u64::try_from(length).unwrap_or_default();
        ticket.tick(Progress {
            done,
            total: Some(total),
        })?;
    }
}

/// Names that are tried when others make files of the same names at the same time.
const TRIES: usize = 10;

/// Gives a verified backup its name, and then its manifest: without a manifest it is no backup,
/// and one that a kill leaves so is finished by the sweep.
fn place(
    work: &Work<'_>,
    partial: Partial,
    mut manifest: Manifest,
    name: &Name,
) -> Result<Manifest, BackupError> {
    let dir = &work.backup.to;
    let mut partial = partial;
    for _ in 0..TRIES {
        manifest.file = free_name(work, &name.stem, &name.extension);
        let record = Partial::manifest(work, dir, &manifest)?;
        let at = dir.join(&manifest.file);
        match partial.place(&at) {
            Ok(()) => {}
            Err((back, BackupError::Io { source, .. }))
                if source.kind() == std::io::ErrorKind::AlreadyExists =>
            {
                partial = back;
                continue;
            }
            Err((_, error)) => return Err(error),
        }
        return match record.place(&dir.join(Manifest::own_file(&manifest.file))) {
            Ok(()) => Ok(manifest),
            Err((_, error)) => {
                // A backup that no list has is never found and never removed.
                std::fs::remove_file(&at).map_err(io("remove", &at))?;
                Err(error)
            }
        };
    }
    Err(BackupError::Source {
        path: dir.clone(),
        what: "every name for the backup is taken".to_owned(),
    })
}
