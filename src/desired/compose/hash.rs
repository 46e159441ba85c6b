//! Computes the hashes by which Docker Compose knows again what it made (its `hash.go`).
//!
//! They are the labels `com.docker.compose.config-hash`. All take values that
//! [`super::shape`] has given their final form: the order of the keys counts.

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
