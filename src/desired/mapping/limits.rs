//! Maps what a container may use.

use std::collections::BTreeMap;

use super::values::Values;
use crate::engine::model::{Blkio, Limits, Resources, Ulimit};
use crate::yaml::{Kind, Node};

/// Billionths of a processor.
const NANO: f32 = 1e9;

/// What a container may use.
pub(super) struct Mapped {
    pub(super) resources: Resources,
    pub(super) limits: Limits,
}

/// Maps limits; those of `deploy.resources` win.
pub(super) fn map(values: Values<'_>) -> Mapped {
    let deployed = values.values("deploy").values("resources");
    let (limits, reserved) = (deployed.values("limits"), deployed.values("reservations"));
    let or = |first: i64, second: i64| if first == 0 { second } else { first };
    let swappiness = values.integer("mem_swappiness");
    Mapped {
        resources: Resources {
            memory: or(limits.integer("memory"), values.integer("mem_limit")),
            memory_reservation: or(
                reserved.integer("memory"),
                values.integer("mem_reservation"),
            ),
            memory_swap: values.integer("memswap_limit"),
            nano_cpus: or(limits.scaled("cpus", NANO), values.scaled("cpus", NANO)),
            cpu_shares: values.integer("cpu_shares"),
            cpu_quota: values.integer("cpu_quota"),
            cpu_period: values.integer("cpu_period"),
            cpuset_cpus: values.text_or_empty("cpuset"),
            pids_limit: or(limits.integer("pids"), values.integer("pids_limit")),
        },
        limits: Limits {
            shm_size: values.integer("shm_size"),
            oom_kill_disable: values.flag("oom_kill_disable"),
            oom_score_adj: values.integer("oom_score_adj"),
            memory_swappiness: (swappiness != 0).then_some(swappiness),
            cpu_count: values.integer("cpu_count"),
            cpu_percent: values.scaled("cpu_percent", 100.0),
            cpu_rt_period: values.integer("cpu_rt_period"),
            cpu_rt_runtime: values.integer("cpu_rt_runtime"),
            cgroup_parent: values.text_or_empty("cgroup_parent"),
            blkio: blkio(values.values("blkio_config")),
        },
    }
}

/// Maps limits of processes: one number for both, or the two.
pub(super) fn ulimits(values: Values<'_>) -> BTreeMap<String, Ulimit> {
    let limit = |node: &Node| {
        if let Kind::Int(both) = node.kind {
            return Ulimit {
                hard: both,
                soft: both,
            };
        }
        let pair = Values::of(node);
        Ulimit {
            hard: pair.integer("hard"),
            soft: pair.integer("soft"),
        }
    };
    values
        .entries("ulimits")
        .map(|entry| (entry.key.clone(), limit(&entry.value)))
        .collect()
}

fn blkio(config: Values<'_>) -> Blkio {
    let rates = |key: &str| {
        config
            .maps(key)
            .map(|(_, device)| (path(device), either(device, "rate", "Rate")))
            .collect()
    };
    let weight = |number: i64| u16::try_from(number).unwrap_or_default();
    Blkio {
        weight: weight(config.integer("weight")),
        weight_device: config
            .maps("weight_device")
            .map(|(_, device)| (path(device), weight(either(device, "weight", "Weight"))))
            .collect(),
        read_bps: rates("device_read_bps"),
        read_iops: rates("device_read_iops"),
        write_bps: rates("device_write_bps"),
        write_iops: rates("device_write_iops"),
    }
}

/// The model has the names of Go's fields here, because the types of compose-go name no others.
fn path(device: Values<'_>) -> String {
    let path = device.text("path").or_else(|| device.text("Path"));
    path.unwrap_or_default()
}

fn either(device: Values<'_>, one: &str, other: &str) -> i64 {
    match device.integer(one) {
        0 => device.integer(other),
        number => number,
    }
}
