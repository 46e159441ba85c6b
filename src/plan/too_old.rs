//! Holds a stack that asks for what the engine's API is too old for: before anything is touched,
//! and with everything that is, so that nobody finds them one by one.

use std::collections::BTreeMap;

use super::diff::Remedy;
use super::examined::Examined;
use super::guard::All;
use super::order::Planner;
use super::{Hold, Lack, Subject};
use crate::desired::{ServiceName, Wanted};
use crate::engine::api::{TooOld, too_old_for_container, too_old_for_network};
use crate::engine::model::Network;

impl<'a> Planner<'a> {
    /// Holds what is to be made or connected and asks for something that the engine does not have.
    pub(super) fn hold_too_old(&mut self, all: &All<'a>) {
        let spoken = self.input.observed.api;
        // The containers of one service ask for the same.
        let mut of_services: BTreeMap<(&str, String), (&ServiceName, TooOld)> = BTreeMap::new();
        for one in self.to_make(all) {
            for lack in too_old_for_container(&one.service.spec, spoken) {
                let key = (one.name.service(), lack.what.clone());
                of_services.entry(key).or_insert((one.name, lack));
            }
        }
        let of_services = of_services.into_values();
        let of_services = of_services.map(|(name, lack)| (Subject::Service(name.clone()), lack));
        let of_networks = self.networks_to_make().flat_map(|network| {
            let lacks = too_old_for_network(network, spoken).into_iter();
            lacks.map(|lack| (Subject::Network(network.name.clone()), lack))
        });
        let lacks: Vec<(Subject, TooOld)> = of_services.chain(of_networks).collect();
        let Some((_, newest)) = lacks.iter().max_by_key(|(_, lack)| lack.since) else {
            return;
        };
        self.holds.push(Hold::EngineTooOld {
            api: spoken.to_string(),
            needs: newest.engine.to_owned(),
            lacks: lacks.iter().map(|(of, lack)| Lack::new(of, lack)).collect(),
        });
    }

    /// Returns the services of which a container is made, or connected to a network.
    fn to_make<'e>(
        &self,
        all: &'e All<'a>,
    ) -> impl Iterator<Item = &'e Examined<'a>> + use<'a, 'e> {
        let due = self.due_services();
        all.values()
            .filter(move |one| one.remedy >= Some(Remedy::Reconnect) || due.contains(one.name))
    }

    /// Returns the networks that are made, for the first time or again.
    fn networks_to_make(&self) -> impl Iterator<Item = &Network> {
        let observed = self.input.observed;
        let missing = self.input.desired.networks.iter();
        let missing = missing.filter_map(|(name, wanted)| match wanted {
            Wanted::Own(network) if !observed.networks.contains_key(name) => Some(network),
            Wanted::Own(_) | Wanted::External(_) => None,
        });
        missing.chain(self.remade.iter().map(|draft| &draft.wanted))
    }
}
