//! The keys of a service (compose-go's `transform/services.go` and what it calls).

use std::collections::BTreeMap;

use super::{build, ports, volumes};
use crate::desired::compose::place;
use crate::diagnostic::Diagnostic;
use crate::yaml::{Entry, Kind, Map, Node};

/// Brings services into their long form, with one budget for all of them.
pub(super) struct Services<'a> {
    findings: &'a mut Vec<Diagnostic>,
    ports: ports::Budget,
}

impl<'a> Services<'a> {
    pub(super) fn new(findings: &'a mut Vec<Diagnostic>) -> Self {
        Self {
            findings,
            ports: ports::Budget::default(),
        }
    }

    /// Brings one service into its long form.
    pub(super) fn canonical(&mut self, name: &str, service: &mut Map) {
        for entry in service.iter_mut() {
            let node = &mut entry.value;
            let at = || format!("services.{name}.{}", entry.key);
            match entry.key.as_str() {
                "build" => build::canonical(node, &at(), self.findings),
                "depends_on" => depends_on(node),
                "env_file" => env_file(node),
                "label_file" | "dns" => list_of_one(node),
                "extends" => extends(node),
                "gpus" => gpus(node),
                "networks" | "models" => names_to_map(node),
                "volumes" => volumes::canonical(node, &at(), self.findings),
                "devices" => devices(node, &at(), self.findings),
                "secrets" | "configs" => file_mounts(node),
                "ports" => ports::canonical(node, &at(), &mut self.ports, self.findings),
                "ulimits" => ulimits(node, &at(), self.findings),
                "develop" => develop(node),
                _ => {}
            }
        }
    }
}

/// Turns one text into a list of it.
pub(super) fn list_of_one(node: &mut Node) {
    if matches!(node.kind, Kind::Str(_)) {
        let item = node.clone();
        *node = place::stands_for(&item, Kind::Seq(vec![item.clone()]));
    }
}

/// Turns names of configs and secrets into their long form.
pub(super) fn file_mounts(node: &mut Node) {
    each_text(node, |item, name| {
        place::mapping(item, [("source", Some(place::text(name)))])
    });
}

/// Refuses limits that are no whole number, which Compose takes nothing else for.
pub(super) fn ulimits(node: &mut Node, at: &str, findings: &mut Vec<Diagnostic>) {
    for Entry { key, value, .. } in node.as_map().into_iter().flatten() {
        let is_limit = |node: &Node| matches!(node.kind, Kind::Int(_));
        let is_fine = match &value.kind {
            Kind::Map(pair) => ["soft", "hard"]
                .iter()
                .all(|key| pair.get(key).is_none_or(is_limit)),
            Kind::Null
            | Kind::Bool(_)
            | Kind::Int(_)
            | Kind::Float(_)
            | Kind::Str(_)
            | Kind::Seq(_) => is_limit(value),
        };
        if !is_fine {
            let message = format!("{at}.{key} must be a whole number, or soft and hard of such");
            findings.push(Diagnostic::new(value.location(), message).hint("write 1024"));
        }
    }
}

fn each_text(node: &mut Node, make: impl Fn(&Node, &str) -> Node) {
    let Kind::Seq(items) = &mut node.kind else {
        return;
    };
    for item in items {
        if let Some(text) = item.as_str() {
            *item = make(item, text);
        }
    }
}

fn depends_on(node: &mut Node) {
    if let Kind::Seq(items) = &node.kind {
        let long = |item: &Node| {
            let condition = Some(place::text("service_started"));
            let required = Some(Kind::Bool(true));
            place::mapping(item, [("condition", condition), ("required", required)])
        };
        let map = to_map(items, long);
        node.kind = Kind::Map(map);
        return;
    }
    let Kind::Map(map) = &mut node.kind else {
        return;
    };
    for entry in map.iter_mut() {
        place::add(&mut entry.value, "condition", || {
            Kind::Str("service_started".to_owned())
        });
        place::add(&mut entry.value, "required", || Kind::Bool(true));
    }
}

fn names_to_map(node: &mut Node) {
    if let Kind::Seq(items) = &node.kind {
        let map = to_map(items, |item| place::stands_for(item, Kind::Null));
        node.kind = Kind::Map(map);
    }
}

fn to_map(names: &[Node], make: impl Fn(&Node) -> Node) -> Map {
    // A tree map first: inserting into a mapping walks it.
    let mut entries = BTreeMap::new();
    for item in names {
        if let Some(name) = item.as_str() {
            entries.insert(name, item);
        }
    }
    let entries = entries.into_iter().map(|(name, item)| Entry {
        key: name.to_owned(),
        key_position: item.position,
        value: make(item),
    });
    Map::from_unique(entries.collect())
}

fn env_file(node: &mut Node) {
    list_of_one(node);
    each_text(node, |item, path| {
        let path = Some(place::text(path));
        place::mapping(item, [("path", path), ("required", Some(Kind::Bool(true)))])
    });
    if let Kind::Seq(items) = &mut node.kind {
        for item in items {
            place::add(item, "required", || Kind::Bool(true));
        }
    }
}

fn extends(node: &mut Node) {
    if let Some(service) = node.as_str() {
        *node = place::mapping(node, [("service", Some(place::text(service)))]);
    }
}

fn gpus(node: &mut Node) {
    if matches!(node.kind, Kind::Str(_)) {
        let all = place::mapping(node, [("count", Some(place::text("all")))]);
        *node = place::stands_for(node, Kind::Seq(vec![all]));
    }
}

fn devices(node: &mut Node, at: &str, findings: &mut Vec<Diagnostic>) {
    let Kind::Seq(items) = &mut node.kind else {
        return;
    };
    for (index, item) in items.iter_mut().enumerate() {
        let Some(text) = item.as_str() else { continue };
        let mut parts = text.split(':');
        let source = parts.next().unwrap_or_default();
        let target = parts.next().filter(|target| !target.is_empty());
        let permissions = parts.next().unwrap_or("rwm");
        if parts.next().is_some() {
            let message = format!("{at}[{index}]: there are too many colons");
            let hint = "write the long form: source, target and permissions";
            findings.push(Diagnostic::new(item.location(), message).hint(hint));
            continue;
        }
        *item = place::mapping(
            item,
            [
                ("source", Some(place::text(source))),
                ("target", Some(place::text(target.unwrap_or(source)))),
                ("permissions", Some(place::text(permissions))),
            ],
        );
    }
}

fn develop(node: &mut Node) {
    let Some(Kind::Seq(triggers)) = place::below(node, "watch").map(|node| &mut node.kind) else {
        return;
    };
    for trigger in triggers {
        for key in ["ignore", "include"] {
            if let Some(node) = place::below(trigger, key) {
                list_of_one(node);
            }
        }
    }
}
