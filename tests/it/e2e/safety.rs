//! What a repository can lose or say, and what others have on the host: nothing is changed.

use super::stage::Stage;
use crate::support::docker_cli::docker;
use crate::support::put;

/// Puts v1 on the host; returns the stage and the image.
fn released(area: &str) -> (Stage, String) {
    let stage = Stage::new(area);
    let v1 = stage.app("v1");
    stage.commit_web("v1", &v1, "");
    stage.reconcile();
    (stage, v1)
}

/// Checks that no command changes anything, and what each says.
#[track_caller]
fn refused(stage: &Stage, code: i32, texts: &[&str]) {
    let (before, rows) = (stage.snapshot(), stage.journal_rows());
    stage.moored(&["reconcile"]).exits(code).says(texts);
    stage.moored(&["plan"]).exits(code).says(texts);
    stage.moored(&["drift"]).exits(code).says(texts);
    stage.moored(&["status"]).exits(0).says(&["web", "running"]);
    stage.unchanged(&before);
    assert_eq!(stage.journal_rows(), rows);
}

#[test]
fn a_branch_or_a_repository_that_is_gone() {
    let (stage, v1) = released("branch");
    stage.git(&["branch", "--move", "main", "trunk"]);
    refused(
        &stage,
        69,
        &["has no branch \"main\"", "trunk", "nothing is changed"],
    );
    stage.git(&["branch", "--move", "trunk", "main"]);
    stage.reconcile();

    let aside = stage.path("aside");
    std::fs::rename(stage.path("state"), &aside).unwrap();
    refused(&stage, 69, &["no readable Git repository"]);
    std::fs::create_dir(stage.path("state")).unwrap();
    stage.git(&["init", "--quiet", "--initial-branch=main"]);
    refused(&stage, 69, &["empty repository", "nothing is changed"]);
    // A history that has nothing to do with the one before.
    stage.commit_web("another history", &v1, "    environment: {GREETING: new}\n");
    let before = stage.snapshot();
    for command in ["reconcile", "plan"] {
        let held = stage.moored(&[command]);
        held.exits(75).says(&["was rewritten", "allow_force_push"]);
    }
    stage.moored(&["status"]).exits(0).says(&["was rewritten"]);
    stage.unchanged(&before);
    stage.allow_force_push();
    stage.reconcile();
    assert_eq!(stage.answer().unwrap()["greeting"], "new");
}

#[test]
fn files_that_are_gone_or_say_nothing() {
    let (stage, v1) = released("gone");
    let manifest = stage.manifest(&[("web", &v1)], "");
    let broken: [(&str, Option<&str>, &[&str]); 10] = [
        ("moored.yaml", None, &["moored.yaml", "nothing is changed"]),
        ("compose.yaml", None, &["moored.yaml", "no Compose file"]),
        ("moored.yaml", Some(""), &["moored.yaml"]),
        ("compose.yaml", Some(""), &["compose.yaml"]),
        (
            "compose.yaml",
            Some("services: {}\n"),
            &["compose.yaml", "services"],
        ),
        (
            "compose.yaml",
            Some("services:\n  web: [\n"),
            &["compose.yaml:2:8"],
        ),
        ("moored.yaml", Some("stack: [\n"), &["moored.yaml:1:8"]),
        (
            "compose.yaml",
            Some("\u{0}\u{1}\u{fffd}"),
            &["compose.yaml"],
        ),
        (
            "compose.yaml",
            Some("services:\n  web:\n    imgae: x\n"),
            &["compose.yaml:3:5", "imgae", "did you mean \"image\"?"],
        ),
        (
            "moored.yaml",
            Some("stack: x\nimags: {}\n"),
            &["moored.yaml:2:1", "did you mean \"images\"?"],
        ),
    ];
    for (path, text, texts) in broken {
        match text {
            None => std::fs::remove_file(stage.path("state").join(path)).unwrap(),
            Some(text) => put(stage.path("state").join(path), text),
        }
        stage.commit("break it", &[]);
        refused(&stage, 65, texts);
        stage.revert();
    }
    stage.reconcile();
    let unknown = manifest.replace("images:\n  web:", "images:\n  wep:");
    stage.commit("a slip", &[("moored.yaml", &unknown)]);
    refused(&stage, 65, &["moored.yaml:", "wep"]);
}

#[test]
fn bytes_that_are_no_text() {
    let (stage, _) = released("bytes");
    for path in ["moored.yaml", "compose.yaml"] {
        let noise: Vec<u8> = (0..4096_u32).map(|n| (n * n * 31 % 251) as u8).collect();
        put(stage.path("state").join(path), noise);
        stage.commit("noise", &[]);
        refused(&stage, 65, &[path]);
        stage.revert();
    }
}

#[test]
fn a_container_of_somebody_else_keeps_its_name() {
    let stage = Stage::new("foreign");
    let v1 = stage.app("v1");
    let name = stage.container("web");
    docker(&["run", "--detach", "--name", &name, &v1, "sleep", "600"]);
    let id = stage.id("web");
    stage.commit_web("v1", &v1, "");
    let before = stage.snapshot();
    stage
        .moored(&["reconcile"])
        .exits(75)
        .says(&[&name, "not ours", &id[..12]]);
    stage.moored(&["plan"]).exits(75).says(&[&name]);
    stage.unchanged(&before);

    // One with Compose's labels, or with our stack's but not our installation's, is as foreign.
    for label in [
        format!("com.docker.compose.project={}", stage.stack),
        format!("dev.moored.stack={}", stage.stack),
    ] {
        docker(&["rm", "--force", &name]);
        docker(&[
            "run", "--detach", "--label", &label, "--name", &name, &v1, "sleep", "600",
        ]);
        let before = stage.snapshot();
        stage
            .moored(&["reconcile"])
            .exits(75)
            .says(&[&name, "not ours"]);
        stage.unchanged(&before);
    }
    docker(&["rm", "--force", &name]);
    stage.reconcile();
    stage.serves("v1");
}

#[test]
fn a_container_of_somebody_else_stays_on_our_network() {
    let (stage, v1) = released("guest");
    let guest = stage.sandbox.name("guest");
    let network = format!("{}_default", stage.stack);
    docker(&[
        "run",
        "--detach",
        "--name",
        &guest,
        "--network",
        &network,
        &v1,
        "sleep",
        "600",
    ]);
    let look = || {
        docker(&[
            "inspect",
            "--format",
            "{{json .NetworkSettings}}{{.State.StartedAt}}",
            &guest,
        ])
    };
    let before = look();
    stage.reconcile();
    stage.commit_web(
        "v2",
        &stage.app("v2"),
        "networks: {default: {internal: true}}\n",
    );
    stage
        .reconcile()
        .says(&[&format!("network {network}: internal differ")]);
    stage.serves("v2");
    assert_eq!(look(), before);
}

#[test]
fn a_network_of_somebody_else_is_not_used() {
    let stage = Stage::new("net");
    let network = format!("{}_default", stage.stack);
    docker(&["network", "create", &network]);
    stage.commit_web("v1", &stage.app("v1"), "");
    stage
        .moored(&["reconcile"])
        .exits(75)
        .says(&[&network, "does not belong"]);
    assert!(stage.names().is_empty());
    docker(&["network", "inspect", &network]);
}

#[test]
fn an_orphan_is_reported_and_removed_only_when_asked() {
    let stage = Stage::new("orphan");
    let v1 = stage.app("v1");
    let worker = "  worker: {image: app, command: [sleep, '600'], stop_grace_period: 1s, \
                  volumes: ['data:/data']}\nvolumes: {data: {}}\n";
    let commit = |compose: &str, images: &[(&str, &str)], more: &str| {
        let manifest = stage.manifest(images, more);
        let files = [
            ("moored.yaml", manifest.as_str()),
            ("compose.yaml", compose),
        ];
        stage.commit("next", &files);
    };
    commit(&stage.web(worker), &[("web", &v1), ("worker", &v1)], "");
    stage.reconcile();
    let orphan = stage.container("worker");
    let id = stage.id("worker");
    commit(&stage.web(""), &[("web", &v1)], "");
    stage.reconcile().says(&[&orphan, "prune: true"]);
    stage.moored(&["reconcile"]).exits(0).says(&[&orphan]);
    stage.moored(&["drift"]).exits(2).says(&[&orphan]);
    assert_eq!(stage.id("worker"), id);

    commit(&stage.web(""), &[("web", &v1)], "prune: true\n");
    let web = stage.id("web");
    stage
        .moored(&["plan"])
        .exits(2)
        .says(&["remove", &orphan, "its service is gone"]);
    stage.reconcile();
    assert_eq!(stage.names(), [stage.container("web")]);
    assert_eq!(stage.id("web"), web);
    docker(&["volume", "inspect", &format!("{}_data", stage.stack)]);
}
