//! Backups that are not what was taken any more: nothing of them is restored.

use moored::backup::{Listed, drill, restore, verify};
use moored::desired::backups::Drill;
use serde_json::json;

use super::sqlite::with_users;
use super::{Stage, names};
use crate::support::put;

/// Places in a file: its ends, the borders of pages, and some between.
fn offsets(length: usize) -> Vec<usize> {
    let mut found = vec![
        0,
        1,
        15,
        16,
        100,
        511,
        512,
        513,
        4095,
        4096,
        4097,
        length / 2,
    ];
    found.extend([length - 4097, length - 4096, length - 513, length - 1]);
    found.extend((0..length).step_by(length / 23 + 1));
    found.retain(|offset| *offset < length);
    found
}

fn refused_everywhere(stage: &Stage, backup: &Listed) {
    let whole = std::fs::read(&backup.path).unwrap();
    let refused = |bytes: &[u8], what: &str| {
        put(&backup.path, bytes);
        let live = std::fs::read(stage.live("prod.db")).ok();
        let message = stage
            .with(async |work| verify(work, backup).await)
            .unwrap_err()
            .to_string();
        assert!(message.contains(what), "{message}");
        assert!(
            stage
                .with(async |work| restore(work, backup).await)
                .is_err()
        );
        let wanted = Drill {
            schedule: None,
            query: None,
            at_least: 1,
        };
        assert!(
            stage
                .with(async |work| drill(work, backup, &wanted).await)
                .is_err()
        );
        assert_eq!(std::fs::read(stage.live("prod.db")).ok(), live);
    };
    for offset in offsets(whole.len()) {
        refused(&whole[..offset], "bytes, and had");
        let mut flipped = whole.clone();
        flipped[offset] ^= 0x10;
        refused(&flipped, "its content is not what was taken");
    }
    put(&backup.path, &whole);
    stage.with(async |work| verify(work, backup).await).unwrap();
}

#[test]
fn a_torn_database_is_refused() {
    let stage = with_users(500);
    refused_everywhere(&stage, &stage.taken());
}

#[test]
fn a_torn_archive_is_refused() {
    let stage = Stage::new(|live| json!({"files": [live.join("uploads")]}));
    std::fs::create_dir(stage.live("uploads")).unwrap();
    put(
        stage.live("uploads/a"),
        fastrand::Rng::with_seed(1).u64(..).to_string().repeat(2000),
    );
    let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..))
        .take(20_000)
        .collect();
    put(stage.live("uploads/b"), noise);
    refused_everywhere(&stage, &stage.taken());
    assert_eq!(names(&stage.live("")), ["uploads"]);
}

/// Where somebody changed the manifest with the file, the file itself is still looked at.
#[test]
fn a_torn_file_whose_manifest_fits_it_is_refused_too() {
    let stage = with_users(500);
    let mut backup = stage.taken();
    let whole = std::fs::read(&backup.path).unwrap();
    let mut refused = |bytes: &[u8]| {
        put(&backup.path, bytes);
        backup.manifest.size = bytes.len() as u64;
        backup.manifest.sha256 = sha256(bytes);
        stage
            .with(async |work| verify(work, &backup).await)
            .is_err()
    };
    for offset in offsets(whole.len()) {
        assert!(refused(&whole[..offset]), "{offset}");
    }
    assert!(!refused(&whole));
}

pub(super) fn sha256(bytes: &[u8]) -> String {
    use sha2::Digest as _;
    hex::encode(sha2::Sha256::digest(bytes))
}
