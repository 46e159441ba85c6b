//! Replaces aliases and merge keys by what they stand for.

use std::collections::{BTreeMap, BTreeSet};
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
    };
    let node = expansion.node(root, false);
    findings.extend(expansion.found);
    node
}

struct Expansion<'a> {
    file: &'a Arc<str>,
    /// A set, because a value behind an anchor comes by more than once.
    found: BTreeSet<Diagnostic>,
}

impl Expansion<'_> {
    /// `is_extension`: beneath a key that begins with `x-`, where Compose takes any value.
    fn node(&mut self, raw: &Raw, is_extension: bool) -> Node {
        let mut written_as = None;
        let kind = match &raw.body {
            // Compose drops the value, and only remembers where it stood.
            _ if is_reset(raw) => Kind::Null,
            Body::Scalar { value, written } => {
                written_as = Some(written.clone());
                match value {
                    Resolved::Value(kind) => kind.clone(),
                    Resolved::Time => {
                        if !is_extension {
                            self.date(raw);
                        }
                        Kind::Str(written.text.clone())
                    }
                }
            }
            Body::Seq(items) => {
                let items = items.iter().map(|item| self.node(item, is_extension));
                Kind::Seq(items.collect())
            }
            Body::Map(map) => Kind::Map(self.map(raw, map, is_extension)),
        };
        Node {
            file: Arc::clone(self.file),
            position: raw.position,
            tag: raw.tag.clone(),
            kind,
            written: written_as,
        }
    }

    /// Own keys win over merged ones, and earlier merged mappings over later ones.
    fn map(&mut self, raw: &Raw, map: &RawMap, is_extension: bool) -> Map {
        let mut collected = Collected::default();
        self.collect(map, is_extension, &mut collected);
        if collected.entries.len() > MAX_KEYS {
            let message = format!("a mapping has more than {MAX_KEYS} keys");
            let finding = Diagnostic::at(self.file, raw.position, message);
            self.found.insert(finding);
        }
        Map::from_unique(collected.entries)
    }

    fn collect(&mut self, map: &RawMap, is_extension: bool, collected: &mut Collected) {
        for (key, key_position, value) in &map.entries {
            let is_extension = is_extension || key.starts_with("x-");
            if collected.seen.insert(key.clone()) {
                if is_reset(value) {
                    collected
                        .resets
                        .insert(key.clone(), collected.entries.len());
                }
                collected.entries.push(Entry {
                    key: key.clone(),
                    key_position: *key_position,
                    value: self.node(value, is_extension),
                });
            } else if let Some(index) = collected.resets.remove(key) {
                let merged = self.node(value, is_extension);
                if let Some(entry) = collected.entries.get_mut(index) {
                    entry.value.kind = merged.kind;
                    entry.value.written = merged.written;
                }
            }
        }
        for merged in &map.merged {
            if let Body::Map(merged) = &merged.body {
                self.collect(merged, is_extension, collected);
            }
        }
    }

    fn date(&mut self, raw: &Raw) {
        let message = "an unquoted date or time, where Compose takes none";
        let finding = Diagnostic::at(self.file, raw.position, message)
            .hint("put quotes around it to make it a string");
        self.found.insert(finding);
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
