//! A release that does not come up: what ran before runs again, and the revision is held.

use std::net::TcpListener;

use super::stage::{Ran, Stage};
use crate::support::docker_cli::{docker, eventually};

/// Releases v1 as `web`, then commits what `change` does, which must fail and be taken back.
fn rolled_back(stage: &Stage, change: impl FnOnce(&str)) -> Ran {
    let v1 = stage.app("v1");
    stage.commit_web("v1", &v1, "");
    stage.reconcile();
    let id = stage.id("web");
    change(&v1);
    let failed = stage.moored(&["reconcile"]).exits(1);
    assert!(failed.out.contains("rolled back"), "{}", failed.out);
    assert_eq!(
        stage.names(),
        [stage.container("web")],
        "nothing is left over"
    );
    assert_eq!(stage.id("web"), id, "the very container that ran before");
    stage.serves("v1");
    failed
}

/// Checks that the failed revision is not tried again by itself, and that a revert settles it.
fn held_until_reverted(stage: &Stage) {
    let (before, rows) = (stage.snapshot(), stage.journal_rows());
    let held = "this revision failed in attempt 2";
    stage.moored(&["reconcile"]).exits(75).says(&["held", held]);
    stage.moored(&["plan"]).exits(75).says(&[held]);
    stage
        .moored(&["status"])
        .exits(0)
        .says(&["held", "rolled back"]);
    stage.unchanged(&before);
    assert_eq!(stage.journal_rows(), rows);
    stage.revert();
    stage.reconcile();
    stage.serves("v1");
    stage.moored(&["plan"]).exits(0);
    let status = stage
        .moored(&["status", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(status[0]["held"], false, "a revert settles it: {status}");
}

#[test]
fn an_image_that_ends_at_once_is_taken_back_held_and_reverted() {
    let stage = Stage::new("exits");
    let bad = stage.app_with("bad", &["ENV EXIT_AFTER_MS=1"]);
    rolled_back(&stage, |_| drop(stage.commit_web("bad", &bad, ""))).says(&[
        "web is not up",
        "its last words",
        "standin bad listens",
    ]);
    held_until_reverted(&stage);
}

#[test]
fn an_image_that_never_gets_healthy_is_taken_back_and_can_be_retried() {
    let stage = Stage::new("unhealthy");
    let bad = stage.app_with("bad", &["ENV NEVER_READY=1"]);
    rolled_back(&stage, |_| drop(stage.commit_web("bad", &bad, "")))
        .says(&["web is not up", "health check fails"]);
    stage.moored(&["retry"]).exits(0).says(&["tried again"]);
    stage.moored(&["retry"]).exits(0).says(&["nothing is held"]);
    stage.moored(&["reconcile"]).exits(1).says(&["rolled back"]);
    stage.serves("v1");
    stage
        .moored(&["reconcile"])
        .exits(75)
        .says(&["failed in attempt 3"]);
    let history = stage.moored(&["history", "--format", "json"]).json();
    assert_eq!(
        history[&stage.stack][0]["outcome"]["outcome"],
        "rolled-back"
    );
}

#[test]
fn an_image_that_is_started_again_and_again_is_taken_back() {
    let stage = Stage::new("flapping");
    let bad = stage.app_with("bad", &["ENV EXIT_AFTER_MS=50"]);
    rolled_back(&stage, |_| {
        let manifest = stage.manifest(&[("web", &bad)], "");
        // Long enough for the process to end in it on a busy machine, too.
        let manifest = manifest.replace("soak: 200ms", "soak: 1s");
        let files = [
            ("moored.yaml", manifest.as_str()),
            ("compose.yaml", &stage.web("    restart: always\n")),
        ];
        stage.commit("bad", &files);
    });
    held_until_reverted(&stage);
}

#[test]
fn a_port_that_a_process_has_is_taken_back() {
    let stage = Stage::new("port");
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port();
    rolled_back(&stage, |v1| {
        let compose = stage
            .web("")
            .replace(&stage.port.to_string(), &port.to_string());
        let manifest = stage.manifest(&[("web", v1)], "");
        let files = [
            ("moored.yaml", manifest.as_str()),
            ("compose.yaml", &compose),
        ];
        stage.commit("another port", &files);
    })
    .says(&[&port.to_string()]);
    held_until_reverted(&stage);
}

#[test]
fn files_and_all_services_go_back_together() {
    let stage = Stage::new("together");
    let (v1, v2) = (stage.app("v1"), stage.app("v2"));
    let bad = stage.app_with("bad", &["ENV NEVER_READY=1"]);
    let compose = stage.web(
        "  worker:\n    image: app\n    command: [serve-file, /files]\n    \
         stop_grace_period: 1s\n    volumes: ['./files:/files:ro']\n",
    );
    let commit = |web: &str, worker: &str, text: &str| {
        let manifest = stage.manifest(&[("web", web), ("worker", worker)], "");
        let files = [
            ("moored.yaml", manifest.as_str()),
            ("compose.yaml", &compose),
            ("files/text", text),
        ];
        stage.commit(text, &files);
    };
    commit(&v1, &v1, "one\n");
    stage.reconcile();
    let ids = [stage.id("web"), stage.id("worker")];
    commit(&bad, &v2, "two\n");
    stage.moored(&["reconcile"]).exits(1).says(&["rolled back"]);
    assert_eq!([stage.id("web"), stage.id("worker")], ids);
    assert_eq!(stage.names().len(), 2);
    let url = "http://127.0.0.1:8080/text";
    let read = || docker(&["exec", &stage.container("worker"), "/standin", "get", url]);
    eventually("the worker serves the old file", || read() == "one");
    stage.serves("v1");
    stage.revert();
    stage.reconcile();
    assert_eq!([stage.id("web"), stage.id("worker")], ids);
    assert_eq!(read(), "one");
}

#[test]
fn a_first_release_that_fails_is_held_and_the_next_commit_mends_it() {
    let stage = Stage::new("first");
    let (v1, bad) = (
        stage.app("v1"),
        stage.app_with("bad", &["ENV NEVER_READY=1"]),
    );
    stage.commit_web("bad", &bad, "");
    stage.moored(&["reconcile"]).exits(1).says(&["failed"]);
    stage.moored(&["reconcile"]).exits(75);
    stage.commit_web("good", &v1, "");
    stage.reconcile();
    stage.serves("v1");
    assert_eq!(stage.names(), [stage.container("web")]);
}

#[test]
fn a_revision_that_is_pushed_after_a_held_one_is_tried() {
    let stage = Stage::new("onward");
    let (bad, v2) = (
        stage.app_with("bad", &["ENV EXIT_AFTER_MS=1"]),
        stage.app("v2"),
    );
    rolled_back(&stage, |_| drop(stage.commit_web("bad", &bad, "")));
    stage.commit_web("good", &v2, "");
    stage.reconcile();
    stage.serves("v2");
}

#[test]
fn a_mounted_file_that_the_failed_revision_removed_is_back_before_its_container() {
    let stage = Stage::new("unmount");
    let v1 = stage.app("v1");
    let manifest = stage.manifest(&[("web", &v1)], "");
    let with = stage.web("    volumes: ['./greeting.txt:/greeting.txt:ro']\n");
    let without = stage.web("    command: [exit, '4']\n");
    let files = [
        ("moored.yaml", manifest.as_str()),
        ("compose.yaml", &with),
        ("greeting.txt", "one\n"),
    ];
    stage.commit("one", &files);
    stage.reconcile();
    let id = stage.id("web");
    stage.git(&["rm", "-q", "greeting.txt"]);
    stage.commit("two", &[("compose.yaml", &without)]);
    stage.moored(&["reconcile"]).exits(1).says(&["rolled back"]);
    assert_eq!(stage.id("web"), id);
    stage.serves("v1");
    let read = [
        "exec",
        &stage.container("web"),
        "/standin",
        "cat",
        "/greeting.txt",
    ];
    assert_eq!(docker(&read), "one");
    stage.revert();
    stage.reconcile();
    stage.moored(&["plan"]).exits(0);
}

#[test]
fn a_file_may_become_a_directory_and_a_directory_a_file() {
    let stage = Stage::new("filedir");
    let v1 = stage.app("v1");
    let manifest = stage.manifest(&[("web", &v1)], "");
    let compose = stage.web("    volumes: ['./conf:/conf:ro']\n");
    let commit = |paths: &[(&str, &str)]| {
        let mut files = vec![
            ("moored.yaml", manifest.as_str()),
            ("compose.yaml", &compose),
        ];
        files.extend(paths);
        stage.commit("conf", &files);
        stage.reconcile();
        stage.moored(&["plan"]).exits(0);
    };
    commit(&[("conf/a", "one\n")]);
    stage.git(&["rm", "-q", "-r", "conf"]);
    commit(&[("conf/a/b", "two\n")]);
    stage.git(&["rm", "-q", "-r", "conf"]);
    commit(&[("conf/a", "three\n")]);
    let read = [
        "exec",
        &stage.container("web"),
        "/standin",
        "cat",
        "/conf/a",
    ];
    assert_eq!(docker(&read), "three");
}

#[test]
fn a_service_that_goes_down_while_another_is_waited_for_is_not_released() {
    let stage = Stage::new("late");
    let v1 = stage.app("v1");
    let late = stage.app_with("late", &["ENV EXIT_AFTER_MS=1500", "ENV EXIT_CODE=3"]);
    let slow = "  slow:\n    image: app\n    environment: {READY_AFTER_MS: '4000'}\n    \
                healthcheck: {test: [CMD, /standin, check, /health], interval: 1s, retries: 20}\n";
    let compose = stage
        .web(slow)
        .replace("healthcheck", "x-healthcheck-of-web");
    let compose = compose.replacen("slow:\n", "slow:\n    init: true\n", 1);
    let (head, tail) = compose.split_at(compose.find("  slow:").unwrap());
    let compose = format!(
        "{head}{}",
        tail.replace("x-healthcheck-of-web", "healthcheck")
    );
    let manifest = stage.manifest(&[("web", &late), ("slow", &v1)], "");
    stage.commit(
        "late",
        &[("moored.yaml", &manifest), ("compose.yaml", &compose)],
    );
    stage
        .moored(&["reconcile"])
        .exits(1)
        .says(&["web is not up", "exited (3)"]);
    stage.moored(&["status"]).exits(0).says(&["release none"]);
}
