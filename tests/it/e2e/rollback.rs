//! `moored rollback`: a revert commit on the remote, or a pin on the host.

use std::path::PathBuf;
use std::process::Command;

use super::stage::Stage;
use crate::support::docker_cli::docker;

/// Makes a bare remote of the state repository and follows it; returns its path.
fn remote(stage: &Stage, poll: &str) -> PathBuf {
    let path = stage.path("remote.git");
    stage.git(&[
        "init",
        "--quiet",
        "--bare",
        "--initial-branch=main",
        "../remote.git",
    ]);
    stage.git(&["remote", "add", "origin", "../remote.git"]);
    stage.configure(&path.display().to_string(), poll, "");
    path
}

/// Commits a stack of one service and pushes it.
fn push(stage: &Stage, message: &str, image: &str) -> String {
    let commit = stage.commit_web(message, image, "");
    stage.git(&["push", "--quiet", "origin", "main"]);
    commit
}

/// Brings the work tree to where the remote is; returns the commit.
fn pull(stage: &Stage) -> String {
    stage.git(&["pull", "--quiet", "--ff-only", "origin", "main"]);
    stage.git(&["rev-parse", "HEAD"])
}

#[test]
fn a_revert_commit_is_pushed_and_the_next_pass_runs_the_release_before() {
    let stage = Stage::new("rollback");
    remote(&stage, "30s");
    let (v1, v2, v3) = (stage.app("v1"), stage.app("v2"), stage.app("v3"));
    stage
        .moored(&["rollback"])
        .exits(1)
        .says(&["nothing has been released"]);
    let first = push(&stage, "v1", &v1);
    stage.reconcile();
    push(&stage, "v2", &v2);
    stage.reconcile();
    stage.serves("v2");
    let before = stage.snapshot();
    let short = &first[..7];
    stage.moored(&["rollback"]).exits(0).says(&[
        &format!("Git says 1-{short} (v1) again"),
        "put back  moored.yaml",
        "moored reconcile does it now",
    ]);
    stage.unchanged(&before);
    pull(&stage);
    let message = stage.git(&["log", "-1", "--format=%an: %B"]);
    let expected = format!("moored: Revert {} to 1-{short}\n", stage.stack);
    assert!(message.starts_with(&expected), "{message}");
    assert!(message.contains("by moored rollback"), "{message}");
    assert_eq!(stage.git(&["diff", "--stat", &first, "HEAD"]), "");
    stage.reconcile();
    stage.serves("v1");
    stage.moored(&["plan"]).exits(0);
    // Another way, by a tag, and as data.
    push(&stage, "v3", &v3);
    stage.reconcile();
    stage.serves("v3");
    let (stack, to) = (stage.stack.clone(), "v2");
    let back = stage.moored(&["rollback", &stack, "--to", to, "--format", "json"]);
    let json = back.exits(0).json();
    let head = pull(&stage);
    assert_eq!(
        (json["way"].as_str(), json["commit"].as_str()),
        (Some("pushed"), Some(head.as_str()))
    );
    assert_eq!(json["release"]["attempt"], 2, "{json}");
    assert_eq!(json["files"]["moored.yaml"], "put-back", "{json}");
    stage.reconcile();
    stage.serves("v2");
    let unknown = stage.moored(&["rollback", "--to", "v9"]).exits(64);
    unknown.says(&["the last ones are", "  v1\n", "  v3\n"]);
    stage
        .moored(&["rollback", "nothing"])
        .exits(64)
        .says(&["there is: "]);
}

#[test]
fn a_revision_that_failed_is_reverted_beside_a_controller() {
    let stage = Stage::new("rollback-held");
    remote(&stage, "1s");
    let (v1, bad) = (
        stage.app("v1"),
        stage.app_with("bad", &["ENV EXIT_AFTER_MS=1"]),
    );
    push(&stage, "v1", &v1);
    stage.reconcile();
    let id = stage.id("web");
    push(&stage, "bad", &bad);
    let controller = stage.start(&["run"]);
    controller.says("rolled back");
    stage.moored(&["rollback"]).exits(0).says(&["(v1) again"]);
    controller.says("released as 3-");
    assert_eq!(stage.id("web"), id, "the very container that ran before");
    stage.moored(&["plan"]).exits(0);
    let status = stage.moored(&["status", "--format", "json"]).json();
    assert_eq!(status[0]["held"], false, "{status}");
}

#[test]
fn other_stacks_of_the_repository_stay() {
    let stage = Stage::new("rollback-two");
    remote(&stage, "30s");
    let (v1, v2) = (stage.app("v1"), stage.app("v2"));
    let other = stage.sandbox.name("t");
    let compose = "services:\n  web:\n    image: app\n    stop_grace_period: 1s\n";
    let commit = |image: &str| {
        let ours = stage.manifest(&[("web", image)], "");
        let theirs = ours.replace(&stage.stack, &other);
        let files = [
            ("a/moored.yaml", ours.as_str()),
            ("a/compose.yaml", compose),
            ("b/moored.yaml", &theirs),
            ("b/compose.yaml", compose),
        ];
        stage.commit(image, &files);
        stage.git(&["push", "--quiet", "origin", "main"]);
        stage.reconcile();
    };
    commit(&v1);
    commit(&v2);
    let of_other = || {
        docker(&[
            "inspect",
            "--format",
            "{{.Id}} {{.Config.Image}}",
            &format!("{other}-web-1"),
        ])
    };
    let before = of_other();
    stage
        .moored(&["rollback"])
        .exits(64)
        .says(&["which stack?", &other]);
    stage.moored(&["rollback", &stage.stack]).exits(0);
    pull(&stage);
    assert_eq!(
        stage.git(&["diff", "--name-only", "HEAD^"]),
        "a/moored.yaml"
    );
    stage.reconcile();
    assert_eq!(stage.image("web"), v1);
    assert_eq!(of_other(), before);
}

#[test]
fn where_nobody_may_push_it_says_what_to_do() {
    let stage = Stage::new("rollback-refused");
    let remote = remote(&stage, "30s");
    let (v1, v2) = (stage.app("v1"), stage.app("v2"));
    push(&stage, "v1", &v1);
    stage.reconcile();
    let second = push(&stage, "v2", &v2);
    stage.reconcile();
    // The branch is checked out there, which is one of the ways not to be let in.
    let there = stage.path("there").display().to_string();
    let path = remote.display().to_string();
    stage.git(&["clone", "--quiet", &path, &there]);
    stage.configure(&there, "30s", "");
    let hold = format!("moored rollback {} --to 1-", stage.stack);
    let refused = stage.moored(&["rollback"]).exits(69);
    let refused = refused.says(&["is not rolled back", "checked out", "git commit -m", &hold]);
    assert_eq!(stage.git(&["-C", &there, "rev-parse", "main"]), second);
    assert!(refused.out.contains("by hand"), "{}", refused.out);
    let asked = stage
        .moored(&["rollback", "--no-push", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(asked["way"], "not-pushed");
    assert_eq!(stage.git(&["-C", &there, "rev-parse", "main"]), second);
    let commands: Vec<&str> = asked["by_hand"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one.as_str().unwrap())
        .collect();
    let script = commands.join(" && ");
    let ran = Command::new("sh")
        .arg("-c")
        .arg(&script)
        .current_dir(stage.path("state"))
        .env("GIT_AUTHOR_NAME", "Ada")
        .env("GIT_AUTHOR_EMAIL", "ada@example.org")
        .env("GIT_COMMITTER_NAME", "Ada")
        .env("GIT_COMMITTER_EMAIL", "ada@example.org")
        .output()
        .unwrap();
    assert!(ran.status.success(), "{script}: {ran:?}");
    stage.configure(&path, "30s", "");
    stage.reconcile();
    stage.serves("v1");
}

#[test]
fn a_pin_needs_no_git_and_ends_with_retry() {
    let stage = Stage::new("rollback-hold");
    let remote = remote(&stage, "1s");
    let (v1, v2) = (stage.app("v1"), stage.app("v2"));
    push(&stage, "v1", &v1);
    stage.reconcile();
    push(&stage, "v2", &v2);
    let mut controller = stage.start(&["run"]);
    controller.says("released as 2-");
    stage.serves("v2");
    let away = stage.path("away.git");
    std::fs::rename(&remote, &away).unwrap();
    let no_git = stage.moored(&["rollback"]).exits(69);
    no_git.says(&["--hold takes this host back without Git"]);
    // The controller holds its locks, and finds the pin at its next look.
    let hold = stage.moored(&["rollback", "--hold"]).exits(0);
    let pinned = "Git is not followed; lift with: moored retry --stack";
    hold.says(&["is kept at 1-", pinned]);
    controller.says("released as 3-");
    stage.serves("v1");
    controller.signal("TERM");
    controller.ends(std::time::Duration::from_secs(20));
    stage
        .moored(&["status"])
        .exits(0)
        .says(&["pinned to 1-", pinned]);
    stage
        .moored(&["history"])
        .exits(0)
        .says(&["pinned to 1-", pinned]);
    let rows = stage.journal_rows();
    stage
        .moored(&["reconcile"])
        .exits(69)
        .says(&["nothing to do", pinned, "branch main"]);
    let named = ["reconcile", "--stack", &stage.stack];
    stage
        .moored(&named)
        .exits(0)
        .says(&["nothing to do", pinned]);
    assert_eq!(stage.journal_rows(), rows);
    std::fs::rename(&away, &remote).unwrap();
    stage.moored(&["reconcile"]).exits(0).says(&[pinned]);
    stage.moored(&["plan"]).exits(2).says(&[pinned]);
    stage.serves("v1");
    stage
        .moored(&["retry"])
        .exits(0)
        .says(&["Git is followed again"]);
    stage.moored(&["retry"]).exits(0).says(&["nothing is held"]);
    stage.reconcile();
    stage.serves("v2");
    stage.moored(&["plan"]).exits(0);
}
