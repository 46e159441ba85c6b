//! Leaves of a project what its active profiles have, and what the services that are left use.

use std::collections::{BTreeMap, BTreeSet};

use super::interpolate::Variables;
use crate::yaml::{Kind, Map, Node};

/// Services that no active profile has, by their names.
pub(super) type Disabled = BTreeMap<String, Node>;

/// Returns the active profiles: those asked for, or else what `COMPOSE_PROFILES` says.
pub(super) fn chosen(asked: &[String], variables: &dyn Variables) -> BTreeSet<String> {
    if !asked.is_empty() {
        return asked.iter().cloned().collect();
    }
    let set = variables.get("COMPOSE_PROFILES").unwrap_or_default();
    set.split(',').map(|name| name.trim().to_owned()).collect()
}

/// Takes the services out that have profiles, none of which is active.
pub(super) fn select(project: &mut Node, chosen: &BTreeSet<String>) -> Disabled {
    let mut disabled = Disabled::new();
    let Some(services) = section(project, "services") else {
        return disabled;
    };
    services.retain(|entry| {
        let own = entry
            .value
            .at(&["profiles"])
            .and_then(Node::as_seq)
            .unwrap_or_default();
        let active = |profile: &Node| profile.as_str().is_some_and(|name| chosen.contains(name));
        let stays = own.is_empty() || chosen.contains("*") || own.iter().any(active);
        if !stays {
            disabled.insert(entry.key.clone(), entry.value.clone());
        }
        stays
    });
    disabled
}

/// Takes out the networks, volumes, secrets, configs and models that no service uses.
pub(super) fn drop_unused(project: &mut Node) {
    let mut used = Used::default();
    if let Some(services) = section(project, "services") {
        for service in &*services {
            used.add(&service.value);
        }
    }
    for (name, used) in [
        ("networks", &used.networks),
        ("volumes", &used.volumes),
        ("secrets", &used.secrets),
        ("configs", &used.configs),
        ("models", &used.models),
    ] {
        if let Some(objects) = section(project, name) {
            objects.retain(|entry| used.contains(&entry.key));
        }
    }
}

#[derive(Default)]
struct Used {
    networks: BTreeSet<String>,
    volumes: BTreeSet<String>,
    secrets: BTreeSet<String>,
    configs: BTreeSet<String>,
    models: BTreeSet<String>,
}

impl Used {
    fn add(&mut self, service: &Node) {
        self.networks.extend(keys(service.at(&["networks"])));
        self.models.extend(keys(service.at(&["models"])));
        self.secrets.extend(sources(service.at(&["secrets"])));
        self.secrets
            .extend(sources(service.at(&["build", "secrets"])));
        self.configs.extend(sources(service.at(&["configs"])));
        let mounts = service
            .at(&["volumes"])
            .and_then(Node::as_seq)
            .unwrap_or_default();
        for mount in mounts {
            if mount.at(&["type"]).and_then(Node::as_str) == Some("volume")
                && let Some(source) = mount.at(&["source"]).and_then(Node::as_str)
            {
                self.volumes.insert(source.to_owned());
            }
        }
    }
}

fn keys(node: Option<&Node>) -> impl Iterator<Item = String> {
    let entries = node.and_then(Node::as_map).into_iter().flatten();
    entries.map(|entry| entry.key.clone())
}

fn sources(node: Option<&Node>) -> impl Iterator<Item = String> {
    let items = node.and_then(Node::as_seq).unwrap_or_default();
    let source = |item: &Node| {
        item.at(&["source"])
            .and_then(Node::as_str)
            .map(str::to_owned)
    };
    items.iter().filter_map(source)
}

fn section<'a>(project: &'a mut Node, name: &str) -> Option<&'a mut Map> {
    let Kind::Map(top) = &mut project.kind else {
        return None;
    };
    match top.get_mut(name).map(|node| &mut node.kind) {
        Some(Kind::Map(map)) => Some(map),
        Some(_) | None => None,
    }
}
