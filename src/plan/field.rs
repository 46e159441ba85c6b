//! What can differ between Git, the last release and what is live, and what a difference means.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A property of a service that can differ.
///
/// | field | a difference means |
/// |---|---|
/// | `Container` | the container is missing: create it |
/// | `State` | it does not run: start it (restart it when it is paused) |
/// | `Name` | it has another name: rename it |
/// | `Network` | it is not connected as it should be: connect it again |
/// | `File`, `Dependency` | a mounted file or a dependency changed: restart it |
/// | `Owed` | an interrupted pass was to restart it: restart it |
/// | `Inside` | a container sees another file than the one on the host: restart it |
/// | `Config`, `Upstream`, `Certificate`, `Loaded` | of a proxy: have it load its files |
/// | all others | a new container: the engine can't change them on a live one |
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "each is the property of its name")]
pub enum Field {
    Container,
    Name,
    State,
    Image,
    ImageId,
    Command,
    Entrypoint,
    Env(String),
    Label(String),
    User,
    WorkingDir,
    Init,
    StopSignal,
    StopTimeout,
    Healthcheck,
    Port(String),
    Expose,
    Mount(String),
    Network(String),
    NetworkMode,
    Restart,
    Memory,
    MemoryReservation,
    MemorySwap,
    Cpus,
    CpuShares,
    CpuQuota,
    CpuPeriod,
    Cpuset,
    PidsLimit,
    Privileged,
    ReadOnly,
    CapAdd,
    CapDrop,
    File(String),
    Dependency(String),
    Owed,
    Config(String),
    Inside(String),
    Upstream(String),
    Certificate(String),
    Loaded,
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env {name}"),
            Self::Label(name) => write!(f, "label {name}"),
            Self::Port(target) => write!(f, "port {target}"),
            Self::Mount(target) => write!(f, "mount {target}"),
            Self::Network(name) => write!(f, "network {name}"),
            Self::File(path) => write!(f, "file {path}"),
            Self::Dependency(service) => write!(f, "dependency {service}"),
            Self::Config(path) => write!(f, "config {path}"),
            Self::Inside(path) => write!(f, "{path} as its container sees it"),
            Self::Upstream(upstream) => write!(f, "upstream {upstream}"),
            Self::Certificate(path) => write!(f, "certificate {path}"),
            Self::Loaded => f.write_str("loaded"),
            Self::Owed => f.write_str("restart owed by an interrupted pass"),
            Self::Container => f.write_str("container"),
            Self::Name => f.write_str("name"),
            Self::State => f.write_str("state"),
            Self::Expose => f.write_str("expose"),
            Self::Image => f.write_str("image"),
            Self::ImageId => f.write_str("image id"),
            Self::Command => f.write_str("command"),
            Self::Entrypoint => f.write_str("entrypoint"),
            Self::User => f.write_str("user"),
            Self::WorkingDir => f.write_str("working_dir"),
            Self::Init => f.write_str("init"),
            Self::StopSignal => f.write_str("stop_signal"),
            Self::StopTimeout => f.write_str("stop_grace_period"),
            Self::Healthcheck => f.write_str("healthcheck"),
            Self::NetworkMode => f.write_str("network_mode"),
            Self::Restart => f.write_str("restart"),
            Self::Memory => f.write_str("memory"),
            Self::MemoryReservation => f.write_str("memory reservation"),
            Self::MemorySwap => f.write_str("memory+swap"),
            Self::Cpus => f.write_str("cpus"),
            Self::CpuShares => f.write_str("cpu shares"),
            Self::CpuQuota => f.write_str("cpu quota"),
            Self::CpuPeriod => f.write_str("cpu period"),
            Self::Cpuset => f.write_str("cpuset"),
            Self::PidsLimit => f.write_str("pids limit"),
            Self::Privileged => f.write_str("privileged"),
            Self::ReadOnly => f.write_str("read_only"),
            Self::CapAdd => f.write_str("cap_add"),
            Self::CapDrop => f.write_str("cap_drop"),
        }
    }
}
