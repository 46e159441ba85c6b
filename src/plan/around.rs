//! What goes with every start and stop of a service's container by us: files that are copied in
//! before a start, commands that run inside after it, and commands before a stop.
//!
//! Nothing of a container tells which commands ran in it: the last release knows.

use std::collections::BTreeMap;

use super::action::{Action, Step};
use super::examined::Examined;
use super::facts::{self, Fact, Facts, Field};
use super::guard::All;
use super::services::Input;
use crate::desired::{Hook, Service, ServiceName};
use crate::engine::model::CopiedFile;
use crate::observe::ImageState;
use crate::secret::DigestKey;

/// What goes with every start and stop of a service's container by us.
#[derive(Clone, Default)]
pub struct Around {
    /// Copied in before each start, by path.
    pub files: BTreeMap<String, CopiedFile>,
    /// Run inside after each start, in order.
    pub post_start: Vec<Hook>,
    /// Whether the container before was started with these as well.
    pub as_before: bool,
    /// Run inside before each stop, in order.
    pub pre_stop: Vec<Hook>,
}

impl Around {
    fn is_empty(&self) -> bool {
        self.files.is_empty() && self.post_start.is_empty() && self.pre_stop.is_empty()
    }
}

impl<'a> Input<'a> {
    /// Returns what goes with starts and stops, for each service with anything of it.
    pub(super) fn around(&self) -> BTreeMap<ServiceName, Around> {
        let services = self.desired.services.iter();
        let around = services.map(|(name, service)| {
            let released = self.released(name);
            let before = released.and_then(|facts| facts.get(&Field::PostStart));
            let around = Around {
                files: service.spec.copied.clone(),
                post_start: service.post_start.clone(),
                as_before: before == post_start(service, self.context.key).as_ref(),
                pre_stop: service.pre_stop.clone(),
            };
            (name.clone(), around)
        });
        around.filter(|(_, around)| !around.is_empty()).collect()
    }

    /// Returns what goes with starts and stops of the containers of the last release, as far as Git
    /// says what it said then: another one is not known any more.
    pub(super) fn around_of_release(&self, all: &All<'_>) -> BTreeMap<ServiceName, Around> {
        let mut around = self.around();
        for (name, around) in &mut around {
            let (Some(one), Some(released)) = (all.get(name), self.released(name)) else {
                continue;
            };
            if !around.as_before {
                around.post_start.clear();
            }
            if !self.copies_as(one.service, released) {
                around.files.clear();
            }
            // A failure starts the one again that was there, and that is of no release.
            around.as_before &= !one.is_unverified(self.history);
        }
        around.retain(|_, around| !around.is_empty());
        around
    }

    /// Returns whether the files that are copied in are those of a release.
    fn copies_as(&self, service: &Service, released: &Facts) -> bool {
        let git = facts::desired(&service.spec, None, &service.committed_env, self.veil());
        let is_copied = |field: &Field| matches!(field, Field::Copied(_));
        of_git(&git, is_copied) == of_git(released, is_copied)
    }

    /// Adds to what Git wants of a service what its container does not show by itself.
    pub(super) fn complete(&self, examined: &Examined<'a>, git: &mut Facts) {
        let (service, key) = (examined.service, self.context.key);
        if let Some(ImageState::Moved { digest }) = self.observed.images.get(&service.spec.image) {
            git.insert(Field::ImageId, Fact::Plain(digest.clone()));
        }
        git.extend(post_start(service, key).map(|fact| (Field::PostStart, fact)));
    }
}

/// Takes the commands after the start of a live container for those of Git.
pub(super) fn complete_live(git: &Facts, live: &mut Facts) {
    live.extend(of_git(git, |field| *field == Field::PostStart));
}

/// Takes the commands after the start of a live container for those of the release.
pub(super) fn recall(live: &mut Facts, released: Option<&Facts>) {
    if let Some(released) = released {
        live.remove(&Field::PostStart);
        live.extend(of_git(released, |field| *field == Field::PostStart));
    }
}

fn of_git(facts: &Facts, wanted: impl Fn(&Field) -> bool) -> Facts {
    let facts = facts.iter().filter(|(field, _)| wanted(field));
    facts
        .map(|(field, fact)| (field.clone(), fact.clone()))
        .collect()
}

/// Returns the commands after a start as a fact; `None` = there are none.
pub(super) fn post_start(service: &Service, key: &DigestKey) -> Option<Fact> {
    let hooks = service.post_start.iter().map(|hook| {
        let env = hook.env.iter();
        let env: BTreeMap<&str, &str> = env
            .map(|(name, value)| (name.as_str(), value.expose()))
            .collect();
        let how = (&hook.user, hook.privileged, &hook.working_dir);
        (&hook.command, how, env)
    });
    let hooks: Vec<_> = hooks.collect();
    (!hooks.is_empty()).then(|| Fact::Hidden(key.digest(&bytes(&hooks))))
}

fn bytes<T: serde::Serialize>(said: &T) -> Vec<u8> {
    // Numbers and texts: there is nothing in them that JSON can't hold.
    serde_json::to_vec(said).unwrap_or_default()
}

/// What an action does to the life of a service's container.
#[derive(Clone, Copy, Debug)]
pub struct LifeEffect<'a> {
    /// Of which service.
    pub service: &'a ServiceName,
    /// Whether one is started.
    pub starts: bool,
    /// Whether one is stopped.
    pub stops: bool,
}

impl Action {
    /// Returns what the action does to the life of a service's container; `None` = it is about
    /// something else.
    pub fn turn(&self) -> Option<LifeEffect<'_>> {
        let (service, starts, stops) = match self {
            Self::Create { service, .. }
            | Self::Start { service, .. }
            | Self::StartBeside { service, .. }
            | Self::PutBack { service, .. } => (service, true, false),
            Self::Replace { service, .. } | Self::Restart { service, .. } => (service, true, true),
            Self::Stop { service, .. } | Self::HandOver { service, .. } => (service, false, true),
            Self::Await { service, .. } => (service, false, false),
            Self::Pull { .. }
            | Self::Measure(_)
            | Self::MaintainOn(_)
            | Self::MaintainOff(_)
            | Self::Backup(_)
            | Self::Migrate(_)
            | Self::Job(_)
            | Self::Restore(_)
            | Self::CreateNetwork(_)
            | Self::RemakeNetwork(_)
            | Self::CreateVolume(_)
            | Self::RemoveNetwork { .. }
            | Self::Place { .. }
            | Self::Rename { .. }
            | Self::Adopt { .. }
            | Self::TestProxy(_)
            | Self::Switch(_)
            | Self::SwitchBack(_)
            | Self::Drain { .. }
            | Self::Reload { .. }
            | Self::Connect { .. }
            | Self::Disconnect { .. }
            | Self::Ready(_)
            | Self::Soak { .. }
            | Self::Smoke(_)
            | Self::Remove { .. }
            | Self::Record(_) => return None,
        };
        Some(LifeEffect {
            service,
            starts,
            stops,
        })
    }
}

/// Says which programs run inside with a step, if any do.
pub(super) fn programs(step: &Step, around: &BTreeMap<ServiceName, Around>) -> String {
    let turn = step.action.turn();
    let Some((turn, around)) = turn.and_then(|turn| Some((turn, around.get(turn.service)?))) else {
        return String::new();
    };
    // The arguments may hold what is nobody's business.
    let words = |hooks: &[Hook]| {
        let programs = hooks.iter().filter_map(|hook| hook.command.first());
        programs.cloned().collect::<Vec<_>>().join(", ")
    };
    let mut text = String::new();
    if turn.stops && !around.pre_stop.is_empty() {
        text = format!("{text}  pre_stop {}", words(&around.pre_stop));
    }
    if turn.starts && !around.post_start.is_empty() {
        text = format!("{text}  post_start {}", words(&around.post_start));
    }
    text
}
