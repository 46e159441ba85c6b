//! Plans the end of a stack whose lifetime is over: out of the proxy, containers away, networks away.
//! Volumes and files of the host stay. Why, and what must be so before: `docs/decisions/0032-lifetime.md`.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::Serialize;

use super::action::{Action, ContainerRef, Phase, Placement, RemoveReason};
use super::drafts::{Lower, ReleaseDraft, Switch};
use super::front::place_at;
use super::guard::All;
use super::order::{Planner, dependency_order, examine_all};
use super::services::{Input, reference};
use super::way::unit;
use super::{Hold, Plan, Release};
use crate::desired::{StackName, Wanted};
use crate::engine::model::Container;
use crate::labels;
use crate::maintenance::Owner;
use crate::observe::Loaded;

/// That the lifetime of a stack is over: what runs of it goes, or has gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Expired {
    /// When it was over.
    pub at: Timestamp,
    /// Its volumes that there are.
    pub volumes: Vec<String>,
}

/// That Git gives a stack an end that was over before anything was released with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ExpiresInThePast {
    /// Which stack.
    pub stack: StackName,
    /// When it was over.
    pub at: Timestamp,
}

impl fmt::Display for Expired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = minute(self.at);
        write!(
            f,
            "its lifetime was over at {at}: its containers and networks go, what it has written stays"
        )?;
        if !self.volumes.is_empty() {
            let volumes = self.volumes.join(" ");
            write!(
                f,
                "; if nobody needs what is in its volumes: docker volume rm {volumes}"
            )?;
        }
        f.write_str("; a later expires in moored.yaml brings it back")
    }
}

impl fmt::Display for ExpiresInThePast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, stack) = (minute(self.at), &self.stack);
        write!(
            f,
            "expires in moored.yaml says {at}, which is over, and nothing was released with it: \
             nothing is changed and nothing removed; write a later time, or take expires out. To end \
             {stack} now, release it with a time a few minutes ahead"
        )
    }
}

fn minute(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// Returns the plan that ends a stack, if its lifetime is over and it was released with that.
pub(super) fn end(input: Input<'_>) -> Option<Plan> {
    let at = input.expired()?;
    let release = input.history.release.as_ref()?;
    let may_expire = input.context.policy.expiry(input.desired.stack.as_str());
    let is_meant = release.expires == Some(at) && input.history.pin.is_none();
    // Nobody ends a migration of which it is not known what it has done. What only the release has in
    // a proxy can't be taken out by what a commit says that was not put in place.
    let is_settled =
        input.history.doubt.is_none() && (release.proxy.is_none() || input.desired.proxy.is_some());
    if !is_meant || !is_settled || may_expire.is_some() {
        return None;
    }
    let examined = examine_all(input);
    let mut planner = Planner::new(input);
    planner.hold_revision();
    // That another commit failed is no reason to stay.
    let failed = |hold: &Hold| matches!(hold, Hold::FailedRevision { .. });
    planner.holds.retain(|hold| !failed(hold));
    planner.hold_while_suspended();
    planner.end(at, release, &examined);
    let mut plan = planner.finish(&All::new());
    if input.desired.commit.revision != release.id.revision {
        // The commands of a commit that was not put in place may wait for somebody's approval.
        plan.around.clear();
    }
    Some(plan)
}

impl Input<'_> {
    /// Returns when the lifetime of the stack was over, if it is.
    pub(super) fn expired(&self) -> Option<Timestamp> {
        let expires = self.desired.expires?;
        (expires.as_second() <= self.context.now).then_some(expires)
    }
}

impl<'a> Planner<'a> {
    /// Holds a commit with an end that is over already, and with which nothing was released: it may
    /// be a slip, and is not put in place.
    pub(super) fn hold_expired(&mut self) {
        let Input {
            desired, history, ..
        } = self.input;
        let released = history.release.as_ref();
        let released = released.and_then(|release| release.expires);
        let pinned = history.pin.is_some();
        if let Some(at) = self.input.expired().filter(|at| Some(*at) != released)
            && !pinned
        {
            let stack = desired.stack.clone();
            let past = ExpiresInThePast { stack, at };
            self.holds.push(Hold::ExpiresInThePast(past));
        }
    }

    fn end(&mut self, at: Timestamp, release: &'a Release, examined: &All<'a>) {
        let mut after = Vec::new();
        if let Some(draft) = self.take_out(examined) {
            let action = Action::Switch(Box::new(draft));
            after = vec![self.push(Phase::Settle, action, &[], after)];
        }
        let going = self.going();
        let going: Vec<ContainerRef> = going.into_iter().map(reference).collect();
        for container in going {
            let why = RemoveReason::Expired;
            let action = Action::Remove { container, why };
            after = vec![self.push(Phase::Settle, action, &[], after)];
        }
        for (id, name) in self.own_networks(examined) {
            let action = Action::RemoveNetwork { id, name };
            after = vec![self.push(Phase::Settle, action, &[], after)];
        }
        if let Some(lower) = self.lower_for_good() {
            let action = Action::MaintainOff(Box::new(lower));
            after = vec![self.push(Phase::Settle, action, &[], after)];
        }
        let is_recorded = release.services.is_empty() && release.proxy.is_none();
        if !self.steps.is_empty() || !is_recorded {
            let draft = Box::new(self.nothing_left(release, examined));
            self.push(Phase::Settle, Action::Record(draft), &[], after);
        }
        let volumes = self.input.desired.volumes.iter();
        let volumes = volumes.filter(|(name, wanted)| {
            matches!(wanted, Wanted::Own(_)) && self.input.observed.volumes.contains_key(*name)
        });
        let volumes = volumes.map(|(name, _)| name.clone()).collect();
        // What is held stays as it is for now, its backups too.
        if !self.holds.iter().any(Hold::is_heavy) {
            self.holds.push(Hold::Expired(Expired { at, volumes }));
        }
    }

    /// Returns the containers that go, those that depend on others before these.
    fn going(&mut self) -> Vec<&'a Container> {
        let Input {
            desired,
            observed,
            context,
            ..
        } = self.input;
        let order = dependency_order(desired);
        let place = |one: &Container| {
            let unit = unit(one);
            unit.and_then(|unit| order.iter().position(|name| **name == unit))
        };
        let ours = observed.containers.iter().filter(|one| {
            let by = one.spec.labels.get(labels::INSTANCE);
            by.map(String::as_str) == Some(context.instance)
        });
        let mut going: Vec<&Container> = ours.collect();
        // Those of no service of Git first, and then from the end of the order.
        going.sort_by_key(|one| (place(one).map(|n| order.len() - n), one.name.clone()));
        self.leavers = going
            .iter()
            .map(|one| (*one, RemoveReason::Expired))
            .collect();
        self.tell_of_left_volumes();
        self.leavers.clear();
        going
    }

    /// Returns the networks that were made for the stack and have nobody else in them.
    fn own_networks(&self, examined: &All<'a>) -> Vec<(String, String)> {
        let Input {
            desired, observed, ..
        } = self.input;
        let own = desired.networks.iter();
        let own = own.filter(|(_, wanted)| matches!(wanted, Wanted::Own(_)));
        let live = own.filter_map(|(name, _)| observed.networks.get(name));
        let goes = live
            .filter(|live| self.is_own(live) && self.strangers_in(&live.name, examined).is_empty());
        goes.map(|live| (live.id.clone(), live.name.clone()))
            .collect()
    }

    /// Returns how the stack's configuration is taken out of a proxy that is not its own, if it has
    /// or may have any of it.
    fn take_out(&self, examined: &All<'a>) -> Option<Switch> {
        let front = self.input.examine_front(examined)?;
        let then = front.released.filter(|_| !front.is_of_this_stack())?;
        let observed = &self.input.observed.host_placed;
        let placed = then.files.keys().any(|path| observed.contains_key(path));
        let loaded =
            matches!(&front.observed.loaded, Loaded::Marker(marker) if *marker == then.marker);
        if !placed && !loaded {
            return None;
        }
        let mut files: BTreeMap<PathBuf, Vec<Placement>> = BTreeMap::new();
        let gone = then.files.iter();
        let gone = gone.filter_map(|(path, before)| place_at(path, None, Some(before.clone())));
        for (root, placement) in gone {
            files.entry(root).or_default().push(placement);
        }
        let draft = self.switch_draft(&front, then.marker.clone(), files);
        Some(Switch {
            takes_out: true,
            ..draft
        })
    }

    /// Returns how our maintenance page is switched off; that visitors see something else then is
    /// not asked for: there is nobody behind it any more.
    fn lower_for_good(&self) -> Option<Lower> {
        let Input {
            desired,
            observed,
            context,
            ..
        } = self.input;
        let mut maintenance = desired.maintenance.clone()?;
        maintenance.probe = None;
        let there = observed.maintenance.as_ref().map(|flag| &flag.owner);
        let owner: Owner = there
            .filter(|owner| super::page::is_ours(owner, &desired.stack, context.instance))?
            .clone();
        Some(Lower { maintenance, owner })
    }

    /// Returns a release of nothing: what comes after it puts everything in place.
    fn nothing_left(&self, then: &Release, examined: &All<'a>) -> ReleaseDraft {
        let draft = self.release(examined);
        // An attempt after the release may have changed the data, and was never released.
        let history = self.input.history;
        ReleaseDraft {
            services: BTreeMap::new(),
            files: then.files.clone(),
            host_placed: then.host_placed.clone(),
            proxy: None,
            schema: history.schema.clone(),
            jobs: history.ran_jobs.clone(),
            ..draft
        }
    }
}
