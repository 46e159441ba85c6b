//! Tells what a container may do and use.

use std::collections::BTreeMap;

use super::spec::Told;
use super::{Field, words};
use crate::engine::model::{Blkio, ContainerSpec, Limits, Resources};

/// Tells what a container may do and use.
pub(super) fn tell(spec: &ContainerSpec, told: &mut Told<'_>) {
    resources(&spec.resources, told);
    limits(&spec.limits, told);
    blkio(&spec.limits.blkio, told);
    told.switch(Field::Privileged, spec.privileged);
    told.switch(Field::ReadOnly, spec.read_only);
    told.text(Field::CapAdd, &words::joined(&spec.cap_add));
    told.text(Field::CapDrop, &words::joined(&spec.cap_drop));
    told.text(Field::GroupAdd, &words::joined(&spec.group_add));
    told.text(Field::SecurityOpt, &words::security_opt(spec));
    for (name, limit) in &spec.ulimits {
        told.text(Field::Ulimit(name.clone()), &words::ulimit(*limit));
    }
    for device in &spec.devices {
        let field = Field::Device(device.target.clone());
        told.text(field, &words::device(device));
    }
    told.text(
        Field::DeviceCgroupRules,
        &spec.device_cgroup_rules.join(", "),
    );
    told.text(
        Field::DeviceRequests,
        &words::device_requests(&spec.device_requests),
    );
    told.named(Field::StorageOpt, &spec.storage_opt);
}

fn resources(limits: &Resources, told: &mut Told<'_>) {
    told.amount(Field::Memory, limits.memory, words::bytes);
    told.amount(
        Field::MemoryReservation,
        limits.memory_reservation,
        words::bytes,
    );
    // The engine doubles the memory limit for memory and swap together when only the first is set.
    let both = limits.memory.saturating_mul(2);
    let swap = if limits.memory_swap == 0 {
        both
    } else {
        limits.memory_swap
    };
    if swap != both {
        told.text(Field::MemorySwap, &words::bytes(swap));
    }
    told.amount(Field::Cpus, limits.nano_cpus, |amount| {
        format!("{amount} nano")
    });
    told.number(Field::CpuShares, limits.cpu_shares);
    told.amount(Field::CpuQuota, limits.cpu_quota, micros);
    told.amount(Field::CpuPeriod, limits.cpu_period, micros);
    told.text(Field::Cpuset, &limits.cpuset_cpus);
    // The engine has no other word for no limit.
    told.number(Field::PidsLimit, limits.pids_limit.max(0));
}

fn limits(limits: &Limits, told: &mut Told<'_>) {
    told.amount(Field::ShmSize, limits.shm_size, words::bytes);
    told.switch(Field::OomKillDisable, limits.oom_kill_disable);
    told.number(Field::OomScoreAdj, limits.oom_score_adj);
    let swappiness = limits.memory_swappiness.map(|amount| amount.to_string());
    told.text(Field::MemorySwappiness, &swappiness.unwrap_or_default());
    told.number(Field::CpuCount, limits.cpu_count);
    told.number(Field::CpuPercent, limits.cpu_percent);
    told.amount(Field::CpuRtPeriod, limits.cpu_rt_period, micros);
    told.amount(Field::CpuRtRuntime, limits.cpu_rt_runtime, micros);
    told.text(Field::CgroupParent, &limits.cgroup_parent);
}

fn blkio(blkio: &Blkio, told: &mut Told<'_>) {
    told.number(Field::BlkioWeight, i64::from(blkio.weight));
    for (path, weight) in &blkio.weight_device {
        let field = Field::BlkioWeightDevice(path.clone());
        told.number(field, i64::from(*weight));
    }
    let mut rates = |what: &str, by_path: &BTreeMap<String, i64>| {
        for (path, rate) in by_path {
            told.number(Field::BlkioRate(format!("{what} {path}")), *rate);
        }
    };
    rates("read_bps", &blkio.read_bps);
    rates("read_iops", &blkio.read_iops);
    rates("write_bps", &blkio.write_bps);
    rates("write_iops", &blkio.write_iops);
}

fn micros(amount: i64) -> String {
    format!("{amount} µs")
}
