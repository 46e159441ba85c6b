//! `build` of a service (compose-go's `transform/build.go` and `ssh.go`).

use super::service;
use crate::desired::compose::place;
use crate::diagnostic::Diagnostic;
use crate::yaml::{Kind, Map, Node};

/// Brings `build` into its long form.
pub(super) fn canonical(node: &mut Node, at: &str, findings: &mut Vec<Diagnostic>) {
    if let Some(context) = node.as_str() {
        *node = place::mapping(node, [("context", Some(place::text(context)))]);
        return;
    }
    let Kind::Map(build) = &mut node.kind else {
        return;
    };
    for entry in build.iter_mut() {
        let node = &mut entry.value;
        let at = || format!("{at}.{}", entry.key);
        match entry.key.as_str() {
            "secrets" => service::file_mounts(node),
            "provenance" | "sbom" => as_text(node),
            "additional_contexts" => contexts(node, &at(), findings),
            "ssh" => ssh(node, &at(), findings),
            "ulimits" => service::ulimits(node, &at(), findings),
            _ => {}
        }
    }
}

fn as_text(node: &mut Node) {
    if let Some(text) = node.go_string() {
        node.kind = Kind::Str(text);
    }
}

fn contexts(node: &mut Node, at: &str, findings: &mut Vec<Diagnostic>) {
    let Kind::Seq(items) = &node.kind else { return };
    let mut map = Map::default();
    for (index, item) in items.iter().enumerate() {
        match item.as_str().and_then(|text| text.split_once('=')) {
            Some((name, value)) => {
                let value = place::stands_for(item, Kind::Str(value.to_owned()));
                map.insert(name, item.position, value);
            }
            None => findings.push(
                Diagnostic::new(item.location(), format!("{at}[{index}] has no value"))
                    .hint("write NAME=PATH, or a mapping of names to paths"),
            ),
        }
    }
    node.kind = Kind::Map(map);
}

fn ssh(node: &mut Node, at: &str, findings: &mut Vec<Diagnostic>) {
    let Kind::Seq(items) = &node.kind else { return };
    let mut map = Map::default();
    for (index, item) in items.iter().enumerate() {
        let Some(text) = item.as_str() else { continue };
        let (id, kind) = match text.split_once('=') {
            Some((id, path)) => (id, Kind::Str(path.to_owned())),
            None if text == "default" => (text, Kind::Null),
            None => {
                let message = format!("{at}[{index}]: a key without a path");
                let hint = "write default, or ID=PATH";
                findings.push(Diagnostic::new(item.location(), message).hint(hint));
                continue;
            }
        };
        map.insert(id, item.position, place::stands_for(item, kind));
    }
    node.kind = Kind::Map(map);
}
