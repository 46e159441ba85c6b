//! `moored bump`, `promote`, `suspend` and `resume`: over HTTP, with a real registry.

use crate::support::docker_cli::docker;
use crate::support::git_http::GitHttp;
use crate::support::registry::Registry;

use super::stage::Stage;

/// Makes a bare remote of the state repository behind HTTP, and follows it.
fn remote(stage: &Stage) -> GitHttp {
    let bare = [
        "init",
        "--quiet",
        "--bare",
        "--initial-branch=main",
        "../remote.git",
    ];
    stage.git(&bare);
    stage.git(&["remote", "add", "origin", "../remote.git"]);
    let server = GitHttp::serve(stage.dir.path());
    stage.configure(&server.url("remote.git"), "30s", "");
    server
}

fn push(stage: &Stage, message: &str, files: &[(&str, &str)]) {
    stage.commit(message, files);
    stage.git(&["push", "--quiet", "origin", "main"]);
}

fn pull(stage: &Stage) {
    stage.git(&["pull", "--quiet", "--ff-only", "origin", "main"]);
}

#[test]
fn what_runs_well_in_staging_goes_to_production_by_its_digest() {
    let stage = Stage::new("promote");
    let server = remote(&stage);
    let registry = Registry::start();
    let image = stage.app("v2");
    let name = format!("{}:v2", stage.sandbox.name("promoted"));
    let digest = registry.push(&image, &name);
    let (v1, v2) = (stage.app("v1"), registry.reference(&name));
    let production = stage.manifest(&[("web", &v1)], "# the end\n");
    let production = production.replace("images:\n", "# promoted, see the log\nimages:\n");
    let other = stage.sandbox.name("t");
    let staging = format!("stack: {other}\nsoak: 200ms\nimages:\n  web: {v2}\n");
    let compose = "services:\n  web:\n    image: app\n    stop_grace_period: 1s\n";
    let files = [
        ("production/moored.yaml", production.as_str()),
        ("production/compose.yaml", compose),
        ("staging/moored.yaml", &staging),
        ("staging/compose.yaml", compose),
    ];
    push(&stage, "two stacks", &files);
    stage.reconcile();
    assert_eq!(stage.image("web"), v1);

    // A server that takes no pushes.
    let refused = stage
        .moored(&["promote", "staging", "production"])
        .exits(69);
    refused.says(&["refused the push", "by hand", &digest]);
    server.take_pushes();
    let promoted = stage.moored(&["promote", "staging", "production", "--format", "json"]);
    let json = promoted.exits(0).json();
    assert_eq!(json["way"], "pushed", "{json}");
    pull(&stage);
    let pinned = format!("{v2}@{digest}");
    let there = std::fs::read_to_string(stage.path("state/production/moored.yaml")).unwrap();
    assert_eq!(there, production.replace(&v1, &pinned));
    assert_eq!(
        stage.git(&["diff", "--name-only", "HEAD^"]),
        "production/moored.yaml"
    );
    let message = stage.git(&["log", "-1", "--format=%B"]);
    assert!(
        message.contains(&format!("Well in {other} on ")),
        "{message}"
    );
    let id = docker(&["inspect", "--format", "{{.Id}}", &format!("{other}-web-1")]);
    assert!(
        message.contains(&id[..12]) && message.contains(&digest),
        "{message}"
    );
    stage.reconcile();
    assert_eq!(stage.image("web"), pinned);

    // What was changed by hand is not well.
    docker(&["stop", "--time", "1", &format!("{other}-web-1")]);
    let refused = stage.moored(&["promote", "staging", "production"]);
    refused
        .exits(75)
        .says(&["not known to be well", "web: state"]);

    let bumped = stage.moored(&["bump", "web", &v1, "--stack", "production"]);
    bumped.exits(0).says(&["has other images in Git now"]);
    pull(&stage);
    let there = std::fs::read_to_string(stage.path("state/production/moored.yaml")).unwrap();
    assert_eq!(there, production);
}

#[test]
fn a_suspended_stack_is_left_alone_and_resumed() {
    let stage = Stage::new("suspend");
    let (v1, v2) = (stage.app("v1"), stage.app("v2"));
    stage.commit_web("v1", &v1, "");
    stage.moored(&["suspend", "--reason", "early"]).exits(64);
    stage.reconcile();
    let suspend = ["suspend", "--reason", "disk is moved", "--until", "2h"];
    stage
        .moored(&suspend)
        .exits(0)
        .says(&["(disk is moved)", "moored resume"]);
    stage.commit_web("v2", &v2, "");
    docker(&["stop", "--time", "1", &stage.container("web")]);
    let before = stage.snapshot();
    stage
        .moored(&["reconcile"])
        .exits(75)
        .says(&["disk is moved"]);
    stage.unchanged(&before);
    stage.moored(&["status"]).exits(0).says(&["disk is moved"]);
    stage
        .moored(&["suspend", "--reason", "x", "--until", "2020-01-01"])
        .exits(64);
    stage
        .moored(&["resume", "hop"])
        .exits(64)
        .says(&[&stage.stack]);
    stage
        .moored(&["resume"])
        .exits(0)
        .says(&["Git is followed again"]);
    stage.reconcile();
    stage.serves("v2");
}
