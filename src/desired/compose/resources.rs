//! Reads the top-level `networks` and `volumes` of a Compose file.

use std::collections::BTreeMap;

use super::fields::Fields;
use super::keys;
use crate::desired::{StackName, Wanted};
use crate::engine::model::{Network, Volume};
use crate::labels;
use crate::yaml::{Map, Node};

/// The networks or volumes of a project: by the name that services use, what they are on the
/// engine.
pub(super) type ByKey<T> = BTreeMap<String, Wanted<T>>;

/// What both kinds have in common.
struct Common {
    name: String,
    driver: Option<String>,
    options: BTreeMap<String, String>,
    labels: BTreeMap<String, String>,
    external: bool,
}

/// Reads `networks`; `default` is always there.
pub(super) fn networks(
    node: Option<&Node>,
    stack: &StackName,
    fields: &mut Fields<'_>,
) -> ByKey<Network> {
    let mut networks = ByKey::new();
    for (key, value, map) in entries(node, "networks", fields) {
        if let Some(map) = map {
            fields.keys(
                map,
                &format!("networks.{key}"),
                &keys::NETWORK,
                &keys::NETWORK_LATER,
            );
        }
        let common = common(key, map, stack, labels::NETWORK, fields);
        let internal = map.and_then(|map| map.get("internal"));
        let internal = internal
            .and_then(|node| fields.boolean(node, "internal"))
            .unwrap_or(false);
        if common.external && internal {
            fields.refuse(
                value,
                format!("networks.{key}: an external network can't be internal"),
            );
        }
        networks.insert(key.to_owned(), network(common, internal));
    }
    if !networks.contains_key("default") {
        let common = common("default", None, stack, labels::NETWORK, fields);
        networks.insert("default".to_owned(), network(common, false));
    }
    networks
}

fn network(common: Common, internal: bool) -> Wanted<Network> {
    let external = common.external;
    let network = Network {
        name: common.name,
        id: String::new(),
        driver: common.driver.unwrap_or_else(|| "bridge".to_owned()),
        options: common.options,
        internal,
        labels: common.labels,
        ..Network::default()
    };
    if external {
        Wanted::External(network)
    } else {
        Wanted::Own(network)
    }
}

/// Reads `volumes`.
pub(super) fn volumes(
    node: Option<&Node>,
    stack: &StackName,
    fields: &mut Fields<'_>,
) -> ByKey<Volume> {
    let mut volumes = ByKey::new();
    for (key, value, map) in entries(node, "volumes", fields) {
        if let Some(map) = map {
            fields.keys(map, &format!("volumes.{key}"), &keys::VOLUME, &[]);
        }
        let common = common(key, map, stack, labels::VOLUME, fields);
        if common.external && (common.driver.is_some() || !common.options.is_empty()) {
            let message =
                format!("volumes.{key}: an external volume has no driver of its own here");
            fields.refuse_with_hint(value, message, "take driver and driver_opts out");
        }
        let external = common.external;
        let volume = Volume {
            name: common.name,
            driver: common.driver.unwrap_or_else(|| "local".to_owned()),
            options: common.options,
            labels: common.labels,
        };
        let volume = if external {
            Wanted::External(volume)
        } else {
            Wanted::Own(volume)
        };
        volumes.insert(key.to_owned(), volume);
    }
    volumes
}

fn entries<'n>(
    node: Option<&'n Node>,
    what: &str,
    fields: &mut Fields<'_>,
) -> Vec<(&'n str, &'n Node, Option<&'n Map>)> {
    let Some(map) = node.and_then(|node| fields.map_or_nothing(node, what)) else {
        return Vec::new();
    };
    map.iter()
        .map(|entry| {
            let value = fields.map_or_nothing(&entry.value, &format!("{what}.{}", entry.key));
            (entry.key.as_str(), &entry.value, value)
        })
        .collect()
}

fn common(
    key: &str,
    map: Option<&Map>,
    stack: &StackName,
    label: &str,
    fields: &mut Fields<'_>,
) -> Common {
    let get = |name: &str| map.and_then(|map| map.get(name));
    let external = get("external")
        .and_then(|node| fields.boolean(node, "external"))
        .unwrap_or(false);
    let own = if external {
        key.to_owned()
    } else {
        format!("{stack}_{key}")
    };
    let name = get("name")
        .and_then(|node| fields.string(node, "name"))
        .unwrap_or(own);
    let driver = get("driver").and_then(|node| fields.string(node, "driver"));
    let options = get("driver_opts").and_then(|node| fields.pairs(node, "driver_opts"));
    let mut labels = BTreeMap::from([(label.to_owned(), key.to_owned())]);
    let own = get("labels")
        .map(|node| fields.labels(node))
        .unwrap_or_default();
    labels.extend(own);
    Common {
        name,
        driver: driver.filter(|driver| !driver.is_empty()),
        options: options
            .unwrap_or_default()
            .into_iter()
            .map(|(name, value)| (name, value.unwrap_or_default()))
            .collect(),
        labels,
        external,
    }
}
