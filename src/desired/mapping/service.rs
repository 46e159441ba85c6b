//! Maps one service to what its container is made from.

use std::collections::{BTreeMap, BTreeSet};

use super::mounts::Mounts;
use super::process::Environment;
use super::project::Project;
use super::values::Values;
use super::{devices, limits, mounts, networks, process};
use crate::desired::compose::hash;
use crate::desired::{Condition, Dependency, Places, Service, ServiceName, default_container_name};
use crate::engine::model::{ContainerSpec, Logging};
use crate::engine::reference::Reference;
use crate::yaml::Node;

/// Keys that say something which Moored can't do: refused, never ignored.
const REFUSED: [(&str, &str); 5] = [
    (
        "provider",
        "a service that another program provides can't be run; take it out",
    ),
    (
        "models",
        "models need a model runner, which moored does not drive; take the key out",
    ),
    (
        "use_api_socket",
        "mount the engine's socket by volumes: if the service is to have it",
    ),
    (
        "credential_spec",
        "only engines on Windows have credential specs; take the key out",
    ),
    (
        "pre_start",
        "write it as a migration or a job of moored.yaml",
    ),
];

/// Maps a service; what is wrong is noted in `project`, and nothing comes of it.
pub(super) fn map(
    name: &ServiceName,
    node: &Node,
    top: Values<'_>,
    project: &Project<'_>,
) -> Option<Service> {
    let values = Values::of(node);
    for (key, hint) in REFUSED {
        if let Some(at) = values.get(key) {
            let message = format!("services.{name}.{key} is not supported");
            project.refuse_with_hint(at, message, hint);
        }
    }
    let container_name = container_name(values, project);
    let Environment { env, committed } = process::environment(name, values, project);
    let Mounts {
        by_target: mounts,
        files,
        copied,
    } = mounts::map(values, top, project);
    let own_name = container_name.clone();
    let own_name = own_name.unwrap_or_else(|| default_container_name(project.stack, name));
    let joined = networks::map(name, &own_name, values, top, project);
    let limits = limits::map(values);
    let spec = ContainerSpec {
        image: image(name, node, values, project)?,
        command: values.list("command"),
        entrypoint: values.list("entrypoint"),
        env,
        labels: labels(values, project),
        annotations: values.pairs("annotations"),
        mounts,
        copied,
        networks: joined.endpoints,
        network_mode: joined.mode,
        extra_hosts: networks::extra_hosts(values),
        ports: networks::ports(values, project),
        links: joined.links,
        expose: networks::expose(values),
        namespaces: networks::namespaces(values, top, project),
        volumes_from: networks::volumes_from(values, top, project),
        restart: process::restart(values, project),
        healthcheck: process::healthcheck(values),
        security_opt: process::security_opt(values, project),
        resources: limits.resources,
        limits: limits.limits,
        ulimits: limits::ulimits(values),
        devices: devices::devices(values),
        device_requests: devices::requests(values),
        logging: logging(values),
        ..plain(values)
    };
    Some(Service {
        spec,
        committed_env: committed,
        container_name,
        depends_on: depends_on(values, project),
        on_file_change: project.manifest.on_file_change(name),
        strategy: project.manifest.strategy(name),
        mounted_files: files,
        config_hash: hash::config_hash(node),
        pull: process::pull(values, project),
        post_start: process::hooks(values, "post_start"),
        pre_stop: process::hooks(values, "pre_stop"),
        places: places(name, values, project),
    })
}

/// Returns where the value of each key stands; that of an image that the manifest names, there.
fn places(name: &ServiceName, values: Values<'_>, project: &Project<'_>) -> Places {
    let mut places = values.places();
    let promoted = project.manifest_place(&["images", name.as_str()]);
    places.extend(promoted.map(|at| ("image".to_owned(), at.location())));
    places
}

/// Maps what is written to the container as it stands in the model.
fn plain(values: Values<'_>) -> ContainerSpec {
    let set = |key: &str| values.texts(key).into_iter().collect::<BTreeSet<String>>();
    let capabilities = |key: &str| {
        let names = values.texts(key).into_iter();
        names
            .map(|name| name.to_uppercase())
            .map(|name| {
                name.strip_prefix("CAP_")
                    .map_or(name.clone(), str::to_owned)
            })
            .collect()
    };
    let seconds = || values.nanoseconds("stop_grace_period") / 1_000_000_000;
    ContainerSpec {
        user: values.text("user"),
        working_dir: values.text("working_dir"),
        init: values.truth("init"),
        stop_signal: values.text("stop_signal"),
        stop_timeout: values.get("stop_grace_period").map(|_| seconds()),
        privileged: values.flag("privileged"),
        read_only: values.flag("read_only"),
        cap_add: capabilities("cap_add"),
        cap_drop: capabilities("cap_drop"),
        hostname: values.text("hostname"),
        domainname: values.text("domainname"),
        tty: values.flag("tty"),
        stdin_open: values.flag("stdin_open"),
        platform: values.text("platform"),
        runtime: values.text("runtime"),
        isolation: values.text("isolation"),
        dns: values.texts("dns"),
        dns_options: values.texts("dns_opt"),
        dns_search: values.texts("dns_search"),
        group_add: set("group_add"),
        sysctls: values.pairs("sysctls"),
        device_cgroup_rules: values.texts("device_cgroup_rules"),
        storage_opt: values.pairs("storage_opt"),
        ..ContainerSpec::default()
    }
}

fn image(
    name: &ServiceName,
    node: &Node,
    values: Values<'_>,
    project: &Project<'_>,
) -> Option<String> {
    let promoted = project.manifest.images.get(name);
    let (at, image) = match (promoted, values.get("image")) {
        (Some(image), _) => (
            project.manifest_place(&["images", name.as_str()]),
            image.clone(),
        ),
        (None, Some(at)) => (Some(at), at.go_string().unwrap_or_default()),
        (None, None) => {
            let message = format!("services.{name} has no image");
            let hint = format!(
                "write image: here, or images: {{{name}: …}} in moored.yaml; moored runs images, \
                 and builds none"
            );
            project.refuse_with_hint(node, message, hint);
            return None;
        }
    };
    if let Some(build) = values.get("build") {
        project.warn(
            build,
            "build is left out: moored runs images, and builds none",
        );
    }
    if let Err(why) = Reference::parse(&image) {
        let message = format!("\"{}\" is not an image: {why}", image.escape_default());
        project.refuse_with_hint(
            at.unwrap_or(node),
            message,
            "write NAME:TAG, such as nginx:1.27",
        );
        return None;
    }
    Some(image)
}

fn container_name(values: Values<'_>, project: &Project<'_>) -> Option<String> {
    let name = values.text("container_name")?;
    let inner = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    // The engine's rule: [a-zA-Z0-9][a-zA-Z0-9_.-]+
    let is_name = name.len() >= 2
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(inner);
    if let Some(at) = values.get("container_name").filter(|_| !is_name) {
        let message = format!("\"{}\" is not a container name", name.escape_default());
        let hint =
            "write two or more letters, digits, _, . and -, beginning with a letter or digit";
        project.refuse_with_hint(at, message, hint);
    }
    Some(name)
}

fn labels(values: Values<'_>, project: &Project<'_>) -> BTreeMap<String, String> {
    let labels = values.pairs("labels");
    for entry in values.entries("labels") {
        if crate::labels::is_reserved(&entry.key) {
            let message = format!(
                "label {} is reserved for Docker Compose and moored",
                entry.key
            );
            project.refuse_with_hint(&entry.value, message, "take the label out");
        }
    }
    labels
}

fn logging(values: Values<'_>) -> Option<Logging> {
    values.get("logging")?;
    let logging = values.values("logging");
    Some(Logging {
        driver: logging.text_or_empty("driver"),
        options: logging.pairs("options"),
    })
}

fn depends_on(values: Values<'_>, project: &Project<'_>) -> BTreeMap<ServiceName, Dependency> {
    let mut dependencies = BTreeMap::new();
    for entry in values.entries("depends_on") {
        let name = match ServiceName::try_from(entry.key.clone()) {
            Ok(name) => name,
            Err(why) => {
                project.refuse_with_hint(&entry.value, why, "name a service of this file");
                continue;
            }
        };
        let how = Values::of(&entry.value);
        let condition = match how.text_or_empty("condition").as_str() {
            "service_healthy" => Condition::Healthy,
            "service_completed_successfully" => Condition::Completed,
            _ => Condition::Started,
        };
        let dependency = Dependency {
            condition,
            restart: how.flag("restart"),
            required: how.truth("required").unwrap_or(true),
        };
        dependencies.insert(name, dependency);
    }
    dependencies
}
