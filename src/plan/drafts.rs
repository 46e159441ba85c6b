//! What the steps carry that do more than one call to the engine.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::action::Placement;
use super::facts::Facts;
use super::{ContainerRef, Reason, ReleaseId, ReleasedProxy, Schema};
use crate::desired::ServiceName;
use crate::desired::backups::{Backup, BackupName};
use crate::desired::checks::{Ready, Smoke};
use crate::desired::maintenance::Maintenance;
use crate::desired::proxy::{MarkerAt, ProxyKind};
use crate::engine::model::{ContainerSpec, Endpoint, Network};
use crate::maintenance::Owner;
use crate::source::RepoPath;

/// A release that is about to be recorded: what is left is to look at its containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReleaseDraft {
    /// Its number and commit.
    pub id: ReleaseId,
    /// Services with the name of their container and what Git says of them.
    pub services: BTreeMap<ServiceName, (String, Facts)>,
    /// Files placed in the project directory, with the digest of their content.
    pub files: BTreeMap<RepoPath, String>,
    /// Files placed at fixed places of the host, with the digest of their content.
    pub host_placed: BTreeMap<PathBuf, String>,
    /// What the proxy has loaded by then.
    pub proxy: Option<ReleasedProxy>,
    /// The container that its certificates are looked at in by then, and where, as far as they
    /// could not be before.
    pub certificates: (Option<String>, BTreeSet<PathBuf>),
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
    /// Digest of what Git says of its backups.
    pub backups_said: String,
    /// When its lifetime is over.
    pub expires: Option<Timestamp>,
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

/// A configuration that is about to be tested.
#[derive(Clone)]
pub struct ProxyTest {
    /// Which program it is for.
    pub kind: ProxyKind,
    /// Its main configuration file; `None` = the program's own default.
    pub main: Option<PathBuf>,
    /// Files as they will be, by the directory of the host that they are in.
    pub files: BTreeMap<PathBuf, Vec<Placement>>,
    /// Those of them that are its configuration: they can't be left out of a test.
    pub configs: BTreeSet<PathBuf>,
    /// Where it is tested.
    pub place: TestPlace,
    /// Whether it may have fewer listeners and names than the one before.
    pub allow_shrink: bool,
    /// Whether Git wants it to change: what cannot pass then is held.
    pub pending: bool,
}

/// Where a configuration is tested.
#[derive(Clone)]
pub enum TestPlace {
    /// On the host, with the host's own program.
    Host,
    /// In containers like the proxy's own.
    Containers {
        /// One for each command of the test.
        one_offs: Vec<OneOff>,
        /// Name of the container that runs now, for what it has.
        live: Option<String>,
    },
}

/// A change of what a proxy has loaded.
#[derive(Clone)]
pub struct Switch {
    /// Which program it is.
    pub kind: ProxyKind,
    /// Its main configuration file; `None` = the program's own default.
    pub main: Option<PathBuf>,
    /// Name of the container that it runs in; `None` = it runs on the host.
    pub container: Option<String>,
    /// Files that change, by the directory of the host that they are in.
    pub files: BTreeMap<PathBuf, Vec<Placement>>,
    /// Where it is asked what it has loaded.
    pub at: MarkerAt,
    /// What it answers then.
    pub marker: String,
    /// Whether it answers anything but that then: its configuration is taken out.
    pub takes_out: bool,
    /// What it answers when that is taken back; `None` = nobody knows.
    pub before: Option<String>,
    /// Whether what it sends requests to is started anew under the same name: it keeps the
    /// addresses that it has looked up, and has to look again when that is taken back, too.
    pub looks_up: bool,
}

/// A network that is about to be made again.
#[derive(Clone)]
pub struct RemadeNetwork {
    /// What it is then.
    pub wanted: Network,
    /// What it is now.
    pub before: Network,
    /// In what they differ.
    pub reasons: Vec<Reason>,
    /// The containers of ours in it, running or not.
    pub members: Vec<Member>,
}

/// A container of ours in a network.
#[derive(Clone)]
pub struct Member {
    /// Which one.
    pub container: ContainerRef,
    /// Its place there now.
    pub before: Endpoint,
    /// Its place there then; `None` = Git takes it out.
    pub then: Option<Endpoint>,
    /// Whether it is stopped meanwhile, by a step of its own.
    pub stops: bool,
}
