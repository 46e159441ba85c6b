//! Says what becomes of a service when another one is replaced, restarted or started: one that
//! depends on it, is in its namespaces, or has its volumes.
//!
//! A container joins the namespaces of another one when it starts, and knows that one by its id.
//! When the other one is started anew, whoever joined before is in a namespace where nobody else
//! is; when it is a new container, it can't even be started again.

use std::collections::BTreeMap;

use super::diff::{Origin, Reason, Remedy};
use super::examined::Examined;
use super::facts::{Fact, Facts, Field, Known};
use super::order::Planner;
use super::services::{Input, container_name};
use crate::desired::{Service, ServiceName};
use crate::engine::model::joined;

/// What a service meets when one whose namespaces or volumes it has is replaced.
const ANEW: &str = "a new container";
/// What it meets when that one is started again.
const AGAIN: &str = "started again";

/// Returns whether a reason is that another container took the place of one whose namespaces or
/// volumes a service has.
pub(super) fn needs_anew(reason: &Reason) -> bool {
    matches!(&reason.field, Field::Dependency(_))
        && matches!(&reason.git, Some(Fact::Plain(text)) if text == ANEW)
}

/// Takes what the container of a job had joined for what Git says, where that has not changed: that
/// another container has taken the place of one of them since is no reason to run it again.
///
/// Git wants a job to have ended only once it has done its work.
pub(super) fn leave_to_job(state: &str, known: Known<'_>, live: &mut Facts) {
    if known.git.get(&Field::State) != Some(&Fact::Plain(state.to_owned())) {
        return;
    }
    for field in [
        Field::NetworkMode,
        Field::Ipc,
        Field::Pid,
        Field::VolumesFrom,
    ] {
        let released = known.release.and_then(|facts| facts.get(&field));
        let (Some(git), Some(there)) = (known.git.get(&field), live.get_mut(&field)) else {
            continue;
        };
        let unchanged = || released == Some(git) || (known.is_of_git)();
        let joins = |fact: &Fact| {
            field == Field::VolumesFrom
                || matches!(fact, Fact::Plain(text) if joined(text).is_some())
        };
        if joins(git) && joins(there) && unchanged() {
            there.clone_from(git);
        }
    }
}

impl Input<'_> {
    /// Returns why a service has to be restarted or replaced because of what is done to others;
    /// `before` are the ones that it depends on.
    pub(super) fn dependency_reasons(
        &self,
        one: &Examined<'_>,
        before: &BTreeMap<&ServiceName, Examined<'_>>,
    ) -> Vec<Reason> {
        let service = one.service;
        // Nobody is there who could miss the other one.
        if self.is_done(one) {
            return Vec::new();
        }
        let mut reasons = BTreeMap::new();
        for (name, dependency) in &service.depends_on {
            let remedy = before.get(name).and_then(|examined| examined.remedy);
            let moved = matches!(remedy, Some(Remedy::Replace | Remedy::Restart));
            if dependency.restart && moved {
                reasons.insert(name, reason(name, None));
            }
        }
        for (name, other) in before {
            let moved = match other.remedy {
                Some(Remedy::Replace | Remedy::Create) => Some(ANEW),
                Some(Remedy::Restart | Remedy::Start) => Some(AGAIN),
                Some(Remedy::Reload | Remedy::Rename | Remedy::Reconnect) | None => None,
            };
            let Some(moved) = moved else { continue };
            let mounts = || self.has_volumes_of(service, name) && changes_mounts(other);
            if self.joins(service, name) || moved == ANEW && mounts() {
                reasons.insert(name, reason(name, Some(moved)));
            }
        }
        reasons.into_values().collect()
    }

    /// Returns whether a service is in a namespace of another one.
    pub(super) fn joins(&self, service: &Service, other: &ServiceName) -> bool {
        let name = self.name_of(other);
        let mut joined = service.spec.joins();
        joined.any(|joined| name.as_deref() == Some(joined))
    }

    pub(super) fn has_volumes_of(&self, service: &Service, other: &ServiceName) -> bool {
        let name = self.name_of(other);
        let mut from = service.spec.has_volumes_of();
        from.any(|from| name.as_deref() == Some(from))
    }

    fn name_of(&self, name: &ServiceName) -> Option<String> {
        let service = self.desired.services.get(name)?;
        Some(container_name(&self.desired.stack, name, service))
    }
}

impl<'a> Planner<'a> {
    /// Returns why a service that goes on is restarted all the same: it is in a namespace of one
    /// that is stopped and started again for its data.
    pub(super) fn joins_a_stopped_one(&self, one: &Examined<'a>) -> Option<Reason> {
        if self.input.is_done(one) {
            return None;
        }
        let mut stopped = self.stopped.iter();
        let joined = stopped.find(|stopped| self.input.joins(one.service, stopped));
        joined.map(|stopped| reason(stopped, Some(AGAIN)))
    }

    /// Says of a planned step that another one is its reason, too: what is taken back or owed after
    /// a kill goes by that.
    pub(super) fn add_reason(&mut self, step: u32, why: Reason) {
        let step = self.steps.iter_mut().find(|one| one.number == step);
        if let Some(step) = step
            && step.reasons.iter().all(|one| one.field != why.field)
        {
            step.reasons.push(why);
        }
    }
}

/// Returns whether the next container of a service may have other mounts than the one before.
fn changes_mounts(other: &Examined<'_>) -> bool {
    other.remedy == Some(Remedy::Create)
        || other.reasons.iter().any(|reason| {
            let field = &reason.field;
            matches!(field, Field::Mount(_) | Field::Image | Field::ImageId)
        })
}

fn reason(name: &ServiceName, moved: Option<&str>) -> Reason {
    Reason {
        field: Field::Dependency(name.to_string()),
        git: moved.map(|moved| Fact::Plain(moved.to_owned())),
        release: None,
        live: moved.map(|_| Fact::Plain("the one before".to_owned())),
        origin: Origin::Pending,
    }
}
