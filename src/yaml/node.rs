//! Holds a Compose file as a tree of values, each with its place in the file.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::diagnostic::{Location, Position};

/// A value and where it stands.
#[derive(Clone)]
#[cfg_attr(test, derive(Debug))]
pub struct Node {
    /// The file that it stands in.
    pub file: Arc<str>,
    /// Where the value begins; for one that came by an alias or a merge, where it was defined.
    pub position: Position,
    /// `!reset` or `!override`; any other tag is used up or refused while reading.
    ///
    /// Beside `!reset` the written value is gone: `kind` is null, or what a merge key brings to
    /// this place, which Compose keeps while it clears what earlier files say there.
    pub tag: Option<String>,
    /// The value.
    pub kind: Kind,
    /// How a scalar was written; `None` on collections and on values that no file contains.
    pub written: Option<Written>,
}

/// What a value is, by the rules of Go's YAML.
#[derive(Clone)]
#[cfg_attr(test, derive(Debug))]
pub enum Kind {
    /// Nothing: an empty value, `~` or `null`.
    Null,
    /// `true` or `false`, and no other word.
    Bool(bool),
    /// A whole number that fits.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Str(String),
    /// A list.
    Seq(Vec<Node>),
    /// A mapping from names to values.
    Map(Map),
}

/// How a scalar was written in its file.
#[derive(Clone)]
#[cfg_attr(test, derive(Debug))]
pub struct Written {
    /// The text, without quotes and with escapes resolved.
    pub text: String,
    /// Quotes or none.
    pub style: Style,
}

/// The notation of a scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Without quotes, so its text decides its type.
    Plain,
    /// In quotes or in a block (`|`, `>`), so always text.
    Quoted,
}

impl Node {
    /// Makes a value that stands for something at `position` but is not written there.
    pub fn new(file: &Arc<str>, position: Position, kind: Kind) -> Self {
        Self {
            file: Arc::clone(file),
            position,
            tag: None,
            kind,
            written: None,
        }
    }

    /// Returns where the value stands.
    pub fn location(&self) -> Location {
        Location {
            file: self.file.to_string(),
            position: Some(self.position),
        }
    }

    /// Returns the value at a path of keys; in a list a key is an index from 0.
    pub fn at(&self, path: &[&str]) -> Option<&Self> {
        let Some((first, rest)) = path.split_first() else {
            return Some(self);
        };
        match &self.kind {
            Kind::Map(map) => map.get(first)?.at(rest),
            Kind::Seq(items) => items.get(first.parse::<usize>().ok()?)?.at(rest),
            Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Str(_) => None,
        }
    }

    /// Returns whether there is nothing: an empty value, `~` or `null`.
    pub fn is_null(&self) -> bool {
        matches!(self.kind, Kind::Null)
    }

    /// Returns the text of a string.
    pub fn as_str(&self) -> Option<&str> {
        if let Kind::Str(text) = &self.kind {
            Some(text)
        } else {
            None
        }
    }

    /// Returns the items of a list.
    pub fn as_seq(&self) -> Option<&[Self]> {
        if let Kind::Seq(items) = &self.kind {
            Some(items)
        } else {
            None
        }
    }

    /// Returns the entries of a mapping.
    pub fn as_map(&self) -> Option<&Map> {
        if let Kind::Map(map) = &self.kind {
            Some(map)
        } else {
            None
        }
    }

    /// Returns the entries of a mapping, to change them.
    pub fn as_map_mut(&mut self) -> Option<&mut Map> {
        if let Kind::Map(map) = &mut self.kind {
            Some(map)
        } else {
            None
        }
    }

    /// Returns what the value is in words: `a string`, `a mapping`.
    pub fn kind_name(&self) -> &'static str {
        match self.kind {
            Kind::Null => "nothing",
            Kind::Bool(_) => "a boolean",
            Kind::Int(_) => "an integer",
            Kind::Float(_) => "a number",
            Kind::Str(_) => "a string",
            Kind::Seq(_) => "a list",
            Kind::Map(_) => "a mapping",
        }
    }

    /// Returns a scalar as Go prints it with `%v`, which is how Compose turns numbers and
    /// booleans into environment values and labels; `None` for nothing, lists and mappings.
    pub fn go_string(&self) -> Option<String> {
        match &self.kind {
            Kind::Null | Kind::Seq(_) | Kind::Map(_) => None,
            Kind::Bool(value) => Some(value.to_string()),
            Kind::Int(value) => Some(value.to_string()),
            Kind::Float(value) => Some(self.unsigned().unwrap_or_else(|| go_float(*value))),
            Kind::Str(text) => Some(text.clone()),
        }
    }

    /// Returns whether both hold the same values, wherever they stand and in whatever order
    /// their keys come.
    pub fn same_value(&self, other: &Self) -> bool {
        if self.tag != other.tag {
            return false;
        }
        match (&self.kind, &other.kind) {
            (Kind::Null, Kind::Null) => true,
            (Kind::Bool(a), Kind::Bool(b)) => a == b,
            (Kind::Int(a), Kind::Int(b)) => a == b,
            (Kind::Float(a), Kind::Float(b)) => a.total_cmp(b).is_eq(),
            (Kind::Str(a), Kind::Str(b)) => a == b,
            (Kind::Seq(a), Kind::Seq(b)) => {
                a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.same_value(b))
            }
            (Kind::Map(a), Kind::Map(b)) => {
                a.len() == b.len()
                    && a.iter()
                        .all(|e| b.get(&e.key).is_some_and(|v| e.value.same_value(v)))
            }
            (
                Kind::Null
                | Kind::Bool(_)
                | Kind::Int(_)
                | Kind::Float(_)
                | Kind::Str(_)
                | Kind::Seq(_)
                | Kind::Map(_),
                _,
            ) => false,
        }
    }

    /// Returns the digits of an integer that only an unsigned 64-bit number of Go can hold.
    fn unsigned(&self) -> Option<String> {
        let text = self.written.as_ref()?.text.replace('_', "");
        text.parse::<u64>().ok().map(|value| value.to_string())
    }
}

/// A mapping that keeps the order of its entries; keys are unique.
///
/// Lookups walk the entries: a mapping of a real file has few keys, and the reader refuses one
/// with more than ten thousand.
#[derive(Clone, Default)]
#[cfg_attr(test, derive(Debug))]
pub struct Map {
    entries: Vec<Entry>,
}

/// One key of a mapping and its value.
#[derive(Clone)]
#[cfg_attr(test, derive(Debug))]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub key_position: Position,
    /// The value.
    pub value: Node,
}

impl Map {
    /// Returns the value of a key.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|entry| &entry.value)
    }

    /// Returns the value of a key to change it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.entries
            .iter_mut()
            .find(|entry| entry.key == key)
            .map(|entry| &mut entry.value)
    }

    /// Returns where a key stands.
    pub fn key_position(&self, key: &str) -> Option<Position> {
        self.entry(key).map(|entry| entry.key_position)
    }

    /// Returns whether there is such a key.
    pub fn contains_key(&self, key: &str) -> bool {
        self.entry(key).is_some()
    }

    /// Sets the value of a key; a new key comes last, a known one keeps its place in the order.
    pub fn insert(&mut self, key: impl Into<String>, key_position: Position, value: Node) {
        let entry = Entry {
            key: key.into(),
            key_position,
            value,
        };
        if let Some(old) = self.entries.iter_mut().find(|old| old.key == entry.key) {
            *old = entry;
        } else {
            self.entries.push(entry);
        }
    }

    /// Takes a key out and returns its entry.
    pub fn remove(&mut self, key: &str) -> Option<Entry> {
        let index = self.entries.iter().position(|entry| entry.key == key)?;
        Some(self.entries.remove(index))
    }

    /// Keeps the entries for which `keep` is true.
    pub fn retain(&mut self, keep: impl FnMut(&Entry) -> bool) {
        self.entries.retain(keep);
    }

    /// Returns the entries in order.
    pub fn iter(&self) -> std::slice::Iter<'_, Entry> {
        self.entries.iter()
    }

    /// Returns the entries in order, to change their values.
    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, Entry> {
        self.entries.iter_mut()
    }

    /// Returns how many keys there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Makes a mapping of entries whose keys are known to differ.
    pub(crate) fn from_unique(entries: Vec<Entry>) -> Self {
        Self { entries }
    }

    fn entry(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }
}

impl FromIterator<Entry> for Map {
    /// Makes a mapping of entries; of two with one key the later one stays, in the place of the
    /// earlier.
    fn from_iter<I: IntoIterator<Item = Entry>>(entries: I) -> Self {
        let mut kept: Vec<Entry> = Vec::new();
        let mut known: BTreeMap<String, usize> = BTreeMap::new();
        for entry in entries {
            if let Some(earlier) = known.get(&entry.key).and_then(|at| kept.get_mut(*at)) {
                *earlier = entry;
            } else {
                known.insert(entry.key.clone(), kept.len());
                kept.push(entry);
            }
        }
        Self { entries: kept }
    }
}

impl<'a> IntoIterator for &'a Map {
    type Item = &'a Entry;
    type IntoIter = std::slice::Iter<'a, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.iter()
    }
}

impl<'a> IntoIterator for &'a mut Map {
    type Item = &'a mut Entry;
    type IntoIter = std::slice::IterMut<'a, Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.iter_mut()
    }
}

impl IntoIterator for Map {
    type Item = Entry;
    type IntoIter = std::vec::IntoIter<Entry>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

/// Returns a number as Go prints a `float64` with `%v`: the fewest digits that read back as the
/// same number, with an exponent of at least two digits below 1e-04 and from 1e+06 on.
fn go_float(value: f64) -> String {
    if value.is_nan() {
        return "NaN".to_owned();
    }
    if value.is_infinite() {
        return if value > 0.0 { "+Inf" } else { "-Inf" }.to_owned();
    }
    let scientific = format!("{value:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    if (-4..6).contains(&exponent) {
        return format!("{value}");
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: Position = Position { line: 1, column: 1 };

    fn text(value: &str) -> Node {
        Node::new(&"c.yaml".into(), HERE, Kind::Str(value.to_owned()))
    }

    fn map(entries: &[(&str, Node)]) -> Map {
        let mut map = Map::default();
        for (key, value) in entries {
            map.insert(*key, HERE, value.clone());
        }
        map
    }

    #[test]
    fn prints_floats_as_go_does() {
        for (value, expected) in [
            (1.10, "1.1"),
            (5.0, "5"),
            (0.0, "0"),
            (-0.0, "-0"),
            (-2.5, "-2.5"),
            (123_456.0, "123456"),
            (123_456.75, "123456.75"),
            (1e6, "1e+06"),
            (12_345_678.0, "1.2345678e+07"),
            (1e21, "1e+21"),
            (1e100, "1e+100"),
            (0.0001, "0.0001"),
            (0.00012, "0.00012"),
            (0.000_01, "1e-05"),
            (f64::INFINITY, "+Inf"),
            (f64::NEG_INFINITY, "-Inf"),
            (f64::NAN, "NaN"),
        ] {
            assert_eq!(go_float(value), expected);
        }
    }

    #[test]
    fn go_string_is_for_scalars() {
        for (kind, expected) in [
            (Kind::Bool(true), Some("true")),
            (Kind::Int(-18), Some("-18")),
            (Kind::Str("on".to_owned()), Some("on")),
            (Kind::Null, None),
            (Kind::Seq(Vec::new()), None),
            (Kind::Map(Map::default()), None),
        ] {
            assert_eq!(
                Node::new(&"c.yaml".into(), HERE, kind)
                    .go_string()
                    .as_deref(),
                expected
            );
        }
    }

    #[test]
    fn walks_paths_through_mappings_and_lists() {
        let ports = Node::new(
            &"c.yaml".into(),
            HERE,
            Kind::Seq(vec![text("80"), text("443")]),
        );
        let web = Node::new(&"c.yaml".into(), HERE, Kind::Map(map(&[("ports", ports)])));
        assert_eq!(web.at(&["ports", "1"]).and_then(Node::as_str), Some("443"));
        assert!(web.at(&["ports", "2"]).is_none());
        assert!(web.at(&["ports", "x"]).is_none());
        assert!(web.at(&["ports", "1", "x"]).is_none());
        assert_eq!(web.at(&[]).map(Node::kind_name), Some("a mapping"));
    }

    #[test]
    fn a_mapping_keeps_its_order() {
        let mut some = map(&[("b", text("1")), ("a", text("2")), ("c", text("3"))]);
        some.insert("b", Position { line: 9, column: 9 }, text("4"));
        let keys: Vec<&str> = some.iter().map(|entry| entry.key.as_str()).collect();
        assert_eq!(keys, ["b", "a", "c"]);
        assert_eq!(some.key_position("b").map(|p| p.line), Some(9));
        assert_eq!(
            some.remove("a").map(|entry| entry.key),
            Some("a".to_owned())
        );
        assert!(some.remove("a").is_none());
        assert_eq!(some.len(), 2);
        if let Some(value) = some.get_mut("c") {
            value.kind = Kind::Null;
        }
        assert_eq!(some.get("c").map(Node::kind_name), Some("nothing"));
    }

    #[test]
    fn same_value_looks_at_values_only() {
        let one = map(&[("a", text("1")), ("b", text("2"))]);
        let other = map(&[("b", text("2")), ("a", text("1"))]);
        let node = |map: &Map| Node::new(&"c.yaml".into(), HERE, Kind::Map(map.clone()));
        assert!(node(&one).same_value(&node(&other)));
        assert!(!node(&one).same_value(&node(&map(&[("a", text("1"))]))));
        assert!(!text("1").same_value(&Node::new(&"c.yaml".into(), HERE, Kind::Int(1))));
        let mut tagged = text("1");
        tagged.tag = Some("!reset".to_owned());
        assert!(!tagged.same_value(&text("1")));
    }
}
