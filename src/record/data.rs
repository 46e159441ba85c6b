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
            since.jobs.clone_from(&release.jobs);
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
                found
                    .into_iter()
                    .any(|(at, note)| at == step && note == wanted)
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
            } else if status.in_doubt.contains(step) && !noted(&Note::SchemaUnchanged) {
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
                    forgiven: status.forgiven,
                    killed: matches!(
                        status.outcome,
                        None | Some(Outcome::Interrupted | Outcome::Postponed { .. })
                    ),
                });
            }
        }
        for (step, schema) in &attempt.touched.restores {
            if status.done.contains(step) {
                self.schema = schema.clone();
                self.doubt = None;
                self.guards.clear();
            } else if status.in_doubt.contains(step) {
                self.doubt = Some(Doubt {
                    attempt: attempt.number,
                    mark: String::new(),
                    before: None,
                    killed: true,
                    forgiven: status.forgiven,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::{self, Entry};
    use crate::plan::{Kind, ReleaseId};

    /// An attempt of one migration (step 2, after a backup in step 1), a restore (3) and a job (4)
    /// with the journal that the words say.
    fn attempt(number: u64, words: &str) -> Attempt {
        let mut compatible = false;
        let mut entries = vec![Entry::Began { steps: 4 }];
        for word in words.split(' ') {
            let error = || "x".to_owned();
            let end = |outcome| vec![Entry::Ended { outcome }];
            let done = |step| vec![Entry::Intent { step }, Entry::Done { step }];
            let note = |step, note| vec![Entry::Noted { step, note }];
            entries.extend(match word {
                "compatible" => {
                    compatible = true;
                    Vec::new()
                }
                "backup" => {
                    let (name, file) = ("rows".to_owned(), format!("{number}.db"));
                    let mut entries = vec![Entry::Intent { step: 1 }];
                    entries.extend(note(1, Note::Backup { name, file }));
                    entries.push(Entry::Done { step: 1 });
                    entries
                }
                "begun" => vec![Entry::Intent { step: 2 }],
                "version" => note(
                    2,
                    Note::SchemaBefore {
                        version: "7".to_owned(),
                    },
                ),
                "unchanged" => note(2, Note::SchemaUnchanged),
                "done" => vec![Entry::Done { step: 2 }],
                "failed" => vec![Entry::Failed {
                    step: 2,
                    error: error(),
                }],
                "taken-back" => vec![Entry::UndoIntent { step: 2 }, Entry::Undone { step: 2 }],
                "taking-back" => vec![Entry::UndoIntent { step: 2 }],
                "restored" => done(3),
                "restore-begun" => vec![Entry::Intent { step: 3 }],
                "job" => done(4),
                "job-begun" => vec![Entry::Intent { step: 4 }],
                "succeeded" => end(Outcome::Succeeded),
                "held" => end(Outcome::Held {
                    error: error(),
                    way_out: error(),
                }),
                "rolled-back" => end(Outcome::RolledBack { error: error() }),
                "postponed" => end(Outcome::Postponed { error: error() }),
                "killed" => end(Outcome::Interrupted),
                "forgiven" => vec![Entry::Forgiven],
                other => panic!("{other}"),
            });
        }
        let mut attempt = Attempt {
            number,
            revision: "1".repeat(40).parse().unwrap(),
            subject: String::new(),
            author: String::new(),
            began_at: jiff::Timestamp::UNIX_EPOCH,
            last_entry_at: jiff::Timestamp::UNIX_EPOCH,
            status: journal::replay(&entries).unwrap(),
            plan: String::new(),
            kind: Kind::Deploy,
            touched: super::super::history::Touched::default(),
        };
        let mark = format!("m{number}");
        let migrated = super::super::history::Migrated { mark, compatible };
        attempt.touched.migrations.insert(2, migrated);
        attempt.touched.restores.insert(3, schema(1, "m1"));
        attempt.touched.jobs.insert(4, "seed".to_owned());
        attempt
    }

    fn schema(attempt: u64, marks: &str) -> Schema {
        let marks = marks.split(' ').filter(|mark| !mark.is_empty());
        Schema {
            attempt,
            marks: marks.map(str::to_owned).collect(),
        }
    }

    /// Replays attempts after a release of attempt 1 whose data is of `m1`: the form of the data,
    /// the doubt, and the backups to go back to.
    fn replayed(attempts: &[&str]) -> String {
        let release = Release {
            id: ReleaseId {
                attempt: 1,
                revision: "1".repeat(40).parse().unwrap(),
            },
            services: BTreeMap::new(),
            images: BTreeMap::new(),
            files: BTreeMap::new(),
            host_placed: BTreeMap::new(),
            proxy: None,
            schema: schema(1, "m1"),
            backups: BTreeMap::new(),
            jobs: BTreeSet::new(),
            backups_said: None,
            expires: None,
        };
        let mut all: Vec<Attempt> = (2..)
            .zip(attempts)
            .map(|(number, words)| attempt(number, words))
            .collect();
        // One that came before the release does not count any more.
        all.insert(0, attempt(1, "backup begun done succeeded"));
        all.reverse();
        let since = Since::new(Some(&release), &all);
        let marks: Vec<&str> = since.schema.marks.iter().map(String::as_str).collect();
        let mut text = format!("{} {}", since.schema.attempt, marks.join("+"));
        if let Some(doubt) = since.doubt {
            let how = if doubt.killed { "killed" } else { "failed" };
            let before = doubt.before.map(|version| format!(" at {version}"));
            text = format!("{text}, {how} {}{}", doubt.mark, before.unwrap_or_default());
            if doubt.forgiven {
                text += " forgiven";
            }
        }
        if let Some(file) = since.guards.get("rows") {
            text = format!("{text}, back to {file}");
        }
        if !since.jobs.is_empty() {
            text += ", ran a job";
        }
        text
    }

    #[test]
    fn what_became_of_the_data_is_replayed() {
        let table: [(&[&str], &str); 29] = [
            (&[], "1 m1"),
            // Before the migration began.
            (&["backup killed"], "1 m1"),
            (&["backup rolled-back"], "1 m1"),
            // Done.
            (&["backup begun done held"], "2 m2, back to 2.db"),
            (&["backup begun done killed"], "2 m2, back to 2.db"),
            (&["compatible backup begun done rolled-back"], "1 m1+m2"),
            (&["backup begun unchanged done held"], "1 m1+m2"),
            // Failed.
            (
                &["backup begun version unchanged failed rolled-back"],
                "1 m1",
            ),
            (
                &["backup begun version failed held"],
                "1 m1, failed m2 at 7, back to 2.db",
            ),
            (
                &["compatible backup begun failed held"],
                "1 m1, failed m2, back to 2.db",
            ),
            (&["backup begun failed taken-back rolled-back"], "1 m1"),
            (&["backup begun done taken-back rolled-back"], "1 m1"),
            // Killed.
            (&["backup begun killed"], "1 m1, killed m2, back to 2.db"),
            (&["backup begun"], "1 m1, killed m2, back to 2.db"),
            (
                &["backup begun version postponed"],
                "1 m1, killed m2 at 7, back to 2.db",
            ),
            (
                &["backup begun failed taking-back killed"],
                "1 m1, killed m2, back to 2.db",
            ),
            (
                &["backup begun done taking-back killed"],
                "1 m1, killed m2, back to 2.db",
            ),
            // A person has looked and asks for another try.
            (
                &["backup begun failed held forgiven"],
                "1 m1, failed m2 forgiven, back to 2.db",
            ),
            (
                &[
                    "backup begun failed held forgiven",
                    "begun unchanged failed held",
                ],
                "1 m1, failed m2 forgiven, back to 2.db",
            ),
            // A restore by hand.
            (&["backup begun failed held", "restored succeeded"], "1 m1"),
            (&["backup begun done held", "restored succeeded"], "1 m1"),
            (
                &["backup restore-begun killed"],
                "1 m1, killed , back to 2.db",
            ),
            (
                &["backup restore-begun killed forgiven"],
                "1 m1, killed  forgiven, back to 2.db",
            ),
            // Two attempts: the first backups are the ones to go back to.
            (
                &["backup begun done held", "backup begun done held"],
                "3 m3, back to 2.db",
            ),
            (
                &["backup begun failed held", "backup begun done killed"],
                "3 m3, back to 2.db",
            ),
            (
                &["backup begun killed", "begun done held"],
                "3 m3, back to 2.db",
            ),
            (
                &["backup rolled-back", "backup begun done held"],
                "3 m3, back to 3.db",
            ),
            // Jobs.
            (&["job killed"], "1 m1, ran a job"),
            (&["job-begun killed"], "1 m1"),
        ];
        let wrong: Vec<String> = table
            .iter()
            .map(|(attempts, expected)| (attempts, replayed(attempts), expected))
            .filter(|(_, seen, expected)| seen != *expected)
            .map(|(attempts, seen, expected)| format!("{attempts:?}: {seen}; not {expected}"))
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}
