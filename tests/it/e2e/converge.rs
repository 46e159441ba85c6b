//! Converge, do nothing, promote, revert: and what the commands that look say about it.

use std::path::Path;

use serde_json::{Value, json};

use super::stage::Stage;
use crate::support::docker_cli::{docker, eventually};

/// `web`, a `worker` that waits for it, and a `job` that comes before both.
fn commit_three(stage: &Stage, message: &str, web: &str, worker: &str) -> String {
    let manifest = stage.manifest(&[("web", web), ("worker", worker), ("job", worker)], "");
    let compose = stage.web(
        "    depends_on: {job: {condition: service_completed_successfully}}\n    \
         volumes: ['data:/data']\n  worker:\n    image: app\n    command: [sleep, '600']\n    \
         stop_grace_period: 1s\n    depends_on: {web: {condition: service_healthy}}\n  job:\n    \
         image: app\n    command: [print, done]\nvolumes: {data: {}}\n",
    );
    let files = [
        ("moored.yaml", manifest.as_str()),
        ("compose.yaml", &compose),
    ];
    stage.commit(message, &files)
}

fn started(stage: &Stage) -> Vec<String> {
    ["web", "worker", "job"]
        .map(|service| stage.inspect(service, "{{.Id}} {{.State.StartedAt}}"))
        .to_vec()
}

#[test]
fn a_commit_becomes_containers_and_a_second_pass_does_nothing() {
    let stage = Stage::new("converge");
    let v1 = stage.app("v1");
    let revision = commit_three(&stage, "web, worker, job", &v1, &v1);

    stage
        .moored(&["plan"])
        .exits(2)
        .says(&["create", "web", "worker", "job"]);
    assert!(stage.names().is_empty(), "a plan changes nothing");
    stage
        .moored(&["status"])
        .exits(0)
        .says(&["nothing has been released"]);

    stage.reconcile().says(&["released as 1-", &revision[..7]]);
    stage.serves("v1");
    let names = ["job", "web", "worker"].map(|service| stage.container(service));
    assert_eq!(stage.names(), names);
    assert_eq!(
        stage.inspect("job", "{{.State.Status}} {{.State.ExitCode}}"),
        "exited 0"
    );
    // Each began after what it depends on: job, web healthy, worker.
    let began = |service| stage.inspect(service, "{{.State.StartedAt}}");
    assert!(began("job") < began("web") && began("web") < began("worker"));
    assert_eq!(stage.inspect("web", "{{.State.Health.Status}}"), "healthy");
    // As Docker Compose's own tools see it.
    let labelled = format!("label=com.docker.compose.project={}", stage.stack);
    assert_eq!(
        docker(&["ps", "-aq", "--filter", &labelled])
            .lines()
            .count(),
        3
    );
    let volume = format!("{}_data", stage.stack);
    assert!(stage.inspect("web", "{{json .Mounts}}").contains(&volume));

    let (before, rows) = (stage.snapshot(), stage.journal_rows());
    stage.reconcile().says(&["nothing to do"]);
    stage.moored(&["plan"]).exits(0).says(&["nothing to do"]);
    stage
        .moored(&["drift"])
        .exits(0)
        .says(&["the host is as Git says"]);
    stage.unchanged(&before);
    assert_eq!(
        stage.journal_rows(),
        rows,
        "nothing is recorded of a pass that did nothing"
    );

    // Another commit that changes nothing of the stack does not touch the host either.
    stage.commit("a readme", &[("README.md", "hello")]);
    stage.reconcile();
    stage.unchanged(&before);
}

#[test]
fn a_promotion_replaces_one_container_and_a_revert_brings_the_old_one_back() {
    let stage = Stage::new("promote");
    let (v1, v2) = (stage.app("v1"), stage.app("v2"));
    let first = commit_three(&stage, "first", &v1, &v1);
    stage.reconcile();
    let before = started(&stage);

    let second = commit_three(&stage, "promote web", &v2, &v1);
    let change = format!("image {v1} → {v2}");
    stage
        .moored(&["plan"])
        .exits(2)
        .says(&["replace", "web", &change]);
    assert_eq!(started(&stage), before);
    stage.reconcile().says(&[&change]);
    stage.serves("v2");
    let after = started(&stage);
    assert_ne!(after[0], before[0]);
    assert_eq!(after[1..], before[1..], "the others are left alone");
    assert_eq!(
        stage.names().len(),
        3,
        "the one before is gone: {:?}",
        stage.names()
    );

    let third = stage.revert();
    stage.reconcile();
    stage.serves("v1");
    assert_eq!(started(&stage)[1..], before[1..]);
    assert_eq!(stage.image("web"), v1);

    let history = stage
        .moored(&["history", "--format", "json"])
        .exits(0)
        .json();
    let attempts = history[&stage.stack].as_array().unwrap().clone();
    let told: Vec<Value> = attempts
        .iter()
        .map(|one| json!([one["attempt"], one["revision"], one["outcome"]["outcome"]]))
        .collect();
    let expected = [(3, third), (2, second), (1, first)]
        .map(|(attempt, revision)| json!([attempt, revision, "succeeded"]));
    assert_eq!(told, expected);
    assert_eq!(attempts[1]["subject"], "promote web");
    assert_eq!(attempts[1]["author"], "Ada");
    assert!(attempts[1]["plan"].as_str().unwrap().contains(&change));
    assert!(attempts[1]["duration_ms"].as_i64().unwrap() > 0);
    let text = stage.moored(&["history", "-n", "1"]).exits(0);
    assert!(
        text.out.contains("Revert") && !text.out.contains(" promote web"),
        "{}",
        text.out
    );
}

#[test]
fn what_the_looking_commands_say_has_a_shape_for_programs() {
    let stage = Stage::new("json");
    let (v1, v2) = (stage.app("v1"), stage.app("v2"));
    stage.commit_web("first", &v1, "");
    let passed = stage
        .moored(&["reconcile", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(passed[0]["dir"], ".");
    assert_eq!(passed[0]["stack"], stage.stack.as_str());
    assert_eq!(passed[0]["outcome"], "succeeded");

    let second = stage.commit_web("second", &v2, "");
    let plan = stage.moored(&["plan", "--format", "json"]).exits(2).json();
    let plan = &plan[0];
    assert_eq!(plan["commit"]["revision"], second.as_str());
    let replace = plan["steps"].as_array().unwrap();
    let replace = replace
        .iter()
        .find(|step| step["verb"] == "replace")
        .unwrap();
    assert_eq!(
        (&replace["subject"], &replace["phase"]),
        (&json!("web"), &json!("converge"))
    );
    let reason = &replace["reasons"][0];
    assert_eq!(reason["field"], "image");
    assert_eq!(reason["git"], json!({"plain": v2}));
    assert_eq!(reason["release"], json!({"plain": v1}));
    assert_eq!(reason["live"], json!({"plain": v1}));
    assert_eq!(reason["origin"], "pending");

    let drift = stage.moored(&["drift", "--format", "json"]).exits(2).json();
    assert_eq!(drift[0]["differences"][0]["service"], "web");
    assert_eq!(drift[0]["differences"][0]["reasons"][0], *reason);
    assert_eq!(drift[0]["error"], Value::Null);

    // The pass did not wait for the engine's own verdict.
    eventually("healthy", || {
        stage.inspect("web", "{{.State.Health.Status}}") == "healthy"
    });
    let status = stage
        .moored(&["status", "--format", "json"])
        .exits(0)
        .json();
    assert_eq!(status[0]["stack"], stage.stack.as_str());
    assert_eq!(status[0]["held"], false);
    let web = &status[0]["services"]["web"];
    assert_eq!(web["container"], stage.container("web"));
    assert_eq!(web["image"], v1.as_str());
    assert_eq!(
        (&web["state"], &web["health"]),
        (&json!("running"), &json!("healthy"))
    );
    stage
        .moored(&["status"])
        .exits(0)
        .says(&["web", "running", "healthy", &v1]);
}

#[test]
fn one_stack_of_several_can_be_asked_for() {
    let stage = Stage::new("several");
    let v1 = stage.app("v1");
    let other = format!("{}b", stage.stack);
    let worker =
        "services:\n  worker: {image: app, command: [sleep, '600'], stop_grace_period: 1s}\n";
    let manifest = |stack: &str| format!("stack: {stack}\nsoak: 100ms\nimages: {{worker: {v1}}}\n");
    let files = [
        ("a/moored.yaml", manifest(&stage.stack)),
        ("a/compose.yaml", worker.to_owned()),
        ("b/moored.yaml", manifest(&other)),
        ("b/compose.yaml", worker.to_owned()),
    ];
    stage.commit(
        "two stacks",
        &files.each_ref().map(|(path, text)| (*path, text.as_str())),
    );
    stage.moored(&["reconcile", "--stack", &other]).exits(0);
    assert_eq!(stage.names(), [format!("{other}-worker-1")]);
    stage
        .moored(&["reconcile", "--stack", "nobody"])
        .exits(65)
        .says(&["no stack", &other]);
    // One that is broken does not keep the other from its pass.
    stage.commit("break b", &[("b/compose.yaml", "services: [\n")]);
    stage
        .moored(&["reconcile"])
        .exits(65)
        .says(&["b/compose.yaml:", "released as"]);
    assert_eq!(stage.names().len(), 2);
    stage
        .moored(&["status"])
        .exits(0)
        .says(&[&stage.stack, &other]);

    // A stack that is gone is reported until its containers are gone too.
    std::fs::remove_dir_all(stage.path("state/b")).unwrap();
    stage.commit("remove b", &[]);
    let gone = format!("stack {other} is no longer in the state repository");
    stage.moored(&["reconcile"]).exits(65).says(&[&gone]);
    assert_eq!(stage.names().len(), 2);
    docker(&["rm", "--force", &format!("{other}-worker-1")]);
    stage.reconcile();
}

#[test]
fn a_container_gets_the_name_that_it_is_given() {
    let stage = Stage::new("named");
    let v1 = stage.app("v1");
    stage.commit_web("first", &v1, "");
    stage.reconcile();
    // One that looks like a name of ours for a container that is kept aside.
    let name = stage.sandbox.name("app.old");
    stage.commit_web("a name", &v1, &format!("    container_name: {name}\n"));
    stage.reconcile();
    assert_eq!(stage.names(), [name]);
    stage.reconcile().says(&["nothing to do"]);
    stage.revert();
    stage.reconcile();
    assert_eq!(stage.names(), [stage.container("web")]);
    stage.serves("v1");
}

/// The example of the documentation, but for the names and the port that a shared engine needs.
#[test]
fn the_hello_example_runs_as_its_users_keep_it() {
    let stage = Stage::new("hello");
    let (v1, v2) = (stage.app("v1"), stage.app("v2"));
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("desired-state-examples/hello");
    let read = |name: &str| std::fs::read_to_string(example.join(name)).unwrap();
    let manifest = read("moored.yaml")
        .replace("stack: hello", &format!("stack: {}", stage.stack))
        .replace("WEB_PORT: 8080", &format!("WEB_PORT: {}", stage.port()))
        .replace("hello:v1", &v1);
    let (compose, page) = (read("compose.yaml"), read("site/index.html"));
    let files = [
        ("moored.yaml", manifest.as_str()),
        ("compose.yaml", &compose),
        ("site/index.html", &page),
    ];
    stage.commit("hello", &files);
    stage.reconcile();
    let worker = stage.id("worker");
    let url = "http://127.0.0.1:8080/index.html";
    let get = || docker(&["exec", &stage.container("web"), "/standin", "get", url]);
    assert_eq!(get().trim(), page.trim());
    let promoted = manifest.replace(&format!("web: {v1}"), &format!("web: {v2}"));
    stage.commit("promote web", &[("moored.yaml", &promoted)]);
    stage.reconcile();
    assert_eq!((stage.image("web"), stage.id("worker")), (v2, worker));
    let web = stage.id("web");
    stage.commit("page", &[("site/index.html", "<p>changed</p>\n")]);
    stage.reconcile();
    assert_eq!(get(), "<p>changed</p>");
    assert_eq!(stage.id("web"), web, "a changed page needs no restart");
    stage.revert();
    stage.reconcile();
    assert_eq!(get().trim(), page.trim());
    stage.moored(&["plan"]).exits(0);
    stage.moored(&["drift"]).exits(0);
}
