//! Reads the volumes of a service: named volumes, directories and files of the host, and files of
//! the repository that are placed there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Component, Path, PathBuf};

use super::fields::Fields;
use super::keys;
use super::project::Project;
use super::short;
use crate::diagnostic::suggestion;
use crate::engine::model::{LongMount, Mount, MountSource};
use crate::source::RepoPath;
use crate::yaml::Node;

/// Mounts by target, and the repository files among them.
pub(super) type Mounts = (BTreeMap<String, Mount>, BTreeSet<RepoPath>);

/// Reads `volumes` of a service.
pub(super) fn read(node: &Node, project: &Project<'_>, fields: &mut Fields<'_>) -> Mounts {
    let (mut mounts, mut files) = (BTreeMap::new(), BTreeSet::new());
    let Some(items) = node.as_seq() else {
        fields.refuse(
            node,
            format!("volumes must be a list, not {}", node.kind_name()),
        );
        return (mounts, files);
    };
    for item in items {
        let read = if item.as_map().is_some() {
            long(item, project, &mut files, fields)
        } else {
            short_form(item, project, &mut files, fields)
        };
        let Some((target, mount)) = read else {
            continue;
        };
        if target.starts_with('/') {
            mounts.insert(target, mount);
        } else {
            let message = format!(
                "\"{}\" is not an absolute path inside the container",
                target.escape_default()
            );
            let hint = "NAME:/path, with a name of at least two letters: Compose reads a single \
                        one as a drive";
            fields.refuse_with_hint(item, message, hint);
        }
    }
    (mounts, files)
}

fn short_form(
    node: &Node,
    project: &Project<'_>,
    files: &mut BTreeSet<RepoPath>,
    fields: &mut Fields<'_>,
) -> Option<(String, Mount)> {
    let text = fields.text(node, "a volume")?;
    let volume = match short::parse_volume(&text) {
        Ok(volume) => volume,
        Err(why) => {
            fields.refuse(node, format!("volumes: {why}"));
            return None;
        }
    };
    let source = match volume.source {
        None => MountSource::Anonymous(None),
        Some(source) if volume.is_bind => bind(node, &source, true, project, files, fields)?,
        Some(source) => named(node, &source, project, fields)?,
    };
    let read_only = volume.options.iter().any(|option| option == "ro");
    let mut options = volume.options;
    options.retain(|option| option != "ro" && option != "rw");
    options.sort();
    Some((
        volume.target,
        Mount {
            source,
            read_only,
            options,
            long: LongMount::default(),
        },
    ))
}

fn long(
    node: &Node,
    project: &Project<'_>,
    files: &mut BTreeSet<RepoPath>,
    fields: &mut Fields<'_>,
) -> Option<(String, Mount)> {
    let map = fields.map(node, "a volume")?;
    fields.keys(map, "volumes", &keys::MOUNT, &keys::MOUNT_LATER);
    let text =
        |key: &str, fields: &mut Fields<'_>| map.get(key).and_then(|node| fields.string(node, key));
    let kind = text("type", fields);
    let source = text("source", fields);
    let Some(target) = text("target", fields) else {
        fields.refuse(
            node,
            "a volume needs a target: the path inside the container",
        );
        return None;
    };
    let create = match map.get("bind").and_then(|node| fields.map(node, "bind")) {
        None => true,
        Some(bind) => {
            fields.keys(
                bind,
                "volumes.bind",
                &keys::MOUNT_BIND,
                &keys::MOUNT_BIND_LATER,
            );
            let create = bind.get("create_host_path");
            create
                .and_then(|node| fields.boolean(node, "create_host_path"))
                .unwrap_or(true)
        }
    };
    let source = match (kind.as_deref(), source) {
        (Some("volume"), Some(source)) => named(node, &source, project, fields)?,
        (Some("volume"), None) => MountSource::Anonymous(None),
        (Some("bind"), Some(source)) => bind(node, &source, create, project, files, fields)?,
        (Some("tmpfs"), None) => MountSource::Tmpfs,
        (kind, _) => {
            let message = match kind {
                None => "a volume in long form needs a type".to_owned(),
                Some(kind) => format!(
                    "a volume of type \"{}\" can't be used so",
                    kind.escape_default()
                ),
            };
            let hint = "volume (with or without source), bind (with source) or tmpfs (without)";
            fields.refuse_with_hint(node, message, hint);
            return None;
        }
    };
    let read_only = map
        .get("read_only")
        .and_then(|node| fields.boolean(node, "read_only"));
    Some((
        target,
        Mount {
            source,
            read_only: read_only.unwrap_or(false),
            options: Vec::new(),
            long: LongMount::default(),
        },
    ))
}

fn named(
    node: &Node,
    key: &str,
    project: &Project<'_>,
    fields: &mut Fields<'_>,
) -> Option<MountSource> {
    if let Some(name) = project.volume(key) {
        return Some(MountSource::Volume(name));
    }
    let message = format!(
        "volume \"{}\" is not declared under volumes:",
        key.escape_default()
    );
    let hint = suggestion(key, project.volumes.keys().map(String::as_str))
        .unwrap_or_else(|| format!("add volumes: {{{key}: }}, or write ./{key} for a directory"));
    fields.refuse_with_hint(node, message, hint);
    None
}

/// Reads a path of the host. A relative one lies in the project directory; what the repository
/// has there is placed there.
fn bind(
    node: &Node,
    source: &str,
    create: bool,
    project: &Project<'_>,
    files: &mut BTreeSet<RepoPath>,
    fields: &mut Fields<'_>,
) -> Option<MountSource> {
    if source.starts_with('~') {
        let message = format!("{source}: whose home directory that is depends on who runs moored");
        fields.refuse_with_hint(node, message, "write the absolute path");
        return None;
    }
    if !source.starts_with('/') {
        match project.place(source) {
            Ok(placed) => files.extend(placed),
            Err(why) => {
                fields.refuse(node, why);
                return None;
            }
        }
    }
    let path = clean(&project.directory.join(source));
    Some(MountSource::Bind {
        path: path.display().to_string(),
        create,
    })
}

/// Returns a path without `.` and `..`, by its text alone, as Compose does it.
fn clean(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir => {
                clean.pop();
            }
            Component::Prefix(_) | Component::RootDir | Component::Normal(_) => {
                clean.push(component);
            }
        }
    }
    clean
}
