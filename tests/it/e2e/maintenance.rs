//! The maintenance page: what a person or Git has switched on stays on through deploys.

use std::fs;

use super::play::Play;
use crate::support::put;

/// Deploys a version while the page is on; visitors still see it.
fn deploys_behind_the_page(play: &Play, tag: &str, edits: &[super::play::Edit<'_>]) {
    play.images(tag, &["APP_SCHEMA=1"]);
    play.commit(tag, edits);
    play.stage.reconcile();
    play.serves(tag);
    assert_eq!(play.system.get("/").unwrap().status, 503, "{tag}");
    play.whole();
    // Nothing is left to do, but that it is on is said.
    let attempts = play.stage.journal_rows();
    play.stage.reconcile();
    assert_eq!(play.stage.journal_rows(), attempts);
}

#[test]
fn a_page_that_was_switched_on_by_somebody_else_stays_through_a_deploy() {
    let play = Play::moltfund("pages");
    let (stage, system) = (&play.stage, &play.system);
    play.first("v1", &[]);

    // By a command.
    stage
        .moored(&["maintenance", "on", "--reason", "new disk"])
        .exits(0)
        .says(&["maintenance is on"]);
    let page = system.get("/").unwrap();
    assert_eq!(
        (page.status, page.body),
        (503, system.file("maintenance/maintenance.html"))
    );
    deploys_behind_the_page(&play, "v2", &[]);
    stage
        .moored(&["plan"])
        .says(&["maintenance page is on", "maintenance off"]);
    stage
        .moored(&["maintenance", "off"])
        .exits(0)
        .says(&["maintenance is off"]);
    assert_eq!(system.get("/").unwrap().status, 200);
    play.quiet();

    // By hand.
    put(system.flag(), "");
    deploys_behind_the_page(&play, "v3", &[]);
    assert_eq!(
        fs::read(system.flag()).unwrap(),
        b"",
        "it is left as it was"
    );
    stage.moored(&["plan"]).says(&["maintenance page is on"]);
    fs::remove_file(system.flag()).unwrap();
    assert_eq!(system.get("/").unwrap().status, 200);
    play.quiet();

    // By a failing deploy it is not taken down either.
    put(system.flag(), "");
    play.images("v4", &["APP_SCHEMA=1", "INTEGRITY=broken"]);
    play.commit("v4", &[]);
    play.fails(&["rolled back"]);
    assert_eq!(system.get("/").unwrap().status, 503);
    fs::remove_file(system.flag()).unwrap();
    stage.revert();
    stage.reconcile();
    play.serves("v3");
    play.quiet();

    // By Git, until Git says otherwise.
    let on = (
        "  during: deploy\n",
        "  during: deploy\n  on: moving to the new disk\n",
    );
    play.commit("v3", &[on]);
    stage.reconcile();
    assert_eq!(system.get("/").unwrap().status, 503);
    deploys_behind_the_page(&play, "v5", &[on]);
    play.commit("v5", &[]);
    stage.reconcile();
    assert_eq!(system.get("/").unwrap().status, 200);
    play.quiet();
}
