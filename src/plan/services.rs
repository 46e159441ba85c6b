//! Examines one service: which container is its own, in what it differs, and what is the least
//! to be done about it.

use std::collections::{BTreeMap, BTreeSet};

use super::action::{ContainerRef, is_aside, is_incoming};
use super::diff::{Reason, Remedy, compare, remedy};
use super::examined::Examined;
use super::facts::{self, Fact, Facts, Field, Veil};
use super::hold_words::short_id;
use super::seen::live_facts;
use super::{Context, History, Hold, Origin, PastAttempt, Subject, around, neighbours};
use crate::desired::{
    DesiredState, DriftPolicy, OnFileChange, Service, ServiceName, default_container_name,
};
use crate::engine::model::{Container, ContainerState, Health, Image};
use crate::files::{Mode, mode_of_digest};
use crate::labels;
use crate::observe::{ImageState, ObservedState};

/// Everything that planning looks at.
#[derive(Clone, Copy)]
pub(super) struct Input<'a> {
    pub(super) desired: &'a DesiredState,
    pub(super) observed: &'a ObservedState,
    pub(super) history: &'a History,
    pub(super) context: &'a Context<'a>,
}

/// The containers that this installation made, by their service and number.
pub(super) type Units<'a> = BTreeMap<(&'a str, u32), Vec<&'a Container>>;

impl<'a> Input<'a> {
    pub(super) fn new(
        desired: &'a DesiredState,
        observed: &'a ObservedState,
        history: &'a History,
        context: &'a Context<'a>,
    ) -> Self {
        Self {
            desired,
            observed,
            history,
            context,
        }
    }

    /// Returns the image of a service when it is on the host.
    pub(super) fn image(&self, service: &Service) -> Option<&'a Image> {
        image_of(self.observed, service)
    }

    pub(super) fn veil(&self) -> Veil<'a> {
        Veil {
            key: self.context.key,
            secrets: &self.desired.secrets,
        }
    }

    /// Returns the one-off containers that an earlier attempt left behind, but for those that run
    /// one of `goes_on`.
    pub(super) fn one_offs(
        &self,
        goes_on: &BTreeSet<String>,
    ) -> impl Iterator<Item = &'a Container> {
        let instance = self.context.instance;
        self.observed.containers.iter().filter(move |container| {
            let label = |name: &str| container.spec.labels.get(name);
            label(labels::INSTANCE).is_some_and(|by| by == instance)
                && label(labels::JOB).is_some_and(|job| !goes_on.contains(job))
        })
    }

    /// Returns the containers that this installation made, by their service and number; those of
    /// one service in the order of their names.
    pub(super) fn units(&self) -> Units<'a> {
        let mut units = Units::new();
        for container in &self.observed.containers {
            let label = |name: &str| container.spec.labels.get(name).map(String::as_str);
            let ours = label(labels::INSTANCE) == Some(self.context.instance)
                && label(labels::ONEOFF) != Some("True");
            if let Some(service) = label(labels::SERVICE).filter(|_| ours) {
                let unit = units.entry((service, number(container))).or_default();
                unit.push(container);
            }
        }
        units
    }

    /// Examines a service; `before` are the ones that it depends on.
    pub(super) fn examine(
        &self,
        name: &'a ServiceName,
        service: &'a Service,
        units: &Units<'a>,
        before: &BTreeMap<&ServiceName, Examined<'a>>,
    ) -> Examined<'a> {
        let own = units.get(&(name.service(), name.number()));
        let mut examined = self.find(name, service, own.map_or(&[], Vec::as_slice));
        self.differ(&mut examined, before);
        // A killed pass never said that the container in its place is any good. What replaces it
        // takes the place of the one before, so that a failure has that to go back to. Where
        // visitors are moved over, both are there still, and the way back is the same as ever.
        let doubtful = examined.remedy == Some(Remedy::Replace) || service.blue_green().is_some();
        if doubtful && self.go_back_to_set_aside(&mut examined) {
            self.differ(&mut examined, before);
        }
        self.leave_alone(&mut examined);
        self.take_turns(&mut examined);
        examined
    }

    /// Finds out in what a service differs and what is the least to be done about it.
    fn differ(&self, examined: &mut Examined<'a>, before: &BTreeMap<&ServiceName, Examined<'a>>) {
        let (name, service) = (examined.name, examined.service);
        let released = self.released(name);
        examined.wanted = self.wanted(examined);
        let git = &examined.wanted;
        let image_known = self.image(service).is_some();
        examined.reasons = match examined.holder {
            None => vec![missing(released)],
            Some(holder) => {
                let known = facts::Known {
                    git,
                    release: released,
                    is_of_git: &|| self.is_made_of(holder, service),
                };
                let mut live = live_facts(holder, examined, known, self.veil());
                around::recall(&mut live, released);
                // What was a secret when it was released is one still.
                facts::hide_as(&mut live, released, self.context.key);
                let mut reasons = compare(git, released, &live, image_known);
                if self.history.owed_starts.contains(name) {
                    let state = reasons.iter_mut().filter(|one| one.field == Field::State);
                    state.for_each(|one| one.origin = Origin::Pending);
                }
                self.leave_to_image(service, &mut reasons);
                reasons.extend(self.file_reasons(service));
                reasons.extend(self.inside_reasons(name));
                reasons.extend(self.dependency_reasons(examined, before));
                reasons.extend(self.owed_reason(name, &reasons));
                reasons
            }
        };
        let remedies = examined.reasons.iter();
        examined.remedy = remedies.map(|reason| remedy_of(service, reason)).max();
    }

    /// Takes the container that is kept aside for the serving one, and the one in its place for
    /// half made; returns whether there was one.
    fn go_back_to_set_aside(&self, examined: &mut Examined<'a>) -> bool {
        if !examined.is_unverified(self.history) {
            return false;
        }
        let Some(aside) = examined.set_aside.take() else {
            return false;
        };
        let kept = self
            .observed
            .containers
            .iter()
            .find(|one| one.id == aside.id);
        if examined.service.blue_green().is_some() {
            // Visitors may be with it.
            examined.beside = examined.holder;
        } else {
            examined.half_made.extend(examined.holder.map(reference));
        }
        examined.holder = kept;
        examined.rename_back = true;
        true
    }

    /// Returns whether a container was made from what Git says of a service.
    fn is_made_of(&self, container: &Container, service: &Service) -> bool {
        container.spec.labels.get(labels::DIGEST) == Some(&self.digest(service))
    }

    pub(super) fn released(&self, name: &ServiceName) -> Option<&'a Facts> {
        self.history
            .release
            .as_ref()
            .and_then(|release| release.services.get(name))
    }

    /// Finds out which of a service's own containers serves, and what an interrupted pass left
    /// behind.
    fn find(
        &self,
        name: &'a ServiceName,
        service: &'a Service,
        own: &[&'a Container],
    ) -> Examined<'a> {
        let container_name = container_name(&self.desired.stack, name, service);
        let mut examined = Examined {
            name,
            service,
            container_name,
            holder: None,
            rename_back: false,
            half_made: Vec::new(),
            set_aside: None,
            beside: None,
            turn: None,
            wanted: Facts::new(),
            reasons: Vec::new(),
            remedy: None,
            holds: Vec::new(),
        };
        let mut kept_aside = None;
        for container in own.iter().copied() {
            // First, because a name that Git gives may look like one of ours.
            let place = if container.name == examined.container_name {
                examined.holder.replace(container)
            } else if is_incoming(&container.name) && service.blue_green().is_some() {
                examined.beside.replace(container)
            } else if is_incoming(&container.name) {
                examined.half_made.push(reference(container));
                None
            } else if is_aside(&container.name) {
                kept_aside.replace(container)
            } else if examined.holder.is_none() {
                examined.holder.replace(container)
            } else {
                Some(container)
            };
            let duplicate = place.map(|other| self.duplicate(name, other));
            examined.holds.extend(duplicate);
        }
        match (examined.holder, kept_aside) {
            (None, Some(container)) => {
                examined.holder = Some(container);
                examined.rename_back = true;
            }
            (Some(_), Some(container)) => examined.set_aside = Some(reference(container)),
            (_, None) => {}
        }
        self.stand_in(&mut examined);
        examined
    }

    /// Returns what Git wants of the service, state included.
    fn wanted(&self, examined: &Examined<'_>) -> Facts {
        let service = examined.service;
        let image = self.image(service);
        let spec = self.spec_in(examined, examined.slot());
        let spec = Self::without_own_alias(examined, spec);
        let mut git = facts::desired(&spec, image, &service.committed_env, self.veil());
        git.insert(Field::Name, Fact::Plain(examined.container_name.clone()));
        let state = match examined.holder.map(|holder| &holder.state) {
            // A job that has done its work is not run again until something of it changes.
            Some(state) if self.is_done(examined) => state.to_string(),
            _ => ContainerState::Running.to_string(),
        };
        git.insert(Field::State, Fact::Plain(state));
        self.complete(examined, &mut git);
        git
    }

    /// Leaves out what another image brings along by itself: that it is another one says it.
    fn leave_to_image(&self, service: &Service, reasons: &mut Vec<Reason>) {
        let differs = |field: &Field| reasons.iter().any(|reason| reason.field == *field);
        let (image, id) = (differs(&Field::Image), differs(&Field::ImageId));
        if !image && !id {
            return;
        }
        let said = facts::desired(&service.spec, None, &service.committed_env, self.veil());
        let by_image = |reason: &Reason| {
            let own = [Field::Name, Field::State].contains(&reason.field);
            let from_image = reason.git.is_some() && !said.contains_key(&reason.field) && !own;
            from_image && reason.origin == Origin::Pending
        };
        reasons.retain(|reason| {
            let redundant = if reason.field == Field::ImageId {
                image
            } else {
                by_image(reason)
            };
            !redundant
        });
    }

    /// Returns the mounted files whose new content the running container may not have seen.
    fn file_reasons(&self, service: &Service) -> Vec<Reason> {
        if service.on_file_change == OnFileChange::Ignore {
            return Vec::new();
        }
        let released = self.history.release.as_ref().map(|release| &release.files);
        let configs = self.config_paths();
        service
            .mounted_files
            .iter()
            .filter(|path| !configs.contains(path))
            .filter_map(|path| {
                let git = self.desired.files.get(path)?.digest();
                let live = self.observed.files.get(path);
                let before = released.and_then(|files| files.get(path));
                let pending = released.is_some() && before != Some(&git);
                let drift = live != Some(&git);
                (pending || drift).then(|| Reason {
                    field: Field::File(path.to_string()),
                    git: Some(short(&git)),
                    release: before.map(|digest| short(digest)),
                    live: live.map(|digest| short(digest)),
                    origin: if pending {
                        Origin::Pending
                    } else {
                        Origin::Drift
                    },
                })
            })
            .collect()
    }

    /// Returns the reason to restart a service where an interrupted pass was to and did not, and
    /// nothing else says so any more.
    fn owed_reason(&self, name: &ServiceName, others: &[Reason]) -> Option<Reason> {
        let anyway =
            |one: &Reason| remedy(one) >= Remedy::Restart || matches!(one.field, Field::File(_));
        let restarts = others.iter().any(anyway);
        (self.history.owed_restarts.contains(name) && !restarts).then_some(Reason {
            field: Field::Owed,
            git: None,
            release: None,
            live: None,
            origin: Origin::Pending,
        })
    }

    /// Takes the remedy away where it would fight a person or mend nothing, and says so.
    fn leave_alone(&self, examined: &mut Examined<'a>) {
        let by_hand = !examined.reasons.is_empty()
            && self.history.release.is_some()
            && examined
                .reasons
                .iter()
                .all(|reason| reason.origin == Origin::Drift);
        let by_hand = by_hand && !examined.is_left_by_a_pass();
        if by_hand && self.desired.drift == DriftPolicy::Report {
            examined.remedy = None;
            examined.holds.push(Hold::DriftReported {
                service: Subject::Service(examined.name.clone()),
                reasons: examined.reasons.clone(),
            });
        }
        if self.has_ended_again(examined) {
            examined.remedy = None;
            examined.holds.push(Hold::Ended {
                service: examined.name.clone(),
            });
        }
        let Some(holder) = examined.holder.filter(|_| examined.remedy.is_none()) else {
            return;
        };
        let service = examined.name.clone();
        if holder.state == ContainerState::Restarting {
            examined.holds.push(Hold::Restarting { service });
        } else if holder.health == Some(Health::Unhealthy) {
            examined.holds.push(Hold::Unhealthy { service });
        }
    }

    /// Returns the passes that put this revision in place within the last hour.
    pub(super) fn recent_passes(&self) -> impl Iterator<Item = &'a PastAttempt> {
        const AN_HOUR: i64 = 3600;
        let revision = &self.desired.commit.revision;
        let now = self.context.now;
        self.history.past.iter().filter(move |past| {
            past.revision == *revision && now.saturating_sub(past.ended_at) < AN_HOUR
        })
    }
}

/// Returns the number of a container among those of its service; what is older has none.
pub(super) fn number(container: &Container) -> u32 {
    let number = container.spec.labels.get(labels::NUMBER);
    number.and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// Returns the name of a service's container: its own, or Compose's `STACK-SERVICE-1`.
pub(super) fn container_name(
    stack: &crate::desired::StackName,
    name: &ServiceName,
    service: &Service,
) -> String {
    service
        .container_name
        .clone()
        .unwrap_or_else(|| default_container_name(stack, name))
}

pub(super) fn reference(container: &Container) -> ContainerRef {
    ContainerRef {
        id: container.id.clone(),
        name: container.name.clone(),
    }
}

/// Returns the least action for one field of a service: what its files want is for Git to say.
fn remedy_of(service: &Service, reason: &Reason) -> Remedy {
    if neighbours::needs_anew(reason) {
        return Remedy::Replace;
    }
    match (&reason.field, &service.on_file_change) {
        (Field::File(_) | Field::Owed, OnFileChange::Reload(_)) => Remedy::Reload,
        (Field::File(_) | Field::Owed, OnFileChange::Replace) => Remedy::Replace,
        (
            _,
            OnFileChange::Restart
            | OnFileChange::Ignore
            | OnFileChange::Reload(_)
            | OnFileChange::Replace,
        ) => remedy(reason),
    }
}

fn missing(released: Option<&Facts>) -> Reason {
    let there = || Some(Fact::Plain("present".to_owned()));
    Reason {
        field: Field::Container,
        git: there(),
        release: released.and_then(|_| there()),
        live: Some(Fact::Plain("missing".to_owned())),
        origin: if released.is_some() {
            Origin::Drift
        } else {
            Origin::Pending
        },
    }
}

pub(super) fn short(digest: &str) -> Fact {
    let mode = match mode_of_digest(digest) {
        Mode::Plain => "",
        Mode::Executable => " +x",
    };
    Fact::Plain(format!("{}{mode}", short_id(digest)))
}

/// Returns the image of a service when it is on the host.
pub(super) fn image_of<'a>(observed: &'a ObservedState, service: &Service) -> Option<&'a Image> {
    match observed.images.get(&service.spec.image) {
        Some(ImageState::Here(image)) => Some(image),
        Some(
            ImageState::Remote { .. }
            | ImageState::Moved { .. }
            | ImageState::NotPulled
            | ImageState::Missing { .. }
            | ImageState::Denied { .. }
            | ImageState::Unknown { .. },
        )
        | None => None,
    }
}
