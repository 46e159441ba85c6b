//! Reads what the engine shows into our words. Pure.
//!
//! The result is canonical: what [`super::to_engine`] asked for reads back equal, field by field,
//! apart from what the image or the engine adds where the request left the choice.
//! What is normalised on the way:
//!
//! | field | canonical form |
//! |---|---|
//! | `ports` | as configured, not the port that the engine picked; published `0` = empty |
//! | `expose` | without the published ports |
//! | `mounts` | what is mounted now; options sorted, without `ro` and `rw` |
//! | volume | anonymous if its name is 64 hexadecimal digits or nobody asked for it by name |
//! | `networks` | aliases without the container's short id; without the built-in modes |
//! | `network_mode` | `default` is `bridge` |
//! | `resources` | the swap limit that the engine derives from `memory` is 0 |
//! | capabilities | upper case, without `CAP_` |

use std::collections::{BTreeMap, BTreeSet, HashMap};

use bollard::models::{
    ContainerConfig, ContainerInspectResponse, ContainerSummary as EngineSummary,
    ContainerSummaryStateEnum, EndpointSettings, HealthConfig, HostConfig, ImageInspect,
    Network as EngineNetwork, PortMap, RestartPolicy, RestartPolicyNameEnum,
    Volume as EngineVolume,
};

use super::mounts;
use super::read::short;
use super::state;
use crate::engine::model::{
    Container, ContainerSpec, ContainerSummary, Endpoint, Healthcheck, Image, Network, Port,
    Resources, Restart, Volume,
};
use crate::secret::Sensitive;

/// Reads one line of the container list.
pub(super) fn summary(line: EngineSummary) -> ContainerSummary {
    ContainerSummary {
        id: line.id.unwrap_or_default(),
        // A linked container is listed under further names of the form `/other/alias`.
        name: line
            .names
            .unwrap_or_default()
            .iter()
            .map(|name| name.trim_start_matches('/'))
            .find(|name| !name.contains('/'))
            .unwrap_or_default()
            .to_owned(),
        image: line.image.unwrap_or_default(),
        labels: sorted(line.labels),
        running: matches!(
            line.state,
            Some(
                ContainerSummaryStateEnum::RUNNING
                    | ContainerSummaryStateEnum::PAUSED
                    | ContainerSummaryStateEnum::STOPPING
            )
        ),
    }
}

/// What the kernel under the engine can do about swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SwapLimit {
    /// It can limit it, so a limit of -1 was asked for.
    Supported,
    /// It can't, so the engine sets -1 whatever was asked for.
    Unsupported,
}

/// Returns whether reading an answer takes knowing what the kernel can do about swap.
pub(super) fn depends_on_swap_limit(answer: &ContainerInspectResponse) -> bool {
    answer
        .host_config
        .as_ref()
        .is_some_and(|host| host.memory_swap == Some(-1))
}

/// Reads the answer of inspect.
pub(super) fn container(answer: ContainerInspectResponse, swap: SwapLimit) -> Container {
    let id = answer.id.unwrap_or_default();
    let state = answer.state.unwrap_or_default();
    let host = answer.host_config.unwrap_or_default();
    let networks = answer
        .network_settings
        .and_then(|settings| settings.networks);
    let mut spec = spec(answer.config.unwrap_or_default(), &host);
    spec.resources = resources(&host, swap);
    spec.mounts = mounts::read(&answer.mounts.unwrap_or_default(), &host);
    let networks = networks.unwrap_or_default();
    let addresses = addresses(&networks);
    spec.networks = endpoints(networks, short(&id), &spec.network_mode);
    Container {
        name: answer
            .name
            .unwrap_or_default()
            .trim_start_matches('/')
            .to_owned(),
        image_id: answer.image.unwrap_or_default(),
        spec,
        health: state::health(&state),
        pid: state.pid.filter(|pid| *pid != 0),
        restart_count: answer.restart_count.unwrap_or_default(),
        started_at: state.started_at.clone().unwrap_or_default(),
        oom_killed: state.oom_killed.unwrap_or_default(),
        addresses,
        state: state::state(&state),
        id,
    }
}

/// Reads the answer of an image's inspect.
pub(super) fn image(answer: ImageInspect) -> Image {
    let config = answer.config.unwrap_or_default();
    Image {
        id: answer.id.unwrap_or_default(),
        repo_digests: answer.repo_digests.unwrap_or_default(),
        command: config.cmd.unwrap_or_default(),
        entrypoint: config.entrypoint.unwrap_or_default(),
        env: config
            .env
            .unwrap_or_default()
            .iter()
            .map(|line| line.split_once('=').unwrap_or((line, "")))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        labels: sorted(config.labels),
        user: config.user.unwrap_or_default(),
        working_dir: config.working_dir.unwrap_or_default(),
        stop_signal: config.stop_signal.unwrap_or_default(),
        healthcheck: config.healthcheck.map(healthcheck),
        expose: config
            .exposed_ports
            .unwrap_or_default()
            .into_iter()
            .collect(),
        volumes: config.volumes.unwrap_or_default().into_iter().collect(),
    }
}

/// Reads one network of the list.
pub(super) fn network(answer: EngineNetwork) -> Network {
    Network {
        name: answer.name.unwrap_or_default(),
        id: answer.id.unwrap_or_default(),
        driver: answer.driver.unwrap_or_default(),
        options: sorted(answer.options),
        internal: answer.internal.unwrap_or_default(),
        labels: sorted(answer.labels),
        ..Network::default()
    }
}

/// Reads one volume.
pub(super) fn volume(answer: EngineVolume) -> Volume {
    Volume {
        name: answer.name,
        driver: answer.driver,
        options: answer.options.into_iter().collect(),
        labels: answer.labels.into_iter().collect(),
    }
}

fn spec(config: ContainerConfig, host: &HostConfig) -> ContainerSpec {
    let ports = ports(host.port_bindings.as_ref());
    let published: BTreeSet<String> = ports
        .iter()
        .map(|port| format!("{}/{}", port.target, port.protocol))
        .collect();
    let mut expose: BTreeSet<String> = config
        .exposed_ports
        .unwrap_or_default()
        .into_iter()
        .collect();
    expose.retain(|port| !published.contains(port));
    let network_mode = match host.network_mode.as_deref() {
        None | Some("" | "default") => "bridge".to_owned(),
        Some(mode) => mode.to_owned(),
    };
    ContainerSpec {
        image: config.image.unwrap_or_default(),
        command: config.cmd,
        entrypoint: config.entrypoint,
        env: config
            .env
            .unwrap_or_default()
            .iter()
            .map(|line| variable(line))
            .collect(),
        labels: sorted(config.labels),
        user: config.user,
        working_dir: config.working_dir,
        init: host.init,
        stop_signal: config.stop_signal,
        stop_timeout: config.stop_timeout,
        healthcheck: config.healthcheck.map(healthcheck),
        ports,
        expose,
        mounts: BTreeMap::new(),
        networks: BTreeMap::new(),
        network_mode,
        extra_hosts: extra_hosts(host.extra_hosts.as_deref()),
        restart: restart(host.restart_policy.as_ref()),
        resources: Resources::default(),
        privileged: host.privileged.unwrap_or_default(),
        read_only: host.readonly_rootfs.unwrap_or_default(),
        cap_add: capabilities(host.cap_add.as_deref()),
        cap_drop: capabilities(host.cap_drop.as_deref()),
        ..ContainerSpec::default()
    }
}

fn variable(line: &str) -> (String, Option<Sensitive>) {
    match line.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(Sensitive::new(value))),
        None => (line.to_owned(), None),
    }
}

fn healthcheck(check: HealthConfig) -> Healthcheck {
    Healthcheck {
        test: check.test.unwrap_or_default(),
        interval: check.interval.unwrap_or_default(),
        timeout: check.timeout.unwrap_or_default(),
        start_period: check.start_period.unwrap_or_default(),
        retries: check.retries.unwrap_or_default(),
        ..Healthcheck::default()
    }
}

fn ports(bindings: Option<&PortMap>) -> BTreeSet<Port> {
    let mut ports = BTreeSet::new();
    for (container_side, host_sides) in bindings.into_iter().flatten() {
        let (target, protocol) = container_side
            .split_once('/')
            .unwrap_or((container_side, "tcp"));
        let Ok(target) = target.parse::<u16>() else {
            continue;
        };
        for host_side in host_sides.iter().flatten() {
            let published = host_side.host_port.clone().unwrap_or_default();
            ports.insert(Port {
                target,
                protocol: protocol.to_owned(),
                host_ip: host_side.host_ip.clone().unwrap_or_default(),
                published: if published == "0" {
                    String::new()
                } else {
                    published
                },
            });
        }
    }
    ports
}

/// The engine shows its built-in modes as networks too, though nobody can leave them or be called
/// something there.
fn endpoints(
    networks: HashMap<String, EndpointSettings>,
    short_id: &str,
    network_mode: &str,
) -> BTreeMap<String, Endpoint> {
    let built_in = |name: &str| name == network_mode && matches!(name, "bridge" | "host" | "none");
    networks
        .into_iter()
        .filter(|(name, _)| !built_in(name))
        .map(|(name, settings)| {
            let mut aliases: BTreeSet<String> =
                settings.aliases.unwrap_or_default().into_iter().collect();
            aliases.remove(short_id);
            let endpoint = Endpoint {
                aliases,
                ..Endpoint::default()
            };
            (name, endpoint)
        })
        .collect()
}

/// The engine shows an empty address for a network that the container has not joined yet.
fn addresses(networks: &HashMap<String, EndpointSettings>) -> BTreeMap<String, String> {
    let address = |settings: &EndpointSettings| settings.ip_address.clone();
    networks
        .iter()
        .filter_map(|(name, settings)| Some((name.clone(), address(settings)?)))
        .filter(|(_, address)| !address.is_empty())
        .collect()
}

/// The address may have colons itself.
fn extra_hosts(lines: Option<&[String]>) -> Vec<(String, String)> {
    let lines = lines.unwrap_or_default().iter();
    lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, address)| (name.to_owned(), address.to_owned()))
        .collect()
}

fn restart(policy: Option<&RestartPolicy>) -> Restart {
    let Some(policy) = policy else {
        return Restart::No;
    };
    match policy.name {
        None | Some(RestartPolicyNameEnum::EMPTY | RestartPolicyNameEnum::NO) => Restart::No,
        Some(RestartPolicyNameEnum::ALWAYS) => Restart::Always,
        Some(RestartPolicyNameEnum::UNLESS_STOPPED) => Restart::UnlessStopped,
        Some(RestartPolicyNameEnum::ON_FAILURE) => {
            Restart::OnFailure(policy.maximum_retry_count.unwrap_or_default())
        }
    }
}

fn resources(host: &HostConfig, swap: SwapLimit) -> Resources {
    let memory = host.memory.unwrap_or_default();
    let memory_swap = host.memory_swap.unwrap_or_default();
    // Where a request limits memory and not swap, the engine sets swap to twice the memory, or to
    // -1 where the kernel can't limit it.
    let derived = match swap {
        SwapLimit::Supported => memory > 0 && memory.checked_mul(2) == Some(memory_swap),
        SwapLimit::Unsupported => true,
    };
    Resources {
        memory,
        memory_reservation: host.memory_reservation.unwrap_or_default(),
        memory_swap: if derived { 0 } else { memory_swap },
        nano_cpus: host.nano_cpus.unwrap_or_default(),
        cpu_shares: host.cpu_shares.unwrap_or_default(),
        cpu_quota: host.cpu_quota.unwrap_or_default(),
        cpu_period: host.cpu_period.unwrap_or_default(),
        cpuset_cpus: host.cpuset_cpus.clone().unwrap_or_default(),
        pids_limit: host.pids_limit.unwrap_or_default().max(0),
    }
}

fn capabilities(names: Option<&[String]>) -> BTreeSet<String> {
    names
        .unwrap_or_default()
        .iter()
        .map(|name| name.to_ascii_uppercase())
        .map(|name| name.strip_prefix("CAP_").map(str::to_owned).unwrap_or(name))
        .collect()
}

fn sorted(map: Option<HashMap<String, String>>) -> BTreeMap<String, String> {
    map.unwrap_or_default().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(answer: Value) -> Container {
        container(
            serde_json::from_value(answer).unwrap(),
            SwapLimit::Supported,
        )
    }

    fn aliases(names: &[&str]) -> Endpoint {
        Endpoint {
            aliases: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Endpoint::default()
        }
    }

    #[test]
    fn networks_lose_what_the_engine_adds() {
        let id = "0123456789abcdef".repeat(4);
        let networks = json!({
            "back": {"Aliases": ["web", "0123456789ab", "web-1"], "DNSNames": ["x"]},
            "bridge": {"Aliases": null},
        });
        let answer = |mode: &str| {
            read(json!({
                "Id": id,
                "HostConfig": {"NetworkMode": mode},
                "NetworkSettings": {"Networks": networks},
            }))
            .spec
        };
        let back = ("back".to_owned(), aliases(&["web", "web-1"]));
        let bridge = ("bridge".to_owned(), aliases(&[]));
        let joined_by_hand = answer("back");
        assert_eq!(joined_by_hand.networks, [back.clone(), bridge].into());
        let on_the_bridge = answer("default");
        assert_eq!(on_the_bridge.networks, [back].into());
        assert_eq!(on_the_bridge.network_mode, "bridge");
    }

    #[test]
    fn addresses_are_those_that_there_are() {
        let live = read(json!({
            "HostConfig": {"NetworkMode": "default"},
            "NetworkSettings": {"Networks": {
                "bridge": {"IPAddress": "172.17.0.2"},
                "back": {"IPAddress": ""},
                "front": {},
            }},
        }));
        let expected = [("bridge".to_owned(), "172.17.0.2".to_owned())];
        assert_eq!(live.addresses, expected.into());
    }

    #[test]
    fn ports_are_the_configured_ones() {
        let spec = read(json!({
            "Config": {"ExposedPorts": {"80/tcp": {}, "90/tcp": {}}},
            "HostConfig": {"PortBindings": {
                "80/tcp": [{"HostIp": "::1", "HostPort": "0"}],
                "81/udp": [{"HostIp": "", "HostPort": "9000-9005"}],
                "82/tcp": null,
                "83": [{}],
            }},
            "NetworkSettings": {"Ports": {"80/tcp": [{"HostIp": "::1", "HostPort": "49153"}]}},
        }))
        .spec;
        let shown: Vec<String> = spec.ports.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["[::1]:80/tcp", "9000-9005:81/udp", "83/tcp"]);
        assert_eq!(spec.expose, ["90/tcp".to_owned()].into());
    }

    #[test]
    fn nulls_and_empty_lists_are_told_apart() {
        let spec =
            read(json!({"Config": {"Cmd": null, "Entrypoint": [], "Env": ["A=b=c", "D", "E="]}}))
                .spec;
        assert_eq!((spec.command, spec.entrypoint), (None, Some(Vec::new())));
        let value = |name: &str| spec.env[name].as_ref().map(Sensitive::expose);
        assert_eq!(
            (value("A"), value("D"), value("E")),
            (Some("b=c"), None, Some(""))
        );
    }

    #[test]
    fn limits() {
        let limits = |host: Value, swap| {
            let answer = serde_json::from_value(json!({"HostConfig": host})).unwrap();
            container(answer, swap).spec.resources
        };
        let swap = |host: Value, swap| limits(host, swap).memory_swap;
        let derived = json!({"Memory": 100, "MemorySwap": 200});
        assert_eq!(swap(derived, SwapLimit::Supported), 0);
        let asked = json!({"Memory": 100, "MemorySwap": 300});
        assert_eq!(swap(asked, SwapLimit::Supported), 300);
        let unlimited = json!({"Memory": 100, "MemorySwap": -1});
        assert_eq!(swap(unlimited.clone(), SwapLimit::Supported), -1);
        assert_eq!(swap(unlimited, SwapLimit::Unsupported), 0);
        let none = json!({"PidsLimit": null, "CpusetCpus": null, "MemorySwap": 0});
        assert_eq!(limits(none, SwapLimit::Supported), Resources::default());
        let endless = json!({"PidsLimit": -1});
        assert_eq!(limits(endless, SwapLimit::Supported).pids_limit, 0);
    }

    #[test]
    fn restart_and_capabilities() {
        let spec = |host: Value| read(json!({"HostConfig": host})).spec;
        let restart = |name: &str| {
            spec(json!({"RestartPolicy": {"Name": name, "MaximumRetryCount": 3}})).restart
        };
        assert_eq!(restart(""), Restart::No);
        assert_eq!(restart("no"), Restart::No);
        assert_eq!(restart("always"), Restart::Always);
        assert_eq!(restart("unless-stopped"), Restart::UnlessStopped);
        assert_eq!(restart("on-failure"), Restart::OnFailure(3));
        let caps = spec(json!({"CapAdd": ["CAP_NET_ADMIN", "all"], "CapDrop": null}));
        assert_eq!(
            caps.cap_add,
            ["ALL".to_owned(), "NET_ADMIN".to_owned()].into()
        );
        assert!(caps.cap_drop.is_empty());
    }

    #[test]
    fn a_linked_container_keeps_its_own_name() {
        let line = serde_json::from_value(json!({
            "Id": "1", "Names": ["/web/db", "/db-1"], "Image": "x", "State": "paused",
        }));
        let line = summary(line.unwrap());
        assert_eq!((line.name.as_str(), line.running), ("db-1", true));
    }

    #[test]
    fn an_empty_answer_reads_without_panic() {
        let container = read(json!({}));
        assert_eq!(container.name, "");
        assert_eq!(container.spec.network_mode, "bridge");
        let image =
            image(serde_json::from_value(json!({"Config": {"Env": ["A", "B=c"]}})).unwrap());
        assert_eq!(
            (image.env["A"].as_str(), image.stop_signal.as_str()),
            ("", "")
        );
    }
}
