//! Finds our containers that Git no longer wants: of services that it does not name, and beyond the
//! number that it wants of one; and says whether they go. `way.rs` is about those in the way.

use std::collections::{BTreeMap, BTreeSet};

use super::diff::{Origin, Reason};
use super::facts::{Fact, Field};
use super::order::Planner;
use super::services::{Input, number};
use super::way::unit;
use super::{Difference, Hold, Subject};
use crate::desired::ServiceName;
use crate::engine::model::{Container, MountSource};
use crate::labels;

impl Planner<'_> {
    /// Tells of orphans, or holds the plan where too many of them would go at once.
    pub(super) fn hold_orphans(&mut self) {
        if self.input.desired.services.is_empty() {
            self.holds.push(Hold::NoServices);
        }
        let orphans: Vec<&Container> = self.input.orphaned().collect();
        let containers = orphans.iter().map(|orphan| orphan.name.clone());
        if !self.input.desired.prune {
            let told = containers.map(|container| Hold::Orphan { container });
            self.holds.extend(told);
            return;
        }
        let containers: Vec<String> = containers.collect();
        let lose = services(orphans.into_iter()).len();
        let of = services(self.input.ours()).len();
        // More is a slip of a person or of a script, until somebody says otherwise.
        if lose > self.input.context.policy.deletion_budget().of(of) {
            self.holds.push(Hold::PrunesTooMuch {
                containers,
                lose,
                of,
            });
        }
    }

    /// Tells of volumes without a name whose containers go.
    pub(super) fn tell_of_left_volumes(&mut self) {
        for (leaver, _) in &self.leavers {
            for (target, mount) in &leaver.spec.mounts {
                if let MountSource::Anonymous(Some(volume)) = &mount.source {
                    self.holds.push(Hold::VolumeStays {
                        container: leaver.name.clone(),
                        volume: volume.clone(),
                        target: target.clone(),
                    });
                }
            }
        }
    }

    /// Returns the containers that go as differences of their services.
    pub(super) fn leaver_differences(&self) -> Vec<Difference> {
        let leavers = self.leavers.iter();
        let units: BTreeSet<ServiceName> = leavers.filter_map(|(one, _)| unit(one)).collect();
        let fact = |text: &str| Some(Fact::Plain(text.to_owned()));
        let difference = |unit: ServiceName| {
            let released = self.input.released(&unit).is_some();
            let reason = Reason {
                field: Field::Container,
                git: fact("none"),
                release: fact("present").filter(|_| released),
                live: fact("present"),
                origin: if released {
                    Origin::Pending
                } else {
                    Origin::Drift
                },
            };
            Difference {
                of: Subject::Service(unit),
                reasons: vec![reason],
            }
        };
        units.into_iter().map(difference).collect()
    }
}

impl<'a> Input<'a> {
    /// Returns our containers beyond the number that Git wants of their services: they go without
    /// `prune`, because the service is named and says how many it has.
    pub(super) fn surplus(&self) -> impl Iterator<Item = &'a Container> + use<'a> {
        let wanted = self.wanted_numbers();
        self.ours().filter(move |one| {
            let service = one.spec.labels.get(labels::SERVICE);
            let numbers = service.and_then(|service| wanted.get(service.as_str()));
            numbers.is_some_and(|numbers| !numbers.contains(&number(one)))
        })
    }

    /// Returns our containers of services that Git no longer names.
    pub(super) fn orphaned(&self) -> impl Iterator<Item = &'a Container> + use<'a> {
        let wanted = self.wanted_numbers();
        self.ours().filter(move |one| {
            let service = one.spec.labels.get(labels::SERVICE);
            service.is_none_or(|service| !wanted.contains_key(service.as_str()))
        })
    }

    /// Returns the numbers of the containers that Git wants, by service; none of one at rest.
    fn wanted_numbers(&self) -> BTreeMap<&'a str, BTreeSet<u32>> {
        let at_rest = self.desired.at_rest.iter();
        let mut wanted: BTreeMap<&str, BTreeSet<u32>> = at_rest
            .map(|name| (name.service(), BTreeSet::new()))
            .collect();
        for name in self.desired.services.keys() {
            wanted
                .entry(name.service())
                .or_default()
                .insert(name.number());
        }
        wanted
    }

    /// Returns our containers of services, whether or not Git names them.
    fn ours(&self) -> impl Iterator<Item = &'a Container> + use<'a> {
        let (observed, context) = (self.observed, self.context);
        observed.containers.iter().filter(|one| {
            let label = |name: &str| one.spec.labels.get(name).map(String::as_str);
            label(labels::INSTANCE) == Some(context.instance)
                && label(labels::ONEOFF) != Some("True")
        })
    }
}

fn services<'a>(containers: impl Iterator<Item = &'a Container>) -> BTreeSet<Option<&'a String>> {
    let service = |one: &'a Container| one.spec.labels.get(labels::SERVICE);
    containers.map(service).collect()
}
