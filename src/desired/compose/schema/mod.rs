//! Checks a merged Compose file against the rules of the Compose specification.
//!
//! [`check`] walks the tree beside a table of ours (`top`, `service`, `deploy`, `parts`), written in the
//! words of `rule`. The rules are those of the specification's `compose-spec.json`
//! (<https://github.com/compose-spec/compose-spec>), as of July 2026; where that schema misses
//! to refuse something, so does the table, because files that Compose takes have to load.

mod deploy;
mod parts;
mod rule;
mod service;
#[cfg(test)]
mod tests;
mod top;

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use self::rule::{Names, Object, Others, Rule};
use super::trail::Trail;
use crate::diagnostic::{Diagnostic, Location, suggestion};
use crate::yaml::{Entry, Kind, Map, Node};

/// Findings after which no more are looked for; a person can't read more at once.
const MAX_FINDINGS: usize = 100;
/// Known keys that a person still reads in one line.
const MAX_KEYS: usize = 10;
/// Bytes of a key for which a slip of the hand is looked up.
const MAX_LIKENESS: usize = 64;

/// Finds what the Compose specification doesn't allow: unknown keys, values of a wrong type,
/// words and numbers out of range, keys that are missing, items that stand twice.
pub(super) fn check(tree: &Node, findings: &mut Vec<Diagnostic>) {
    Checker { findings }.check(tree, &top::FILE, &Trail::Top);
}

struct Checker<'a> {
    findings: &'a mut Vec<Diagnostic>,
}

impl Checker<'_> {
    fn check(&mut self, node: &Node, rule: &Rule, at: &Trail<'_>) {
        if self.findings.len() >= MAX_FINDINGS {
            return;
        }
        if !rule.is_about(node) {
            self.wrong_type(node, rule, at);
            return;
        }
        match rule {
            Rule::Any | Rule::Scalar(_) => {}
            Rule::Word(words) => {
                if let Some(text) = node.as_str().filter(|text| !words.contains(text)) {
                    let message = format!("{at} must be one of {}", words.join(", "));
                    let hint = nearest(text, words.iter().copied());
                    let hint = hint.unwrap_or_else(|| format!("write {}", rule.example()));
                    self.find(node, message, Some(hint));
                }
            }
            Rule::Pattern(pattern) => {
                if node.as_str().is_some_and(|text| !pattern.is_in(text)) {
                    let message = format!("{at} is not one that Compose takes");
                    self.find(node, message, Some(pattern.expected().to_owned()));
                }
            }
            Rule::Within(range) => {
                if !is_within(node, range) {
                    let (least, most) = (range.start(), range.end());
                    let range = if *most == i64::MAX {
                        format!("{least} or more")
                    } else {
                        format!("between {least} and {most}")
                    };
                    let message = format!("{at} must be {range}");
                    self.find(node, message, Some(format!("write a number: {range}")));
                }
            }
            Rule::List(items) => self.list(node, items, at),
            Rule::Set(items) => {
                self.list(node, items, at);
                self.unique(node, at);
            }
            Rule::Map(names, values) => self.map(node, *names, values, at),
            Rule::Object(object) => self.object(node, object, at),
            Rule::Either(rules) => {
                if let Some(rule) = rules.iter().find(|rule| rule.is_about(node)) {
                    self.check(node, rule, at);
                }
            }
        }
    }

    fn list(&mut self, node: &Node, rule: &Rule, at: &Trail<'_>) {
        for (index, item) in node.as_seq().unwrap_or_default().iter().enumerate() {
            self.check(item, rule, &at.item(index));
        }
    }

    fn unique(&mut self, node: &Node, at: &Trail<'_>) {
        let mut seen = BTreeSet::new();
        for (index, item) in node.as_seq().unwrap_or_default().iter().enumerate() {
            if !seen.insert(fingerprint(item)) {
                let message = format!("{} stands in the list already", at.item(index));
                self.find(item, message, Some("take one of the two out".to_owned()));
            }
        }
    }

    fn map(&mut self, node: &Node, names: Names, values: &Rule, at: &Trail<'_>) {
        for entry in node.as_map().into_iter().flatten() {
            if !names.allow(&entry.key) {
                let hint = match names {
                    Names::Plain => "names are made of letters, digits, '.', '_' and '-'",
                    Names::Some | Names::Any => "write a name before the colon",
                };
                let message = if entry.key.is_empty() {
                    format!("{at}: a name is empty")
                } else {
                    format!("{at}: \"{}\" can't be a name", entry.key.escape_default())
                };
                self.find_key(entry, message, Some(hint.to_owned()));
            }
            self.check(&entry.value, values, &at.key(&entry.key));
        }
    }

    fn object(&mut self, node: &Node, object: &Object, at: &Trail<'_>) {
        let Some(map) = node.as_map() else { return };
        for entry in map {
            let known = object.keys.iter().find(|(key, _)| *key == entry.key);
            match known {
                Some((_, rule)) => self.check(&entry.value, rule, &at.key(&entry.key)),
                None if is_allowed(&entry.key, object.others) => {}
                None => {
                    let message = match at {
                        Trail::Top => format!("unknown key \"{}\"", entry.key),
                        Trail::Key(..) | Trail::Item(..) => {
                            format!("{at}: unknown key \"{}\"", entry.key)
                        }
                    };
                    let keys = object.keys.iter().map(|(key, _)| *key);
                    let hint = nearest(&entry.key, keys);
                    let hint = hint.unwrap_or_else(|| remedy_of_unknown(&entry.key, object));
                    self.find_key(entry, message, Some(hint));
                }
            }
        }
        self.required(node, map, object, at);
    }

    fn required(&mut self, node: &Node, map: &Map, object: &Object, at: &Trail<'_>) {
        for key in object.required {
            if !map.contains_key(key) {
                let message = format!("{at}: the key \"{key}\" is missing");
                let rule = object.keys.iter().find(|(known, _)| known == key);
                let value = rule.map_or("…", |(_, rule)| rule.example());
                self.find(node, message, Some(format!("add {key}: {value}")));
            }
        }
    }

    fn wrong_type(&mut self, node: &Node, rule: &Rule, at: &Trail<'_>) {
        let message = format!("{at} must be {}, not {}", rule.wanted(), node.kind_name());
        self.find(node, message, Some(rule.remedy(node).to_owned()));
    }

    fn find(&mut self, node: &Node, message: String, hint: Option<String>) {
        self.push(node.location(), message, hint);
    }

    fn find_key(&mut self, entry: &Entry, message: String, hint: Option<String>) {
        let location = Location {
            position: Some(entry.key_position),
            ..entry.value.location()
        };
        self.push(location, message, hint);
    }

    fn push(&mut self, location: Location, message: String, hint: Option<String>) {
        if self.findings.len() < MAX_FINDINGS {
            let finding = Diagnostic::new(location, message);
            self.findings.push(Diagnostic { hint, ..finding });
        }
    }
}

/// Returns whether a value is no number, or one within bounds.
fn is_within(node: &Node, range: &RangeInclusive<i64>) -> bool {
    match node.kind {
        Kind::Int(value) => range.contains(&value),
        #[expect(
            clippy::cast_precision_loss,
            reason = "the bounds are small, or the largest there is"
        )]
        Kind::Float(value) => (*range.start() as f64..=*range.end() as f64).contains(&value),
        Kind::Null | Kind::Bool(_) | Kind::Str(_) | Kind::Seq(_) | Kind::Map(_) => true,
    }
}

/// Returns what to do about a key that is like none of those that are known.
fn remedy_of_unknown(key: &str, object: &Object) -> String {
    let known: Vec<&str> = object.keys.iter().map(|(key, _)| *key).collect();
    match object.others {
        _ if known.len() <= MAX_KEYS => {
            format!("take it out, or write one of {}", known.join(", "))
        }
        Others::Extensions if key.len() <= MAX_LIKENESS => {
            format!("take it out, or write x-{key}, which means nothing to Compose")
        }
        Others::Refused | Others::Extensions | Others::Any => "take it out".to_owned(),
    }
}

fn is_allowed(key: &str, others: Others) -> bool {
    match others {
        Others::Refused => false,
        Others::Extensions => key.starts_with("x-"),
        Others::Any => true,
    }
}

fn nearest<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    (written.len() <= MAX_LIKENESS)
        .then(|| suggestion(written, known))
        .flatten()
}

/// Returns a text that two values share if JSON Schema takes them for equal.
fn fingerprint(node: &Node) -> String {
    match &node.kind {
        Kind::Null => "null".to_owned(),
        Kind::Bool(value) => value.to_string(),
        Kind::Int(value) => value.to_string(),
        Kind::Float(value) => value.to_string(),
        Kind::Str(text) => format!("{text:?}"),
        Kind::Seq(items) => {
            let items: Vec<String> = items.iter().map(fingerprint).collect();
            format!("[{}]", items.join(","))
        }
        Kind::Map(map) => {
            let mut entries: Vec<String> = map
                .iter()
                .map(|entry| format!("{:?}:{}", entry.key, fingerprint(&entry.value)))
                .collect();
            entries.sort();
            format!("{{{}}}", entries.join(","))
        }
    }
}
