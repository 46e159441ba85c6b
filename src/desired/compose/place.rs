//! Walks to places of a tree to change them, and makes values that stand for written ones.

use crate::yaml::{Entry, Kind, Map, Node};

/// Returns the entries of the mapping under a key, to change them.
pub(super) fn entries<'a>(map: &'a mut Map, key: &str) -> impl Iterator<Item = &'a mut Entry> {
    let below = map.get_mut(key).and_then(Node::as_map_mut);
    below.into_iter().flatten()
}

/// Returns the items of the list under a key, to change them.
pub(super) fn items<'a>(map: &'a mut Map, key: &str) -> impl Iterator<Item = &'a mut Node> {
    let below = match map.get_mut(key).map(|node| &mut node.kind) {
        Some(Kind::Seq(items)) => Some(items),
        Some(
            Kind::Null
            | Kind::Bool(_)
            | Kind::Int(_)
            | Kind::Float(_)
            | Kind::Str(_)
            | Kind::Map(_),
        )
        | None => None,
    };
    below.into_iter().flatten()
}

/// Returns the value under a key of a mapping, to change it.
pub(super) fn below<'a>(node: &'a mut Node, key: &str) -> Option<&'a mut Node> {
    node.as_map_mut()?.get_mut(key)
}

/// Adds a key to a mapping that hasn't got it.
pub(super) fn add(node: &mut Node, key: &str, kind: impl FnOnce() -> Kind) {
    let Kind::Map(map) = &node.kind else { return };
    if map.contains_key(key) {
        return;
    }
    let value = stands_for(node, kind());
    if let Kind::Map(map) = &mut node.kind {
        map.insert(key, value.position, value);
    }
}

/// Makes a value that stands for a written one, at its place.
pub(super) fn stands_for(node: &Node, kind: Kind) -> Node {
    Node::new(&node.file, node.position, kind)
}

/// Makes a mapping that stands for a written value.
pub(super) fn mapping<const N: usize>(node: &Node, entries: [(&str, Option<Kind>); N]) -> Node {
    let mut map = Map::default();
    for (key, kind) in entries {
        if let Some(kind) = kind {
            map.insert(key, node.position, stands_for(node, kind));
        }
    }
    stands_for(node, Kind::Map(map))
}

/// Returns a text as a value.
pub(super) fn text(text: impl Into<String>) -> Kind {
    Kind::Str(text.into())
}
