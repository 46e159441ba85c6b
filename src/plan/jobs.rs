//! Tells jobs from servers: a job has done its work when it has ended with success, and is not run
//! again until something of it changes; a server is down.

use super::examined::Examined;
use super::facts::{Fact, Field};
use super::services::Input;
use crate::desired::{Condition, ServiceName};
use crate::engine::model::{Container, ContainerState};

impl Input<'_> {
    /// Returns whether a service is a job that has done its work.
    pub(super) fn is_done(&self, examined: &Examined<'_>) -> bool {
        let Some(holder) = examined.holder else {
            return false;
        };
        let state @ ContainerState::Exited { code: 0, .. } = &holder.state else {
            return false;
        };
        let released = self.released(examined.name);
        let ended_before = released.and_then(|facts| facts.get(&Field::State))
            == Some(&Fact::Plain(state.to_string()));
        examined.service.spec.restart.leaves_success_alone()
            && (self.is_job(examined.name)
                || ended_before
                || holder.ended_by_itself && !self.serves(examined, holder))
    }

    /// Returns whether another service waits for the end of this one.
    pub(super) fn is_job(&self, name: &ServiceName) -> bool {
        self.desired.services.values().any(|other| {
            other
                .depends_on
                .get(name)
                .is_some_and(|dependency| dependency.condition == Condition::Completed)
        })
    }

    /// Returns whether something says of a service that it is there to be asked.
    fn serves(&self, examined: &Examined<'_>, holder: &Container) -> bool {
        let check = holder.spec.healthcheck.as_ref();
        let is_checked = check.is_some_and(|check| !check.test.is_empty() && !check.is_none());
        let mut ready = self.desired.ready.iter();
        let proxy = self.desired.proxy.as_ref();
        let mut others = self.desired.services.values();
        let is_needed = others.any(|other| {
            let depends = other.depends_on.get(examined.name);
            depends.is_some_and(|how| how.condition != Condition::Completed)
                || self.joins(other, examined.name)
                || self.has_volumes_of(other, examined.name)
        });
        !examined.service.spec.ports.is_empty()
            || is_needed
            || is_checked
            || ready.any(|check| check.service == *examined.name)
            || proxy.is_some_and(|proxy| proxy.names(examined.name))
    }

    /// Returns whether a service that nothing restarts ends with success each time that it is
    /// started: whoever wrote it did not say so, and it is a job.
    pub(super) fn has_ended_again(&self, examined: &Examined<'_>) -> bool {
        /// Once may be a person's `docker stop`; three times within an hour is its nature.
        const TIMES: usize = 3;
        let ended = examined
            .holder
            .is_some_and(|holder| matches!(holder.state, ContainerState::Exited { code: 0, .. }));
        ended
            && examined.service.spec.restart.leaves_success_alone()
            && examined
                .reasons
                .iter()
                .all(|reason| reason.field == Field::State)
            && examined.remedy.is_some()
            && self
                .recent_passes()
                .filter(|past| past.started.contains(examined.name))
                .count()
                >= TIMES
    }
}
