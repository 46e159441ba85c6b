//! Writes mounts as a request has them.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{
    Mount as EngineMount, MountBindOptions, MountImageOptions, MountTmpfsOptions, MountType,
    MountVolumeOptions,
};

use super::propagation;
use crate::engine::api::ApiVersion;
use crate::engine::model::{Mount, MountSource};

/// The first version in which the long form can have the engine make the directory of a bind.
const MAKES_DIRECTORIES: ApiVersion = ApiVersion {
    major: 1,
    minor: 42,
};

/// What a request says of its mounts.
#[derive(Debug, Default, PartialEq)]
pub(in super::super) struct Written {
    /// `HostConfig.Binds`: `source:target:options`.
    pub(in super::super) binds: Vec<String>,
    /// `HostConfig.Mounts`.
    pub(in super::super) mounts: Vec<EngineMount>,
    /// `HostConfig.Tmpfs`: target to options.
    pub(in super::super) tmpfs: HashMap<String, String>,
}

/// Writes mounts as a request has them; the error says what can't be asked for.
pub(in super::super) fn write(
    mounts: &BTreeMap<String, Mount>,
    spoken: ApiVersion,
) -> Result<Written, String> {
    let mut written = Written::default();
    for (target, mount) in mounts {
        check(target, mount)?;
        match &mount.source {
            MountSource::Volume(name) if fits_short_form(mount) => {
                written.binds.push(short_form(name, target, mount));
            }
            MountSource::Volume(name) | MountSource::Anonymous(Some(name)) => {
                let source = Some(name.clone());
                written.mounts.push(long_volume(source, target, mount)?);
            }
            MountSource::Anonymous(None) => {
                written.mounts.push(long_volume(None, target, mount)?);
            }
            MountSource::Bind { path, create } => {
                if *create && bind_fits_short_form(mount, spoken) {
                    written.binds.push(short_form(path, target, mount));
                } else {
                    let create = create.then_some(true);
                    written.mounts.push(long_bind(path, create, target, mount)?);
                }
            }
            MountSource::Tmpfs => {
                let mut options = mount.options.clone();
                if mount.read_only {
                    options.push("ro".to_owned());
                }
                written.tmpfs.insert(target.clone(), options.join(","));
            }
            MountSource::TmpfsMount => written.mounts.push(memory(target, mount)?),
            MountSource::Image(reference) => {
                written.mounts.push(image(reference, target, mount)?);
            }
            MountSource::Other(_) => {
                return Err(format!(
                    "the mount at {target} is of a kind that this version can't make: {}",
                    mount.source
                ));
            }
        }
    }
    Ok(written)
}

/// Returns whether a volume goes through the short form: it can say all, or more than the long one.
fn fits_short_form(mount: &Mount) -> bool {
    let copies = !mount.options.iter().any(|option| option == "nocopy");
    let says_more = mount.options.iter().any(|option| option != "nocopy");
    (copies || says_more) && mount.long.subpath.is_empty() && mount.long.labels.is_empty()
}

/// Returns whether a bind whose directory the engine makes goes through the short form.
fn bind_fits_short_form(mount: &Mount, spoken: ApiVersion) -> bool {
    let propagates = |option: &String| propagation(option).is_some();
    let says_more = !mount.options.iter().all(propagates);
    let plain = mount.options.is_empty() || says_more || spoken < MAKES_DIRECTORIES;
    mount.long.recursive.is_empty() && plain
}

/// The short form is text with colons and commas: a value that holds one would mean something
/// else, up to a directory of the host where a volume was asked for.
fn check(target: &str, mount: &Mount) -> Result<(), String> {
    if !target.starts_with('/') || target.contains(':') {
        return Err(format!(
            "the mount target {target:?} must be absolute and without ':'"
        ));
    }
    if mount
        .options
        .iter()
        .any(|option| option.contains([':', ',']))
    {
        return Err(format!(
            "the mount at {target} has an option with ':' or ','"
        ));
    }
    match &mount.source {
        MountSource::Bind { path, .. } if !path.starts_with('/') => Err(format!(
            "the mount source {path:?} at {target} must be absolute"
        )),
        MountSource::Bind { path, create: true } if path.contains(':') => Err(format!(
            "the mount source {path:?} at {target} must not have ':' unless create_host_path is \
             false"
        )),
        MountSource::Volume(name) | MountSource::Anonymous(Some(name)) if !is_volume(name) => Err(
            format!("{name:?}, mounted at {target}, is not the name of a volume"),
        ),
        MountSource::Bind { .. }
        | MountSource::Volume(_)
        | MountSource::Anonymous(_)
        | MountSource::Tmpfs
        | MountSource::TmpfsMount
        | MountSource::Image(_)
        | MountSource::Other(_) => Ok(()),
    }
}

fn is_volume(name: &str) -> bool {
    name.bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphanumeric())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

fn short_form(source: &str, target: &str, mount: &Mount) -> String {
    let mut words = vec![if mount.read_only { "ro" } else { "rw" }];
    words.extend(mount.options.iter().map(String::as_str));
    format!("{source}:{target}:{}", words.join(","))
}

fn long_bind(
    path: &str,
    create: Option<bool>,
    target: &str,
    mount: &Mount,
) -> Result<EngineMount, String> {
    let mut bind = MountBindOptions {
        create_mountpoint: create,
        ..MountBindOptions::default()
    };
    for option in &mount.options {
        bind.propagation = Some(propagation(option).ok_or_else(|| {
            format!(
                "the mount at {target} can't have the option {option} together with \
                 create_host_path: false or recursive"
            )
        })?);
    }
    match mount.long.recursive.as_str() {
        "" | "enabled" => {}
        "disabled" => bind.non_recursive = Some(true),
        "writable" => bind.read_only_non_recursive = Some(true),
        "readonly" => bind.read_only_force_recursive = Some(true),
        other => {
            return Err(format!(
                "the mount at {target} can't be recursive: {other:?}; write enabled, disabled, \
                 writable or readonly"
            ));
        }
    }
    Ok(EngineMount {
        source: Some(path.to_owned()),
        bind_options: Some(bind),
        ..long_form(MountType::BIND, target, mount)
    })
}

fn long_volume(source: Option<String>, target: &str, mount: &Mount) -> Result<EngineMount, String> {
    for option in &mount.options {
        if option != "nocopy" {
            return Err(format!(
                "the volume at {target} can't have the option {option} unless it has a name and \
                 neither subpath nor labels"
            ));
        }
    }
    let labels = &mount.long.labels;
    let labels = labels
        .iter()
        .map(|(key, value)| (key.clone(), value.clone()));
    let volume = MountVolumeOptions {
        no_copy: (!mount.options.is_empty()).then_some(true),
        subpath: super::super::to_engine::text(&mount.long.subpath),
        labels: (!mount.long.labels.is_empty()).then(|| labels.collect()),
        ..MountVolumeOptions::default()
    };
    Ok(EngineMount {
        source,
        volume_options: Some(volume),
        ..long_form(MountType::VOLUME, target, mount)
    })
}

fn memory(target: &str, mount: &Mount) -> Result<EngineMount, String> {
    no_options(target, mount)?;
    let tmpfs = MountTmpfsOptions {
        size_bytes: (mount.long.size != 0).then_some(mount.long.size),
        mode: (mount.long.mode != 0).then_some(i64::from(mount.long.mode)),
        ..MountTmpfsOptions::default()
    };
    Ok(EngineMount {
        tmpfs_options: (tmpfs != MountTmpfsOptions::default()).then_some(tmpfs),
        ..long_form(MountType::TMPFS, target, mount)
    })
}

fn image(reference: &str, target: &str, mount: &Mount) -> Result<EngineMount, String> {
    no_options(target, mount)?;
    let subpath = super::super::to_engine::text(&mount.long.subpath);
    Ok(EngineMount {
        source: Some(reference.to_owned()),
        image_options: subpath.map(|subpath| MountImageOptions {
            subpath: Some(subpath),
        }),
        ..long_form(MountType::IMAGE, target, mount)
    })
}

fn no_options(target: &str, mount: &Mount) -> Result<(), String> {
    match mount.options.first() {
        None => Ok(()),
        Some(option) => Err(format!(
            "the mount at {target} can't have the option {option}"
        )),
    }
}

fn long_form(kind: MountType, target: &str, mount: &Mount) -> EngineMount {
    EngineMount {
        typ: Some(kind),
        target: Some(target.to_owned()),
        read_only: Some(mount.read_only),
        ..EngineMount::default()
    }
}
