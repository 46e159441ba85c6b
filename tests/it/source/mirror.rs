//! A damaged mirror heals.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use moored::source::{self, ReadError, Tree};

use super::{Host, answer, at};
use crate::support::origin::Origin;
use crate::support::put;

/// Damages a fetched mirror, then expects the next fetch, of a commit that is new or not, to
/// bring everything.
async fn heals(damage: impl Fn(&Path)) {
    for promote in [false, true] {
        let (origin, mut newest) =
            Origin::with_main(&[("moored.yaml", "tag: 1\n"), ("deep/er/file", "x")]);
        let host = Host::new();
        host.fetch(&origin.url(), "main").await.unwrap();
        damage(&host.mirror());
        if promote {
            newest = origin.commit("main", &[("moored.yaml", "tag: 2\n")]);
        }
        assert_eq!(host.fetch(&origin.url(), "main").await, Ok(answer(&newest)));
        assert_eq!(host.read(&newest, "deep/er/file"), "x");
        assert_eq!(
            host.fetch(&origin.url(), "main").await,
            Ok(answer(&newest)),
            "and stays whole"
        );
    }
}

fn packs(mirror: &Path) -> Vec<PathBuf> {
    fs::read_dir(mirror.join("objects/pack"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "pack"))
        .collect()
}

#[tokio::test]
async fn heals_an_empty_ref() {
    heals(|mirror| put(mirror.join("refs/heads/main"), "")).await;
}

#[tokio::test]
async fn heals_a_missing_head() {
    heals(|mirror| fs::remove_file(mirror.join("HEAD")).unwrap()).await;
}

#[tokio::test]
async fn heals_a_truncated_pack() {
    heals(|mirror| {
        for pack in packs(mirror) {
            let length = fs::metadata(&pack).unwrap().len();
            fs::remove_file(pack.with_extension("tmp")).ok();
            let mut permissions = fs::metadata(&pack).unwrap().permissions();
            std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o600);
            fs::set_permissions(&pack, permissions).unwrap();
            let file = File::options().write(true).open(&pack).unwrap();
            file.set_len(length / 2).unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn heals_missing_objects() {
    heals(|mirror| {
        fs::remove_dir_all(mirror.join("objects")).unwrap();
        fs::create_dir_all(mirror.join("objects/pack")).unwrap();
    })
    .await;
}

#[tokio::test]
async fn heals_a_mirror_that_is_a_file_or_an_empty_directory() {
    heals(|mirror| {
        fs::remove_dir_all(mirror).unwrap();
        put(mirror, "");
    })
    .await;
    heals(|mirror| {
        fs::remove_dir_all(mirror).unwrap();
        fs::create_dir(mirror).unwrap();
    })
    .await;
}

#[tokio::test]
async fn heals_a_damaged_configuration() {
    heals(|mirror| put(mirror.join("config"), "[core\n")).await;
}

#[tokio::test]
async fn tells_damage_that_only_reading_shows() {
    let (origin, first) = Origin::with_main(&[("a", &"0123456789".repeat(50))]);
    let host = Host::new();
    host.fetch(&origin.url(), "main").await.unwrap();
    let pack = packs(&host.mirror()).remove(0);
    let mut bytes = fs::read(&pack).unwrap();
    assert_eq!(host.read(&first, "a").len(), 500);
    // Somewhere in the objects, not in the checksum at the end.
    for byte in &mut bytes[12..].iter_mut().rev().skip(24).take(8) {
        *byte ^= 0xff;
    }
    fs::remove_file(&pack).unwrap();
    put(&pack, bytes);
    let read = Tree::at_commit(&host.mirror(), &first).and_then(|tree| tree.read(&at("a")));
    assert!(
        matches!(
            read,
            Err(ReadError::Damaged { .. } | ReadError::NoCommit { .. })
        ),
        "{read:?}"
    );
    source::set_aside(&host.mirror()).unwrap();
    assert_eq!(host.fetch(&origin.url(), "main").await, Ok(answer(&first)));
    assert_eq!(host.read(&first, "a").len(), 500);
}

#[tokio::test]
async fn keeps_one_damaged_mirror_for_a_look() {
    let (origin, first) = Origin::with_main(&[("a", "1")]);
    let host = Host::new();
    for _ in 0..2 {
        host.fetch(&origin.url(), "main").await.unwrap();
        put(host.mirror().join("refs/heads/main"), "");
    }
    assert_eq!(host.fetch(&origin.url(), "main").await, Ok(answer(&first)));
    let mut names: Vec<_> = fs::read_dir(host.directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["mirror", "mirror.broken", "mirror.home"]);
}

#[tokio::test]
async fn leaves_a_damaged_mirror_in_place_while_the_remote_is_away() {
    let (origin, _) = Origin::with_main(&[("a", "1")]);
    let host = Host::new();
    host.fetch(&origin.url(), "main").await.unwrap();
    put(host.mirror().join("refs/heads/main"), "");
    fs::rename(origin.path(), origin.path().with_extension("away")).unwrap();
    host.fetch(&origin.url(), "main").await.unwrap_err();
    assert!(host.mirror().join("objects").exists());
    assert!(!host.directory.path().join("mirror.new").exists());
}

#[tokio::test]
async fn removes_locks_and_half_packs_that_a_killed_fetch_left() {
    let (origin, _) = Origin::with_main(&[("a", "1")]);
    let host = Host::new();
    host.fetch(&origin.url(), "main").await.unwrap();
    let left = [
        "refs/heads/main.lock",
        "HEAD.lock",
        "packed-refs.lock",
        "config.lock",
        "objects/pack/pack_git2_AbCdEf",
        "objects/tmp_object_git2_AbCdEf",
    ];
    for name in left {
        put(host.mirror().join(name), "");
    }
    let second = origin.commit("main", &[("a", "2")]);
    assert_eq!(host.fetch(&origin.url(), "main").await, Ok(answer(&second)));
    for name in left {
        assert!(!host.mirror().join(name).exists(), "{name}");
    }
    assert!(!host.directory.path().join("mirror.broken").exists());
}

#[tokio::test]
async fn keeps_the_number_of_packs_bounded() {
    let (origin, mut newest) = Origin::with_main(&[("a", "0")]);
    let host = Host::new();
    let mut most = 0;
    for number in 1..=54 {
        assert_eq!(host.fetch(&origin.url(), "main").await, Ok(answer(&newest)));
        most = most.max(packs(&host.mirror()).len());
        newest = origin.commit("main", &[("a", &number.to_string())]);
    }
    assert_eq!(most, 51, "one pack a fetch, then afresh");
    assert!(packs(&host.mirror()).len() < 5);
    assert!(!host.directory.path().join("mirror.broken").exists());
}
