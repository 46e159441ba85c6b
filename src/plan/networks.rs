//! Plans networks: those that are missing are made; one that differs from Git is made again, with
//! its containers stopped, disconnected, connected as they were, and started in dependency order.
//!
//! What a network is can't be changed on a live one. No container is replaced for it, and no
//! address of another network changes. What we asked for is kept as a digest in a label, so that
//! whatever the engine makes of it is no difference.

use std::collections::{BTreeMap, BTreeSet};

use super::action::{Action, ContainerRef, Phase};
use super::asked;
use super::drafts::{Member, RemadeNetwork};
use super::examined::Examined;
use super::facts::Field;
use super::guard::All;
use super::objects::{ObjectDifference, in_what, network_differences};
use super::order::Planner;
use super::services::reference;
use super::{Difference, Hold, Origin, Reason, Subject};
use crate::desired::{ServiceName, Wanted};
use crate::engine::model::{Container, ContainerState, Endpoint, Network};
use crate::labels;
use crate::secret::DigestKey;

impl<'a> Planner<'a> {
    /// Finds the networks that differ from Git, and holds those that must not be touched.
    pub(super) fn look_at_networks(&mut self, all: &All<'a>) {
        let input = self.input;
        let (desired, observed) = (input.desired, input.observed);
        for (name, wanted) in &desired.networks {
            let Wanted::Own(wanted) = wanted else {
                continue;
            };
            let Some(live) = observed.networks.get(name) else {
                continue;
            };
            if !self.is_own(live) {
                self.holds.push(Hold::NetworkTaken { name: name.clone() });
                continue;
            }
            let differs = differences(wanted, live, input.context.key);
            if differs.is_empty() {
                continue;
            }
            let what = in_what(&differs);
            let strangers = self.strangers_in(name, all);
            if !strangers.is_empty() {
                self.holds.push(Hold::NetworkInUse {
                    name: name.clone(),
                    what,
                    containers: strangers,
                });
            } else if self.is_unsettled(name, all) {
                self.holds.push(Hold::Differs {
                    kind: "network".to_owned(),
                    name: name.clone(),
                    what,
                });
            } else {
                self.remade.push(RemadeNetwork {
                    wanted: self.network_to_make(wanted),
                    before: live.clone(),
                    reasons: differs.iter().map(|one| self.reason(one)).collect(),
                    members: self.members_of(name, &differs, all),
                });
            }
        }
    }

    /// Returns whether a network was made for this stack, by us or by Docker Compose.
    pub(super) fn is_own(&self, live: &Network) -> bool {
        let label = |name: &str| live.labels.get(name).map(String::as_str);
        let instance = self.input.context.instance;
        label(labels::PROJECT) == Some(self.input.desired.stack.as_str())
            && label(labels::INSTANCE).is_none_or(|by| by == instance)
    }

    fn is_ours(&self, container: &Container) -> bool {
        container
            .spec
            .labels
            .get(labels::INSTANCE)
            .map(String::as_str)
            == Some(self.input.context.instance)
    }

    /// Returns the containers in a network that are not of this stack.
    pub(super) fn strangers_in(&self, network: &str, all: &All<'a>) -> Vec<String> {
        let others = self.input.observed.others.iter();
        let others = others.filter(|one| one.networks.contains(network));
        let unowned = self.in_network(network);
        let unowned = unowned.filter(|one| !self.is_member(one, all));
        let names = others.map(|one| &one.name);
        names.chain(unowned.map(|one| &one.name)).cloned().collect()
    }

    /// Returns the containers with the stack's name that are in a network, whosoever they are.
    fn in_network(&self, network: &str) -> impl Iterator<Item = &'a Container> {
        let observed = self.input.observed;
        let all = observed.containers.iter().chain(&observed.candidates);
        all.filter(move |one| one.spec.networks.contains_key(network))
    }

    /// Returns whether a container is ours, or stands in a service's place.
    fn is_member(&self, container: &Container, all: &All<'a>) -> bool {
        let stands =
            |one: &Examined<'_>| one.holder.is_some_and(|holder| holder.id == container.id);
        self.is_ours(container) || all.values().any(stands)
    }

    /// Returns whether an interrupted pass has left something in a network that is dealt with
    /// first: a one-off command that may still run, or a container that visitors may be with.
    fn is_unsettled(&self, network: &str, all: &All<'a>) -> bool {
        let in_it = |one: &Container| one.spec.networks.contains_key(network);
        let mut containers = self.in_network(network);
        let mut beside = all.values().filter_map(|one| one.beside);
        containers.any(|one| one.spec.labels.contains_key(labels::JOB)) || beside.any(in_it)
    }

    fn members_of(
        &self,
        network: &str,
        differs: &[ObjectDifference],
        all: &All<'a>,
    ) -> Vec<Member> {
        let moves = differs.iter().any(|one| one.what.starts_with("ipam"));
        self.in_network(network)
            .filter(|one| self.is_member(one, all))
            .filter_map(|one| {
                let before = one.spec.networks.get(network)?.clone();
                Some(Member {
                    container: reference(one),
                    then: self.place_then(one, network, moves, all),
                    before,
                    stops: false,
                })
            })
            .collect()
    }

    /// Returns the place that a container has in a network which is made again: the one of Git at
    /// once, because its address of now may be none of the new network's.
    fn place_then(
        &self,
        container: &Container,
        network: &str,
        moves: bool,
        all: &All<'a>,
    ) -> Option<Endpoint> {
        let place = container.spec.networks.get(network)?;
        let is_it =
            |one: &&Examined<'_>| one.holder.is_some_and(|holder| holder.id == container.id);
        let one = all.values().find(is_it).filter(|one| {
            let differs = |reason: &Reason| reason.field == Field::Network(network.to_owned());
            one.remedy.is_some() && one.reasons.iter().any(differs)
        });
        if let Some(one) = one {
            let wanted = self.input.spec_in(one, one.slot());
            return wanted.networks.get(network).cloned();
        }
        let kept = all.values().any(|one| is_it(&one));
        Some(if moves && !kept {
            // Nobody asks for the address of one that is about to go.
            place.without_address()
        } else {
            place.clone()
        })
    }

    /// Returns whether a container gets its place in a network with the network itself.
    pub(super) fn is_joined_anew(&self, container: &ContainerRef, network: &str) -> bool {
        let mut remade = self.remade.iter();
        remade.any(|draft| {
            let mut members = draft.members.iter();
            draft.before.name == network && members.any(|one| one.container.id == container.id)
        })
    }

    /// Plans that the networks which differ are made again, and the stop of what is in them.
    pub(super) fn remake_networks(&mut self, order: &[&'a ServiceName], all: &All<'a>) {
        let mut remade = self.remade.clone();
        if remade.is_empty() {
            return;
        }
        let names: BTreeSet<&str> = remade.iter().map(|one| one.before.name.as_str()).collect();
        let halted = self.halted(&self.front_last(order), &names, all);
        let mut stops: BTreeMap<&ServiceName, u32> = BTreeMap::new();
        for (name, container) in halted.into_iter().rev() {
            let mut after = self.ground.clone();
            // Whoever depends on it stops before.
            after.extend(stops.iter().filter_map(|(other, step)| {
                let service = self.input.desired.services.get(*other)?;
                service.depends_on.contains_key(name).then_some(*step)
            }));
            let service = name.clone();
            let action = Action::Stop { service, container };
            stops.insert(name, self.push(Phase::Converge, action, &[], after));
            self.stopped.insert(name);
        }
        let stopped = self.stopped.iter().filter_map(|name| all.get(name)?.holder);
        let stopped: BTreeSet<&str> = stopped.map(|holder| holder.id.as_str()).collect();
        for member in remade.iter_mut().flat_map(|one| &mut one.members) {
            member.stops = stopped.contains(member.container.id.as_str());
        }
        let mut before: Vec<u32> = stops.into_values().collect();
        before = self.leaves(&before);
        if before.is_empty() {
            before.clone_from(&self.ground);
        }
        self.ground = remade
            .into_iter()
            .map(|draft| {
                let reasons = draft.reasons.clone();
                let action = Action::RemakeNetwork(Box::new(draft));
                self.push(Phase::Converge, action, &reasons, before.clone())
            })
            .collect();
    }

    /// Returns the services whose container runs in one of these networks, and those that want to
    /// be restarted with them, each after those that it depends on.
    fn halted(
        &self,
        order: &[&'a ServiceName],
        networks: &BTreeSet<&str>,
        all: &All<'a>,
    ) -> Vec<(&'a ServiceName, ContainerRef)> {
        let mut halted: Vec<(&ServiceName, ContainerRef)> = Vec::new();
        for one in order.iter().filter_map(|name| all.get(name)) {
            let Some(holder) = one.holder.filter(|holder| runs(holder)) else {
                continue;
            };
            let in_one = |name: &String| networks.contains(name.as_str());
            let with_another =
                one.service.depends_on.iter().any(|(other, how)| {
                    how.restart && halted.iter().any(|(name, _)| *name == other)
                });
            let goes = holder.spec.networks.keys().any(in_one) || with_another;
            if goes && !self.stopped.contains(one.name) {
                halted.push((one.name, reference(holder)));
            }
        }
        halted
    }

    fn reason(&self, differs: &ObjectDifference) -> Reason {
        let veil = self.input.veil();
        let fact = |value: &String| veil.named(&differs.what, value);
        Reason {
            field: Field::Setting(differs.what.clone()),
            git: differs.git.as_ref().map(fact),
            // Nobody can change one by hand.
            release: differs.live.as_ref().map(fact),
            live: differs.live.as_ref().map(fact),
            origin: Origin::Pending,
        }
    }

    /// Returns in what networks differ that are made again.
    pub(super) fn network_differences(&self) -> impl Iterator<Item = Difference> {
        self.remade.iter().map(|draft| Difference {
            of: Subject::Network(draft.before.name.clone()),
            reasons: draft.reasons.clone(),
        })
    }

    /// Returns a network as it is asked for: with our labels.
    pub(super) fn network_to_make(&self, network: &Network) -> Network {
        let mut made = network.clone();
        made.labels.extend(self.ownership());
        let asked = asked::digest(network, self.input.context.key);
        made.labels.insert(labels::ASKED.to_owned(), asked);
        made
    }
}

/// Returns whether a container has a process, and what belongs to one: addresses and ports.
pub(super) fn runs(container: &Container) -> bool {
    match container.state {
        ContainerState::Running | ContainerState::Restarting | ContainerState::Paused => true,
        ContainerState::Created
        | ContainerState::Exited { .. }
        | ContainerState::Removing
        | ContainerState::Dead => false,
    }
}

/// Returns in what a live network differs from what Git says. One that was asked to be what Git
/// says does not, whatever the engine has made of it.
fn differences(wanted: &Network, live: &Network, key: &DigestKey) -> Vec<ObjectDifference> {
    let kept = live.labels.get(labels::ASKED);
    let kept = kept.filter(|kept| asked::is_of_our_form(kept));
    if kept == Some(&asked::digest(wanted, key)) {
        return Vec::new();
    }
    let mut found = network_differences(wanted, live);
    // Nobody kept what was asked for, and engines can be told to add options to every network.
    if kept.is_none() {
        found.retain(|one| one.git.is_some() || !one.what.starts_with("driver_opts"));
    }
    // Docker Compose 1.29 says so of every network. Only where machines are joined can somebody
    // from elsewhere come in.
    found.retain(|one| one.what != "attachable" || live.driver == "overlay");
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::model::IpamPool;

    fn key() -> DigestKey {
        DigestKey::new(vec![7; 32])
    }

    fn network(change: impl Fn(&mut Network)) -> Network {
        let mut network = Network {
            name: "shop_back".to_owned(),
            driver: "bridge".to_owned(),
            ..Network::default()
        };
        change(&mut network);
        network
    }

    /// What the engine shows of a network that we asked for.
    fn made(asked: &Network, by_engine: impl Fn(&mut Network)) -> Network {
        let mut live = asked.clone();
        live.labels
            .insert(labels::ASKED.to_owned(), asked::digest(asked, &key()));
        live.ipam.driver = "default".to_owned();
        if live.ipam.pools.is_empty() {
            live.ipam.pools = vec![pool("172.18.0.0/16")];
        }
        by_engine(&mut live);
        live
    }

    fn pool(subnet: &str) -> IpamPool {
        IpamPool {
            subnet: subnet.to_owned(),
            ..IpamPool::default()
        }
    }

    fn labelled(name: &str, value: &str) -> impl Fn(&mut Network) {
        let label = (name.to_owned(), value.to_owned());
        move |network| network.labels.extend([label.clone()])
    }

    fn said(wanted: &Network, live: &Network) -> String {
        in_what(&differences(wanted, live, &key()))
    }

    #[test]
    fn what_the_engine_adds_is_no_difference() {
        let plain = network(|_| {});
        let mtu = |network: &mut Network| {
            network.options.insert("mtu".to_owned(), "1500".to_owned());
            network.enable_ipv6 = Some(false);
        };
        assert_eq!(said(&plain, &made(&plain, mtu)), "");
        // It writes an address its own way.
        let odd = network(|network| network.ipam.pools = vec![pool("10.1.2.3/16")]);
        let normal = |network: &mut Network| network.ipam.pools = vec![pool("10.1.0.0/16")];
        assert_eq!(said(&odd, &made(&odd, normal)), "");
        // Docker Compose made it, 1.29 as attachable, and nobody kept what was asked for.
        let foreign = |network: &mut Network| {
            mtu(network);
            network.attachable = true;
            network.labels = [(labels::PROJECT.to_owned(), "shop".to_owned())].into();
        };
        assert_eq!(said(&plain, &made(&plain, foreign)), "");
    }

    #[test]
    fn a_digest_of_another_form_says_nothing() {
        let plain = network(|_| {});
        let mut live = made(&plain, |live| {
            live.options.insert("mtu".to_owned(), "1500".to_owned());
            live.labels
                .insert(labels::ASKED.to_owned(), "0:x".to_owned());
        });
        assert_eq!(said(&plain, &live), "");
        live.internal = true;
        assert_eq!(said(&plain, &live), "internal");
    }

    #[test]
    fn what_git_changes_is_named() {
        let before = network(labelled("a", "1"));
        let after = network(labelled("a", "2"));
        let live = made(&before, |_| {});
        assert_eq!(said(&before, &live), "");
        assert_eq!(said(&after, &live), "label a");
        let after = network(|network| {
            network.internal = true;
            network.options.insert("mtu".to_owned(), "1400".to_owned());
        });
        let live = made(&network(|_| {}), |_| {});
        assert_eq!(said(&after, &live), "driver_opts mtu and internal");
    }
}
