//! Backups by hand beside a controller that runs: taken, listed, verified, drilled, restored, and
//! refused where they are no good.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::play::{Edit, Play};
use super::running::Running;
use crate::support::http::{Writer, lost_or_doubled};
use crate::support::put;
use crate::support::vehicles::{CANARY, System};

/// A drill of the database's backup.
pub(crate) const DRILL: Edit<'_> = (
    "    before_deploy: true\n",
    "    before_deploy: true\n    drill: {query: select count(*) from entries, at_least: 1}\n",
);

/// Starts a controller beside which everything else happens.
pub(crate) fn controller(play: &Play) -> Running {
    let running = play.stage.start(&["run"]);
    std::thread::sleep(Duration::from_millis(1500));
    running
}

/// Returns the name of the newest backup file.
pub(crate) fn newest(play: &Play) -> String {
    play.backups().pop().expect("there is a backup")
}

/// Cuts a backup short, or changes a byte of it.
fn damage(path: &Path, change: impl Fn(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    put(path, bytes);
}

/// Lets a backup's manifest agree with its damaged file, so that only a real look finds it.
fn agree(path: &Path) {
    let own = PathBuf::from(format!("{}.json", path.display()));
    let mut manifest: serde_json::Value = serde_json::from_slice(&fs::read(&own).unwrap()).unwrap();
    let sum = Command::new("sha256sum").arg(path).output().unwrap().stdout;
    manifest["sha256"] = String::from_utf8(sum).unwrap()[..64].into();
    manifest["size"] = fs::metadata(path).unwrap().len().into();
    put(&own, manifest.to_string());
}

/// Takes, lists, verifies and drills a backup; returns it.
pub(crate) fn takes_a_good_one(play: &Play, name: &str) -> String {
    let stage = &play.stage;
    let ran = stage.moored(&["backup", "now", name]).exits(0);
    let good = newest(play);
    assert!(ran.out.contains(&good), "{}", ran.out);
    stage
        .moored(&["backup", "list"])
        .exits(0)
        .says(&[&good, "verified"]);
    stage
        .moored(&["backup", "verify", name])
        .exits(0)
        .says(&[&good]);
    stage
        .moored(&["backup", "drill", name])
        .exits(0)
        .says(&["can be restored; the query answers 1"]);
    good
}

/// Damaged ones are refused before anything is touched, whether the manifest notices or not.
pub(crate) fn refuses_damaged(play: &Play, name: &str) {
    let (stage, system) = (&play.stage, &play.system);
    let rows = system.rows();
    for (what, lies) in [
        ("short", false),
        ("short", true),
        ("torn", false),
        ("torn", true),
    ] {
        let taken = play.backups();
        std::thread::sleep(Duration::from_millis(1100));
        stage.moored(&["backup", "now", name]).exits(0);
        let bad = newest(play);
        assert!(!taken.contains(&bad));
        let path = play.backup_dir().join(&bad);
        damage(&path, |bytes| {
            let middle = bytes.len() / 2;
            if what == "short" {
                bytes.truncate(bytes.len() * 6 / 10);
            } else {
                bytes[middle..]
                    .iter_mut()
                    .take(4096)
                    .for_each(|byte| *byte ^= 0x5a);
            }
        });
        if lies {
            agree(&path);
        }
        let before = stage.journal_rows();
        let verified = stage.moored(&["backup", "verify", name, &bad]);
        assert_eq!(verified.code, Some(1), "{what}, {lies}: {verified:?}");
        let restored = stage.moored(&["backup", "restore", name, &bad]);
        assert_eq!(restored.code, Some(1), "{what}, {lies}: {restored:?}");
        assert_eq!(stage.journal_rows(), before, "nothing was touched");
        fs::remove_file(&path).unwrap();
        fs::remove_file(format!("{}.json", path.display())).unwrap();
    }
    assert_eq!(system.rows(), rows);
}

/// A good one comes back, under a writer; what was there is backed up first, and comes back too.
pub(crate) fn restores(play: &Play, name: &str, good: &str) {
    let (stage, system) = (&play.stage, &play.system);
    let writer = Writer::start(&system.url("/api/entries"));
    std::thread::sleep(Duration::from_millis(1100));
    let taken = play.backups().len();
    let ran = stage.moored(&["backup", "restore", name, good]).exits(0);
    let stored = writer.stop();
    assert_eq!(play.backups().len(), taken + 1, "a safety backup");
    let safety = newest(play);
    assert!(format!("{}{}", ran.out, ran.err).contains("stop"));
    let now = system.rows();
    assert_eq!(now[0], "first");
    let lost: Vec<String> = lost_or_doubled(&stored, &now)
        .into_iter()
        .cloned()
        .collect();
    assert!(lost.iter().any(|it| it == "writer-1"), "{lost:?}");
    play.serves(first_tag(play));
    play.whole();
    stage.moored(&["backup", "restore", name, &safety]).exits(0);
    assert_eq!(lost_or_doubled(&lost, &system.rows()), [""; 0]);
}

/// One whose data does not pass the checks of the stack: the safety backup is put back.
pub(crate) fn puts_wrong_data_back(play: &Play, name: &str) {
    let (stage, system) = (&play.stage, &play.system);
    system.query("UPDATE totals SET entries = entries + 7");
    std::thread::sleep(Duration::from_millis(1100));
    stage.moored(&["backup", "now", name]).exits(0);
    let wrong = newest(play);
    system.query("UPDATE totals SET entries = entries - 7");
    assert_eq!(system.insert("later").unwrap().status, 201);
    let rows = system.rows();
    stage
        .moored(&["backup", "restore", name, &wrong])
        .exits(1)
        .says(&["rolled back", "verify-integrity"]);
    play.serves(first_tag(play));
    assert_eq!(system.rows(), rows);
    play.whole();
}

fn first_tag(play: &Play) -> &'static str {
    match play.system.system {
        System::Moltfund => "v1.2.0",
        System::VEdfinance => "v1.0.0",
    }
}

#[test]
fn backups_of_sqlite_by_hand_beside_a_controller() {
    let play = Play::moltfund("rsqlite");
    play.first(first_tag(&play), &[DRILL]);
    let running = controller(&play);
    let good = takes_a_good_one(&play, "prod");
    refuses_damaged(&play, "prod");
    restores(&play, "prod", &good);
    puts_wrong_data_back(&play, "prod");
    assert!(!running.said().contains(CANARY));
    drop(running);
    play.quiet();
}

/// A small file system; unmounted when dropped.
struct Small(PathBuf);

impl Small {
    fn mount(at: PathBuf) -> Self {
        fs::create_dir_all(&at).unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k", "none"])
            .arg(&at)
            .status()
            .unwrap();
        assert!(mounted.success());
        Self(at)
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        drop(Command::new("umount").arg(&self.0).status());
    }
}

#[test]
fn a_deploy_without_room_or_place_for_its_backup_leaves_the_site_as_it_is() {
    let play = Play::moltfund("rroom");
    play.first("v1.2.0", &[]);
    let rows = play.system.rows();
    let text = "x".repeat(2000);
    for _ in 0..40 {
        play.system.query(&format!(
            "INSERT INTO entries (text, amount) VALUES ('{text}', 0)"
        ));
    }
    play.images("v1.3.0", &["APP_SCHEMA=2"]);
    let to = "to: /opt/moltfund/backups/database";
    let to = to.replace("/opt/moltfund", play.system.root.to_str().unwrap());
    {
        let small = Small::mount(play.system.root.join("small"));
        let there = format!("to: {}", small.0.display());
        play.commit("v1.3.0", &[(&to, &there)]);
        play.fails(&["backup", "small"]);
        assert_eq!(play.system.version().as_deref(), Some("v1.2.0"));
        assert_eq!(play.system.get("/").unwrap().status, 200);
        assert_eq!(play.system.schema(), 1);
        assert!(
            fs::read_dir(&small.0).unwrap().next().is_none(),
            "nothing is left"
        );
        play.whole();
    }
    let there = format!("to: {}/mnt/disk/backups", play.system.root.display());
    play.commit("v1.3.0", &[(&to, &there)]);
    play.fails(&["backup", "mnt/disk/backups"]);
    play.serves("v1.2.0");
    assert_eq!(play.system.get("/").unwrap().status, 200);
    assert_eq!(play.system.rows()[..1], rows[..1]);
    play.whole();
}
