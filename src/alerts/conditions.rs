//! Finds out of what a pass came to what is so now, and worth telling somebody of.

use std::collections::{BTreeMap, BTreeSet};
use std::slice;

use super::{owners, owners_of};
use crate::desired::{DesiredState, ServiceName};
use crate::journal::Outcome;
use crate::pass::{PassError, Passed};
use crate::plan::{Hold, Plan, Subject, Waits};
use crate::routes::{Kind, Topic};
use crate::stacks::LoadError;
use crate::trust::Standing;

/// What was found of a stack, or of the host.
#[derive(Default)]
pub(super) struct Seen {
    /// Name of the stack, where it is known.
    pub(super) stack: Option<String>,
    /// What is so now.
    pub(super) conditions: BTreeMap<String, Condition>,
    /// Whether that is all: what was so before and is not among it is over.
    pub(super) is_all: bool,
    /// Backups that there are, as keys of what is found between passes.
    pub(super) backups: BTreeSet<String>,
}

/// Something that is so, and is told when it begins.
pub(super) struct Condition {
    pub(super) topic: Topic,
    pub(super) kinds: BTreeSet<Kind>,
    pub(super) text: String,
    /// What makes it another one: when this changes it is told again.
    pub(super) print: String,
    pub(super) manner: Manner,
}

/// How something is told.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// When it begins, and when it is over.
    Plain,
    /// When it has been so for a while, and when it is over.
    Patient,
    /// When it is over; that it began is told otherwise.
    Silent,
    /// When it begins. That it is over means nothing.
    Once,
}

/// What a hold is to people.
struct Word<'a> {
    topic: Topic,
    key: &'static str,
    /// What of it it is about, where several can be so at once.
    of: String,
    whose: Whose<'a>,
    manner: Manner,
}

/// Whose business a hold is.
enum Whose<'a> {
    /// Of those who own the service.
    Service(&'a ServiceName),
    /// Of those who own what is to be changed.
    Changed,
    /// Of those who keep the host.
    Host,
    /// Of those who look after what may be trusted.
    Trust,
}

/// Returns what a pass over a stack found.
pub(super) fn of_stack(result: &Result<Passed, PassError>) -> Seen {
    match result {
        Ok(passed) => of_passed(passed),
        Err(PassError::Kept { error, passed }) => {
            let mut seen = of_passed(passed);
            // With its findings, which the hold has not.
            if let Some(head) = seen.conditions.get_mut(HEAD) {
                head.text = error.to_string();
            }
            seen
        }
        Err(error) => of_error(error),
    }
}

/// Returns what could not be done.
pub(super) fn of_error(error: &PassError) -> Seen {
    let mut seen = Seen::default();
    let (topic, kind, manner) = match error {
        PassError::Load(LoadError::Refused(_)) => (Topic::Security, Kind::Security, Manner::Plain),
        PassError::Load(LoadError::State(_) | LoadError::Pinned { .. } | LoadError::Record(_))
        | PassError::Record(_)
        | PassError::Maintenance(_)
        | PassError::Kept { .. } => (Topic::Held, Kind::Infrastructure, Manner::Plain),
        PassError::Load(
            LoadError::Source(_) | LoadError::Mirror(_) | LoadError::Read(_) | LoadError::Engine(_),
        )
        | PassError::Engine(_) => (Topic::Unreachable, Kind::Infrastructure, Manner::Patient),
        // A person is at work on it.
        PassError::Busy(_) => return seen,
    };
    let text = error.to_string();
    let condition = Condition {
        topic,
        kinds: [kind].into(),
        print: text.clone(),
        text,
        manner,
    };
    let key = if manner == Manner::Patient {
        "away"
    } else {
        "error"
    };
    seen.conditions.insert(key.to_owned(), condition);
    seen
}

/// Key of what keeps the head of a branch from being followed.
const HEAD: &str = "head";

/// Key of a failure that was told as what came of its attempt.
const FAILED: &str = "failed";

fn of_passed(passed: &Passed) -> Seen {
    let (desired, plan) = (&passed.looked.desired, &passed.looked.plan);
    let (mut is_all, mut failed) = (true, false);
    match &passed.outcome {
        None | Some(Outcome::Succeeded) => {}
        Some(
            Outcome::RolledBack { .. }
            | Outcome::Failed { .. }
            | Outcome::Held { .. }
            | Outcome::Stuck { .. },
        ) => failed = true,
        Some(
            Outcome::Postponed { .. }
            | Outcome::Unsettled { .. }
            | Outcome::Stopped
            | Outcome::Interrupted,
        ) => is_all = false,
    }
    let mut seen = Seen {
        stack: Some(desired.stack.to_string()),
        is_all,
        backups: backups(desired),
        ..Seen::default()
    };
    for hold in &plan.holds {
        seen.add_hold(hold, plan, desired);
    }
    if failed {
        let kinds = owners_of(plan, &desired.owners);
        let condition = Condition::silent(&plan.attempt.to_string(), kinds);
        seen.conditions.insert(FAILED.to_owned(), condition);
    }
    seen.add_trust(desired);
    seen
}

/// Returns the keys of what can be so of the backups of a stack.
fn backups(desired: &DesiredState) -> BTreeSet<String> {
    let keys = desired.backups.keys();
    keys.flat_map(|name| [format!("backup:{name}"), format!("drill:{name}")])
        .collect()
}

impl Condition {
    /// Makes that of an attempt that failed.
    fn silent(attempt: &str, kinds: BTreeSet<Kind>) -> Self {
        Self {
            topic: Topic::Failed,
            kinds,
            text: format!("attempt {attempt} failed"),
            print: attempt.to_owned(),
            manner: Manner::Silent,
        }
    }
}

impl Seen {
    fn add_hold(&mut self, hold: &Hold, plan: &Plan, desired: &DesiredState) {
        let Some(word) = word_of(hold) else {
            return;
        };
        let kinds = match word.whose {
            Whose::Service(service) => owners(&desired.owners, slice::from_ref(service).iter()),
            Whose::Changed => owners_of(plan, &desired.owners),
            Whose::Host => [Kind::Infrastructure].into(),
            Whose::Trust => [Kind::Security].into(),
        };
        if word.manner == Manner::Silent {
            let condition = Condition::silent(&word.of, kinds);
            self.conditions.insert(word.key.to_owned(), condition);
            return;
        }
        let key = if word.of.is_empty() {
            word.key.to_owned()
        } else {
            format!("{}:{}", word.key, word.of)
        };
        // What is held of another commit is another thing; a notice is of no commit.
        let print = match word.key {
            HEAD | "tag" | "drift" => hold.to_string(),
            _ if hold.is_heavy() => plan.commit.revision.to_string(),
            _ => String::new(),
        };
        let condition = Condition {
            topic: word.topic,
            kinds,
            text: hold.to_string(),
            print,
            manner: word.manner,
        };
        self.conditions.insert(key, condition);
    }

    /// Adds what is followed, or used, and should make somebody wonder.
    fn add_trust(&mut self, desired: &DesiredState) {
        let mut add = |key: &str, text: String, manner: Manner| {
            let condition = Condition {
                topic: Topic::Security,
                kinds: [Kind::Security].into(),
                print: text.clone(),
                text,
                manner,
            };
            self.conditions.insert(key.to_owned(), condition);
        };
        if desired.standing == Standing::Rewritten {
            let head = desired.commit.revision.short();
            let text = format!(
                "history was rewritten: commit {head} does not go on from what was released, and \
                 is followed because the settings allow that"
            );
            add("rewritten", text, Manner::Once);
        }
        for exposed in &desired.exposed {
            let text = exposed.to_string();
            add(&format!("exposed:{text}"), text, Manner::Plain);
        }
    }
}

/// Returns what a hold is to people; `None` = nothing that they do not know, or that is meant.
fn word_of(hold: &Hold) -> Option<Word<'_>> {
    Some(match hold {
        Hold::FailedRevision { attempt, .. }
        | Hold::Stays { attempt, .. }
        | Hold::Stuck { attempt, .. } => Word {
            manner: Manner::Silent,
            ..word(Topic::Failed, FAILED, Whose::Changed)
        }
        .of(&attempt.to_string()),
        Hold::HistoryRewritten(_) | Hold::NotTrusted(_) => trust(HEAD),
        Hold::NotPermitted(_) => trust("permitted"),
        Hold::TagMoved { image, .. } => trust("tag").of(image),
        Hold::NotLoadable(_) => held(HEAD, Whose::Changed),
        Hold::Waits(Waits::Approval(_)) => held("approval", Whose::Changed),
        Hold::Waits(Waits::Nameless(_)) => held("rules", Whose::Host),
        Hold::Crashes { .. } => word(Topic::Crashes, "crashes", Whose::Changed),
        Hold::SchemaDiffers { .. } | Hold::MigrationInDoubt { .. } => held("data", Whose::Changed),
        Hold::DoesNotSettle { .. } => held("settles", Whose::Changed),
        Hold::ExpiresInThePast(_) => held("expires", Whose::Changed),
        Hold::NameTaken { service, .. }
        | Hold::NotAdopted { service, .. }
        | Hold::OrphanInTheWay { service, .. } => {
            held("taken", Whose::Service(service)).of(service.as_str())
        }
        Hold::PrunesTooMuch { .. } | Hold::NoServices => held("prunes", Whose::Changed),
        Hold::ImageMissing { image, .. }
        | Hold::ImageNotPulled { image }
        | Hold::ImageDenied { image, .. } => held("image", Whose::Changed).of(image),
        Hold::OtherInstance { .. } => held("instance", Whose::Host),
        Hold::EngineTooOld { .. } => held("engine", Whose::Host),
        Hold::ExternalMissing { name, .. } | Hold::NetworkTaken { name } => {
            held("missing", Whose::Host).of(name)
        }
        Hold::ProxyMissing { .. } | Hold::ProxyNotMounted { .. } => held("proxy", Whose::Host),
        Hold::ImageUnknown { image, .. } | Hold::RegistrySilent { image, .. } => {
            patient(Topic::Unreachable, "registry", Whose::Host).of(image)
        }
        Hold::Expired(_) => Word {
            manner: Manner::Once,
            ..word(Topic::Expired, "expired", Whose::Host)
        },
        Hold::MaintenanceForgotten { .. } => word(Topic::Maintenance, "page", Whose::Host),
        Hold::BackupLate { name, .. } => word(Topic::BackupLate, "late", Whose::Host).of(name),
        Hold::DriftReported { service, .. } => {
            let whose = match service {
                Subject::Service(name) => Whose::Service(name),
                Subject::Proxy(_) | Subject::Network(_) | Subject::HostFiles => Whose::Host,
            };
            word(Topic::Drift, "drift", whose).of(&service.to_string())
        }
        Hold::NetworkInUse { name, .. } | Hold::Differs { name, .. } => {
            word(Topic::Drift, "drift", Whose::Host).of(name)
        }
        Hold::ProxyAway { .. } => patient(Topic::Unhealthy, "proxy-away", Whose::Host),
        Hold::Unhealthy { service } | Hold::Ended { service } | Hold::Restarting { service } => {
            patient(Topic::Unhealthy, "unhealthy", Whose::Service(service)).of(service.as_str())
        }
        // Somebody has said so, or it is at its hours, or it is in nobody's way.
        Hold::Waits(Waits::Window(_) | Waits::SuspensionInGit(_) | Waits::Suspension { .. })
        | Hold::DataIsOlder { .. }
        | Hold::MaintenanceByHand { .. }
        | Hold::Pinned { .. }
        | Hold::Orphan { .. }
        | Hold::VolumeStays { .. }
        | Hold::NotOfStack { .. }
        | Hold::Duplicate { .. } => return None,
    })
}

fn word<'a>(topic: Topic, key: &'static str, whose: Whose<'a>) -> Word<'a> {
    Word {
        topic,
        key,
        of: String::new(),
        whose,
        manner: Manner::Plain,
    }
}

fn held<'a>(key: &'static str, whose: Whose<'a>) -> Word<'a> {
    word(Topic::Held, key, whose)
}

fn trust(key: &'static str) -> Word<'static> {
    word(Topic::Security, key, Whose::Trust)
}

fn patient<'a>(topic: Topic, key: &'static str, whose: Whose<'a>) -> Word<'a> {
    Word {
        manner: Manner::Patient,
        ..word(topic, key, whose)
    }
}

impl Word<'_> {
    /// Says what of it it is about.
    fn of(mut self, of: &str) -> Self {
        of.clone_into(&mut self.of);
        self
    }
}
