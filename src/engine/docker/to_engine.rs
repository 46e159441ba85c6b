//! Writes requests in the engine's words. Pure; [`super::from_engine`] reads them back.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bollard::models::{
    ContainerCreateBody, EndpointSettings, HealthConfig, HostConfig, NetworkCreateRequest,
    NetworkingConfig, PortBinding, PortMap, RestartPolicy, RestartPolicyNameEnum,
    VolumeCreateRequest,
};

use super::mounts;
use crate::engine::model::{ContainerSpec, Endpoint, Healthcheck, Network, Port, Restart, Volume};

/// How many networks one create call may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Networks {
    /// Only the one of the network mode: before API 1.44.
    First,
    /// All of them.
    All,
}

/// A request for a container, and the networks to connect it to afterwards.
pub(super) struct Creation<'a> {
    /// The body of the create call.
    pub(super) body: ContainerCreateBody,
    /// What the create call can't say.
    pub(super) then_connect: Vec<(&'a str, &'a Endpoint)>,
}

/// Writes the request for a container; the error says what can't be asked for.
pub(super) fn creation(spec: &ContainerSpec, networks: Networks) -> Result<Creation<'_>, String> {
    let (at_create, then_connect): (Vec<_>, Vec<_>) = spec
        .networks
        .iter()
        .map(|(name, endpoint)| (name.as_str(), endpoint))
        .partition(|(name, _)| networks == Networks::All || *name == spec.network_mode);
    let endpoints = at_create
        .into_iter()
        .map(|(name, place)| (name.to_owned(), endpoint(&place.aliases)))
        .collect::<HashMap<_, _>>();
    let exposed: BTreeSet<String> = spec
        .expose
        .iter()
        .cloned()
        .chain(spec.ports.iter().map(container_side))
        .collect();
    let body = ContainerCreateBody {
        image: Some(spec.image.clone()),
        cmd: spec.command.clone(),
        entrypoint: spec.entrypoint.clone(),
        env: filled(spec.env.iter().map(variable).collect()),
        labels: Some(unsorted(&spec.labels)),
        user: spec.user.clone(),
        working_dir: spec.working_dir.clone(),
        stop_signal: spec.stop_signal.clone(),
        stop_timeout: spec.stop_timeout,
        healthcheck: spec.healthcheck.as_ref().map(healthcheck),
        exposed_ports: filled(exposed.into_iter().collect()),
        host_config: Some(host_config(spec)?),
        networking_config: (!endpoints.is_empty()).then_some(NetworkingConfig {
            endpoints_config: Some(endpoints),
        }),
        ..ContainerCreateBody::default()
    };
    Ok(Creation { body, then_connect })
}

/// Writes a container's place in a network. The default bridge refuses any list of aliases, even
/// an empty one.
pub(super) fn endpoint<'a>(aliases: impl IntoIterator<Item = &'a String>) -> EndpointSettings {
    EndpointSettings {
        aliases: filled(aliases.into_iter().cloned().collect()),
        ..EndpointSettings::default()
    }
}

/// Writes the request for a network.
pub(super) fn network(network: &Network) -> NetworkCreateRequest {
    NetworkCreateRequest {
        name: network.name.clone(),
        driver: text(&network.driver),
        internal: Some(network.internal),
        options: Some(unsorted(&network.options)),
        labels: Some(unsorted(&network.labels)),
        ..NetworkCreateRequest::default()
    }
}

/// Writes the request for a volume.
pub(super) fn volume(volume: &Volume) -> VolumeCreateRequest {
    VolumeCreateRequest {
        name: Some(volume.name.clone()),
        driver: text(&volume.driver),
        driver_opts: Some(unsorted(&volume.options)),
        labels: Some(unsorted(&volume.labels)),
        ..VolumeCreateRequest::default()
    }
}

fn host_config(spec: &ContainerSpec) -> Result<HostConfig, String> {
    let mounts = mounts::write(&spec.mounts)?;
    let limits = &spec.resources;
    Ok(HostConfig {
        binds: filled(mounts.binds),
        mounts: filled(mounts.mounts),
        tmpfs: (!mounts.tmpfs.is_empty()).then_some(mounts.tmpfs),
        network_mode: text(&spec.network_mode),
        port_bindings: (!spec.ports.is_empty()).then(|| port_bindings(&spec.ports)),
        extra_hosts: filled(spec.extra_hosts.iter().map(extra_host).collect()),
        restart_policy: Some(restart(&spec.restart)),
        init: spec.init,
        privileged: Some(spec.privileged),
        readonly_rootfs: Some(spec.read_only),
        cap_add: filled(spec.cap_add.iter().cloned().collect()),
        cap_drop: filled(spec.cap_drop.iter().cloned().collect()),
        memory: limit(limits.memory),
        memory_reservation: limit(limits.memory_reservation),
        memory_swap: limit(limits.memory_swap),
        nano_cpus: limit(limits.nano_cpus),
        cpu_shares: limit(limits.cpu_shares),
        cpu_quota: limit(limits.cpu_quota),
        cpu_period: limit(limits.cpu_period),
        cpuset_cpus: text(&limits.cpuset_cpus),
        pids_limit: limit(limits.pids_limit),
        ..HostConfig::default()
    })
}

fn variable((name, value): (&String, &Option<crate::secret::Sensitive>)) -> String {
    match value {
        Some(value) => format!("{name}={}", value.expose()),
        None => name.clone(),
    }
}

fn extra_host((name, address): &(String, String)) -> String {
    format!("{name}:{address}")
}

fn healthcheck(check: &Healthcheck) -> HealthConfig {
    HealthConfig {
        test: filled(check.test.clone()),
        interval: limit(check.interval),
        timeout: limit(check.timeout),
        start_period: limit(check.start_period),
        retries: limit(check.retries),
        ..HealthConfig::default()
    }
}

fn port_bindings(ports: &BTreeSet<Port>) -> PortMap {
    let mut bindings = PortMap::new();
    for port in ports {
        let host_side = PortBinding {
            host_ip: Some(port.host_ip.clone()),
            host_port: Some(port.published.clone()),
        };
        bindings
            .entry(container_side(port))
            .or_default()
            .get_or_insert_default()
            .push(host_side);
    }
    bindings
}

fn container_side(port: &Port) -> String {
    format!("{}/{}", port.target, port.protocol)
}

fn restart(restart: &Restart) -> RestartPolicy {
    let (name, times) = match restart {
        Restart::No => (RestartPolicyNameEnum::NO, None),
        Restart::Always => (RestartPolicyNameEnum::ALWAYS, None),
        Restart::UnlessStopped => (RestartPolicyNameEnum::UNLESS_STOPPED, None),
        Restart::OnFailure(times) => (RestartPolicyNameEnum::ON_FAILURE, Some(*times)),
    };
    RestartPolicy {
        name: Some(name),
        maximum_retry_count: times,
    }
}

/// 0 means that the engine decides: the field is left out.
fn limit(value: i64) -> Option<i64> {
    (value != 0).then_some(value)
}

fn text(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

fn filled<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

fn unsorted(map: &BTreeMap<String, String>) -> HashMap<String, String> {
    map.iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Sensitive;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn place(aliases: &[&str]) -> Endpoint {
        Endpoint {
            aliases: names(aliases),
            ..Endpoint::default()
        }
    }

    #[test]
    fn further_networks_wait_for_api_1_44() {
        let spec = ContainerSpec {
            network_mode: "back".to_owned(),
            networks: [("back", place(&["db"])), ("front", place(&["w"]))]
                .map(|(name, place)| (name.to_owned(), place))
                .into(),
            ..ContainerSpec::default()
        };
        let in_create = |creation: &Creation<'_>| {
            let config = creation.body.networking_config.as_ref().unwrap();
            let endpoints = config.endpoints_config.as_ref().unwrap();
            let mut names: Vec<String> = endpoints.keys().cloned().collect();
            names.sort();
            (names, endpoints["back"].aliases.clone())
        };
        let aliases = Some(vec!["db".to_owned()]);
        let old = creation(&spec, Networks::First).unwrap();
        assert_eq!(in_create(&old), (vec!["back".to_owned()], aliases.clone()));
        assert_eq!(old.then_connect, [("front", &place(&["w"]))]);
        let new = creation(&spec, Networks::All).unwrap();
        assert_eq!(
            in_create(&new),
            (vec!["back".to_owned(), "front".to_owned()], aliases)
        );
        assert!(new.then_connect.is_empty());
    }

    #[test]
    fn a_mode_without_networks_says_nothing_of_networks() {
        let spec = ContainerSpec {
            network_mode: "none".to_owned(),
            ..ContainerSpec::default()
        };
        let creation = creation(&spec, Networks::First).unwrap();
        assert!(creation.body.networking_config.is_none() && creation.then_connect.is_empty());
        let host = creation.body.host_config.unwrap();
        assert_eq!(host.network_mode.as_deref(), Some("none"));
    }

    #[test]
    fn what_is_empty_is_left_to_the_engine() {
        let spec = ContainerSpec::default();
        let creation = creation(&spec, Networks::First).unwrap();
        let body = serde_json::to_value(&creation.body).unwrap();
        let host = serde_json::json!({
            "RestartPolicy": {"Name": "no"}, "Privileged": false, "ReadonlyRootfs": false,
        });
        let expected = serde_json::json!({"Image": "", "Labels": {}, "HostConfig": host});
        assert_eq!(body, expected);
    }

    #[test]
    fn env_entrypoint_and_ports() {
        let port = |host_ip: &str, published: &str, target, protocol: &str| Port {
            target,
            protocol: protocol.to_owned(),
            host_ip: host_ip.to_owned(),
            published: published.to_owned(),
        };
        let spec = ContainerSpec {
            entrypoint: Some(Vec::new()),
            env: BTreeMap::from([
                ("A".to_owned(), Some(Sensitive::new("x=y"))),
                ("EMPTY".to_owned(), Some(Sensitive::new(""))),
                ("GONE".to_owned(), None),
            ]),
            expose: names(&["90/tcp"]),
            ports: [
                port("127.0.0.1", "18080", 80, "tcp"),
                port("", "18081", 80, "tcp"),
                port("", "", 53, "udp"),
            ]
            .into(),
            ..ContainerSpec::default()
        };
        let creation = creation(&spec, Networks::First).unwrap();
        let body = serde_json::to_value(&creation.body).unwrap();
        assert_eq!(body["Env"], serde_json::json!(["A=x=y", "EMPTY=", "GONE"]));
        assert_eq!(body["Entrypoint"], serde_json::json!([]));
        let exposed = serde_json::json!({"53/udp": {}, "80/tcp": {}, "90/tcp": {}});
        assert_eq!(body["ExposedPorts"], exposed);
        let bindings = serde_json::json!({
            "53/udp": [{"HostIp": "", "HostPort": ""}],
            "80/tcp": [
                {"HostIp": "", "HostPort": "18081"},
                {"HostIp": "127.0.0.1", "HostPort": "18080"},
            ],
        });
        assert_eq!(body["HostConfig"]["PortBindings"], bindings);
    }
}
