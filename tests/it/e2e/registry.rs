//! Images that come from a registry, and one that is away.

use std::time::Duration;

use super::stage::Stage;
use crate::support::docker_cli::{docker, eventually, try_docker};
use crate::support::registry::Registry;

/// Pushes a version and takes it off the host; returns its name at the registry and its digest.
fn push(stage: &Stage, registry: &Registry, version: &str, tag: &str) -> (String, String) {
    let image = stage.app(version);
    let name = format!("{}:{tag}", stage.sandbox.name("pulled"));
    let digest = registry.push(&image, &name);
    docker(&["rmi", "--force", &image]);
    (registry.reference(&name), digest)
}

#[test]
fn an_image_is_pulled_by_its_digest_and_needs_no_registry_afterwards() {
    let stage = Stage::new("pull");
    let mut registry = Registry::start();
    let (v1, digest) = push(&stage, &registry, "v1", "v1");
    let (v2, _) = push(&stage, &registry, "v2", "v2");
    stage.commit_web("v1", &v1, "");
    stage
        .moored(&["plan"])
        .exits(2)
        .says(&["pull", &digest[..19]]);
    let ran = stage.reconcile();
    let pull = ran.err.lines().filter(|line| line.contains("pull")).count();
    assert!(pull >= 2, "begun and done are told on stderr: {}", ran.err);
    stage.serves("v1");
    let digests = docker(&["inspect", "--format", "{{json .RepoDigests}}", &v1]);
    assert!(digests.contains(&digest), "{digests}");
    stage.commit_web("v2", &v2, "");
    stage.reconcile();
    stage.serves("v2");

    registry.stop();
    stage.reconcile().says(&["nothing to do"]);
    stage.revert();
    stage.reconcile();
    stage.serves("v1");
    docker(&["rm", "--force", &stage.container("web")]);
    stage.reconcile();
    stage.serves("v1");
}

#[test]
fn a_tag_that_does_not_exist_or_a_registry_that_is_away_touches_nothing() {
    let stage = Stage::new("missing");
    let mut registry = Registry::start();
    let (v1, _) = push(&stage, &registry, "v1", "v1");
    stage.commit_web("v1", &v1, "");
    stage.reconcile();
    let before = stage.snapshot();

    let typo = v1.replace(":v1", ":v1-typo");
    stage.commit_web("typo", &typo, "");
    stage
        .moored(&["plan"])
        .exits(75)
        .says(&[&typo, "does not exist"]);
    stage
        .moored(&["reconcile"])
        .exits(75)
        .says(&[&typo, "held"]);
    stage.moored(&["drift"]).exits(2).says(&[&typo]);
    stage.unchanged(&before);
    let unknown = registry.reference(&format!("{}:1", stage.sandbox.name("unknown")));
    stage.commit_web("no such repository", &unknown, "");
    stage
        .moored(&["reconcile"])
        .exits(75)
        .says(&[&unknown, "does not exist"]);

    registry.stop();
    let (rows, other) = (stage.journal_rows(), v1.replace(":v1", ":v9"));
    stage.commit_web("v9", &other, "");
    stage
        .moored(&["reconcile"])
        .exits(69)
        .says(&[&other, "can't be looked up for now"]);
    stage.moored(&["plan"]).exits(69);
    stage.unchanged(&before);
    assert_eq!(stage.journal_rows(), rows);
    stage.commit_web("back", &v1, "");
    stage.reconcile();
    stage.unchanged(&before);
}

#[test]
fn a_tag_that_moves_at_the_registry_is_not_deployed_by_itself() {
    let stage = Stage::new("moved");
    let registry = Registry::start();
    let (latest, first) = push(&stage, &registry, "v1", "latest");
    stage.commit_web("latest", &latest, "");
    stage.reconcile();
    let before = stage.snapshot();
    let id = stage.inspect("web", "{{.Image}}");
    let (_, second) = push(&stage, &registry, "v2", "latest");
    assert_ne!(first, second);
    // The push from this very host has taken the tag along.
    docker(&["tag", &id, &latest]);
    stage.reconcile().says(&["nothing to do"]);
    stage.unchanged(&before);
    docker(&["rm", "--force", &stage.container("web")]);
    stage.reconcile();
    stage.serves("v1");
    // By its digest it is another image, and is deployed.
    let by_digest = format!("{}@{second}", latest.trim_end_matches(":latest"));
    stage.commit_web("by digest", &by_digest, "");
    stage.reconcile();
    stage.serves("v2");
    stage.moored(&["plan"]).exits(0);
}

#[test]
fn a_tag_that_is_given_to_another_image_after_the_pull_is_not_run() {
    let stage = Stage::new("retagged");
    let registry = Registry::start();
    let (v1, _) = push(&stage, &registry, "v1", "v1");
    let other = stage.app("other");
    let database = stage.sandbox.image("db", &[]);
    let manifest = stage.manifest(&[("web", &v1), ("db", &database)], "");
    // It is up as soon as the test says so; images are pulled before anything else.
    let compose = stage.web(
        "    depends_on: {db: {condition: service_healthy}}\n  db:\n    image: db\n    \
         command: [sleep, '600']\n    init: true\n    healthcheck: {test: [CMD, cat, /go], \
         interval: 300ms, timeout: 2s, retries: 100}\n",
    );
    let files = [
        ("moored.yaml", manifest.as_str()),
        ("compose.yaml", compose.as_str()),
    ];
    stage.commit("v1", &files);
    let mut running = stage.start(&["reconcile"]);
    let db = stage.container("db");
    eventually("db runs", || try_docker(&["exec", &db, "true"]).is_ok());
    docker(&["tag", &other, &v1]);
    docker(&["exec", &db, "touch", "/go"]);
    assert_eq!(running.ends(Duration::from_secs(60)), Some(1));
    running.says("given its tag on this host to another image");
    assert!(try_docker(&["inspect", &stage.container("web")]).is_err());
}
