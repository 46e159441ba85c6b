//! Tells what a container is observed to be, its name and state included.

use super::examined::Examined;
use super::facts::{self, Fact, Facts, Field, Veil};
use super::{around, neighbours};
use crate::engine::model::{Container, ContainerState};

/// Returns the facts of a live container, its name and state included.
pub(super) fn live_facts(
    holder: &Container,
    examined: &Examined<'_>,
    known: facts::Known<'_>,
    veil: Veil<'_>,
) -> Facts {
    let mut live = with_state(holder, known, veil);
    if examined.rename_back {
        live.insert(Field::Name, Fact::Plain(examined.container_name.clone()));
    }
    live
}

/// Returns what a container that was made from what Git wants is observed to be, in the form that
/// a release records.
pub fn observed_facts(container: &Container, git: &Facts, veil: Veil<'_>) -> Facts {
    let known = facts::Known {
        git,
        release: None,
        is_of_git: &|| true,
    };
    with_state(container, known, veil)
}

fn with_state(container: &Container, known: facts::Known<'_>, veil: Veil<'_>) -> Facts {
    let mut live = facts::live(container, known, veil);
    live.insert(Field::Name, Fact::Plain(container.name.clone()));
    let state = match &container.state {
        // The engine is at it already; a note says so where nothing else is to be done.
        ContainerState::Restarting | ContainerState::Running => ContainerState::Running.to_string(),
        other @ (ContainerState::Created
        | ContainerState::Paused
        | ContainerState::Exited { .. }
        | ContainerState::Removing
        | ContainerState::Dead) => other.to_string(),
    };
    if matches!(container.state, ContainerState::Exited { code: 0, .. }) {
        neighbours::leave_to_job(&state, known, &mut live);
    }
    live.insert(Field::State, Fact::Plain(state));
    around::complete_live(known.git, &mut live);
    live
}
