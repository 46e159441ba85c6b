//! Reads the answer of inspect.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use bollard::models::{
    ContainerConfig, ContainerInspectResponse, EndpointSettings, HealthConfig, HostConfig, PortMap,
    RestartPolicy, RestartPolicyNameEnum,
};

use super::{limits, sorted};
use crate::engine::docker::read::short;
use crate::engine::docker::to_engine::{INTERFACE, SYSTEM_PATHS};
use crate::engine::docker::{mounts, state};
use crate::engine::model::{
    Container, ContainerSpec, Endpoint, Healthcheck, Port, Restart, joined,
};
use crate::secret::Sensitive;

/// How the engine is configured, as far as reading an answer takes knowing it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in super::super) struct EngineDefaults {
    /// What the kernel can do about swap.
    pub(in super::super) swap: SwapLimit,
    /// Driver of the logs of who asks for none.
    pub(in super::super) logging_driver: String,
    /// Runtime of who asks for none.
    pub(in super::super) runtime: String,
}

impl Default for EngineDefaults {
    /// Returns what an engine does that nobody has configured.
    fn default() -> Self {
        Self {
            swap: SwapLimit::Supported,
            logging_driver: "json-file".to_owned(),
            runtime: "runc".to_owned(),
        }
    }
}

/// What the kernel under the engine can do about swap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum SwapLimit {
    /// It can limit it, so a limit of -1 was asked for.
    Supported,
    /// It can't, so the engine sets -1 whatever was asked for.
    Unsupported,
}

/// Returns whether reading an answer takes knowing how the engine is configured: it has something
/// that may be of the engine's own choice, and not what an engine chooses that nobody has
/// configured.
pub(in super::super) fn depends_on_defaults(answer: &ContainerInspectResponse) -> bool {
    let Some(host) = &answer.host_config else {
        return false;
    };
    let usual = EngineDefaults::default();
    let other = |shown: Option<&str>, usual: &str| {
        shown.is_some_and(|shown| !shown.is_empty() && shown != usual)
    };
    let driver = host.log_config.as_ref().and_then(|log| log.typ.as_deref());
    host.memory_swap == Some(-1)
        || other(driver, &usual.logging_driver)
        || other(host.runtime.as_deref(), &usual.runtime)
}

/// Reads the answer of inspect.
pub(in super::super) fn container(
    answer: ContainerInspectResponse,
    defaults: &EngineDefaults,
) -> Container {
    let id = answer.id.unwrap_or_default();
    let state = answer.state.unwrap_or_default();
    let host = answer.host_config.unwrap_or_default();
    let networks = answer
        .network_settings
        .and_then(|settings| settings.networks);
    let config = answer.config.unwrap_or_default();
    let declared = config.volumes.clone().unwrap_or_default();
    let hostname = config.hostname.clone();
    let mut spec = spec(config, &host, defaults);
    spec.hostname = hostname.filter(|name| is_own_name(name, &id, &spec.network_mode));
    spec.resources = limits::resources(&host, defaults.swap);
    spec.mounts = mounts::read(&answer.mounts.unwrap_or_default(), &host, &declared);
    let networks = networks.unwrap_or_default();
    let addresses = addresses(&networks);
    spec.networks = endpoints(networks, &id, &spec);
    Container {
        name: answer
            .name
            .unwrap_or_default()
            .trim_start_matches('/')
            .to_owned(),
        image_id: answer.image.unwrap_or_default(),
        spec: Arc::new(spec),
        health: state::health(&state),
        pid: state.pid.filter(|pid| *pid != 0),
        restart_count: answer.restart_count.unwrap_or_default(),
        started_at: state.started_at.clone().unwrap_or_default(),
        oom_killed: state.oom_killed.unwrap_or_default(),
        ended_by_itself: false,
        addresses,
        state: state::state(&state),
        id,
    }
}

/// Returns whether somebody asked for a host name. The engine's own choice is the short id; who
/// shares another container's network has its name too.
fn is_own_name(name: &str, id: &str, network_mode: &str) -> bool {
    !name.is_empty() && name != short(id) && joined(network_mode).is_none()
}

fn spec(config: ContainerConfig, host: &HostConfig, defaults: &EngineDefaults) -> ContainerSpec {
    let ports = ports(host.port_bindings.as_ref());
    let expose = exposed(config.exposed_ports.unwrap_or_default(), &ports);
    let network_mode = match host.network_mode.as_deref() {
        None | Some("" | "default") => "bridge".to_owned(),
        Some(mode) => mode.to_owned(),
    };
    let list = |list: &Option<Vec<String>>| list.clone().unwrap_or_default();
    let set = |list: &Option<Vec<String>>| list.iter().flatten().cloned().collect();
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
        network_mode,
        links: links(host.links.as_deref()),
        extra_hosts: extra_hosts(host.extra_hosts.as_deref()),
        restart: restart(host.restart_policy.as_ref()),
        limits: limits::limits(host),
        privileged: host.privileged.unwrap_or_default(),
        read_only: host.readonly_rootfs.unwrap_or_default(),
        cap_add: capabilities(host.cap_add.as_deref()),
        cap_drop: capabilities(host.cap_drop.as_deref()),
        domainname: config.domainname.filter(|name| !name.is_empty()),
        tty: config.tty.unwrap_or_default(),
        stdin_open: config.open_stdin.unwrap_or_default(),
        annotations: sorted(host.annotations.clone()),
        runtime: host
            .runtime
            .clone()
            .filter(|name| !name.is_empty() && *name != defaults.runtime),
        isolation: host
            .isolation
            .map(|kind| kind.to_string())
            .filter(|kind| !kind.is_empty()),
        logging: limits::logging(host, defaults),
        dns: list(&host.dns),
        dns_options: list(&host.dns_options),
        dns_search: list(&host.dns_search),
        namespaces: limits::namespaces(host),
        group_add: set(&host.group_add),
        security_opt: security_opt(host),
        sysctls: sorted(host.sysctls.clone()),
        ulimits: limits::ulimits(host),
        devices: limits::devices(host),
        device_cgroup_rules: list(&host.device_cgroup_rules),
        device_requests: limits::device_requests(host),
        volumes_from: set(&host.volumes_from),
        volume_driver: host.volume_driver.clone().unwrap_or_default(),
        storage_opt: sorted(host.storage_opt.clone()),
        ..ContainerSpec::default()
    }
}

/// Returns the exposed ports beyond the published ones; a port without protocol is a TCP port.
fn exposed(all: Vec<String>, ports: &BTreeSet<Port>) -> BTreeSet<String> {
    let published: BTreeSet<String> = ports
        .iter()
        .map(|port| format!("{}/{}", port.target, port.protocol))
        .collect();
    let whole = |port: String| {
        if port.contains('/') {
            port
        } else {
            format!("{port}/tcp")
        }
    };
    let all = all.into_iter().map(whole);
    all.filter(|port| !published.contains(port)).collect()
}

/// The engine hides nothing of `/proc` and `/sys` from a privileged container in any case.
fn security_opt(host: &HostConfig) -> BTreeSet<String> {
    let mut options: BTreeSet<String> = host.security_opt.iter().flatten().cloned().collect();
    let shows_all = |paths: &Option<Vec<String>>| paths.as_ref().is_some_and(Vec::is_empty);
    let all = shows_all(&host.masked_paths) && shows_all(&host.readonly_paths);
    if all && host.privileged != Some(true) {
        options.insert(SYSTEM_PATHS.to_owned());
    }
    options
}

/// The engine shows `/NAME:/OWN/ALIAS` for what was asked for as `NAME:ALIAS`.
fn links(shown: Option<&[String]>) -> BTreeSet<String> {
    let shown = shown.unwrap_or_default().iter();
    shown
        .map(|link| {
            let (name, alias) = link.split_once(':').unwrap_or((link, link));
            let alias = alias.rsplit('/').next().unwrap_or(alias);
            format!("{}:{alias}", name.trim_start_matches('/'))
        })
        .collect()
}

fn variable(line: &str) -> (String, Option<Sensitive>) {
    match line.split_once('=') {
        Some((name, value)) => (name.to_owned(), Some(Sensitive::new(value))),
        None => (line.to_owned(), None),
    }
}

pub(super) fn healthcheck(check: HealthConfig) -> Healthcheck {
    Healthcheck {
        test: check.test.unwrap_or_default(),
        interval: check.interval.unwrap_or_default(),
        timeout: check.timeout.unwrap_or_default(),
        start_period: check.start_period.unwrap_or_default(),
        retries: check.retries.unwrap_or_default(),
        start_interval: check.start_interval.unwrap_or_default(),
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
/// something there; a hardware address can be asked for.
fn endpoints(
    networks: HashMap<String, EndpointSettings>,
    id: &str,
    spec: &ContainerSpec,
) -> BTreeMap<String, Endpoint> {
    let mode = &spec.network_mode;
    let built_in = |name: &str| name == mode && matches!(name, "bridge" | "host" | "none");
    // Where a container joins a further network, the engine adds both to what it is called there.
    let own_names = [Some(short(id)), spec.hostname.as_deref()];
    let own_names: BTreeSet<&str> = own_names.into_iter().flatten().collect();
    networks
        .into_iter()
        .map(|(name, settings)| (name, endpoint(settings, &own_names)))
        .filter(|(name, place)| !built_in(name) || !place.mac_address.is_empty())
        .collect()
}

fn endpoint(settings: EndpointSettings, own_names: &BTreeSet<&str>) -> Endpoint {
    let derived = settings.ip_address.as_deref().and_then(derived_address);
    let mac_address = settings.mac_address.unwrap_or_default();
    let mut aliases: BTreeSet<String> = settings.aliases.unwrap_or_default().into_iter().collect();
    aliases.retain(|alias| !own_names.contains(alias.as_str()));
    let addresses = settings.ipam_config.unwrap_or_default();
    let mut driver_opts = sorted(settings.driver_opts);
    Endpoint {
        aliases,
        links: settings.links.unwrap_or_default().into_iter().collect(),
        ipv4_address: addresses.ipv4_address.unwrap_or_default(),
        ipv6_address: addresses.ipv6_address.unwrap_or_default(),
        link_local_ips: addresses
            .link_local_ips
            .unwrap_or_default()
            .into_iter()
            .collect(),
        interface_name: driver_opts.remove(INTERFACE).unwrap_or_default(),
        driver_opts,
        gw_priority: settings.gw_priority.unwrap_or_default(),
        mac_address: match derived {
            Some(derived) if derived == mac_address => String::new(),
            Some(_) | None => mac_address,
        },
    }
}

/// Returns the hardware address that an engine before 28.0 makes of an IPv4 address.
fn derived_address(address: &str) -> Option<String> {
    let [a, b, c, d] = address.parse::<std::net::Ipv4Addr>().ok()?.octets();
    Some(format!("02:42:{a:02x}:{b:02x}:{c:02x}:{d:02x}"))
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

fn capabilities(names: Option<&[String]>) -> BTreeSet<String> {
    names
        .unwrap_or_default()
        .iter()
        .map(|name| name.to_ascii_uppercase())
        .map(|name| name.strip_prefix("CAP_").map(str::to_owned).unwrap_or(name))
        .collect()
}
