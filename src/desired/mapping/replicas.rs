//! Makes several containers of a service that has `deploy.replicas` or `scale`.
//!
//! Each further one is a unit of its own, `web#2`: planned, awaited and taken back like a service.

use std::collections::{BTreeMap, BTreeSet};

use super::networks;
use super::project::Project;
use super::values::Values;
use crate::desired::strategy::Strategy;
use crate::desired::{Service, ServiceName, default_container_name};
use crate::engine::model::Endpoint;
use crate::yaml::Node;

/// Most containers of one service: more than a small host can run of anything.
const MOST: u32 = 64;

/// Returns how many containers a service has.
///
/// `deploy.mode` has no say, as with `docker compose up`: on one host `global` is one.
pub(super) fn count(name: &ServiceName, values: Values<'_>, project: &Project<'_>) -> u32 {
    let Some(at) = said(values) else {
        return 1;
    };
    wanted(values).unwrap_or_else(|| {
        let message = format!("services.{name} can have at most {MOST} containers");
        project.refuse_with_hint(at, message, "write a number from 0 to 64");
        1
    })
}

/// Returns how many containers a service has, if it can have so many.
pub(super) fn wanted(values: Values<'_>) -> Option<u32> {
    let Some(at) = said(values) else {
        return Some(1);
    };
    let number = at.go_string().and_then(|text| text.parse().ok());
    number.filter(|number| *number <= MOST)
}

fn said(values: Values<'_>) -> Option<&Node> {
    let deploy = values.values("deploy");
    deploy.get("replicas").or_else(|| values.get("scale"))
}

/// Takes out the services that have no container, and returns them.
///
/// Who depends on one does not wait for it (`shouldWaitForDependency` of Docker Compose); who
/// shares what its container has can't be started.
pub(super) fn take_out(
    services: &mut BTreeMap<ServiceName, Service>,
    counts: &BTreeMap<ServiceName, u32>,
    top: Values<'_>,
    project: &Project<'_>,
) -> BTreeSet<ServiceName> {
    let none = counts.iter().filter(|(_, count)| **count == 0);
    let none: BTreeSet<ServiceName> = none.map(|(name, _)| name.clone()).collect();
    let own_name = |name: &ServiceName, service: Service| {
        let given = service.container_name;
        given.unwrap_or_else(|| default_container_name(project.stack, name))
    };
    let gone: BTreeMap<String, &ServiceName> = none
        .iter()
        .filter_map(|name| Some((own_name(name, services.remove(name)?), name)))
        .collect();
    for (name, service) in services {
        service.depends_on.retain(|other, _| !none.contains(other));
        let spec = &service.spec;
        let mut shares = spec.joins().chain(spec.has_volumes_of());
        if let Some(other) = shares.find_map(|from| gone.get(from).copied()) {
            let at = top.values("services").get(name.as_str());
            let message = format!(
                "services.{name} shares what the container of {other} has, and {other} has none"
            );
            let hint = format!("give {other} a container, or {name} none: scale: 0");
            at.inspect(|at| project.refuse_with_hint(at, message, hint));
        }
    }
    none
}

/// Adds the further containers of the services with more than one.
pub(super) fn add(
    services: &mut BTreeMap<ServiceName, Service>,
    counts: &BTreeMap<ServiceName, u32>,
    top: Values<'_>,
    project: &Project<'_>,
) {
    let several = counts.iter().filter(|(_, count)| **count > 1);
    for (name, count) in several {
        for service in services.values_mut() {
            if let Some(how) = service.depends_on.get(name).copied() {
                let others = (2..=*count).map(|number| (name.replica(number), how));
                service.depends_on.extend(others);
            }
        }
        let Some(first) = services.get(name).cloned() else {
            continue;
        };
        let Some(at) = top.values("services").get(name.as_str()) else {
            continue;
        };
        check(name, *count, &first, at, project);
        let others = (2..=*count).map(|number| {
            let (replica, mut service) = replica(name, number, &first, project);
            networks::link_again(&mut service.spec, Values::of(at), top, project, number);
            (replica, service)
        });
        services.extend(others);
    }
}

fn replica(
    name: &ServiceName,
    number: u32,
    first: &Service,
    project: &Project<'_>,
) -> (ServiceName, Service) {
    let replica = name.replica(number);
    let mut service = first.clone();
    let (old, new) = (
        default_container_name(project.stack, name),
        default_container_name(project.stack, &replica),
    );
    for endpoint in service.spec.networks.values_mut() {
        if endpoint.aliases.remove(&old) {
            endpoint.aliases.insert(new.clone());
        }
    }
    (replica, service)
}

/// Refuses what only one container can have.
fn check(name: &ServiceName, count: u32, first: &Service, at: &Node, project: &Project<'_>) {
    let refuse = |what: &str, hint: &str| {
        let message = format!("services.{name} has {count} containers, and {what}");
        project.refuse_with_hint(at, message, hint);
    };
    let mut ports = first.spec.ports.iter();
    if let Some(port) =
        ports.find(|port| !port.published.is_empty() && !port.published.contains('-'))
    {
        let what = format!("only one of them can have port {} of the host", port.host());
        refuse(
            &what,
            "leave the host's port out, or write a range of ports",
        );
    }
    if first.container_name.is_some() {
        refuse("they can't have one container_name", "take it out");
    }
    if matches!(first.strategy, Strategy::BlueGreen(_)) {
        let hint = "take the strategy out: its containers are replaced one after the other";
        refuse("blue-green changes over one container", hint);
    }
    let mut endpoints = first.spec.networks.values();
    let fixed = |one: &Endpoint| {
        let texts = [&one.ipv4_address, &one.ipv6_address, &one.mac_address];
        texts.iter().any(|text| !text.is_empty()) || !one.link_local_ips.is_empty()
    };
    if endpoints.any(fixed) {
        refuse("they can't have one address", "take the address out");
    }
}
