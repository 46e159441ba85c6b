//! `moored run`: what wakes it, what ends it, and what it lives through.

use std::time::{Duration, Instant};

use moored::plan::{is_aside, is_incoming};

use super::running::Running;
use super::stage::Stage;
use crate::support::docker_cli::{docker, eventually};
use crate::support::git_http::{Answer, GitHttp};
use crate::support::put;

/// A commit is to be on the host within 2 s on an idle machine; this one is not idle.
const AT_ONCE: Duration = Duration::from_secs(6);

/// Starts the controller with a poll that plays no part, and waits for its first release.
fn running(stage: &Stage) -> Running {
    let url = stage.path("state").display().to_string();
    stage.configure(&url, "1day", "");
    let controller = stage.start(&["run"]);
    controller.says("released as 1-");
    controller
}

/// An image that takes the whole grace period to stop.
fn stubborn(stage: &Stage, version: &str) -> String {
    stage.app_with(version, &["ENV IGNORE_TERM=1"])
}

/// Commits `web` with a grace period and a soak of its own.
fn commit_web(stage: &Stage, image: &str, grace: &str, soak: &str) {
    let manifest = stage.manifest(&[("web", image)], "");
    let manifest = manifest.replace("soak: 200ms", &format!("soak: {soak}"));
    let grace = format!("stop_grace_period: {grace}");
    let mut compose = stage.web("").replace("stop_grace_period: 1s", &grace);
    if soak != "200ms" {
        compose.truncate(compose.find("    healthcheck").unwrap());
    }
    let files = [
        ("moored.yaml", manifest.as_str()),
        ("compose.yaml", &compose),
    ];
    stage.commit(image, &files);
}

fn replacing(stage: &Stage) {
    let half = |name: &String| is_incoming(name) || is_aside(name);
    eventually("the container is being replaced", || {
        stage.names().iter().any(half)
    });
}

#[test]
fn a_commit_and_a_changed_file_of_the_host_are_seen_at_once() {
    let stage = Stage::new("watch");
    let (v1, v2) = (stage.app("v1"), stage.app("v2"));
    let file = stage.path("web.env");
    put(&file, "GREETING=hello\n");
    let more = format!("env: {{web: {{files: ['{}']}}}}\n", file.display());
    let commit = |image: &str| {
        let manifest = stage.manifest(&[("web", image)], &more);
        let files = [
            ("moored.yaml", manifest.as_str()),
            ("compose.yaml", &stage.web("")),
        ];
        stage.commit(image, &files);
    };
    commit(&v1);
    let _controller = running(&stage);
    stage.serves("v1");

    let began = Instant::now();
    commit(&v2);
    stage.serves("v2");
    assert!(began.elapsed() < AT_ONCE, "{:?}", began.elapsed());

    let greets = |greeting: &str| {
        eventually(greeting, || {
            stage.answer().is_some_and(|it| it["greeting"] == greeting)
        });
    };
    let began = Instant::now();
    put(&file, "GREETING=written in place\n");
    greets("written in place");
    put(stage.path("next"), "GREETING=renamed over\n");
    std::fs::rename(stage.path("next"), &file).unwrap();
    greets("renamed over");
    assert!(began.elapsed() < 2 * AT_ONCE, "{:?}", began.elapsed());
}

#[test]
fn a_repository_behind_http_is_polled_and_may_be_away() {
    let stage = Stage::new("http");
    let (v1, v2) = (stage.app("v1"), stage.app("v2"));
    stage.commit_web("v1", &v1, "");
    let server = GitHttp::serve(stage.dir.path());
    stage.configure(&server.url("state/.git"), "1s", "");
    let mut controller = stage.start(&["run"]);
    stage.serves("v1");
    let before = stage.snapshot();
    server.set_answer(Answer::Status(503));
    controller.says("could not talk to");
    for _ in 0..2 {
        server.take_requests();
        eventually("it asks again", || !server.take_requests().is_empty());
    }
    assert_eq!(
        controller.said().matches("could not talk to").count(),
        1,
        "told once"
    );
    stage.unchanged(&before);
    stage.commit_web("v2", &v2, "");
    server.set_answer(Answer::Git);
    stage.serves("v2");
    controller.signal("TERM");
    assert_eq!(controller.ends(Duration::from_secs(5)), Some(0));
}

#[test]
fn a_broken_commit_and_a_missing_branch_do_not_end_it() {
    let stage = Stage::new("lives");
    let (v1, v2) = (stage.app("v1"), stage.app("v2"));
    stage.commit_web("v1", &v1, "");
    let controller = running(&stage);
    stage.commit("break it", &[("compose.yaml", "services: [\n")]);
    controller.says("compose.yaml:");
    stage.git(&["checkout", "--quiet", "-b", "aside"]);
    stage.git(&["branch", "--delete", "--force", "main"]);
    controller.says("has no branch \"main\"");
    for times in 1..=2 {
        controller.signal("HUP");
        let again = || controller.said().matches("read again").count() == times;
        eventually("it looks again", again);
    }
    stage.commit_web("v2", &v2, "");
    stage.git(&["branch", "main"]);
    stage.serves("v2");
    assert_eq!(
        controller.said().matches("has no branch").count(),
        1,
        "told once"
    );
}

#[test]
fn a_stop_lets_the_step_end_and_the_next_start_goes_on() {
    let stage = Stage::new("term");
    let (v1, v2) = (stubborn(&stage, "v1"), stage.app("v2"));
    commit_web(&stage, &v1, "3s", "200ms");
    let mut controller = running(&stage);
    commit_web(&stage, &v2, "3s", "200ms");
    replacing(&stage);
    controller.signal("TERM");
    assert_eq!(
        controller.ends(Duration::from_secs(8)),
        Some(0),
        "{}",
        controller.said()
    );
    stage.moored(&["status"]).exits(0).says(&["stopped"]);
    stage.reconcile();
    stage.serves("v2");
    assert_eq!(stage.names(), [stage.container("web")]);
    stage.moored(&["plan"]).exits(0);
}

#[test]
fn a_stop_does_not_wait_for_a_soak() {
    let stage = Stage::new("soak");
    let (v1, v2) = (stage.app("v1"), stage.app("v2"));
    commit_web(&stage, &v1, "1s", "300ms");
    stage.reconcile();
    commit_web(&stage, &v2, "1s", "60s");
    let mut pass = stage.start(&["reconcile"]);
    stage.serves("v2");
    pass.signal("TERM");
    assert_eq!(
        pass.ends(Duration::from_secs(5)),
        Some(1),
        "{}",
        pass.said()
    );
    pass.says("stopped as asked");
    commit_web(&stage, &v2, "1s", "300ms");
    stage.reconcile();
    stage.serves("v2");
    assert_eq!(stage.names(), [stage.container("web")]);
}

#[test]
fn a_stop_does_not_wait_for_a_server_that_hangs() {
    let stage = Stage::new("hangs");
    stage.commit_web("v1", &stage.app("v1"), "");
    let server = GitHttp::serve(stage.dir.path());
    server.set_answer(Answer::Drip);
    stage.configure(&server.url("state/.git"), "30s", "");
    for command in ["run", "reconcile"] {
        for signal in ["TERM", "INT"] {
            let mut running = stage.start(&[command]);
            eventually("it asks the server", || !server.take_requests().is_empty());
            running.signal(signal);
            running.ends(Duration::from_secs(5));
        }
    }
}

#[test]
fn settings_are_read_again_and_broken_ones_are_not_taken() {
    let stage = Stage::new("reload");
    let v1 = stage.app("v1");
    let url = stage.path("state").display().to_string();
    let (a, b) = (stage.stack.clone(), format!("{}b", stage.stack));
    let worker =
        "services:\n  worker: {image: app, command: [sleep, '600'], stop_grace_period: 1s}\n";
    let manifest = |stack: &str| format!("stack: {stack}\nsoak: 100ms\nimages: {{worker: {v1}}}\n");
    let files = [
        ("a/moored.yaml", manifest(&a)),
        ("a/compose.yaml", worker.to_owned()),
        ("b/moored.yaml", manifest(&b)),
        ("b/compose.yaml", worker.to_owned()),
    ];
    stage.commit(
        "two stacks",
        &files.each_ref().map(|(path, text)| (*path, text.as_str())),
    );
    stage.configure(&url, "1day", "stacks: [a]\n");
    let controller = stage.start(&["run"]);
    controller.says("released as 1-");
    assert_eq!(stage.names(), [format!("{a}-worker-1")]);

    stage.configure(&url, "1day", "stacks: [a, b]\nno_such_key: 1\n");
    controller.signal("HUP");
    controller.says("the old ones stay: ");
    controller.says("no_such_key");
    stage.configure(&url, "1day", "stacks: [a, b]\n");
    controller.signal("HUP");
    let both = [format!("{a}-worker-1"), format!("{b}-worker-1")];
    eventually("both stacks run", || stage.names() == both);

    let config = std::fs::read_to_string(stage.path("config.yaml")).unwrap();
    put(
        stage.path("config.yaml"),
        config.replace("/moored\n", "/elsewhere\n"),
    );
    controller.signal("HUP");
    controller.says("only be changed by a restart");
}

#[test]
fn of_several_pushes_during_a_pass_the_last_one_counts() {
    let stage = Stage::new("pushes");
    let v1 = stubborn(&stage, "v1");
    let later = ["v2", "v3", "v4"].map(|version| stage.app(version));
    commit_web(&stage, &v1, "3s", "200ms");
    let _controller = running(&stage);
    commit_web(&stage, &later[0], "3s", "200ms");
    replacing(&stage);
    commit_web(&stage, &later[1], "3s", "200ms");
    commit_web(&stage, &later[2], "3s", "200ms");
    stage.serves("v4");
    eventually("the last one is recorded", || {
        let history = stage
            .moored(&["history", "--format", "json"])
            .exits(0)
            .json();
        let told = history[&stage.stack].as_array().unwrap();
        let told = told
            .iter()
            .map(|one| one["subject"].as_str().unwrap().to_owned());
        told.collect::<Vec<_>>() == [later[2].clone(), later[0].clone(), v1.clone()]
            && history[&stage.stack][0]["outcome"]["outcome"] == "succeeded"
    });
}

#[test]
fn a_controller_heals_what_was_changed_by_hand_at_the_next_poll() {
    let stage = Stage::new("heals");
    stage.commit_web("v1", &stage.app("v1"), "");
    let url = stage.path("state").display().to_string();
    stage.configure(&url, "1s", "");
    let _controller = stage.start(&["run"]);
    stage.serves("v1");
    docker(&["rm", "--force", &stage.container("web")]);
    stage.serves("v1");
}

#[test]
fn the_end_of_a_freeze_and_of_a_suspension_wake_it() {
    let stage = Stage::new("wakes");
    let versions = ["v1", "v2", "v3"].map(|version| stage.app(version));
    let commit = |image: &str| {
        let manifest = stage.manifest(&[("web", image)], "");
        let files = [
            ("moored.yaml", manifest.as_str()),
            ("compose.yaml", &stage.web("")),
        ];
        stage.commit(image, &files);
    };
    commit(&versions[0]);
    let url = stage.path("state").display().to_string();
    stage.configure(&url, "1day", "");
    stage.moored(&["reconcile"]).exits(0);

    let ends = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(8);
    let freeze = format!("{{from: 2020-01-01, to: '{ends}', reason: fair}}");
    let stack = &stage.stack;
    stage.configure(
        &url,
        "1day",
        &format!("windows: {{{stack}: {{freeze: [{freeze}]}}}}\n"),
    );
    commit(&versions[1]);
    let controller = stage.start(&["run"]);
    controller.says("changes are frozen (fair)");
    stage.serves("v2");
    assert!(jiff::Timestamp::now() >= ends, "it was let in too early");

    let suspend = ["suspend", "--reason", "fair", "--until", "6s"];
    let ends = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(6);
    stage.moored(&suspend).exits(0);
    commit(&versions[2]);
    controller.says("(fair): nothing is changed");
    stage.serves("v3");
    assert!(jiff::Timestamp::now() >= ends, "it was let in too early");
}
