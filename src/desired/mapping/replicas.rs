//! Makes several containers of a service that has `deploy.replicas` or `scale`.
//!
//! Each further one is a unit of its own, `web#2`: planned, awaited and taken back like a service.

use std::collections::BTreeMap;

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
pub(super) fn count(name: &ServiceName, values: Values<'_>, project: &Project<'_>) -> u32 {
    let deploy = values.values("deploy");
    if let Some(mode) = deploy.get("mode")
        && mode.as_str().is_some_and(|mode| mode != "replicated")
    {
        let message = format!("services.{name}.deploy.mode is one of Swarm");
        project.refuse_with_hint(mode, message, "take it out");
    }
    let Some(at) = said(values) else {
        return 1;
    };
    wanted(values).unwrap_or_else(|| {
        let message = format!("services.{name} can have 1 to {MOST} containers");
        let hint = "to have none, give it a profile: profiles: [off]";
        project.refuse_with_hint(at, message, hint);
        1
    })
}

/// Returns how many containers a service has, if it can have so many.
pub(super) fn wanted(values: Values<'_>) -> Option<u32> {
    let Some(at) = said(values) else {
        return Some(1);
    };
    let number = at.go_string().and_then(|text| text.parse().ok());
    number.filter(|number| (1..=MOST).contains(number))
}

fn said(values: Values<'_>) -> Option<&Node> {
    let deploy = values.values("deploy");
    deploy.get("replicas").or_else(|| values.get("scale"))
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
