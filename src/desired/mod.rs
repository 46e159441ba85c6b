//! Turns a tree at one commit into the [`DesiredState`] of a stack.
//!
//! [`load`] is pure: it sees the tree and a [`HostFiles`], and returns either the whole desired
//! state or everything that is wrong, each finding with file, line and column.

pub mod backups;
pub mod checks;
pub mod compose;
mod examples;
mod file_change;
mod findings;
mod host_files;
mod load;
pub mod maintenance;
pub mod manifest;
mod mapping;
pub mod migrations;
mod named;
pub mod placed;
mod project_files;
pub mod proxy;
pub mod require;
mod schedule;
pub mod strategy;
#[cfg(test)]
mod tests;
mod transaction;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;

use backups::{Backup, BackupName};
use checks::{Ready, Smoke};
use maintenance::Maintenance;
use migrations::{Job, Migration, OnFailure};
use proxy::DesiredProxy;
use strategy::Strategy;

pub use host_files::HostFiles;
pub use load::{Place, load};
pub use manifest::{DriftPolicy, OnFileChange, ServiceName, StackName};
pub use schedule::Schedule;

use crate::diagnostic::{Diagnostic, Location};
use crate::engine::model::{ContainerSpec, Network, Volume};
use crate::files::{self, Mode};
use crate::gates::Suspension;
use crate::permits::Touch;
use crate::routes::Kind;
use crate::secret::Sensitive;
use crate::source::{CommitInfo, RepoPath};
use crate::trust::{Gate, Standing};

/// What Git wants one stack to be.
#[derive(Clone)]
pub struct DesiredState {
    /// Name of the stack; the Compose project name.
    pub stack: StackName,
    /// The commit that says so.
    pub commit: CommitInfo,
    /// What the settings say to the head of its branch, where that is another commit.
    pub standing: Standing,
    /// What the settings have a change wait for.
    pub gate: Gate,
    /// That the stack is left alone.
    pub suspended: Option<Suspension>,
    /// When its lifetime is over; `None` = it stays.
    pub expires: Option<Timestamp>,
    /// Its services.
    pub services: BTreeMap<ServiceName, Service>,
    /// Services that it has and that have no container: `replicas: 0`.
    pub at_rest: BTreeSet<ServiceName>,
    /// Its networks, by their name on the engine.
    pub networks: BTreeMap<String, Wanted<Network>>,
    /// Its volumes, by their name on the engine.
    pub volumes: BTreeMap<String, Wanted<Volume>>,
    /// Where the keys of its networks stand, by their name on the engine.
    pub network_places: BTreeMap<String, Places>,
    /// Where the keys of its volumes stand, by their name on the engine.
    pub volume_places: BTreeMap<String, Places>,
    /// Its Compose files, by where they are as seen from the project directory; they need not be
    /// there.
    pub compose_files: Vec<PathBuf>,
    /// Directory of the host where relative paths resolve.
    pub project_directory: PathBuf,
    /// Repository files that services mount, by their path below the project directory.
    pub files: BTreeMap<RepoPath, PlacedFile>,
    /// Files at fixed places of the host, by their absolute path.
    pub host_placed: BTreeMap<PathBuf, PlacedFile>,
    /// Places of the host that the manifest names.
    pub named: NamedPlaces,
    /// The proxy in front of it.
    pub proxy: Option<DesiredProxy>,
    /// How long a service without a health check must run before it counts as started.
    pub soak: Duration,
    /// How long everything that was started is watched before it counts as up; `None` = not.
    pub soak_after: Option<Duration>,
    /// Time zone of schedules and of the names of backups.
    pub time_zone: TimeZone,
    /// The page that visitors see while the stack is worked on.
    pub maintenance: Option<Maintenance>,
    /// What stands on that page.
    pub maintenance_page: Option<Vec<u8>>,
    /// Backups by name.
    pub backups: BTreeMap<BackupName, Backup>,
    /// Commands that bring the data to the form that new code wants, in order.
    pub migrations: Vec<Migration>,
    /// One-off commands by name.
    pub jobs: BTreeMap<String, Job>,
    /// Checks of services after they were started.
    pub ready: Vec<Ready>,
    /// Checks of the whole stack after all services are ready.
    pub smoke: Vec<Smoke>,
    /// What happens when a new release is not up.
    pub on_failure: OnFailure,
    /// The release or attempt whose data the code is said to work with.
    pub accept_schema: Option<String>,
    /// What is shown after a deploy, by the file that it stands in.
    pub checklist: Vec<(RepoPath, String)>,
    /// What happens to a container that was changed by hand.
    pub drift: DriftPolicy,
    /// Whether containers of services that Git no longer names are removed.
    pub prune: bool,
    /// Whose business a service is, where somebody is told of what happens to it.
    pub owners: BTreeMap<ServiceName, Kind>,
    /// Values that must not be shown anywhere.
    pub secrets: Vec<Sensitive>,
    /// Files of the host that were read: a change of one is a reason to look again.
    pub host_files: BTreeSet<PathBuf>,
    /// Encrypted files of the repository that were read.
    pub sealed_files: BTreeSet<RepoPath>,
    /// What is not wrong and still worth saying.
    pub warnings: Vec<Diagnostic>,
    /// Files of the host with secrets in them that everybody there may read.
    pub exposed: Vec<Diagnostic>,
}

/// One service of a stack.
#[derive(Clone)]
pub struct Service {
    /// What its container is made from, without the labels that Moored adds.
    pub spec: ContainerSpec,
    /// Variables whose value stands in Git and may be shown.
    pub committed_env: BTreeSet<String>,
    /// Name of its container when the Compose file gives one.
    pub container_name: Option<String>,
    /// What must be there before it starts.
    pub depends_on: BTreeMap<ServiceName, Dependency>,
    /// What happens to it when a repository file that it mounts has changed.
    pub on_file_change: OnFileChange,
    /// How its container is replaced.
    pub strategy: Strategy,
    /// Repository files that it mounts.
    pub mounted_files: BTreeSet<RepoPath>,
    /// What Docker Compose has as the hash of it, by which that knows again what it made.
    pub config_hash: String,
    /// When its image is pulled.
    pub pull: Pull,
    /// What runs inside after each start.
    pub post_start: Vec<Hook>,
    /// What runs inside before it is stopped for good.
    pub pre_stop: Vec<Hook>,
    /// Where the value of each of its keys stands.
    pub places: Places,
}

/// When an image is pulled (`pull_policy`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Pull {
    /// When it is not on the host.
    #[default]
    Missing,
    /// Whenever the registry has another one for its tag.
    Always,
    /// Never: it must be on the host.
    Never,
    /// Like [`Pull::Always`], when the last look at the registry is longer ago than this.
    Every(Duration),
}

/// A command that runs inside a service's container at a turn of its life.
#[derive(Clone)]
pub struct Hook {
    /// Program and arguments.
    pub command: Vec<String>,
    /// User and group; `None` = the container's own.
    pub user: Option<String>,
    /// Whether it has all privileges.
    pub privileged: bool,
    /// Directory that it runs in; `None` = the container's own.
    pub working_dir: Option<String>,
    /// Environment beyond the container's own.
    pub env: BTreeMap<String, Sensitive>,
}

/// Where the value of each key of something stands.
pub type Places = BTreeMap<String, Location>;

/// A network or volume, and whose it is.
#[derive(Clone)]
pub enum Wanted<T> {
    /// Made by us when it is not there.
    Own(T),
    /// Must be there already; never changed.
    External(T),
}

/// What must be true of a service before another one starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// What to wait for.
    pub condition: Condition,
    /// Whether the dependent restarts when the service is replaced.
    pub restart: bool,
    /// Whether the service must exist.
    pub required: bool,
}

/// What to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// It has been started.
    Started,
    /// Its health check passes.
    Healthy,
    /// It has ended with exit code 0.
    Completed,
}

/// A repository file as it is placed on the host.
#[derive(Clone, PartialEq, Eq)]
pub struct PlacedFile {
    /// Its content.
    pub content: Vec<u8>,
    /// Whether it may be executed.
    pub mode: Mode,
    /// Whether a service mounts this very file: it is then changed in place, because the mount
    /// pins its inode.
    pub mounted_singly: bool,
}

/// Places of the host that a manifest names.
#[derive(Clone, Debug, Default)]
pub struct NamedPlaces {
    /// Those of which the manifest itself says where they are.
    pub places: Vec<NamedPlace>,
    /// Where `host` and `configs` of its proxy stand.
    pub proxy: Places,
}

/// A place of the host that a manifest names, or where it has a file put.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedPlace {
    /// The key of the manifest.
    pub key: &'static str,
    /// Where it stands.
    pub at: Option<Location>,
    /// The place.
    pub path: PathBuf,
    /// What is done there.
    pub touch: Touch,
}

/// Returns the name of a service's container when the Compose file gives none: Compose's own.
pub fn default_container_name(stack: &StackName, service: &ServiceName) -> String {
    format!("{stack}-{}-{}", service.service(), service.number())
}

impl PlacedFile {
    /// Returns the digest of its content and mode.
    pub fn digest(&self) -> String {
        files::digest(&self.content, self.mode)
    }
}
