//! Replaces aliases and merge keys by what they stand for.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

use super::load::{Body, Raw, RawMap};
use super::scalar::Resolved;
use crate::diagnostic::Diagnostic;
use crate::yaml::{Entry, Kind, Map, Node};

/// Keys of one mapping, merged ones included.
const MAX_KEYS: usize = 10_000;

/// Makes the tree of a document, and finds the dates and the outsized mappings in it.
///
/// Its cost and its depth are bounded: the loader has counted what comes out.
pub(super) fn expand(file: &Arc<str>, root: &Raw, findings: &mut Vec<Diagnostic>) -> Node {
    let mut expansion = Expansion {
        file,
        found: BTreeSet::new(),
        seen: BTreeSet::new(),
    };
    let node = expansion.node(root, Inside::default());
    findings.extend(expansion.found);
    node
}

struct Expansion<'a> {
    file: &'a Arc<str>,
    /// A set, because a value behind an anchor comes by more than once.
    found: BTreeSet<Diagnostic>,
    /// Collections that came by already, where Compose has taken out what is `!reset`.
    seen: BTreeSet<*const Raw>,
}

/// What a value stands in.
#[derive(Clone, Copy, Default)]
struct Inside {
    /// Beneath a key that begins with `x-`, where Compose takes any value.
    extension: bool,
    /// Beneath `!override`, where Compose looks for no more tags.
    replacement: bool,
}

/// What becomes of a value in a collection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fate {
    Stays,
    /// It is `!reset`: only its place is remembered.
    Resets,
    /// It was `!reset` where the collection stood first; an alias does not see it.
    Gone,
}

impl Expansion<'_> {
    fn node(&mut self, raw: &Raw, inside: Inside) -> Node {
        let mut written_as = None;
        let kind = match &raw.body {
            // Compose drops the value, and only remembers where it stood.
            _ if is_reset(raw) && !inside.replacement => Kind::Null,
            Body::Scalar { value, written } => {
                written_as = Some(written.clone());
                match value {
                    Resolved::Value(kind) => kind.clone(),
                    Resolved::Time => {
                        if !inside.extension {
                            self.date(raw);
                        }
                        Kind::Str(written.text.clone())
                    }
                }
            }
            Body::Seq(items) => Kind::Seq(self.items(raw, items, inside)),
            Body::Map(map) => Kind::Map(self.map(raw, map, inside)),
        };
        Node {
            file: Arc::clone(self.file),
            position: raw.position,
            tag: raw.tag.clone().filter(|_| !inside.replacement),
            kind,
            written: written_as,
        }
    }

    fn items(&mut self, raw: &Raw, items: &[Rc<Raw>], inside: Inside) -> Vec<Node> {
        let below = inside.below(raw);
        let again = self.comes_again(raw, below);
        let stays = items
            .iter()
            .filter(|item| below.fate(item, again) != Fate::Gone);
        stays.map(|item| self.node(item, below)).collect()
    }

    /// Own keys win over merged ones, and earlier merged mappings over later ones.
    fn map(&mut self, raw: &Raw, map: &RawMap, inside: Inside) -> Map {
        let mut collected = Collected::default();
        self.collect(raw, map, inside.below(raw), &mut collected);
        if collected.entries.len() > MAX_KEYS {
            let message = format!("a mapping has more than {MAX_KEYS} keys");
            let finding = Diagnostic::at(self.file, raw.position, message)
                .hint("use fewer merge keys, or split it");
            self.found.insert(finding);
        }
        Map::from_unique(collected.entries)
    }

    fn collect(&mut self, raw: &Raw, map: &RawMap, inside: Inside, collected: &mut Collected) {
        let again = self.comes_again(raw, inside);
        for (key, key_position, value) in &map.entries {
            let fate = inside.fate(value, again);
            if fate == Fate::Gone {
                continue;
            }
            let inside = Inside {
                extension: inside.extension || key.starts_with("x-"),
                ..inside
            };
            if collected.seen.insert(key.clone()) {
                if fate == Fate::Resets {
                    collected
                        .resets
                        .insert(key.clone(), collected.entries.len());
                }
                collected.entries.push(Entry {
                    key: key.clone(),
                    key_position: *key_position,
                    value: self.node(value, inside),
                });
            } else if let Some(index) = collected.resets.remove(key) {
                let merged = self.node(value, inside);
                if let Some(entry) = collected.entries.get_mut(index) {
                    entry.value.kind = merged.kind;
                    entry.value.written = merged.written;
                }
            }
        }
        for merged in &map.merged {
            if let Body::Map(map) = &merged.body {
                self.collect(merged, map, inside, collected);
            }
        }
    }

    /// Notes a collection, unless Compose looks for no tags there, and returns whether it came by
    /// before.
    fn comes_again(&mut self, raw: &Raw, below: Inside) -> bool {
        let one = std::ptr::from_ref(raw);
        if below.replacement {
            self.seen.contains(&one)
        } else {
            !self.seen.insert(one)
        }
    }

    fn date(&mut self, raw: &Raw) {
        let message = "an unquoted date or time, where Compose takes none";
        let finding = Diagnostic::at(self.file, raw.position, message)
            .hint("put quotes around it to make it a string");
        self.found.insert(finding);
    }
}

impl Inside {
    /// Returns what the values of a collection stand in.
    fn below(self, collection: &Raw) -> Self {
        let replaces = collection.tag.as_deref() == Some("!override");
        Self {
            replacement: self.replacement || replaces,
            ..self
        }
    }

    fn fate(self, raw: &Raw, again: bool) -> Fate {
        match (is_reset(raw), again, self.replacement) {
            (true, true, _) => Fate::Gone,
            (true, false, false) => Fate::Resets,
            (true, false, true) | (false, _, _) => Fate::Stays,
        }
    }
}

/// The entries of a mapping while merged ones join them.
#[derive(Default)]
struct Collected {
    seen: BTreeSet<String>,
    /// Keys whose own value is `!reset`, by their index: a merged value still takes the place,
    /// as in Compose, where the reset reaches what earlier files say and not the merge.
    resets: BTreeMap<String, usize>,
    entries: Vec<Entry>,
}

fn is_reset(raw: &Raw) -> bool {
    raw.tag.as_deref() == Some("!reset")
}
