//! Reads what a container may use.

use std::collections::{BTreeMap, BTreeSet};

use bollard::models::{HostConfig, ThrottleDevice};

use super::container::{EngineDefaults, SwapLimit};
use crate::engine::model::{
    Blkio, Device, DeviceRequest, Limits, Logging, Namespaces, Resources, Ulimit,
};

/// Bytes of `/dev/shm` that the engine gives a container when nobody says how many.
const DEFAULT_SHM: i64 = 64 << 20;

pub(super) fn resources(host: &HostConfig, swap: SwapLimit) -> Resources {
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

pub(super) fn limits(host: &HostConfig) -> Limits {
    let shm_size = host.shm_size.unwrap_or_default();
    let weights = host.blkio_weight_device.iter().flatten();
    Limits {
        shm_size: if shm_size == DEFAULT_SHM { 0 } else { shm_size },
        oom_kill_disable: host.oom_kill_disable.unwrap_or_default(),
        oom_score_adj: host.oom_score_adj.unwrap_or_default(),
        memory_swappiness: host.memory_swappiness.filter(|amount| *amount >= 0),
        cpu_count: host.cpu_count.unwrap_or_default(),
        cpu_percent: host.cpu_percent.unwrap_or_default(),
        cpu_rt_period: host.cpu_realtime_period.unwrap_or_default(),
        cpu_rt_runtime: host.cpu_realtime_runtime.unwrap_or_default(),
        cgroup_parent: host.cgroup_parent.clone().unwrap_or_default(),
        blkio: Blkio {
            weight: host.blkio_weight.unwrap_or_default(),
            weight_device: weights
                .filter_map(|one| {
                    let weight = u16::try_from(one.weight?).ok()?;
                    Some((one.path.clone()?, weight))
                })
                .collect(),
            read_bps: rates(host.blkio_device_read_bps.as_deref()),
            read_iops: rates(host.blkio_device_read_iops.as_deref()),
            write_bps: rates(host.blkio_device_write_bps.as_deref()),
            write_iops: rates(host.blkio_device_write_iops.as_deref()),
        },
    }
}

fn rates(all: Option<&[ThrottleDevice]>) -> BTreeMap<String, i64> {
    let all = all.unwrap_or_default().iter();
    all.filter_map(|one| Some((one.path.clone()?, one.rate?)))
        .collect()
}

pub(super) fn namespaces(host: &HostConfig) -> Namespaces {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    Namespaces {
        ipc: text(&host.ipc_mode),
        pid: text(&host.pid_mode),
        uts: text(&host.uts_mode),
        user: text(&host.userns_mode),
        cgroup: host
            .cgroupns_mode
            .map(|mode| mode.to_string())
            .unwrap_or_default(),
    }
}

pub(super) fn ulimits(host: &HostConfig) -> BTreeMap<String, Ulimit> {
    let all = host.ulimits.iter().flatten();
    all.filter_map(|one| {
        let limit = Ulimit {
            hard: one.hard.unwrap_or_default(),
            soft: one.soft.unwrap_or_default(),
        };
        Some((one.name.clone()?, limit))
    })
    .collect()
}

pub(super) fn devices(host: &HostConfig) -> BTreeSet<Device> {
    let all = host.devices.iter().flatten();
    all.map(|one| Device {
        source: one.path_on_host.clone().unwrap_or_default(),
        target: one.path_in_container.clone().unwrap_or_default(),
        permissions: one.cgroup_permissions.clone().unwrap_or_default(),
    })
    .collect()
}

pub(super) fn device_requests(host: &HostConfig) -> Vec<DeviceRequest> {
    let all = host.device_requests.iter().flatten();
    all.map(|one| DeviceRequest {
        driver: one.driver.clone().unwrap_or_default(),
        count: one.count.unwrap_or_default(),
        ids: one.device_ids.clone().unwrap_or_default(),
        capabilities: one.capabilities.clone().unwrap_or_default(),
        options: super::sorted(one.options.clone()),
    })
    .collect()
}

/// Reads where output goes. The engine writes its own driver and options into a container that
/// says nothing of them, and its own options beside those that a container has for its driver.
pub(super) fn logging(host: &HostConfig, defaults: &EngineDefaults) -> Option<Logging> {
    let config = host.log_config.as_ref()?;
    let driver = config.typ.clone().unwrap_or_default();
    let options = super::sorted(config.config.clone());
    let is_default = driver.is_empty() || driver == defaults.logging_driver;
    if is_default && options.is_empty() {
        return None;
    }
    Some(Logging { driver, options })
}
