//! What a container may use, and what the engine does with it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// What the engine does when the process ends.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Restart {
    /// Nothing.
    #[default]
    No,
    /// Starts it again whatever happened.
    Always,
    /// Starts it again unless a person stopped it.
    UnlessStopped,
    /// Starts it again after a failure, at most so many times (0 = without limit).
    OnFailure(i64),
}

impl Restart {
    /// Returns whether a process that has ended with code 0 stays so.
    pub fn leaves_success_alone(&self) -> bool {
        match self {
            Self::No | Self::OnFailure(_) => true,
            Self::Always | Self::UnlessStopped => false,
        }
    }
}

impl fmt::Display for Restart {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::No => f.write_str("no"),
            Self::Always => f.write_str("always"),
            Self::UnlessStopped => f.write_str("unless-stopped"),
            Self::OnFailure(0) => f.write_str("on-failure"),
            Self::OnFailure(times) => write!(f, "on-failure:{times}"),
        }
    }
}

/// Limits of a container; 0 or empty = none. What `docker update` can change.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Resources {
    /// Bytes of memory.
    pub memory: i64,
    /// Bytes of memory kept for it.
    pub memory_reservation: i64,
    /// Bytes of memory and swap together; -1 = no limit.
    pub memory_swap: i64,
    /// Billionths of a processor.
    pub nano_cpus: i64,
    /// Relative weight.
    pub cpu_shares: i64,
    /// Microseconds a period.
    pub cpu_quota: i64,
    /// Microseconds.
    pub cpu_period: i64,
    /// Processors as `0-2,5`.
    pub cpuset_cpus: String,
    /// Processes at most.
    pub pids_limit: i64,
}

/// Namespaces of a container; empty = its own, or as the engine is configured. Another
/// container's is `container:NAME`, the host's `host`.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Namespaces {
    /// Shared memory and queues (`private`, `shareable`, `host`, `container:NAME`).
    pub ipc: String,
    /// Process ids.
    pub pid: String,
    /// Host name.
    pub uts: String,
    /// User ids.
    pub user: String,
    /// Control groups (`private`, `host`).
    pub cgroup: String,
}

/// Limits and scheduling that are fixed when a container is made; 0, empty and `None` = the
/// engine's default.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of `/dev/shm`.
    pub shm_size: i64,
    /// Whether the kernel may not kill it for want of memory.
    pub oom_kill_disable: bool,
    /// How soon the kernel kills it for want of memory, -1000 (last) to 1000.
    pub oom_score_adj: i64,
    /// Tendency to swap, 0 to 100.
    pub memory_swappiness: Option<i64>,
    /// Processors (Windows).
    pub cpu_count: i64,
    /// Percent of the processors (Windows).
    pub cpu_percent: i64,
    /// Microseconds a real-time period.
    pub cpu_rt_period: i64,
    /// Microseconds.
    pub cpu_rt_runtime: i64,
    /// Control group above its own.
    pub cgroup_parent: String,
    /// Access to block devices.
    pub blkio: Blkio,
}

/// Access to block devices; rates by path of the device.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Blkio {
    /// Relative weight, 10 to 1000; 0 = the default.
    pub weight: u16,
    /// Relative weight by device.
    pub weight_device: BTreeMap<String, u16>,
    /// Bytes a second.
    pub read_bps: BTreeMap<String, i64>,
    /// Operations a second.
    pub read_iops: BTreeMap<String, i64>,
    /// Bytes a second.
    pub write_bps: BTreeMap<String, i64>,
    /// Operations a second.
    pub write_iops: BTreeMap<String, i64>,
}

/// Where the output of a container goes.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Logging {
    /// Driver such as `json-file`; empty = the engine's.
    pub driver: String,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
}

/// A limit of a process; -1 = none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ulimit {
    /// What it may raise itself up to.
    pub hard: i64,
    /// What it has.
    pub soft: i64,
}

/// A device of the host.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Device {
    /// Path on the host.
    pub source: String,
    /// Path in the container.
    pub target: String,
    /// Some of `rwm`.
    pub permissions: String,
}

/// Devices that a driver finds.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DeviceRequest {
    /// Driver such as `nvidia`; empty = whichever has the capabilities.
    pub driver: String,
    /// How many; -1 = all; 0 = those in `ids`.
    pub count: i64,
    /// Which ones.
    pub ids: Vec<String>,
    /// What they must be able to do: any of these sets.
    pub capabilities: Vec<Vec<String>>,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
}
