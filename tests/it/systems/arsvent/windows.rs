//! Deploys that change the data: their page, their order, and how they fail.

use std::fs;
use std::time::Duration;

use super::Site;
use crate::support::arsvent::FIRST;
use crate::support::docker_cli::eventually;
use crate::support::http::{Prober, Writer, lost_or_doubled};
use crate::systems::row::Row;
use crate::systems::watch::Watch;

#[test]
fn maintenance() {
    let _row = Row::begin("arsvent", "maintenance");
    let site = Site::production("page");
    let production = &site.system.production;
    let settings = ["APP_SCHEMA=2", "MIGRATE=slow:1"];
    site.system.images("sha-2", &settings);
    let writer = Writer::start(&production.url("/api/entries"));
    let prober = Prober::start(&production.url("/"));
    std::thread::sleep(Duration::from_millis(300));
    site.bump(production, FIRST, "sha-2", &[]);
    let mut pass = site.stage.start(&["reconcile"]);
    let mut shown = production.get("/");
    eventually("the page is on", || {
        shown = production.get("/");
        shown.status == 503
    });
    assert_eq!(shown.body, site.file("maintenance/maintenance.html"));
    assert_eq!(shown.header("retry-after"), Some("120"));
    assert!(site.system.flag(production).exists());
    let ended = pass.ends(Duration::from_secs(60));
    assert_eq!(ended, Some(0), "{}", pass.said());
    std::thread::sleep(Duration::from_millis(300));
    let (record, stored) = (prober.stop(), writer.stop());
    assert_eq!(record.statuses(), [200, 503, 200], "{record:?}");
    assert_eq!(record.versions(), [FIRST, "sha-2"]);
    assert!(record.count(503) >= 20, "all of a second: {record:?}");
    assert_eq!(lost_or_doubled(&stored, &site.data(production).0), [""; 0]);
    site.quiet();
}

#[test]
fn ordered() {
    let _row = Row::begin("arsvent", "ordered");
    let site = Site::production("ordered");
    let production = &site.system.production;
    let settings = ["APP_SCHEMA=2", "MIGRATE=slow:0.5", "READY_AFTER_MS=1500"];
    site.system.images("sha-2", &settings);
    site.bump(production, FIRST, "sha-2", &[]);
    let watch = Watch::start(
        &production.stack,
        &site.system.flag(production),
        &site.system.backups(production),
        production.backend()[1],
    );
    site.stage.reconcile();
    production.serves("sha-2");
    let seen = watch.stop();

    let old = production.container("backend");
    let migration = format!("{}-backend-migrate", production.stack);
    let migrates = |name: &str| name.starts_with(&migration) && !name.contains("status");
    let fresh = format!("{old}.new");
    let order = [
        ("maintenance on", seen.page_on),
        ("stop", seen.first("die", |name| name == old)),
        ("backup", seen.backup),
        ("migrate", seen.first("start", migrates)),
        ("migrated", seen.first("die", migrates)),
        ("start", seen.first("start", |name| name == fresh)),
        ("ready", seen.ready),
        ("maintenance off", seen.page_off),
    ];
    let times = order.map(|(_, at)| at);
    assert!(times.is_sorted(), "{order:?}");
    assert!(times[0] > 0, "{order:?}");
    site.quiet();
}

#[test]
fn failed_readiness() {
    let _row = Row::begin("arsvent", "failed readiness");
    let site = Site::production("ready");
    let production = &site.system.production;
    let (data, backups) = (site.data(production), site.backups(production).len());
    assert_eq!(data, (vec!["first".to_owned()], 1));
    // It migrates the data before it turns out that it never gets ready.
    site.system
        .images("sha-2", &["APP_SCHEMA=2", "NEVER_READY=1"]);
    let prober = Prober::start(&production.url("/"));
    std::thread::sleep(Duration::from_millis(200));
    site.bump(production, FIRST, "sha-2", &[]);
    site.fails(&["rolled back", "backend is not up"]);
    production.serves(FIRST);
    let record = prober.stop();
    assert_eq!(record.statuses(), [200, 503, 200], "{record:?}");
    assert_eq!(record.versions(), [FIRST], "nobody saw the new one");
    assert_eq!(site.data(production), data);
    assert_eq!(site.backups(production).len(), backups + 1);
    assert_eq!(production.insert("later").status, 201);
    site.whole();

    site.stage.revert();
    site.stage.reconcile();
    site.quiet();
}

#[test]
fn failed_migration() {
    let _row = Row::begin("arsvent", "failed migration");
    let site = Site::production("migration");
    let production = &site.system.production;
    let data = site.data(production);
    let old = production.containers();

    // Before it touches anything: the old version serves again.
    site.system
        .images("sha-2", &["APP_SCHEMA=2", "MIGRATE=fail-before"]);
    site.bump(production, FIRST, "sha-2", &[]);
    site.fails(&["rolled back", "told to fail before anything"]);
    production.serves(FIRST);
    assert_eq!(
        (site.data(production), production.containers()),
        (data, old)
    );
    site.whole();

    // Half-way, where a person is to look before the data goes back.
    assert_eq!(production.insert("second").status, 201);
    let data = site.data(production);
    site.system
        .images("sha-3", &["APP_SCHEMA=2", "MIGRATE=half"]);
    let stays = ("    restore_on_failed_migration: true\n", "");
    site.bump(production, "sha-2", "sha-3", &[stays]);
    let told = site.fails(&["told to fail half-way", "moored backup restore backend-db"]);
    let shown = production.get("/");
    let page = site.file("maintenance/maintenance.html");
    assert_eq!((shown.status, shown.body), (503, page));
    assert!(site.system.flag(production).exists());
    let backups = site.backups(production);
    let backup = backups.iter().find(|name| told.contains(*name));
    let backup = backup.unwrap_or_else(|| panic!("none of {backups:?} in {told}"));
    assert!(fs::metadata(site.system.backups(production).join(backup)).is_ok());

    // The command that it names brings the old version back, with its data.
    let restore = ["backup", "restore", "backend-db", backup];
    let stack = ["--stack", &production.stack];
    site.stage.moored(&[&restore[..], &stack].concat()).exits(0);
    production.serves(FIRST);
    assert_eq!(site.data(production), data);
    site.whole();
}
