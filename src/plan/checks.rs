//! Plans the look at a new release: is it ready, does it stay up, does it answer from outside?

use std::collections::{BTreeMap, BTreeSet};

use super::action::{Action, Phase};
use super::diff::Remedy;
use super::drafts::{JobDraft, ReadyDraft, SmokeDraft};
use super::examined::Examined;
use super::guard::All;
use super::order::Planner;
use crate::desired::ServiceName;
use crate::desired::checks::{Smoke, SmokeProbe};
use crate::desired::migrations::{Job, JobTime};
use crate::engine::model::Container;

impl<'a> Planner<'a> {
    /// Measures how fast the stack answers before anything changes, where that is compared.
    pub(super) fn measure(&mut self, all: &All<'a>) {
        let touched = is_touched(all) || !self.remade.is_empty();
        if self.input.history.release.is_none() || !touched {
            return;
        }
        for draft in self.smokes(all, |one| one.container_name.clone()) {
            if draft.smoke.latency.is_some() {
                let action = Action::Measure(Box::new(draft));
                let step = self.push(Phase::Prepare, action, &[], Vec::new());
                self.ground.push(step);
            }
        }
    }

    /// Plans checks and jobs, after the services are up as far as the engine can tell.
    pub(super) fn check_release(&mut self, all: &All<'a>) {
        let touched = self.touched(all);
        if !touched.is_empty() {
            self.check_services(&touched, all);
        }
        self.stop_surplus();
        let switched = self.switch().is_some();
        if touched.is_empty() && !switched {
            return self.clear_beside(all);
        }
        let phase = if switched {
            Phase::Switch
        } else {
            Phase::Verify
        };
        let last = self.ends();
        for draft in self.smokes(all, Examined::looked_at) {
            let action = Action::Smoke(Box::new(draft));
            self.push(phase, action, &[], last.clone());
        }
        self.hand_over(all);
    }

    /// Plans what is looked at before the proxy sends visitors there.
    fn check_services(&mut self, touched: &BTreeSet<&'a ServiceName>, all: &All<'a>) {
        let mut last = self.ends();
        let checks = self.checks_of(touched, all);
        if !checks.is_empty() {
            last = self.leaves_of(last, checks);
        }
        for draft in self.jobs(all) {
            let action = Action::Job(Box::new(draft));
            last = vec![self.push(Phase::Verify, action, &[], last)];
        }
        if let Some(during) = self.input.desired.soak_after {
            let containers = touched
                .iter()
                .filter_map(|name| all.get(name))
                .map(|one| (one.name.clone(), one.looked_at()))
                .collect();
            let action = Action::Soak { containers, during };
            self.push(Phase::Verify, action, &[], last);
        }
    }

    /// Plans the checks of the services that were touched, each after the service itself.
    fn checks_of(&mut self, touched: &BTreeSet<&'a ServiceName>, all: &All<'a>) -> Vec<u32> {
        for ready in &self.input.desired.ready {
            let one = all.get(&ready.service);
            let Some(one) = one.filter(|one| touched.contains(one.name)) else {
                continue;
            };
            if !self.checked.contains_key(one.name) {
                self.check_ready(one);
            }
        }
        self.checked.values().flatten().copied().collect()
    }

    /// Plans the checks of one service; returns them.
    fn check_ready(&mut self, one: &Examined<'a>) -> Vec<u32> {
        let of_it = self.input.desired.ready.iter();
        let of_it = of_it.filter(|ready| ready.service == *one.name);
        let after = self.up.get(one.name).or_else(|| self.step_of.get(one.name));
        let after: Vec<u32> = after.copied().into_iter().collect();
        let mut steps = Vec::new();
        for ready in of_it {
            let draft = ReadyDraft {
                ready: ready.clone(),
                container: one.looked_at(),
            };
            let action = Action::Ready(Box::new(draft));
            steps.push(self.push(Phase::Verify, action, &[], after.clone()));
        }
        self.checked.insert(one.name, steps.clone());
        steps
    }

    /// Returns what a container that serves waits for before it goes down, where its service has
    /// several: the one that went down before it is up again by then, and answers as it should.
    pub(super) fn after_the_others(&mut self, one: &Examined<'a>, all: &All<'a>) -> Vec<u32> {
        let serves = one.holder.is_some_and(Container::is_running);
        if !serves || self.stopped.contains(one.name) {
            return Vec::new();
        }
        let planned = self.step_of.iter();
        let of_service = planned.filter(|(name, _)| name.service() == one.name.service());
        let others = of_service.filter_map(|(name, step)| Some((*step, all.get(name)?)));
        let started = others.filter(|(_, other)| other.remedy > Some(Remedy::Reconnect));
        let Some((step, other)) = started.max_by_key(|(step, _)| *step) else {
            return Vec::new();
        };
        self.verify(other);
        let mut after = self.check_ready(other);
        after.extend(self.up.get(other.name));
        after.push(step);
        after
    }

    fn leaves_of(&self, mut before: Vec<u32>, more: Vec<u32>) -> Vec<u32> {
        before.extend(more);
        self.leaves(&before)
    }

    /// Returns the services that the plan starts, or that no release vouches for yet.
    fn touched(&self, all: &All<'a>) -> BTreeSet<&'a ServiceName> {
        let history = self.input.history;
        let started = |one: &&Examined<'a>| {
            let step = self.step_of.contains_key(one.name);
            (step && one.remedy > Some(Remedy::Reconnect))
                || self.stopped.contains(one.name)
                || one.is_unverified(history)
        };
        all.values().filter(started).map(|one| one.name).collect()
    }

    fn smokes(&self, all: &All<'a>, name: impl Fn(&Examined<'a>) -> String) -> Vec<SmokeDraft> {
        let checks = self.input.desired.smoke.iter().enumerate();
        checks
            .map(|(index, smoke)| SmokeDraft {
                index,
                smoke: smoke.clone(),
                container: container_of(smoke, all).map(&name),
            })
            .collect()
    }

    fn jobs(&self, all: &All<'a>) -> Vec<JobDraft> {
        let Self { input, deploys, .. } = self;
        // A killed pass has put it in place and did not come to its jobs, or not to their end.
        let goes_on = all.values().any(|one| one.is_unverified(input.history));
        let wanted = |name: &String, job: &Job| match job.when {
            JobTime::FirstDeploy => !input.history.ran_jobs.contains(name) && !was_there(job, all),
            JobTime::EachRelease => *deploys || goes_on,
            JobTime::ByHand => false,
        };
        let jobs = input.desired.jobs.iter();
        jobs.filter(|(name, job)| wanted(name, job))
            .filter_map(|(name, job)| Some(input.job_draft(name, job, all.get(&job.service)?)))
            .collect()
    }

    /// Returns the jobs that have run to their end when this plan is done.
    pub(super) fn jobs_then(&self, all: &BTreeMap<&ServiceName, Examined<'a>>) -> BTreeSet<String> {
        let ran = self.input.history.ran_jobs.iter().cloned();
        let runs = self.steps.iter().filter_map(|step| {
            let Action::Job(draft) = &step.action else {
                return None;
            };
            Some(draft.name.clone())
        });
        let jobs = self.input.desired.jobs.iter();
        let needless = jobs.filter(|(_, job)| was_there(job, all));
        let needless = needless.map(|(name, _)| name.clone());
        ran.chain(runs).chain(needless).collect()
    }
}

impl super::services::Input<'_> {
    /// Says what a job runs in.
    pub(super) fn job_draft(&self, name: &str, job: &Job, one: &Examined<'_>) -> JobDraft {
        let attempt = self.history.next_attempt;
        let label = format!("{name}-{attempt}");
        JobDraft {
            name: name.to_owned(),
            one_off: self.one_off(one, &format!("job-{label}"), &job.run, &label, job.timeout),
        }
    }
}

/// Returns whether a job of the first deploy belongs to a service that Docker Compose had deployed
/// before us.
fn was_there(job: &Job, all: &BTreeMap<&ServiceName, Examined<'_>>) -> bool {
    let of_compose = || all.get(&job.service).is_some_and(Examined::is_of_compose);
    job.when == JobTime::FirstDeploy && of_compose()
}

/// Returns whether a plan does something to a container.
fn is_touched(all: &All<'_>) -> bool {
    all.values().any(|one| one.remedy > Some(Remedy::Reconnect))
}

fn container_of<'e, 'a>(smoke: &Smoke, all: &'e All<'a>) -> Option<&'e Examined<'a>> {
    match &smoke.probe {
        SmokeProbe::Exec { service, .. } => all.get(service),
        SmokeProbe::Http { .. } | SmokeProbe::Tcp(_) => None,
    }
}
