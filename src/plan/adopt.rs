//! Takes over what Docker Compose runs: which container stands in a service's place, whether it
//! is ours without a step on it, and what is held until a person says so.
//!
//! A label alone makes nothing ours, because people copy labels. What is exactly as Git says is
//! adopted without being touched; whatever would be touched is held.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::action::{Action, ContainerRef, Phase};
use super::examined::Examined;
use super::facts::Field;
use super::guard::All;
use super::order::{Planner, examine_all};
use super::services::{Input, number, reference};
use super::{Context, History, Hold, Plan, Reason, Second};
use crate::desired::{DesiredState, ServiceName};
use crate::engine::model::{Container, ContainerSpec};
use crate::labels;
use crate::observe::ObservedState;

/// Plans that the containers of Docker Compose in the places of services are ours from now on,
/// because a person says so.
///
/// Pure like [`super::plan`].
pub fn adopt(
    desired: &DesiredState,
    observed: &ObservedState,
    history: &History,
    context: &Context<'_>,
) -> Plan {
    let input = Input::new(desired, observed, history, context);
    let all = examine_all(input);
    let containers: Vec<(ServiceName, ContainerRef)> = all
        .values()
        .filter_map(|one| Some((one.name.clone(), reference(input.candidate_of(one)?))))
        .collect();
    let mut planner = Planner::new(input);
    let named = |(service, container): &(ServiceName, ContainerRef)| {
        format!("{service} ({})", container.name)
    };
    let named: Vec<String> = containers.iter().map(named).collect();
    if !containers.is_empty() {
        planner.push(Phase::Settle, Action::Adopt { containers }, &[], Vec::new());
    }
    planner.finish_by_hand(format!("adopted {}", named.join(", ")))
}

impl<'a> Input<'a> {
    /// Lets the container of Docker Compose with its number stand in a service's place, if none of
    /// ours does; those of a number that Git does not want are told with the first.
    pub(super) fn stand_in(&self, one: &mut Examined<'a>) {
        if self.observed.candidates.is_empty() {
            return;
        }
        let of_service = |container: &&Container| {
            let service = container.spec.labels.get(labels::SERVICE);
            service.is_some_and(|service| service == one.name.service())
        };
        let units = self.desired.services.keys();
        let units = units.filter(|unit| unit.service() == one.name.service());
        let wanted: BTreeSet<u32> = units.map(ServiceName::number).collect();
        let own = one.name.number();
        let of_service = self.observed.candidates.iter().filter(of_service);
        let mut of_service: Vec<&Container> = of_service.collect();
        // A killed `docker compose up` leaves a half-made one beside the one that serves: which of
        // them has the name depends on the version and on the moment.
        of_service.sort_by_key(|other| (!other.is_running(), other.name != one.container_name));
        let mut left = Vec::new();
        for container in of_service {
            let number = number(container);
            if number == own && one.holder.is_none() {
                one.holder = Some(container);
            } else if number == own || own == 1 && !wanted.contains(&number) {
                left.push(container);
            }
        }
        let left = left.into_iter();
        one.holds
            .extend(left.map(|other| self.duplicate(one.name, other)));
    }

    /// Tells of a container with the labels of a service that is not the one which serves.
    pub(super) fn duplicate(&self, service: &ServiceName, container: &Container) -> Hold {
        let stack = || self.desired.stack.clone();
        let mut units = self.desired.services.keys();
        let is_wanted = units
            .any(|unit| unit.service() == service.service() && unit.number() == number(container));
        Hold::Duplicate {
            service: service.clone(),
            container: container.name.clone(),
            id: container.id.clone(),
            image: container.spec.image.clone(),
            state: container.state.to_string(),
            whose: match (self.is_candidate(&container.id), is_wanted) {
                (false, _) => Second::Ours,
                (true, true) => Second::Compose(stack()),
                (true, false) => Second::Beyond(stack()),
            },
        }
    }

    /// Returns the container in a service's place if Docker Compose made it and it is not ours.
    pub(super) fn candidate_of(&self, one: &Examined<'a>) -> Option<&'a Container> {
        one.holder.filter(|holder| self.is_candidate(&holder.id))
    }

    fn is_candidate(&self, id: &str) -> bool {
        self.observed.candidates.iter().any(|one| one.id == id)
    }

    /// Leaves out the name of a container among its aliases where Docker Compose 1 has made it: it
    /// gave none, and the engine answers for the name of a container by itself.
    pub(super) fn without_own_alias<'s>(
        one: &Examined<'_>,
        mut spec: Cow<'s, ContainerSpec>,
    ) -> Cow<'s, ContainerSpec> {
        let Some(holder) = one.holder.filter(|_| one.is_of_compose()) else {
            return spec;
        };
        let name = &one.container_name;
        for (network, live) in &holder.spec.networks {
            let wanted = spec.networks.get(network);
            let only_wanted = wanted.is_some_and(|wanted| wanted.aliases.contains(name));
            if only_wanted && !live.aliases.contains(name) {
                let endpoint = spec.to_mut().networks.get_mut(network);
                endpoint.map(|endpoint| endpoint.aliases.remove(name));
            }
        }
        spec
    }
}

impl Examined<'_> {
    /// Returns whether Docker Compose has made the container in its place, ours or not.
    pub(super) fn is_of_compose(&self) -> bool {
        let labels = self.holder.map(|holder| &holder.spec.labels);
        labels.is_some_and(|labels| !labels.contains_key(labels::ATTEMPT))
    }

    /// Returns whether the very code that Git wants runs already, on the data as it is, and came
    /// there without us: whoever put it there has migrated the data.
    pub(super) fn runs_without_us(&self, history: &History) -> bool {
        let other_code = |reason: &Reason| matches!(reason.field, Field::Image | Field::ImageId);
        history.release.is_none()
            && self.is_of_compose()
            && self.holder.is_some_and(Container::is_running)
            && !self.reasons.iter().any(other_code)
    }
}

impl<'a> Planner<'a> {
    /// Holds what the plan would do to a container of Docker Compose, and says which others are
    /// ours from now on.
    pub(super) fn adoption(
        &mut self,
        all: &BTreeMap<&ServiceName, Examined<'a>>,
    ) -> Option<Action> {
        let mut touched: BTreeMap<&str, BTreeSet<&'static str>> = BTreeMap::new();
        for step in &self.steps {
            for one in touched_by(&step.action) {
                touched.entry(one).or_default().insert(step.action.verb());
            }
        }
        let (mut holds, mut containers) = (Vec::new(), Vec::new());
        for one in all.values() {
            let Some(container) = self.input.candidate_of(one) else {
                continue;
            };
            let by_name = touched.get(container.name.as_str());
            match touched.get(container.id.as_str()).or(by_name) {
                Some(verbs) => holds.push(Hold::NotAdopted {
                    stack: self.input.desired.stack.clone(),
                    service: one.name.clone(),
                    container: container.name.clone(),
                    id: container.id.clone(),
                    would: verbs.iter().map(|verb| (*verb).to_owned()).collect(),
                    reasons: one.reasons.clone(),
                }),
                None if one.reasons.is_empty() => {
                    containers.push((one.name.clone(), reference(container)));
                }
                // Changed by hand, and that is only to be told.
                None => {}
            }
        }
        self.holds.extend(holds);
        (!containers.is_empty()).then_some(Action::Adopt { containers })
    }

    /// Holds the plan of a person that would do something to a container of Docker Compose.
    pub(super) fn hold_what_is_not_ours(&mut self, all: &All<'a>) {
        // Nothing is adopted by the way.
        let _adoption = self.adoption(all);
        if self.holds.iter().any(Hold::is_heavy) {
            self.steps.clear();
        }
    }

    /// Tells of containers that Docker Compose made for the project and that no service has.
    pub(super) fn tell_of_strangers(&mut self) {
        let Input {
            desired, observed, ..
        } = self.input;
        let known = |container: &&Container| {
            let service = container.spec.labels.get(labels::SERVICE);
            let mut services = desired.services.keys();
            services.any(|name| service.is_some_and(|service| service == name.service()))
        };
        let strangers = observed.candidates.iter().filter(|one| !known(one));
        let strangers = strangers.map(|one| Hold::NotOfStack {
            container: one.name.clone(),
        });
        self.holds.extend(strangers);
    }

    /// Returns whether nothing but the word of a person, or the hour, keeps the plan from being done.
    pub(super) fn only_waits(&self) -> bool {
        let waits = |hold: &Hold| matches!(hold, Hold::NotAdopted { .. } | Hold::Waits(_));
        let mut holds = self.holds.iter();
        holds.all(|hold| !hold.is_heavy() || waits(hold))
    }
}

/// Returns the containers, by id or name, that an action does something to which they or their
/// visitors notice.
fn touched_by(action: &Action) -> Vec<&str> {
    match action {
        Action::Stop { container, .. }
        | Action::Rename { container, .. }
        | Action::Start { container, .. }
        | Action::Restart { container, .. }
        | Action::Drain { container, .. }
        | Action::Reload { container, .. }
        | Action::Connect { container, .. }
        | Action::Disconnect { container, .. }
        | Action::Remove { container, .. } => vec![&container.id],
        Action::PutBack { old, .. }
        | Action::Replace { old, .. }
        | Action::HandOver { old, .. } => vec![&old.id],
        Action::StartBeside { there, retreat, .. } => {
            let ones = there.iter().chain(&retreat.stopped);
            ones.map(|one| one.id.as_str()).collect()
        }
        Action::Switch(switch) | Action::SwitchBack(switch) => {
            switch.container.as_deref().into_iter().collect()
        }
        Action::RemakeNetwork(draft) => {
            let members = draft.members.iter();
            members.map(|one| one.container.id.as_str()).collect()
        }
        Action::Await { instead, .. } => instead.iter().map(|one| one.id.as_str()).collect(),
        Action::Pull { .. }
        | Action::Measure(_)
        | Action::MaintainOn(_)
        | Action::MaintainOff(_)
        | Action::Backup(_)
        | Action::Migrate(_)
        | Action::Job(_)
        | Action::Restore(_)
        | Action::CreateNetwork(_)
        | Action::CreateVolume(_)
        | Action::RemoveNetwork { .. }
        | Action::Place { .. }
        | Action::Create { .. }
        | Action::TestProxy(_)
        | Action::Ready(_)
        | Action::Soak { .. }
        | Action::Smoke(_)
        | Action::Adopt { .. }
        | Action::Record(_) => Vec::new(),
    }
}
