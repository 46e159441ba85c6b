//! Maps mounts, in both directions. Pure.
//!
//! The engine takes mounts in three places of a request and shows them in four of an answer, so
//! what belongs together is kept together here. As Compose does, directories that the engine may
//! make and volumes with a name go through `Binds`, everything else through `Mounts`, memory
//! through `Tmpfs`. In an answer the list `Mounts` says what is mounted; only the options are
//! taken from the request that the engine kept.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{
    HostConfig, Mount as EngineMount, MountBindOptions, MountBindOptionsPropagationEnum,
    MountPoint, MountType, MountVolumeOptions,
};

use crate::engine::model::{LongMount, Mount, MountSource};

/// What a request says of its mounts.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Written {
    /// `HostConfig.Binds`: `source:target:options`.
    pub(super) binds: Vec<String>,
    /// `HostConfig.Mounts`.
    pub(super) mounts: Vec<EngineMount>,
    /// `HostConfig.Tmpfs`: target to options.
    pub(super) tmpfs: HashMap<String, String>,
}

/// Writes mounts as a request has them; the error says what can't be asked for.
pub(super) fn write(mounts: &BTreeMap<String, Mount>) -> Result<Written, String> {
    let mut written = Written::default();
    for (target, mount) in mounts {
        check(target, mount)?;
        match &mount.source {
            MountSource::Volume(name) | MountSource::Anonymous(Some(name)) => {
                written.binds.push(short_form(name, target, mount));
            }
            MountSource::Bind { path, create: true } => {
                written.binds.push(short_form(path, target, mount));
            }
            MountSource::Bind {
                path,
                create: false,
            } => {
                written.mounts.push(long_bind(path, target, mount)?);
            }
            MountSource::Anonymous(None) => written.mounts.push(long_volume(target, mount)?),
            MountSource::Tmpfs => {
                let mut options = mount.options.clone();
                if mount.read_only {
                    options.push("ro".to_owned());
                }
                written.tmpfs.insert(target.clone(), options.join(","));
            }
            MountSource::TmpfsMount | MountSource::Image(_) | MountSource::Other(_) => {
                return Err(format!(
                    "the mount at {target} is of a kind that this version can't make: {}",
                    mount.source
                ));
            }
        }
    }
    Ok(written)
}

/// Reads what is mounted, by target.
pub(super) fn read(live: &[MountPoint], host: &HostConfig) -> BTreeMap<String, Mount> {
    let asked = asked(host);
    let mut mounts: BTreeMap<String, Mount> = live
        .iter()
        .map(|point| {
            let target = point.destination.clone().unwrap_or_default();
            let mount = read_one(point, asked.get(target.as_str()));
            (target, mount)
        })
        .collect();
    for (target, options) in host.tmpfs.iter().flatten() {
        let words = || options.split(',');
        mounts
            .entry(clean(target).to_owned())
            .or_insert_with(|| Mount {
                source: MountSource::Tmpfs,
                read_only: words().any(|word| word == "ro"),
                options: further(words()),
                long: LongMount::default(),
            });
    }
    mounts
}

/// What the request that made a container said of one target.
struct Asked {
    create: bool,
    options: Vec<String>,
}

fn asked(host: &HostConfig) -> BTreeMap<&str, Asked> {
    let short = host.binds.iter().flatten().filter_map(|bind| {
        let mut parts = bind.split(':');
        let (_source, target) = (parts.next()?, parts.next()?);
        let asked = Asked {
            create: true,
            options: further(parts.next().unwrap_or_default().split(',')),
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
        };
        Some((clean(mount.target.as_deref()?), asked))
    });
    short.chain(long).collect()
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
        Some("tmpfs") => MountSource::Tmpfs,
        kind => MountSource::Other(kind.unwrap_or("unknown").to_owned()),
    };
    Mount {
        source,
        read_only: point.rw == Some(false),
        options: asked.map(|asked| asked.options.clone()).unwrap_or_default(),
        long: LongMount::default(),
    }
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

fn long_bind(path: &str, target: &str, mount: &Mount) -> Result<EngineMount, String> {
    let mut bind = MountBindOptions::default();
    for option in &mount.options {
        match (propagation(option), option.as_str()) {
            (Some(propagation), _) => bind.propagation = Some(propagation),
            (None, "nonrecursive") => bind.non_recursive = Some(true),
            (None, _) => {
                return Err(format!(
                    "the mount at {target} can't have the option {option} together with \
                     create_host_path: false"
                ));
            }
        }
    }
    Ok(EngineMount {
        typ: Some(MountType::BIND),
        source: Some(path.to_owned()),
        target: Some(target.to_owned()),
        read_only: Some(mount.read_only),
        bind_options: Some(bind),
        ..EngineMount::default()
    })
}

fn long_volume(target: &str, mount: &Mount) -> Result<EngineMount, String> {
    let mut volume = MountVolumeOptions::default();
    for option in &mount.options {
        if option == "nocopy" {
            volume.no_copy = Some(true);
        } else {
            return Err(format!(
                "the anonymous volume at {target} can't have the option {option}"
            ));
        }
    }
    Ok(EngineMount {
        typ: Some(MountType::VOLUME),
        target: Some(target.to_owned()),
        read_only: Some(mount.read_only),
        volume_options: Some(volume),
        ..EngineMount::default()
    })
}

fn propagation(word: &str) -> Option<MountBindOptionsPropagationEnum> {
    match word {
        "private" => Some(MountBindOptionsPropagationEnum::PRIVATE),
        "rprivate" => Some(MountBindOptionsPropagationEnum::RPRIVATE),
        "shared" => Some(MountBindOptionsPropagationEnum::SHARED),
        "rshared" => Some(MountBindOptionsPropagationEnum::RSHARED),
        "slave" => Some(MountBindOptionsPropagationEnum::SLAVE),
        "rslave" => Some(MountBindOptionsPropagationEnum::RSLAVE),
        _ => None,
    }
}

/// The options of the long form as the short form writes them.
fn long_options(mount: &EngineMount) -> Vec<String> {
    let mut words = Vec::new();
    if let Some(bind) = &mount.bind_options {
        words.extend(bind.propagation.map(|propagation| propagation.to_string()));
        words.extend((bind.non_recursive == Some(true)).then(|| "nonrecursive".to_owned()));
    }
    if let Some(volume) = &mount.volume_options {
        words.extend((volume.no_copy == Some(true)).then(|| "nocopy".to_owned()));
    }
    if let Some(tmpfs) = &mount.tmpfs_options {
        let size = tmpfs.size_bytes.filter(|size| *size > 0);
        words.extend(size.map(|size| format!("size={size}")));
        let mode = tmpfs.mode.filter(|mode| *mode > 0);
        words.extend(mode.map(|mode| format!("mode={mode:o}")));
    }
    further(words.iter().map(String::as_str))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn mount(source: MountSource, read_only: bool, options: &[&str]) -> Mount {
        Mount {
            source,
            read_only,
            options: options.iter().map(|option| (*option).to_owned()).collect(),
            long: LongMount::default(),
        }
    }

    fn bind(path: &str, create: bool) -> MountSource {
        MountSource::Bind {
            path: path.to_owned(),
            create,
        }
    }

    fn one(target: &str, mount: Mount) -> BTreeMap<String, Mount> {
        BTreeMap::from([(target.to_owned(), mount)])
    }

    #[test]
    fn written_where_compose_writes_them() {
        let volume = MountSource::Volume("data".to_owned());
        let carried = MountSource::Anonymous(Some("a".repeat(64)));
        let bound = |source: MountSource, read_only, options: &[&str]| {
            write(&one("/t", mount(source, read_only, options)))
                .unwrap()
                .binds
        };
        assert_eq!(bound(volume.clone(), false, &[]), ["data:/t:rw"]);
        assert_eq!(
            bound(volume, true, &["nocopy", "z"]),
            ["data:/t:ro,nocopy,z"]
        );
        assert_eq!(
            bound(bind("/src", true), true, &["rshared"]),
            ["/src:/t:ro,rshared"]
        );
        assert_eq!(
            bound(carried, false, &[]),
            [format!("{}:/t:rw", "a".repeat(64))]
        );

        let tmpfs = write(&one("/t", mount(MountSource::Tmpfs, true, &["size=1m"]))).unwrap();
        assert_eq!(
            tmpfs.tmpfs,
            HashMap::from([("/t".to_owned(), "size=1m,ro".to_owned())])
        );
        assert!(tmpfs.binds.is_empty() && tmpfs.mounts.is_empty());

        let long = write(&one("/t", mount(bind("/src:x", false), true, &["rslave"]))).unwrap();
        let [written] = long.mounts.as_slice() else {
            panic!("one mount")
        };
        assert_eq!(written.source.as_deref(), Some("/src:x"));
        assert_eq!(written.read_only, Some(true));
        let options = written.bind_options.as_ref().unwrap();
        assert_eq!(
            options.propagation,
            Some(MountBindOptionsPropagationEnum::RSLAVE)
        );

        let fresh = write(&one("/t", mount(MountSource::Anonymous(None), false, &[]))).unwrap();
        assert_eq!(fresh.mounts[0].typ, Some(MountType::VOLUME));
        assert_eq!(fresh.mounts[0].source, None);
    }

    #[test]
    fn values_that_would_mean_something_else_are_refused() {
        let volume = |name: &str| MountSource::Volume(name.to_owned());
        for (target, source, options, expected) in [
            ("/t", volume("/etc"), &[][..], "not the name of a volume"),
            ("/t", volume("../x"), &[], "not the name of a volume"),
            ("/t", volume("a:/etc"), &[], "not the name of a volume"),
            ("/t", volume(""), &[], "not the name of a volume"),
            ("/t:/u", volume("a"), &[], "without ':'"),
            ("t", volume("a"), &[], "must be absolute"),
            ("/t", bind("/a:/b", true), &[], "must not have ':'"),
            ("/t", bind("a", true), &[], "must be absolute"),
            ("/t", bind("/a", true), &["z:/etc"], "option with ':'"),
            ("/t", bind("/a", false), &["z"], "option z"),
            ("/t", MountSource::Anonymous(None), &["z"], "option z"),
            (
                "/t",
                MountSource::Other("npipe".to_owned()),
                &[],
                "kind npipe",
            ),
        ] {
            let error = write(&one(target, mount(source, false, options))).unwrap_err();
            assert!(error.contains(expected), "{expected}: {error}");
        }
    }

    #[test]
    fn read_from_what_is_mounted_now() {
        let point = |typ: &str, target: &str| MountPoint {
            typ: Some(typ.to_owned()),
            destination: Some(target.to_owned()),
            source: Some("/now".to_owned()),
            rw: Some(true),
            ..MountPoint::default()
        };
        let named = |target: &str, name: &str| MountPoint {
            name: Some(name.to_owned()),
            ..point("volume", target)
        };
        let live = [
            named("/named", "data"),
            named("/image", &"b".repeat(64)),
            named("/from", "other"),
            point("bind", "/bind"),
            MountPoint {
                rw: Some(false),
                ..point("bind", "/long")
            },
            point("npipe", "/pipe"),
        ];
        let host = HostConfig {
            binds: Some(vec![
                "data:/named/:nocopy,rw,z".to_owned(),
                "/then:/bind:ro".to_owned(),
                "nonsense".to_owned(),
            ]),
            mounts: Some(vec![EngineMount {
                target: Some("/long".to_owned()),
                bind_options: Some(MountBindOptions {
                    propagation: Some(MountBindOptionsPropagationEnum::RSHARED),
                    ..MountBindOptions::default()
                }),
                ..EngineMount::default()
            }]),
            tmpfs: Some(HashMap::from([(
                "/mem".to_owned(),
                "size=1m,ro,mode=700".to_owned(),
            )])),
            ..HostConfig::default()
        };
        let expected = BTreeMap::from([
            (
                "/named",
                mount(
                    MountSource::Volume("data".to_owned()),
                    false,
                    &["nocopy", "z"],
                ),
            ),
            (
                "/image",
                mount(MountSource::Anonymous(Some("b".repeat(64))), false, &[]),
            ),
            (
                "/from",
                mount(MountSource::Volume("other".to_owned()), false, &[]),
            ),
            ("/bind", mount(bind("/now", true), false, &[])),
            ("/long", mount(bind("/now", false), true, &["rshared"])),
            (
                "/pipe",
                mount(MountSource::Other("npipe".to_owned()), false, &[]),
            ),
            (
                "/mem",
                mount(MountSource::Tmpfs, true, &["mode=700", "size=1m"]),
            ),
        ]);
        let expected: BTreeMap<String, Mount> = expected
            .into_iter()
            .map(|(target, mount)| (target.to_owned(), mount))
            .collect();
        assert_eq!(read(&live, &host), expected);
    }
}
