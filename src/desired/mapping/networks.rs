//! Maps where a container is in networks, and what it shares with others.

use std::collections::{BTreeMap, BTreeSet};

use super::project::Project;
use super::replicas;
use super::values::Values;
use crate::desired::{ServiceName, default_container_name};
use crate::engine::model::{ContainerSpec, Endpoint, Namespaces, Port, joined, joining};
use crate::yaml::Node;

/// Where a container is.
pub(super) struct Joined {
    /// Its networks by name on the engine.
    pub(super) endpoints: BTreeMap<String, Endpoint>,
    /// The one that it joins first, or a mode without networks.
    pub(super) mode: String,
    /// Links outside of networks that the model declares.
    pub(super) links: BTreeSet<String>,
}

/// Maps `networks`, `network_mode`, `links` and `mac_address`.
pub(super) fn map(
    name: &ServiceName,
    container: &str,
    values: Values<'_>,
    top: Values<'_>,
    project: &Project<'_>,
) -> Joined {
    let links = links(values, top, project, 1);
    if let Some(mode) = values.text("network_mode") {
        if let Some(at) = values.get("mac_address") {
            let message = "mac_address can't stand beside network_mode";
            project.refuse_with_hint(at, message, "write it under a network of networks:");
        }
        let mode = shared(&mode, top, project).unwrap_or(mode);
        return by_mode(mode, links);
    }
    let mut endpoints = BTreeMap::new();
    let mut order = Vec::new();
    for entry in values.entries("networks") {
        // The model declares what services use.
        let Some(network) = project.network(&entry.key) else {
            continue;
        };
        let own = Values::of(&entry.value);
        let mut endpoint = endpoint(own);
        endpoint
            .aliases
            .extend([container.to_owned(), name.to_string()]);
        endpoint.links.clone_from(&links);
        endpoints.insert(network.clone(), endpoint);
        order.push((-own.integer("priority"), &entry.key, network));
    }
    order.sort();
    let Some((.., first)) = order.first() else {
        return by_mode("none".to_owned(), links);
    };
    if let (Some(mac), Some(endpoint)) = (values.text("mac_address"), endpoints.get_mut(*first)) {
        if !endpoint.mac_address.is_empty() && endpoint.mac_address != mac {
            let message = "mac_address is another one than that of the service's first network";
            if let Some(at) = values.get("mac_address") {
                project.refuse_with_hint(at, message, "leave one of them out");
            }
        }
        endpoint.mac_address = mac;
    }
    let mode = (*first).clone();
    Joined {
        endpoints,
        mode,
        links: BTreeSet::new(),
    }
}

/// Returns where a container is that names a mode: one of the engine's own, another container, or a
/// network by its name on the engine, where it is known by no name of its own.
fn by_mode(mode: String, links: BTreeSet<String>) -> Joined {
    let own = ["bridge", "default", "host", "none"].contains(&mode.as_str());
    let network = (!own && joined(&mode).is_none()).then(|| mode.clone());
    let endpoint = |network| (network, Endpoint::default());
    Joined {
        endpoints: network.into_iter().map(endpoint).collect(),
        mode,
        links,
    }
}

fn endpoint(own: Values<'_>) -> Endpoint {
    let set = |key: &str| own.texts(key).into_iter().collect::<BTreeSet<String>>();
    Endpoint {
        aliases: set("aliases"),
        links: BTreeSet::new(),
        ipv4_address: own.text_or_empty("ipv4_address"),
        ipv6_address: own.text_or_empty("ipv6_address"),
        link_local_ips: set("link_local_ips"),
        mac_address: own.text_or_empty("mac_address"),
        driver_opts: own.pairs("driver_opts"),
        interface_name: own.text_or_empty("interface_name"),
        gw_priority: own.integer("gw_priority"),
    }
}

/// Maps links to services and to containers of elsewhere, for the container of this number.
///
/// All containers of a service are linked, each under three names. Two of them have the number of
/// the container that links, whatever that of the other one is: `getLinks` of Docker Compose.
fn links(
    values: Values<'_>,
    top: Values<'_>,
    project: &Project<'_>,
    number: u32,
) -> BTreeSet<String> {
    let mut links = BTreeSet::new();
    for link in values.texts("links") {
        let (service, alias) = link.split_once(':').unwrap_or((&link, &link));
        for container in containers_of(service, top, project) {
            for name in [
                alias.to_owned(),
                format!("{service}-{number}"),
                format!("{}-{service}-{number}", project.stack),
            ] {
                links.insert(format!("{container}:{name}"));
            }
        }
    }
    for link in values.texts("external_links") {
        let (container, alias) = link.split_once(':').unwrap_or((&link, &link));
        links.insert(format!("{container}:{alias}"));
    }
    links
}

/// Puts the links of a further container in the place of those of the first.
pub(super) fn link_again(
    spec: &mut ContainerSpec,
    values: Values<'_>,
    top: Values<'_>,
    project: &Project<'_>,
    number: u32,
) {
    let links = links(values, top, project, number);
    let endpoints = spec
        .networks
        .values_mut()
        .map(|endpoint| &mut endpoint.links);
    for linked in endpoints.chain([&mut spec.links]) {
        if !linked.is_empty() {
            linked.clone_from(&links);
        }
    }
}

/// Returns the names of all containers of a service.
fn containers_of(service: &str, top: Values<'_>, project: &Project<'_>) -> Vec<String> {
    let count = replicas::wanted(top.values("services").values(service));
    if count == Some(0) {
        return Vec::new();
    }
    let others = ServiceName::try_from(service.to_owned()).into_iter();
    let others = others.flat_map(|name| {
        let others = (2..=count.unwrap_or(1)).map(move |number| name.replica(number));
        others.map(|name| default_container_name(project.stack, &name))
    });
    let first = container_of(service, top, project);
    std::iter::once(first).chain(others).collect()
}

/// Returns the name of a service's container, before it is known whether the service is right.
fn container_of(service: &str, top: Values<'_>, project: &Project<'_>) -> String {
    let given = top
        .values("services")
        .values(service)
        .text("container_name");
    given.unwrap_or_else(|| match ServiceName::try_from(service.to_owned()) {
        Ok(name) => default_container_name(project.stack, &name),
        Err(_) => service.to_owned(),
    })
}

/// Returns a mode that shares what a service has as one that shares what its container has.
fn shared(mode: &str, top: Values<'_>, project: &Project<'_>) -> Option<String> {
    let service = mode.strip_prefix("service:")?;
    Some(joining(&container_of(service, top, project)))
}

/// Maps the namespaces but for that of the network.
pub(super) fn namespaces(values: Values<'_>, top: Values<'_>, project: &Project<'_>) -> Namespaces {
    let mode = |key: &str| {
        let mode = values.text_or_empty(key);
        shared(&mode, top, project).unwrap_or(mode)
    };
    Namespaces {
        ipc: mode("ipc"),
        pid: mode("pid"),
        uts: mode("uts"),
        user: mode("userns_mode"),
        cgroup: mode("cgroup"),
    }
}

/// Maps `volumes_from` to containers.
pub(super) fn volumes_from(
    values: Values<'_>,
    top: Values<'_>,
    project: &Project<'_>,
) -> BTreeSet<String> {
    let container = |from: String| match joined(&from) {
        Some(container) => container.to_owned(),
        None => match from.split_once(':') {
            Some((service, mode)) => format!("{}:{mode}", container_of(service, top, project)),
            None => container_of(&from, top, project),
        },
    };
    let from = values.texts("volumes_from").into_iter();
    from.map(container).collect()
}

/// Maps `extra_hosts`, which the model has as `NAME=ADDRESS`.
pub(super) fn extra_hosts(values: Values<'_>) -> Vec<(String, String)> {
    let split = |line: &String| {
        let (name, address) = line.split_once(['=', ':'])?;
        Some((name.to_owned(), address.to_owned()))
    };
    values
        .texts("extra_hosts")
        .iter()
        .filter_map(split)
        .collect()
}

/// Maps published ports.
pub(super) fn ports(values: Values<'_>, project: &Project<'_>) -> BTreeSet<Port> {
    let port = |(at, port): (&Node, Values<'_>)| {
        let number = port.integer("target");
        let Ok(target) = u16::try_from(number) else {
            let message = format!("{number} is not a port");
            project.refuse_with_hint(at, message, "write a port from 0 to 65535");
            return None;
        };
        Some(Port {
            target,
            protocol: port.text("protocol").unwrap_or_else(|| "tcp".to_owned()),
            host_ip: port.text_or_empty("host_ip"),
            published: port.text_or_empty("published"),
        })
    };
    values.maps("ports").filter_map(port).collect()
}

/// Maps exposed ports, as `80/tcp`.
///
/// One without a number, as of a variable that is not set, exposes nothing, and an engine that is
/// asked for it shows a list of containers that can't be read (`"Type": "0"`).
pub(super) fn expose(values: Values<'_>) -> BTreeSet<String> {
    let with_protocol = |port: String| {
        if port.contains('/') {
            port
        } else {
            format!("{port}/tcp")
        }
    };
    let ports = values.texts("expose").into_iter();
    let numbered = |port: &String| !port.is_empty() && !port.starts_with('/');
    ports.filter(numbered).map(with_protocol).collect()
}
