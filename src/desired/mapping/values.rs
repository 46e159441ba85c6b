//! Reads typed values out of the canonical model, whose shape was checked before: what is absent,
//! or of another kind than asked for, is nothing.

use std::collections::BTreeMap;

use crate::desired::Places;
use crate::desired::compose::short;
use crate::yaml::{Entry, Kind, Map, Node};

/// A mapping of the canonical model; one that is absent has no keys.
#[derive(Clone, Copy)]
pub(super) struct Values<'a>(Option<&'a Map>);

impl<'a> Values<'a> {
    /// Takes the mapping that a value is.
    pub(super) fn of(node: &'a Node) -> Self {
        Self(node.as_map())
    }

    /// Returns the value of a key; nothing where it is null.
    pub(super) fn get(self, key: &str) -> Option<&'a Node> {
        self.0?.get(key).filter(|node| !node.is_null())
    }

    /// Returns the mapping at a key.
    pub(super) fn values(self, key: &str) -> Self {
        Self(self.get(key).and_then(Node::as_map))
    }

    /// Returns where the value of each key stands.
    pub(super) fn places(self) -> Places {
        let entries = self.0.into_iter().flatten();
        entries
            .map(|entry| (entry.key.clone(), entry.value.location()))
            .collect()
    }

    /// Returns whether there is no key at all.
    pub(super) fn is_empty(self) -> bool {
        self.0.is_none_or(Map::is_empty)
    }

    /// Returns the entries of the mapping at a key.
    pub(super) fn entries(self, key: &str) -> impl Iterator<Item = &'a Entry> + use<'a> {
        self.values(key).0.into_iter().flatten()
    }

    /// Returns the items of the list at a key.
    pub(super) fn items(self, key: &str) -> &'a [Node] {
        self.get(key).and_then(Node::as_seq).unwrap_or_default()
    }

    /// Returns the mappings of the list at a key, with their places.
    pub(super) fn maps(self, key: &str) -> impl Iterator<Item = (&'a Node, Self)> + use<'a> {
        self.items(key).iter().map(|item| (item, Self::of(item)))
    }

    /// Returns a scalar as text; empty is nothing, as for Go.
    pub(super) fn text(self, key: &str) -> Option<String> {
        let text = self.get(key).and_then(Node::go_string)?;
        (!text.is_empty()).then_some(text)
    }

    /// Returns a scalar as text, empty where there is none.
    pub(super) fn text_or_empty(self, key: &str) -> String {
        self.text(key).unwrap_or_default()
    }

    /// Returns the texts of a list.
    pub(super) fn texts(self, key: &str) -> Vec<String> {
        self.items(key).iter().filter_map(Node::go_string).collect()
    }

    /// Returns the texts of a list where there is one, be it empty.
    pub(super) fn list(self, key: &str) -> Option<Vec<String>> {
        let items = self.get(key)?.as_seq()?;
        Some(items.iter().filter_map(Node::go_string).collect())
    }

    /// Returns the texts of a mapping; null is the empty text.
    pub(super) fn pairs(self, key: &str) -> BTreeMap<String, String> {
        let text = |node: &Node| node.go_string().unwrap_or_default();
        self.entries(key)
            .map(|entry| (entry.key.clone(), text(&entry.value)))
            .collect()
    }

    /// Returns a boolean; absent is false.
    pub(super) fn flag(self, key: &str) -> bool {
        self.truth(key).unwrap_or_default()
    }

    /// Returns a boolean.
    pub(super) fn truth(self, key: &str) -> Option<bool> {
        match self.get(key)?.kind {
            Kind::Bool(value) => Some(value),
            Kind::Null
            | Kind::Int(_)
            | Kind::Float(_)
            | Kind::Str(_)
            | Kind::Seq(_)
            | Kind::Map(_) => None,
        }
    }

    /// Returns a whole number, bytes among them, which the model has as text; absent is 0.
    pub(super) fn integer(self, key: &str) -> i64 {
        let number = self.get(key).and_then(|node| match &node.kind {
            Kind::Int(value) => Some(*value),
            Kind::Str(text) => text.parse().ok(),
            Kind::Null | Kind::Bool(_) | Kind::Float(_) | Kind::Seq(_) | Kind::Map(_) => None,
        });
        number.unwrap_or_default()
    }

    /// Returns a number, times `factor`, without what is behind the point; absent is 0. It is
    /// computed as Compose does it, with numbers of 32 bits: 2.25 processors are 2249999872
    /// billionths of one.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "as Go's int64(float32) does, whose results are to be equalled"
    )]
    pub(super) fn scaled(self, key: &str, factor: f32) -> i64 {
        let number = self.get(key).and_then(|node| match &node.kind {
            Kind::Int(value) => Some(*value as f32),
            Kind::Float(value) => Some(*value as f32),
            Kind::Str(text) => text.parse().ok(),
            Kind::Null | Kind::Bool(_) | Kind::Seq(_) | Kind::Map(_) => None,
        });
        (number.unwrap_or_default() * factor) as i64
    }

    /// Returns a duration in nanoseconds; absent is 0.
    pub(super) fn nanoseconds(self, key: &str) -> i64 {
        let text = self.text(key);
        text.and_then(|text| short::parse_duration(&text).ok())
            .unwrap_or_default()
    }
}
