//! Maps the canonical Compose model to what the engine is asked for.
//!
//! The model's shape was checked by [`super::compose`]: here an absent value is a default, and what
//! is refused is what Moored or the engine can't do. The rules are those of Docker Compose's own
//! `pkg/compose/create.go`, so that a container of ours is like one of Compose.

mod checks;
mod devices;
mod limits;
mod mounts;
mod networks;
mod process;
mod project;
mod replicas;
mod resources;
mod sealed;
mod service;
#[cfg(test)]
mod tests;
mod values;

use std::collections::{BTreeMap, BTreeSet};

pub(super) use project::{Found, Project, Variables};
pub(super) use sealed::Sealed;
use values::Values;

use super::{Service, ServiceName, Wanted, require};
use crate::diagnostic::Diagnostics;
use crate::engine::model::{Network, Volume};
use crate::yaml::Node;

/// What the Compose files of a stack come to.
pub(super) struct Composed {
    /// How many containers each service has.
    pub(super) replicas: BTreeMap<ServiceName, u32>,
    /// Services that have none.
    pub(super) at_rest: BTreeSet<ServiceName>,
    pub(super) services: BTreeMap<ServiceName, Service>,
    pub(super) networks: BTreeMap<String, Wanted<Network>>,
    pub(super) volumes: BTreeMap<String, Wanted<Volume>>,
    pub(super) found: Found,
}

/// Maps the whole model.
pub(super) fn map(model: &Node, mut project: Project<'_>) -> Result<Composed, Diagnostics> {
    let top = Values::of(model);
    project.networks = resources::networks(top, &project);
    project.volumes = resources::volumes(top, &project);
    let (mut services, mut counts) = (BTreeMap::new(), BTreeMap::new());
    for entry in top.entries("services") {
        match ServiceName::try_from(entry.key.clone()) {
            Ok(name) => {
                let count = replicas::count(&name, Values::of(&entry.value), &project);
                counts.insert(name.clone(), count);
                if let Some(service) = service::map(&name, &entry.value, top, &project) {
                    services.insert(name, service);
                }
            }
            Err(why) => {
                let hint = "choose another name, such as web-1";
                project.refuse_with_hint(&entry.value, why, hint);
            }
        }
    }
    if top.values("services").is_empty() {
        let hint = "a stack that runs nothing is refused; to end one, take its directory out of \
                    the repository and remove its containers by hand";
        project.refuse_with_hint(model, "there are no services", hint);
    }
    let at_rest = replicas::take_out(&mut services, &counts, top, &project);
    replicas::add(&mut services, &counts, top, &project);
    checks::clashes(top, &services, &project);
    checks::manifest(top, &project);
    require::check(&services, &project);
    let used = |name: &str| {
        let mut services = services.values();
        services.any(|one| one.spec.networks.contains_key(name))
    };
    let networks = by_name(&project.networks, |network| &network.name);
    let networks = networks.filter(|(name, _)| used(name)).collect();
    let volumes = by_name(&project.volumes, |volume| &volume.name).collect();
    Ok(Composed {
        replicas: counts,
        at_rest,
        services,
        networks,
        volumes,
        found: project.into_found()?,
    })
}

fn by_name<T: Clone>(
    by_key: &BTreeMap<String, Wanted<T>>,
    name: fn(&T) -> &String,
) -> impl Iterator<Item = (String, Wanted<T>)> {
    by_key.values().map(move |wanted| match wanted {
        Wanted::Own(one) | Wanted::External(one) => (name(one).clone(), wanted.clone()),
    })
}
