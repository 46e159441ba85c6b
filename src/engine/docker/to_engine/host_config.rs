//! Writes what a container may do and use.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::str::FromStr;

use bollard::models::{
    DeviceMapping, DeviceRequest as EngineDeviceRequest, HostConfig, HostConfigLogConfig,
    PortBinding, PortMap, ResourcesBlkioWeightDevice, ResourcesUlimits, RestartPolicy,
    RestartPolicyNameEnum, ThrottleDevice,
};

use super::container::container_side;
use super::{filled, filled_map, limit, text, unsorted};
use crate::engine::api::ApiVersion;
use crate::engine::docker::mounts;
use crate::engine::model::{
    ContainerSpec, Device, DeviceRequest, Limits, Logging, Port, Resources, Restart, Ulimit,
};

/// The option that shows a container all of `/proc` and `/sys`; the engine has no name for it.
pub(in super::super) const SYSTEM_PATHS: &str = "systempaths=unconfined";

/// Writes what a container may do and use; the error says what can't be asked for.
pub(super) fn host_config(spec: &ContainerSpec, spoken: ApiVersion) -> Result<HostConfig, String> {
    let whole = with_limits(with_resources(HostConfig::default(), &spec.resources), spec)?;
    let whole = with_surroundings(whole, spec)?;
    let mounts = mounts::write(&spec.mounts, spoken)?;
    let all_system_paths = spec.security_opt.contains(SYSTEM_PATHS);
    let security_opt = spec.security_opt.iter();
    let security_opt = security_opt.filter(|option| *option != SYSTEM_PATHS);
    Ok(HostConfig {
        binds: filled(mounts.binds),
        mounts: filled(mounts.mounts),
        tmpfs: (!mounts.tmpfs.is_empty()).then_some(mounts.tmpfs),
        volumes_from: filled(spec.volumes_from.iter().cloned().collect()),
        volume_driver: text(&spec.volume_driver),
        port_bindings: (!spec.ports.is_empty()).then(|| port_bindings(&spec.ports)),
        restart_policy: Some(restart(&spec.restart)),
        log_config: spec.logging.as_ref().map(logging),
        init: spec.init,
        runtime: spec.runtime.clone(),
        isolation: parsed("isolation", spec.isolation.as_deref().unwrap_or_default())?,
        annotations: filled_map(&spec.annotations),
        storage_opt: filled_map(&spec.storage_opt),
        privileged: Some(spec.privileged),
        readonly_rootfs: Some(spec.read_only),
        cap_add: filled(spec.cap_add.iter().map(|name| capability(name)).collect()),
        cap_drop: filled(spec.cap_drop.iter().map(|name| capability(name)).collect()),
        group_add: filled(spec.group_add.iter().cloned().collect()),
        security_opt: filled(security_opt.cloned().collect()),
        masked_paths: all_system_paths.then(Vec::new),
        readonly_paths: all_system_paths.then(Vec::new),
        ..whole
    })
}

/// Adds namespaces and what stands around a container: names, networks, kernel parameters.
fn with_surroundings(host: HostConfig, spec: &ContainerSpec) -> Result<HostConfig, String> {
    let spaces = &spec.namespaces;
    // As Compose does it; on a network of its own the engine goes by the places in it.
    let places = spec.networks.values();
    let links: BTreeSet<&String> = places
        .flat_map(|place| &place.links)
        .chain(&spec.links)
        .collect();
    Ok(HostConfig {
        network_mode: text(&spec.network_mode),
        links: filled(links.into_iter().cloned().collect()),
        extra_hosts: filled(spec.extra_hosts.iter().map(extra_host).collect()),
        dns: filled(spec.dns.clone()),
        dns_options: filled(spec.dns_options.clone()),
        dns_search: filled(spec.dns_search.clone()),
        sysctls: filled_map(&spec.sysctls),
        ipc_mode: text(&spaces.ipc),
        pid_mode: text(&spaces.pid),
        uts_mode: text(&spaces.uts),
        userns_mode: text(&spaces.user),
        cgroupns_mode: parsed("cgroup", &spaces.cgroup)?,
        ..host
    })
}

fn with_resources(host: HostConfig, resources: &Resources) -> HostConfig {
    HostConfig {
        memory: limit(resources.memory),
        memory_reservation: limit(resources.memory_reservation),
        memory_swap: limit(resources.memory_swap),
        nano_cpus: limit(resources.nano_cpus),
        cpu_shares: limit(resources.cpu_shares),
        cpu_quota: limit(resources.cpu_quota),
        cpu_period: limit(resources.cpu_period),
        cpuset_cpus: text(&resources.cpuset_cpus),
        pids_limit: limit(resources.pids_limit),
        ..host
    }
}

fn with_limits(host: HostConfig, spec: &ContainerSpec) -> Result<HostConfig, String> {
    let limits: &Limits = &spec.limits;
    let blkio = &limits.blkio;
    let weights = blkio.weight_device.iter();
    let weights = weights.map(|(path, weight)| ResourcesBlkioWeightDevice {
        path: Some(path.clone()),
        weight: Some(usize::from(*weight)),
    });
    Ok(HostConfig {
        shm_size: limit(limits.shm_size),
        oom_kill_disable: limits.oom_kill_disable.then_some(true),
        oom_score_adj: limit(limits.oom_score_adj),
        memory_swappiness: limits.memory_swappiness,
        cpu_count: limit(limits.cpu_count),
        cpu_percent: limit(limits.cpu_percent),
        cpu_realtime_period: limit(limits.cpu_rt_period),
        cpu_realtime_runtime: limit(limits.cpu_rt_runtime),
        cgroup_parent: text(&limits.cgroup_parent),
        blkio_weight: (blkio.weight != 0).then_some(blkio.weight),
        blkio_weight_device: filled(weights.collect()),
        blkio_device_read_bps: rates("device_read_bps", &blkio.read_bps)?,
        blkio_device_read_iops: rates("device_read_iops", &blkio.read_iops)?,
        blkio_device_write_bps: rates("device_write_bps", &blkio.write_bps)?,
        blkio_device_write_iops: rates("device_write_iops", &blkio.write_iops)?,
        ulimits: filled(spec.ulimits.iter().map(ulimit).collect()),
        devices: filled(spec.devices.iter().map(device).collect()),
        device_cgroup_rules: filled(spec.device_cgroup_rules.clone()),
        device_requests: filled(spec.device_requests.iter().map(device_request).collect()),
        ..host
    })
}

/// Reads one of the few words that a field of the engine can have; empty = its default.
fn parsed<T: FromStr>(field: &str, word: &str) -> Result<Option<T>, String> {
    if word.is_empty() {
        return Ok(None);
    }
    let known = word.parse();
    known
        .map(Some)
        .map_err(|_| format!("{field} can't be {word:?}: the engine has no such word"))
}

fn rates(
    key: &str,
    by_path: &BTreeMap<String, i64>,
) -> Result<Option<Vec<ThrottleDevice>>, String> {
    let mut all = Vec::new();
    for (path, rate) in by_path {
        if *rate < 0 {
            return Err(format!("blkio_config.{key} of {path} can't be negative"));
        }
        all.push(ThrottleDevice {
            path: Some(path.clone()),
            rate: Some(*rate),
        });
    }
    Ok(filled(all))
}

fn ulimit((name, limit): (&String, &Ulimit)) -> ResourcesUlimits {
    ResourcesUlimits {
        name: Some(name.clone()),
        soft: Some(limit.soft),
        hard: Some(limit.hard),
    }
}

fn device(device: &Device) -> DeviceMapping {
    DeviceMapping {
        path_on_host: Some(device.source.clone()),
        path_in_container: Some(device.target.clone()),
        cgroup_permissions: Some(device.permissions.clone()),
    }
}

fn device_request(request: &DeviceRequest) -> EngineDeviceRequest {
    EngineDeviceRequest {
        driver: text(&request.driver),
        count: limit(request.count),
        device_ids: filled(request.ids.clone()),
        capabilities: filled(request.capabilities.clone()),
        options: (!request.options.is_empty()).then(|| unsorted(&request.options)),
    }
}

fn logging(logging: &Logging) -> HostConfigLogConfig {
    HostConfigLogConfig {
        typ: text(&logging.driver),
        config: filled_map(&logging.options),
    }
}

/// The engine takes both forms and keeps the one that it was given; the Docker CLI gives this one.
fn capability(name: &str) -> String {
    if name == "ALL" {
        return name.to_owned();
    }
    format!("CAP_{name}")
}

fn extra_host((name, address): &(String, String)) -> String {
    format!("{name}:{address}")
}

fn port_bindings(ports: &BTreeSet<Port>) -> PortMap {
    let mut bindings: PortMap = HashMap::new();
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
