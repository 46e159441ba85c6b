//! Maps what is mounted into a container, and what is copied into it: `volumes`, `tmpfs`,
//! `secrets` and `configs`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::project::Project;
use super::values::Values;
use crate::engine::model::{CopiedFile, LongMount, Mount, MountSource};
use crate::secret::Sensitive;
use crate::source::RepoPath;
use crate::yaml::Node;

/// What a container finds in its file system beyond its image.
#[derive(Default)]
pub(super) struct Mounts {
    /// Its mounts.
    pub(super) by_target: BTreeMap<String, Mount>,
    /// The repository files among them.
    pub(super) files: BTreeSet<RepoPath>,
    /// What is copied in, by target.
    pub(super) copied: BTreeMap<String, CopiedFile>,
}

/// Maps everything that a service has mounted or copied.
pub(super) fn map(values: Values<'_>, top: Values<'_>, project: &Project<'_>) -> Mounts {
    let mut mounts = Mounts::default();
    for line in values.texts("tmpfs") {
        let (target, options) = line.split_once(':').unwrap_or((&line, ""));
        let options = options.split(',').filter(|option| !option.is_empty());
        mounts.by_target.insert(target.to_owned(), memory(options));
    }
    for (at, volume) in values.maps("volumes") {
        let target = volume.text_or_empty("target");
        if !target.starts_with('/') {
            let message = format!(
                "\"{}\" is not an absolute path inside the container",
                target.escape_default()
            );
            let hint = "NAME:/path, with a name of at least two letters: Compose reads a single \
                        one as a drive";
            project.refuse_with_hint(at, message, hint);
        } else if let Some(mount) = volume_mount(at, volume, project, &mut mounts.files) {
            mounts.by_target.insert(target, mount);
        }
    }
    for kind in [SECRET, CONFIG] {
        for (at, one) in values.maps(kind.key) {
            kind.map(at, one, values, top, project, &mut mounts);
        }
    }
    mounts
}

fn memory<'o>(options: impl Iterator<Item = &'o str>) -> Mount {
    let mut options: Vec<String> = options.map(str::to_owned).collect();
    let read_only = options.iter().any(|option| option == "ro");
    options.retain(|option| option != "ro" && option != "rw");
    options.sort();
    Mount {
        source: MountSource::Tmpfs,
        read_only,
        options,
        long: LongMount::default(),
    }
}

fn volume_mount(
    at: &Node,
    volume: Values<'_>,
    project: &Project<'_>,
    files: &mut BTreeSet<RepoPath>,
) -> Option<Mount> {
    let source = volume.text("source");
    let (bind, own) = (volume.values("bind"), volume.values("volume"));
    let kind = volume.text_or_empty("type");
    let source = match (kind.as_str(), source) {
        ("volume", Some(key)) => MountSource::Volume(project.volume(&key).cloned().unwrap_or(key)),
        ("volume", None) => MountSource::Anonymous(None),
        ("bind", Some(path)) if !path.starts_with('/') => {
            refuse_home(at, &path, project);
            return None;
        }
        ("bind", Some(path)) => {
            place(at, &path, project, files);
            // Without any `bind` the engine makes a directory, as for the short form.
            let create = volume.get("bind").is_none() || bind.flag("create_host_path");
            MountSource::Bind { path, create }
        }
        ("tmpfs", _) => MountSource::TmpfsMount,
        ("image", Some(reference)) => MountSource::Image(reference),
        _ => {
            let message = format!(
                "a volume of type \"{}\" can't be used so",
                kind.escape_default()
            );
            let hint = "volume (with or without source), bind or image (with source), or tmpfs";
            project.refuse_with_hint(at, message, hint);
            return None;
        }
    };
    let recursive = bind.text_or_empty("recursive");
    // Only the short form of a request has it; where that can't say the rest, Docker Compose
    // leaves it out as well.
    let fits_short_form = match &source {
        MountSource::Bind { create, .. } => *create && recursive.is_empty(),
        MountSource::Volume(_) => own.text("subpath").is_none() && own.pairs("labels").is_empty(),
        MountSource::Anonymous(_)
        | MountSource::Tmpfs
        | MountSource::TmpfsMount
        | MountSource::Image(_)
        | MountSource::Other(_) => false,
    };
    let selinux = bind.text("selinux").filter(|_| fits_short_form);
    // A volume has no propagation, and Compose says so.
    let is_bind = matches!(source, MountSource::Bind { .. });
    let words = [selinux, bind.text("propagation").filter(|_| is_bind)];
    let no_copy = own.flag("nocopy").then(|| "nocopy".to_owned());
    let mut options: Vec<String> = words.into_iter().flatten().chain(no_copy).collect();
    options.sort();
    let tmpfs = volume.values("tmpfs");
    let subpath = own.text("subpath");
    let subpath = subpath.or_else(|| volume.values("image").text("subpath"));
    Some(Mount {
        source,
        read_only: volume.flag("read_only"),
        options,
        long: LongMount {
            subpath: subpath.unwrap_or_default(),
            labels: own.pairs("labels"),
            recursive,
            size: tmpfs.integer("size"),
            mode: u32::try_from(tmpfs.integer("mode")).unwrap_or_default(),
        },
    })
}

fn refuse_home(at: &Node, path: &str, project: &Project<'_>) {
    let message = format!("{path}: whose home directory that is depends on who runs moored");
    project.refuse_with_hint(at, message, "write the absolute path");
}

/// Notes what the repository has at a path that is mounted.
fn place(at: &Node, path: &str, project: &Project<'_>, files: &mut BTreeSet<RepoPath>) {
    match project.place(Path::new(path)) {
        Ok(placed) => files.extend(placed),
        Err(why) => project.refuse(at, why),
    }
}

/// Secrets and configs: the same, but for where they go.
struct Kind {
    key: &'static str,
    /// Where a target that is not absolute lies.
    base: &'static str,
    is_secret: bool,
}

const SECRET: Kind = Kind {
    key: "secrets",
    base: "/run/secrets/",
    is_secret: true,
};

const CONFIG: Kind = Kind {
    key: "configs",
    base: "/",
    is_secret: false,
};

impl Kind {
    fn map(
        &self,
        at: &Node,
        one: Values<'_>,
        service: Values<'_>,
        top: Values<'_>,
        project: &Project<'_>,
        mounts: &mut Mounts,
    ) {
        let source = one.text_or_empty("source");
        let declared = top.values(self.key).values(&source);
        for key in ["external", "driver", "template_driver"] {
            if declared.get(key).is_some() {
                let message = format!("{}.{source} needs Swarm: it has {key}", self.key);
                project.refuse_with_hint(at, message, "write file:, content: or environment:");
                return;
            }
        }
        if let Some(file) = declared.text("file") {
            if !file.starts_with('/') {
                refuse_home(at, &file, project);
                return;
            }
            match project.sealed_file(Path::new(&file)) {
                Some(Ok(content)) => {
                    let read_only = "give its values by env.SERVICE.secrets of moored.yaml";
                    self.copy(at, one, service, project, (content, read_only), mounts);
                    return;
                }
                Some(Err(())) => return,
                None => {}
            }
            place(at, &file, project, &mut mounts.files);
            let mount = Mount {
                source: MountSource::Bind {
                    path: file,
                    create: false,
                },
                read_only: true,
                options: Vec::new(),
                long: LongMount::default(),
            };
            // What `volumes` says wins.
            mounts.by_target.entry(self.target(one)).or_insert(mount);
            return;
        }
        let content = if self.is_secret {
            project.secrets.get(&source).cloned()
        } else {
            declared.text("content")
        };
        let Some(content) = content else {
            let message = format!(
                "{}.{source} has no content: its variable is not set",
                self.key
            );
            project.refuse_with_hint(at, message, "set the variable in variable_files");
            return;
        };
        if self.is_secret {
            project.hide(&content);
        }
        let content = Sensitive::new(content);
        let read_only = "write it as file:, which is mounted";
        self.copy(at, one, service, project, (content, read_only), mounts);
    }

    /// Returns where in the container it goes.
    fn target(&self, one: Values<'_>) -> String {
        let target = one.text("target");
        let target = target.unwrap_or_else(|| one.text_or_empty("source"));
        if target.starts_with('/') {
            target
        } else {
            format!("{}{target}", self.base)
        }
    }

    /// Has a content copied into the container; it comes with what to do where that can't be.
    fn copy(
        &self,
        at: &Node,
        one: Values<'_>,
        service: Values<'_>,
        project: &Project<'_>,
        (content, hint): (Sensitive, &str),
        mounts: &mut Mounts,
    ) {
        let source = one.text_or_empty("source");
        if service.flag("read_only") {
            let message = format!(
                "{}.{source} can't be copied into a container whose root file system is read-only",
                self.key
            );
            project.refuse_with_hint(at, message, hint);
            return;
        }
        let number = |key: &str| {
            let text = one.text(key)?;
            let number = text.parse().ok();
            if number.is_none() {
                let message = format!("{}.{source}: {key} must be a number", self.key);
                project.refuse_with_hint(at, message, "the container's users are not known here");
            }
            number
        };
        let copied = CopiedFile {
            uid: number("uid").unwrap_or_default(),
            gid: number("gid").unwrap_or_default(),
            content,
            mode: mode(one),
        };
        mounts.copied.insert(self.target(one), copied);
    }
}

/// Returns the permissions, which the model has in octal; everybody may read what says nothing.
fn mode(one: Values<'_>) -> u32 {
    const READABLE: u32 = 0o444;
    let text = one.text("mode");
    let mode = text.and_then(|text| u32::from_str_radix(&text, 8).ok());
    mode.unwrap_or(READABLE)
}
