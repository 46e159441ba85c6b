//! Brings in what other Compose files say, each with variables and a folder of its own.

use std::collections::BTreeMap;
use std::path::Path;

use super::extends::{Bases, folder, remote};
use super::load::{Layered, Loader, Scope, Source};
use super::{env_file, lexical};
use crate::diagnostic::{Diagnostic, Diagnostics, suggestion};
use crate::yaml::{Kind, Map, Node};

/// Files that include one another; each level costs stack.
const MAX_CHAIN: usize = 32;
/// What is brought in.
const SECTIONS: [&str; 6] = [
    "services", "volumes", "networks", "secrets", "configs", "models",
];
const KEYS: [&str; 3] = ["path", "project_directory", "env_file"];

/// One entry of `include`.
struct Inclusion<'a> {
    at: &'a Node,
    paths: Vec<&'a Node>,
    project_directory: &'a str,
    env_files: Vec<&'a Node>,
}

/// Replaces `include` of a file by what it names.
pub(super) fn apply(
    loader: &Loader<'_>,
    file: &mut Node,
    path: &str,
    scope: &Scope<'_>,
) -> Result<(), Diagnostics> {
    let Kind::Map(top) = &mut file.kind else {
        return Ok(());
    };
    let Some(include) = top.remove("include") else {
        return Ok(());
    };
    let include = include.value;
    if include.is_null() {
        return Ok(());
    }
    let Some(entries) = include.as_seq() else {
        let message = format!("include must be a list, not {}", include.kind_name());
        return Err(Diagnostic::new(include.location(), message)
            .hint("write: include: [FILE]")
            .into());
    };
    let mut chain = scope.chain.clone();
    chain.push(path.to_owned());
    if chain.len() > MAX_CHAIN {
        let message = format!("more than {MAX_CHAIN} files include one another");
        let hint = "include the file from one that is nearer to the first";
        return Err(Diagnostic::new(include.location(), message)
            .hint(hint)
            .into());
    }
    for entry in entries {
        let inclusion = read(entry, loader)?;
        let included = bring_in(loader, &inclusion, scope, &chain)?;
        insert(top, included, inclusion.at)?;
    }
    Ok(())
}

fn bring_in(
    loader: &Loader<'_>,
    inclusion: &Inclusion<'_>,
    scope: &Scope<'_>,
    chain: &[String],
) -> Result<Node, Diagnostics> {
    let mut sources: Vec<Source<'_>> = Vec::new();
    for node in &inclusion.paths {
        let path = file_path(node, scope, chain, sources.is_empty())?;
        sources.push((path, Some(node)));
    }
    let Some((main, _)) = sources.first() else {
        let found = Diagnostic::new(inclusion.at.location(), "the entry names no file");
        return Err(found.hint("write: include: [FILE]").into());
    };
    let directory = inclusion.project_directory;
    let (root, base) = match directory {
        "" => (lexical::parent(main), folder(loader, &scope.root, main)),
        _ if directory.starts_with('/') => (directory.to_owned(), directory.to_owned()),
        _ => {
            let root = loader.absolute(&lexical::join(&scope.base, directory));
            (root, folder(loader, &scope.root, directory))
        }
    };
    let values = variables(loader, inclusion, scope, &root)?;
    let variables = Layered {
        under: scope.variables,
        values,
    };
    let inner = Scope {
        variables: &variables,
        root,
        base,
        chain: chain.to_vec(),
        bases: Bases::default(),
    };
    loader.model(&sources, &inner)
}

fn file_path(
    node: &Node,
    scope: &Scope<'_>,
    chain: &[String],
    is_main: bool,
) -> Result<String, Diagnostic> {
    let Some(path) = node.as_str() else {
        let message = format!("a path must be a string, not {}", node.kind_name());
        let hint = "write a path such as ./db.yaml";
        return Err(Diagnostic::new(node.location(), message).hint(hint));
    };
    if let Some(kind) = remote(path) {
        let message = format!("{kind} can't be included: {path}");
        let hint = "commit the file beside the others, and include that";
        return Err(Diagnostic::new(node.location(), message).hint(hint));
    }
    let path = lexical::absolute(&scope.root, path);
    if is_main && chain.contains(&path) {
        let names: Vec<&str> = chain.iter().map(|one| lexical::file_name(one)).collect();
        let message = format!(
            "files include one another in a circle: {} → {}",
            names.join(" → "),
            lexical::file_name(&path)
        );
        let hint = "take this entry out, or move what both need into a third file";
        return Err(Diagnostic::new(node.location(), message).hint(hint));
    }
    Ok(path)
}

/// Reads the environment files of an entry, without those that are set already.
fn variables(
    loader: &Loader<'_>,
    inclusion: &Inclusion<'_>,
    scope: &Scope<'_>,
    root: &str,
) -> Result<BTreeMap<String, String>, Diagnostics> {
    let mut values = BTreeMap::new();
    let mut add = |path: &str, at: Option<&Node>| -> Result<bool, Diagnostics> {
        let Some(text) = loader.read_document(path, at)? else {
            return Ok(false);
        };
        let name = loader.name(path);
        let lookup = |name: &str| scope.variables.get(name);
        let entries = env_file::parse_after(&name, &text, &lookup, &values)?;
        let set = entries
            .into_iter()
            .filter_map(|(key, value)| Some((key, value?)));
        values.extend(set);
        Ok(true)
    };
    if inclusion.env_files.is_empty() {
        let path = lexical::join(root, ".env");
        if !loader.files.is_dir(Path::new(&path)) {
            add(&path, None)?;
        }
        return Ok(values);
    }
    for node in &inclusion.env_files {
        let Some(path) = node.as_str() else {
            let message = format!("a path must be a string, not {}", node.kind_name());
            let hint = "write a path such as ./db.env";
            return Err(Diagnostic::new(node.location(), message).hint(hint).into());
        };
        let path = loader.absolute(&lexical::absolute(&scope.base, path));
        if !add(&path, Some(node))? {
            let message = format!("the environment file {} does not exist", loader.name(&path));
            let hint = "create it, or correct its path";
            return Err(Diagnostic::new(node.location(), message).hint(hint).into());
        }
    }
    Ok(values)
}

fn read<'a>(entry: &'a Node, loader: &Loader<'_>) -> Result<Inclusion<'a>, Diagnostic> {
    let mut inclusion = Inclusion {
        at: entry,
        paths: Vec::new(),
        project_directory: "",
        env_files: Vec::new(),
    };
    match &entry.kind {
        Kind::Str(_) => inclusion.paths.push(entry),
        Kind::Map(map) => {
            warn_of_unknown(entry, map, loader);
            inclusion.paths = one_or_more(map, "path")?;
            inclusion.env_files = one_or_more(map, "env_file")?;
            if let Some(node) = map.get("project_directory").filter(|node| !node.is_null()) {
                inclusion.project_directory = node.as_str().ok_or_else(|| {
                    let kind = node.kind_name();
                    let message = format!("project_directory must be a string, not {kind}");
                    Diagnostic::new(node.location(), message).hint("write a path such as ./db")
                })?;
            }
        }
        Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Seq(_) => {
            let message = format!(
                "an included file must be a path or a mapping, not {}",
                entry.kind_name()
            );
            return Err(Diagnostic::new(entry.location(), message)
                .hint("write: include: [FILE], or {path: FILE, project_directory: FOLDER}"));
        }
    }
    Ok(inclusion)
}

/// Compose reads over such keys here.
fn warn_of_unknown(entry: &Node, map: &Map, loader: &Loader<'_>) {
    for unknown in map
        .iter()
        .filter(|entry| !KEYS.contains(&entry.key.as_str()))
    {
        let key = &unknown.key;
        if key.starts_with("x-") {
            continue;
        }
        let message = format!("include: unknown key \"{key}\" means nothing");
        let found = Diagnostic::at(&entry.file, unknown.key_position, message);
        let hint = suggestion(key, KEYS);
        let hint =
            hint.unwrap_or_else(|| format!("take it out, or write one of {}", KEYS.join(", ")));
        loader.warn(found.hint(hint));
    }
}

fn one_or_more<'a>(map: &'a Map, key: &str) -> Result<Vec<&'a Node>, Diagnostic> {
    let Some(node) = map.get(key).filter(|node| !node.is_null()) else {
        return Ok(Vec::new());
    };
    match &node.kind {
        Kind::Str(_) => Ok(vec![node]),
        Kind::Seq(items) => Ok(items.iter().collect()),
        Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Map(_) => {
            let message = format!(
                "{key} must be a path or a list of paths, not {}",
                node.kind_name()
            );
            let hint = format!("write {key}: [FILE]");
            Err(Diagnostic::new(node.location(), message).hint(hint))
        }
    }
}

/// Puts included objects beside those of the file, which may say the same but nothing else.
fn insert(top: &mut Map, included: Node, at: &Node) -> Result<(), Diagnostics> {
    let Kind::Map(mut included) = included.kind else {
        return Ok(());
    };
    let mut findings = Vec::new();
    for section in SECTIONS {
        let Some(from) = included.remove(section) else {
            continue;
        };
        let Kind::Map(objects) = from.value.kind else {
            continue;
        };
        if !top.contains_key(section) {
            let empty = Node::new(&at.file, at.position, Kind::Map(Map::default()));
            top.insert(section, at.position, empty);
        }
        let Some(node) = top.get_mut(section) else {
            continue;
        };
        let (location, kind_name) = (node.location(), node.kind_name());
        let Kind::Map(own) = &mut node.kind else {
            let message = format!("{section} must be a mapping, not {kind_name}");
            let hint = format!("write a mapping, such as {section}: {{}}");
            findings.push(Diagnostic::new(location, message).hint(hint));
            continue;
        };
        for object in objects {
            let name = &object.key;
            match own.get(name) {
                None => own.insert(object.key, object.key_position, object.value),
                Some(known) if known.same_value(&object.value) => {}
                Some(known) => {
                    let message = format!(
                        "{section}.{name} is said here and otherwise in {}, which is included",
                        object.value.location()
                    );
                    let hint = "rename one, or put this one into a file of its own under \
                                include: [{path: [FILE, OVERRIDE]}]";
                    findings.push(Diagnostic::new(known.location(), message).hint(hint));
                }
            }
        }
    }
    Diagnostics::check(findings)
}
