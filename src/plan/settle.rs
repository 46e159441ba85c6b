//! Plans the end of a pass: look whether what was started is up, take the old away, record.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use super::ReleaseId;
use super::action::{Action, Await, Phase, RemoveReason};
use super::diff::{Remedy, compare};
use super::drafts::ReleaseDraft;
use super::examined::Examined;
use super::order::Planner;
use super::services::Input;
use crate::desired::{Condition, ServiceName, backups};
use crate::engine::model::Healthcheck;
use crate::source::RepoPath;
use crate::trust::Standing;

impl<'a> Planner<'a> {
    /// Plans the look at a service that was started: is it up, and does it stay up?
    pub(super) fn verify(&mut self, one: &Examined<'a>) {
        if self.up.contains_key(one.name) {
            return;
        }
        let step = self.step_of.get(one.name).copied();
        let stopped = self.stopped.contains(one.name);
        let started = step.is_some() && (stopped || one.remedy > Some(Remedy::Reconnect));
        let owed = !started && one.is_unverified(self.input.history);
        let waited = [Condition::Healthy, Condition::Completed]
            .iter()
            .find_map(|condition| self.awaits.get(&(one.name, *condition)));
        if let Some(waited) = waited {
            self.up.insert(one.name, *waited);
        }
        if waited.is_some() || !(started || owed) {
            return;
        }
        let until = self.readiness(one);
        if matches!(until, Await::Running { soak } if soak.is_zero()) {
            return;
        }
        let action = Action::Await {
            service: one.name.clone(),
            container: one.looked_at(),
            instead: one.set_aside.clone(),
            until,
            within: self.patience(one, until),
        };
        let step = self.push(Phase::Verify, action, &[], step.into_iter().collect());
        self.up.insert(one.name, step);
    }

    pub(super) fn readiness(&self, one: &Examined<'a>) -> Await {
        if self.input.is_job(one.name) {
            return Await::Completed;
        }
        let soak = self.input.desired.soak;
        let silent =
            one.service.spec.healthcheck.is_some() || self.input.image(one.service).is_some();
        match self.check(one) {
            Some(check) if !check.test.is_empty() => Await::Healthy { soak },
            None if silent => Await::Running { soak },
            // What the image says is not known before it is here.
            None | Some(_) => Await::Ready { soak },
        }
    }

    pub(super) fn check(&self, one: &Examined<'a>) -> Option<Healthcheck> {
        let image = self.input.image(one.service);
        let base = image.and_then(|image| image.healthcheck.as_ref());
        let check = match (&one.service.spec.healthcheck, base) {
            (Some(own), Some(base)) => Some(own.over(base)),
            (Some(one), None) | (None, Some(one)) => Some(one.clone()),
            (None, None) => None,
        };
        // One without a command is that of the image, which may have none.
        check.filter(|check| !check.is_none() && (!check.test.is_empty() || image.is_none()))
    }

    /// Returns how long a service gets: what its health check may take by its own settings, and
    /// never less than a minute.
    pub(super) fn patience(&self, one: &Examined<'a>, until: Await) -> Duration {
        const LEAST: Duration = Duration::from_secs(60);
        /// A job such as a data import may take its time; a deadline there must be all the same.
        const JOB: Duration = Duration::from_secs(600);
        let or = |nanoseconds: i64, default: u64| match u64::try_from(nanoseconds) {
            Ok(0) | Err(_) => Duration::from_secs(default),
            Ok(nanoseconds) => Duration::from_nanos(nanoseconds),
        };
        match (until, self.check(one)) {
            (Await::Completed, _) => JOB,
            (Await::Ready { soak } | Await::Running { soak }, None) => soak + LEAST,
            (Await::Healthy { .. }, None) => LEAST,
            (Await::Ready { .. } | Await::Running { .. } | Await::Healthy { .. }, Some(check)) => {
                // The engine's defaults: every 30 s, 30 s each, 3 failures.
                let tries = u32::try_from(check.retries.max(0)).unwrap_or(3);
                let tries = if tries == 0 { 3 } else { tries };
                let one_try = or(check.interval, 30) + or(check.timeout, 30);
                let all = or(check.start_period, 1) + one_try.saturating_mul(tries);
                all.max(LEAST)
            }
        }
    }

    /// Records the release, then takes away what it no longer needs: what is left over after a
    /// crash in between is known to be so.
    pub(super) fn settle(&mut self, examined: &BTreeMap<&ServiceName, Examined<'a>>) {
        let mut gates = self.ends();
        let lower = self.lower();
        let adoption = self.adoption(examined);
        let work = !self.steps.is_empty() || lower.is_some() || adoption.is_some();
        if let Some(lower) = lower {
            let action = Action::MaintainOff(Box::new(lower));
            gates = vec![self.push(Phase::Settle, action, &[], gates)];
        }
        if let Some(adoption) = adoption {
            gates = vec![self.push(Phase::Settle, adoption, &[], gates)];
        }
        if work || self.unrecorded(examined) {
            let draft = Box::new(self.release(examined));
            gates = vec![self.push(Phase::Settle, Action::Record(draft), &[], gates)];
        }
        for container in examined.values().filter_map(Examined::goes) {
            let why = RemoveReason::Replaced;
            let action = Action::Remove { container, why };
            self.push(Phase::Settle, action, &[], gates.clone());
        }
        for (container, why) in self.leavers.clone() {
            let container = self.last_known(container);
            let action = Action::Remove { container, why };
            self.push(Phase::Settle, action, &[], gates.clone());
        }
    }

    pub(super) fn release(&self, examined: &BTreeMap<&ServiceName, Examined<'a>>) -> ReleaseDraft {
        let Input {
            desired, history, ..
        } = self.input;
        let services = examined.values().map(|one| {
            let git = one.wanted.clone();
            (one.name.clone(), (one.container_name.clone(), git))
        });
        let (files, host_placed) = self.files_then();
        ReleaseDraft {
            id: ReleaseId {
                attempt: history.next_attempt,
                revision: desired.commit.revision.clone(),
            },
            services: services.collect(),
            files,
            host_placed,
            proxy: self.proxy_then(examined),
            certificates: self.unseen_certificates(examined),
            schema: self.schema_then(examined),
            schema_unchanged: history.schema.attempt,
            migrations: self.migrations.clone(),
            jobs: self.jobs_then(examined),
            backups: if history.guards.is_empty() {
                let released = history.release.as_ref();
                released.map_or_else(BTreeMap::new, |release| release.backups.clone())
            } else {
                history.guards.clone()
            },
            backups_stand: !history.guards.is_empty(),
            backups_said: backups::digest(&desired.backups),
            expires: desired.expires,
        }
    }

    /// Returns the files that are placed by then, with their digests: in the project directory,
    /// and at fixed places of the host.
    fn files_then(&self) -> (BTreeMap<RepoPath, String>, BTreeMap<PathBuf, String>) {
        let Input { desired, .. } = self.input;
        let configs = self.input.config_paths();
        let files = desired.files.iter();
        let files = files.filter(|(path, _)| !configs.contains(path));
        let host_placed = desired.host_placed.iter();
        (
            files
                .map(|(path, file)| (path.clone(), file.digest()))
                .collect(),
            host_placed
                .map(|(path, file)| (path.clone(), file.digest()))
                .collect(),
        )
    }

    /// Returns the steps that nothing comes after.
    pub(super) fn ends(&self) -> Vec<u32> {
        let all: Vec<u32> = self.steps.iter().map(|step| step.number).collect();
        self.leaves(&all)
    }

    /// Returns those of `numbers` that no other of them comes after.
    pub(super) fn leaves(&self, numbers: &[u32]) -> Vec<u32> {
        let inner: BTreeSet<u32> = self
            .steps
            .iter()
            .flat_map(|step| step.after.iter().copied())
            .collect();
        numbers
            .iter()
            .copied()
            .filter(|number| !inner.contains(number))
            .collect()
    }

    /// Returns whether the host is as Git says and the last release does not say so.
    pub(super) fn unrecorded(&self, examined: &BTreeMap<&ServiceName, Examined<'a>>) -> bool {
        if examined.values().any(|one| !one.reasons.is_empty()) {
            return false;
        }
        let Some(release) = &self.input.history.release else {
            return true;
        };
        // Git has gone back to what runs: without a record the failed attempt would stay the last.
        if self.input.history.failed.is_some() {
            return true;
        }
        // The next commits go on from here, not from what is no longer in the history.
        if self.input.desired.standing == Standing::Rewritten {
            return true;
        }
        let same_services = release.services.keys().eq(examined.keys().copied());
        let (files, host_placed) = self.files_then();
        let same_files = release.files == files
            && release.host_placed == host_placed
            && release.proxy == self.proxy_then(examined);
        let same_facts = examined.values().all(|one| {
            let known = self.input.image(one.service).is_some();
            release
                .services
                .get(one.name)
                .is_some_and(|then| compare(&one.wanted, None, then, known).is_empty())
        });
        // An end counts only where it was released before it came.
        let same_end = release.expires == self.input.desired.expires;
        !(same_services && same_files && same_facts && same_end) || self.backups_differ()
    }

    /// Returns whether Git says something else of backups than at the last release.
    pub(super) fn backups_differ(&self) -> bool {
        let Input {
            desired, history, ..
        } = self.input;
        let released = history.release.as_ref();
        match released.and_then(|release| release.backups_said.as_ref()) {
            Some(said) => *said != backups::digest(&desired.backups),
            None => !desired.backups.is_empty(),
        }
    }
}
