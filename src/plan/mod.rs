//! Decides what a pass does: [`plan`] compares what Git wants with what was observed and returns
//! the steps in order, and what is held and why.
//!
//! Pure, total and deterministic: no I/O, no clock, no randomness; the same input gives the same
//! bytes. The printed form of a [`Plan`] (its `Display`) is the one that commands, logs,
//! documentation and tests show.

mod action;
mod adopt;
mod around;
mod asked;
mod beside;
mod by_hand;
mod checks;
mod diff;
mod digests;
mod display;
mod drafts;
mod examined;
mod expiry;
pub mod facts;
mod field;
mod front;
mod front_test;
mod gate;
mod ground;
mod guard;
mod heal;
mod history;
mod hold;
mod hold_words;
mod jobs;
mod leftovers;
mod live;
mod neighbours;
mod networks;
mod objects;
mod order;
mod orphans;
mod page;
mod permitted;
mod seen;
mod services;
mod settle;
mod slot;
mod spec;
mod switch;
mod too_old;
mod way;
mod weight;

use std::collections::BTreeMap;
use std::fmt;

use serde::Serialize;

pub use action::{
    Action, Await, ContainerRef, Draining, Phase, Placement, RemoveReason, Retreat, Step, Workers,
    aside, incoming, is_aside, is_incoming,
};
pub use adopt::adopt;
pub use around::{Around, LifeEffect};
pub use by_hand::{Restoring, restore, restore_commands, run_job, tools_of};
pub use diff::{Origin, Reason, value};
pub use digests::digests;
pub use drafts::{
    BackupDraft, JobDraft, Lower, Member, MigrationDraft, OneOff, ProxyTest, Raise, ReadyDraft,
    ReleaseDraft, RemadeNetwork, RestoreDraft, SmokeDraft, Switch, TestPlace,
};
pub use expiry::{Expired, ExpiresInThePast};
pub use gate::{Waits, suspended_here, suspended_in_git, waits_at};
pub use ground::SETTLES_WITHIN;
pub use heal::heal;
pub use history::{
    AfterFailure, Crashed, Doubt, Failure, History, PastAttempt, Pin, Release, ReleaseId,
    ReleasedImage, ReleasedProxy, Schema,
};
pub use hold::Hold;
pub use hold_words::{Lack, Second};
pub use objects::{ObjectDifference, network_differences, volume_differences};
pub use order::plan;
pub use permitted::{NotPermitted, Refused};
pub use seen::observed_facts;
pub use way::unit;
pub use weight::Weight;

use crate::desired::migrations::OnFailure;
use crate::desired::proxy::ProxyKind;
use crate::desired::{ServiceName, StackName};
use crate::policy::Policy;
use crate::secret::DigestKey;
use crate::source::{CommitInfo, Revision};

/// What a pass does to one stack, and what it leaves as it is.
#[derive(Clone)]
pub struct Plan {
    /// Which stack.
    pub stack: StackName,
    /// What it is for.
    pub kind: Kind,
    /// What happens when what was put in place is not up.
    pub on_failure: OnFailure,
    /// What earlier attempts have made of the data, if the last release can't work with it.
    pub unreleased: Option<Unreleased>,
    /// Number of the attempt that executing it is.
    pub attempt: u64,
    /// The commit that it converges to.
    pub commit: CommitInfo,
    /// The commit of the last release; `None` before the first.
    pub from: Option<Revision>,
    /// Steps in an order in which they can be done one after the other.
    pub steps: Vec<Step>,
    /// What goes with the starts and stops of services, where anything does.
    pub around: BTreeMap<ServiceName, Around>,
    /// What is not done, and why.
    pub holds: Vec<Hold>,
    /// Steps that would be done if containers of Docker Compose were ours, or if what is waited for
    /// were there: see [`Hold::NotAdopted`] and [`Hold::Waits`].
    pub held_back: Vec<Step>,
    /// Every difference that was found, whether or not a step takes it away.
    pub differences: Vec<Difference>,
}

/// What a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Bringing the host to what Git says.
    Deploy,
    /// Keeping the last release as it was while what Git says is held.
    Heal,
    /// Putting a backup in the place of the data, or another thing that a person asked for.
    ByHand,
}

impl Kind {
    /// Returns the word that it is stored as.
    pub fn word(self) -> &'static str {
        match self {
            Self::Deploy => "deploy",
            Self::Heal => "heal",
            Self::ByHand => "by-hand",
        }
    }

    /// Returns the kind of a stored word.
    pub fn of_word(word: &str) -> Self {
        let others = [Self::Heal, Self::ByHand];
        let other = others.into_iter().find(|kind| kind.word() == word);
        other.unwrap_or(Self::Deploy)
    }
}

/// Data that earlier attempts have changed and no release was made with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreleased {
    /// Backups from before, by name.
    pub guards: BTreeMap<String, String>,
}

/// The fields in which one part of a stack differs from Git.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Which part.
    #[serde(rename = "service")]
    pub of: Subject,
    /// In what.
    pub reasons: Vec<Reason>,
}

/// A part of a stack that can differ from Git.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// A service.
    Service(ServiceName),
    /// The proxy in front of it.
    Proxy(ProxyKind),
    /// A network that is made again, by its name.
    Network(String),
    /// Files at fixed places of the host.
    HostFiles,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Service(name) => write!(f, "{name}"),
            // No service has a blank in its name.
            Self::Proxy(kind) => write!(f, "proxy {kind}"),
            Self::Network(name) => write!(f, "network {name}"),
            Self::HostFiles => f.write_str("host files"),
        }
    }
}

impl Serialize for Subject {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Who plans: everything about this installation that goes into the containers it makes.
pub struct Context<'a> {
    /// Id of this installation.
    pub instance: &'a str,
    /// Key of its digests.
    pub key: &'a DigestKey,
    /// Now, in seconds since 1970: the only time that planning knows.
    pub now: i64,
    /// What the host's settings permit.
    pub policy: &'a Policy,
}

impl Plan {
    /// Returns whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Returns the heaviest hold's weight.
    pub fn weight(&self) -> Option<Weight> {
        self.holds.iter().map(Hold::weight).max()
    }
}
