//! The results of what a person asks for beside Git: backups and the maintenance page.

use serde::Serialize;

use super::Report;
use super::status::display_time;
use crate::backup::{Listed, Manifest};
use crate::desired::StackName;
use crate::desired::backups::BackupName;
use crate::files::megabytes;
use crate::table;

/// Backups that were taken, listed, verified or drilled.
#[derive(Serialize)]
pub struct BackupReport {
    /// Of which stack.
    pub stack: String,
    /// The backups.
    pub backups: Vec<BackupLine>,
    #[serde(skip)]
    none: String,
}

/// One backup.
#[derive(Serialize)]
pub struct BackupLine {
    /// Its name in the manifest.
    pub name: String,
    /// Name of its file; `None` = there is none, because it failed.
    pub file: Option<String>,
    /// When it was taken.
    pub taken_at: Option<jiff::Timestamp>,
    /// Its size in bytes.
    pub size: Option<u64>,
    /// The release whose data it is.
    pub release: Option<String>,
    /// What was found: `verified`, what a drill said, or what went wrong.
    pub state: String,
}

impl BackupReport {
    /// Makes an empty report about a stack.
    pub fn new(stack: &StackName, done: &str) -> Self {
        Self {
            stack: stack.to_string(),
            backups: Vec::new(),
            none: format!("no backup: {done}"),
        }
    }

    /// Adds a line.
    pub fn add(&mut self, line: BackupLine) {
        self.backups.push(line);
    }
}

impl BackupLine {
    /// Makes the line of a backup that was taken.
    pub fn taken(name: &BackupName, manifest: &Manifest) -> Self {
        Self {
            name: name.to_string(),
            file: Some(manifest.file.clone()),
            taken_at: Some(manifest.taken_at),
            size: Some(manifest.size),
            release: manifest.origin.release.clone(),
            state: "taken and verified".to_owned(),
        }
    }

    /// Makes the line of a backup that is in the catalogue.
    pub fn listed(name: &BackupName, listed: &Listed, state: &str) -> Self {
        let state = state.to_owned();
        Self {
            state,
            ..Self::taken(name, &listed.manifest)
        }
    }

    /// Makes the line of one that failed.
    pub fn failed(name: &BackupName, error: &str) -> Self {
        Self::about(name, &format!("failed: {error}"))
    }

    /// Makes the line of one without a file.
    pub fn about(name: &BackupName, state: &str) -> Self {
        Self {
            name: name.to_string(),
            file: None,
            taken_at: None,
            size: None,
            release: None,
            state: state.to_owned(),
        }
    }
}

impl Report for BackupReport {
    fn text(&self) -> String {
        if self.backups.is_empty() {
            return format!("{}  {}\n", self.stack, self.none);
        }
        let dash = || "—".to_owned();
        let header = ["  backup", "file", "taken", "size", "release", "state"].map(str::to_owned);
        let rows = self.backups.iter().map(|one| {
            [
                format!("  {}", one.name),
                one.file.clone().unwrap_or_else(dash),
                one.taken_at.map_or_else(dash, display_time),
                one.size.map_or_else(dash, megabytes),
                one.release.clone().unwrap_or_else(dash),
                one.state.lines().next().unwrap_or_default().to_owned(),
            ]
        });
        let mut text = format!(
            "{}\n{}",
            self.stack,
            table::aligned(std::iter::once(header).chain(rows))
        );
        for one in &self.backups {
            for more in one.state.lines().skip(1) {
                text = format!("{text}  {more}\n");
            }
        }
        text
    }
}

/// The maintenance page as it is now.
#[derive(Serialize)]
pub struct MaintenanceReport {
    /// Of which stack.
    pub stack: String,
    /// Whether it is on.
    pub on: bool,
    /// Who had it switched on before, or will switch it on again.
    pub by: Option<String>,
}

impl Report for MaintenanceReport {
    fn text(&self) -> String {
        let Self { stack, on, by } = self;
        match (on, by) {
            (true, None) => format!("{stack}  maintenance is on, until: moored maintenance off\n"),
            (true, Some(by)) => format!("{stack}  maintenance is on already, by {by}\n"),
            (false, None) => format!("{stack}  maintenance is off\n"),
            (false, Some(by)) => format!(
                "{stack}  maintenance is off, and {by} switches it on again at the next pass; take \
                 maintenance.on out of the manifest\n"
            ),
        }
    }
}
