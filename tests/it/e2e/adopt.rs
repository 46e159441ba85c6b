//! Takes over what Docker Compose itself runs, and hands back what it can work with.

use std::path::Path;
use std::process::{Command, Stdio};

use super::stage::Stage;
use crate::support::docker_cli::{ENDPOINT, docker};

/// Docker Compose, as `scripts/test` fetches it.
pub(super) const COMPOSE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/peer/docker-compose");

/// Runs Docker Compose on the project of a stage; returns what it printed on both.
#[track_caller]
pub(super) fn compose(stage: &Stage, files: bool, arguments: &[&str]) -> String {
    run(COMPOSE, stage, files, arguments)
}

/// The same with another program.
#[track_caller]
pub(super) fn run(program: &str, stage: &Stage, files: bool, arguments: &[&str]) -> String {
    assert!(Path::new(program).exists(), "scripts/test fetches it");
    let mut command = Command::new(program);
    command.args(["--project-name", &stage.stack]);
    if files {
        let directory = stage.path("state");
        command.arg("--file").arg(directory.join("compose.yaml"));
    }
    let output = command
        .args(arguments)
        .env("DOCKER_HOST", ENDPOINT)
        .current_dir(stage.path("."))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {said}");
    said
}

/// Commits a stack of two services that Docker Compose can read as it is.
fn commit(stage: &Stage, message: &str, web: &str, db: &str) -> String {
    let manifest = format!(
        "stack: {}\nsoak: 200ms\nproject_directory: {}\n",
        stage.stack,
        stage.path("state").display()
    );
    let text = stage.web(
        "    depends_on: [db]\n    environment: {GREETING: hello}\n    \
         volumes: ['./page:/page:ro', 'rows:/rows']\n    labels: {team: shop}\n",
    );
    let text = text.replacen("image: app", &format!("image: {web}"), 1);
    let compose = format!(
        "{text}  db:\n    image: {db}\n    command: [sleep, '600']\n    stop_grace_period: 1s\n    \
         restart: unless-stopped\nvolumes: {{rows: {{}}}}\n"
    );
    let files = [
        ("moored.yaml", manifest.as_str()),
        ("compose.yaml", compose.as_str()),
        ("page", "hello\n"),
    ];
    stage.commit(message, &files)
}

/// Runs the services of a commit by Docker Compose; returns the stage and the image.
fn running(area: &str) -> (Stage, String) {
    let stage = Stage::new(area);
    let v1 = stage.app("v1");
    commit(&stage, "v1", &v1, &v1);
    compose(&stage, true, &["up", "--detach"]);
    stage.serves("v1");
    (stage, v1)
}

fn ids(stage: &Stage) -> [String; 2] {
    [stage.id("web"), stage.id("db")]
}

#[test]
fn what_runs_as_git_says_is_adopted_and_not_touched() {
    let (stage, v1) = running("adopt");
    let before = stage.snapshot();
    let old = ids(&stage);
    let plan = stage.moored(&["plan"]).exits(2);
    let names = [stage.container("db"), stage.container("web")].join(", ");
    plan.says(&["adopt", &names, "record"]);
    let plan = stage.moored(&["plan", "--format", "json"]).json();
    let steps = plan[0]["steps"].as_array().unwrap();
    let verbs: Vec<&str> = steps
        .iter()
        .map(|one| one["verb"].as_str().unwrap())
        .collect();
    assert_eq!(verbs, ["adopt", "record"], "{plan}");
    stage.unchanged(&before);

    stage.reconcile().says(&["released as 1-"]);
    stage.unchanged(&before);
    assert_eq!(ids(&stage), old);
    stage.moored(&["plan"]).exits(0).says(&["nothing to do"]);
    stage.moored(&["drift"]).exits(0);
    stage
        .moored(&["status"])
        .exits(0)
        .says(&["web", "db", "running", "1-"]);

    // From then on they are ours: a new tag replaces, drift is mended, and a revert goes back.
    let v2 = stage.app("v2");
    commit(&stage, "v2", &v2, &v1);
    stage.reconcile();
    stage.serves("v2");
    let new = ids(&stage);
    assert_ne!(new[0], old[0]);
    assert_eq!(new[1], old[1], "nothing of it has changed");
    docker(&["stop", &stage.container("db")]);
    stage.reconcile();
    assert_eq!(stage.inspect("db", "{{.State.Status}}"), "running");
    stage.moored(&["rollback", "--to", "1", "--hold"]).exits(0);
    stage.reconcile();
    stage.serves("v1");
    assert_eq!(stage.names().len(), 2);
}

#[test]
fn what_differs_is_held_until_a_person_adopts_it() {
    let (stage, v1) = running("held");
    let old = ids(&stage);
    let v2 = stage.app("v2");
    commit(&stage, "v2", &v2, &v1);
    let before = stage.snapshot();
    let texts = [
        &stage.container("web"),
        "would replace it",
        &v2,
        "moored adopt",
    ];
    stage
        .moored(&["plan"])
        .exits(75)
        .says(&texts)
        .says(&["converge", "replace"]);
    stage.moored(&["reconcile"]).exits(75).says(&texts);
    let json = stage.moored(&["plan", "--format", "json"]).json();
    assert_eq!(json[0]["holds"][0]["hold"], "not-adopted", "{json}");
    assert_eq!(json[0]["steps"].as_array().unwrap().len(), 0);
    assert_eq!(json[0]["held_back"][0]["verb"], "replace");
    stage.unchanged(&before);

    let stack = stage.stack.clone();
    let adopted = format!(
        "adopted db ({}), web ({})",
        stage.container("db"),
        stage.container("web")
    );
    stage.moored(&["adopt", &stack]).exits(0).says(&[&adopted]);
    stage
        .moored(&["adopt", &stack])
        .exits(0)
        .says(&["nothing to do"]);
    stage.unchanged(&before);
    stage.reconcile();
    stage.serves("v2");
    let new = ids(&stage);
    assert_ne!(new[0], old[0]);
    assert_eq!(new[1], old[1]);
    stage.moored(&["plan"]).exits(0);

    // What Docker Compose makes again is its own once more.
    compose(
        &stage,
        true,
        &["up", "--detach", "--force-recreate", "--no-deps", "db"],
    );
    assert_ne!(stage.id("db"), new[1]);
    stage
        .moored(&["plan"])
        .exits(2)
        .says(&["adopt", &stage.container("db")]);
    stage.reconcile();
    stage.moored(&["plan"]).exits(0);
}

#[test]
fn names_of_version_1_are_changed_without_a_restart() {
    let stage = Stage::new("v1names");
    let v1 = stage.app("v1");
    let stack = stage.stack.clone();
    let manifest = format!("stack: {stack}\nsoak: 200ms\n");
    let text = format!("services:\n  db:\n    image: {v1}\n    command: [sleep, '600']\n");
    stage.commit("v1", &[("moored.yaml", &manifest), ("compose.yaml", &text)]);
    // What docker-compose 1.29 asks the engine for.
    let (network, name) = (format!("{stack}_default"), format!("{stack}_db_1"));
    let project = format!("com.docker.compose.project={stack}");
    let label = ["--label", project.as_str()];
    let of_network = [
        "--label",
        "com.docker.compose.network=default",
        network.as_str(),
    ];
    docker(&[&["network", "create"], label.as_slice(), &of_network].concat());
    let run = ["run", "--detach", "--name", &name, "--network", &network];
    let labels = [
        "--network-alias",
        "db",
        "--label",
        "com.docker.compose.service=db",
        "--label",
        "com.docker.compose.oneoff=False",
        "--label",
        "com.docker.compose.container-number=1",
        "--label",
        "com.docker.compose.config-hash=0123",
        "--label",
        "com.docker.compose.version=1.29.2",
    ];
    docker(&[&run, label.as_slice(), &labels, &[&v1, "sleep", "600"]].concat());
    let look = |name: &str| docker(&["inspect", "--format", "{{.Id}} {{.State.StartedAt}}", name]);
    let before = look(&name);
    let renamed = stage.container("db");
    stage
        .moored(&["reconcile"])
        .exits(75)
        .says(&["would rename it", &name, &renamed]);
    stage.moored(&["adopt"]).exits(0);
    stage
        .moored(&["plan"])
        .exits(2)
        .says(&["rename", &name, &renamed]);
    stage.reconcile();
    assert_eq!(look(&renamed), before);
    stage.moored(&["plan"]).exits(0).says(&["nothing to do"]);
}

#[test]
fn docker_compose_works_with_what_we_have_made() {
    let stage = Stage::new("handback");
    let v1 = stage.app("v1");
    commit(&stage, "v1", &v1, &v1);
    stage.reconcile();
    stage.serves("v1");
    let listed = compose(
        &stage,
        false,
        &["ps", "--format", "{{.Service}} {{.Name}} {{.State}}"],
    );
    for service in ["web", "db"] {
        let line = format!("{service} {} running", stage.container(service));
        assert!(listed.contains(&line), "{listed}");
    }
    compose(&stage, false, &["logs", "web"]);
    let seen = compose(&stage, false, &["exec", "-T", "web", "/standin", "check"]);
    assert!(!seen.contains("rror"), "{seen}");
    let labels = |name: &str| {
        let template = format!("{{{{index .Config.Labels \"com.docker.compose.{name}\"}}}}");
        stage.inspect("web", &template)
    };
    assert_eq!(labels("image"), stage.inspect("web", "{{.Image}}"));
    assert_eq!(labels("depends_on"), "db:service_started:false");
    assert_eq!(labels("container-number"), "1");
    assert_eq!(labels("oneoff"), "False");
    let project = stage.path("state");
    assert_eq!(labels("project.working_dir"), project.display().to_string());
    let file = project.join("compose.yaml").display().to_string();
    assert_eq!(labels("project.config_files"), file);
    // Its own rule finds nothing to do, so that the way back is one command.
    let ours = ids(&stage);
    compose(&stage, true, &["up", "--detach"]);
    assert_eq!(ids(&stage), ours);
    compose(&stage, false, &["down"]);
    assert!(stage.names().is_empty());
    docker(&["volume", "inspect", &format!("{}_rows", stage.stack)]);
    let networks = docker(&["network", "ls", "--format", "{{.Name}}"]);
    assert!(!networks.contains(&stage.stack), "{networks}");
    // And back again.
    stage.reconcile();
    stage.serves("v1");
}

#[test]
fn who_is_in_the_network_of_another_is_adopted_and_follows_it() {
    let stage = Stage::new("joined");
    let v1 = stage.app("v1");
    let commit = |vpn: &str| {
        let manifest = format!("stack: {}\nsoak: 200ms\n", stage.stack);
        let sleeps = "command: [sleep, '600'], stop_grace_period: 1s";
        let compose = format!(
            "services:\n  vpn: {{image: '{vpn}', ipc: shareable, {sleeps}, volumes: ['/data']}}\n  \
             web: {{image: '{v1}', network_mode: 'service:vpn', {sleeps}}}\n  \
             spy: {{image: '{v1}', pid: 'service:vpn', ipc: 'service:vpn', {sleeps}}}\n  \
             copy: {{image: '{v1}', volumes_from: [vpn], {sleeps}}}\n"
        );
        let files = [
            ("moored.yaml", manifest.as_str()),
            ("compose.yaml", compose.as_str()),
        ];
        stage.commit(vpn, &files);
    };
    commit(&v1);
    compose(&stage, true, &["up", "--detach"]);
    let before = stage.snapshot();
    let all = ["vpn", "web", "spy", "copy"];
    let ids = || all.map(|service| stage.id(service));
    let old = ids();
    stage.reconcile().says(&["released as 1-"]);
    stage.unchanged(&before);
    stage.moored(&["plan"]).exits(0).says(&["nothing to do"]);

    // A new container of theirs is one of a new one's.
    commit(&stage.app("v2"));
    stage.reconcile();
    let new = ids();
    for (service, (old, new)) in all.iter().zip(old.iter().zip(&new)) {
        assert_ne!(old, new, "{service}");
    }
    let joined = format!("container:{}", new[0]);
    assert_eq!(stage.inspect("web", "{{.HostConfig.NetworkMode}}"), joined);
    let spaces = stage.inspect("spy", "{{.HostConfig.PidMode}} {{.HostConfig.IpcMode}}");
    assert_eq!(spaces, format!("{joined} {joined}"));
    stage.moored(&["plan"]).exits(0).says(&["nothing to do"]);

    // One that is started again has a new network; who was in the old one is restarted.
    docker(&["stop", &stage.container("vpn")]);
    let began = |service: &str| stage.inspect(service, "{{.State.StartedAt}}");
    let (web, copy) = (began("web"), began("copy"));
    stage.reconcile();
    assert_ne!(began("web"), web);
    assert_eq!(began("copy"), copy);
    assert_eq!(ids(), new);
    stage.moored(&["plan"]).exits(0).says(&["nothing to do"]);
}
