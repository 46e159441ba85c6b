//! Reads typed values out of a Compose tree, collecting everything that is wrong.

use std::collections::BTreeMap;

use super::short;
use crate::diagnostic::{Diagnostic, Location, suggestion};
use crate::yaml::{Kind, Map, Node};

/// Reads values and collects findings. A value that is wrong reads as absent, so that one pass
/// finds everything.
pub(super) struct Fields<'a> {
    pub(super) findings: &'a mut Vec<Diagnostic>,
}

impl Fields<'_> {
    /// Notes that something is wrong at a node.
    pub(super) fn refuse(&mut self, at: &Node, message: impl Into<String>) {
        self.findings.push(Diagnostic::new(at.location(), message));
    }

    /// Notes that something is wrong at a node, and what to do about it.
    pub(super) fn refuse_with_hint(
        &mut self,
        at: &Node,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.findings
            .push(Diagnostic::new(at.location(), message).hint(hint));
    }

    fn wrong(&mut self, at: &Node, what: &str, wanted: &str) {
        self.refuse(
            at,
            format!("{what} must be {wanted}, not {}", at.kind_name()),
        );
    }

    /// Reads a mapping.
    pub(super) fn map<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n Map> {
        let map = node.as_map();
        if map.is_none() {
            self.wrong(node, what, "a mapping");
        }
        map
    }

    /// Reads a mapping, or nothing at all.
    pub(super) fn map_or_nothing<'n>(&mut self, node: &'n Node, what: &str) -> Option<&'n Map> {
        if node.is_null() {
            return None;
        }
        self.map(node, what)
    }

    /// Reads a scalar as text; numbers and booleans as Compose prints them.
    pub(super) fn text(&mut self, node: &Node, what: &str) -> Option<String> {
        let text = node.go_string();
        if text.is_none() {
            self.wrong(node, what, "a string");
        }
        text
    }

    /// Reads text that must be written as text.
    pub(super) fn string(&mut self, node: &Node, what: &str) -> Option<String> {
        let text = node.as_str().map(str::to_owned);
        if text.is_none() {
            self.wrong(node, what, "a string");
        }
        text
    }

    /// Reads a boolean; after interpolation also one that is written as text.
    pub(super) fn boolean(&mut self, node: &Node, what: &str) -> Option<bool> {
        match &node.kind {
            Kind::Bool(value) => Some(*value),
            Kind::Str(text) if text == "true" => Some(true),
            Kind::Str(text) if text == "false" => Some(false),
            Kind::Null
            | Kind::Int(_)
            | Kind::Float(_)
            | Kind::Str(_)
            | Kind::Seq(_)
            | Kind::Map(_) => {
                self.wrong(node, what, "true or false");
                None
            }
        }
    }

    /// Reads a whole number; after interpolation also one that is written as text.
    pub(super) fn integer(&mut self, node: &Node, what: &str) -> Option<i64> {
        let number = match &node.kind {
            Kind::Int(value) => Some(*value),
            Kind::Str(text) => text.parse().ok(),
            Kind::Null | Kind::Bool(_) | Kind::Float(_) | Kind::Seq(_) | Kind::Map(_) => None,
        };
        if number.is_none() {
            self.wrong(node, what, "a whole number");
        }
        number
    }

    /// Reads a duration such as `1m30s`, in nanoseconds.
    pub(super) fn duration(&mut self, node: &Node, what: &str) -> Option<i64> {
        let text = self.text(node, what)?;
        match short::parse_duration(&text) {
            Ok(duration) => Some(duration),
            Err(why) => {
                self.refuse(node, format!("{what}: {why}"));
                None
            }
        }
    }

    /// Reads a list of texts.
    pub(super) fn texts(&mut self, node: &Node, what: &str) -> Option<Vec<String>> {
        let Some(items) = node.as_seq() else {
            self.wrong(node, what, "a list");
            return None;
        };
        items.iter().map(|item| self.text(item, what)).collect()
    }

    /// Reads a command: a list as it is, a string split as Compose splits it.
    pub(super) fn command(&mut self, node: &Node, what: &str) -> Option<Vec<String>> {
        let Kind::Str(text) = &node.kind else {
            return self.texts(node, what);
        };
        match short::split_command(text) {
            Ok(words) => Some(words),
            Err(why) => {
                self.refuse(node, format!("{what}: {why}"));
                None
            }
        }
    }

    /// Reads labels, and refuses those that tools write.
    pub(super) fn labels(&mut self, node: &Node) -> BTreeMap<String, String> {
        let pairs = self.pairs(node, "labels").unwrap_or_default();
        if let Some(name) = pairs.keys().find(|name| crate::labels::is_reserved(name)) {
            let message = format!("label {name} is reserved for Docker Compose and moored");
            self.refuse(node, message);
        }
        let text = |(name, value): (String, Option<String>)| (name, value.unwrap_or_default());
        pairs.into_iter().map(text).collect()
    }

    /// Reads a mapping of names to texts, or a list of `NAME=TEXT`; a name without a value is
    /// `None`.
    pub(super) fn pairs(
        &mut self,
        node: &Node,
        what: &str,
    ) -> Option<BTreeMap<String, Option<String>>> {
        if let Kind::Seq(_) = node.kind {
            let split = |text: String| match text.split_once('=') {
                Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                None => (text, None),
            };
            return Some(self.texts(node, what)?.into_iter().map(split).collect());
        }
        let map = self.map(node, what)?;
        let mut pairs = BTreeMap::new();
        for entry in map {
            let value = if entry.value.is_null() {
                None
            } else {
                Some(self.text(&entry.value, &format!("{what}.{}", entry.key))?)
            };
            pairs.insert(entry.key.clone(), value);
        }
        Some(pairs)
    }

    /// Refuses keys that are not in `known`; those in `later` by name, `x-*` never.
    pub(super) fn keys(&mut self, map: &Map, what: &str, known: &[&str], later: &[&str]) {
        for entry in map {
            let key = entry.key.as_str();
            if known.contains(&key) || key.starts_with("x-") {
                continue;
            }
            let position = Some(entry.key_position);
            let location = Location {
                position,
                ..entry.value.location()
            };
            if later.contains(&key) {
                let message = format!("{what}.{key} is not supported by this version of moored");
                self.findings
                    .push(Diagnostic::new(location, message).hint(format!(
                        "take the key out; version {} can't honour it",
                        env!("CARGO_PKG_VERSION")
                    )));
                continue;
            }
            let found = Diagnostic::new(location, format!("{what}: unknown key \"{key}\""));
            let all = known.iter().chain(later).copied();
            self.findings.push(match suggestion(key, all) {
                Some(hint) => found.hint(hint),
                None => found,
            });
        }
    }
}
