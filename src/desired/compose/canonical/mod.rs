//! Brings a Compose file from its short forms into one long form.
//!
//! [`canonical`] does what compose-go's package `transform` does once a file is checked by
//! [`super::schema`]; [`defaults`] says what Compose takes where nothing is written. Both
//! expect a tree that passed the schema, and leave alone what doesn't look like it.

mod build;
mod ports;
mod service;
#[cfg(test)]
mod tests;
mod volumes;

use super::place;
use crate::diagnostic::Diagnostic;
use crate::yaml::{Kind, Map, Node};

/// Turns every short form into the long one, and refuses those that can't be read.
///
/// Lists that stand for mappings become mappings only where compose-go does it at this point
/// (`networks`, `depends_on`, …); `environment` and `labels` may still be either.
pub(super) fn canonical(tree: &mut Node, findings: &mut Vec<Diagnostic>) {
    let Kind::Map(top) = &mut tree.kind else {
        return;
    };
    let mut services = service::Services::new(findings);
    for entry in place::entries(top, "services") {
        if let Kind::Map(service) = &mut entry.value.kind {
            services.canonical(&entry.key, service);
        }
    }
    for section in ["volumes", "networks", "secrets", "configs"] {
        for entry in place::entries(top, section) {
            external(section, &entry.key, &mut entry.value, findings);
        }
    }
}

/// Writes out what Compose takes where a key is missing (its `SetDefaultValues`).
pub(super) fn defaults(tree: &mut Node) {
    let Kind::Map(top) = &mut tree.kind else {
        return;
    };
    for entry in place::entries(top, "services") {
        if let Kind::Map(service) = &mut entry.value.kind {
            service_defaults(service);
        }
    }
}

fn service_defaults(service: &mut Map) {
    if let Some(build) = service.get_mut("build") {
        place::add(build, "context", || Kind::Str(".".to_owned()));
    }
    for secret in place::items(service, "secrets") {
        let source = secret.at(&["source"]).and_then(Node::go_string);
        // Go prints what is missing as `<nil>`.
        let source = source.unwrap_or_else(|| "<nil>".to_owned());
        place::add(secret, "target", || {
            Kind::Str(format!("/run/secrets/{source}"))
        });
    }
    for port in place::items(service, "ports") {
        place::add(port, "protocol", || Kind::Str("tcp".to_owned()));
        place::add(port, "mode", || Kind::Str("ingress".to_owned()));
    }
    place::items(service, "gpus").for_each(all_devices);
    let deploy = service.get_mut("deploy");
    let resources = deploy.and_then(|node| place::below(node, "resources"));
    let reservations = resources.and_then(|node| place::below(node, "reservations"));
    if let Some(Kind::Map(reservations)) = reservations.map(|node| &mut node.kind) {
        place::items(reservations, "devices").for_each(all_devices);
    }
}

fn all_devices(request: &mut Node) {
    if request.at(&["count"]).is_none() && request.at(&["device_ids"]).is_none() {
        place::add(request, "count", || Kind::Str("all".to_owned()));
    }
}

/// Turns `external: {name: x}` into `external: true` and `name: x`.
fn external(section: &str, key: &str, node: &mut Node, findings: &mut Vec<Diagnostic>) {
    let Kind::Map(map) = &mut node.kind else {
        return;
    };
    let Some(flag) = map.get_mut("external") else {
        return;
    };
    let Kind::Map(below) = &mut flag.kind else {
        return;
    };
    let name = below.remove("name");
    flag.kind = Kind::Bool(true);
    let Some(name) = name else { return };
    match map.get("name") {
        None => map.insert("name", name.key_position, name.value),
        Some(known) if known.same_value(&name.value) => {}
        Some(_) => {
            let message = format!("{section}.{key} has two names: name and external.name differ");
            let finding = Diagnostic::new(name.value.location(), message);
            findings.push(finding.hint("write the name only once, beside \"external: true\""));
        }
    }
}
