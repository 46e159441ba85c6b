//! Versions that come, go back past a migration, and are tried again.

use std::fs;

use super::host;
use super::routes::Routes;
use crate::e2e::play::Play;
use crate::support::http::{Writer, lost_or_doubled};
use crate::systems::row::Row;

#[test]
fn deploy() {
    let _row = Row::begin("v-edfinance", "deploy");
    let jobs = (
        "jobs:\n",
        "jobs:\n  tell: {service: api, run: [/standin, print, told], when: each_release, \
         timeout: 10s}\n  ask: {service: api, run: [/standin, schema], when: by_hand, timeout: \
         10s}\n",
    );
    let play = Play::v_edfinance("v-deploy").published();
    let routes = Routes::of(&play);
    let (stage, system) = (&play.stage, &play.system);
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
    routes.told();
    let writer = Writer::start(&system.url("/api/entries"));
    play.commit("v1.1.0", &[jobs]);
    let planned = stage.moored(&["plan"]).exits(2);
    assert!(!planned.out.contains("first-owner"), "{}", planned.out);
    let planned = planned.says(&[
        "pull", "stop", "backup", "run", "replace", "smoke", "record",
    ]);
    assert!(planned.out.contains("tell: "), "{}", planned.out);
    let ran = stage.reconcile();
    assert!(ran.out.len() + ran.err.len() < 64 * 1024, "bounded");
    play.serves("v1.1.0");
    let [_, backend, ..] = routes.told();
    let told = &backend[0];
    assert_eq!(told["event"], "deployed", "{backend:#?}");
    let version = told["attempt"]["version"].as_str().unwrap();
    assert!(version.contains("v1.1.0"), "{told}");
    assert!(
        told["attempt"]["duration_ms"].as_u64().unwrap() > 0,
        "{told}"
    );
    let stored = writer.stop();
    let rows = system.rows();
    assert_eq!(lost_or_doubled(&stored, &rows), [""; 0]);
    assert_eq!((rows[0].as_str(), system.schema()), ("first", 2));
    let size = fs::metadata(stage.path("moored/moored.db")).unwrap().len();
    assert!(size < 4 * 1024 * 1024, "{size}");
    play.quiet();
    let backups = play.backups();
    let [backup] = backups.as_slice() else {
        panic!("{backups:?}");
    };
    let history = stage.moored(&["history"]).exits(0);
    history.says(&["v1.1.0", backup]);
    stage.moored(&["backup", "verify"]).exits(0).says(&[backup]);
    assert!(play.listing(backup).contains("TABLE DATA public entries"));

    stage.moored(&["job", "ask"]).exits(0);
    stage.moored(&["job", "nothing"]).exits(64).says(&["ask"]);
    play.quiet();
}

#[test]
fn revert() {
    let _row = Row::begin("v-edfinance", "revert");
    // This code works with the next form of the data too.
    let play = host("revert", &["APP_SCHEMA=1", "APP_SCHEMA_MAX=2"], &[]);
    // No migration lies between.
    play.images("v1.0.1", &["APP_SCHEMA=1"]);
    play.commit("v1.0.1", &[]);
    play.stage.reconcile();
    play.serves("v1.0.1");
    play.stage.revert();
    play.stage.reconcile();
    play.serves("v1.0.0");
    play.quiet();

    // One does: nothing is done before Git says what of the data.
    play.images("v1.1.0", &["APP_SCHEMA=2"]);
    play.commit("v1.1.0", &[]);
    play.stage.reconcile();
    play.serves("v1.1.0");
    play.stage.revert();
    let asked = play.stage.moored(&["plan"]).exits(75);
    let answer = asked.out.split("accept_schema: ").nth(1);
    let answer = answer.and_then(|rest| rest.split('"').nth(1));
    let answer = answer.unwrap_or_else(|| panic!("{}", asked.out)).to_owned();
    play.pass().exits(75);
    play.serves("v1.1.0");
    play.whole();

    let accept = format!("on_failure: rollback\naccept_schema: \"{answer}\"");
    play.commit("v1.0.0", &[("on_failure: rollback", &accept)]);
    play.stage.reconcile();
    play.serves("v1.0.0");
    let data = (play.system.rows(), play.system.schema());
    assert_eq!(data, (vec!["first".to_owned()], 2));
    play.quiet();
}

#[test]
fn redeploy() {
    let _row = Row::begin("v-edfinance", "redeploy");
    let play = host("redeploy", &["APP_SCHEMA=1"], &[]);
    let stage = &play.stage;
    let release = |attempt: u32| format!("{attempt}-{}", &stage.git(&["rev-parse", "HEAD"])[..7]);
    let first = release(1);

    // The disk of the dumps is away for a while.
    let [disk, away] = ["backups", "backups-away"].map(|name| play.system.root.join(name));
    fs::rename(&disk, &away).unwrap();
    play.images("v1.1.0", &["APP_SCHEMA=1"]);
    play.commit("v1.1.0", &[]);
    play.fails(&["backup", "backups/postgres"]);
    let failed = release(2);
    play.serves("v1.0.0");
    fs::rename(&away, &disk).unwrap();
    play.pass().exits(75);
    stage.moored(&["retry"]).exits(0);
    stage.reconcile();
    play.serves("v1.1.0");
    play.quiet();

    play.images("v1.2.0", &["APP_SCHEMA=1"]);
    play.commit("v1.2.0", &[]);
    stage.reconcile();
    play.serves("v1.2.0");
    // Any that was successful, and no other.
    let refused = stage.moored(&["rollback", "--to", &failed]).exits(64);
    refused.says(&[&first]);
    stage.moored(&["rollback", "--to", &first]).exits(0);
    stage.pull();
    stage.reconcile();
    play.serves("v1.0.0");
    assert_eq!(play.system.rows(), ["first"]);
    play.quiet();
}
