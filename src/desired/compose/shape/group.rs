//! Lists and mappings of single values, as compose-go's types decode and print them.

use std::collections::BTreeMap;

use super::scalar::{Printed, flag, non_empty, written_text};
use crate::desired::compose::place::stands_for;
use crate::desired::compose::refusal::Refusal;
use crate::desired::compose::short;
use crate::diagnostic::Position;
use crate::yaml::{Entry, Kind, Map, Node};

pub(super) fn command(node: &Node) -> Printed {
    match &node.kind {
        Kind::Null => Ok(None),
        Kind::Str(line) => {
            let words = short::split_command(line)?;
            let words = words
                .into_iter()
                .map(|word| stands_for(node, Kind::Str(word)));
            Ok(Some(Kind::Seq(words.collect())))
        }
        Kind::Seq(items) => list(items).map(Some),
        Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Map(_) => Err(Refusal::unlike(
            node,
            "a string or a list",
            "write a list: [sh, -c, '…']",
        )),
    }
}

pub(super) fn test(node: &Node) -> Printed {
    if let Kind::Str(line) = &node.kind {
        let words = ["CMD-SHELL", line].map(|word| stands_for(node, Kind::Str(word.to_owned())));
        return Ok(Some(Kind::Seq(words.into())));
    }
    texts(node)
}

pub(super) fn texts(node: &Node) -> Printed {
    match &node.kind {
        Kind::Null => Ok(None),
        Kind::Seq(items) if items.is_empty() => Ok(None),
        Kind::Seq(items) => list(items).map(Some),
        Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Str(_) | Kind::Map(_) => {
            Err(Refusal::unlike(node, "a list", "write a list: [VALUE]"))
        }
    }
}

pub(super) fn text_or_texts(node: &Node) -> Printed {
    match &node.kind {
        Kind::Str(_) => Ok(Some(Kind::Seq(vec![node.clone()]))),
        Kind::Null
        | Kind::Bool(_)
        | Kind::Int(_)
        | Kind::Float(_)
        | Kind::Seq(_)
        | Kind::Map(_) => texts(node),
    }
}

pub(super) fn scalars_or_text(node: &Node) -> Printed {
    let Kind::Seq(items) = &node.kind else {
        return text_or_texts(node);
    };
    let printed = items.iter().map(|item| {
        let text = item.go_string().unwrap_or_default();
        stands_for(item, Kind::Str(text))
    });
    let printed: Vec<Node> = printed.collect();
    Ok((!printed.is_empty()).then_some(Kind::Seq(printed)))
}

/// Names and texts; a name without value has an empty one.
pub(super) fn pairs(node: &Node) -> Printed {
    let named = named(node)?;
    let value = |value: &Node| {
        Ok(stands_for(
            value,
            Kind::Str(value.go_string().unwrap_or_default()),
        ))
    };
    sorted(named, value)
}

/// Names and texts; a name without value is nothing.
pub(super) fn environment(node: &Node) -> Printed {
    let named = named(node)?;
    if let Kind::Seq(_) = node.kind
        && let Some(name) = named
            .keys()
            .find(|name| name.ends_with(char::is_whitespace))
    {
        let why = format!("the name \"{name}\" ends in a space");
        return Err(Refusal::new(
            why,
            "write NAME=VALUE without spaces around `=`",
        ));
    }
    let value = |value: &Node| {
        let kind = value.go_string().map_or(Kind::Null, Kind::Str);
        Ok(stands_for(value, kind))
    };
    sorted(named, value)
}

/// Names and texts, of which Go reads only strings and integers.
pub(super) fn strict_pairs(node: &Node) -> Printed {
    sorted(named(node)?, |value| {
        Ok(stands_for(value, Kind::Str(written_text(value)?)))
    })
}

/// Names and lists of texts.
pub(super) fn multi_pairs(node: &Node) -> Printed {
    let text = |node: &Node| stands_for(node, Kind::Str(node.go_string().unwrap_or_default()));
    sorted(named(node)?, |value| {
        let items = match &value.kind {
            Kind::Seq(items) => items.iter().map(text).collect(),
            Kind::Null
            | Kind::Bool(_)
            | Kind::Int(_)
            | Kind::Float(_)
            | Kind::Str(_)
            | Kind::Map(_) => vec![text(value)],
        };
        Ok(stands_for(value, Kind::Seq(items)))
    })
}

pub(super) fn hosts(node: &Node) -> Printed {
    let mut lines = Vec::new();
    match &node.kind {
        Kind::Null => {}
        Kind::Map(map) => {
            for entry in map {
                let addresses = match &entry.value.kind {
                    Kind::Seq(items) => items.as_slice(),
                    Kind::Null
                    | Kind::Bool(_)
                    | Kind::Int(_)
                    | Kind::Float(_)
                    | Kind::Str(_)
                    | Kind::Map(_) => std::slice::from_ref(&entry.value),
                };
                check_host(&entry.key)?;
                for address in addresses {
                    let text = address.go_string().unwrap_or_default();
                    lines.push((host_line(&entry.key, &text), address));
                }
            }
        }
        Kind::Seq(items) => {
            for item in items {
                let text = item.go_string().unwrap_or_default();
                let Some((host, addresses)) = text.split_once('=').or_else(|| text.split_once(':'))
                else {
                    let hint = "write HOST=ADDRESS, such as db=10.0.0.5";
                    return Err(Refusal::new("an address is missing", hint));
                };
                check_host(host)?;
                for address in addresses.split(',') {
                    lines.push((host_line(host, address), item));
                }
            }
        }
        Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Str(_) => {
            let hint = "write a mapping: {db: 10.0.0.5}";
            return Err(Refusal::unlike(node, "a mapping or a list", hint));
        }
    }
    lines.sort_by(|(a, _), (b, _)| a.cmp(b));
    let lines = lines
        .into_iter()
        .map(|(line, at)| stands_for(at, Kind::Str(line)));
    let lines: Vec<Node> = lines.collect();
    Ok((!lines.is_empty()).then_some(Kind::Seq(lines)))
}

/// Environment files; one that is required is its path alone.
pub(super) fn env_files(node: &Node) -> Printed {
    let Kind::Seq(items) = &node.kind else {
        return texts(node);
    };
    let mut files = Vec::new();
    for item in items {
        let Kind::Map(file) = &item.kind else {
            files.push(item.clone());
            continue;
        };
        let text = |key| match file.get(key) {
            Some(node) => written_text(node),
            None => Ok(String::new()),
        };
        let path = text("path")?;
        if file.get("required").map_or(Ok(None), flag)? == Some(true) {
            files.push(stands_for(item, Kind::Str(path)));
            continue;
        }
        let mut printed = Map::default();
        let fields = [
            ("path", non_empty(path)),
            ("required", Some(Kind::Bool(false))),
            ("format", non_empty(text("format")?)),
        ];
        for (key, kind) in fields {
            if let Some(kind) = kind {
                printed.insert(key, item.position, stands_for(item, kind));
            }
        }
        files.push(stands_for(item, Kind::Map(printed)));
    }
    Ok((!files.is_empty()).then_some(Kind::Seq(files)))
}

/// Keys for SSH: `ID`, or `ID=PATH` (which the real Compose fails to print as JSON).
pub(super) fn ssh(node: &Node) -> Printed {
    let Kind::Map(keys) = &node.kind else {
        return texts(node);
    };
    let mut lines: Vec<(String, &Node)> = Vec::new();
    for Entry { key, value, .. } in keys {
        let path = value.go_string().unwrap_or_default();
        let line = if path.is_empty() {
            key.clone()
        } else {
            format!("{key}={path}")
        };
        lines.push((line, value));
    }
    lines.sort_by(|(a, _), (b, _)| a.cmp(b));
    let lines = lines
        .into_iter()
        .map(|(line, at)| stands_for(at, Kind::Str(line)));
    let lines: Vec<Node> = lines.collect();
    Ok((!lines.is_empty()).then_some(Kind::Seq(lines)))
}

fn check_host(host: &str) -> Result<(), Refusal> {
    if host.is_empty() || host.contains([':', '=']) {
        let why = format!("\"{host}\" can't be the name of a host");
        return Err(Refusal::new(why, "write HOST=ADDRESS, such as db=10.0.0.5"));
    }
    Ok(())
}

fn host_line(host: &str, address: &str) -> String {
    let bare = address
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    let bare = bare.filter(|bare| !bare.is_empty()).unwrap_or(address);
    format!("{host}={bare}")
}

fn list(items: &[Node]) -> Result<Kind, Refusal> {
    let printed = items
        .iter()
        .map(|item| Ok(stands_for(item, Kind::Str(written_text(item)?))));
    printed
        .collect::<Result<Vec<Node>, Refusal>>()
        .map(Kind::Seq)
}

/// Returns names and their values, in the order of the names; of a list, what `NAME=VALUE` says.
fn named(node: &Node) -> Result<BTreeMap<String, (Position, Node)>, Refusal> {
    let mut named = BTreeMap::new();
    match &node.kind {
        Kind::Null => {}
        Kind::Map(map) => {
            for entry in map {
                let value = (entry.key_position, entry.value.clone());
                named.insert(entry.key.clone(), value);
            }
        }
        Kind::Seq(items) => {
            for item in items {
                let text = item.go_string().unwrap_or_default();
                let (name, kind) = match text.split_once('=') {
                    Some((name, value)) => (name.to_owned(), Kind::Str(value.to_owned())),
                    None => (text, Kind::Null),
                };
                named.insert(name, (item.position, stands_for(item, kind)));
            }
        }
        Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Str(_) => {
            let hint = "write a mapping: {NAME: VALUE}";
            return Err(Refusal::unlike(node, "a mapping or a list", hint));
        }
    }
    Ok(named)
}

fn sorted(
    named: BTreeMap<String, (Position, Node)>,
    print: impl Fn(&Node) -> Result<Node, Refusal>,
) -> Printed {
    if named.is_empty() {
        return Ok(None);
    }
    let entries = named.into_iter().map(|(key, (key_position, value))| {
        let value = print(&value)
            .map_err(|refusal| Refusal::new(format!("{key}: {}", refusal.why), refusal.hint))?;
        Ok(Entry {
            key,
            key_position,
            value,
        })
    });
    let entries = entries.collect::<Result<Vec<Entry>, Refusal>>()?;
    Ok(Some(Kind::Map(Map::from_unique(entries))))
}
