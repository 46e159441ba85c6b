//! Makes way: what is about to go may have the port, the address or the name that a service needs,
//! and stops before that one is started. Where it does not go by itself, that is said up front.

use super::Hold;
use super::action::{Action, ContainerRef, Phase, RemoveReason, aside};
use super::diff::Remedy;
use super::examined::Examined;
use super::facts::Field;
use super::front::Front;
use super::guard::All;
use super::networks::runs;
use super::order::Planner;
use super::services::{Input, number, reference};
use crate::desired::ServiceName;
use crate::desired::proxy::{ProxyPlace, fixed_ports};
use crate::engine::model::{Container, ContainerSpec, Port};
use crate::labels;

impl<'a> Planner<'a> {
    /// Holds the plan where a container that nobody wants has what a service needs, and stays.
    pub(super) fn hold_in_the_way(&mut self, all: &All<'a>) {
        if self.input.desired.prune {
            return;
        }
        let orphans: Vec<&Container> = self.input.orphaned().collect();
        for one in all.values() {
            let found = orphans.iter().filter_map(|orphan| {
                Some(Hold::OrphanInTheWay {
                    service: one.name.clone(),
                    container: orphan.name.clone(),
                    what: self.input.needs(one, orphan)?,
                })
            });
            self.holds.extend(found);
        }
    }

    /// Plans the stop of what is about to go and has something that a service needs.
    pub(super) fn make_way(&mut self, one: &Examined<'a>, after: Vec<u32>) -> Vec<u32> {
        let (mut stops, mut stopped) = (Vec::new(), Vec::new());
        for (container, _) in self.leavers.clone() {
            if self.input.needs(one, container).is_none() {
                continue;
            }
            let known = self.made_way.get(container.id.as_str()).cloned();
            let is_known = known.is_some();
            let planned = known.or_else(|| {
                let step = self.stop_leaver(Phase::Converge, container, &after)?;
                Some((reference(container), step))
            });
            let Some((mut there, mut last)) = planned else {
                continue;
            };
            if there.name == one.container_name {
                let name = aside(&there.name);
                let action = Action::Rename {
                    container: there.clone(),
                    name: name.clone(),
                };
                there.name = name;
                last = self.push(Phase::Converge, action, &[], vec![last]);
                self.made_way.insert(&container.id, (there, last));
            }
            if is_known {
                stopped.push(last);
            } else {
                stops.push(last);
            }
        }
        let mut after = if stops.is_empty() { after } else { stops };
        after.extend(stopped);
        after
    }

    /// Plans that a container gets its name, if it has another one and goes on.
    pub(super) fn rename(&mut self, one: &Examined<'a>, after: &mut Vec<u32>) {
        let goes_on = one.remedy.is_some_and(|remedy| remedy < Remedy::Replace);
        let reason = one.reasons.iter().find(|one| one.field == Field::Name);
        if let (Some(container), Some(reason), true) = (one.holder.map(reference), reason, goes_on)
        {
            let name = one.container_name.clone();
            let action = Action::Rename { container, name };
            let reasons = std::slice::from_ref(reason);
            *after = vec![self.push(Phase::Converge, action, reasons, after.clone())];
        }
    }

    /// Returns a container under the name that it has by then.
    pub(super) fn last_known(&self, container: &Container) -> ContainerRef {
        let known = self.made_way.get(container.id.as_str());
        known.map_or_else(|| reference(container), |(there, _)| there.clone())
    }

    /// Plans the stop of containers beyond the number that Git wants, before the proxy looks up
    /// who is left: it would send visitors to those that are gone.
    pub(super) fn stop_surplus(&mut self) {
        let Some(front) = self.front.as_ref().filter(|_| self.switches) else {
            return;
        };
        let leaving = self.input.leaving(front);
        let after = self.ends();
        for (_, container) in leaving {
            if !self.made_way.contains_key(container.id.as_str()) && runs(container) {
                self.stop_leaver(Phase::Switch, container, &after);
            }
        }
    }

    /// Plans the stop of a container that goes when everything else is in place.
    pub(super) fn stop_leaver(
        &mut self,
        phase: Phase,
        leaver: &'a Container,
        after: &[u32],
    ) -> Option<u32> {
        let service = unit(leaver)?;
        let container = reference(leaver);
        let action = Action::Stop {
            service,
            container: container.clone(),
        };
        let step = self.push(phase, action, &[], after.to_vec());
        self.made_way.insert(&leaver.id, (container, step));
        Some(step)
    }
}

impl<'a> Input<'a> {
    /// Returns our containers that go when everything else is in place, and why.
    pub(super) fn leavers(&self) -> Vec<(&'a Container, RemoveReason)> {
        let surplus = self.surplus().map(|one| (one, RemoveReason::Surplus));
        let orphans = self.desired.prune.then(|| self.orphaned());
        let orphans = orphans
            .into_iter()
            .flatten()
            .map(|one| (one, RemoveReason::Orphan));
        surplus.chain(orphans).collect()
    }

    /// Returns the containers beyond the number that Git wants which the proxy may still send
    /// visitors to.
    pub(super) fn leaving(&self, front: &Front<'_>) -> Vec<(ServiceName, &'a Container)> {
        if front.desired.proxy.place == ProxyPlace::Host {
            return Vec::new();
        }
        let surplus = self.surplus().filter_map(|one| Some((unit(one)?, one)));
        surplus
            .filter(|(service, one)| {
                // One that has stopped and is in no release any more is out of the proxy, too.
                front.names(service) && (runs(one) || self.released(service).is_some())
            })
            .collect()
    }

    /// Returns what a container has that a service needs to start, if it has something.
    fn needs(&self, one: &Examined<'a>, there: &Container) -> Option<String> {
        if one.is_renamed() || one.remedy >= Some(Remedy::Replace) {
            let name = &one.container_name;
            if there.name == *name {
                return Some(format!("the name {name}"));
            }
        }
        if one.remedy < Some(Remedy::Start) || !runs(there) {
            return None;
        }
        let spec = self.spec_in(one, one.slot_then());
        let mut ports = fixed_ports(&spec.ports).map(|(port, _)| port);
        let taken = ports.find(|port| publishes(&there.spec, port));
        taken
            .map(|port| format!("port {}/{}", port.host(), port.protocol))
            .or_else(|| address(&spec, &there.spec))
    }
}

/// Returns whether a container has a port of the host.
fn publishes(spec: &ContainerSpec, wanted: &Port) -> bool {
    let is_any = |address: &str| ["", "0.0.0.0", "::"].contains(&address);
    fixed_ports(&spec.ports).any(|(port, _)| {
        let (mine, theirs) = (wanted.host_ip.as_str(), port.host_ip.as_str());
        port.published == wanted.published
            && port.protocol == wanted.protocol
            && (mine == theirs || is_any(mine) || is_any(theirs))
    })
}

/// Returns the first fixed address that two containers have.
fn address(mine: &ContainerSpec, theirs: &ContainerSpec) -> Option<String> {
    let shared = mine.networks.iter();
    let mut shared = shared.filter_map(|(name, mine)| Some((mine, theirs.networks.get(name)?)));
    shared.find_map(|(mine, theirs)| {
        let mut both = [
            (&mine.ipv4_address, &theirs.ipv4_address),
            (&mine.ipv6_address, &theirs.ipv6_address),
        ]
        .into_iter();
        let (address, _) = both.find(|(mine, theirs)| !mine.is_empty() && mine == theirs)?;
        Some(format!("address {address}"))
    })
}

/// Returns whose container it is by its labels.
pub fn unit(container: &Container) -> Option<ServiceName> {
    let label = container.spec.labels.get(labels::SERVICE)?;
    let service = ServiceName::try_from(label.clone()).ok()?;
    Some(service.replica(number(container)))
}
