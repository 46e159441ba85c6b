//! Replays what migrations, restores and jobs since the last release have made of a stack's data.

use std::collections::{BTreeMap, BTreeSet};

use super::history::Attempt;
use crate::journal::{Note, Outcome};
use crate::plan::{Doubt, Release, Schema};

/// What has become of the data since the last release.
#[derive(Default)]
pub(super) struct Since {
    pub(super) schema: Schema,
    pub(super) doubt: Option<Doubt>,
    pub(super) guards: BTreeMap<String, String>,
    pub(super) jobs: BTreeSet<String>,
}

impl Since {
    /// Replays `attempts`, which are given newest first.
    pub(super) fn new(release: Option<&Release>, attempts: &[Attempt]) -> Self {
        let mut since = Self::default();
        if let Some(release) = release {
            since.schema = release.schema.clone();
            since.jobs = release.jobs.clone();
        }
        let released = release.map_or(0, |release| release.id.attempt);
        let newer = attempts.iter().rev().filter(|one| one.number > released);
        newer.for_each(|attempt| since.replay(attempt));
        since
    }

    fn replay(&mut self, attempt: &Attempt) {
        let status = &attempt.status;
        let guards = self.guards.clone();
        let before = self.schema.attempt;
        for (step, migrated) in &attempt.touched.migrations {
            let noted = |wanted: &Note| {
                let found = status.notes.iter();
                found.into_iter().any(|(at, note)| at == step && note == wanted)
            };
            if status.undone.contains(step) {
                continue;
            }
            if status.done.contains(step) {
                self.doubt = None;
                let changed = !migrated.compatible && !noted(&Note::SchemaUnchanged);
                if changed && self.schema.attempt != attempt.number {
                    // Code that fitted the data before fits it no longer.
                    self.schema.attempt = attempt.number;
                    self.schema.marks.clear();
                }
                self.schema.marks.insert(migrated.mark.clone());
            } else if status.in_doubt.contains(step)
                && !status.forgiven
                && !noted(&Note::SchemaUnchanged)
            {
                let version = status.notes.iter().find_map(|(at, note)| match note {
                    Note::SchemaBefore { version } if at == step => Some(version.clone()),
                    Note::SchemaBefore { .. }
                    | Note::Output { .. }
                    | Note::Backup { .. }
                    | Note::SchemaUnchanged => None,
                });
                self.doubt = Some(Doubt {
                    attempt: attempt.number,
                    mark: migrated.mark.clone(),
                    before: version,
                    killed: matches!(status.outcome, None | Some(Outcome::Interrupted | Outcome::Postponed { .. })),
                });
            }
        }
        for (step, schema) in &attempt.touched.restores {
            if status.done.contains(step) {
                self.schema = schema.clone();
                self.doubt = None;
                self.guards.clear();
            } else if status.in_doubt.contains(step) && !status.forgiven {
                self.doubt = Some(Doubt {
                    attempt: attempt.number,
                    mark: String::new(),
                    before: None,
                    killed: true,
                });
            }
        }
        for (step, job) in &attempt.touched.jobs {
            if status.done.contains(step) {
                self.jobs.insert(job.clone());
            }
        }
        // The first backups since the data began to move are the ones to go back to.
        let moved = self.schema.attempt != before || self.doubt.is_some();
        if moved && guards.is_empty() {
            self.guards.extend(backups(&status.notes));
        }
    }
}

/// Returns the backups that steps noted, by name.
fn backups(notes: &[(u32, Note)]) -> impl Iterator<Item = (String, String)> {
    notes.iter().filter_map(|(_, note)| match note {
        Note::Backup { name, file } => Some((name.clone(), file.clone())),
        Note::Output { .. } | Note::SchemaBefore { .. } | Note::SchemaUnchanged => None,
    })
}
