//! The steps of a plan: a closed list of typed actions. The executor walks them and decides
//! nothing; a new action makes the compiler name every place to fill in.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Reason;
use super::drafts::{
    BackupDraft, JobDraft, Lower, MigrationDraft, ProxyTest, Raise, ReadyDraft, ReleaseDraft,
    RemadeNetwork, RestoreDraft, SmokeDraft, Switch,
};
use crate::desired::manifest::Reload;
use crate::desired::{PlacedFile, ServiceName};
use crate::engine::model::{ContainerSpec, Endpoint, Network, Volume};
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
    /// The proxy's configuration, and visitors moved over to what was made.
    Switch,
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
        /// The digest that it stands for, resolved once; empty in a plan that is only looked at, and
        /// for which nobody asked.
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
    /// Makes a network again that is not what Git says.
    RemakeNetwork(Box<RemadeNetwork>),
    /// Removes a network of a stack that is over.
    RemoveNetwork {
        /// Its id.
        id: String,
        /// Its name.
        name: String,
    },
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
    /// Makes a container and starts it while the old one goes on serving.
    StartBeside {
        /// For which service.
        service: ServiceName,
        /// Its name for as long as the old one has the service's.
        name: String,
        /// What it is made from.
        spec: Box<ContainerSpec>,
        /// The one that an interrupted pass has made already.
        there: Option<ContainerRef>,
        /// How it is taken back.
        retreat: Box<Retreat>,
    },
    /// Tests a proxy's configuration before anything is touched.
    TestProxy(Box<ProxyTest>),
    /// Puts a proxy's configuration in place, has it loaded, and proves that it is.
    Switch(Box<Switch>),
    /// Puts back the configuration of the last release, which an interrupted pass had replaced.
    SwitchBack(Box<Switch>),
    /// Waits until nobody is connected to a container any more.
    Drain {
        /// Of which service.
        service: ServiceName,
        /// Which one.
        container: ContainerRef,
        /// How.
        draining: Draining,
    },
    /// Stops the old container, keeps it aside, and gives its name to the one beside it.
    HandOver {
        /// Of which service.
        service: ServiceName,
        /// The container that goes.
        old: ContainerRef,
        /// Whether it runs again when that is taken back.
        old_serves: bool,
        /// The name.
        name: String,
        /// The name of the one beside it until then.
        beside: String,
    },
    /// Tells the process in a container to read its files again.
    Reload {
        /// Of which service.
        service: ServiceName,
        /// Which one.
        container: ContainerRef,
        /// How it is told.
        how: Reload,
    },
    /// Connects a container to a network.
    Connect {
        /// Of which service.
        service: ServiceName,
        /// Which one.
        container: ContainerRef,
        /// Name of the network.
        network: String,
        /// What it is there.
        place: Endpoint,
    },
    /// Disconnects a container of ours from a network.
    Disconnect {
        /// Of which service.
        service: ServiceName,
        /// Which one.
        container: ContainerRef,
        /// Name of the network.
        network: String,
        /// What it is there, to connect it again.
        place: Endpoint,
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
    /// Takes containers that Docker Compose made for ours from now on, and touches none of them.
    Adopt {
        /// Services with the container in their place.
        containers: Vec<(ServiceName, ContainerRef)>,
    },
    /// Records the release as it is observed now.
    Record(Box<ReleaseDraft>),
}

/// How the container beside an old one is taken back.
#[derive(Clone)]
pub struct Retreat {
    /// The old one, if an interrupted pass has stopped it: it runs again before visitors come
    /// back to it.
    pub stopped: Option<ContainerRef>,
    /// The name that the old one then has.
    pub place: String,
    /// How the proxy goes back to the old one, if an interrupted pass may have moved it.
    pub back: Option<Switch>,
    /// How its connections end.
    pub draining: Draining,
}

/// How the connections to a container end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draining {
    /// Its ports that the proxy sends requests to.
    pub ports: BTreeSet<u16>,
    /// Whose worker processes may send requests there still.
    pub workers: Option<Workers>,
    /// How long they get at most.
    pub within: Duration,
}

/// The processes of a proxy that goes on with an old configuration in some of them until their
/// last visitor has gone, as nginx does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Workers {
    /// Those of the host itself.
    Host,
    /// Those in a container, by its name.
    Container(String),
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
    /// Its health check passes, and it has run for a while: one that ends and is started again
    /// over and over may pass in between.
    Healthy {
        /// How long it must run; nothing where another service waits to be started.
        soak: Duration,
    },
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
    /// Git wants fewer containers of its service.
    Surplus,
    /// The lifetime of its stack is over.
    Expired,
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
