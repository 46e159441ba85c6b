//! Refuses what two services can't both have: the name of a container, a port of the host.

use std::collections::BTreeMap;

use super::fields::Fields;
use crate::yaml::{Map, Node};

use crate::desired::{Service, ServiceName, StackName, default_container_name};

/// Refuses names and ports that an earlier service has already.
pub(super) fn check(
    top: &Map,
    stack: &StackName,
    services: &BTreeMap<ServiceName, Service>,
    fields: &mut Fields<'_>,
) {
    let mut names: BTreeMap<String, &ServiceName> = BTreeMap::new();
    let mut ports: BTreeMap<(&str, &str, &str), &ServiceName> = BTreeMap::new();
    for (name, service) in services {
        let own = service.container_name.clone();
        let own = own.unwrap_or_else(|| default_container_name(stack, name));
        if let Some(other) = names.get(&own) {
            let message = format!("the container name {own} is that of service {other} already");
            refuse(top, name, "container_name", message, fields);
        }
        names.entry(own).or_insert(name);
        let fixed = |port: &&crate::engine::model::Port| {
            // The engine picks a free one of a range.
            !port.published.is_empty() && !port.published.contains('-')
        };
        for port in service.spec.ports.iter().filter(fixed) {
            let (ip, published) = (port.host_ip.as_str(), port.published.as_str());
            let key = (ip, published, port.protocol.as_str());
            if let Some(other) = ports.get(&key).filter(|other| **other != name) {
                let message = format!(
                    "port {}/{} of the host is that of service {other} already",
                    port.host(),
                    port.protocol
                );
                refuse(top, name, "ports", message, fields);
            }
            ports.entry(key).or_insert(name);
        }
    }
}

fn refuse(top: &Map, service: &ServiceName, key: &str, message: String, fields: &mut Fields<'_>) {
    let services = top.get("services");
    let deep = services.and_then(|node| node.at(&[service.as_str(), key]));
    let at: Option<&Node> = deep.or_else(|| services.and_then(|node| node.at(&[service.as_str()])));
    if let Some(at) = at {
        fields.refuse(at, message);
    }
}
