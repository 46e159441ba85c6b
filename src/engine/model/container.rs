//! A container as it lives, and what runs inside.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::ContainerSpec;
use crate::secret::Sensitive;

/// A container as the engine shows it. Its environment is not written with it.
#[derive(Clone, Serialize, Deserialize)]
pub struct Container {
    /// Full id.
    pub id: String,
    /// Name without the leading slash.
    pub name: String,
    /// Id of the image it runs (`sha256:…`).
    pub image_id: String,
    /// What it is made from.
    pub spec: Arc<ContainerSpec>,
    /// What it is doing.
    pub state: ContainerState,
    /// What its health check says; `None` without one, and while its process does not run.
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
    /// Whether its process has ended with success and nobody had told it to; `false` also where
    /// the engine does not remember.
    pub ended_by_itself: bool,
    /// IP address by network, while it runs; networks that gave it none are left out.
    pub addresses: BTreeMap<String, String>,
}

impl Container {
    /// Returns whether its process runs.
    pub fn is_running(&self) -> bool {
        self.state == ContainerState::Running
    }
}

/// A command to run inside a running container.
pub struct Exec<'a> {
    /// Program and arguments.
    pub command: &'a [String],
    /// Environment beyond the container's own.
    pub env: &'a BTreeMap<String, Sensitive>,
    /// User and group; `None` = the container's own.
    pub user: Option<&'a str>,
    /// Directory that it runs in; `None` = the container's own.
    pub working_dir: Option<&'a str>,
    /// Whether it has all privileges.
    pub privileged: bool,
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Names of its networks.
    pub networks: BTreeSet<String>,
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

/// What the engine says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineInfo {
    /// Id that stays over restarts.
    pub id: String,
    /// Version of the engine.
    pub version: String,
}

/// How far a pull is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PullProgress {
    /// Bytes here already.
    pub done: u64,
    /// Bytes known so far in all.
    pub total: u64,
}
