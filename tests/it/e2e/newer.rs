//! What only newer engines know is asked of them as Docker Compose asks it: both create containers
//! at an engine that says it is newer than it is, and what they have sent is the same.
//!
//! That a newer engine does what it is asked is not shown here: there is none.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use moored::engine::WriteEngine as _;
use moored::engine::docker::Docker;
use serde_json::{Value, json};

use super::adopt::COMPOSE;
use super::differential::differ;
use super::stage::Stage;
use crate::support::bench::{Hosted, load};
use crate::support::docker_cli::try_docker;
use crate::support::newer_engine::NewerEngine;
use crate::support::town::run;

/// The newest version that Docker Compose 2.40.3 speaks.
const VERSION: &str = "1.51";

/// A service for each key; `IMAGE` is an image.
const SERVICES: &str = "services:
  annotated: {image: IMAGE, network_mode: none, annotations: {org.example.a: b}}
  checked:
    image: IMAGE
    network_mode: none
    healthcheck: {test: [CMD, 'true'], interval: 90s, start_period: 9s, start_interval: 500ms}
  part-of-volume:
    image: IMAGE
    network_mode: none
    volumes: [{type: volume, source: data, target: /data, volume: {subpath: logs, nocopy: true}}]
  flat:
    image: IMAGE
    network_mode: none
    volumes: [{type: bind, source: /srv, target: /srv, bind: {recursive: disabled}}]
  read-only-below:
    image: IMAGE
    network_mode: none
    volumes:
      - {type: bind, source: /srv, target: /srv, read_only: true, bind: {recursive: readonly, propagation: rprivate}}
  writable-below:
    image: IMAGE
    network_mode: none
    volumes: [{type: bind, source: /srv, target: /srv, read_only: true, bind: {recursive: writable}}]
  of-an-image:
    image: IMAGE
    network_mode: none
    volumes: [{type: image, source: IMAGE, target: /image, image: {subpath: bin}}]
  sized: {image: IMAGE, network_mode: none, storage_opt: {size: 1G}}
  weighted:
    image: IMAGE
    network_mode: none
    blkio_config:
      weight: 300
      weight_device: [{path: /dev/vda, weight: 400}]
      device_read_iops: [{path: /dev/vda, rate: 50}]
      device_write_bps: [{path: /dev/vda, rate: 2mb}]
  placed:
    image: IMAGE
    networks:
      default: {interface_name: lan0, mac_address: '02:42:0a:e9:4e:11', gw_priority: 7, aliases: [www]}
volumes:
  data: {}
";

#[test]
fn a_newer_engine_is_asked_for_what_docker_compose_asks_it_for() {
    let stage = Stage::new("newer");
    let image = stage.sandbox.image("app", &[]);
    let text = SERVICES.replace("IMAGE", &image);
    let manifest = format!("stack: {}\n", stage.stack);
    let files = [("moored.yaml", manifest.as_str()), ("compose.yaml", &text)];
    stage.commit("newer", &files);
    let engine = NewerEngine::before("/var/run/docker.sock", VERSION);

    let files = files.map(|(path, text)| (path.to_owned(), text.as_bytes().to_vec()));
    let directory = |_: &str| stage.path("state");
    let desired = load(&files.into(), '1', &Hosted::default(), &directory).unwrap();
    // One after the other: the real engine refuses some of it.
    let mut said = String::new();
    for name in desired.services.keys() {
        said += &create_by_compose(&stage, &engine, name.as_str());
    }
    let theirs = engine.asked();
    for container in theirs.keys() {
        // Not there if the real engine refused it.
        drop(try_docker(&["rm", "--force", container]));
    }

    let client = Docker::connect(&engine.endpoint()).unwrap();
    for (name, service) in &desired.services {
        let name = format!("{}-{name}-1", stage.stack);
        drop(run(client.create_container(&name, &service.spec)));
    }
    let ours = engine.asked();

    assert_eq!(theirs.len(), desired.services.len(), "{said}");
    let mut findings = Vec::new();
    differ("newer", &bare(&theirs), &bare(&ours), &mut findings);
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

/// Has Docker Compose create the container of a service, or fail to; returns what it said.
fn create_by_compose(stage: &Stage, engine: &NewerEngine, service: &str) -> String {
    let output = Command::new(COMPOSE)
        .args(["--project-name", &stage.stack, "--file"])
        .arg(stage.path("state/compose.yaml"))
        .args(["create", service])
        .env("DOCKER_HOST", engine.endpoint())
        .current_dir(stage.path("."))
        .stdin(Stdio::null())
        .output();
    String::from_utf8_lossy(&output.unwrap().stderr).into_owned()
}

/// Returns what was asked for, without what is the tools' own.
fn bare(asked: &BTreeMap<String, Value>) -> Value {
    let mut asked = json!(asked);
    leave_out(&mut asked);
    asked
}

/// Leaves out the tools' own labels, and what asks for what an engine does anyway: one tool says it,
/// the other does not.
fn leave_out(value: &mut Value) {
    match value {
        Value::Object(map) => {
            let own = ["com.docker.compose.", "dev.moored."];
            map.retain(|key, _| !own.iter().any(|prefix| key.starts_with(prefix)));
            map.values_mut().for_each(leave_out);
            let nothing = [
                json!(0),
                json!(false),
                json!(null),
                json!(""),
                json!("no"),
                json!([]),
                json!({}),
            ];
            map.retain(|_, value| !nothing.contains(value));
            // No terminal has a size.
            map.remove("ConsoleSize");
        }
        Value::Array(list) => {
            list.iter_mut().for_each(leave_out);
            list.sort_by_key(Value::to_string);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}
