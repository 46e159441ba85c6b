//! One controller a state directory, and one an engine.

use std::time::Duration;

use super::stage::Stage;
use crate::support::docker_cli::ENDPOINT;
use crate::support::put;

#[test]
fn a_second_controller_refuses_and_names_the_first() {
    let stage = Stage::new("second");
    stage.commit_web("v1", &stage.app("v1"), "");
    let mut first = stage.start(&["run"]);
    first.says("released as 1-");
    let process = format!("process {}", first.pid());

    // The same state directory.
    stage
        .moored(&["reconcile"])
        .exits(69)
        .says(&["this state directory", &process]);
    stage.moored(&["run"]).exits(69).says(&[&process]);
    // Another one on the same engine, which finds nothing that it may do there.
    let other = settings(&stage, "main");
    let refused = stage.moored_with(&other, &["reconcile"]).exits(75);
    refused.says(&["another installation", &stage.container("web")]);
    // And with something to do.
    stage.git(&["switch", "--quiet", "--create", "too"]);
    let manifest = std::fs::read_to_string(stage.path("state/moored.yaml")).unwrap();
    let manifest = manifest.replace("stack: ", "stack: too-");
    stage.commit("another stack", &[("moored.yaml", &manifest)]);
    stage.git(&["switch", "--quiet", "main"]);
    let before = stage.snapshot();
    let too = settings(&stage, "too");
    for command in ["reconcile", "run"] {
        let refused = stage.moored_with(&too, &[command]).exits(69);
        refused.says(&[
            "this engine",
            &process,
            &stage.path("moored").display().to_string(),
        ]);
    }
    stage.unchanged(&before);

    // Looking is free.
    stage.moored(&["plan"]).exits(0);
    stage.moored(&["drift"]).exits(0);
    stage.moored(&["status"]).exits(0).says(&["web", "running"]);
    stage.moored(&["history"]).exits(0).says(&["succeeded"]);

    // What the first made is not taken over by the other one when the first is gone.
    first.signal("TERM");
    assert_eq!(first.ends(Duration::from_secs(5)), Some(0));
    let before = stage.snapshot();
    let refused = stage.moored_with(&other, &["reconcile"]).exits(75);
    refused.says(&["another installation", &stage.container("web")]);
    stage.unchanged(&before);
    stage.reconcile();
}

/// Writes settings with a state directory of their own for a branch; returns their path.
fn settings(stage: &Stage, branch: &str) -> String {
    let url = stage.path("state").display().to_string();
    let text = format!(
        "repository: {{url: '{url}', branch: {branch}}}\nstate_dir: {}\nengine: {ENDPOINT}\n\
         policy: {{file_roots: ['{}']}}\n",
        stage.path("other").display(),
        stage.path("").display()
    );
    let path = stage.path(&format!("{branch}.yaml"));
    put(path.clone(), text);
    path.display().to_string()
}

#[test]
fn a_lock_is_free_when_its_holder_was_killed() {
    let stage = Stage::new("stale");
    stage.commit_web("v1", &stage.app("v1"), "");
    let mut first = stage.start(&["run"]);
    first.says("released as 1-");
    first.kill();
    stage.reconcile().says(&["nothing to do"]);
}

#[test]
fn a_state_directory_of_a_newer_version_is_refused() {
    let stage = Stage::new("newer");
    stage.commit_web("v1", &stage.app("v1"), "");
    stage.reconcile();
    let database = rusqlite::Connection::open(stage.path("moored/moored.db")).unwrap();
    database.pragma_update(None, "user_version", 99).unwrap();
    drop(database);
    let before = stage.snapshot();
    for command in ["reconcile", "plan", "status"] {
        stage
            .moored(&[command])
            .exits(1)
            .says(&["format 99", "newer version"]);
    }
    stage.unchanged(&before);
}
