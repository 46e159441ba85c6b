//! Takes over what Debian's docker-compose 1.29 runs: it asks the engine for the same things in
//! other words, and names containers otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::adopt::run;
use super::stage::{EVERYTHING, Stage};
use crate::support::docker_cli::docker;

/// Where `scripts/test` puts it.
const PEER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/peer/v1");

/// Whatever 1.29 maps, of what `tests/differential` has.
const ALL: &str = r#"
services:
  web:
    image: IMAGE
    command: [sleep, "600"]
    ports: ["127.0.0.1:PORT:80", "82"]
    expose: ["90"]
    environment: {A: "x=y", EMPTY: ""}
    labels: {org.example.a: b}
    links: ["db:database"]
    networks: {front: {aliases: [www], ipv4_address: 10.233.79.7}, default: }
    volumes:
      - data:/data
      - data:/read:ro
      - /anonymous
      - ./page:/page:ro
      - ./made:/made
      - {type: volume, source: data, target: /long, volume: {nocopy: true}}
      - {type: bind, source: ./page, target: /page-long, read_only: true}
      - {type: tmpfs, target: /memory, tmpfs: {size: 1048576}}
    tmpfs: ["/run:mode=755,size=1m", /scratch]
    healthcheck: {test: ["CMD", "true"], interval: 90s, timeout: 3s, start_period: 5s, retries: 4}
    restart: unless-stopped
    stop_grace_period: 1s
    stop_signal: SIGINT
    hostname: www
    domainname: example.org
    user: "7:8"
    working_dir: /tmp
    tty: true
    stdin_open: true
    init: true
    extra_hosts: ["a.example:10.0.0.8"]
    dns: [10.0.0.2]
    dns_search: [a.example]
    logging: {driver: json-file, options: {max-size: 1m}}
    ulimits: {nofile: {soft: 1000, hard: 2000}, nproc: 3000}
    sysctls: {net.core.somaxconn: "1024"}
    cap_add: [NET_ADMIN]
    cap_drop: [MKNOD]
    security_opt: ["no-new-privileges:true"]
    secrets: [key, {source: key, target: other}]
  db:
    image: IMAGE
    container_name: STACK-own-db
    entrypoint: sleep
    command: "600"
    stop_grace_period: 0s
    mem_limit: 64m
    memswap_limit: 128m
    cpus: 0.5
    cpu_shares: 512
    pids_limit: 100
    shm_size: 32m
    read_only: true
    devices: ["/dev/null:/dev/nothing:rw"]
    ipc: shareable
    volumes: ["data:/data"]
    networks: [default, front]
  guest:
    image: IMAGE
    command: sleep 600
    stop_grace_period: 0s
    network_mode: service:db
    ipc: service:db
    pid: service:db
    volumes_from: [db]
  on-host:
    image: IMAGE
    command: sleep 600
    stop_grace_period: 0s
    network_mode: host
    restart: always
  bridged:
    image: IMAGE
    command: sleep 600
    stop_grace_period: 0s
    network_mode: bridge
    restart: "on-failure:3"
  twice:
    image: IMAGE
    command: sleep 600
    stop_grace_period: 0s
    scale: 2
networks:
  front:
    labels: {a: b}
    ipam: {config: [{subnet: 10.233.79.0/24}]}
volumes: {data: {labels: {a: b}}}
secrets: {key: {file: ./page}}
"#;

/// Names of their own, so that there is nothing to rename.
const NAMED: &str = r#"
services:
  web:
    image: IMAGE
    command: sleep 600
    stop_grace_period: 0s
    container_name: STACK-web
    volumes: ["data:/data"]
    depends_on: [db]
  db:
    image: IMAGE
    command: sleep 600
    stop_grace_period: 0s
    container_name: STACK_db
volumes: {data: {}}
"#;

/// Brings a file up by docker-compose 1.29; `None` where Debian does not have it.
fn running(area: &str, text: &str) -> Option<Stage> {
    if Path::new(PEER).join("not-in-debian").exists() {
        return None;
    }
    let stage = Stage::new(area);
    stage.permit(EVERYTHING);
    let image = stage.sandbox.image("app", &[]);
    let text = text
        .replace("IMAGE", &image)
        .replace("STACK", &stage.stack)
        .replace("PORT", &stage.port().to_string());
    let manifest = format!(
        "stack: {}\nsoak: 100ms\nproject_directory: {}\n",
        stage.stack,
        stage.path("state").display()
    );
    let files = [
        ("moored.yaml", manifest.as_str()),
        ("compose.yaml", &text),
        ("page", "hello\n"),
    ];
    stage.commit("v1", &files);
    let program = format!("{PEER}/docker-compose");
    run(&program, &stage, true, &["up", "--detach"]);
    Some(stage)
}

/// Returns the containers of a stack: id → when it was started.
fn ids(stage: &Stage) -> BTreeMap<String, String> {
    let label = format!("label=com.docker.compose.project={}", stage.stack);
    let listed = docker(&["ps", "--all", "--quiet", "--no-trunc", "--filter", &label]);
    let began = |id: &str| docker(&["inspect", "--format", "{{.State.StartedAt}}", id]);
    listed
        .lines()
        .map(|id| (id.to_owned(), began(id)))
        .collect()
}

fn words<'a>(list: &'a Value, key: &str) -> BTreeSet<&'a str> {
    let all = list.as_array().unwrap().iter();
    all.map(|one| one[key].as_str().unwrap()).collect()
}

#[test]
fn only_names_and_links_of_version_1_differ_and_no_container_is_replaced() {
    let Some(stage) = running("v1", ALL) else {
        return;
    };
    let before = ids(&stage);
    assert_eq!(before.len(), 7);
    let plan = stage.moored(&["plan", "--format", "json"]).exits(75).json();
    assert_eq!(words(&plan[0]["holds"], "hold"), ["not-adopted"].into());
    let steps = &plan[0]["held_back"];
    let verbs = ["rename", "disconnect", "connect", "adopt", "record"];
    assert_eq!(words(steps, "verb"), verbs.into(), "{plan:#}");
    for step in steps.as_array().unwrap() {
        let reasons = step["reasons"].as_array().unwrap().iter();
        let fields: BTreeSet<String> = reasons.map(|one| one["field"].to_string()).collect();
        let expected = match step["verb"].as_str().unwrap() {
            "rename" => ["\"name\""].as_slice(),
            // A link has two more names, and they are other ones.
            "connect" | "disconnect" => {
                assert_eq!(step["subject"], "web");
                &["{\"network\""]
            }
            _ => &[],
        };
        let as_expected = |field: &String| expected.iter().any(|begin| field.starts_with(begin));
        assert!(fields.iter().all(as_expected), "{step:#}");
        assert_eq!(fields.is_empty(), expected.is_empty(), "{step:#}");
    }

    stage.moored(&["adopt"]).exits(0);
    assert_eq!(ids(&stage), before);
    stage.reconcile();
    assert_eq!(ids(&stage), before);
    stage.moored(&["plan"]).exits(0).says(&["nothing to do"]);
}

#[test]
fn what_version_1_runs_under_names_of_its_own_is_adopted_at_once() {
    let Some(stage) = running("v1named", NAMED) else {
        return;
    };
    let before = stage.snapshot();
    let plan = stage.moored(&["plan", "--format", "json"]).exits(2).json();
    let verbs = words(&plan[0]["steps"], "verb");
    assert_eq!(verbs, ["adopt", "record"].into(), "{plan:#}");
    stage.reconcile();
    stage.unchanged(&before);
    stage.moored(&["plan"]).exits(0).says(&["nothing to do"]);
}
