//! Where mounts are written, and what they are read as.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{
    HostConfig, Mount as EngineMount, MountBindOptions, MountBindOptionsPropagationEnum,
    MountImageOptions, MountPoint, MountTmpfsOptions, MountType, MountVolumeOptions,
};

use super::*;
use crate::engine::api::ApiVersion;
use crate::engine::model::{LongMount, Mount, MountSource};

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

/// Writes one mount for an engine of this minor version.
fn written(mount: Mount, minor: usize) -> write::Written {
    let spoken = ApiVersion { major: 1, minor };
    write(&one("/t", mount), spoken).unwrap()
}

fn bound(source: MountSource, read_only: bool, options: &[&str]) -> Vec<String> {
    let written = written(mount(source, read_only, options), 41);
    assert!(written.mounts.is_empty());
    written.binds
}

fn long(mount: Mount, minor: usize) -> EngineMount {
    let written = written(mount, minor);
    assert!(written.binds.is_empty() && written.tmpfs.is_empty());
    let [only] = written.mounts.as_slice() else {
        panic!("one mount")
    };
    only.clone()
}

#[test]
fn what_the_short_form_can_say_goes_through_binds() {
    let volume = MountSource::Volume("data".to_owned());
    assert_eq!(bound(volume.clone(), false, &[]), ["data:/t:rw"]);
    assert_eq!(
        bound(volume, true, &["nocopy", "z"]),
        ["data:/t:ro,nocopy,z"]
    );
    assert_eq!(bound(bind("/src", true), true, &["Z"]), ["/src:/t:ro,Z"]);
    let tmpfs = written(mount(MountSource::Tmpfs, true, &["size=1m"]), 41);
    assert_eq!(
        tmpfs.tmpfs,
        HashMap::from([("/t".to_owned(), "size=1m,ro".to_owned())])
    );
    assert!(tmpfs.binds.is_empty() && tmpfs.mounts.is_empty());
}

#[test]
fn volumes_with_more_to_say_go_through_mounts() {
    let volume = || MountSource::Volume("data".to_owned());
    let written = long(mount(volume(), true, &["nocopy"]), 41);
    assert_eq!(written.source.as_deref(), Some("data"));
    assert_eq!(written.read_only, Some(true));
    assert_eq!(written.volume_options.unwrap().no_copy, Some(true));
    let mut labelled = mount(volume(), false, &[]);
    labelled.long.labels = [("a".to_owned(), "b".to_owned())].into();
    labelled.long.subpath = "logs".to_owned();
    let options = long(labelled, 45).volume_options.unwrap();
    assert_eq!(options.subpath.as_deref(), Some("logs"));
    assert_eq!(options.labels.unwrap()["a"], "b");
    let carried = MountSource::Anonymous(Some("a".repeat(64)));
    let carried = long(mount(carried, false, &[]), 41);
    assert_eq!(carried.source, Some("a".repeat(64)));
    let fresh = long(mount(MountSource::Anonymous(None), false, &[]), 41);
    assert_eq!((fresh.typ, fresh.source), (Some(MountType::VOLUME), None));
}

#[test]
fn binds_with_more_to_say_go_through_mounts() {
    let written = long(mount(bind("/src:x", false), true, &["rslave"]), 41);
    assert_eq!(written.source.as_deref(), Some("/src:x"));
    assert_eq!(written.read_only, Some(true));
    let options = written.bind_options.unwrap();
    let rslave = MountBindOptionsPropagationEnum::RSLAVE;
    assert_eq!(options.propagation, Some(rslave));
    assert_eq!(options.create_mountpoint, None);

    // The engine would not make the directory before 1.42.
    let made = || mount(bind("/src", true), false, &["rslave"]);
    assert_eq!(
        bound(made().source, false, &["rslave"]),
        ["/src:/t:rw,rslave"]
    );
    let options = long(made(), 42).bind_options.unwrap();
    assert_eq!(options.create_mountpoint, Some(true));

    let recursive = |how: &str| {
        let mut mount = mount(bind("/src", true), true, &[]);
        mount.long.recursive = how.to_owned();
        let options = long(mount, 44).bind_options.unwrap();
        (
            options.non_recursive,
            options.read_only_non_recursive,
            options.read_only_force_recursive,
        )
    };
    assert_eq!(recursive("enabled"), (None, None, None));
    assert_eq!(recursive("disabled"), (Some(true), None, None));
    assert_eq!(recursive("writable"), (None, Some(true), None));
    assert_eq!(recursive("readonly"), (None, None, Some(true)));
}

#[test]
fn memory_and_images_go_through_mounts() {
    let mut memory = mount(MountSource::TmpfsMount, false, &[]);
    memory.long.size = 1 << 20;
    memory.long.mode = 0o1777;
    let options = long(memory, 41).tmpfs_options.unwrap();
    assert_eq!(
        (options.size_bytes, options.mode),
        (Some(1 << 20), Some(1023))
    );
    let mut image = mount(MountSource::Image("app:v1".to_owned()), true, &[]);
    image.long.subpath = "etc".to_owned();
    let written = long(image, 48);
    assert_eq!(written.typ, Some(MountType::IMAGE));
    assert_eq!(written.source.as_deref(), Some("app:v1"));
    assert_eq!(
        written.image_options.unwrap().subpath.as_deref(),
        Some("etc")
    );
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
        ("/t", MountSource::TmpfsMount, &["size=1"], "option size=1"),
        ("/t", MountSource::Anonymous(None), &["z"], "option z"),
        ("/t", MountSource::Other("npipe".to_owned()), &[], "npipe"),
    ] {
        let spoken = ApiVersion {
            major: 1,
            minor: 41,
        };
        let error = write(&one(target, mount(source, false, options)), spoken).unwrap_err();
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
    assert_eq!(read(&live, &host, &[]), expected);
}

#[test]
fn the_long_form_is_read_with_all_it_says() {
    let point = |typ: &str| MountPoint {
        typ: Some(typ.to_owned()),
        destination: Some("/t".to_owned()),
        source: Some("/now".to_owned()),
        name: Some("data".to_owned()),
        ..MountPoint::default()
    };
    let seen = |typ: &str, asked: EngineMount| {
        let host = HostConfig {
            mounts: Some(vec![EngineMount {
                target: Some("/t".to_owned()),
                ..asked
            }]),
            ..HostConfig::default()
        };
        read(&[point(typ)], &host, &[]).remove("/t").unwrap()
    };
    let memory = EngineMount {
        tmpfs_options: Some(MountTmpfsOptions {
            size_bytes: Some(7),
            mode: Some(0o700),
            ..MountTmpfsOptions::default()
        }),
        ..EngineMount::default()
    };
    let memory = seen("tmpfs", memory);
    assert_eq!(memory.source, MountSource::TmpfsMount);
    assert_eq!((memory.long.size, memory.long.mode), (7, 0o700));
    let volume = EngineMount {
        volume_options: Some(MountVolumeOptions {
            no_copy: Some(true),
            subpath: Some("logs".to_owned()),
            labels: Some([("a".to_owned(), "b".to_owned())].into()),
            ..MountVolumeOptions::default()
        }),
        ..EngineMount::default()
    };
    let volume = seen("volume", volume);
    assert_eq!(volume.options, ["nocopy"]);
    assert_eq!(volume.long.subpath, "logs");
    assert_eq!(volume.long.labels["a"], "b");
    let image = EngineMount {
        typ: Some(MountType::IMAGE),
        source: Some("app:v1".to_owned()),
        image_options: Some(MountImageOptions {
            subpath: Some("etc".to_owned()),
        }),
        ..EngineMount::default()
    };
    let image = seen("image", image);
    assert_eq!(image.source, MountSource::Image("app:v1".to_owned()));
    assert_eq!(image.long.subpath, "etc");
    let bind = EngineMount {
        bind_options: Some(MountBindOptions {
            non_recursive: Some(true),
            ..MountBindOptions::default()
        }),
        ..EngineMount::default()
    };
    assert_eq!(seen("bind", bind).long.recursive, "disabled");
}

#[test]
fn what_came_with_the_volumes_of_others_is_left_out() {
    let point = |target: &str, name: &str| MountPoint {
        typ: Some("volume".to_owned()),
        destination: Some(target.to_owned()),
        name: Some(name.to_owned()),
        ..MountPoint::default()
    };
    let live = [
        point("/own", "own"),
        point("/theirs", "data"),
        point("/declared", &"c".repeat(64)),
        point("/declared-theirs", "data"),
        point("/theirs-too", &"d".repeat(64)),
    ];
    let host = HostConfig {
        binds: Some(vec!["own:/own:rw".to_owned()]),
        volumes_from: Some(vec!["other".to_owned()]),
        ..HostConfig::default()
    };
    let declared = ["/declared/".to_owned(), "/declared-theirs".to_owned()];
    let seen: Vec<String> = read(&live, &host, &declared).into_keys().collect();
    assert_eq!(seen, ["/declared", "/own"]);
}
