//! Says in which order steps are taken back.

use super::undo::Undo;
use crate::engine::model::joined;
use crate::plan::facts::{Fact, Field};
use crate::plan::{Action, ContainerRef, Step};

/// Returns whether the container before a step joins another one, and the one after it does not.
fn has_joined(step: &Step) -> bool {
    let spaces = |field: &Field| matches!(field, Field::NetworkMode | Field::Ipc | Field::Pid);
    let before = step.reasons.iter().filter(|one| spaces(&one.field));
    let mut before = before.flat_map(|one| [&one.release, &one.live]);
    before.any(|fact| matches!(fact, Some(Fact::Plain(text)) if joined(text).is_some()))
}

/// When what joins others, or has to see what they left, is taken back: see [`Undo::order`].
pub(super) const JOINS: u8 = 3;

impl Undo<'_> {
    pub(super) fn is_of_data(&self) -> bool {
        matches!(self, Self::Data(_) | Self::Safety(_))
    }

    /// Files first, because a container that starts again mounts them; then the others, newest
    /// first; restarts after them, because a service that was restarted for new files must see
    /// the old, and what joins the namespace of another container, which must run by then; then
    /// the proxy looks their addresses up; and the visitors are let in last of all.
    pub(super) fn order(&self, step: &Step) -> u8 {
        match self {
            Self::Files(..) => 0,
            Self::PutBack { spec, .. } if spec.is_joiner() || has_joined(step) => JOINS,
            Self::RunAgain(_) => 1,
            Self::Unmake(..)
            | Self::PutBack { .. }
            | Self::BringBack(..)
            | Self::Data(_)
            | Self::Safety(_)
            | Self::Start(_)
            | Self::Stop(_)
            | Self::SwitchBack(_)
            | Self::End { .. }
            | Self::HandBack { .. }
            | Self::Rename(_)
            | Self::Network(_)
            | Self::Connect(..)
            | Self::Disconnect(..) => 2,
            Self::Restart(_) | Self::Follow(..) | Self::Reload(..) => JOINS,
            Self::LookUp(..) => 4,
            Self::Lower(_) => 5,
        }
    }
}

/// Returns how those go, before the data is put back, that would run meanwhile: new containers
/// whose old ones come back only after that, and containers that were stopped for the data and
/// run again. Nobody may write to it in between.
pub(super) fn writers_that_go_first<'a>(
    begun: &[&'a Step],
    steps: &[(&'a Step, Undo<'a>)],
) -> Vec<(&'a Step, Undo<'a>)> {
    if !steps.iter().any(|(_, undo)| undo.is_of_data()) {
        return Vec::new();
    }
    let late = steps
        .iter()
        .filter(|(step, undo)| undo.order(step) == JOINS);
    let new = late.filter_map(|(step, undo)| {
        if let Undo::PutBack { name, spec, .. } = undo {
            return Some((*step, Undo::Unmake(name, spec)));
        }
        None
    });
    let was_stopped = |wanted: &ContainerRef| {
        let mut begun = begun.iter();
        begun.any(|step| {
            matches!(&step.action, Action::Stop { container, .. } if container.id == wanted.id)
        })
    };
    let known = |number: u32| {
        let mut steps = steps.iter();
        steps.any(|(step, undo)| step.number == number && matches!(undo, Undo::Stop(_)))
    };
    let again = begun.iter().rev().filter_map(|step| {
        if let Action::Start { container, .. } | Action::Restart { container, .. } = &step.action {
            let runs = was_stopped(container) && !known(step.number);
            return runs.then_some((*step, Undo::Stop(container)));
        }
        None
    });
    again.chain(new).collect()
}
