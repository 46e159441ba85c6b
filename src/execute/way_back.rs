//! What follows on a failure: the table of the design, as a pure function of the plan and of what
//! its journal knows.

use std::collections::BTreeMap;

use crate::desired::migrations::OnFailure;
use crate::journal::{Note, Status};
use crate::plan::{Action, Phase, Plan, restore_commands};

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
        && !visitors_are_in(plan, status);
    match phase {
        Phase::Settle => WayBack::Stands,
        // What is started again there is the code before, which does not fit the data any more.
        Phase::Guard if plan.unreleased.is_some() => WayBack::Stay {
            way_out: out_of_new_data(plan, &guards),
        },
        Phase::Prepare | Phase::Guard => WayBack::Undo,
        Phase::Converge | Phase::Verify if plan.on_failure == OnFailure::Hold => WayBack::Stay {
            way_out: if data_is_new {
                out_of_new_data(plan, &guards)
            } else {
                "commit a fix or a revert".to_owned()
            },
        },
        Phase::Migrate | Phase::Converge | Phase::Verify if !data_is_new || restores => {
            WayBack::Undo
        }
        Phase::Migrate | Phase::Converge | Phase::Verify => WayBack::Stay {
            way_out: out_of_new_data(plan, &guards),
        },
    }
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
            let restores = draft.restores;
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
