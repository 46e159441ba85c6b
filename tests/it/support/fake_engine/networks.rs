//! Networks, and who is in them.

use std::sync::Arc;

use moored::engine::EngineError;
use moored::engine::model::{Container, Endpoint, Network};

use super::world::{Answer, World, is_running};

impl World {
    pub(crate) fn connect(&mut self, id: &str, network: &str, place: &Endpoint) -> Answer {
        let container = self.known("connect container", id)?;
        let doing = format!("connect container {} to network {network}", container.name);
        let Some(there) = self.networks.get(network).map(|there| there.id.clone()) else {
            let cause = format!("network {network} not found");
            return Err(EngineError::NotFound { doing, cause });
        };
        if let Some(endpoint) = container.spec.networks.get(network) {
            if place.aliases.is_subset(&endpoint.aliases) {
                return Ok(());
            }
            let cause = "it is there already, under other aliases".to_owned();
            return Err(EngineError::Conflict { doing, cause });
        }
        if is_running(&container.state) {
            self.address_fits(&doing, network, place)?;
        }
        let kept = self.find_mut(id).unwrap();
        let networks = &mut Arc::make_mut(&mut kept.shown.spec).networks;
        networks.insert(network.to_owned(), place.clone());
        kept.joined.insert(network.to_owned(), there);
        Ok(())
    }

    pub(crate) fn disconnect(&mut self, id: &str, network: &str) {
        if let Some(kept) = self.find_mut(id) {
            Arc::make_mut(&mut kept.shown.spec).networks.remove(network);
            kept.joined.remove(network);
        }
    }

    pub(crate) fn make_network(&mut self, network: &Network) -> Answer {
        let id = self.new_id();
        let there = self
            .networks
            .entry(network.name.clone())
            .or_insert_with(|| Network {
                id,
                ..network.clone()
            });
        if there.labels == network.labels {
            return Ok(());
        }
        Err(EngineError::Conflict {
            doing: format!("create network {}", network.name),
            cause: "a network of this name exists already and has other labels".to_owned(),
        })
    }

    pub(super) fn network_name(&self, id: &str) -> String {
        let known = self.networks.values().find(|one| one.id == id);
        known.map_or_else(|| id.to_owned(), |one| one.name.clone())
    }

    pub(crate) fn remove_network(&mut self, id: &str) -> Answer {
        let Some(name) = self.networks.values().find(|one| one.id == id) else {
            return Ok(());
        };
        let name = name.name.clone();
        let mut running = self.containers.values().filter(|kept| {
            is_running(&kept.shown.state) && kept.shown.spec.networks.contains_key(&name)
        });
        if running.next().is_some() {
            return Err(EngineError::Refused {
                doing: format!("remove network {name}"),
                cause: format!("error while removing network: network {name} has active endpoints"),
            });
        }
        drop(running);
        self.networks.remove(&name);
        Ok(())
    }

    /// Joins the networks of a container that starts. One that was in a network before is in that
    /// very one: another one of the same name is none of its business.
    pub(super) fn join_all(&mut self, doing: &str, container: &Container) -> Answer {
        let not_found = |network: &str| EngineError::NotFound {
            doing: doing.to_owned(),
            cause: format!("network {network} not found"),
        };
        for (name, place) in &container.spec.networks {
            self.address_fits(doing, name, place)?;
            let id = self.networks.get(name).map(|network| network.id.clone());
            let id = id.ok_or_else(|| not_found(name))?;
            let kept = self.find_mut(&container.id).unwrap();
            let joined = kept.joined.entry(name.clone()).or_insert(id.clone());
            if *joined != id {
                return Err(not_found(joined));
            }
        }
        Ok(())
    }

    /// Refuses a fixed address that is none of the network's, as engines do when a container
    /// starts.
    fn address_fits(&self, doing: &str, network: &str, place: &Endpoint) -> Answer {
        let there = self.networks.get(network).into_iter();
        let mut pools = there.flat_map(|there| &there.ipam.pools).peekable();
        let address = &place.ipv4_address;
        let fits = address.is_empty()
            || pools.peek().is_none()
            || pools.any(|pool| is_within(address, &pool.subnet));
        if fits {
            return Ok(());
        }
        Err(EngineError::Refused {
            doing: doing.to_owned(),
            cause: format!(
                "Invalid address {address}: It does not belong to any of this network's subnets"
            ),
        })
    }
}

fn is_within(address: &str, subnet: &str) -> bool {
    let (base, bits) = subnet.split_once('/').unwrap();
    let number = |text: &str| u32::from(text.parse::<std::net::Ipv4Addr>().unwrap());
    let mask = u32::MAX << (32 - bits.parse::<u32>().unwrap());
    number(address) & mask == number(base) & mask
}
