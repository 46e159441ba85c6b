//! Computes the hashes by which Docker Compose knows again what it made (its `hash.go`).
//!
//! They are the labels `com.docker.compose.config-hash`. All take values that
//! `shape` has given their final form: the order of the keys counts.

use sha2::{Digest as _, Sha256};

use super::json;
use crate::yaml::{Entry, Kind, Map, Node};

/// Keys of a service that Compose changes without making a new container.
const NOT_HASHED: [&str; 5] = ["build", "pull_policy", "scale", "depends_on", "profiles"];

/// Returns the hash of a service, in hexadecimal digits.
///
/// The environment has to be resolved, and where Compose names containers (`network_mode`, `ipc`
/// and `pid` of another service, `volumes_from`) the container's id has to stand instead.
pub fn config_hash(service: &Node) -> String {
    let mut service = service.clone();
    if let Kind::Map(keys) = &mut service.kind {
        keys.retain(|entry| !NOT_HASHED.contains(&entry.key.as_str()));
        if let Some(Kind::Map(deploy)) = keys.get_mut("deploy").map(|node| &mut node.kind) {
            deploy.remove("replicas");
        }
    }
    hash(&service)
}

/// Returns the hash of a network, in hexadecimal digits.
pub fn network_hash(network: &Node) -> String {
    hash(network)
}

/// Returns the hash of a volume, in hexadecimal digits; without a driver it is `local`.
pub fn volume_hash(volume: &Node) -> String {
    let mut volume = volume.clone();
    let driver = Node::new(&volume.file, volume.position, Kind::Str("local".to_owned()));
    if let Kind::Map(map) = &mut volume.kind
        && !map.contains_key("driver")
    {
        let entry = Entry {
            key: "driver".to_owned(),
            key_position: driver.position,
            value: driver,
        };
        let mut entries: Vec<Entry> = std::mem::take(map).into_iter().collect();
        let after_name = usize::from(entries.first().is_some_and(|first| first.key == "name"));
        entries.insert(after_name, entry);
        *map = Map::from_unique(entries);
    }
    hash(&volume)
}

fn hash(node: &Node) -> String {
    hex::encode(Sha256::digest(json::compact(node)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::desired::compose::{canonical, shape};
    use crate::yaml::parse;

    fn at(file: &str, path: &[&str]) -> Node {
        let mut tree = parse("c.yaml", file.as_bytes()).unwrap();
        let mut findings = Vec::new();
        canonical::canonical(&mut tree, &mut findings);
        shape::shape(&mut tree, &mut findings);
        assert_eq!(findings, []);
        tree.at(path).unwrap().clone()
    }

    const SERVICES: &str = r#"
services:
  web:
    image: example.org/web:1
    command: sh -c 'echo "<a> & b"'
    build: {context: ., args: {A: "1"}}
    pull_policy: always
    scale: 2
    depends_on: [db]
    environment: {B: "2", A: 1.10, C: "é\n"}
    ports: ["127.0.0.1:8080-8081:80-81"]
    volumes: ["/srv/x:/x:ro", "data:/data"]
    ulimits: {nofile: {soft: 1, hard: 2}}
    deploy: {replicas: 2, resources: {limits: {cpus: "0.1", memory: 64m}}}
    healthcheck: {test: "true", interval: 1m30s}
    networks: {default: null, back: {priority: 2}}
    extra_hosts: ["b:[::1]", "a=1"]
    mem_swappiness: 5
  db:
    image: example.org/db:1
    networks: [default]
"#;

    /// The answers are those of `docker-compose config --hash '*'`, version 2.40.3.
    #[test]
    fn hashes_services_as_compose_does() {
        for (name, expected) in [
            (
                "web",
                "8c20da8874337fd761e276c89ba1c3801408a66543bf836fbcf28e7d26323068",
            ),
            (
                "db",
                "249498da87ebeed696873f8a32bae81804987060751fe3117a77872a139c19cb",
            ),
        ] {
            assert_eq!(config_hash(&at(SERVICES, &["services", name])), expected);
        }
    }

    #[test]
    fn counts_only_what_needs_a_new_container() {
        let hash = |keys: &str| {
            let file = format!("services: {{a: {{image: x, {keys}}}}}");
            config_hash(&at(&file, &["services", "a"]))
        };
        let plain = hash("");
        for keys in ["scale: 3", "build: .", "profiles: [p]", "depends_on: [b]"] {
            assert_eq!(hash(keys), plain, "{keys}");
        }
        assert_eq!(hash("deploy: {replicas: 2}"), hash("deploy: {}"));
        assert_ne!(hash("deploy: {}"), plain);
        assert_ne!(hash("user: u"), plain);
    }

    /// The answers are the labels of what `docker-compose create`, version 2.40.3, made.
    #[test]
    fn hashes_networks_and_volumes_as_compose_does() {
        let file = "
networks:
  default: {name: shapelive_default}
  back:
    name: shapelive_back
    internal: true
    driver_opts: {com.docker.network.bridge.name: shapebr0}
    labels: {q: '1'}
volumes:
  bare: {name: shapelive_bare}
  data: {name: shapelive_data, labels: {x: y}}
";
        for (name, expected) in [
            (
                "default",
                "38cc1b0a9bfcf043e735be4057f464166247d5081877089ecbd008055ac5addc",
            ),
            (
                "back",
                "3fb3b833992d47a671aa85958649911a402d5a8262004c948b149501cca54055",
            ),
        ] {
            assert_eq!(network_hash(&at(file, &["networks", name])), expected);
        }
        for (name, expected) in [
            (
                "bare",
                "c64021ee87205565f56ea3b3c7cc0edd28427a3a1514ecff18952fd692136836",
            ),
            (
                "data",
                "27c0661ff70d27fd04dc2215c0239aa54edf3b83c446fbfcfc363f0039456292",
            ),
        ] {
            assert_eq!(volume_hash(&at(file, &["volumes", name])), expected);
        }
    }
}
