//! Backs a stack's data up, and puts backups back.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use jiff::tz::TimeZone;

use super::StepError;
use super::scene::Scene;
use crate::backup::{self, BackupError, Origin, Progress, Work};
use crate::desired::backups::{Backup, BackupName};
use crate::engine::WriteEngine;
use crate::engine::model::ContainerState;
use crate::files::megabytes;
use crate::journal::Note;
use crate::plan::{BackupDraft, RestoreDraft};

type Tell<'a> = &'a (dyn Fn(String) + Send + Sync);

/// Time for a database that was just started to let its tools in.
const UNTIL_RUNNING: Duration = Duration::from_secs(30);

/// Takes a backup, verifies it, notes it, and takes away what is no longer kept.
pub(super) async fn back_up(
    draft: &BackupDraft,
    step: u32,
    scene: &Scene<'_>,
    tell: Tell<'_>,
) -> Result<(), StepError> {
    let place = Place::new(
        scene,
        &draft.name,
        &draft.backup,
        draft.container.as_deref(),
    )
    .await?;
    let told = telling(draft.name.as_str(), tell);
    let work = place.work(scene, &draft.zone, &told);
    let taken = backup::take(&work, &draft.origin(scene.plan.attempt)).await?;
    let (name, file) = (draft.name.to_string(), taken.file.clone());
    tell(format!(
        "{name}: {file}, {}, verified",
        megabytes(taken.size)
    ));
    scene.note(step, Note::Backup { name, file })?;
    // The one that is about to be restored may be the oldest.
    if draft.before_restore_of.is_some() {
        return Ok(());
    }
    // A backup too many harms nobody; what can't be removed is removed another time.
    if let Err(error) = backup::retain(&work, &taken, &draft.guards) {
        tell(format!(
            "{}: old backups are not removed: {error}",
            draft.name
        ));
    }
    Ok(())
}

/// Puts backups back, one after the other. Repeatable.
pub(super) async fn restore_all(
    backups: &[BackupDraft],
    files: &BTreeMap<String, String>,
    scene: &Scene<'_>,
    tell: Tell<'_>,
) -> Result<(), StepError> {
    for draft in backups {
        let file = file_of(&draft.name, files)?;
        let place = Place::new(
            scene,
            &draft.name,
            &draft.backup,
            draft.container.as_deref(),
        )
        .await?;
        place.restore(file, scene, tell).await?;
    }
    Ok(())
}

/// Returns the file of a backup that an attempt has taken.
pub(super) fn file_of<'a>(
    name: &BackupName,
    files: &'a BTreeMap<String, String>,
) -> Result<&'a String, BackupError> {
    files
        .get(name.as_str())
        .ok_or_else(|| BackupError::NotPossible {
            what: format!("this attempt has taken no backup {name} to go back to"),
            hint: format!("see: moored backup list {name}"),
        })
}

/// Puts a backup back. Repeatable.
pub(super) async fn restore(
    draft: &RestoreDraft,
    file: &str,
    scene: &Scene<'_>,
    tell: Tell<'_>,
) -> Result<(), StepError> {
    let place = Place::new(
        scene,
        &draft.name,
        &draft.backup,
        draft.container.as_deref(),
    )
    .await?;
    place.restore(file, scene, tell).await
}

/// Where a backup is worked on.
struct Place<'a> {
    name: &'a BackupName,
    backup: &'a Backup,
    container: Option<String>,
}

impl<'a> Place<'a> {
    async fn new(
        scene: &Scene<'_>,
        name: &'a BackupName,
        backup: &'a Backup,
        container: Option<&str>,
    ) -> Result<Self, StepError> {
        scene.hands.pass_backup(&scene.plan.stack, backup)?;
        let engine = scene.hands.engine();
        let container = match container {
            Some(container) => running(engine, container).await?,
            None => None,
        };
        Ok(Self {
            name,
            backup,
            container,
        })
    }

    async fn restore(
        &self,
        file: &str,
        scene: &Scene<'_>,
        tell: Tell<'_>,
    ) -> Result<(), StepError> {
        let told = telling(self.name.as_str(), tell);
        let zone = TimeZone::UTC;
        let work = self.work(scene, &zone, &told);
        let catalogue = backup::catalogue(&self.backup.to, work.instance, work.stack, work.name)?;
        let listed = catalogue
            .find(file)
            .ok_or_else(|| BackupError::NotPossible {
                what: format!("the backup {file} is not in {}", self.backup.to.display()),
                hint: format!("see: moored backup list {}", self.name),
            })?;
        backup::restore(&work, listed).await?;
        Ok(())
    }

    fn work<'w>(
        &'w self,
        scene: &'w Scene<'_>,
        zone: &'w TimeZone,
        progress: &'w (dyn Fn(Progress) + Send + Sync),
    ) -> Work<'w> {
        Work {
            engine: scene.hands.engine(),
            container: self.container.as_deref(),
            instance: scene.hands.record.instance(),
            stack: &scene.plan.stack,
            name: self.name,
            backup: self.backup,
            zone,
            now: scene.hands.clock.now(),
            progress,
        }
    }
}

/// Returns the id of a container once it runs; `None` when it does not within a while.
async fn running(engine: &dyn WriteEngine, name: &str) -> Result<Option<String>, BackupError> {
    let began = Instant::now();
    loop {
        match engine.container(name).await? {
            Some(there) if there.state == ContainerState::Running => return Ok(Some(there.id)),
            Some(_) if began.elapsed() < UNTIL_RUNNING => {}
            Some(_) | None => return Ok(None),
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Returns what tells people how far a backup is, about once a second.
pub(super) fn telling<'a>(name: &'a str, tell: Tell<'a>) -> impl Fn(Progress) + Send + Sync + 'a {
    const BETWEEN_WORDS: Duration = Duration::from_secs(1);
    let last = Mutex::new(Instant::now());
    move |progress| {
        let Ok(mut last) = last.lock() else { return };
        if last.elapsed() < BETWEEN_WORDS {
            return;
        }
        *last = Instant::now();
        let done = megabytes(progress.done);
        let what = match progress.total {
            Some(total) => format!("{done} of {}", megabytes(total)),
            None => done,
        };
        tell(format!("{name}: {what}"));
    }
}

impl BackupDraft {
    /// Says what the stack is when the backup is taken.
    pub(super) fn origin(&self, attempt: u64) -> Origin {
        Origin {
            revision: self.release.as_ref().map(|id| id.revision.clone()),
            release: self.release.as_ref().map(ToString::to_string),
            attempt: Some(attempt),
            schema: serde_json::to_value(&self.schema).unwrap_or_default(),
            before_restore_of: self.before_restore_of.clone(),
        }
    }
}
