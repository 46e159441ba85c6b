//! What happens on the engine wakes the controller, and what it does itself does not keep it awake.

use std::time::{Duration, Instant};

use super::running::Running;
use super::stage::Stage;
use crate::support::docker_cli::{docker, eventually};
use crate::support::git_http::GitHttp;

/// A change is to be healed within 3 s on an idle machine; this one is not idle.
const SOON: Duration = Duration::from_secs(8);

/// Starts the controller with a poll that plays no part, and waits until it rests.
fn running(stage: &Stage, server: &GitHttp) -> Running {
    stage.configure(&server.url("state/.git"), "1day", "");
    let controller = stage.start(&["run"]);
    controller.says("released as 1-");
    rests(server);
    controller
}

/// Waits until the controller has not looked for a while: every look asks the server of Git. For
/// longer than twice its first distance between two answers, so that the next one comes at once.
fn rests(server: &GitHttp) {
    let mut since = Instant::now();
    let deadline = since + Duration::from_secs(60);
    while since.elapsed() < Duration::from_secs(6) {
        assert!(Instant::now() < deadline, "it keeps looking");
        if !server.take_requests().is_empty() {
            since = Instant::now();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn what_ends_or_is_changed_is_healed_soon_and_then_there_is_rest() {
    let stage = Stage::new("events");
    stage.commit_web("v1", &stage.app("v1"), "");
    let server = GitHttp::serve(stage.dir.path());
    let controller = running(&stage, &server);
    stage.serves("v1");
    let web = stage.container("web");
    for by_hand in [
        ["rm", "--force", &web].as_slice(),
        &["kill", &web],
        &["rename", &web, &stage.sandbox.name("elsewhere")],
    ] {
        let began = Instant::now();
        docker(by_hand);
        eventually(&format!("{by_hand:?} is healed"), || {
            stage.names() == [web.clone()] && stage.inspect("web", "{{.State.Running}}") == "true"
        });
        assert!(began.elapsed() < SOON, "{by_hand:?} {:?}", began.elapsed());
        rests(&server);
    }
    stage.moored(&["plan"]).exits(0);
    drop(controller);
}

#[test]
fn a_restart_by_hand_is_none_of_its_business() {
    let stage = Stage::new("restarted");
    stage.commit_web("v1", &stage.app("v1"), "");
    let server = GitHttp::serve(stage.dir.path());
    let controller = running(&stage, &server);
    let before = stage.journal_rows();
    docker(&["restart", "--time", "0", &stage.container("web")]);
    eventually("it looks", || !server.take_requests().is_empty());
    rests(&server);
    assert_eq!(stage.journal_rows(), before, "{}", controller.said());
}

#[test]
fn a_container_that_restarts_in_a_loop_is_not_looked_at_each_time() {
    let stage = Stage::new("loops");
    let image = stage.app("v1");
    let (web, manifest) = (stage.web(""), stage.manifest(&[("web", &image)], ""));
    let files = [("moored.yaml", manifest.as_str()), ("compose.yaml", &web)];
    stage.commit("v1", &files);
    let server = GitHttp::serve(stage.dir.path());
    let controller = running(&stage, &server);
    // Of another project of Docker Compose: it is none of our business.
    let other = stage.sandbox.name("other");
    let looks = looks_at_ends(&server, &image, &other, &other, Duration::from_secs(5));
    assert_eq!(looks, 0, "it looked: {}", controller.said());
    // One that somebody has put into ours.
    let name = stage.sandbox.name("loop");
    let looks = looks_at_ends(
        &server,
        &image,
        &name,
        &stage.stack,
        Duration::from_secs(15),
    );
    // At most after 2, 4 and 8 s, each with two questions at the most.
    assert!((1..=8).contains(&looks), "{looks} looks");
}

/// Makes a container of a project end again and again; returns how often the controller asked
/// which commits there are.
fn looks_at_ends(
    server: &GitHttp,
    image: &str,
    name: &str,
    project: &str,
    during: Duration,
) -> usize {
    let label = format!("com.docker.compose.project={project}");
    docker(&[
        "create",
        "--label",
        &label,
        "--name",
        name,
        "--network",
        "none",
        image,
    ]);
    let began = Instant::now();
    let mut looks = 0;
    while began.elapsed() < during {
        docker(&["start", name]);
        docker(&["kill", name]);
        let requests = server.take_requests();
        let of_refs = requests
            .iter()
            .filter(|one| one.target.contains("info/refs"));
        looks += of_refs.count();
    }
    looks
}
