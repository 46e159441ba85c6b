//! Killed anywhere: the next pass converges, and nothing half-made stays.

use std::time::Duration;

use super::stage::Stage;
use crate::support::docker_cli::{docker, eventually};

/// One state of the repository.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Wanted {
    web: usize,
    worker: usize,
    greeting: u32,
    text: u32,
}

fn commit(stage: &Stage, images: &[String], wanted: Wanted) {
    let (web, worker) = (&images[wanted.web], &images[wanted.worker]);
    let manifest = stage.manifest(&[("web", web), ("worker", worker)], "");
    let compose = stage.web(&format!(
        "    environment: {{GREETING: 'hello {}'}}\n    volumes: ['data:/data']\n  worker:\n    \
         image: app\n    command: [serve-file, /files]\n    stop_grace_period: 1s\n    \
         depends_on: {{web: {{condition: service_healthy}}}}\n    \
         volumes: ['./files/text:/files/text:ro', 'data:/data']\nvolumes: {{data: {{}}}}\n",
        wanted.greeting
    ));
    let text = format!("text {}\n", wanted.text);
    let files = [
        ("moored.yaml", manifest.as_str()),
        ("compose.yaml", &compose),
        ("files/text", &text),
    ];
    stage.commit(&format!("{wanted:?}"), &files);
}

/// Does one pass and checks that the host is as wanted, seen from outside.
fn settles(stage: &Stage, images: &[String], wanted: Wanted) {
    stage.reconcile();
    stage.moored(&["plan"]).exits(0).says(&["nothing to do"]);
    let names = [stage.container("web"), stage.container("worker")];
    assert_eq!(
        stage.names(),
        names,
        "one container a service and nothing half-made"
    );
    for (service, index) in [("web", wanted.web), ("worker", wanted.worker)] {
        assert_eq!(stage.inspect(service, "{{.State.Status}}"), "running");
        assert_eq!(stage.image(service), images[index]);
        let id = docker(&["image", "inspect", "--format", "{{.Id}}", &images[index]]);
        assert_eq!(stage.inspect(service, "{{.Image}}"), id);
    }
    let greeting = format!("hello {}", wanted.greeting);
    eventually(&greeting, || {
        stage.answer().is_some_and(|it| it["greeting"] == *greeting)
    });
    let url = "http://127.0.0.1:8080/text";
    let read = || docker(&["exec", &stage.container("worker"), "/standin", "get", url]);
    eventually("the worker sees the file", || {
        read() == format!("text {}", wanted.text)
    });
}

/// Returns dice, and prints what it takes to play them again: set when the tests are compiled.
#[expect(
    clippy::print_stderr,
    reason = "shown only when the test fails: what it takes to play it again"
)]
pub(super) fn dice() -> fastrand::Rng {
    let seed = option_env!("MOOREDTEST_SEED").map_or_else(
        || fastrand::u64(..),
        |seed| seed.parse().expect("MOOREDTEST_SEED is a number"),
    );
    eprintln!("MOOREDTEST_SEED={seed}");
    fastrand::Rng::with_seed(seed)
}

#[test]
#[expect(
    clippy::print_stderr,
    reason = "shown only when the test fails: what it takes to play it again"
)]
fn twenty_kills_at_random_instants() {
    let mut random = dice();
    let stage = Stage::new("kill");
    let images = [stage.app("v1"), stage.app("v2")];
    let mut wanted = Wanted {
        web: 0,
        worker: 0,
        greeting: 0,
        text: 0,
    };
    commit(&stage, &images, wanted);
    settles(&stage, &images, wanted);
    let volume = format!("{}_data", stage.stack);
    let made = docker(&["volume", "inspect", "--format", "{{.CreatedAt}}", &volume]);
    for kill in 0..20 {
        match random.u32(0..5) {
            0 | 1 => wanted.web = 1 - wanted.web,
            2 => wanted.greeting += 1,
            3 => wanted.text += 1,
            _ => {
                wanted = Wanted {
                    web: 1 - wanted.web,
                    worker: 1 - wanted.worker,
                    text: wanted.text + 1,
                    ..wanted
                }
            }
        }
        commit(&stage, &images, wanted);
        let command = if random.bool() { "run" } else { "reconcile" };
        let after = Duration::from_millis(random.u64(0..1500));
        eprintln!("kill {kill}: {command} after {after:?}, {wanted:?}");
        let mut killed = stage.start(&[command]);
        std::thread::sleep(after);
        killed.kill();
        // Now and then the next kill, or another commit, comes before anything has settled.
        if random.u32(0..3) > 0 || kill == 19 {
            settles(&stage, &images, wanted);
        }
    }
    assert_eq!(
        docker(&["volume", "inspect", "--format", "{{.CreatedAt}}", &volume]),
        made
    );
    let networks = docker(&[
        "network",
        "ls",
        "-q",
        "--filter",
        &format!("name={}", stage.stack),
    ]);
    assert_eq!(networks.lines().count(), 1);
}

/// Commits `bad` over a released v1, and kills the pass while it waits for it to get healthy.
fn killed_while_waiting(stage: &Stage, bad: &str) -> String {
    stage.commit_web("v1", &stage.app("v1"), "");
    stage.reconcile();
    let id = stage.id("web");
    // Long enough to be killed before the verdict.
    let manifest = stage.manifest(&[("web", bad)], "");
    let slow = stage.web("").replace("retries: 2", "retries: 8");
    stage.commit(
        "bad",
        &[("moored.yaml", &manifest), ("compose.yaml", &slow)],
    );
    let mut pass = stage.start(&["reconcile"]);
    eventually("the bad one runs", || {
        let names = stage.names();
        names.contains(&stage.container("web"))
            && stage.image("web") == *bad
            && stage.inspect("web", "{{.State.Status}}") == "running"
    });
    pass.kill();
    id
}

#[test]
fn a_bad_release_that_was_killed_while_it_waited_is_taken_back() {
    let stage = Stage::new("killbad");
    let bad = stage.app_with("bad", &["ENV NEVER_READY=1"]);
    let id = killed_while_waiting(&stage, &bad);
    stage.moored(&["reconcile"]).exits(1).says(&["rolled back"]);
    stage.serves("v1");
    assert_eq!(stage.id("web"), id);
    assert_eq!(stage.names(), [stage.container("web")]);
    stage.moored(&["reconcile"]).exits(75);
}

#[test]
fn a_revision_at_which_it_was_killed_three_times_is_left_alone() {
    let stage = Stage::new("killthrice");
    let bad = stage.app_with("bad", &["ENV NEVER_READY=1"]);
    killed_while_waiting(&stage, &bad);
    for attempt in [3, 4] {
        let mut pass = stage.start(&["reconcile"]);
        let begun = format!("last attempt  {attempt} of ");
        eventually("it is at work", || {
            stage.moored(&["status"]).out.contains(&begun)
        });
        pass.kill();
    }
    let held = stage.moored(&["reconcile"]).exits(75);
    held.says(&["killed 3 times", "safe mode", "moored retry"]);
    stage.moored(&["status"]).exits(0).says(&["safe mode"]);
    stage.moored(&["retry"]).exits(0);
    stage.moored(&["reconcile"]).exits(1).says(&["rolled back"]);
    stage.serves("v1");
}

#[test]
fn a_revert_after_a_kill_goes_back_to_what_ran() {
    let stage = Stage::new("killrevert");
    let bad = stage.app_with("bad", &["ENV NEVER_READY=1"]);
    killed_while_waiting(&stage, &bad);
    stage.revert();
    stage.reconcile();
    stage.serves("v1");
    assert_eq!(stage.names(), [stage.container("web")]);
    stage.moored(&["plan"]).exits(0);
}

#[test]
fn a_second_bad_commit_after_a_kill_still_goes_back_to_what_was_good() {
    let stage = Stage::new("killtwice");
    let bad = stage.app_with("bad", &["ENV NEVER_READY=1"]);
    let worse = stage.app_with("worse", &["ENV NEVER_READY=1"]);
    let id = killed_while_waiting(&stage, &bad);
    stage.commit_web("worse", &worse, "");
    stage.moored(&["reconcile"]).exits(1).says(&["rolled back"]);
    stage.serves("v1");
    assert_eq!(stage.id("web"), id);
    assert_eq!(stage.names(), [stage.container("web")]);
}

#[test]
fn a_new_service_that_nobody_saw_up_is_not_released_after_a_kill() {
    let stage = Stage::new("killnew");
    let (v1, bad) = (
        stage.app("v1"),
        stage.app_with("bad", &["ENV NEVER_READY=1"]),
    );
    stage.commit_web("v1", &v1, "");
    stage.reconcile();
    let compose = stage.web(
        "  extra:\n    image: app\n    healthcheck: {test: [CMD, /standin, check, /health], \
         interval: 1s, retries: 3}\n",
    );
    let manifest = stage.manifest(&[("web", &v1), ("extra", &bad)], "");
    stage.commit(
        "extra",
        &[("moored.yaml", &manifest), ("compose.yaml", &compose)],
    );
    let mut pass = stage.start(&["reconcile"]);
    let extra = stage.container("extra");
    eventually("the new service is there", || {
        stage.names().contains(&extra)
    });
    pass.kill();
    stage.moored(&["plan"]).exits(2).says(&["ready", "extra"]);
    stage
        .moored(&["reconcile"])
        .exits(1)
        .says(&["extra is not up"]);
    stage.moored(&["reconcile"]).exits(75);
}
