//! Maps the networks and volumes of a project.

use std::collections::BTreeMap;

use super::project::Project;
use super::values::Values;
use crate::desired::Wanted;
use crate::desired::compose::hash;
use crate::engine::model::{Ipam, IpamPool, Network, Volume};
use crate::labels;
use crate::yaml::{Entry, Node};

/// Maps `networks`, by the name that services use.
pub(super) fn networks(
    top: Values<'_>,
    project: &Project<'_>,
) -> BTreeMap<String, Wanted<Network>> {
    let map = |entry: &Entry| {
        let values = Values::of(&entry.value);
        let network = Network {
            name: name(entry, values, project),
            id: String::new(),
            driver: values.text("driver").unwrap_or_else(|| "bridge".to_owned()),
            options: values.pairs("driver_opts"),
            internal: values.flag("internal"),
            attachable: values.flag("attachable"),
            enable_ipv4: values.truth("enable_ipv4"),
            enable_ipv6: values.truth("enable_ipv6"),
            ipam: ipam(values.values("ipam")),
            labels: labels_of(entry, labels::NETWORK, hash::network_hash, project),
        };
        let mut found = project.found.borrow_mut();
        let places = &mut found.network_places;
        places.insert(network.name.clone(), values.places());
        (entry.key.clone(), wanted(network, values))
    };
    top.entries("networks").map(map).collect()
}

/// Maps `volumes`, by the name that services use.
pub(super) fn volumes(top: Values<'_>, project: &Project<'_>) -> BTreeMap<String, Wanted<Volume>> {
    let map = |entry: &Entry| {
        let values = Values::of(&entry.value);
        let volume = Volume {
            name: name(entry, values, project),
            driver: values.text("driver").unwrap_or_else(|| "local".to_owned()),
            options: values.pairs("driver_opts"),
            labels: labels_of(entry, labels::VOLUME, hash::volume_hash, project),
        };
        let mut found = project.found.borrow_mut();
        let places = &mut found.volume_places;
        places.insert(volume.name.clone(), values.places());
        (entry.key.clone(), wanted(volume, values))
    };
    top.entries("volumes").map(map).collect()
}

fn wanted<T>(one: T, values: Values<'_>) -> Wanted<T> {
    if values.flag("external") {
        Wanted::External(one)
    } else {
        Wanted::Own(one)
    }
}

fn name(entry: &Entry, values: Values<'_>, project: &Project<'_>) -> String {
    let own = || format!("{}_{}", project.stack, entry.key);
    values.text("name").unwrap_or_else(own)
}

/// Returns the labels of a network or volume, those of Docker Compose included.
fn labels_of(
    entry: &Entry,
    kind: &str,
    hash: fn(&Node) -> String,
    project: &Project<'_>,
) -> BTreeMap<String, String> {
    let mut all = Values::of(&entry.value).pairs("labels");
    if let Some(name) = all.keys().find(|name| labels::is_reserved(name)) {
        let message = format!("label {name} is reserved for Docker Compose and moored");
        project.refuse_with_hint(&entry.value, message, "take the label out");
    }
    let of_compose = [
        (kind, entry.key.clone()),
        (labels::VERSION, labels::COMPOSE_VERSION.to_owned()),
        (labels::CONFIG_HASH, hash(&entry.value)),
    ];
    all.extend(of_compose.map(|(label, value)| (label.to_owned(), value)));
    all
}

fn ipam(values: Values<'_>) -> Ipam {
    let pool = |pool: Values<'_>| IpamPool {
        subnet: pool.text_or_empty("subnet"),
        ip_range: pool.text_or_empty("ip_range"),
        gateway: pool.text_or_empty("gateway"),
        aux_addresses: pool.pairs("aux_addresses"),
    };
    Ipam {
        driver: values.text_or_empty("driver"),
        options: values.pairs("options"),
        pools: values.maps("config").map(|(_, one)| pool(one)).collect(),
    }
}
