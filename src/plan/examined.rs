//! What was found out about one service.

use super::action::{ContainerRef, aside};
use super::diff::{Reason, Remedy};
use super::{History, Hold};
use crate::desired::{Service, ServiceName};
use crate::engine::model::{Container, ContainerState};
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
    /// Fields in which it differs.
    pub(super) reasons: Vec<Reason>,
    /// The least action that takes them away; `None` = nothing to do.
    pub(super) remedy: Option<Remedy>,
    /// What is left as it is.
    pub(super) holds: Vec<Hold>,
}

impl Examined<'_> {
    /// Returns what the serving container is called in a network.
    pub(super) fn aliases_in(&self, network: &str) -> Vec<String> {
        let endpoint = self
            .holder
            .and_then(|holder| holder.spec.networks.get(network));
        let aliases = endpoint.map(|endpoint| &endpoint.aliases);
        aliases.into_iter().flatten().cloned().collect()
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
            || self
                .holder
                .is_some_and(|holder| holder.state == ContainerState::Created)
    }
}
