//! Compares Git, the last release and the live container field by field, and says what the
//! least action is that takes the difference away.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::facts::{Fact, Facts, Field};
use super::hold_words::short_id;

/// One field in which a service differs from Git, with the three values.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reason {
    /// What differs.
    pub field: Field,
    /// What Git says; `None` = the default.
    pub git: Option<Fact>,
    /// What the last release was; `None` = the default, or there is none.
    pub release: Option<Fact>,
    /// What is live; `None` = the default.
    pub live: Option<Fact>,
    /// Who moved.
    pub origin: Origin,
}

/// Who moved since the last release.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// Git did: a change that waits for its pass.
    Pending,
    /// The host did: somebody changed it by hand.
    Drift,
    /// Both did.
    Both,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Pending => "pending",
            Self::Drift => "drift",
            Self::Both => "pending, drift",
        })
    }
}

/// The least action that takes a set of differences away; later ones do more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Remedy {
    /// Have files read again.
    Reload,
    /// Give the container its name.
    Rename,
    /// Connect networks again.
    Reconnect,
    /// Start the container.
    Start,
    /// Restart the container.
    Restart,
    /// Make a new container and take the old one away.
    Replace,
    /// Make a container; there is none.
    Create,
}

/// Returns every field in which `live` differs from `git`, in the order of the fields.
///
/// Only fields that `known` names are compared when it is given: the image is not on the host
/// yet, so what it brings along can't be told.
pub(super) fn compare(
    git: &Facts,
    release: Option<&Facts>,
    live: &Facts,
    image_known: bool,
) -> Vec<Reason> {
    if git == live {
        return Vec::new();
    }
    let fields: BTreeSet<&Field> = if image_known {
        git.keys().chain(live.keys()).collect()
    } else {
        git.keys().collect()
    };
    fields
        .into_iter()
        .filter(|field| git.get(field) != live.get(field))
        .map(|field| Reason {
            field: field.clone(),
            git: git.get(field).cloned(),
            release: release.and_then(|facts| facts.get(field)).cloned(),
            live: live.get(field).cloned(),
            origin: origin(field, git, release, live),
        })
        .collect()
}

fn origin(field: &Field, git: &Facts, release: Option<&Facts>, live: &Facts) -> Origin {
    let Some(release) = release else {
        return Origin::Pending;
    };
    let moved = |side: &Facts| side.get(field) != release.get(field);
    match (moved(git), moved(live)) {
        (true, true) => Origin::Both,
        (true, false) => Origin::Pending,
        (false, true | false) => Origin::Drift,
    }
}

/// Returns the least action for one field, see the table of [`Field`].
pub(super) fn remedy(reason: &Reason) -> Remedy {
    match &reason.field {
        Field::Container => Remedy::Create,
        Field::State => match &reason.live {
            // The engine refuses to start a paused container.
            Some(Fact::Plain(state)) if state == "paused" => Remedy::Restart,
            Some(Fact::Plain(state)) if state == "dead" || state == "being removed" => {
                Remedy::Replace
            }
            Some(Fact::Plain(_) | Fact::Hidden(_)) | None => Remedy::Start,
        },
        Field::Name => Remedy::Rename,
        Field::Network(_) => Remedy::Reconnect,
        Field::File(_)
        | Field::Inside(_)
        | Field::Dependency(_)
        | Field::Owed
        | Field::PostStart => Remedy::Restart,
        Field::Config(_) | Field::Upstream(_) | Field::Certificate(_) | Field::Loaded => {
            Remedy::Reload
        }
        Field::Image
        | Field::Setting(_)
        | Field::ImageId
        | Field::Command
        | Field::Entrypoint
        | Field::Env(_)
        | Field::Label(_)
        | Field::User
        | Field::WorkingDir
        | Field::Init
        | Field::StopSignal
        | Field::StopTimeout
        | Field::Healthcheck
        | Field::Port(_)
        | Field::Expose
        | Field::Mount(_)
        | Field::NetworkMode
        | Field::Restart
        | Field::Memory
        | Field::MemoryReservation
        | Field::MemorySwap
        | Field::Cpus
        | Field::CpuShares
        | Field::CpuQuota
        | Field::CpuPeriod
        | Field::Cpuset
        | Field::PidsLimit
        | Field::Privileged
        | Field::ReadOnly
        | Field::CapAdd
        | Field::CapDrop
        | Field::Platform
        | Field::Hostname
        | Field::Domainname
        | Field::Tty
        | Field::StdinOpen
        | Field::MacAddress(_)
        | Field::ExtraHost(_)
        | Field::Links
        | Field::Dns
        | Field::DnsOptions
        | Field::DnsSearch
        | Field::Ipc
        | Field::Pid
        | Field::Uts
        | Field::Userns
        | Field::Cgroup
        | Field::Sysctl(_)
        | Field::Annotation(_)
        | Field::VolumesFrom
        | Field::VolumeDriver
        | Field::Runtime
        | Field::Isolation
        | Field::LogDriver
        | Field::LogOption(_)
        | Field::GroupAdd
        | Field::SecurityOpt
        | Field::Ulimit(_)
        | Field::Device(_)
        | Field::DeviceCgroupRules
        | Field::DeviceRequests
        | Field::StorageOpt(_)
        | Field::ShmSize
        | Field::OomKillDisable
        | Field::OomScoreAdj
        | Field::MemorySwappiness
        | Field::CpuCount
        | Field::CpuPercent
        | Field::CpuRtPeriod
        | Field::CpuRtRuntime
        | Field::CgroupParent
        | Field::BlkioWeight
        | Field::BlkioWeightDevice(_)
        | Field::BlkioRate(_)
        | Field::Copied(_) => Remedy::Replace,
    }
}

impl fmt::Display for Reason {
    /// Prints `image shop:v1 → shop:v2`; a hidden value as `(changed)`, never itself.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.live, &self.git) {
            (Some(Fact::Hidden(_)), Some(Fact::Hidden(_) | Fact::Plain(_)))
            | (Some(Fact::Plain(_)), Some(Fact::Hidden(_))) => {
                write!(f, "{} (changed)", self.field)
            }
            (None, Some(Fact::Hidden(_))) => write!(f, "{} (set)", self.field),
            (Some(Fact::Hidden(_)), None) => write!(f, "{} (removed)", self.field),
            (None, None) => write!(f, "{}", self.field),
            (live, git) => write!(
                f,
                "{} {} → {}",
                self.field,
                value(&self.field, live.as_ref()),
                value(&self.field, git.as_ref())
            ),
        }
    }
}

/// Returns the text for one side of a comparison: the value, shortened where it is an id, or
/// `(hidden)` for a value that must not be shown.
pub fn value(field: &Field, fact: Option<&Fact>) -> String {
    match (fact, field) {
        (Some(Fact::Hidden(_)), _) => "(hidden)".to_owned(),
        (Some(Fact::Plain(id)), Field::ImageId) => {
            let id = id.strip_prefix("sha256:").unwrap_or(id);
            short_id(id).to_owned()
        }
        (Some(Fact::Plain(text)), _) if text.is_empty() => "\"\"".to_owned(),
        (Some(Fact::Plain(text)), _) => text.clone(),
        (None, Field::Network(_)) => "not connected".to_owned(),
        (None, Field::File(_) | Field::Inside(_) | Field::Config(_) | Field::Certificate(_)) => {
            "missing".to_owned()
        }
        (None, Field::Loaded) => "unknown".to_owned(),
        (
            None,
            Field::Mount(_)
            | Field::Port(_)
            | Field::Healthcheck
            | Field::Upstream(_)
            | Field::Device(_)
            | Field::ExtraHost(_),
        ) => "none".to_owned(),
        (
            None,
            Field::Env(_)
            | Field::Label(_)
            | Field::Sysctl(_)
            | Field::Annotation(_)
            | Field::LogOption(_)
            | Field::StorageOpt(_),
        ) => "unset".to_owned(),
        (None, _) => "default".to_owned(),
    }
}
