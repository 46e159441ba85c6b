//! Backups: taken from what is live, verified, retained, restored and drilled.

mod archive;
mod catalogue;
mod inside;
mod keep;
mod postgres;
mod sqlite;
mod sqlite_restore;
mod torn;

use std::path::{Path, PathBuf};
use std::sync::Mutex;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use moored::backup::{BackupError, Listed, Manifest, Origin, Progress, Work, catalogue, take};
use moored::desired::StackName;
use moored::desired::backups::{Backup, BackupName};
use moored::engine::WriteEngine;
use serde_json::{Value, json};

use crate::support::fake_engine::FakeEngine;

/// A stack with one backup, in a directory that is gone afterwards.
pub(super) struct Stage {
    pub(super) dir: tempfile::TempDir,
    pub(super) engine: Box<dyn WriteEngine>,
    pub(super) container: Option<String>,
    pub(super) instance: String,
    pub(super) stack: StackName,
    pub(super) name: BackupName,
    pub(super) backup: Backup,
    pub(super) zone: TimeZone,
    pub(super) now: Timestamp,
    pub(super) told: Mutex<Vec<Progress>>,
    runtime: tokio::runtime::Runtime,
}

/// The source and everything else of a backup, but where it goes.
pub(super) fn read(mut backup: Value, to: &Path) -> Backup {
    backup["to"] = json!(to);
    serde_json::from_value(backup).unwrap()
}

impl Stage {
    /// `make` gets the directory `live`, and says what is backed up from there.
    pub(super) fn new(make: impl FnOnce(&Path) -> Value) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let live = dir.path().join("live");
        std::fs::create_dir(&live).unwrap();
        let backup = read(make(&live), &dir.path().join("backups"));
        Self {
            dir,
            engine: Box::new(FakeEngine::default()),
            container: None,
            instance: "here".to_owned(),
            stack: StackName::try_from("shop".to_owned()).unwrap(),
            name: BackupName::try_from("db".to_owned()).unwrap(),
            backup,
            zone: TimeZone::get("Europe/Berlin").unwrap(),
            now: "2026-02-11T13:03:02Z".parse().unwrap(),
            told: Mutex::default(),
            runtime: tokio::runtime::Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()
                .unwrap(),
        }
    }

    /// Reads the backup anew.
    pub(super) fn change(&mut self, backup: Value) {
        self.backup = read(backup, &self.to());
    }

    pub(super) fn live(&self, name: &str) -> PathBuf {
        self.dir.path().join("live").join(name)
    }

    pub(super) fn to(&self) -> PathBuf {
        self.dir.path().join("backups")
    }

    pub(super) fn with<T>(&self, run: impl AsyncFnOnce(&Work<'_>) -> T) -> T {
        let progress = |progress| self.told.lock().unwrap().push(progress);
        let work = Work {
            engine: &*self.engine,
            container: self.container.as_deref(),
            instance: &self.instance,
            stack: &self.stack,
            name: &self.name,
            backup: &self.backup,
            zone: &self.zone,
            now: self.now,
            progress: &progress,
        };
        self.runtime.block_on(run(&work))
    }

    pub(super) fn take(&self) -> Result<Manifest, BackupError> {
        self.with(async |work| take(work, &Origin::default()).await)
    }

    /// Takes one, which must work, and finds it in the catalogue.
    pub(super) fn taken(&self) -> Listed {
        let manifest = self.take().unwrap();
        let found = catalogue(&self.to(), &self.instance, &self.stack, &self.name).unwrap();
        let listed = found.find(&manifest.file).unwrap().clone();
        assert_eq!(listed.manifest, manifest);
        assert!(listed.present && listed.ours);
        listed
    }

    pub(super) fn later(&mut self, hours: i64) {
        self.now += SignedDuration::from_hours(hours);
    }

    /// Names in the directory of the backups, hidden ones too.
    pub(super) fn names(&self) -> Vec<String> {
        names(&self.to())
    }
}

pub(super) fn names(dir: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(dir) else {
        return Vec::new();
    };
    let mut names: Vec<String> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

/// A small file system of its own; `None` where the tests may not mount one.
pub(super) struct SmallDisk(PathBuf);

impl SmallDisk {
    pub(super) fn at(path: &Path, bytes: u64) -> Option<Self> {
        std::fs::create_dir_all(path).unwrap();
        let mounted = std::process::Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={bytes}"), "tmpfs"])
            .arg(path)
            .status();
        mounted
            .is_ok_and(|status| status.success())
            .then(|| Self(path.to_owned()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _unmounted = std::process::Command::new("umount").arg(&self.0).status();
    }
}
