//! Puts a Compose file over the ones before it, and a service over the one that it extends.
//!
//! The rules are those of compose-go (its `override/merge.go`): mappings merge, lists append,
//! scalars replace. [`RULES`] has the places where it is otherwise. What comes first is mostly in
//! long forms already, what comes over it as written.

mod pools;
#[cfg(test)]
mod tests;

use self::pools::pools;
use super::pattern::{display, fits};
use crate::diagnostic::{Diagnostic, Position};
use crate::yaml::{Entry, Kind, Map, Node};

/// How two values become one.
#[derive(Clone, Copy)]
enum Rule {
    /// The later one as a whole.
    Replace,
    /// One list of texts; a mapping becomes `KEY=VALUE`.
    Texts,
    /// Like [`Rule::Texts`], without those that are there already.
    Hosts,
    /// Mappings, where a string is the `context`.
    Build,
    /// Mappings, where a list has services to wait for.
    Dependencies,
    /// Mappings, where a list has the keys.
    Names,
    /// Mappings, when both have one driver.
    Logging,
    /// Address pools by their subnet.
    Pools,
}

const RULES: [(&str, Rule); 29] = [
    ("networks.*.ipam.config", Rule::Pools),
    ("networks.*.labels", Rule::Texts),
    ("volumes.*.labels", Rule::Texts),
    ("services.*.annotations", Rule::Texts),
    ("services.*.build", Rule::Build),
    ("services.*.build.args", Rule::Texts),
    ("services.*.build.additional_contexts", Rule::Texts),
    ("services.*.build.extra_hosts", Rule::Hosts),
    ("services.*.build.labels", Rule::Texts),
    ("services.*.command", Rule::Replace),
    ("services.*.depends_on", Rule::Dependencies),
    ("services.*.deploy.labels", Rule::Texts),
    ("services.*.dns", Rule::Texts),
    ("services.*.dns_opt", Rule::Texts),
    ("services.*.dns_search", Rule::Texts),
    ("services.*.entrypoint", Rule::Replace),
    ("services.*.env_file", Rule::Texts),
    ("services.*.label_file", Rule::Texts),
    ("services.*.environment", Rule::Texts),
    ("services.*.extra_hosts", Rule::Hosts),
    ("services.*.healthcheck.test", Rule::Replace),
    ("services.*.labels", Rule::Texts),
    ("services.*.logging", Rule::Logging),
    ("services.*.models", Rule::Names),
    ("services.*.networks", Rule::Names),
    ("services.*.sysctls", Rule::Texts),
    ("services.*.tmpfs", Rule::Texts),
    ("services.*.ulimits.*", Rule::Replace),
    ("services.*.volumes.*.volume.labels", Rule::Texts),
];

/// Puts the file `over` over `base`.
pub(super) fn file(base: &mut Node, over: Node) -> Result<(), Diagnostic> {
    let mut path = Vec::new();
    let before = take(base);
    *base = value(before, over, &mut path)?;
    Ok(())
}

/// Puts the service `over` over the one that it extends.
pub(super) fn service(name: &str, base: Node, over: Node) -> Result<Node, Diagnostic> {
    value(
        base,
        over,
        &mut vec!["services".to_owned(), name.to_owned()],
    )
}

fn value(base: Node, over: Node, path: &mut Vec<String>) -> Result<Node, Diagnostic> {
    let rule = RULES.iter().find(|(pattern, _)| fits(path, pattern));
    if let Some((_, rule)) = rule {
        return special(*rule, base, over, path);
    }
    if over.is_null() {
        return Ok(base);
    }
    match (&base.kind, &over.kind) {
        (Kind::Map(_), Kind::Map(_)) => mappings(base, over, path),
        (Kind::Seq(_), Kind::Seq(_)) => Ok(appended(base, over)),
        (Kind::Map(_) | Kind::Seq(_), _) => Err(unlike(&base, &over, path)),
        (Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Str(_), _) => Ok(over),
    }
}

fn special(rule: Rule, base: Node, over: Node, path: &mut Vec<String>) -> Result<Node, Diagnostic> {
    match rule {
        Rule::Replace => Ok(over),
        Rule::Texts => Ok(appended(texts(base, path)?, texts(over, path)?)),
        Rule::Hosts => Ok(hosts(texts(base, path)?, texts(over, path)?)),
        Rule::Build => mappings(build(base), build(over), path),
        Rule::Dependencies => mappings(
            keyed(base, path, started)?,
            keyed(over, path, started)?,
            path,
        ),
        Rule::Names => mappings(
            keyed(base, path, nothing)?,
            keyed(over, path, nothing)?,
            path,
        ),
        Rule::Logging => logging(base, over, path),
        Rule::Pools => pools(&base, over, path),
    }
}

/// Merges two mappings; null counts as an empty one.
fn mappings(base: Node, over: Node, path: &mut Vec<String>) -> Result<Node, Diagnostic> {
    let (base, over) = (null_to_map(base), null_to_map(over));
    if base.as_map().is_none() || over.as_map().is_none() {
        return Err(unlike(&base, &over, path));
    }
    let Node { kind, .. } = over;
    let mut merged = base;
    if let (Kind::Map(base), Kind::Map(over)) = (&mut merged.kind, kind) {
        for entry in over {
            key(base, entry, path)?;
        }
    }
    Ok(merged)
}

fn key(base: &mut Map, over: Entry, path: &mut Vec<String>) -> Result<(), Diagnostic> {
    let Some(before) = base.get_mut(&over.key) else {
        base.insert(over.key, over.key_position, over.value);
        return Ok(());
    };
    path.push(over.key);
    let taken = take(before);
    *before = value(taken, over.value, path)?;
    path.pop();
    Ok(())
}

fn appended(mut base: Node, over: Node) -> Node {
    if let (Kind::Seq(items), Kind::Seq(more)) = (&mut base.kind, over.kind) {
        items.extend(more);
    }
    base
}

/// Makes a list of texts of a mapping, a string or nothing.
fn texts(node: Node, path: &[String]) -> Result<Node, Diagnostic> {
    let mut list = Node::new(&node.file, node.position, Kind::Null);
    let items = match node.kind {
        Kind::Seq(items) => items,
        Kind::Str(_) => vec![node],
        Kind::Map(map) => {
            let mut texts = Vec::new();
            for entry in map {
                pairs(entry, path, &mut texts)?;
            }
            texts.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
            texts
        }
        Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) => Vec::new(),
    };
    list.kind = Kind::Seq(items);
    Ok(list)
}

/// Makes `KEY=VALUE` of an entry, once for each item of a list; a bare `KEY` of nothing.
fn pairs(entry: Entry, path: &[String], texts: &mut Vec<Node>) -> Result<(), Diagnostic> {
    let Entry { key, value, .. } = entry;
    let text = |node: &Node, text: String| Node::new(&node.file, node.position, Kind::Str(text));
    match &value.kind {
        Kind::Null => texts.push(text(&value, key)),
        Kind::Seq(items) => {
            for item in items {
                let written = item.go_string().ok_or_else(|| not_a_text(item, path))?;
                texts.push(text(item, format!("{key}={written}")));
            }
        }
        Kind::Map(_) => return Err(not_a_text(&value, path)),
        Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Str(_) => {
            let written = value.go_string().unwrap_or_default();
            texts.push(text(&value, format!("{key}={written}")));
        }
    }
    Ok(())
}

fn hosts(mut base: Node, over: Node) -> Node {
    if let (Kind::Seq(items), Kind::Seq(more)) = (&mut base.kind, over.kind) {
        let known: std::collections::BTreeSet<String> =
            items.iter().filter_map(Node::go_string).collect();
        items.extend(
            more.into_iter()
                .filter(|item| item.go_string().is_none_or(|text| !known.contains(&text))),
        );
    }
    base
}

/// Gives the short form of `build` its key.
fn build(node: Node) -> Node {
    if node.as_str().is_none() {
        return node;
    }
    let mut map = Map::default();
    let mut long = Node::new(&node.file, node.position, Kind::Null);
    map.insert("context", node.position, node);
    long.kind = Kind::Map(map);
    long
}

/// Makes a mapping of a list of names.
fn keyed(mut node: Node, path: &[String], value: fn(&Node) -> Node) -> Result<Node, Diagnostic> {
    let Kind::Seq(items) = node.kind else {
        return Ok(node);
    };
    let mut map = Map::default();
    for item in &items {
        let Some(name) = item.as_str() else {
            let message = format!("{} must have names only", display(path));
            return Err(
                Diagnostic::new(item.location(), message).hint("write each item as one name")
            );
        };
        map.insert(name, item.position, value(item));
    }
    node.kind = Kind::Map(map);
    Ok(node)
}

fn nothing(at: &Node) -> Node {
    Node::new(&at.file, at.position, Kind::Null)
}

/// Returns the long form of a dependency that is only named.
fn started(at: &Node) -> Node {
    let make = |kind| Node::new(&at.file, at.position, kind);
    let mut map = Map::default();
    let condition = Kind::Str("service_started".to_owned());
    map.insert("condition", at.position, make(condition));
    map.insert("required", at.position, make(Kind::Bool(true)));
    make(Kind::Map(map))
}

/// The options of a driver mean nothing to another one.
fn logging(base: Node, over: Node, path: &mut Vec<String>) -> Result<Node, Diagnostic> {
    let driver = |node: &Node| node.as_map().and_then(|map| map.get("driver")).cloned();
    match (driver(&base), driver(&over)) {
        (Some(before), Some(after)) if !before.same_value(&after) => Ok(over),
        _ if base.as_map().is_none() || over.as_map().is_none() => Err(unlike(&base, &over, path)),
        _ => mappings(base, over, path),
    }
}

fn null_to_map(mut node: Node) -> Node {
    if node.is_null() {
        node.kind = Kind::Map(Map::default());
    }
    node
}

/// Takes a value out of its place, which is about to get another one.
fn take(node: &mut Node) -> Node {
    let empty = Node::new(&node.file, Position::default(), Kind::Null);
    std::mem::replace(node, empty)
}

fn unlike(base: &Node, over: &Node, path: &[String]) -> Diagnostic {
    let message = format!(
        "{} is {} here and {} in {}, so that they can't be merged",
        display(path),
        over.kind_name(),
        base.kind_name(),
        base.location()
    );
    Diagnostic::new(over.location(), message)
        .hint("write both in the same form, or replace the earlier one with `!override`")
}

fn not_a_text(node: &Node, path: &[String]) -> Diagnostic {
    let message = format!(
        "{} must have texts only, not {}",
        display(path),
        node.kind_name()
    );
    Diagnostic::new(node.location(), message).hint("write KEY: VALUE, with one text as the value")
}
