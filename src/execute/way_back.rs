//! What follows on a failure: the table of the design, as a pure function of the plan and of what
//! its journal knows.

use std::collections::BTreeMap;

use crate::desired::migrations::OnFailure;
use crate::journal::{Note, Status};
use crate::plan::{Action, BackupDraft, Phase, Plan, restore_commands};

/// What follows on a failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum WayBack {
    /// The new release stands; what is left is for the next pass.
    Stands,
    /// Everything is taken back, the data too where a migration has moved it.
    Undo,
    /// Everything stays as it is, the maintenance page too.
    Stay {
        /// What a person can do.
        way_out: String,
    },
}

/// Returns what follows on a failure in `phase`.
pub(super) fn way_back(plan: &Plan, status: &Status, phase: Phase) -> WayBack {
    let mut guards = backups(status);
    if let Some(unreleased) = &plan.unreleased {
        guards.clone_from(&unreleased.guards);
    }
    let moved = moved(plan, status);
    let data_is_new = !moved.is_empty() || plan.unreleased.is_some();
    // What visitors have written since would be lost.
    let restores = plan.unreleased.is_none()
        && moved.iter().all(|moved| moved.restores)
        && is_page_proved(plan, status)
        && !visitors_are_in(plan, status);
    match phase {
        Phase::Settle => WayBack::Stands,
        // What is started again there is the code before, which does not fit the data any more.
        Phase::Guard if plan.unreleased.is_some() => WayBack::Stay {
            way_out: out_of_new_data(plan, &guards),
        },
        Phase::Prepare | Phase::Guard => WayBack::Undo,
        Phase::Converge | Phase::Verify | Phase::Switch if plan.on_failure == OnFailure::Hold => {
            WayBack::Stay {
                way_out: if data_is_new {
                    out_of_new_data(plan, &guards)
                } else {
                    "commit a fix or a revert".to_owned()
                },
            }
        }
        Phase::Migrate | Phase::Converge | Phase::Verify | Phase::Switch
            if !data_is_new || restores =>
        {
            WayBack::Undo
        }
        Phase::Migrate | Phase::Converge | Phase::Verify | Phase::Switch => WayBack::Stay {
            way_out: out_of_new_data(plan, &guards),
        },
    }
}

/// Returns whether the page was seen to be on since before the backup.
fn is_page_proved(plan: &Plan, status: &Status) -> bool {
    plan.steps.iter().any(|step| {
        status.done.contains(&step.number) && matches!(step.action, Action::MaintainOn(_))
    })
}

/// Returns whether visitors may have been let in again.
fn visitors_are_in(plan: &Plan, status: &Status) -> bool {
    plan.steps.iter().any(|step| {
        let begun = status.done.contains(&step.number) || status.in_doubt.contains(&step.number);
        begun && matches!(step.action, Action::MaintainOff(_))
    })
}

/// A migration that may have changed the data so that the code before can't work with it.
pub(super) struct Moved {
    pub(super) step: u32,
    restores: bool,
}

/// Returns the migrations of a plan that may have changed the data so that the code before can't
/// work with it: what a failed or killed one has done counts even if it is declared compatible.
pub(super) fn moved(plan: &Plan, status: &Status) -> Vec<Moved> {
    let mut found = Vec::new();
    for step in &plan.steps {
        let Action::Migrate(draft) = &step.action else {
            continue;
        };
        let number = step.number;
        let unchanged = status.notes.contains(&(number, Note::SchemaUnchanged));
        let ran = status.done.contains(&number) && !draft.compatible;
        if (ran || status.in_doubt.contains(&number)) && !unchanged {
            let taken = backups(status);
            let guarded = |draft: &BackupDraft| taken.contains_key(draft.name.as_str());
            let restores = draft.restores && draft.backups.iter().all(guarded);
            found.push(Moved {
                step: number,
                restores,
            });
        }
    }
    found
}

/// Returns the files of the backups that an attempt has taken, by the backup's name.
pub(super) fn backups(status: &Status) -> BTreeMap<String, String> {
    let notes = status.notes.iter();
    notes
        .filter_map(|(_, note)| match note {
            Note::Backup { name, file } => Some((name.clone(), file.clone())),
            Note::Output { .. } | Note::SchemaBefore { .. } | Note::SchemaUnchanged => None,
        })
        .collect()
}

fn out_of_new_data(plan: &Plan, guards: &BTreeMap<String, String>) -> String {
    let commands = restore_commands(&plan.stack, guards);
    if commands.is_empty() {
        return "commit a fix".to_owned();
    }
    format!(
        "restore the data from before and commit a revert: {}; or commit a fix",
        commands.join("; ")
    )
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::desired::maintenance::{During, Maintenance};
    use crate::maintenance::Owner;
    use crate::plan::{Kind, Lower, MigrationDraft, OneOff, Raise, Step, Unreleased};
    use crate::source::CommitInfo;

    fn migration(words: &[&str]) -> Action {
        let one_off = OneOff {
            service: "app".to_owned().try_into().unwrap(),
            name: "shop-app-migrate-1".to_owned(),
            spec: crate::engine::model::ContainerSpec::default(),
            run: vec!["migrate".to_owned()],
            within: Duration::from_secs(1),
        };
        Action::Migrate(Box::new(MigrationDraft {
            one_off,
            mark: "m".to_owned(),
            compatible: words.contains(&"compatible"),
            transactional: false,
            status: None,
            before: None,
            restores: words.contains(&"restores"),
            backups: Vec::new(),
            taken: BTreeMap::new(),
        }))
    }

    fn off() -> Action {
        Action::MaintainOff(Box::new(Lower {
            maintenance: Maintenance {
                flag: "/f".into(),
                page: None,
                during: During::Deploy,
                on: None,
                probe: None,
                alarm_after: Duration::from_secs(60),
            },
            owner: Owner::Unknown,
        }))
    }

    fn on() -> Action {
        let Action::MaintainOff(lower) = off() else {
            unreachable!("it is one")
        };
        Action::MaintainOn(Box::new(Raise {
            maintenance: lower.maintenance,
            page: None,
            owner: lower.owner,
            reason: String::new(),
        }))
    }

    /// A plan of two migrations (1 and 2) of this nature, the end of the page (3), and its
    /// beginning (4).
    fn plan(words: &[&str]) -> Plan {
        let unreleased = words.contains(&"unreleased").then(|| Unreleased {
            guards: [("rows".to_owned(), "first.db".to_owned())].into(),
        });
        let hold = words.contains(&"hold");
        let steps = [migration(words), migration(words), off(), on()];
        let step = |(number, action)| Step {
            number,
            phase: Phase::Migrate,
            action,
            reasons: Vec::new(),
            after: Vec::new(),
        };
        Plan {
            stack: "shop".to_owned().try_into().unwrap(),
            kind: Kind::Deploy,
            on_failure: if hold {
                OnFailure::Hold
            } else {
                OnFailure::Rollback
            },
            unreleased,
            attempt: 2,
            commit: CommitInfo {
                revision: "1".repeat(40).parse().unwrap(),
                subject: String::new(),
                author_name: String::new(),
                author_email: String::new(),
                committed_at: 0,
            },
            from: None,
            steps: (1..).zip(steps).map(step).collect(),
            around: BTreeMap::new(),
            holds: Vec::new(),
            held_back: Vec::new(),
            differences: Vec::new(),
        }
    }

    /// `done1`, `doubt2`, `unchanged2`; the backup is always taken, and the page was seen unless
    /// it says `unseen`.
    fn status(words: &[&str]) -> Status {
        let name = "rows".to_owned();
        let file = "then.db".to_owned();
        let mut status = Status {
            steps: Some(4),
            notes: vec![(9, Note::Backup { name, file })],
            ..Status::default()
        };
        if !words.contains(&"unseen") {
            status.done.insert(4);
        }
        for word in words {
            let number = || word[word.len() - 1..].parse().unwrap();
            match word.trim_end_matches(|c: char| c.is_ascii_digit()) {
                "done" => drop(status.done.insert(number())),
                "doubt" => drop(status.in_doubt.insert(number())),
                "unchanged" => status.notes.push((number(), Note::SchemaUnchanged)),
                _ => {}
            }
        }
        status
    }

    #[test]
    fn every_row_of_the_failure_table() {
        use Phase::{Converge, Guard, Migrate, Prepare, Settle, Verify};
        let table = [
            // Nothing was touched, or nothing that is not put back.
            (Prepare, "", "undo"),
            (Prepare, "unreleased", "undo"),
            (Guard, "", "undo"),
            (Guard, "hold", "undo"),
            (Guard, "restores", "undo"),
            // What would be started again does not fit the data.
            (Guard, "unreleased", "first.db"),
            // A migration that changed nothing.
            (Migrate, "doubt1 unchanged1", "undo"),
            (Migrate, "compatible doubt1 unchanged1", "undo"),
            (Migrate, "compatible done1 doubt2 unchanged2", "undo"),
            // Half-way or unknown, whatever it is declared to be when it works.
            (Migrate, "doubt1", "then.db"),
            (Migrate, "compatible doubt1", "then.db"),
            (Migrate, "compatible done1 doubt2", "then.db"),
            (Migrate, "done1 doubt2 unchanged2", "then.db"),
            (Migrate, "restores doubt1", "undo"),
            (Migrate, "restores done1 doubt2", "undo"),
            // Visitors may have written all along.
            (Migrate, "restores doubt1 unseen", "then.db"),
            (Verify, "restores done1 unseen", "then.db"),
            // Behind the page of an attempt before: those backups are older than this attempt.
            (Migrate, "unreleased doubt1", "first.db"),
            (Migrate, "unreleased restores doubt1", "first.db"),
            (Migrate, "unreleased doubt1 unchanged1", "first.db"),
            // No migration ran, or one that the code before works with.
            (Converge, "", "undo"),
            (Verify, "", "undo"),
            (Converge, "compatible done1 done2", "undo"),
            (Verify, "compatible done1 done2", "undo"),
            (Verify, "done1 unchanged1 done2 unchanged2", "undo"),
            // Another one did.
            (Converge, "done1", "then.db"),
            (Verify, "done1 done2", "then.db"),
            (Verify, "done1 unchanged1 done2", "then.db"),
            (Verify, "restores done1 done2", "undo"),
            (Verify, "unreleased", "first.db"),
            (Verify, "unreleased restores done1", "first.db"),
            // Visitors may have written since.
            (Verify, "restores done1 done2 done3", "then.db"),
            (Verify, "restores done1 done2 doubt3", "then.db"),
            (Verify, "compatible done1 done2 done3", "undo"),
            // A person wants to see it.
            (Migrate, "hold doubt1 unchanged1", "undo"),
            (Verify, "hold", "commit a fix or a revert"),
            (Verify, "hold restores done1", "then.db"),
            (Verify, "hold compatible done1", "commit a fix or a revert"),
            // The new release stands.
            (Settle, "done1 done2", "stands"),
            (Settle, "hold unreleased doubt3", "stands"),
        ];
        for (phase, words, expected) in table {
            let case = format!("{phase:?} {words}");
            let words: Vec<&str> = words.split(' ').collect();
            match way_back(&plan(&words), &status(&words), phase) {
                WayBack::Undo => assert_eq!("undo", expected, "{case}"),
                WayBack::Stands => assert_eq!("stands", expected, "{case}"),
                WayBack::Stay { way_out } => {
                    let exact = format!("moored backup restore rows {expected} --stack shop");
                    let named = way_out.contains(&exact) || way_out == expected;
                    assert!(named, "{case}: {way_out}, not {expected}");
                }
            }
        }
    }

    proptest::proptest! {
        /// Whatever a manifest says and a journal holds: nothing is taken back by itself to code
        /// before on data that it does not work with.
        #[test]
        fn code_before_never_returns_to_data_that_is_not_taken_back(
            flags in proptest::collection::vec(proptest::bool::ANY, 10),
            phase in 0..6_usize,
        ) {
            let all = [
                "compatible", "restores", "unreleased", "hold", "done1", "doubt1", "done2",
                "doubt2", "unchanged1", "unchanged2",
            ];
            let words: Vec<&str> =
                all.iter().zip(&flags).filter(|(_, on)| **on).map(|(word, _)| *word).collect();
            let phases = [
                Phase::Prepare, Phase::Guard, Phase::Migrate, Phase::Converge, Phase::Verify,
                Phase::Settle,
            ];
            let (plan, status, phase) = (plan(&words), status(&words), phases[phase]);
            let moved = !moved(&plan, &status).is_empty();
            if way_back(&plan, &status, phase) == WayBack::Undo {
                let before = matches!(phase, Phase::Prepare | Phase::Guard);
                proptest::prop_assert!(before || !moved || words.contains(&"restores"));
                proptest::prop_assert!(phase == Phase::Prepare || !words.contains(&"unreleased"));
            }
        }
    }
}
