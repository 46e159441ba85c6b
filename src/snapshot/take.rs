//! Takes a snapshot of what was looked at.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::environment::Environments;
use super::redact::{cleaned, hidden_like};
use super::translate::Table;
use super::{
    FORMAT, Snapshot, SnapshotError, StackSnapshot, image_of, public_key, redact, service_of,
};
use crate::desired::{DesiredState, ServiceName, Wanted};
use crate::engine::model::{ContainerSpec, Network, Volume};
use crate::host::{self, View};
use crate::labels;
use crate::observe::ObservedState;
use crate::pass::{ByStack, Looked};
use crate::plan;
use crate::secret::{Redactor, Sensitive};
use crate::stacks;

/// Takes a snapshot of what was looked at.
///
/// Stacks of which that can't be done are among those that failed.
pub fn take(view: &View, looked: &ByStack<Looked>) -> Snapshot {
    let mut snapshot = Snapshot {
        format: FORMAT,
        moored: env!("CARGO_PKG_VERSION").to_owned(),
        taken_at: view.clock.now(),
        host: host::name(),
        time_zone: view.time_zone.iana_name().map(str::to_owned),
        instance: view.instance().to_owned(),
        policy: view.policy(),
        stacks: BTreeMap::new(),
        failed: BTreeMap::new(),
    };
    let secrets = looked.values().flatten();
    let secrets = secrets.flat_map(|looked| looked.desired.secrets.iter());
    let secrets: Vec<Sensitive> = secrets.cloned().collect();
    for (dir, looked) in looked {
        let taken = match looked {
            Ok(looked) => of_stack(view, dir, looked, &secrets)
                .map(|taken| (looked.desired.stack.clone(), taken))
                .map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        match taken {
            Ok((stack, taken)) => {
                snapshot.stacks.insert(stack, taken);
            }
            Err(error) => {
                let error = view.redactor.clean(&error);
                snapshot.failed.insert(dir.clone(), error);
            }
        }
    }
    snapshot
}

/// Takes a snapshot of one stack; `secrets` are those of all.
fn of_stack(
    view: &View,
    dir: &str,
    looked: &Looked,
    secrets: &[Sensitive],
) -> Result<StackSnapshot, SnapshotError> {
    let desired = &looked.desired;
    let redactor = Redactor::default();
    redactor.learn(secrets.iter().cloned());
    let mut observed = looked.observed.clone();
    let environments = environments(&observed, desired, &redactor);
    redact::check_names(names(desired, &observed), &redactor)?;
    hide_in_containers(&mut observed, desired)?;
    hide_in_others(&mut observed, desired)?;
    let observed: ObservedState = cleaned(&observed, &redactor)?;
    let of_host = plan::digests(desired, &looked.observed, &view.key);
    let hidden = redact::desired(desired)?;
    let table = Table::new(&of_host, &plan::digests(&hidden, &observed, &public_key()));
    let history = cleaned(looked.history.as_ref(), &redactor)?;
    Ok(StackSnapshot {
        dir: dir.to_owned(),
        commit: cleaned(&desired.commit, &redactor)?,
        directory: view.project_directory(desired.stack.as_str()),
        closed: cleaned(&stacks::closed(view, &desired.stack, dir), &redactor)?,
        approvers: cleaned(&stacks::approvers(view, &desired.stack, dir), &redactor)?,
        observed: table.translated(&observed)?,
        environments,
        history: table.translated(&history)?,
    })
}

/// Returns the names by which planning knows again what is on the host.
fn names<'a>(
    desired: &'a DesiredState,
    observed: &'a ObservedState,
) -> impl Iterator<Item = &'a str> {
    let services = desired.services.keys().map(ServiceName::as_str);
    let objects = desired.networks.keys().chain(desired.volumes.keys());
    let containers = observed.containers.iter().chain(&observed.candidates);
    let of_containers = containers.flat_map(|container| {
        let labels = container.spec.labels.iter();
        let reserved = labels.filter(|(name, _)| labels::is_reserved(name));
        let values = reserved.filter(|(name, _)| *name != labels::CONFIG_HASH);
        values.map(|(_, value)| value).chain([&container.name])
    });
    let others = objects.chain(of_containers).map(String::as_str);
    services.chain([desired.stack.as_str()]).chain(others)
}

/// Takes down what may be shown of the environment of containers, and learns what may not.
fn environments(
    observed: &ObservedState,
    desired: &DesiredState,
    redactor: &Redactor,
) -> Environments {
    let mut environments = Environments::default();
    for container in observed.containers.iter().chain(&observed.candidates) {
        if let Some((_, service)) = service_of(container, desired) {
            let image = image_of(container, observed);
            redactor.learn(environments.add(container, service, image, &desired.secrets));
        }
    }
    environments
}

fn hide_in_containers(
    observed: &mut ObservedState,
    desired: &DesiredState,
) -> Result<(), SnapshotError> {
    let of_proxy = observed.proxy.iter_mut();
    let of_proxy = of_proxy.filter_map(|proxy| proxy.container.as_mut());
    let all = observed.containers.iter_mut();
    for container in all.chain(&mut observed.candidates).chain(of_proxy) {
        let live = container.spec.as_ref();
        container.spec = Arc::new(match service_of(container, desired) {
            Some((_, service)) => hidden_like(live, &service.spec, &desired.secrets)?,
            None => skeleton(live),
        });
    }
    Ok(())
}

/// Returns what planning wants to know of a container that Git says nothing of: nobody knows which
/// of the rest is secret.
fn skeleton(spec: &ContainerSpec) -> ContainerSpec {
    let mut labels = spec.labels.clone();
    labels.retain(|name, _| labels::is_reserved(name));
    ContainerSpec {
        image: spec.image.clone(),
        labels,
        ports: spec.ports.clone(),
        mounts: spec.mounts.clone(),
        networks: spec.networks.clone(),
        network_mode: spec.network_mode.clone(),
        namespaces: spec.namespaces.clone(),
        restart: spec.restart.clone(),
        ..ContainerSpec::default()
    }
}

/// Hides in what is not of the stack everything but what it is, and in its own what Git hides.
fn hide_in_others(
    observed: &mut ObservedState,
    desired: &DesiredState,
) -> Result<(), SnapshotError> {
    for other in &mut observed.others {
        other.labels.retain(|name, _| labels::is_reserved(name));
    }
    for (name, network) in &mut observed.networks {
        if let Some(Wanted::Own(wanted) | Wanted::External(wanted)) = desired.networks.get(name) {
            *network = hidden_like::<Network>(network, wanted, &desired.secrets)?;
        } else {
            network.options.clear();
            network.ipam.options.clear();
            network.labels.retain(|name, _| labels::is_reserved(name));
        }
    }
    for (name, volume) in &mut observed.volumes {
        if let Some(Wanted::Own(wanted) | Wanted::External(wanted)) = desired.volumes.get(name) {
            *volume = hidden_like::<Volume>(volume, wanted, &desired.secrets)?;
        } else {
            volume.options.clear();
            volume.labels.retain(|name, _| labels::is_reserved(name));
        }
    }
    Ok(())
}
