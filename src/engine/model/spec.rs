//! What a container is made from.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{
    CopiedFile, Device, DeviceRequest, Limits, Logging, Mount, Namespaces, Resources, Restart,
    Ulimit,
};
use crate::secret::Sensitive;

/// What a container is made from: what we ask for, and what inspect shows of a live one.
///
/// In a request, `None` leaves the choice to the image or the engine. In an answer of the
/// engine every field that it reports is `Some`.
///
/// It is written without what may be secret as a whole: environment and copied files.
#[derive(Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "they are switches of the engine, independent of each other"
)]
pub struct ContainerSpec {
    /// Image reference as written, for example `registry.example/app:v1`.
    pub image: String,
    /// Arguments (`Cmd`).
    pub command: Option<Vec<String>>,
    /// Program (`Entrypoint`); an empty list clears the image's.
    pub entrypoint: Option<Vec<String>>,
    /// Environment; `None` sends the bare name, which removes the image's value.
    #[serde(skip)]
    pub env: BTreeMap<String, Option<Sensitive>>,
    /// All labels, ours and the user's.
    pub labels: BTreeMap<String, String>,
    /// User and group.
    pub user: Option<String>,
    /// Working directory inside the container.
    pub working_dir: Option<String>,
    /// Runs an init process as PID 1.
    pub init: Option<bool>,
    /// Signal that asks the process to stop.
    pub stop_signal: Option<String>,
    /// Seconds between the stop signal and the kill.
    pub stop_timeout: Option<i64>,
    /// Health check.
    pub healthcheck: Option<Healthcheck>,
    /// Published ports.
    pub ports: BTreeSet<Port>,
    /// Exposed ports as `80/tcp` beyond the published ones.
    pub expose: BTreeSet<String>,
    /// Mounts by target path.
    pub mounts: BTreeMap<String, Mount>,
    /// Networks by name, with what the container is called there.
    pub networks: BTreeMap<String, Endpoint>,
    /// The network joined first (`NetworkMode`); one of `networks`, or a mode such as `none`.
    pub network_mode: String,
    /// Other containers and what they are called here, as `NAME:ALIAS`, where no network of
    /// `networks` says so: on the default bridge.
    pub links: BTreeSet<String>,
    /// Names that its `/etc/hosts` has beyond its own, with their addresses; in order.
    pub extra_hosts: Vec<(String, String)>,
    /// What the engine does when the process ends.
    pub restart: Restart,
    /// Limits that `docker update` can change.
    pub resources: Resources,
    /// Limits and scheduling that are fixed when a container is made.
    pub limits: Limits,
    /// Whether the container has all privileges.
    pub privileged: bool,
    /// Whether the root file system is read-only.
    pub read_only: bool,
    /// Added capabilities, without `CAP_`.
    pub cap_add: BTreeSet<String>,
    /// Dropped capabilities, without `CAP_`.
    pub cap_drop: BTreeSet<String>,
    /// Host name inside the container.
    pub hostname: Option<String>,
    /// Domain name inside the container.
    pub domainname: Option<String>,
    /// Whether its output is a terminal.
    pub tty: bool,
    /// Whether its standard input stays open.
    pub stdin_open: bool,
    /// Notes for the runtime (OCI annotations).
    pub annotations: BTreeMap<String, String>,
    /// Platform of the image as `linux/arm64`; `None` = the engine's own.
    pub platform: Option<String>,
    /// Runtime such as `runc`; `None` = the engine's default.
    pub runtime: Option<String>,
    /// Isolation technology; only Windows has a choice.
    pub isolation: Option<String>,
    /// Where its output goes; `None` = as the engine is configured.
    pub logging: Option<Logging>,
    /// Name servers.
    pub dns: Vec<String>,
    /// Options of the resolver.
    pub dns_options: Vec<String>,
    /// Domains that short names are looked up in.
    pub dns_search: Vec<String>,
    /// Which namespaces it shares, and with whom.
    pub namespaces: Namespaces,
    /// Groups of its process beyond its own.
    pub group_add: BTreeSet<String>,
    /// Options of the security modules, `label:disable` or `seccomp=…`.
    pub security_opt: BTreeSet<String>,
    /// Kernel parameters of its namespaces.
    pub sysctls: BTreeMap<String, String>,
    /// Limits of each process by name (`nofile`).
    pub ulimits: BTreeMap<String, Ulimit>,
    /// Devices of the host.
    pub devices: BTreeSet<Device>,
    /// Rules of the device cgroup, in order.
    pub device_cgroup_rules: Vec<String>,
    /// Devices that a driver finds, such as GPUs.
    pub device_requests: Vec<DeviceRequest>,
    /// Containers whose mounts it has too, by name, with `:ro` or `:rw`.
    pub volumes_from: BTreeSet<String>,
    /// Driver of its volumes that have no driver of their own; empty = `local`.
    pub volume_driver: String,
    /// Options of the storage driver.
    pub storage_opt: BTreeMap<String, String>,
    /// Files that are copied in before each start, by target path: configs and secrets that no
    /// file of the host holds.
    #[serde(skip)]
    pub copied: BTreeMap<String, CopiedFile>,
}

impl ContainerSpec {
    /// Returns the names of the containers whose namespaces it joins when it is started.
    pub fn joins(&self) -> impl Iterator<Item = &str> {
        let spaces = [
            &self.network_mode,
            &self.namespaces.ipc,
            &self.namespaces.pid,
        ];
        spaces.into_iter().filter_map(|space| joined(space))
    }

    /// Returns whether it joins a namespace of another container.
    pub fn is_joiner(&self) -> bool {
        self.joins().next().is_some()
    }

    /// Returns the names of the containers whose volumes it has.
    pub fn has_volumes_of(&self) -> impl Iterator<Item = &str> {
        let from = self.volumes_from.iter();
        from.map(|from| from.split(':').next().unwrap_or_default())
    }
}

/// Returns the container whose namespace a mode joins: `web` of `container:web`.
pub fn joined(mode: &str) -> Option<&str> {
    mode.strip_prefix("container:")
}

/// Returns the mode that joins the namespace of a container.
pub fn joining(container: &str) -> String {
    format!("container:{container}")
}

/// A health check as the engine runs it; durations in nanoseconds, 0 = the engine's default.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Healthcheck {
    /// `["NONE"]`, `["CMD", …]` or `["CMD-SHELL", …]`; empty = the image's.
    pub test: Vec<String>,
    /// Time between two checks, nanoseconds.
    pub interval: i64,
    /// Time after which one check has failed, nanoseconds.
    pub timeout: i64,
    /// Time at the start in which failures do not count, nanoseconds.
    pub start_period: i64,
    /// Failures in a row that make it unhealthy.
    pub retries: i64,
    /// Time between two checks while `start_period` runs, nanoseconds; API 1.44 and later.
    pub start_interval: i64,
}

impl Healthcheck {
    /// Returns the one that switches an image's own off.
    pub fn none() -> Self {
        Self {
            test: vec!["NONE".to_owned()],
            ..Self::default()
        }
    }

    /// Returns whether it switches an image's own off.
    pub fn is_none(&self) -> bool {
        self.test.first().is_some_and(|kind| kind == "NONE")
    }

    /// Returns this check with what it leaves open taken from `base`.
    #[must_use]
    pub fn over(&self, base: &Self) -> Self {
        let or = |own: i64, base: i64| if own == 0 { base } else { own };
        Self {
            test: if self.test.is_empty() {
                base.test.clone()
            } else {
                self.test.clone()
            },
            interval: or(self.interval, base.interval),
            timeout: or(self.timeout, base.timeout),
            start_period: or(self.start_period, base.start_period),
            retries: or(self.retries, base.retries),
            start_interval: or(self.start_interval, base.start_interval),
        }
    }
}

/// A published port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Port {
    /// Port inside the container.
    pub target: u16,
    /// `tcp`, `udp` or `sctp`.
    pub protocol: String,
    /// Address on the host; empty = all.
    pub host_ip: String,
    /// Port or range on the host as the engine takes it; empty = any free one.
    pub published: String,
}

impl Port {
    /// Returns address and port on the host as `127.0.0.1:8080`; empty = any free port.
    pub fn host(&self) -> String {
        match (self.host_ip.as_str(), self.published.as_str()) {
            ("", published) => published.to_owned(),
            (ip, published) if ip.contains(':') => format!("[{ip}]:{published}"),
            (ip, published) => format!("{ip}:{published}"),
        }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.host();
        let colon = if host.is_empty() || host.ends_with(':') {
            ""
        } else {
            ":"
        };
        write!(f, "{host}{colon}{}/{}", self.target, self.protocol)
    }
}

/// A container's place in a network.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Endpoint {
    /// Names it answers to there; the engine may add its own.
    pub aliases: BTreeSet<String>,
    /// Other containers and what they are called here, as `NAME:ALIAS`.
    pub links: BTreeSet<String>,
    /// Fixed address; empty = any.
    pub ipv4_address: String,
    /// Fixed address; empty = any.
    pub ipv6_address: String,
    /// Addresses of the link, outside the control of the engine.
    pub link_local_ips: BTreeSet<String>,
    /// Fixed hardware address; empty = any. Before API 1.44 only that of the first network.
    pub mac_address: String,
    /// Options of the network's driver.
    pub driver_opts: BTreeMap<String, String>,
    /// Name of the interface inside; empty = `ethN`. API 1.49 and later.
    pub interface_name: String,
    /// The network with the highest one is the way out; API 1.48 and later.
    pub gw_priority: i64,
}

impl Endpoint {
    /// Returns the same place without a fixed address: one that is of another network means
    /// nothing there.
    #[must_use]
    pub fn without_address(&self) -> Self {
        Self {
            ipv4_address: String::new(),
            ipv6_address: String::new(),
            ..self.clone()
        }
    }
}
