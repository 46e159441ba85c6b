//! Dumps: every night, put back, refused when they are no good, and checked.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use jiff::civil::time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan as _};

use super::host;
use crate::e2e::play::Play;
use crate::e2e::restore::{
    DRILL, controller, newest, puts_wrong_data_back, refuses_damaged, restores, takes_a_good_one,
};
use crate::support::docker_cli::{docker, eventually};
use crate::support::put;
use crate::systems::row::Row;

impl Play {
    /// Returns what the tools of the database say is in a dump.
    pub(super) fn listing(&self, dump: &str) -> String {
        let database = self.system.container("postgres");
        let path = self.backup_dir().join(dump).display().to_string();
        docker(&["cp", &path, &format!("{database}:/tmp/dump")]);
        docker(&["exec", &database, "pg_restore", "--list", "/tmp/dump"])
    }

    /// Lets a dump be as if it was taken at another time.
    pub(super) fn date(&self, dump: &str, at: Timestamp) {
        let path = PathBuf::from(format!("{}.json", self.backup_dir().join(dump).display()));
        let text = fs::read(&path).unwrap();
        let mut manifest: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert!(manifest["taken_at"].is_string(), "{manifest}");
        manifest["taken_at"] = at.to_string().into();
        put(&path, manifest.to_string());
    }
}

/// Returns the last 02:00 where v-edfinance is.
fn last_night(now: Timestamp) -> Timestamp {
    let zone = TimeZone::get("Europe/Berlin").unwrap();
    let there = now.to_zoned(zone);
    let today = there.with().time(time(2, 0, 0, 0)).build().unwrap();
    let last = if today.timestamp() <= now {
        today
    } else {
        today.checked_sub(1.day()).unwrap()
    };
    last.timestamp()
}

#[test]
fn daily_dump() {
    let _row = Row::begin("v-edfinance", "daily dump");
    let keep = (
        "keep: {last: 3, daily: 14, weekly: 8, monthly: 12}",
        "keep: {last: 2, daily: 0, weekly: 0, monthly: 0}",
    );
    let play = host("daily", &["APP_SCHEMA=1"], &[keep]);
    let stage = &play.stage;
    for _ in 0..2 {
        stage.moored(&["backup", "now", "postgres"]).exits(0);
        // Their names have the second.
        std::thread::sleep(Duration::from_millis(1100));
    }
    let by_hand = play.backups();
    assert_eq!(by_hand.len(), 2);
    let now = Timestamp::now();
    let night = last_night(now);
    let half_an_hour = SignedDuration::from_mins(30);

    // One that was taken after 02:00, by the clock of the stack, will do.
    let since = now.duration_since(night);
    play.date(&by_hand[1], night + half_an_hour.min(since / 2));
    let running = stage.start(&["run"]);
    running.says("nothing to do");
    std::thread::sleep(Duration::from_secs(2));
    drop(running);
    assert_eq!(play.backups(), by_hand);

    // One from before it will not; what is beyond `keep` goes.
    play.date(&by_hand[1], night - half_an_hour);
    let running = stage.start(&["run"]);
    eventually("the night's dump is there", || {
        play.backups().len() == 2 && newest(&play) != by_hand[1]
    });
    drop(running);
    let kept = play.backups();
    assert_eq!(kept[0], by_hand[1]);
    let listed = stage.moored(&["backup", "list", "postgres"]).exits(0);
    let listed = listed.out.lines().find(|line| line.contains(&kept[1]));
    assert!(listed.unwrap().contains("verified"), "{listed:?}");
    assert!(play.listing(&kept[1]).contains("TABLE DATA public entries"));

    // One that fails is told, and takes nothing away.
    play.date(&kept[1], night - SignedDuration::from_hours(72));
    let database = play.system.container("postgres");
    let tool = docker(&["exec", &database, "readlink", "-f", "/usr/bin/pg_dump"]);
    docker(&["exec", &database, "mv", &tool, "/tmp/pg_dump"]);
    let running = stage.start(&["run"]);
    running.says("pg_dump");
    drop(running);
    assert_eq!(play.backups(), kept);
    stage
        .moored(&["plan"])
        .says(&["postgres", "moored backup now postgres"]);
    play.tidy();
}

#[test]
fn restore() {
    let _row = Row::begin("v-edfinance", "restore");
    let play = host("restore", &["APP_SCHEMA=1"], &[DRILL]);
    let running = controller(&play);
    let good = takes_a_good_one(&play, "postgres");
    restores(&play, "postgres", &good);
    puts_wrong_data_back(&play, "postgres");
    drop(running);
    play.quiet();
}

#[test]
fn truncated_dump() {
    let _row = Row::begin("v-edfinance", "truncated dump");
    let play = host("truncated", &["APP_SCHEMA=1"], &[]);
    refuses_damaged(&play, "postgres");
    play.serves("v1.0.0");
    play.quiet();
}

#[test]
fn integrity_check() {
    let _row = Row::begin("v-edfinance", "integrity check");
    let play = host("integrity", &["APP_SCHEMA=1"], &[]);
    let verified = || {
        let answer = play.system.get("/api/debug/diagnostics/verify-integrity");
        answer.unwrap().json().unwrap()
    };
    // After a deploy: the answer has status 200, and only its JSON says no.
    play.images("v1.1.0", &["APP_SCHEMA=1", "INTEGRITY=broken"]);
    play.commit("v1.1.0", &[]);
    play.fails(&["rolled back", "verify-integrity", "/ok"]);
    play.serves("v1.0.0");
    assert_eq!(verified()["ok"], true);
    play.stage.revert();
    play.stage.reconcile();

    // After a restore.
    puts_wrong_data_back(&play, "postgres");
    assert_eq!(
        (&verified()["ok"], &verified()["entries"]),
        (&true.into(), &2.into())
    );

    // A row that is gone behind the application's back is noticed.
    play.system
        .query("DELETE FROM entries WHERE text = 'first'");
    assert_eq!(verified()["ok"], false);
    play.images("v1.2.0", &["APP_SCHEMA=1"]);
    play.commit("v1.2.0", &[]);
    play.fails(&["verify-integrity"]);
}
