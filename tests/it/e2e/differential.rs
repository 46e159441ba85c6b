//! What Moored makes of a Compose file is what Docker Compose makes of it: each file of
//! `tests/differential` is brought up by both, and what the engine shows of containers, networks
//! and volumes is the same.
//!
//! What is left out of the comparison stands in [`plain`], and with its reason in
//! `docs/compose-conformance.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use moored::engine::WriteEngine as _;
use moored::engine::docker::Docker;
use serde_json::{Map, Value, json};

use super::adopt::compose;
use super::stage::{EVERYTHING, Stage};
use crate::support::bench::{Hosted, load};
use crate::support::docker_cli::{ENDPOINT, docker};
use crate::support::town::run;

/// Keys that are another for every container, network or volume, or that tell how it fares.
const OF_THE_MOMENT: [&str; 24] = [
    "Id",
    "Created",
    "CreatedAt",
    "State",
    "ResolvConfPath",
    "HostnamePath",
    "HostsPath",
    "LogPath",
    "GraphDriver",
    "ProcessLabel",
    "MountLabel",
    "ExecIDs",
    "RestartCount",
    "SandboxID",
    "SandboxKey",
    "Ports",
    "NetworkID",
    "EndpointID",
    "IPPrefixLen",
    "Containers",
    "Bridge",
    "Mountpoint",
    "GlobalIPv6PrefixLen",
    "LinkLocalIPv6PrefixLen",
];

/// Keys of addresses that the engine gives.
const ADDRESSES: [&str; 3] = ["IPAddress", "MacAddress", "Gateway"];

/// Keys of lists whose order says nothing.
const UNORDERED: [&str; 15] = [
    "Binds",
    "Env",
    "CapAdd",
    "CapDrop",
    "GroupAdd",
    "SecurityOpt",
    "Devices",
    "Ulimits",
    "Mounts",
    "ExtraHosts",
    "Aliases",
    "Links",
    "VolumesFrom",
    "LinkLocalIPs",
    "BlkioDeviceReadBps",
];

#[test]
fn moored_makes_what_docker_compose_makes() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/differential");
    let mut files: Vec<PathBuf> = std::fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(files.len() >= 15, "{files:?}");
    let mut findings = Vec::new();
    for file in files {
        let case = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&file).unwrap();
        findings.extend(differences(&case, &text));
    }
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

/// What no container of these tests can be started with: there is no such device or scheduler, or
/// the machine gives no privileges.
const NOT_STARTED: &str = "services:
  privileged: {image: app, command: serve, network_mode: none, privileged: true}
  all: {image: app, command: serve, network_mode: none, gpus: all}
  some:
    image: app
    command: serve
    network_mode: none
    gpus: [{driver: nvidia, device_ids: ['0', '3'], capabilities: [gpu, utility], options: {a: b}}]
  reserved:
    image: app
    command: serve
    network_mode: none
    deploy: {resources: {reservations: {devices: [{capabilities: [tpu], count: 2}]}}}
  real-time: {image: app, command: serve, network_mode: none, cpu_rt_period: 11000, cpu_rt_runtime: 9000}
";

#[test]
fn what_starts_nowhere_here_is_asked_for_as_docker_compose_does() {
    let stage = Stage::new("unstarted");
    let image = stage.sandbox.image("app", &[]);
    let text = NOT_STARTED.replace("image: app", &format!("image: {image}"));
    let manifest = format!("stack: {}\n", stage.stack);
    let files = [("moored.yaml", manifest.as_str()), ("compose.yaml", &text)];
    stage.commit("both", &files);
    compose(&stage, true, &["create"]);
    let theirs = made(&stage);
    assert_eq!(theirs.len(), 5, "{theirs:#?}");
    compose(&stage, true, &["down"]);

    let files = files.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
    let desired = load(&files.into(), '1', &Hosted::default(), &|_| {
        stage.path("state")
    })
    .unwrap();
    let engine = Docker::connect(ENDPOINT).unwrap();
    for (name, service) in &desired.services {
        let mut spec = service.spec.clone();
        let project = ("com.docker.compose.project", stage.stack.clone());
        spec.labels.insert(project.0.to_owned(), project.1);
        let name = format!("{}-{name}-1", stage.stack);
        run(engine.create_container(&name, &spec)).unwrap();
    }
    let mut findings = Vec::new();
    differ(
        "unstarted",
        &json!(theirs),
        &json!(made(&stage)),
        &mut findings,
    );
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

/// Brings a file up by both; returns what is not the same.
fn differences(case: &str, text: &str) -> Vec<String> {
    let stage = Stage::new(case);
    stage.permit(EVERYTHING);
    let image = stage.sandbox.image("app", &[]);
    let manifest = format!(
        "stack: {}\nsoak: 100ms\nvariables: {{TOLD: told}}\nproject_directory: {}\n",
        stage.stack,
        stage.path("state").display()
    );
    let text = text
        .replace("image: app\n", &format!("image: {image}\n"))
        .replace("STACK", &stage.stack);
    let files = [
        ("moored.yaml", manifest.as_str()),
        ("compose.yaml", &text),
        ("page", "hello\n"),
        // Where Docker Compose looks for variables.
        (".env", "TOLD=told\n"),
        (
            "app.env",
            "PLAIN=a b\nQUOTED=\"c\\td\"\nOWN=2\nBUILT=${PLAIN}-e\n",
        ),
        ("app.labels", "org.example.a=b\n"),
    ];
    stage.commit("both", &files);
    made_elsewhere(&stage, &image);
    let mut findings = Vec::new();
    compose(&stage, true, &["up", "--detach"]);
    let theirs = made(&stage);
    // What Docker Compose made needs nothing.
    let plan = stage.moored(&["plan", "--format", "json"]);
    let plan: Value = serde_json::from_str(&plan.out).unwrap_or(json!(plan.err));
    let untouched = |step: &Value| ["adopt", "record"].map(Value::from).contains(&step["verb"]);
    if !plan[0]["steps"]
        .as_array()
        .is_some_and(|all| all.iter().all(untouched))
    {
        findings.push(format!("{case}: would not adopt it as it is: {plan:#}"));
    }
    compose(&stage, true, &["down", "--volumes"]);

    let ran = stage.moored(&["reconcile"]);
    if ran.code != Some(0) {
        findings.push(format!("{case}: {}{}", ran.out, ran.err));
        return findings;
    }
    let ours = made(&stage);
    let names: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
    let none = Value::Null;
    for name in names {
        let (theirs, ours) = (theirs.get(name), ours.get(name));
        let place = format!("{case}: {}", name.replace(&stage.stack, "STACK"));
        differ(
            &place,
            theirs.unwrap_or(&none),
            ours.unwrap_or(&none),
            &mut findings,
        );
    }
    let again = stage.moored(&["plan"]);
    if again.code != Some(0) {
        findings.push(format!(
            "{case}: is not settled: {}{}",
            again.out, again.err
        ));
    }
    findings.extend(handed_over(&stage, case));
    findings
}

/// Services that Docker Compose knows again by the id of another's container, which is in its hash.
const OF_ANOTHER: [&str; 2] = ["namespaces-guest-1", "replicas-own-db"];

/// Has Docker Compose bring up what Moored made; returns what it did not find to be as it wants it.
fn handed_over(stage: &Stage, case: &str) -> Vec<String> {
    let said = compose(stage, true, &["up", "--detach"]);
    let known = |line: &str| {
        let names = OF_ANOTHER.iter().filter_map(|one| one.strip_prefix(case));
        names
            .into_iter()
            .any(|name| line.contains(&format!("{name} ")))
    };
    let touched =
        |line: &&str| (line.contains("Recreate") || line.contains("Created")) && !known(line);
    let touched = said.lines().filter(touched);
    let finding = |line: &str| format!("{case}: docker compose up: {line}");
    touched.map(finding).collect()
}

/// Makes what a file may name as external.
fn made_elsewhere(stage: &Stage, image: &str) {
    let name = format!("{}-outside", stage.stack);
    docker(&["network", "create", &name]);
    docker(&["volume", "create", &name]);
    let options = ["run", "-d", "--init", "--network", &name, "--name", &name];
    docker(&[&options[..], &[image, "sleep", "600"]].concat());
}

/// Notes where two values differ, by path.
pub(super) fn differ(place: &str, theirs: &Value, ours: &Value, findings: &mut Vec<String>) {
    if theirs == ours {
        return;
    }
    if let (Value::Object(theirs), Value::Object(ours)) = (theirs, ours) {
        let keys: BTreeSet<&String> = theirs.keys().chain(ours.keys()).collect();
        for key in keys {
            let side = |side: &Map<String, Value>| side.get(key).cloned().unwrap_or_default();
            differ(
                &format!("{place}.{key}"),
                &side(theirs),
                &side(ours),
                findings,
            );
        }
        return;
    }
    findings.push(format!("{place}:\n  Compose {theirs}\n  Moored  {ours}"));
}

/// Returns everything of a stack, by kind and name, without what can't be the same.
fn made(stage: &Stage) -> BTreeMap<String, Value> {
    let label = format!("label=com.docker.compose.project={}", stage.stack);
    let listed = |command: &[&str]| {
        let ids = docker(&[command, &["-q", "--filter", &label]].concat());
        ids.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    let mut all = BTreeMap::new();
    let mut names = BTreeMap::new();
    for (kind, ids) in [
        ("container", listed(&["ps", "--all", "--no-trunc"])),
        ("network", listed(&["network", "ls", "--no-trunc"])),
        ("volume", listed(&["volume", "ls"])),
    ] {
        for id in ids {
            let shown = docker(&[kind, "inspect", &id]);
            let shown: Value = serde_json::from_str(&shown).unwrap();
            let name = shown[0]["Name"].as_str().unwrap().trim_start_matches('/');
            names.insert(id.clone(), name.to_owned());
            all.insert(format!("{kind} {name}"), shown[0].clone());
        }
    }
    for value in all.values_mut() {
        let id = value["Id"].as_str().unwrap_or_default().to_owned();
        plain("", value, &id, &names);
    }
    all
}

/// Leaves out what can't be the same, and sorts what has no order.
fn plain(key: &str, value: &mut Value, id: &str, names: &BTreeMap<String, String>) {
    match value {
        Value::Object(map) => {
            map.retain(|key, _| {
                let made_by_a_tool =
                    key.starts_with("com.docker.compose.") || key.starts_with("dev.moored.");
                !made_by_a_tool && !OF_THE_MOMENT.contains(&key.as_str())
            });
            for (key, value) in map.iter_mut() {
                plain(key, value, id, names);
            }
            chosen_by_the_engine(map, names);
            map.retain(|_, value| !is_nothing(value));
        }
        Value::Array(list) => {
            for value in list.iter_mut() {
                plain(key, value, id, names);
            }
            list.retain(|one| !is_short_id(one, id));
            if UNORDERED.contains(&key) {
                list.sort_by_key(Value::to_string);
            }
        }
        Value::String(text) => {
            for (id, name) in names {
                *text = text.replace(id, name);
            }
            if is_id(text) || text.contains("/volumes/") {
                "(no name)".clone_into(text);
            }
            // `size=1m,mode=755` in any order.
            if text.contains('=') && text.contains(',') && !text.contains(' ') {
                let mut words: Vec<&str> = text.split(',').collect();
                words.sort_unstable();
                *text = words.join(",");
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Leaves out addresses and names that are the engine's choice.
fn chosen_by_the_engine(map: &mut Map<String, Value>, names: &BTreeMap<String, String>) {
    // Its own, or that of the container whose network it shares.
    let of_any = |value: &Value| names.keys().any(|id| is_short_id(value, id));
    if map.get("Hostname").is_some_and(of_any) {
        map.remove("Hostname");
    }
    // `restart` left open is `no`.
    if map.get("Name") == Some(&json!("no")) && map.contains_key("MaximumRetryCount") {
        map.remove("Name");
    }
    // A place in a network.
    if map.contains_key("IPAMConfig")
        || map.contains_key("Gateway") && map.contains_key("DriverOpts")
    {
        let asked = map
            .get("IPAMConfig")
            .is_some_and(|asked| !is_nothing(asked));
        if !asked {
            map.retain(|key, _| !ADDRESSES.contains(&key.as_str()));
        }
    }
    // What the default bridge shows a second time.
    if map.contains_key("Networks") {
        map.retain(|key, _| !ADDRESSES.contains(&key.as_str()));
    }
    // A pool of addresses.
    let private = |value: &Value| {
        let text = value.as_str().unwrap_or_default();
        text.starts_with("172.") || text.starts_with("192.168.")
    };
    if map.get("Subnet").is_some_and(private) {
        map.clear();
    }
}

fn is_nothing(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.iter().all(is_nothing),
        Value::Object(map) => map.values().all(is_nothing),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

fn is_short_id(value: &Value, id: &str) -> bool {
    let text = value.as_str().unwrap_or_default();
    text.len() == 12 && id.starts_with(text)
}

fn is_id(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}
