//! A change is planned away from the host: against what the host has told of itself, without its
//! settings, its engine and its files.

use super::stage::{Ran, Stage};
use crate::support::put;

/// Runs the program where there are no settings.
fn elsewhere(stage: &Stage, arguments: &[&str]) -> Ran {
    stage.moored_with("/nonexistent/config.yaml", arguments)
}

/// Writes what the host tells of itself beside its repository; returns the file and a clone of that
/// repository, with a change committed.
fn exported(stage: &Stage, file: &str, content: &str) -> (String, String) {
    let snapshot = stage.moored(&["snapshot"]).exits(0);
    assert!(snapshot.json()["stacks"].as_object().unwrap().len() == 1);
    put(stage.path("snapshot.json"), &snapshot.out);
    let clone = stage.path("clone").display().to_string();
    stage.git(&["clone", "--quiet", ".", &clone]);
    put(stage.path("clone").join(file), content);
    let message = "a change";
    stage.git(&[
        "-C",
        &clone,
        "commit",
        "--quiet",
        "--all",
        "--message",
        message,
    ]);
    (stage.path("snapshot.json").display().to_string(), clone)
}

#[test]
fn the_plan_of_a_pull_request_is_that_of_the_host() {
    let stage = Stage::new("snapshot");
    let image = stage.app("v1");
    stage.commit_web("v1", &image, "    environment: {GREETING: hello}\n");
    stage.reconcile();
    let change = stage.web("    environment: {GREETING: good day}\n");
    let (snapshot, clone) = exported(&stage, "compose.yaml", &change);

    let arguments: [&str; 5] = ["plan", "--snapshot", &snapshot, "--from", &clone];
    let planned = elsewhere(
        &stage,
        &[&arguments[..], &["--revision", "HEAD"][..]].concat(),
    );
    let planned = planned.exits(2).says(&["env GREETING hello → good day"]);
    assert!(planned.err.contains("not compared"), "{}", planned.err);
    let markdown = elsewhere(
        &stage,
        &[&arguments[..], &["--format", "markdown"][..]].concat(),
    );
    assert!(markdown.out.starts_with("```text\n"), "{}", markdown.out);

    // The host, with its own files, says the same of the working tree, of the commit and, when the
    // branch has it, of the branch.
    stage
        .moored(&["plan", "--from", &clone])
        .exits(2)
        .says(&["good day"]);
    let of_commit = stage.moored(&["plan", "--from", &clone, "--revision", "HEAD"]);
    assert_eq!(of_commit.exits(2).out, planned.out);
    stage.git(&["pull", "--quiet", &clone, "HEAD"]);
    let of_host = stage.moored(&["plan"]).exits(2);
    assert_eq!(of_host.out, planned.out);
    stage.moored(&["plan", "--revision", "main~1"]).exits(0);
    stage.reconcile();

    // What is in place is no difference from anywhere.
    let after = stage.moored(&["snapshot"]).exits(0);
    put(stage.path("snapshot.json"), &after.out);
    let unchanged = [&arguments[..], &["--revision", "HEAD"][..]].concat();
    elsewhere(&stage, &unchanged).exits(0);
}

#[test]
fn a_new_image_is_pulled_by_a_tag_that_nobody_asked_for_yet() {
    let stage = Stage::new("snapshot-image");
    let (v1, v2) = (stage.app("v1"), stage.app("v2"));
    stage.commit_web("v1", &v1, "");
    stage.reconcile();
    let manifest = stage.manifest(&[("web", &v2)], "");
    let (snapshot, clone) = exported(&stage, "moored.yaml", &manifest);
    let ran = elsewhere(&stage, &["plan", "--snapshot", &snapshot, "--from", &clone]);
    let change = format!("image {v1} → {v2}");
    ran.exits(2).says(&["pull", "replace", &change]);
}
