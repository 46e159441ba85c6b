//! What was found out about one service.

use super::action::{ContainerRef, aside, incoming};
use super::diff::{Reason, Remedy};
use super::facts::{Facts, Field};
use super::slot::Slot;
use super::{History, Hold};
use crate::desired::{Service, ServiceName};
use crate::engine::model::{Container, ContainerState, Endpoint};
use crate::labels;

/// What was found out about one service.
pub(super) struct Examined<'a> {
    pub(super) name: &'a ServiceName,
    pub(super) service: &'a Service,
    /// Name that its container has or gets.
    pub(super) container_name: String,
    /// The container that serves now, if any.
    pub(super) holder: Option<&'a Container>,
    /// The serving container was set aside by an interrupted replace and needs its name back.
    pub(super) rename_back: bool,
    /// Half-made containers of an interrupted pass.
    pub(super) half_made: Vec<ContainerRef>,
    /// The container before, still kept aside.
    pub(super) set_aside: Option<ContainerRef>,
    /// The container that an interrupted pass started beside the serving one.
    pub(super) beside: Option<&'a Container>,
    /// Where its container is when the plan is done, if it is blue-green.
    pub(super) turn: Option<Turn>,
    /// What Git wants it to be, its state included.
    pub(super) wanted: Facts,
    /// Fields in which it differs.
    pub(super) reasons: Vec<Reason>,
    /// The least action that takes them away; `None` = nothing to do.
    pub(super) remedy: Option<Remedy>,
    /// What is left as it is.
    pub(super) holds: Vec<Hold>,
}

/// How a blue-green service changes over, and where it is then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// A new container is started beside the serving one.
    Begins(Slot),
    /// The one that an interrupted pass started is as Git wants it, and takes over.
    GoesOn(Slot),
    /// The one that an interrupted pass started is not as Git wants it: it goes, and a new one is
    /// started.
    BeginsAgain(Slot),
    /// The serving one is as Git wants it; the one that an interrupted pass started goes.
    Returns(Option<Slot>),
}

impl Turn {
    /// Returns where the container is that serves when the plan is done.
    pub(super) fn slot(self) -> Option<Slot> {
        match self {
            Self::Begins(slot) | Self::GoesOn(slot) | Self::BeginsAgain(slot) => Some(slot),
            Self::Returns(slot) => slot,
        }
    }
}

impl Examined<'_> {
    /// Returns whether its container goes on under another name.
    pub(super) fn is_renamed(&self) -> bool {
        let mut reasons = self.reasons.iter();
        self.remedy.is_some() && reasons.any(|reason| reason.field == Field::Name)
    }

    /// Returns the slot of the serving container.
    pub(super) fn slot(&self) -> Option<Slot> {
        self.holder.and_then(Slot::of)
    }

    /// Returns where the container is that serves when the plan is done.
    pub(super) fn slot_then(&self) -> Option<Slot> {
        match (self.turn, self.holder) {
            (Some(turn), _) => turn.slot(),
            (None, Some(_)) => self.slot(),
            (None, None) => self.service.blue_green().map(|_| Slot::Blue),
        }
    }

    /// Returns the name that its container has until the old one is gone.
    pub(super) fn name_until_then(&self) -> String {
        match self.turn {
            Some(Turn::Begins(_) | Turn::BeginsAgain(_)) => incoming(&self.container_name),
            Some(Turn::GoesOn(_)) => {
                let beside = self.beside.map(|beside| beside.name.clone());
                beside.unwrap_or_else(|| incoming(&self.container_name))
            }
            Some(Turn::Returns(_)) | None => self.container_name.clone(),
        }
    }

    /// Returns the name or id of the container that a service has when it is looked at, before
    /// names change.
    pub(super) fn looked_at(&self) -> String {
        match (self.turn, self.holder) {
            (Some(Turn::Returns(_)), Some(holder)) => holder.id.clone(),
            (Some(Turn::Begins(_) | Turn::GoesOn(_) | Turn::BeginsAgain(_)), _) => {
                self.name_until_then()
            }
            (Some(Turn::Returns(_)) | None, _) => self.container_name.clone(),
        }
    }

    /// Returns the place that the serving container has in a network.
    pub(super) fn place_in(&self, network: &str) -> Endpoint {
        let place = self
            .holder
            .and_then(|holder| holder.spec.networks.get(network));
        place.cloned().unwrap_or_default()
    }

    /// Returns whether the serving container is of an attempt that no release came of: nobody has
    /// seen it stay up.
    pub(super) fn is_unverified(&self, history: &History) -> bool {
        let label = |holder: &&Container| holder.spec.labels.get(labels::ATTEMPT).cloned();
        let attempt = self
            .holder
            .as_ref()
            .and_then(label)
            .and_then(|text| text.parse().ok());
        let released = history
            .release
            .as_ref()
            .map_or(0, |release| release.id.attempt);
        attempt.is_some_and(|attempt: u64| attempt > released)
    }

    /// Returns the container that nobody needs once the new state is recorded.
    pub(super) fn goes(&self) -> Option<ContainerRef> {
        match (self.remedy, self.holder) {
            (Some(Remedy::Replace), Some(holder)) => {
                let back = self.rename_back.then_some(&self.container_name);
                let name = aside(back.unwrap_or(&holder.name));
                Some(ContainerRef {
                    id: holder.id.clone(),
                    name,
                })
            }
            _ => self.set_aside.clone(),
        }
    }

    /// Returns whether an interrupted pass left it as it is: nobody changed it by hand then.
    pub(super) fn is_left_by_a_pass(&self) -> bool {
        self.rename_back
            || self.set_aside.is_some()
            || !self.half_made.is_empty()
            || self.beside.is_some()
            || self
                .holder
                .is_some_and(|holder| holder.state == ContainerState::Created)
    }
}
