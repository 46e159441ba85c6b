//! Files of the host: what is packed, what comes back, and archives that somebody tampered with.

use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use moored::backup::{BackupError, Content, Listed, drill, restore, verify};
use moored::desired::backups::Drill;
use serde_json::json;
use tar::{Builder, EntryType, Header};

use super::torn::sha256;
use super::{SmallDisk, Stage, names};
use crate::support::put;

/// Uploads with everything that a directory can have, and one file beside it.
fn uploads() -> Stage {
    let stage = Stage::new(|live| json!({"files": [live.join("uploads"), live.join("site.txt")]}));
    let at = |name: &str| stage.live("uploads").join(name);
    std::fs::create_dir_all(at("a/deep/er")).unwrap();
    std::fs::create_dir(at("empty")).unwrap();
    put(at("a/one"), "one");
    put(at(&format!("a/deep/er/{}", "long".repeat(60))), "two");
    put(at("a/with space\nand line"), "three");
    put(at("script"), "#!");
    put(stage.live("site.txt"), "site");
    std::fs::set_permissions(at("script"), std::fs::Permissions::from_mode(0o750)).unwrap();
    std::fs::set_permissions(at("empty"), std::fs::Permissions::from_mode(0o2770)).unwrap();
    std::os::unix::fs::chown(at("a/one"), Some(33), Some(34)).unwrap();
    let long_ago = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    for name in ["a/one", "empty"] {
        let file = std::fs::File::open(at(name)).unwrap();
        file.set_modified(long_ago).unwrap();
    }
    symlink("one", at("a/link")).unwrap();
    symlink("../site.txt", at("over")).unwrap();
    stage
}

/// What can be seen of a tree.
fn tree(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let meta = std::fs::symlink_metadata(&path).unwrap();
        let content = if meta.is_dir() {
            left.extend(names(&path).iter().map(|name| path.join(name)));
            String::new()
        } else if meta.is_symlink() {
            format!("{:?}", std::fs::read_link(&path).unwrap())
        } else {
            String::from_utf8_lossy(&std::fs::read(&path).unwrap()).into_owned()
        };
        // When a link was made is kept by nobody.
        let time = if meta.is_symlink() { 0 } else { meta.mtime() };
        let owner = (meta.mode(), meta.uid(), meta.gid());
        found.push(format!("{} {owner:?} {time} {content}", path.display()));
    }
    found.sort();
    found
}

#[test]
fn what_is_packed_comes_back_as_it_was() {
    let stage = uploads();
    let before = tree(&stage.live(""));
    let backup = stage.taken();
    assert_eq!(backup.manifest.file, "db_20260211_140302.tar.zst");
    let Content::Files {
        entries,
        bytes,
        left_out,
        ..
    } = &backup.manifest.content
    else {
        panic!("another kind");
    };
    assert_eq!((*entries, *bytes), (12, 17));
    assert!(left_out.is_empty());
    std::fs::remove_dir_all(stage.live("uploads/a")).unwrap();
    put(stage.live("uploads/script"), "changed");
    put(stage.live("uploads/new"), "new");
    put(stage.live("site.txt"), "changed");
    let modified = stage.live("").metadata().unwrap();
    stage
        .with(async |work| restore(work, &backup).await)
        .unwrap();
    // Of the directory around, only its own time can't be the same.
    std::fs::File::open(stage.live(""))
        .unwrap()
        .set_modified(modified.modified().unwrap())
        .unwrap();
    let after = tree(&stage.live(""));
    let inside = |tree: &[String]| tree[1..].to_vec();
    assert_eq!(inside(&after), inside(&before));
    std::fs::remove_dir_all(stage.live("uploads")).unwrap();
    std::fs::remove_file(stage.live("site.txt")).unwrap();
    stage
        .with(async |work| restore(work, &backup).await)
        .unwrap();
    assert_eq!(inside(&tree(&stage.live(""))), inside(&before));
}

#[test]
fn links_out_and_what_is_no_file_are_left_out_and_named() {
    let stage = uploads();
    symlink("/etc/passwd", stage.live("uploads/passwd")).unwrap();
    symlink("../../..", stage.live("uploads/up")).unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(stage.live("uploads/socket")).unwrap();
    let backup = stage.taken();
    let Content::Files { left_out, .. } = &backup.manifest.content else {
        panic!("another kind");
    };
    let named: Vec<&str> = left_out
        .iter()
        .map(|line| line.rsplit('/').next().unwrap())
        .collect();
    assert_eq!(
        named,
        [
            "passwd: a link that leads out of what is backed up",
            "socket: neither file, directory nor link",
            "up: a link that leads out of what is backed up",
        ]
    );
    stage
        .with(async |work| restore(work, &backup).await)
        .unwrap();
    assert!(!stage.live("uploads/passwd").is_symlink());
}

#[test]
fn a_missing_directory_is_no_empty_backup() {
    let stage = uploads();
    std::fs::remove_dir_all(stage.live("uploads")).unwrap();
    let error = stage.take().unwrap_err();
    assert!(matches!(error, BackupError::NoSource(_)), "{error}");
    symlink("/etc", stage.live("uploads")).unwrap();
    let error = stage.take().unwrap_err();
    assert!(matches!(error, BackupError::Source { .. }), "{error}");
    assert!(stage.names().is_empty());
}

#[test]
fn a_disk_that_fills_up_leaves_nothing_behind() {
    let stage = uploads();
    let Some(_disk) = SmallDisk::at(&stage.to(), 1_000_000) else {
        return;
    };
    let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..))
        .take(3_000_000)
        .collect();
    put(stage.live("uploads/noise"), noise);
    let message = stage.take().unwrap_err().to_string();
    assert!(message.contains("No space left"), "{message}");
    assert!(stage.names().is_empty());
}

#[test]
fn a_drill_unpacks_and_leaves_nothing() {
    let stage = uploads();
    let backup = stage.taken();
    let before = (stage.names(), tree(&stage.live("")));
    let wanted = Drill {
        schedule: None,
        query: None,
        at_least: 1,
    };
    let drilled = stage
        .with(async |work| drill(work, &backup, &wanted).await)
        .unwrap();
    assert_eq!(drilled.answer, None);
    assert_eq!((stage.names(), tree(&stage.live(""))), before);
}

/// One member of a forged archive.
struct Member<'a> {
    path: &'a str,
    kind: EntryType,
    link: &'a str,
}

/// Writes an archive past the checks of the library, and a manifest that fits it.
fn forge(stage: &Stage, backup: &Listed, members: &[Member<'_>]) -> Listed {
    let mut tar = Builder::new(zstd::Encoder::new(Vec::new(), 1).unwrap());
    for member in members {
        let mut header = Header::new_gnu();
        header.as_gnu_mut().unwrap().name[..member.path.len()]
            .copy_from_slice(member.path.as_bytes());
        header.as_gnu_mut().unwrap().linkname[..member.link.len()]
            .copy_from_slice(member.link.as_bytes());
        header.set_entry_type(member.kind);
        header.set_mode(0o6777);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(if member.kind == EntryType::Regular {
            4
        } else {
            0
        });
        header.set_cksum();
        let content: &[u8] = if member.kind == EntryType::Regular {
            b"evil"
        } else {
            b""
        };
        tar.append(&header, content).unwrap();
    }
    let mut zstd = tar.into_inner().unwrap();
    zstd.flush().unwrap();
    let bytes = zstd.finish().unwrap();
    put(&backup.path, &bytes);
    let mut forged = backup.clone();
    forged.manifest.size = bytes.len() as u64;
    forged.manifest.sha256 = sha256(&bytes);
    let files = members
        .iter()
        .filter(|member| member.kind == EntryType::Regular)
        .count();
    forged.manifest.content = Content::Files {
        paths: vec![stage.live("uploads"), stage.live("site.txt")],
        entries: members.len() as u64,
        bytes: files as u64 * 4,
        left_out: Vec::new(),
    };
    forged
}

#[test]
fn an_archive_that_leads_out_is_refused() {
    let stage = uploads();
    let backup = stage.taken();
    let root = stage.live("uploads");
    let inside = root.to_str().unwrap().trim_start_matches('/').to_owned();
    let before = tree(stage.dir.path());
    let outside = stage.live("outside");
    let file = |path: &str| vec![(path.to_owned(), EntryType::Regular, String::new())];
    let link = |target: &str| vec![(format!("{inside}/l"), EntryType::Symlink, target.to_owned())];
    let mut through = link(stage.live("").to_str().unwrap());
    through.push((
        format!("{inside}/l/outside"),
        EntryType::Regular,
        String::new(),
    ));
    let mut behind = vec![(format!("{inside}/l"), EntryType::Symlink, ".".to_owned())];
    behind.push((format!("{inside}/l/x"), EntryType::Regular, String::new()));
    for members in [
        file(outside.to_str().unwrap()),
        file(&format!("{inside}/../outside")),
        file("etc/evil"),
        file("../../../../etc/evil"),
        link("/etc"),
        link("../outside"),
        through,
        behind,
        vec![(
            format!("{inside}/h"),
            EntryType::Link,
            "/etc/passwd".to_owned(),
        )],
        vec![(format!("{inside}/d"), EntryType::Block, String::new())],
        vec![(format!("{inside}/p"), EntryType::Fifo, String::new())],
    ] {
        let (path, _, target) = members.last().unwrap().clone();
        // The directory itself must be there for what lies in it.
        let mut all = vec![(inside.clone(), EntryType::Directory, String::new())];
        all.extend(members);
        let all: Vec<Member<'_>> = all
            .iter()
            .map(|(path, kind, link)| Member {
                path,
                kind: *kind,
                link,
            })
            .collect();
        let whole = std::fs::read(&backup.path).unwrap();
        let forged = forge(&stage, &backup, &all);
        let restored = stage.with(async |work| restore(work, &forged).await);
        assert!(restored.is_err(), "{path} -> {target}");
        put(&backup.path, whole);
        assert_eq!(tree(stage.dir.path()), before, "{path} -> {target}");
    }
    assert!(!Path::new("/etc/evil").exists());
}

#[test]
fn an_archive_with_more_than_was_packed_is_refused() {
    let stage = uploads();
    let backup = stage.taken();
    let inside = stage
        .live("uploads")
        .to_str()
        .unwrap()
        .trim_start_matches('/')
        .to_owned();
    let one = format!("{inside}/one");
    let members = [
        Member {
            path: &inside,
            kind: EntryType::Directory,
            link: "",
        },
        Member {
            path: &one,
            kind: EntryType::Regular,
            link: "",
        },
    ];
    let forged = forge(&stage, &backup, &members);
    stage
        .with(async |work| verify(work, &forged).await)
        .unwrap();
    for (entries, bytes) in [(1, 4), (2, 3), (3, 4), (2, 5)] {
        let mut wrong = forged.clone();
        let Content::Files {
            entries: e,
            bytes: b,
            ..
        } = &mut wrong.manifest.content
        else {
            panic!("another kind");
        };
        (*e, *b) = (entries, bytes);
        let error = stage
            .with(async |work| verify(work, &wrong).await)
            .unwrap_err();
        assert!(matches!(error, BackupError::Unsound { .. }), "{error}");
    }
    // A file that makes who runs it somebody else does not come back as one.
    stage
        .with(async |work| restore(work, &forged).await)
        .unwrap();
    let mode = stage
        .live("uploads/one")
        .metadata()
        .unwrap()
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o777);
}
