//! Reads one service of the merged Compose tree into what its container is made from.

use std::collections::{BTreeMap, BTreeSet};

use super::environment::Environment;
use super::fields::Fields;
use super::keys;
use super::mounts;
use super::project::Project;
use super::short;
use crate::desired::{Condition, Dependency, Pull, Service, ServiceName, default_container_name};
use crate::diagnostic::suggestion;
use crate::engine::model::{ContainerSpec, Endpoint, Healthcheck, Port, Restart};
use crate::engine::reference::Reference;
use crate::yaml::{Kind, Map, Node};

/// Reads a service; what is wrong goes to `fields`.
pub(super) fn read(
    name: &ServiceName,
    node: &Node,
    project: &Project<'_>,
    fields: &mut Fields<'_>,
) -> Option<Service> {
    let map = fields.map(node, &format!("services.{name}"))?;
    fields.keys(
        map,
        &format!("services.{name}"),
        &keys::SERVICE,
        &keys::SERVICE_LATER,
    );
    if let Some(node) = map.get("pull_policy") {
        pull_policy(node, fields);
    }
    let container_name = map
        .get("container_name")
        .and_then(|node| container_name(node, fields));
    let Environment { env, committed } = Environment::read(name, map, project, fields);
    let (mounts, mounted_files) = match map.get("volumes") {
        Some(node) => mounts::read(node, project, fields),
        None => (BTreeMap::new(), BTreeSet::new()),
    };
    let own_name = container_name
        .clone()
        .unwrap_or_else(|| default_container_name(project.stack, name));
    let networks = networks(name, &own_name, map, project, fields);
    let network_mode = first_network(&networks, project);
    let ports = map
        .get("ports")
        .map(|node| ports(node, fields))
        .unwrap_or_default();
    let spec = ContainerSpec {
        image: image(name, node, map, project, fields)?,
        command: map
            .get("command")
            .and_then(|node| command(node, "command", fields)),
        entrypoint: map
            .get("entrypoint")
            .and_then(|node| command(node, "entrypoint", fields)),
        env,
        labels: map
            .get("labels")
            .map(|node| fields.labels(node))
            .unwrap_or_default(),
        user: string(map, "user", fields),
        working_dir: string(map, "working_dir", fields),
        init: map
            .get("init")
            .and_then(|node| fields.boolean(node, "init")),
        stop_signal: string(map, "stop_signal", fields),
        stop_timeout: map
            .get("stop_grace_period")
            .and_then(|node| stop_timeout(node, fields)),
        healthcheck: map
            .get("healthcheck")
            .and_then(|node| healthcheck(node, fields)),
        expose: map
            .get("expose")
            .map(|node| expose(node, fields))
            .unwrap_or_default(),
        ports,
        mounts,
        networks,
        network_mode,
        restart: map
            .get("restart")
            .and_then(|node| restart(node, fields))
            .unwrap_or_default(),
        ..ContainerSpec::default()
    };
    Some(Service {
        spec,
        committed_env: committed,
        container_name,
        depends_on: map
            .get("depends_on")
            .map(|node| depends_on(node, fields))
            .unwrap_or_default(),
        on_file_change: project.manifest.on_file_change(name),
        strategy: project.manifest.strategy(name),
        mounted_files,
        pull: Pull::Missing,
        post_start: Vec::new(),
        pre_stop: Vec::new(),
    })
}

/// Refuses a pull policy that this version can't honour.
fn pull_policy(node: &Node, fields: &mut Fields<'_>) {
    let Some(policy) = fields.string(node, "pull_policy") else {
        return;
    };
    if policy != "missing" && policy != "if_not_present" {
        let policy = policy.escape_default();
        let message =
            format!("pull_policy \"{policy}\" is not supported by this version of moored");
        let hint = "take it out: an image is pulled when it is not on the host";
        fields.refuse_with_hint(node, message, hint);
    }
}

fn string(map: &Map, key: &str, fields: &mut Fields<'_>) -> Option<String> {
    map.get(key).and_then(|node| fields.string(node, key))
}

/// Reads a command; nothing at all leaves it to the image.
fn command(node: &Node, what: &str, fields: &mut Fields<'_>) -> Option<Vec<String>> {
    if node.is_null() {
        return None;
    }
    fields.command(node, what)
}

fn image(
    name: &ServiceName,
    node: &Node,
    map: &Map,
    project: &Project<'_>,
    fields: &mut Fields<'_>,
) -> Option<String> {
    if let Some(build) = map.get("build") {
        project.warn(
            build,
            "build is left out: moored runs images, and builds none",
        );
    }
    let written = map
        .get("image")
        .and_then(|node| Some((node, fields.string(node, "image")?)));
    let promoted = project.manifest.images.get(name);
    let (at, image) = match (promoted, &written) {
        (Some(image), _) => (
            project.manifest_place(&["images", name.as_str()]),
            image.clone(),
        ),
        (None, Some((at, image))) => (Some(*at), image.clone()),
        (None, None) => {
            let message = format!("services.{name} has no image");
            let hint = format!("write image: here, or images: {{{name}: …}} in moored.yaml");
            fields.refuse_with_hint(node, message, hint);
            return None;
        }
    };
    if let Err(why) = Reference::parse(&image) {
        let message = format!("\"{}\" is not an image: {why}", image.escape_default());
        fields.refuse(at.unwrap_or(node), message);
        return None;
    }
    Some(image)
}

fn container_name(node: &Node, fields: &mut Fields<'_>) -> Option<String> {
    let name = fields.string(node, "container_name")?;
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    // The engine's rule: [a-zA-Z0-9][a-zA-Z0-9_.-]+
    if name.len() >= 2
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(inner)
    {
        return Some(name);
    }
    let message = format!(
        "\"{}\" is not a container name: letters, digits, _, . and -, at least two, beginning \
         with a letter or digit",
        name.escape_default()
    );
    fields.refuse(node, message);
    None
}

/// Reads the time between stop signal and kill, rounded up to the engine's seconds.
fn stop_timeout(node: &Node, fields: &mut Fields<'_>) -> Option<i64> {
    const SECOND: i64 = 1_000_000_000;
    let nanoseconds = fields.duration(node, "stop_grace_period")?;
    Some(nanoseconds / SECOND + i64::from(nanoseconds % SECOND > 0))
}

fn restart(node: &Node, fields: &mut Fields<'_>) -> Option<Restart> {
    let text = fields.string(node, "restart")?;
    let restart = match text.split_once(':') {
        None => match text.as_str() {
            "" | "no" => Some(Restart::No),
            "always" => Some(Restart::Always),
            "unless-stopped" => Some(Restart::UnlessStopped),
            "on-failure" => Some(Restart::OnFailure(0)),
            _ => None,
        },
        Some(("on-failure", times)) => times.parse().ok().map(Restart::OnFailure),
        Some(_) => None,
    };
    if restart.is_none() {
        let message = format!("\"{}\" is not a restart policy", text.escape_default());
        let hint = "no, always, unless-stopped, on-failure or on-failure:3";
        fields.refuse_with_hint(node, message, hint);
    }
    restart
}

fn healthcheck(node: &Node, fields: &mut Fields<'_>) -> Option<Healthcheck> {
    let map = fields.map(node, "healthcheck")?;
    fields.keys(
        map,
        "healthcheck",
        &keys::HEALTHCHECK,
        &keys::HEALTHCHECK_LATER,
    );
    let disabled = map
        .get("disable")
        .and_then(|node| fields.boolean(node, "healthcheck.disable"));
    if disabled == Some(true) {
        return Some(Healthcheck {
            test: vec!["NONE".to_owned()],
            ..Healthcheck::default()
        });
    }
    let mut time = |key: &str| {
        let duration = map.get(key).and_then(|node| fields.duration(node, key));
        duration.unwrap_or_default()
    };
    let (interval, timeout, start_period) =
        (time("interval"), time("timeout"), time("start_period"));
    let retries = map
        .get("retries")
        .and_then(|node| fields.integer(node, "healthcheck.retries"));
    if let (Some(node), Some(..0)) = (map.get("retries"), retries) {
        fields.refuse(node, "healthcheck.retries can't be negative");
    }
    let test = map
        .get("test")
        .and_then(|node| health_test(node, fields))
        .unwrap_or_default();
    Some(Healthcheck {
        test,
        interval,
        timeout,
        start_period,
        retries: retries.unwrap_or(0),
        ..Healthcheck::default()
    })
}

fn health_test(node: &Node, fields: &mut Fields<'_>) -> Option<Vec<String>> {
    if let Kind::Str(command) = &node.kind {
        return Some(vec!["CMD-SHELL".to_owned(), command.clone()]);
    }
    let words = fields.texts(node, "healthcheck.test")?;
    if let Some("NONE" | "CMD" | "CMD-SHELL") = words.first().map(String::as_str) {
        return Some(words);
    }
    let message = "healthcheck.test must begin with NONE, CMD or CMD-SHELL";
    fields.refuse_with_hint(
        node,
        message,
        "for example [CMD, curl, -f, http://localhost/health]",
    );
    None
}

fn expose(node: &Node, fields: &mut Fields<'_>) -> BTreeSet<String> {
    let ports = fields.texts(node, "expose").unwrap_or_default();
    let with_protocol = |port: String| {
        if port.contains('/') {
            port
        } else {
            format!("{port}/tcp")
        }
    };
    ports.into_iter().map(with_protocol).collect()
}

fn ports(node: &Node, fields: &mut Fields<'_>) -> BTreeSet<Port> {
    let Some(items) = node.as_seq() else {
        fields.refuse(
            node,
            format!("ports must be a list, not {}", node.kind_name()),
        );
        return BTreeSet::new();
    };
    let mut ports = BTreeSet::new();
    for item in items {
        if item.as_map().is_some() {
            ports.extend(long_port(item, fields));
            continue;
        }
        let Some(text) = fields.text(item, "a port") else {
            continue;
        };
        match short::parse_ports(&text) {
            Ok(parsed) => ports.extend(parsed),
            Err(why) => fields.refuse(item, format!("ports: {why}")),
        }
    }
    ports
}

fn long_port(node: &Node, fields: &mut Fields<'_>) -> Option<Port> {
    let map = fields.map(node, "a port")?;
    fields.keys(map, "ports", &keys::PORT, &[]);
    let Some(target) = map.get("target") else {
        fields.refuse_with_hint(
            node,
            "a port needs a target",
            "for example {target: 80, published: 8080}",
        );
        return None;
    };
    let number = fields.integer(target, "target")?;
    let Ok(number) = u16::try_from(number) else {
        fields.refuse(target, format!("{number} is not a port"));
        return None;
    };
    let text =
        |key: &str, fields: &mut Fields<'_>| map.get(key).and_then(|node| fields.text(node, key));
    Some(Port {
        target: number,
        protocol: text("protocol", fields)
            .unwrap_or_else(|| "tcp".to_owned())
            .to_lowercase(),
        host_ip: text("host_ip", fields).unwrap_or_default(),
        published: text("published", fields).unwrap_or_default(),
    })
}

/// Reads the networks of a service with the names that it answers to there: its container's
/// name, its own, and further aliases.
fn networks(
    name: &ServiceName,
    container: &str,
    map: &Map,
    project: &Project<'_>,
    fields: &mut Fields<'_>,
) -> BTreeMap<String, Endpoint> {
    let answers = |more: Vec<String>| {
        let mut aliases: BTreeSet<String> = more.into_iter().collect();
        aliases.extend([container.to_owned(), name.to_string()]);
        Endpoint {
            aliases,
            ..Endpoint::default()
        }
    };
    let wanted = map
        .get("networks")
        .and_then(|node| fields.map_or_nothing(node, "networks"));
    let Some(wanted) = wanted.filter(|map| !map.is_empty()) else {
        let default = project.network("default").into_iter();
        return default
            .map(|network| (network, answers(Vec::new())))
            .collect();
    };
    let mut networks = BTreeMap::new();
    for entry in wanted {
        let Some(network) = project.network(&entry.key) else {
            let message = format!("network \"{}\" is not declared under networks:", entry.key);
            let hint = suggestion(&entry.key, project.networks.keys().map(String::as_str))
                .unwrap_or_else(|| {
                    format!("add networks: {{{}: }} to the Compose file", entry.key)
                });
            fields.refuse_with_hint(&entry.value, message, hint);
            continue;
        };
        let endpoint = fields.map_or_nothing(&entry.value, "a network");
        let aliases = endpoint.and_then(|map| {
            let what = format!("networks.{}", entry.key);
            fields.keys(map, &what, &keys::ENDPOINT, &keys::ENDPOINT_LATER);
            map.get("aliases")
                .and_then(|node| fields.texts(node, "aliases"))
        });
        networks.insert(network, answers(aliases.unwrap_or_default()));
    }
    networks
}

/// Returns the network that a container joins first: Compose takes the first by name of use.
fn first_network(networks: &BTreeMap<String, Endpoint>, project: &Project<'_>) -> String {
    let by_use = project
        .networks
        .keys()
        .filter_map(|key| project.network(key));
    let mut joined = by_use.filter(|name| networks.contains_key(name));
    joined.next().unwrap_or_else(|| "none".to_owned())
}

fn depends_on(node: &Node, fields: &mut Fields<'_>) -> BTreeMap<ServiceName, Dependency> {
    let mut dependencies = BTreeMap::new();
    let Some(map) = fields.map(node, "depends_on") else {
        return dependencies;
    };
    for entry in map {
        let name = match ServiceName::try_from(entry.key.clone()) {
            Ok(name) => name,
            Err(why) => {
                fields.refuse(&entry.value, why);
                continue;
            }
        };
        if let Some(dependency) = dependency(&entry.value, fields) {
            dependencies.insert(name, dependency);
        }
    }
    dependencies
}

fn dependency(node: &Node, fields: &mut Fields<'_>) -> Option<Dependency> {
    let plain = Dependency {
        condition: Condition::Started,
        restart: false,
        required: true,
    };
    if matches!(node.kind, Kind::Null) {
        return Some(plain);
    }
    let map = fields.map(node, "depends_on")?;
    fields.keys(map, "depends_on", &keys::DEPENDENCY, &[]);
    let condition = match map.get("condition") {
        None => Condition::Started,
        Some(node) => match fields.string(node, "condition")?.as_str() {
            "service_started" => Condition::Started,
            "service_healthy" => Condition::Healthy,
            "service_completed_successfully" => Condition::Completed,
            other => {
                let message = format!("\"{}\" is not a condition", other.escape_default());
                let hint = "service_started, service_healthy or service_completed_successfully";
                fields.refuse_with_hint(node, message, hint);
                return None;
            }
        },
    };
    let mut flag = |key: &str| map.get(key).and_then(|node| fields.boolean(node, key));
    let restart = flag("restart").unwrap_or(false);
    Some(Dependency {
        condition,
        restart,
        required: flag("required").unwrap_or(true),
    })
}
