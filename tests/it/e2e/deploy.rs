//! Deploys of the two systems that go well, seen by visitors, a writer and the database.

use std::fs;

use super::play::Play;
use crate::support::http::{Prober, Writer, lost_or_doubled};

#[test]
fn moltfund_is_deployed_behind_its_page_with_a_backup_first() {
    let play = Play::moltfund("mdeploy");
    let (stage, system) = (&play.stage, &play.system);
    play.first("v1.2.0", &[]);
    play.quiet();
    let before = play.backups().len();

    play.images("v1.3.0", &["APP_SCHEMA=2"]);
    let writer = Writer::start(&system.url("/api/entries"));
    let prober = Prober::start(&system.url("/"));
    std::thread::sleep(std::time::Duration::from_millis(300));
    play.commit("v1.3.0", &[]);
    stage.moored(&["plan"]).exits(2).says(&[
        "maintain", "stop", "backup", "run", "replace", "smoke", "record",
    ]);
    stage.reconcile();
    play.serves("v1.3.0");
    std::thread::sleep(std::time::Duration::from_millis(300));
    let (record, stored) = (prober.stop(), writer.stop());
    assert_eq!(record.statuses(), [200, 503, 200], "{record:?}");
    assert_eq!(record.versions(), ["v1.2.0", "v1.3.0"]);
    assert_eq!(lost_or_doubled(&stored, &system.rows()), [""; 0]);
    assert!(!stored.is_empty());
    assert_eq!(system.schema(), 2);
    play.quiet();

    let backups = play.backups();
    assert_eq!(backups.len(), before + 1);
    let backup = backups.last().unwrap();
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let parts: Vec<&str> = backup.trim_end_matches(".db").split('_').collect();
    assert!(
        parts.len() == 3 && parts[0] == "prod" && digits(parts[1]) && digits(parts[2]),
        "{backup}"
    );
    let copy = rusqlite::Connection::open(play.backup_dir().join(backup)).unwrap();
    let schema: u32 = copy
        .query_row("SELECT version FROM schema_version", [], |row| row.get(0))
        .unwrap();
    assert_eq!(schema, 1, "it was taken before the migration");
    drop(copy);
    stage
        .moored(&["history"])
        .exits(0)
        .says(&["v1.3.0", backup]);

    // The hotfix: no migration, and the page and a backup all the same.
    play.images("v1.3.1", &["APP_SCHEMA=2"]);
    play.commit("v1.3.1", &[]);
    stage.reconcile();
    play.serves("v1.3.1");
    play.quiet();
    assert_eq!(play.backups().len(), before + 2);

    // Back, with images that are on the host and no registry that has them.
    stage.revert();
    stage.reconcile();
    play.serves("v1.3.0");
    play.quiet();
    assert_eq!(lost_or_doubled(&stored, &system.rows()), [""; 0]);
    let uploads = fs::read_to_string(system.root.join("data/uploads/picture.png"));
    assert_eq!(uploads.unwrap(), "a picture");
}

#[test]
fn v_edfinance_is_dumped_migrated_replaced_and_released() {
    let play = Play::v_edfinance("vdeploy");
    let (stage, system) = (&play.stage, &play.system);
    let jobs = (
        "jobs:\n",
        "jobs:\n  tell: {service: api, run: [/standin, print, told], when: each_release, \
         timeout: 10s}\n  ask: {service: api, run: [/standin, schema], when: by_hand, timeout: \
         10s}\n",
    );
    play.images("v1.0.0", &["APP_SCHEMA=1"]);
    play.commit("v1.0.0", &[jobs]);
    let planned = stage.moored(&["plan"]).exits(2);
    assert!(planned.out.contains("first-owner: "), "{}", planned.out);
    assert!(planned.out.contains("tell: "), "{}", planned.out);
    assert!(!planned.out.contains("ask: "), "{}", planned.out);
    stage.reconcile();
    play.serves("v1.0.0");
    system.insert("first").unwrap();
    play.quiet();

    play.images("v1.1.0", &["APP_SCHEMA=2", "MIGRATE=noisy"]);
    let writer = Writer::start(&system.url("/api/entries"));
    play.commit("v1.1.0", &[jobs]);
    let planned = stage.moored(&["plan"]).exits(2);
    assert!(!planned.out.contains("first-owner"), "{}", planned.out);
    assert!(planned.out.contains("tell: "), "{}", planned.out);
    let ran = stage.reconcile();
    assert!(ran.out.len() + ran.err.len() < 64 * 1024, "bounded");
    play.serves("v1.1.0");
    let stored = writer.stop();
    let rows = system.rows();
    assert_eq!(lost_or_doubled(&stored, &rows), [""; 0]);
    assert_eq!((rows[0].as_str(), system.schema()), ("first", 2));
    let size = fs::metadata(stage.path("moored/moored.db")).unwrap().len();
    assert!(size < 4 * 1024 * 1024, "{size}");
    play.quiet();
    let backups = play.backups();
    let backup = backups.last().unwrap();
    stage
        .moored(&["history"])
        .exits(0)
        .says(&["v1.1.0", backup]);
    stage.moored(&["backup", "verify"]).exits(0).says(&[backup]);

    stage.moored(&["job", "ask"]).exits(0);
    stage.moored(&["job", "nothing"]).exits(64).says(&["ask"]);
    play.quiet();
}
