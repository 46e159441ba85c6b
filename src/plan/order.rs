//! Puts the steps in order: what can fail without harm first, dependencies before dependents,
//! as parallel as that allows.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::action::{Action, Await, ContainerRef, Phase, RemoveReason, Step};
use super::diff::Remedy;
use super::drafts::RemadeNetwork;
use super::examined::Examined;
use super::expiry;
use super::facts::{Fact, Field};
use super::front::Front;
use super::guard::{All, Due};
use super::services::{Input, reference};
use super::{Context, Difference, History, Hold, Kind, Plan, Reason, Subject};
use crate::desired::{Condition, DesiredState, ServiceName};
use crate::engine::model::{Container, ContainerState, Health};
use crate::maintenance::Owner;
use crate::observe::ObservedState;

/// Decides what a pass does to a stack.
///
/// Pure, total and deterministic: the same input gives the same plan, byte for byte.
pub fn plan(
    desired: &DesiredState,
    observed: &ObservedState,
    history: &History,
    context: &Context<'_>,
) -> Plan {
    let input = Input::new(desired, observed, history, context);
    if let Some(end) = expiry::end(input) {
        return end;
    }
    let order = dependency_order(desired);
    let mut examined = examine_all(input);
    let mut planner = Planner::new(input);
    planner.hold_revision();
    planner.hold_others(&examined);
    planner.hold_late_backups();
    planner.look_at_data(&examined);
    planner.look_at_networks(&examined);
    planner.leave_none_beside(&mut examined);
    planner.look_at_front(&examined);
    planner.hold_too_old(&examined);
    planner.prepare(&examined);
    planner.test_front(&examined);
    planner.measure(&examined);
    planner.guard(&examined);
    planner.remake_networks(&order, &examined);
    planner.decide_switch(&examined);
    planner.converge(&order, &examined);
    planner.settle(&examined);
    planner.hold_not_permitted();
    planner.hold_what_waits(&examined);
    planner.finish(&examined)
}

/// Examines every service, each after those that it depends on.
pub(super) fn examine_all(input: Input<'_>) -> All<'_> {
    let units = input.units();
    let mut examined = All::new();
    for name in dependency_order(input.desired) {
        if let Some(service) = input.desired.services.get(name) {
            let one = input.examine(name, service, &units, &examined);
            examined.insert(name, one);
        }
    }
    examined
}

pub(super) struct Planner<'a> {
    pub(super) input: Input<'a>,
    pub(super) steps: Vec<Step>,
    pub(super) holds: Vec<Hold>,
    /// Steps that every container step comes after.
    pub(super) ground: Vec<u32>,
    /// The last step of each service that has one.
    pub(super) step_of: BTreeMap<&'a ServiceName, u32>,
    /// Waits that exist already.
    pub(super) awaits: BTreeMap<(&'a ServiceName, Condition), u32>,
    /// The step after which a service is up as far as the engine can tell.
    pub(super) up: BTreeMap<&'a ServiceName, u32>,
    /// Its checks, where they were planned already.
    pub(super) checked: BTreeMap<&'a ServiceName, Vec<u32>>,
    /// Migrations that have to be run.
    pub(super) due: Vec<Due<'a>>,
    /// Whether something is put in place that Git has changed.
    pub(super) deploys: bool,
    /// Who has switched the maintenance page on by then, if one of us has.
    pub(super) raised: Option<Owner>,
    /// Containers that go before the data is worked on.
    pub(super) removed: BTreeSet<String>,
    /// Services that are stopped so that they do not write.
    pub(super) stopped: BTreeSet<&'a ServiceName>,
    /// Steps that may change the form of the data.
    pub(super) migrations: Vec<u32>,
    /// What is about to go and makes way for a service, by id: what it is called then, and the
    /// step after which its place is free.
    pub(super) made_way: BTreeMap<&'a str, (ContainerRef, u32)>,
    /// Containers that go when everything else is in place, and why.
    pub(super) leavers: Vec<(&'a Container, RemoveReason)>,
    /// Networks that have to be made again.
    pub(super) remade: Vec<RemadeNetwork>,
    /// The proxy in front of the stack.
    pub(super) front: Option<Front<'a>>,
    /// Services whose container beside went before the data is worked on.
    pub(super) retreated: BTreeSet<&'a ServiceName>,
    /// Whether it has to load its files.
    pub(super) switches: bool,
    /// Whether it has to look addresses up again.
    pub(super) looks_up: bool,
    /// Why it has to.
    pub(super) switch_reasons: Vec<Reason>,
}

impl<'a> Planner<'a> {
    pub(super) fn new(input: Input<'a>) -> Self {
        Self {
            input,
            steps: Vec::new(),
            holds: Vec::new(),
            ground: Vec::new(),
            step_of: BTreeMap::new(),
            awaits: BTreeMap::new(),
            up: BTreeMap::new(),
            checked: BTreeMap::new(),
            due: Vec::new(),
            deploys: false,
            raised: None,
            removed: BTreeSet::new(),
            stopped: BTreeSet::new(),
            migrations: Vec::new(),
            made_way: BTreeMap::new(),
            leavers: input.leavers(),
            remade: Vec::new(),
            front: None,
            retreated: BTreeSet::new(),
            switches: false,
            looks_up: false,
            switch_reasons: Vec::new(),
        }
    }

    pub(super) fn push(
        &mut self,
        phase: Phase,
        action: Action,
        reasons: &[Reason],
        mut after: Vec<u32>,
    ) -> u32 {
        // What another one of them comes after goes without saying.
        let implied: BTreeSet<u32> = after
            .iter()
            .filter_map(|number| {
                self.steps
                    .get(usize::try_from(*number).ok()?.checked_sub(1)?)
            })
            .flat_map(|step| step.after.iter().copied())
            .collect();
        after.retain(|number| !implied.contains(number));
        after.sort_unstable();
        after.dedup();
        let number = u32::try_from(self.steps.len())
            .unwrap_or(u32::MAX)
            .saturating_add(1);
        self.steps.push(Step {
            number,
            phase,
            action,
            reasons: reasons.to_vec(),
            after,
        });
        number
    }

    fn converge(
        &mut self,
        order: &[&'a ServiceName],
        examined: &BTreeMap<&'a ServiceName, Examined<'a>>,
    ) {
        let pulled = self.ground.clone();
        let mut ground = Vec::new();
        for network in self.missing_networks() {
            ground.push(self.push(
                Phase::Converge,
                Action::CreateNetwork(network),
                &[],
                pulled.clone(),
            ));
        }
        for volume in self.missing_volumes() {
            ground.push(self.push(
                Phase::Converge,
                Action::CreateVolume(volume),
                &[],
                pulled.clone(),
            ));
        }
        let root = self.input.desired.project_directory.clone();
        let mut places = self.host_placements();
        let files = self.placements();
        if !files.is_empty() {
            places.entry(root).or_default().extend(files);
        }
        for (root, files) in places {
            let action = Action::Place { root, files };
            ground.push(self.push(Phase::Converge, action, &[], pulled.clone()));
        }
        if !ground.is_empty() {
            self.ground = ground;
        }
        let needed = self.needed_by_migrations();
        let order = &self.front_last(order);
        let (first, then): (Vec<_>, Vec<_>) = order
            .iter()
            .filter_map(|name| examined.get(name))
            .partition(|one| needed.contains(one.name));
        for one in first {
            self.service(one, examined);
        }
        self.migrate(examined);
        for one in then {
            self.service(one, examined);
        }
        for one in order.iter().filter_map(|name| examined.get(name)) {
            self.verify(one);
        }
        self.check_release(examined);
    }

    /// Plans one service: leftovers of an interrupted pass first, then the least action.
    fn service(&mut self, one: &Examined<'a>, all: &BTreeMap<&'a ServiceName, Examined<'a>>) {
        if let Some(turn) = one.turn {
            return self.change_over(one, turn, all);
        }
        let mut after = self.ground.clone();
        // The name has to be free before anything else of the service is done.
        let renamed = one.is_renamed();
        if renamed {
            after = self.make_way(one, after);
        }
        let holder = self.leftovers(one, &mut after);
        let stopped = self.stopped.contains(one.name).then_some(Remedy::Start);
        let follows = self.joins_a_stopped_one(one);
        let left = follows.is_some().then_some(Remedy::Restart);
        let Some(remedy) = one.remedy.max(stopped).max(left) else {
            return;
        };
        if remedy > Remedy::Reconnect {
            after.extend(self.dependencies(one, all));
        }
        if !renamed {
            after = self.make_way(one, after);
        }
        if matches!(remedy, Remedy::Restart | Remedy::Replace) {
            after.extend(self.after_the_others(one, all));
        }
        let after = self.place_for(one, all, after);
        if let Some(step) = self.act(one, remedy, holder, after) {
            self.step_of.insert(one.name, step);
            if let Some(why) = follows {
                self.add_reason(step, why);
            }
        }
    }

    /// Plans what an interrupted pass left behind; returns the container that serves now.
    pub(super) fn leftovers(
        &mut self,
        one: &Examined<'a>,
        after: &mut Vec<u32>,
    ) -> Option<ContainerRef> {
        let mut removed = Vec::new();
        for container in one.half_made.iter().cloned() {
            if self.removed.contains(&container.id) {
                continue;
            }
            let why = RemoveReason::HalfMade;
            let action = Action::Remove { container, why };
            removed.push(self.push(Phase::Converge, action, &[], self.ground.clone()));
        }
        // One that a recorded release has left over has the name that a replace needs for the next.
        if let (Some(Remedy::Replace), Some(container)) = (one.remedy, one.set_aside.clone()) {
            let why = RemoveReason::Replaced;
            let action = Action::Remove { container, why };
            removed.push(self.push(Phase::Converge, action, &[], self.ground.clone()));
        }
        after.extend(removed.iter().copied());
        let container = one.holder.map(reference)?;
        if !one.rename_back {
            self.rename(one, after);
            return Some(container);
        }
        let (id, name) = (container.id.clone(), one.container_name.clone());
        let back = ContainerRef {
            id,
            name: name.clone(),
        };
        let action = Action::Rename { container, name };
        // The one that goes may have the name still.
        removed.extend(self.ground.iter().copied());
        after.push(self.push(Phase::Converge, action, &[], removed));
        Some(back)
    }

    /// Plans the least action that takes the differences of a service away.
    pub(super) fn act(
        &mut self,
        one: &Examined<'a>,
        remedy: Remedy,
        holder: Option<ContainerRef>,
        after: Vec<u32>,
    ) -> Option<u32> {
        let service = one.name.clone();
        let name = one.container_name.clone();
        let spec = || Box::new(self.input.container_spec(one));
        let (action, after) = match (remedy, holder) {
            (Remedy::Reload, Some(container)) => return self.reload(one, container, after),
            (Remedy::Rename, Some(container)) => {
                let renamed = after.last().copied();
                return self.reload(one, container, after).or(renamed);
            }
            (Remedy::Reconnect, Some(container)) => {
                let connected = self.reconnect(one, &container, &after);
                let after = connected.map_or(after, |last| vec![last]);
                return self.reload(one, container, after).or(connected);
            }
            (Remedy::Start, Some(container)) => {
                let connected = self.reconnect(one, &container, &after);
                let after = connected.map_or(after, |last| vec![last]);
                (Action::Start { service, container }, after)
            }
            (Remedy::Restart, Some(container)) => {
                let connected = self.reconnect(one, &container, &after);
                let after = connected.map_or(after, |last| vec![last]);
                (Action::Restart { service, container }, after)
            }
            (Remedy::Replace, Some(old)) => {
                let spec = spec();
                let running = Fact::Plain(ContainerState::Running.to_string());
                (
                    Action::Replace {
                        service,
                        old,
                        old_serves: one.wanted.get(&Field::State) == Some(&running)
                            && !self.stopped.contains(one.name),
                        name,
                        spec,
                    },
                    after,
                )
            }
            (Remedy::Create, _)
            | (
                Remedy::Reload
                | Remedy::Rename
                | Remedy::Reconnect
                | Remedy::Start
                | Remedy::Restart
                | Remedy::Replace,
                None,
            ) => {
                let spec = spec();
                (
                    Action::Create {
                        service,
                        name,
                        spec,
                    },
                    after,
                )
            }
        };
        Some(self.push(Phase::Converge, action, &one.reasons, after))
    }

    /// Returns the steps that a service's start waits for because of its `depends_on`.
    pub(super) fn dependencies(
        &mut self,
        one: &Examined<'a>,
        all: &BTreeMap<&'a ServiceName, Examined<'a>>,
    ) -> Vec<u32> {
        let mut after = Vec::new();
        for (name, dependency) in &one.service.depends_on {
            let Some(other) = all.get(name) else { continue };
            let step = self.step_of.get(name).copied();
            after.extend(step);
            let met = step.is_none()
                && other
                    .holder
                    .is_some_and(|holder| match dependency.condition {
                        Condition::Started => true,
                        Condition::Healthy => holder.health == Some(Health::Healthy),
                        Condition::Completed => {
                            matches!(holder.state, ContainerState::Exited { code: 0, .. })
                        }
                    });
            let until = match dependency.condition {
                Condition::Started => continue,
                Condition::Healthy => Await::Healthy {
                    soak: Duration::ZERO,
                },
                Condition::Completed => Await::Completed,
            };
            if !met {
                after.push(self.wait(other, dependency.condition, until, step));
            }
        }
        after
    }

    fn wait(
        &mut self,
        other: &Examined<'a>,
        condition: Condition,
        until: Await,
        step: Option<u32>,
    ) -> u32 {
        if let Some(known) = self.awaits.get(&(other.name, condition)) {
            return *known;
        }
        let action = Action::Await {
            service: other.name.clone(),
            container: other.looked_at(),
            instead: other.set_aside.clone(),
            until,
            within: self.patience(other, until),
        };
        let step = self.push(Phase::Converge, action, &[], step.into_iter().collect());
        self.awaits.insert((other.name, condition), step);
        step
    }

    pub(super) fn finish(mut self, examined: &BTreeMap<&ServiceName, Examined<'a>>) -> Plan {
        let mut held_back = Vec::new();
        if self.holds.iter().any(Hold::is_heavy) {
            held_back = std::mem::take(&mut self.steps);
            if !self.only_waits() {
                held_back.clear();
            }
        }
        let Input {
            desired, history, ..
        } = self.input;
        let differences = examined
            .values()
            .filter(|one| !one.reasons.is_empty())
            .map(|one| Difference {
                of: Subject::Service(one.name.clone()),
                reasons: one.reasons.clone(),
            });
        let mut differences: Vec<Difference> = differences.collect();
        differences.extend(self.leaver_differences());
        differences.extend(self.network_differences());
        differences.extend(self.other_differences());
        Plan {
            kind: Kind::Deploy,
            on_failure: desired.on_failure,
            unreleased: self.input.unreleased(),
            stack: desired.stack.clone(),
            attempt: history.next_attempt,
            commit: desired.commit.clone(),
            from: history
                .release
                .as_ref()
                .map(|release| release.id.revision.clone()),
            steps: self.steps,
            around: self.input.around(),
            holds: self.holds,
            held_back,
            differences,
        }
    }
}

/// Returns the services so that each comes after those that it depends on.
pub(super) fn dependency_order(desired: &DesiredState) -> Vec<&ServiceName> {
    fn visit<'a>(
        name: &'a ServiceName,
        desired: &'a DesiredState,
        seen: &mut BTreeSet<&'a ServiceName>,
        order: &mut Vec<&'a ServiceName>,
    ) {
        if !seen.insert(name) {
            return;
        }
        if let Some(service) = desired.services.get(name) {
            for dependency in service.depends_on.keys() {
                visit(dependency, desired, seen, order);
            }
        }
        order.push(name);
    }
    let (mut seen, mut order) = (BTreeSet::new(), Vec::new());
    for name in desired.services.keys() {
        visit(name, desired, &mut seen, &mut order);
    }
    order
}
