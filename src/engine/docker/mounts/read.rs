//! Reads what is mounted, by target.

use std::collections::BTreeMap;

use bollard::models::{HostConfig, Mount as EngineMount, MountPoint, MountType};

use crate::engine::model::{LongMount, Mount, MountSource};

/// Reads what is mounted, by target.
///
/// `declared` tells which targets the container's image declares: with them it can be told what
/// came along with the volumes of other containers, which is left out.
pub(in super::super) fn read(
    live: &[MountPoint],
    host: &HostConfig,
    declared: &[String],
) -> BTreeMap<String, Mount> {
    let asked = asked(host);
    let from_others = host
        .volumes_from
        .as_ref()
        .is_some_and(|all| !all.is_empty());
    let mut mounts = BTreeMap::new();
    for point in live {
        let target = point.destination.clone().unwrap_or_default();
        let asked = asked.get(target.as_str());
        let mount = read_one(point, asked);
        let declared = || declared.iter().any(|one| clean(one) == target);
        let own = asked.is_some()
            || !from_others
            || (declared() && matches!(mount.source, MountSource::Anonymous(_)));
        if own {
            mounts.insert(target, mount);
        }
    }
    for (target, options) in host.tmpfs.iter().flatten() {
        let target = clean(target).to_owned();
        mounts.entry(target).or_insert_with(|| memory(options));
    }
    mounts
}

/// What the request that made a container said of one target.
struct Asked {
    create: bool,
    options: Vec<String>,
    long: LongMount,
    /// Whether it was said in the long form.
    is_long: bool,
    source: String,
}

fn asked(host: &HostConfig) -> BTreeMap<&str, Asked> {
    let tmpfs = host.tmpfs.iter().flatten().map(|(target, options)| {
        let asked = Asked {
            create: false,
            options: further(options.split(',')),
            long: LongMount::default(),
            is_long: false,
            source: String::new(),
        };
        (clean(target), asked)
    });
    let short = host.binds.iter().flatten().filter_map(|bind| {
        let mut parts = bind.split(':');
        let (source, target) = (parts.next()?, parts.next()?);
        let asked = Asked {
            create: true,
            options: further(parts.next().unwrap_or_default().split(',')),
            long: LongMount::default(),
            is_long: false,
            source: source.to_owned(),
        };
        Some((clean(target), asked))
    });
    let long = host.mounts.iter().flatten().filter_map(|mount| {
        let bind = mount.bind_options.as_ref();
        let asked = Asked {
            create: bind
                .and_then(|bind| bind.create_mountpoint)
                .unwrap_or_default(),
            options: long_options(mount),
            long: long_form(mount),
            is_long: true,
            source: mount.source.clone().unwrap_or_default(),
        };
        Some((clean(mount.target.as_deref()?), asked))
    });
    tmpfs.chain(short).chain(long).collect()
}

fn read_one(point: &MountPoint, asked: Option<&Asked>) -> Mount {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let source = match point.typ.as_deref() {
        Some("volume") => {
            let name = text(&point.name);
            // A volume that nobody named gets 32 random bytes as its name.
            if name.len() == 64 && name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                MountSource::Anonymous(Some(name))
            } else {
                MountSource::Volume(name)
            }
        }
        Some("bind") => MountSource::Bind {
            path: text(&point.source),
            create: asked.is_none_or(|asked| asked.create),
        },
        Some("tmpfs") if asked.is_some_and(|asked| asked.is_long) => MountSource::TmpfsMount,
        Some("tmpfs") => MountSource::Tmpfs,
        Some("image") => {
            MountSource::Image(asked.map(|asked| asked.source.clone()).unwrap_or_default())
        }
        kind => MountSource::Other(kind.unwrap_or("unknown").to_owned()),
    };
    Mount {
        source,
        read_only: point.rw == Some(false),
        options: asked.map(|asked| asked.options.clone()).unwrap_or_default(),
        long: asked.map(|asked| asked.long.clone()).unwrap_or_default(),
    }
}

/// Reads memory that the key `tmpfs` asked for and that the engine does not list.
fn memory(options: &str) -> Mount {
    Mount {
        source: MountSource::Tmpfs,
        read_only: options.split(',').any(|word| word == "ro"),
        options: further(options.split(',')),
        long: LongMount::default(),
    }
}

/// The options of the long form that the short form has too.
fn long_options(mount: &EngineMount) -> Vec<String> {
    let mut words = Vec::new();
    if let Some(bind) = &mount.bind_options {
        words.extend(bind.propagation.map(|propagation| propagation.to_string()));
    }
    if let Some(volume) = &mount.volume_options {
        words.extend((volume.no_copy == Some(true)).then(|| "nocopy".to_owned()));
    }
    further(words.iter().map(String::as_str))
}

fn long_form(mount: &EngineMount) -> LongMount {
    let mut long = LongMount::default();
    if let Some(bind) = &mount.bind_options {
        let writable = bind.read_only_non_recursive == Some(true);
        let readonly = bind.read_only_force_recursive == Some(true);
        let recursive = match bind.non_recursive {
            Some(true) => "disabled",
            Some(false) | None if writable => "writable",
            Some(false) | None if readonly => "readonly",
            Some(false) | None => "",
        };
        recursive.clone_into(&mut long.recursive);
    }
    if let Some(volume) = &mount.volume_options {
        long.subpath = volume.subpath.clone().unwrap_or_default();
        long.labels = volume
            .labels
            .clone()
            .unwrap_or_default()
            .into_iter()
            .collect();
    }
    if let (Some(MountType::IMAGE), Some(image)) = (mount.typ, &mount.image_options) {
        long.subpath = image.subpath.clone().unwrap_or_default();
    }
    if let Some(tmpfs) = &mount.tmpfs_options {
        long.size = tmpfs.size_bytes.unwrap_or_default().max(0);
        long.mode = tmpfs
            .mode
            .and_then(|mode| u32::try_from(mode).ok())
            .unwrap_or_default();
    }
    long
}

/// Sorts options and leaves out those that are told by [`Mount::read_only`].
fn further<'a>(words: impl Iterator<Item = &'a str>) -> Vec<String> {
    let mut words: Vec<String> = words
        .filter(|word| !matches!(*word, "" | "ro" | "rw"))
        .map(str::to_owned)
        .collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// The engine shows a target without the slash at its end.
fn clean(target: &str) -> &str {
    match target.trim_end_matches('/') {
        "" => target,
        cut => cut,
    }
}
