//! What the engine runs, in our words: one vocabulary for what we ask for and what it shows.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::secret::Sensitive;

/// What a container is made from: what we ask for, and what inspect shows of a live one.
///
/// In a request, `None` leaves the choice to the image or the engine. In an answer of the
/// engine every field that it reports is `Some`.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct ContainerSpec {
    /// Image reference as written, for example `registry.example/app:v1`.
    pub image: String,
    /// Arguments (`Cmd`).
    pub command: Option<Vec<String>>,
    /// Program (`Entrypoint`); an empty list clears the image's.
    pub entrypoint: Option<Vec<String>>,
    /// Environment; `None` sends the bare name, which removes the image's value.
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
    /// Names that its `/etc/hosts` has beyond its own, with their addresses.
    pub extra_hosts: BTreeMap<String, String>,
    /// What the engine does when the process ends.
    pub restart: Restart,
    /// Limits that `docker update` can change.
    pub resources: Resources,
    /// Whether the container has all privileges.
    pub privileged: bool,
    /// Whether the root file system is read-only.
    pub read_only: bool,
    /// Added capabilities, without `CAP_`.
    pub cap_add: BTreeSet<String>,
    /// Dropped capabilities, without `CAP_`.
    pub cap_drop: BTreeSet<String>,
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
}

impl Healthcheck {
    /// Returns the one that switches an image's own off.
    pub fn none() -> Self {
        Self {
            test: vec!["NONE".to_owned()],
            ..Self::default()
        }
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

/// Something mounted into a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// What is mounted.
    pub source: MountSource,
    /// Whether the container can't write to it.
    pub read_only: bool,
    /// Further options of the short form (`z`, `rshared`, `nocopy`, …), sorted.
    pub options: Vec<String>,
}

impl Mount {
    /// Returns a new volume without a name of its own, as the engine makes it for an image.
    pub fn anonymous() -> Self {
        Self {
            source: MountSource::Anonymous(None),
            read_only: false,
            options: Vec::new(),
        }
    }
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MountSource {
    /// A named volume, by its name on the engine.
    Volume(String),
    /// A volume without a name of its own. `Some` on a live container, or to carry one over.
    Anonymous(Option<String>),
    /// A directory or file of the host, by absolute path.
    Bind {
        /// Absolute path on the host.
        path: String,
        /// Whether the engine makes a directory where nothing is.
        create: bool,
    },
    /// Memory.
    Tmpfs,
    /// A kind that this version does not make (npipe, cluster, image), by its name.
    Other(String),
}

impl fmt::Display for MountSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Volume(name) => write!(f, "volume {name}"),
            Self::Anonymous(_) => f.write_str("anonymous volume"),
            Self::Bind { path, .. } => f.write_str(path),
            Self::Tmpfs => f.write_str("tmpfs"),
            Self::Other(kind) => f.write_str(kind),
        }
    }
}

/// A container's place in a network.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Endpoint {
    /// Names it answers to there; the engine may add its own.
    pub aliases: BTreeSet<String>,
}

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

/// A container as the engine shows it.
#[derive(Clone)]
pub struct Container {
    /// Full id.
    pub id: String,
    /// Name without the leading slash.
    pub name: String,
    /// Id of the image it runs (`sha256:…`).
    pub image_id: String,
    /// What it is made from.
    pub spec: ContainerSpec,
    /// What it is doing.
    pub state: ContainerState,
    /// What its health check says; `None` without one.
    pub health: Option<Health>,
    /// Id of its first process as the engine's host counts them; `None` while it does not run.
    pub pid: Option<i64>,
    /// How often the engine has started it again.
    pub restart_count: i64,
    /// RFC 3339 time of the last start, as the engine gives it.
    pub started_at: String,
    /// Whether the kernel killed a process of it for want of memory; also said of one that the
    /// engine is starting again.
    pub oom_killed: bool,
    /// IP address by network, while it runs; networks that gave it none are left out.
    pub addresses: BTreeMap<String, String>,
}

impl Container {
    /// Returns whether its process runs.
    pub fn is_running(&self) -> bool {
        self.state == ContainerState::Running
    }
}

/// A command to run inside a running container, with the container's own working directory.
pub struct Exec<'a> {
    /// Program and arguments.
    pub command: &'a [String],
    /// Environment beyond the container's own.
    pub env: &'a BTreeMap<String, Sensitive>,
    /// User and group; `None` = the container's own.
    pub user: Option<&'a str>,
}

/// How a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed {
    /// Exit code; 128 + the number of the signal that killed it.
    pub code: i64,
    /// The end of what it wrote to its standard error: at most 16 KiB, in whole lines.
    pub errors: String,
}

/// One line of the engine's container list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerSummary {
    /// Full id.
    pub id: String,
    /// Name without the leading slash.
    pub name: String,
    /// Image reference as the engine shows it.
    pub image: String,
    /// All labels.
    pub labels: BTreeMap<String, String>,
    /// Whether its process runs.
    pub running: bool,
}

/// What a container is doing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ContainerState {
    /// Made and never started.
    Created,
    /// Its process runs.
    Running,
    /// Its process is frozen.
    Paused,
    /// The engine is starting it again after its process ended.
    Restarting,
    /// Its process has ended.
    Exited {
        /// Exit code of the process.
        code: i64,
        /// Whether the kernel killed it for want of memory.
        oom_killed: bool,
    },
    /// Being removed.
    Removing,
    /// Could not be removed.
    Dead,
}

impl fmt::Display for ContainerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Created => f.write_str("created"),
            Self::Running => f.write_str("running"),
            Self::Paused => f.write_str("paused"),
            Self::Restarting => f.write_str("restarting"),
            Self::Exited {
                code,
                oom_killed: false,
            } => write!(f, "exited ({code})"),
            Self::Exited {
                code,
                oom_killed: true,
            } => {
                write!(f, "exited ({code}, out of memory)")
            }
            Self::Removing => f.write_str("being removed"),
            Self::Dead => f.write_str("dead"),
        }
    }
}

/// What a health check says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// No verdict yet.
    Starting,
    /// Passes.
    Healthy,
    /// Fails.
    Unhealthy,
}

/// An image on the host: its identity and the defaults that a container takes from it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Image {
    /// `sha256:…` of its configuration.
    pub id: String,
    /// Registry digests known for it, as `repository@sha256:…`.
    pub repo_digests: Vec<String>,
    /// Default arguments.
    pub command: Vec<String>,
    /// Default program.
    pub entrypoint: Vec<String>,
    /// Default environment.
    pub env: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Default user.
    pub user: String,
    /// Default working directory.
    pub working_dir: String,
    /// Default stop signal; empty = the engine's.
    pub stop_signal: String,
    /// Default health check.
    pub healthcheck: Option<Healthcheck>,
    /// Exposed ports as `80/tcp`.
    pub expose: BTreeSet<String>,
    /// Declared volume targets.
    pub volumes: BTreeSet<String>,
}

/// A network to make, or as the engine shows it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Network {
    /// Name on the engine.
    pub name: String,
    /// Id; empty in a request.
    pub id: String,
    /// Driver; `bridge` unless said otherwise.
    pub driver: String,
    /// Driver options.
    pub options: BTreeMap<String, String>,
    /// Whether it has no way out.
    pub internal: bool,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// A volume to make, or as the engine shows it.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Volume {
    /// Name on the engine.
    pub name: String,
    /// Driver; `local` unless said otherwise.
    pub driver: String,
    /// Driver options.
    pub options: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// What the engine says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineInfo {
    /// Id that stays over restarts.
    pub id: String,
    /// Version of the engine.
    pub version: String,
    /// Version of its API, as negotiated.
    pub api_version: String,
}

/// How far a pull is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PullProgress {
    /// Bytes here already.
    pub done: u64,
    /// Bytes known so far in all.
    pub total: u64,
}
