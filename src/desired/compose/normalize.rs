//! Says what a project means without writing it: networks, dependencies, names.
//!
//! Source: `loader/normalize.go` of compose-go.

use std::collections::BTreeMap;

use super::interpolate::Variables;
use super::lexical;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::yaml::{Entry, Kind, Map, Node};

/// Keys of a service by which it shares something with another one: `service:NAME`.
const NAMESPACES: [&str; 5] = ["network_mode", "ipc", "pid", "uts", "cgroup"];

/// Brings a project to its normal form.
pub(super) fn normalize(
    project: &mut Node,
    name: &str,
    variables: &dyn Variables,
) -> Result<(), Diagnostics> {
    let (file, position) = (project.file.clone(), project.position);
    let Kind::Map(top) = &mut project.kind else {
        return Ok(());
    };
    let at = Node::new(&file, position, Kind::Null);
    let name_node = top.get("name").map_or(&at, |node| node);
    let name_node = text(name_node, name);
    top.insert("name", name_node.position, name_node);
    default_network(top, &at);
    let mut findings = Vec::new();
    if let Some(Kind::Map(services)) = top.get_mut("services").map(|node| &mut node.kind) {
        for service in services {
            if let Kind::Map(map) = &mut service.value.kind {
                self::service(map, variables, &mut findings);
            }
        }
    }
    for section in ["networks", "volumes", "configs", "secrets"] {
        if let Some(Kind::Map(objects)) = top.get_mut(section).map(|node| &mut node.kind) {
            for object in objects {
                own_name(object, name);
            }
        }
    }
    Diagnostics::check(findings)
}

/// Connects services that say nothing about networks to the project's default one.
fn default_network(top: &mut Map, at: &Node) {
    let mut used: Option<Node> = None;
    if let Some(Kind::Map(services)) = top.get_mut("services").map(|node| &mut node.kind) {
        for service in services {
            let position = service.key_position;
            let default = like(&service.value, Kind::Null);
            let Kind::Map(map) = &mut service.value.kind else {
                continue;
            };
            if map.contains_key("provider") || map.contains_key("network_mode") {
                continue;
            }
            let networks = map.get("networks").and_then(Node::as_map);
            if networks.is_none_or(Map::is_empty) {
                let mut networks = Map::default();
                networks.insert("default", position, default.clone());
                map.insert("networks", position, like(&default, Kind::Map(networks)));
            }
            let networks = map.get("networks").and_then(Node::as_map);
            if networks.is_some_and(|networks| networks.contains_key("default")) {
                used = used.or(Some(default));
            }
        }
    }
    let Some(default) = used else { return };
    if !top.contains_key("networks") {
        top.insert("networks", at.position, like(at, Kind::Map(Map::default())));
    }
    if let Some(Kind::Map(networks)) = top.get_mut("networks").map(|node| &mut node.kind)
        && !networks.contains_key("default")
    {
        networks.insert("default", default.position, default);
    }
}

fn service(map: &mut Map, variables: &dyn Variables, findings: &mut Vec<Diagnostic>) {
    if let Some(pull) = map.get_mut("pull_policy")
        && pull.as_str() == Some("if_not_present")
    {
        pull.kind = Kind::Str("missing".to_owned());
    }
    if let Some(node) = map.get_mut("build") {
        build(node, variables);
    }
    if let Some(node) = map.get_mut("environment") {
        environment(node, variables, findings);
    }
    dependencies(map);
    if let Some(Kind::Seq(mounts)) = map.get_mut("volumes").map(|node| &mut node.kind) {
        for mount in mounts {
            if let Kind::Map(mount) = &mut mount.kind
                && let Some(Kind::Str(target)) = mount.get_mut("target").map(|node| &mut node.kind)
            {
                *target = lexical::clean(target);
            }
        }
    }
}

fn build(node: &mut Node, variables: &dyn Variables) {
    let at = like(node, Kind::Null);
    let Kind::Map(map) = &mut node.kind else {
        return;
    };
    let is_set = |map: &Map, key: &str| map.get(key).is_some_and(|value| !value.is_null());
    if !is_set(map, "context") {
        map.insert("context", at.position, text(&at, "."));
    }
    if !is_set(map, "dockerfile") && !is_set(map, "dockerfile_inline") {
        map.insert("dockerfile", at.position, text(&at, "Dockerfile"));
    }
    if let Some(args) = map.get_mut("args") {
        set_bare_ones(args, variables);
        match &mut args.kind {
            Kind::Map(args) => args.retain(|entry| !entry.value.is_null()),
            Kind::Seq(args) => {
                args.retain(|arg| arg.as_str().is_none_or(|text| text.contains('=')));
            }
            Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Str(_) => {}
        }
    }
}

/// Gives the names without a value the one of the variable.
fn set_bare_ones(node: &mut Node, variables: &dyn Variables) {
    match &mut node.kind {
        Kind::Map(map) => {
            for entry in map {
                if entry.value.is_null()
                    && let Some(value) = variables.get(&entry.key)
                {
                    entry.value.kind = Kind::Str(value);
                }
            }
        }
        Kind::Seq(items) => {
            for item in items {
                if let Kind::Str(text) = &mut item.kind
                    && !text.contains('=')
                    && let Some(value) = variables.get(text)
                {
                    *text = format!("{text}={value}");
                }
            }
        }
        Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Str(_) => {}
    }
}

/// Makes a mapping of an environment, with the values of variables for bare names.
fn environment(node: &mut Node, variables: &dyn Variables, findings: &mut Vec<Diagnostic>) {
    set_bare_ones(node, variables);
    let Kind::Seq(items) = &node.kind else {
        return;
    };
    let mut entries = BTreeMap::new();
    for item in items {
        let written = item.go_string().unwrap_or_default();
        let (key, value) = match written.split_once('=') {
            Some((key, value)) => (key.to_owned(), Kind::Str(value.to_owned())),
            None => (written, Kind::Null),
        };
        if key.ends_with(char::is_whitespace) {
            let message = format!("the variable \"{key}\" has a space at the end of its name");
            let hint = "write NAME=value, without spaces around `=`";
            findings.push(Diagnostic::new(item.location(), message).hint(hint));
        }
        let entry = Entry {
            key: key.clone(),
            key_position: item.position,
            value: like(item, value),
        };
        entries.insert(key, entry);
    }
    node.kind = Kind::Map(entries.into_values().collect());
}

/// Adds the dependencies that follow from what a service takes from others.
fn dependencies(map: &mut Map) {
    let mut implied: Vec<(String, Node, bool)> = Vec::new();
    for link in texts(map.get("links")) {
        let name = link.as_str().unwrap_or_default();
        let name = match name.split_once(':') {
            Some((service, alias)) if !alias.contains(':') => service,
            Some(_) | None => name,
        };
        implied.push((name.to_owned(), like(link, Kind::Null), true));
    }
    for key in NAMESPACES {
        if let Some(node) = map.get(key)
            && let Some(name) = node.as_str().and_then(|text| text.strip_prefix("service:"))
        {
            implied.push((name.to_owned(), like(node, Kind::Null), true));
        }
    }
    for from in texts(map.get("volumes_from")) {
        let text = from.as_str().unwrap_or_default();
        if !text.starts_with("container:") {
            let name = text.split(':').next().unwrap_or_default();
            implied.push((name.to_owned(), like(from, Kind::Null), false));
        }
    }
    let Some((_, first, _)) = implied.first() else {
        return;
    };
    if map.get("depends_on").and_then(Node::as_map).is_none() {
        let empty = like(first, Kind::Map(Map::default()));
        map.insert("depends_on", empty.position, empty);
    }
    let Some(Kind::Map(dependencies)) = map.get_mut("depends_on").map(|node| &mut node.kind) else {
        return;
    };
    for (name, at, restart) in implied {
        if dependencies.contains_key(&name) {
            continue;
        }
        let mut dependency = Map::default();
        dependency.insert("condition", at.position, text(&at, "service_started"));
        dependency.insert("restart", at.position, like(&at, Kind::Bool(restart)));
        dependency.insert("required", at.position, like(&at, Kind::Bool(true)));
        dependencies.insert(name, at.position, like(&at, Kind::Map(dependency)));
    }
}

/// Names an object of the project by its key, where it has no name of its own.
fn own_name(object: &mut Entry, project: &str) {
    if object.value.is_null() {
        object.value.kind = Kind::Map(Map::default());
    }
    let at = like(&object.value, Kind::Null);
    let Kind::Map(map) = &mut object.value.kind else {
        return;
    };
    if map.get("name").is_some_and(|name| !name.is_null()) {
        return;
    }
    let external = map.get("external").and_then(Node::go_string);
    // As Go's `strconv.ParseBool` reads it.
    let is_external = external
        .is_some_and(|text| ["1", "t", "T", "true", "TRUE", "True"].contains(&text.as_str()));
    let name = if is_external {
        object.key.clone()
    } else {
        format!("{project}_{}", object.key)
    };
    map.insert("name", at.position, text(&at, &name));
}

fn texts(node: Option<&Node>) -> impl Iterator<Item = &Node> {
    let items = node.and_then(Node::as_seq).unwrap_or_default();
    items.iter().filter(|item| item.as_str().is_some())
}

/// Makes another value for the place of one.
pub(super) fn like(at: &Node, kind: Kind) -> Node {
    Node::new(&at.file, at.position, kind)
}

/// Makes a text for the place of a value.
pub(super) fn text(at: &Node, text: &str) -> Node {
    like(at, Kind::Str(text.to_owned()))
}
