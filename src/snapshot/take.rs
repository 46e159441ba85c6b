//! Takes a snapshot of what was looked at.

use std::collections::BTreeMap;

use super::environment::Environments;
use super::redact::{cleaned, hidden_like};
use super::translate::Table;
use super::{
    FORMAT, Snapshot, SnapshotError, StackSnapshot, image_of, public_key, redact, service_of,
};
use crate::desired::{DesiredState, Wanted};
use crate::engine::model::{ContainerSpec, Network, Volume};
use crate::host::{self, View};
use crate::labels;
use crate::observe::ObservedState;
use crate::pass::{ByStack, Looked};
use crate::plan;
use crate::secret::Redactor;

/// Takes a snapshot of what was looked at.
///
/// # Errors
/// Something of it can't be written down.
pub fn take(view: &View, looked: &ByStack<Looked>) -> Result<Snapshot, SnapshotError> {
    let mut snapshot = Snapshot {
        format: FORMAT,
        moored: env!("CARGO_PKG_VERSION").to_owned(),
        taken_at: view.clock.now(),
        host: host::name(),
        time_zone: view.time_zone.iana_name().map(str::to_owned),
        instance: view.instance().to_owned(),
        stacks: BTreeMap::new(),
        failed: BTreeMap::new(),
    };
    for (dir, looked) in looked {
        match looked {
            Ok(looked) => {
                let stack = looked.desired.stack.clone();
                snapshot.stacks.insert(stack, of_stack(view, dir, looked)?);
            }
            Err(error) => {
                let error = view.redactor.clean(&error.to_string());
                snapshot.failed.insert(dir.clone(), error);
            }
        }
    }
    Ok(snapshot)
}

fn of_stack(view: &View, dir: &str, looked: &Looked) -> Result<StackSnapshot, SnapshotError> {
    let desired = &looked.desired;
    let redactor = Redactor::default();
    redactor.learn(desired.secrets.iter().cloned());
    let mut observed = looked.observed.clone();
    let environments = environments(&observed, desired, &redactor);
    hide_in_containers(&mut observed, desired)?;
    hide_in_others(&mut observed, desired)?;
    let observed: ObservedState = cleaned(&observed, &redactor)?;
    let of_host = plan::digests(desired, &looked.observed, &view.key);
    let hidden = redact::desired(desired)?;
    let table = Table::new(&of_host, &plan::digests(&hidden, &observed, &public_key()));
    let history = cleaned(&looked.history, &redactor)?;
    Ok(StackSnapshot {
        dir: dir.to_owned(),
        commit: cleaned(&desired.commit, &redactor)?,
        directory: view.project_directory(desired.stack.as_str()),
        observed: table.translated(&observed)?,
        environments,
        history: table.translated(&history)?,
    })
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
        container.spec = match service_of(container, desired) {
            Some((_, service)) => hidden_like(&container.spec, &service.spec, &desired.secrets)?,
            None => skeleton(&container.spec),
        };
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
