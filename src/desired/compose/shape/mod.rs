//! Gives a loaded model the form that Compose prints: what the way through Go's types makes of it.
//!
//! [`shape`] walks the tree beside `table`, which says of every key what Go's type does: `scalar`
//! and `group` decode single values and collections as compose-go does and print them as its JSON
//! has them; zeros are left out, mappings are sorted, keys come in the order of Go's structs.

mod group;
mod kind;
mod scalar;
mod table;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use self::kind::{Field, Type};
use super::place::stands_for;
use super::refusal::Refusal;
use super::trail::Trail;
use crate::diagnostic::Diagnostic;
use crate::yaml::{Entry, Kind, Map, Node};

/// Gives the tree its final form and refuses what Go's types refuse.
///
/// What is shaped may be shaped again. `x-*` stay at the top and go everywhere else, as in what
/// Compose prints; so do `version`, `include` and `models` of the top.
pub(super) fn shape(tree: &mut Node, findings: &mut Vec<Diagnostic>) {
    let Kind::Map(top) = &mut tree.kind else {
        return;
    };
    let mut shaper = Shaper { findings };
    let mut sections = BTreeMap::new();
    for mut entry in std::mem::take(top) {
        let section = match entry.key.as_str() {
            "name" => {
                sections.insert(entry.key.clone(), entry);
                continue;
            }
            key if key.starts_with("x-") => {
                sort(&mut entry.value);
                sections.insert(entry.key.clone(), entry);
                continue;
            }
            "services" => &table::SERVICES,
            "networks" => &table::NETWORKS,
            "volumes" => &table::VOLUMES,
            "secrets" | "configs" => &table::FILE_OBJECTS,
            _ => continue,
        };
        if entry.key == "services" && entry.value.as_map().is_some_and(Map::is_empty) {
            sections.insert(entry.key.clone(), entry);
            continue;
        }
        let value = shaper.value(&entry.value, section, &Trail::Top.key(&entry.key));
        if let Some(value) = value {
            sections.insert(entry.key.clone(), Entry { value, ..entry });
        }
    }
    *top = Map::from_unique(sections.into_values().collect());
}

struct Shaper<'a> {
    findings: &'a mut Vec<Diagnostic>,
}

impl Shaper<'_> {
    /// Returns what is printed of a value: nothing for a zero, and nothing for what is refused.
    fn value(&mut self, node: &Node, of: &Type, at: &Trail<'_>) -> Option<Node> {
        let printed = match of {
            Type::OptionalStruct(_) if node.is_null() => return None,
            Type::Struct(fields) | Type::OptionalStruct(fields) => {
                return self.fields(node, fields, at);
            }
            Type::List(items) => return self.list(node, items, at),
            Type::Map(values) => return self.map(node, values, at),
            Type::Limit => limit(node),
            Type::Text => scalar::text(node),
            Type::Flag => scalar::flag(node).map(|flag| flag.filter(|set| *set).map(Kind::Bool)),
            Type::OptionalFlag => scalar::flag(node).map(|flag| flag.map(Kind::Bool)),
            Type::Int => scalar::int(node).map(scalar::non_zero),
            Type::OptionalInt => scalar::int(node).map(|value| value.map(Kind::Int)),
            Type::Unsigned(largest) => {
                scalar::unsigned(node, i64::from(*largest)).map(scalar::non_zero)
            }
            Type::OptionalUnsigned => {
                scalar::unsigned(node, i64::MAX).map(|value| value.map(Kind::Int))
            }
            Type::Float => scalar::float(node),
            Type::Bytes => scalar::bytes(node).map(|bytes| {
                let bytes = bytes.filter(|bytes| *bytes != 0);
                bytes.map(|bytes| Kind::Str(bytes.to_string()))
            }),
            Type::Time => {
                scalar::time(node).map(|time| time.filter(|time| *time != 0).map(printed_time))
            }
            Type::OptionalTime => scalar::time(node).map(|time| time.map(printed_time)),
            Type::Command => group::command(node),
            Type::Test => group::test(node),
            Type::Texts => group::texts(node),
            Type::TextOrTexts => group::text_or_texts(node),
            Type::ScalarsOrText => group::scalars_or_text(node),
            Type::Pairs => group::pairs(node),
            Type::Environment => group::environment(node),
            Type::StrictPairs => group::strict_pairs(node),
            Type::MultiPairs => group::multi_pairs(node),
            Type::Hosts => group::hosts(node),
            Type::EnvFiles => group::env_files(node),
            Type::Ssh => group::ssh(node),
            Type::Mode => scalar::mode(node),
            Type::DeviceCount => scalar::device_count(node),
        };
        match printed {
            Ok(kind) => kind.map(|kind| stands_for(node, kind)),
            Err(refusal) => {
                self.findings.push(refusal.at(node, at));
                None
            }
        }
    }

    fn fields(&mut self, node: &Node, fields: &[Field], at: &Trail<'_>) -> Option<Node> {
        let empty = Map::default();
        let map = match &node.kind {
            Kind::Map(map) => map,
            Kind::Null => &empty,
            Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Str(_) | Kind::Seq(_) => {
                self.refuse(node, at, "a mapping", "write a mapping: KEY: VALUE");
                return None;
            }
        };
        let mut entries = Vec::new();
        for field in fields {
            let below = at.key(field.key);
            let found = map.get(field.key);
            let value = found.and_then(|value| self.value(value, &field.of, &below));
            let value = match (value, &field.of) {
                (Some(value), _) => Some(value),
                (None, Type::Struct(fields)) => {
                    self.fields(&stands_for(node, Kind::Null), fields, &below)
                }
                (None, of) if field.always => Some(stands_for(found.unwrap_or(node), zero(of))),
                (None, _) => None,
            };
            let position = map.key_position(field.key).unwrap_or(node.position);
            entries.extend(value.map(|value| Entry {
                key: field.printed.to_owned(),
                key_position: position,
                value,
            }));
        }
        Some(stands_for(node, Kind::Map(Map::from_unique(entries))))
    }

    fn list(&mut self, node: &Node, items: &Type, at: &Trail<'_>) -> Option<Node> {
        let Kind::Seq(list) = &node.kind else {
            if !node.is_null() {
                self.refuse(node, at, "a list", "write a list, each item behind a dash");
            }
            return None;
        };
        let mut shaped = Vec::with_capacity(list.len());
        for (index, item) in list.iter().enumerate() {
            let value = self.value(item, items, &at.item(index));
            shaped.push(value.unwrap_or_else(|| stands_for(item, Kind::Null)));
        }
        (!shaped.is_empty()).then(|| stands_for(node, Kind::Seq(shaped)))
    }

    fn map(&mut self, node: &Node, values: &Type, at: &Trail<'_>) -> Option<Node> {
        let Kind::Map(map) = &node.kind else {
            if !node.is_null() {
                self.refuse(node, at, "a mapping", "write a mapping: KEY: VALUE");
            }
            return None;
        };
        let mut shaped = BTreeMap::new();
        for entry in map {
            // Everything below a name of its own is the user's, but for `x-*` that Compose drops.
            let value = self.value(&entry.value, values, &at.key(&entry.key));
            let value = value.unwrap_or_else(|| stands_for(&entry.value, Kind::Null));
            let entry = Entry {
                key: entry.key.clone(),
                key_position: entry.key_position,
                value,
            };
            shaped.insert(entry.key.clone(), entry);
        }
        let shaped: Vec<Entry> = shaped.into_values().collect();
        (!shaped.is_empty()).then(|| stands_for(node, Kind::Map(Map::from_unique(shaped))))
    }

    fn refuse(&mut self, node: &Node, at: &Trail<'_>, wanted: &str, hint: &str) {
        let message = format!("{at} must be {wanted}, not {}", node.kind_name());
        let finding = Diagnostic::new(node.location(), message);
        self.findings.push(finding.hint(hint));
    }
}

fn printed_time(nanoseconds: i64) -> Kind {
    Kind::Str(super::short::format_duration(nanoseconds))
}

/// Returns what Go prints of a field that it doesn't leave out when it is zero.
fn zero(of: &Type) -> Kind {
    match of {
        Type::Flag | Type::OptionalFlag => Kind::Bool(false),
        Type::Text | Type::Mode => Kind::Str(String::new()),
        Type::Bytes => Kind::Str("0".to_owned()),
        Type::Int
        | Type::OptionalInt
        | Type::Unsigned(_)
        | Type::OptionalUnsigned
        | Type::Float
        | Type::DeviceCount => Kind::Int(0),
        Type::Command
        | Type::Time
        | Type::OptionalTime
        | Type::Test
        | Type::Texts
        | Type::TextOrTexts
        | Type::ScalarsOrText
        | Type::Pairs
        | Type::Environment
        | Type::StrictPairs
        | Type::MultiPairs
        | Type::Hosts
        | Type::EnvFiles
        | Type::Ssh
        | Type::Limit
        | Type::Struct(_)
        | Type::OptionalStruct(_)
        | Type::List(_)
        | Type::Map(_) => Kind::Null,
    }
}

/// One limit is printed as a number, a pair as a mapping without zeros.
fn limit(node: &Node) -> scalar::Printed {
    match &node.kind {
        Kind::Null => Ok(None),
        Kind::Int(0) => Ok(Some(Kind::Map(Map::default()))),
        Kind::Int(value) => Ok(Some(Kind::Int(*value))),
        Kind::Map(pair) => {
            let mut printed = Map::default();
            for key in ["soft", "hard"] {
                let Some(value) = pair.get(key) else { continue };
                if let Some(kind) = scalar::non_zero(scalar::int(value)?) {
                    printed.insert(key, value.position, stands_for(value, kind));
                }
            }
            Ok(Some(Kind::Map(printed)))
        }
        Kind::Bool(_) | Kind::Float(_) | Kind::Str(_) | Kind::Seq(_) => {
            let hint = "write 1024, or {soft: 1024, hard: 2048}";
            Err(Refusal::unlike(
                node,
                "a whole number, or soft and hard",
                hint,
            ))
        }
    }
}

/// Sorts mappings by their keys all the way down, as Go prints them.
fn sort(node: &mut Node) {
    match &mut node.kind {
        Kind::Seq(items) => items.iter_mut().for_each(sort),
        Kind::Map(map) => {
            let mut entries: Vec<Entry> = std::mem::take(map).into_iter().collect();
            entries.sort_by(|a, b| a.key.cmp(&b.key));
            for entry in &mut entries {
                sort(&mut entry.value);
            }
            *map = Map::from_unique(entries);
        }
        Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Str(_) => {}
    }
}
