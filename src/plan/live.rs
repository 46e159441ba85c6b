//! Plans what is done to a container that goes on running: networks and files.

use super::Reason;
use super::action::{Action, ContainerRef, Phase};
use super::examined::Examined;
use super::facts::Field;
use super::order::Planner;
use crate::desired::OnFileChange;

impl<'a> Planner<'a> {
    /// Plans that a process reads its files again, if they have changed and that is what it wants.
    pub(super) fn reload(
        &mut self,
        one: &Examined<'a>,
        container: ContainerRef,
        after: Vec<u32>,
    ) -> Option<u32> {
        let OnFileChange::Reload(how) = &one.service.on_file_change else {
            return None;
        };
        let files = one.reasons.iter();
        let files = files.filter(|one| matches!(one.field, Field::File(_) | Field::Owed));
        let files: Vec<Reason> = files.cloned().collect();
        if files.is_empty() {
            return None;
        }
        let action = Action::Reload {
            service: one.name.clone(),
            container,
            how: how.clone(),
        };
        Some(self.push(Phase::Converge, action, &files, after))
    }

    /// Plans the steps that connect a container as Git says; returns the last one.
    pub(super) fn reconnect(
        &mut self,
        one: &Examined<'a>,
        container: &ContainerRef,
        after: &[u32],
    ) -> Option<u32> {
        let mut last = None;
        for reason in &one.reasons {
            let Field::Network(network) = &reason.field else {
                continue;
            };
            if self.is_joined_anew(container, network) {
                continue;
            }
            let reasons = std::slice::from_ref(reason);
            let before = |last: Option<u32>| last.map_or_else(|| after.to_vec(), |step| vec![step]);
            if reason.live.is_some() {
                let action = Action::Disconnect {
                    service: one.name.clone(),
                    container: container.clone(),
                    network: network.clone(),
                    place: one.place_in(network),
                };
                last = Some(self.push(Phase::Converge, action, reasons, before(last)));
            }
            let wanted = self.input.spec_in(one, one.slot());
            if let Some(endpoint) = wanted.networks.get(network) {
                let action = Action::Connect {
                    service: one.name.clone(),
                    container: container.clone(),
                    network: network.clone(),
                    place: endpoint.clone(),
                };
                last = Some(self.push(Phase::Converge, action, reasons, before(last)));
            }
        }
        last
    }
}
