//! Refuses what services can't both have, and what the manifest says about services that are not
//! there.

use std::collections::BTreeMap;

use super::project::Project;
use super::values::Values;
use crate::desired::manifest::DEFAULT;
use crate::desired::{Service, ServiceName, default_container_name};
use crate::diagnostic::suggestion;
use crate::engine::model::Port;
use crate::yaml::Node;

/// Refuses names of containers and ports of the host that an earlier service has already.
pub(super) fn clashes(
    top: Values<'_>,
    services: &BTreeMap<ServiceName, Service>,
    project: &Project<'_>,
) {
    let mut names: BTreeMap<String, &ServiceName> = BTreeMap::new();
    let mut ports: BTreeMap<(&str, &str, String), &ServiceName> = BTreeMap::new();
    for (name, service) in services {
        let own = service.container_name.clone();
        let own = own.unwrap_or_else(|| default_container_name(project.stack, name));
        if let Some(other) = names.get(&own) {
            let message = format!("the container name {own} is that of service {other} already");
            let hint = "take container_name out, or choose another name";
            refuse(top, (name, "container_name"), message, hint, project);
        }
        names.entry(own).or_insert(name);
        // The engine picks a free one of a range.
        let fixed = |port: &&Port| !port.published.is_empty() && !port.published.contains('-');
        for port in service.spec.ports.iter().filter(fixed) {
            let (ip, published) = (port.host_ip.as_str(), port.published.as_str());
            // In the long form it stays as it is written, and to the engine `UDP` is `udp`.
            let key = (ip, published, port.protocol.to_ascii_lowercase());
            if let Some(other) = ports.get(&key).filter(|other| **other != name) {
                let message = format!(
                    "port {}/{} of the host is that of service {other} already",
                    port.host(),
                    port.protocol
                );
                let hint =
                    "publish another port, or write a range of which the engine takes a free one";
                refuse(top, (name, "ports"), message, hint, project);
            }
            ports.entry(key).or_insert(name);
        }
    }
}

fn refuse(
    top: Values<'_>,
    (service, key): (&ServiceName, &str),
    message: String,
    hint: &str,
    project: &Project<'_>,
) {
    let services = top.get("services");
    let deep = services.and_then(|node| node.at(&[service.service(), key]));
    let at: Option<&Node> =
        deep.or_else(|| services.and_then(|node| node.at(&[service.service()])));
    if let Some(at) = at {
        project.refuse_with_hint(at, message, hint);
    }
}

/// Refuses what the manifest says about services that are not there.
pub(super) fn manifest(top: Values<'_>, project: &Project<'_>) {
    let active = top.entries("services").map(|entry| entry.key.as_str());
    let inactive = project.inactive.iter().map(String::as_str);
    let known: Vec<&str> = active.chain(inactive).collect();
    let manifest = project.manifest;
    let rules = manifest.on_file_change.keys();
    let rules = rules.map(|name| ("on_file_change", name.as_str()));
    let strategies = manifest.strategy.keys();
    let rules = rules.chain(strategies.map(|name| ("strategy", name.as_str())));
    let rules = rules.filter(|(_, name)| *name != DEFAULT);
    let named = manifest.images.keys().map(|name| ("images", name.as_str()));
    let named = named.chain(manifest.env.keys().map(|name| ("env", name.as_str())));
    for (key, name) in named.chain(rules) {
        if known.contains(&name) {
            continue;
        }
        let Some(at) = project.manifest_place(&[key, name]) else {
            continue;
        };
        let message = format!("{key}.{name}: there is no service \"{name}\" in the Compose files");
        let hint = suggestion(name, known.iter().copied());
        let hint = hint.unwrap_or_else(|| "add the service, or take this out".to_owned());
        project.refuse_with_hint(at, message, hint);
    }
}
