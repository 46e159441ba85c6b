//! The steps of a plan: a closed list of typed actions. The executor walks them and decides
//! nothing; a new action makes the compiler name every place to fill in.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::facts::Facts;
use super::{Reason, ReleaseId, Schema};
use crate::desired::backups::{Backup, BackupName};
use crate::desired::checks::{Ready, Smoke};
use crate::desired::maintenance::Maintenance;
use crate::desired::{PlacedFile, ServiceName};
use crate::engine::model::{ContainerSpec, Network, Volume};
use crate::maintenance::Owner;
use crate::source::RepoPath;

/// Where in the deploy transaction a step belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Everything that can fail without touching what runs.
    Prepare,
    /// Maintenance page on, writers stopped, data backed up.
    Guard,
    /// The data brought to the form that the new code wants.
    Migrate,
    /// Networks, volumes, files and containers.
    Converge,
    /// What was made is up and stays up.
    Verify,
    /// Maintenance page off, release recorded, leftovers away.
    Settle,
}

/// One step.
#[derive(Clone)]
pub struct Step {
    /// Its number in the plan, from 1.
    pub number: u32,
    /// Where it belongs.
    pub phase: Phase,
    /// What is done.
    pub action: Action,
    /// Why.
    pub reasons: Vec<Reason>,
    /// Steps that must be done before.
    pub after: Vec<u32>,
}

/// What is done.
#[derive(Clone)]
pub enum Action {
    /// Pulls an image by its digest and gives it its tag.
    Pull {
        /// Services that want it.
        services: Vec<ServiceName>,
        /// Reference as written.
        image: String,
        /// The digest that it stands for, resolved once.
        digest: String,
    },
    /// Measures how fast a check is answered before anything changes.
    Measure(Box<SmokeDraft>),
    /// Switches the maintenance page on.
    MaintainOn(Box<Raise>),
    /// Switches the maintenance page off.
    MaintainOff(Box<Lower>),
    /// Stops a container so that it does not write.
    Stop {
        /// Of which service.
        service: ServiceName,
        /// Which one.
        container: ContainerRef,
    },
    /// Takes a backup and verifies it.
    Backup(Box<BackupDraft>),
    /// Brings the data to the form that the new code wants.
    Migrate(Box<MigrationDraft>),
    /// Runs a one-off command.
    Job(Box<JobDraft>),
    /// Puts a backup in the place of the data.
    Restore(Box<RestoreDraft>),
    /// Gives the place of a container that no release vouches for back to the one before.
    PutBack {
        /// Of which service.
        service: ServiceName,
        /// The container before.
        old: ContainerRef,
        /// Its name from then on.
        name: String,
    },
    /// Makes a network.
    CreateNetwork(Network),
    /// Makes a volume.
    CreateVolume(Volume),
    /// Writes repository files into the project directory.
    Place {
        /// The project directory.
        root: PathBuf,
        /// What is written and removed there.
        files: Vec<Placement>,
    },
    /// Gives a container its name back after an interrupted replace.
    Rename {
        /// Which container.
        container: ContainerRef,
        /// Its name from then on.
        name: String,
    },
    /// Makes and starts a container where there is none.
    Create {
        /// For which service.
        service: ServiceName,
        /// Its name.
        name: String,
        /// What it is made from.
        spec: Box<ContainerSpec>,
    },
    /// Makes a new container, stops the old one and keeps it aside, starts the new one.
    Replace {
        /// For which service.
        service: ServiceName,
        /// The container that goes.
        old: ContainerRef,
        /// Whether it runs again when the replace is taken back: a job that is done does not.
        old_serves: bool,
        /// Name of the new one.
        name: String,
        /// What it is made from.
        spec: Box<ContainerSpec>,
    },
    /// Starts a container.
    Start {
        /// Of which service.
        service: ServiceName,
        /// Which one.
        container: ContainerRef,
    },
    /// Restarts a container.
    Restart {
        /// Of which service.
        service: ServiceName,
        /// Which one.
        container: ContainerRef,
    },
    /// Connects a container to a network.
    Connect {
        /// Of which service.
        service: ServiceName,
        /// Which one.
        container: ContainerRef,
        /// Name of the network.
        network: String,
        /// What it is called there.
        aliases: Vec<String>,
    },
    /// Disconnects a container of ours from a network.
    Disconnect {
        /// Of which service.
        service: ServiceName,
        /// Which one.
        container: ContainerRef,
        /// Name of the network.
        network: String,
        /// What it is called there, to connect it again.
        aliases: Vec<String>,
    },
    /// Waits for a service.
    Await {
        /// Which one.
        service: ServiceName,
        /// Name of its container.
        container: String,
        /// The container before, kept aside by an interrupted pass: it comes back if this one
        /// does not come up.
        instead: Option<ContainerRef>,
        /// For what.
        until: Await,
        /// How long at most.
        within: Duration,
    },
    /// Waits until a service answers as it should.
    Ready(Box<ReadyDraft>),
    /// Watches that containers neither end nor restart for a while.
    Soak {
        /// Services with the name of their container.
        containers: Vec<(ServiceName, String)>,
        /// How long.
        during: Duration,
    },
    /// Waits until the stack answers as it should.
    Smoke(Box<SmokeDraft>),
    /// Removes a container of ours.
    Remove {
        /// Which one.
        container: ContainerRef,
        /// Why.
        why: RemoveReason,
    },
    /// Records the release as it is observed now.
    Record(Box<ReleaseDraft>),
}

/// A release that is about to be recorded: what is left is to look at its containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseDraft {
    /// Its number and commit.
    pub id: ReleaseId,
    /// Services with the name of their container and what Git says of them.
    pub services: BTreeMap<ServiceName, (String, Facts)>,
    /// Files placed in the project directory, with the digest of their content.
    pub files: BTreeMap<RepoPath, String>,
    /// The form that its data has, unless every migration turns out to have changed nothing.
    pub schema: Schema,
    /// The attempt of the form that the data has then.
    pub schema_unchanged: u64,
    /// Steps that may change the form of the data.
    pub migrations: Vec<u32>,
    /// Jobs that have run to their end by then.
    pub jobs: BTreeSet<String>,
    /// Backups that guard it, by name, unless it takes some of its own first.
    pub backups: BTreeMap<String, String>,
    /// Whether those are from before the data changed, and count whatever is taken now.
    pub backups_stand: bool,
}

/// How the maintenance page is switched on.
#[derive(Clone)]
pub struct Raise {
    /// The file whose existence the proxy checks, and the probe.
    pub maintenance: Maintenance,
    /// What stands on the page.
    pub page: Option<Vec<u8>>,
    /// Who switches it on.
    pub owner: Owner,
    /// What people are told of why.
    pub reason: String,
}

/// How the maintenance page is switched off.
#[derive(Clone)]
pub struct Lower {
    /// The file whose existence the proxy checks, and the probe.
    pub maintenance: Maintenance,
    /// Who switched it on: a page of somebody else stays.
    pub owner: Owner,
}

/// A backup that is about to be taken.
#[derive(Clone)]
pub struct BackupDraft {
    /// Which one.
    pub name: BackupName,
    /// What is backed up, and whereto.
    pub backup: Backup,
    /// Name of the container in which the tools run, if any are needed.
    pub container: Option<String>,
    /// The form that the data has.
    pub schema: Schema,
    /// The release whose data it is.
    pub release: Option<ReleaseId>,
    /// Backups that guard a release or a held attempt, and are never pruned.
    pub guards: BTreeSet<String>,
    /// The stack's time zone, in which its files are named.
    pub zone: TimeZone,
    /// File of the backup that is restored after it; `None` = it is an ordinary one.
    pub before_restore_of: Option<String>,
}

/// A one-off container.
#[derive(Clone)]
pub struct OneOff {
    /// For which service.
    pub service: ServiceName,
    /// Its name.
    pub name: String,
    /// What it is made from.
    pub spec: ContainerSpec,
    /// The command as Git says it.
    pub run: Vec<String>,
    /// How long it may take before it is killed.
    pub within: Duration,
}

/// A migration that is about to be run.
#[derive(Clone)]
pub struct MigrationDraft {
    /// The container.
    pub one_off: OneOff,
    /// Knows the migration again: digest of its image, its command and its service.
    pub mark: String,
    /// Whether the release before works with the data as it is afterwards.
    pub compatible: bool,
    /// Whether a failed one has changed nothing.
    pub transactional: bool,
    /// Tells the version of the data's form.
    pub status: Option<OneOff>,
    /// What that told before a killed attempt migrated.
    pub before: Option<String>,
    /// Whether the backups are restored when it fails half-way.
    pub restores: bool,
    /// The backups that guard it.
    pub backups: Vec<BackupDraft>,
    /// Files of those that a killed attempt has taken already, by the backup's name.
    pub taken: BTreeMap<String, String>,
}

/// A job that is about to be run.
#[derive(Clone)]
pub struct JobDraft {
    /// Its name in Git.
    pub name: String,
    /// The container.
    pub one_off: OneOff,
}

/// A backup that is about to be put in the place of the data.
#[derive(Clone)]
pub struct RestoreDraft {
    /// Which backup.
    pub name: BackupName,
    /// What it is a backup of.
    pub backup: Backup,
    /// Name of its file.
    pub file: String,
    /// Name of the container in which the tools run, if any are needed.
    pub container: Option<String>,
    /// The form that the data has in it.
    pub schema: Schema,
}

/// A check of one service.
#[derive(Clone)]
pub struct ReadyDraft {
    /// The check.
    pub ready: Ready,
    /// Name of the service's container.
    pub container: String,
}

/// A check of the stack from outside.
#[derive(Clone)]
pub struct SmokeDraft {
    /// Its number in Git, from 0.
    pub index: usize,
    /// The check.
    pub smoke: Smoke,
    /// Name of the container that it runs in, if it runs in one.
    pub container: Option<String>,
}

/// A container that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContainerRef {
    /// Full id.
    pub id: String,
    /// Name.
    pub name: String,
}

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Await {
    /// As `Healthy` if it has a health check, else as `Running`: its image is not on the host
    /// yet, and may bring a health check along.
    Ready {
        /// How long it must run.
        soak: Duration,
    },
    /// It runs for `soak` without a restart, or it has ended with exit code 0 and is not to be
    /// restarted.
    Running {
        /// How long it must run.
        soak: Duration,
    },
    /// Its health check passes.
    Healthy,
    /// It has ended with exit code 0.
    Completed,
}

/// Why a container is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoveReason {
    /// The new one has taken its place.
    Replaced,
    /// An interrupted pass left it half made.
    HalfMade,
    /// Git no longer names its service.
    Orphan,
}

/// A change of one file in the project directory.
#[derive(Clone, PartialEq, Eq)]
pub struct Placement {
    /// Path below the project directory.
    pub path: RepoPath,
    /// What is written there; `None` = removed, because Git no longer has it.
    pub file: Option<PlacedFile>,
    /// Digest of what is there now, to put it back; `None` = nothing.
    pub before: Option<String>,
}

/// What is added to the name of a container that is about to take another one's place.
const INCOMING: &str = ".new";
/// What is added to the name of a container that is kept aside.
const ASIDE: &str = ".old";

/// Returns the name of a container that is about to take the place of `name`.
pub fn incoming(name: &str) -> String {
    format!("{name}{INCOMING}")
}

/// Returns the name under which the container that was `name` is kept aside.
pub fn aside(name: &str) -> String {
    format!("{name}{ASIDE}")
}

/// Returns whether a container of ours has not taken its place yet.
pub fn is_incoming(name: &str) -> bool {
    name.ends_with(INCOMING)
}

/// Returns whether a container of ours is kept aside.
pub fn is_aside(name: &str) -> bool {
    name.ends_with(ASIDE)
}
