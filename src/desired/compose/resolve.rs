//! Puts environment, labels, configs and secrets together from variables and files.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::env_file::{self, Entries};
use super::interpolate::Variables;
use super::load::{Loader, Scope};
use super::normalize::{like, text};
use super::place::entries;
use crate::diagnostic::{Diagnostic, Diagnostics, Position};
use crate::yaml::{Entry, Kind, Map, Node};

/// Key under which a secret keeps the value of its variable until the whole project is read;
/// Compose uses the same one.
const SECRET_VALUE: &str = "x-#value";

/// Values by name, each with where it comes from; `None` = a name without a value.
type Values = BTreeMap<String, (Option<String>, Node)>;

/// Gives bare names in lists, secrets and configs the values of their variables.
pub(super) fn variables_of_lists(file: &mut Node, variables: &dyn Variables) {
    let Kind::Map(top) = &mut file.kind else {
        return;
    };
    for service in entries(top, "services") {
        let Kind::Map(service) = &mut service.value.kind else {
            continue;
        };
        let environment = service.get_mut("environment").map(|node| &mut node.kind);
        let Some(Kind::Seq(items)) = environment else {
            continue;
        };
        for item in items {
            if let Kind::Str(name) = &mut item.kind
                && let Some(value) = variables.get(name)
            {
                *name = format!("{name}={value}");
            }
        }
    }
    for (section, key) in [("secrets", SECRET_VALUE), ("configs", "content")] {
        for object in entries(top, section) {
            let Kind::Map(object) = &mut object.value.kind else {
                continue;
            };
            let Some(variable) = object.get("environment") else {
                continue;
            };
            if let Some(value) = variable.as_str().and_then(|name| variables.get(name)) {
                let value = text(variable, &value);
                object.insert(key, value.position, value);
            }
        }
    }
}

/// Takes the values of secrets out of a project, by the keys of the secrets.
pub(super) fn take_secrets(project: &mut Node) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    let Kind::Map(top) = &mut project.kind else {
        return values;
    };
    for secret in entries(top, "secrets") {
        let Kind::Map(map) = &mut secret.value.kind else {
            continue;
        };
        if let Some(value) = map.remove(SECRET_VALUE)
            && let Some(value) = value.value.as_str()
        {
            values.insert(secret.key.clone(), value.to_owned());
        }
    }
    values
}

/// Reads the environment and label files of all services.
pub(super) fn services(
    project: &mut Node,
    scope: &Scope<'_>,
    loader: &Loader<'_>,
) -> Result<(), Diagnostics> {
    let Kind::Map(top) = &mut project.kind else {
        return Ok(());
    };
    let mut findings = Vec::new();
    for service in entries(top, "services") {
        let Kind::Map(service) = &mut service.value.kind else {
            continue;
        };
        if let Some(files) = service.remove("env_file") {
            let result = environment(service, &files.value, scope, loader);
            findings.extend(result.err().into_iter().flat_map(|found| found.0));
        }
        // It stays, for Docker Compose's hash of the service has it.
        if let Some(files) = service.get("label_file").cloned() {
            let result = labels(service, &files, loader);
            findings.extend(result.err().into_iter().flat_map(|found| found.0));
        }
    }
    Diagnostics::check(findings)
}

/// Adds the values of environment files, which yield to what the service itself says.
fn environment(
    service: &mut Map,
    files: &Node,
    scope: &Scope<'_>,
    loader: &Loader<'_>,
) -> Result<(), Diagnostics> {
    let own = values(service.get("environment"));
    let known = own.iter();
    let mut before: BTreeMap<String, String> = known
        .filter_map(|(name, (value, _))| Some((name.clone(), value.clone()?)))
        .collect();
    let of_service = before.clone();
    let lookup = |name: &str| {
        let of_project = scope.variables.get(name);
        of_project.or_else(|| of_service.get(name).cloned())
    };
    let mut merged = Values::new();
    for file in files.as_seq().unwrap_or_default() {
        let path = file.at(&["path"]).unwrap_or(file);
        let is_required = !matches!(
            file.at(&["required"]).map(|node| &node.kind),
            Some(Kind::Bool(false))
        );
        let Some(text) = read(loader, path, is_required, Read::Environment)? else {
            continue;
        };
        let name = loader.name(path.as_str().unwrap_or_default());
        let format = file
            .at(&["format"])
            .and_then(Node::as_str)
            .unwrap_or_default();
        let entries = match format {
            "" | ".env" => env_file::parse_after(&name, &text, &lookup, &before)?,
            "raw" => env_file::parse_raw(&name, &text, &lookup)?,
            other => {
                let message = format!("\"{other}\" is not a format of environment files");
                let at = file.at(&["format"]).unwrap_or(file);
                let hint = "leave it out, or write: format: raw";
                return Err(Diagnostic::new(at.location(), message).hint(hint).into());
            }
        };
        let set = entries
            .iter()
            .filter_map(|(key, value)| Some((key.clone(), value.clone()?)));
        let mut env_files = loader.env_files.borrow_mut();
        env_files.entry(name.clone()).or_default().extend(set);
        add(entries, &name, &mut before, &mut merged);
    }
    merged.extend(own);
    set(service, "environment", merged, files);
    Ok(())
}

/// Adds the values of label files, which yield to what the service itself says.
fn labels(service: &mut Map, files: &Node, loader: &Loader<'_>) -> Result<(), Diagnostics> {
    let own = values(service.get("labels"));
    let mut before = BTreeMap::new();
    let mut merged = Values::new();
    for file in files.as_seq().unwrap_or_default() {
        let Some(text) = read(loader, file, true, Read::Labels)? else {
            continue;
        };
        let name = loader.name(file.as_str().unwrap_or_default());
        let earlier = before.clone();
        let lookup = |name: &str| earlier.get(name).cloned();
        let entries = env_file::parse_after(&name, &text, &lookup, &BTreeMap::new())?;
        add(entries, &name, &mut before, &mut merged);
    }
    for (name, (value, node)) in own {
        merged.insert(name, (Some(value.unwrap_or_default()), node));
    }
    set(service, "labels", merged, files);
    Ok(())
}

/// What a file is read for.
#[derive(Clone, Copy)]
enum Read {
    Environment,
    Labels,
}

fn read(
    loader: &Loader<'_>,
    path: &Node,
    is_required: bool,
    what: Read,
) -> Result<Option<Vec<u8>>, Diagnostic> {
    let Some(written) = path.as_str() else {
        let message = format!("a path must be a string, not {}", path.kind_name());
        let hint = "write a path such as ./web.env";
        return Err(Diagnostic::new(path.location(), message).hint(hint));
    };
    let text = match what {
        Read::Environment => loader.read(written, Some(path))?,
        Read::Labels => loader.read_document(written, Some(path))?,
    };
    match text {
        Some(text) => Ok(Some(text)),
        None if !is_required => Ok(None),
        None => {
            let name = loader.name(written);
            let (message, hint) = match what {
                Read::Environment => (
                    format!("the environment file {name} does not exist"),
                    "create it, or write: env_file: [{path: FILE, required: false}]",
                ),
                Read::Labels => (
                    format!("the label file {name} does not exist"),
                    "create it, or take it out",
                ),
            };
            Err(Diagnostic::new(path.location(), message).hint(hint))
        }
    }
}

/// Adds the entries of a file; a name without a value says nothing.
fn add(entries: Entries, file: &str, before: &mut BTreeMap<String, String>, merged: &mut Values) {
    let file: Arc<str> = file.into();
    let position = Position { line: 1, column: 1 };
    for (name, value) in entries {
        let Some(value) = value else { continue };
        before.insert(name.clone(), value.clone());
        let at = Node::new(&file, position, Kind::Null);
        merged.insert(name, (Some(value), at));
    }
}

/// Reads a mapping, or a list of `NAME=VALUE`.
fn values(node: Option<&Node>) -> Values {
    let mut values = Values::new();
    match node.map(|node| &node.kind) {
        Some(Kind::Map(map)) => {
            for entry in map {
                let value = entry.value.go_string();
                let at = like(&entry.value, Kind::Null);
                values.insert(entry.key.clone(), (value, at));
            }
        }
        Some(Kind::Seq(items)) => {
            for item in items {
                let written = item.go_string().unwrap_or_default();
                let (name, value) = match written.split_once('=') {
                    Some((name, value)) => (name.to_owned(), Some(value.to_owned())),
                    None => (written, None),
                };
                values.insert(name, (value, like(item, Kind::Null)));
            }
        }
        Some(Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Str(_)) | None => {}
    }
    values
}

fn set(service: &mut Map, key: &str, values: Values, at: &Node) {
    if values.is_empty() && !service.contains_key(key) {
        return;
    }
    let entry = |(key, (value, at)): (String, (Option<String>, Node))| Entry {
        key,
        key_position: at.position,
        value: like(&at, value.map_or(Kind::Null, Kind::Str)),
    };
    let map: Map = values.into_iter().map(entry).collect();
    let node = like(service.get(key).unwrap_or(at), Kind::Map(map));
    service.insert(key, node.position, node);
}
