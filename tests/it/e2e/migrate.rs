//! Deploys whose migration, or what comes after it, goes wrong: data and code stay together.

use std::time::{Duration, Instant};

use super::play::{Edit, Play};

/// Nobody promises that a failed migration has changed nothing.
const NO_TRANSACTION: Edit<'_> = ("    transactional: true\n", "");

/// Visitors keep the page, and the data waits for a person.
const NO_RESTORE: Edit<'_> = (
    "restore_on_failed_migration: true",
    "restore_on_failed_migration: false",
);

#[test]
fn a_migration_that_changes_nothing_leaves_the_old_release_serving() {
    let play = Play::v_edfinance("mnothing");
    play.first("v1.0.0", &[]);
    let rows = play.system.rows();
    let same = |tag: &str| {
        play.serves("v1.0.0");
        assert_eq!(
            (play.system.rows(), play.system.schema()),
            (rows.clone(), 1),
            "{tag}"
        );
        play.whole();
    };

    // By its transaction, as declared.
    play.images("v1.1.0", &["APP_SCHEMA=2", "MIGRATE=fail-before"]);
    play.commit("v1.1.0", &[("    status: [/standin, schema]\n", "")]);
    play.fails(&["rolled back", "told to fail before anything"]);
    same("transactional");

    // By what its status command says.
    play.images("v1.1.1", &["APP_SCHEMA=2", "MIGRATE=fail-before"]);
    play.commit("v1.1.1", &[NO_TRANSACTION]);
    play.fails(&["rolled back", "told to fail before anything"]);
    same("status");

    // One that hangs is ended at its deadline, whatever it does with SIGTERM.
    play.images("v1.1.2", &["APP_SCHEMA=2", "MIGRATE=hang"]);
    play.commit("v1.1.2", &[("timeout: 10m", "timeout: 3s")]);
    let began = Instant::now();
    play.fails(&["rolled back", "had not ended after 3s"]);
    assert!(
        began.elapsed() < Duration::from_secs(25),
        "{:?}",
        began.elapsed()
    );
    same("hang");

    // A smoke check that fails takes the new code back; there was no migration.
    play.images("v1.1.3", &["APP_SCHEMA=1", "INTEGRITY=broken"]);
    play.commit("v1.1.3", &[]);
    play.fails(&["rolled back", "verify-integrity"]);
    same("smoke");

    play.stage.git(&["revert", "--no-edit", "HEAD~4..HEAD"]);
    play.stage.reconcile();
    play.quiet();
}

#[test]
fn a_migration_that_ends_half_way_is_held_and_the_told_command_brings_the_old_release_back() {
    let play = Play::v_edfinance("mhalf");
    play.first("v1.0.0", &[]);
    let rows = play.system.rows();
    play.images("v1.1.0", &["APP_SCHEMA=2", "MIGRATE=half"]);
    play.commit("v1.1.0", &[NO_TRANSACTION]);
    let told = play.fails(&["told to fail half-way", "moored backup restore postgres"]);
    assert_eq!(
        play.system.version(),
        None,
        "no code runs on data of no known form"
    );

    play.restores_as_told(&told).exits(0);
    play.serves("v1.0.0");
    assert_eq!((play.system.rows(), play.system.schema()), (rows, 1));
    play.whole();
    // Held still, and quietly.
    play.pass().exits(75);
    play.serves("v1.0.0");
    play.stage.revert();
    play.stage.reconcile();
    play.quiet();
}

#[test]
fn half_way_behind_the_page_stays_behind_the_page_until_the_told_command() {
    let play = Play::moltfund("mpage");
    play.first("v1.2.0", &[]);
    let rows = play.system.rows();
    play.images("v1.3.0", &["APP_SCHEMA=2", "MIGRATE=half"]);
    play.commit("v1.3.0", &[NO_RESTORE]);
    let told = play.fails(&["told to fail half-way", "moored backup restore prod"]);
    assert_eq!(play.system.get("/").unwrap().status, 503);
    assert!(play.system.flag().exists());

    play.restores_as_told(&told).exits(0);
    play.serves("v1.2.0");
    assert_eq!(
        (play.system.rows(), play.system.schema()),
        (rows.clone(), 1)
    );
    assert_eq!(play.system.get("/").unwrap().status, 200);
    play.whole();
    play.pass().exits(75);
    play.serves("v1.2.0");

    // With leave to do so, the same comes back by itself.
    play.images("v1.3.1", &["APP_SCHEMA=2", "MIGRATE=half"]);
    play.commit("v1.3.1", &[]);
    play.fails(&["rolled back", "told to fail half-way"]);
    play.serves("v1.2.0");
    assert_eq!((play.system.rows(), play.system.schema()), (rows, 1));
    assert_eq!(play.system.get("/").unwrap().status, 200);
    play.whole();

    // And so does code that does not come up on data that it has migrated, or fails a check.
    for (tag, broken) in [("v1.3.2", "NEVER_READY=1"), ("v1.3.3", "INTEGRITY=broken")] {
        play.images(tag, &["APP_SCHEMA=2", broken]);
        play.commit(tag, &[]);
        play.fails(&["rolled back"]);
        play.serves("v1.2.0");
        assert_eq!(
            (play.system.rows(), play.system.schema()),
            (vec!["first".to_owned()], 1)
        );
        assert_eq!(play.system.get("/").unwrap().status, 200);
        play.whole();
    }
    play.stage.git(&["revert", "--no-edit", "HEAD~4..HEAD"]);
    play.stage.reconcile();
    play.quiet();
}

#[test]
fn code_that_is_never_ready_goes_back_only_where_the_data_fits() {
    let play = Play::v_edfinance("mready");
    // This code works with the next form of the data too.
    play.images("v1.0.0", &["APP_SCHEMA=1", "APP_SCHEMA_MAX=2"]);
    play.commit("v1.0.0", &[]);
    play.stage.reconcile();
    play.serves("v1.0.0");
    play.system.insert("first").unwrap();

    play.images("v1.1.0", &["APP_SCHEMA=2", "NEVER_READY=1"]);
    play.commit("v1.1.0", &[("compatible: false", "compatible: true")]);
    play.fails(&["rolled back", "api is not up"]);
    play.serves("v1.0.0");
    assert_eq!(play.system.schema(), 2);
    play.whole();

    play.images("v1.2.0", &["APP_SCHEMA=3", "NEVER_READY=1"]);
    play.commit("v1.2.0", &[]);
    let told = play.fails(&["api is not up", "moored backup restore postgres"]);
    assert_ne!(play.system.version().as_deref(), Some("v1.0.0"));
    play.restores_as_told(&told).exits(0);
    play.serves("v1.0.0");
    assert_eq!(
        (play.system.rows(), play.system.schema()),
        (vec!["first".to_owned()], 2)
    );
    play.whole();
    play.stage.git(&["revert", "--no-edit", "HEAD~2..HEAD"]);
    play.stage.reconcile();
    play.quiet();
}
