//! What was applied needs nothing more: a plan right after it is empty, and so is one after the
//! engine was restarted. On an engine of its own, because the shared one can't be restarted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::stage::{EVERYTHING, Stage};
use crate::support::private_engine::PrivateEngine;
use crate::support::put;

/// Projects of `tests/compose` whose model asks something of the engine.
const MODELS: [&str; 6] = [
    "anchors-and-merge-keys",
    "include-nested-and-twice",
    "label-files",
    "merge-lists-and-scalars",
    "merge-short-and-long-forms",
    "several-documents",
];

/// A service that nothing starts again, and one that is.
const LEFT: &str = "services:\n  left: {image: app, command: sleep 600, stop_grace_period: 0s}\n  \
     kept: {image: app, command: sleep 600, stop_grace_period: 0s, restart: always}\n";

fn root(path: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// Returns the Compose files of all stacks, by the name of the stack: those of
/// `tests/differential`, and the chosen ones of `tests/compose`.
fn stacks() -> BTreeMap<String, String> {
    let mut stacks = BTreeMap::new();
    for entry in std::fs::read_dir(root("tests/differential")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        // What it names as external is not on that engine.
        if name == "elsewhere" {
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        stacks.insert(name.clone(), text.replace("STACK", &name));
    }
    for name in MODELS {
        let path = root("tests/compose/good").join(name).join("expected.json");
        let text = std::fs::read_to_string(path).unwrap();
        let mut model: Value = serde_json::from_str(&text.replace("@PROJECT_DIR@", ".")).unwrap();
        // Each stack has names of its own.
        model.as_object_mut().unwrap().remove("name");
        for kind in ["networks", "volumes", "secrets"] {
            let objects = model.get_mut(kind).and_then(Value::as_object_mut);
            for (_, object) in objects.into_iter().flatten() {
                object.as_object_mut().unwrap().remove("name");
            }
        }
        for service in model["services"].as_object_mut().unwrap().values_mut() {
            stand_in(service.as_object_mut().unwrap());
        }
        stacks.insert(name.to_owned(), model.to_string());
    }
    stacks
}

/// Makes a service of a model one that runs with our image.
fn stand_in(service: &mut serde_json::Map<String, Value>) {
    for key in [
        "build",
        "entrypoint",
        "devices",
        "user",
        "security_opt",
        "ulimits",
    ] {
        service.remove(key);
    }
    service.insert("image".to_owned(), json!("app"));
    service.insert("command".to_owned(), json!(["sleep", "600"]));
    // Some wait for another to be healthy.
    let check = json!({"test": ["CMD", "true"], "interval": "1h"});
    service.insert("healthcheck".to_owned(), check);
}

/// Returns a second file for a stack: it starts again what the first one does not say it about.
fn started_again(text: &str) -> String {
    let model: Value = serde_yaml::from_str(text).unwrap();
    let services = model["services"].as_object().unwrap();
    let said = |service: &Value| {
        let job = service["command"] == "true";
        // An engine may start it before the one whose network it joins, and does not try again.
        let mode = service["network_mode"].as_str().unwrap_or_default();
        job || mode.starts_with("service:")
            || service.get("restart").is_some()
            || !service["deploy"]["restart_policy"].is_null()
    };
    let own = |service: &Value| {
        if said(service) {
            json!({"stop_grace_period": "0s"})
        } else {
            json!({"stop_grace_period": "0s", "restart": "always"})
        }
    };
    let services: BTreeMap<_, _> = services.iter().map(|(name, of)| (name, own(of))).collect();
    json!({ "services": services }).to_string()
}

/// Commits all stacks, each in a directory of its own.
fn commit(stage: &Stage, stacks: &BTreeMap<String, String>) {
    let mut files = Vec::new();
    for (name, text) in stacks {
        let directory = stage.path("state").join(name);
        let manifest = json!({
            "stack": name, "soak": "0s", "project_directory": directory,
            "variables": {"TOLD": "told"},
        });
        files.push((format!("{name}/moored.yaml"), manifest.to_string()));
        files.push((format!("{name}/compose.yaml"), text.clone()));
        let again = started_again(text);
        files.push((format!("{name}/compose.override.yaml"), again));
        for file in ["page", "token", "app.env"] {
            files.push((format!("{name}/{file}"), "HELLO=hello\n".to_owned()));
        }
    }
    let left = ["left/moored.yaml", "left/compose.yaml"].map(str::to_owned);
    let texts = ["stack: left\nsoak: 0s\n", LEFT].map(str::to_owned);
    files.extend(left.into_iter().zip(texts));
    let files: Vec<(&str, &str)> = files
        .iter()
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .collect();
    stage.commit("all of them", &files);
}

/// Returns what a plan would do, by stack: verbs, subjects and reasons of its steps and holds.
fn wanted(stage: &Stage) -> BTreeMap<String, Vec<String>> {
    let plans = stage.moored(&["plan", "--format", "json"]).json();
    let told = |step: &Value| {
        let reasons = step["reasons"].as_array().into_iter().flatten();
        let fields: Vec<String> = reasons
            .map(|reason| reason["field"].to_string().replace('"', ""))
            .collect();
        let word = |key: &str| step[key].as_str().unwrap_or_default().to_owned();
        let what = [word("hold"), word("verb"), word("subject"), word("service")];
        format!("{} {}", what.join(" ").trim(), fields.join(" "))
    };
    let plans = plans.as_array().unwrap().iter().map(|plan| {
        let all = ["steps", "holds"].map(|key| plan[key].as_array().unwrap().iter().map(told));
        let name = plan["stack"].as_str().unwrap().to_owned();
        (name, all.into_iter().flatten().collect())
    });
    plans.collect()
}

/// Checks that no stack needs anything, but for those named, with what they need.
#[track_caller]
fn quiet(stage: &Stage, stacks: usize, but: &[(&str, &[&str])]) {
    let mut plans = wanted(stage);
    assert_eq!(plans.len(), stacks, "{plans:#?}");
    for (name, expected) in but {
        let steps = plans.remove(*name).unwrap();
        assert_eq!(steps, *expected, "{name}");
    }
    plans.retain(|_, steps| !steps.is_empty());
    assert!(plans.is_empty(), "{plans:#?}");
}

/// Waits until everything runs but for these.
fn runs_again(engine: &PrivateEngine, but: &[String]) {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let listed = engine.docker(&["ps", "--all", "--format", "{{.Names}} {{.State}}"]);
        let down = listed.lines().filter(|line| !line.ends_with("running"));
        let down: BTreeSet<&str> = down.collect();
        if down == but.iter().map(String::as_str).collect() {
            return;
        }
        assert!(Instant::now() < deadline, "{down:#?}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn what_was_applied_needs_nothing_more_and_nothing_after_a_restart_of_the_engine() {
    let stage = Stage::new("quiet");
    let mut engine = PrivateEngine::start();
    engine.image("app", &[]);
    let mut permits: Value = serde_yaml::from_str(&format!("{{{EVERYTHING}}}")).unwrap();
    permits["bind_roots"] = json!([stage.dir.path(), "/srv"]);
    let settings = json!({
        "repository": {"url": stage.path("state")},
        "state_dir": stage.path("moored"),
        "engine": engine.endpoint(),
        "policy": permits,
    });
    put(stage.path("config.yaml"), settings.to_string());
    let stacks = stacks();
    commit(&stage, &stacks);
    let all = stacks.len() + 1;
    stage.reconcile();
    quiet(&stage, all, &[]);

    engine.restart();
    let down = ["jobs-once-1", "left-left-1", "namespaces-guest-1"];
    runs_again(&engine, &down.map(|name| format!("{name} exited")));
    // What nothing starts again is a true difference, and its only one.
    let left = ["start left state", "record release "];
    let joined = ["start guest state", "record release "];
    quiet(&stage, all, &[("left", &left), ("namespaces", &joined)]);
    stage.reconcile();
    quiet(&stage, all, &[]);
}
