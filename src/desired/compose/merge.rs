//! Puts several Compose files over one another by Compose's rules.
//!
//! Rules: <https://docs.docker.com/reference/compose-file/merge/>. Mappings merge, lists append,
//! scalars replace; `command`, `entrypoint` and `healthcheck.test` replace; `!reset` takes a value
//! away and `!override` replaces it as a whole. Short forms that are lists of names become
//! mappings first, so that the last one of a name wins.

use crate::yaml::{Entry, Kind, Map, Node};

/// Keys of a service whose list form is `NAME=VALUE`.
const PAIRS: [&str; 2] = ["environment", "labels"];
/// Keys of a service whose list form is a list of names of mappings.
const NAMES: [&str; 2] = ["depends_on", "networks"];
/// Keys of a service that a later file replaces as a whole.
const REPLACED: [&str; 2] = ["command", "entrypoint"];

/// Brings the short forms that matter for merging into their mapping form.
pub(super) fn canonical(file: &mut Node) {
    let Kind::Map(top) = &mut file.kind else {
        return;
    };
    let Some(Kind::Map(services)) = top.get_mut("services").map(|node| &mut node.kind) else {
        return;
    };
    for service in services.iter_mut() {
        let Kind::Map(service) = &mut service.value.kind else {
            continue;
        };
        for key in PAIRS {
            if let Some(node) = service.get_mut(key) {
                list_to_map(node, pair);
            }
        }
        for key in NAMES {
            if let Some(node) = service.get_mut(key) {
                list_to_map(node, name);
            }
        }
    }
}

/// Puts `over` over `base`; both are canonical.
pub(super) fn merge(base: &mut Node, over: Node) {
    merge_at(base, over, &mut Vec::new());
}

/// Takes out what is tagged `!reset`, and the tags that have done their work.
pub(super) fn settle_tags(node: &mut Node) {
    node.tag = None;
    let reset = |node: &Node| node.tag.as_deref() == Some("!reset");
    match &mut node.kind {
        Kind::Map(map) => {
            map.retain(|entry| !reset(&entry.value));
            map.iter_mut()
                .for_each(|entry| settle_tags(&mut entry.value));
        }
        Kind::Seq(items) => {
            items.retain(|item| !reset(item));
            items.iter_mut().for_each(settle_tags);
        }
        Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Str(_) => {}
    }
}

fn merge_at(base: &mut Node, over: Node, path: &mut Vec<String>) {
    let whole = over.tag.is_some() || is_replaced(path);
    match (&mut base.kind, over.kind) {
        (Kind::Map(base), Kind::Map(over)) if !whole => merge_maps(base, over, path),
        (Kind::Seq(base), Kind::Seq(over)) if !whole => base.extend(over),
        (_, kind) => *base = Node { kind, ..over },
    }
}

fn merge_maps(base: &mut Map, over: Map, path: &mut Vec<String>) {
    for Entry {
        key,
        key_position,
        value,
    } in over
    {
        path.push(key.clone());
        match base.get_mut(&key) {
            Some(old) => merge_at(old, value, path),
            None => base.insert(key, key_position, value),
        }
        path.pop();
    }
}

fn is_replaced(path: &[String]) -> bool {
    match path {
        [services, _, key] if services == "services" => REPLACED.contains(&key.as_str()),
        [services, _, check, test] if services == "services" => {
            check == "healthcheck" && test == "test"
        }
        _ => false,
    }
}

fn list_to_map(node: &mut Node, split: fn(&Node) -> Option<(String, Node)>) {
    let Kind::Seq(items) = &node.kind else { return };
    let mut map = Map::default();
    for item in items {
        // What can't be split is left as a list, for the typed reading to refuse with its place.
        let Some((key, value)) = split(item) else {
            return;
        };
        map.insert(key, item.position, value);
    }
    node.kind = Kind::Map(map);
}

/// Splits `NAME=VALUE`; a bare `NAME` has no value.
fn pair(item: &Node) -> Option<(String, Node)> {
    let text = item.go_string()?;
    let (key, kind) = match text.split_once('=') {
        Some((key, value)) => (key.to_owned(), Kind::Str(value.to_owned())),
        None => (text, Kind::Null),
    };
    Some((
        key,
        Node {
            kind,
            ..item.clone()
        },
    ))
}

fn name(item: &Node) -> Option<(String, Node)> {
    let key = item.as_str()?.to_owned();
    Some((
        key,
        Node {
            kind: Kind::Null,
            ..item.clone()
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse;

    fn merged(base: &str, over: &str) -> Node {
        let read = |text: &str| {
            let mut node = parse("c.yaml", text.as_bytes()).unwrap();
            canonical(&mut node);
            node
        };
        let mut base = read(base);
        merge(&mut base, read(over));
        settle_tags(&mut base);
        base
    }

    fn same(base: &str, over: &str, expected: &str) {
        let expected = parse("e.yaml", expected.as_bytes()).unwrap();
        assert!(merged(base, over).same_value(&expected), "{base} + {over}");
    }

    #[test]
    fn mappings_merge_lists_append_scalars_replace() {
        same(
            "services: {a: {image: x, ports: ['1:1'], environment: [A=1, B=2]}}",
            "services: {a: {image: y, ports: ['2:2'], environment: {B: '3'}}, b: {image: z}}",
            "services: {a: {image: y, ports: ['1:1', '2:2'], environment: {A: '1', B: '3'}}, b: {image: z}}",
        );
    }

    #[test]
    fn commands_and_health_tests_replace() {
        same(
            "services: {a: {command: [a, b], healthcheck: {test: [CMD, a], interval: 1s}}}",
            "services: {a: {command: [c], healthcheck: {test: [CMD, b]}}}",
            "services: {a: {command: [c], healthcheck: {test: [CMD, b], interval: 1s}}}",
        );
    }

    #[test]
    fn reset_takes_away_and_override_replaces() {
        same(
            "services: {a: {ports: ['1:1'], environment: {A: '1'}, user: u}}",
            "services: {a: {ports: !override ['2:2'], environment: {A: !reset null}, user: !reset ''}}",
            "services: {a: {ports: ['2:2'], environment: {}}}",
        );
    }
}
