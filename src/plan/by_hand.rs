//! Plans what a person asks for beside Git: putting a backup in the place of the data, and
//! running a job.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::action::{Action, Phase};
use super::drafts::{Raise, RestoreDraft};
use super::examined::Examined;
use super::guard::All;
use super::order::{Planner, dependency_order, examine_all};
use super::services::{Input, reference};
use super::{Context, History, Hold, Kind, Plan, Schema};
use crate::desired::backups::{Backup, BackupName};
use crate::desired::maintenance::During;
use crate::desired::migrations::OnFailure;
use crate::desired::{DesiredState, ServiceName, StackName};
use crate::engine::model::{Container, ContainerSpec, ContainerState, MountSource};
use crate::maintenance::Owner;
use crate::observe::ObservedState;

/// Which backup is put in the place of the data.
pub struct Restoring<'a> {
    /// Its name.
    pub name: &'a BackupName,
    /// What it is a backup of.
    pub backup: &'a Backup,
    /// Name of its file.
    pub file: &'a str,
    /// The form that the data has in it.
    pub schema: Schema,
    /// Whether the data of now is backed up before; else what fails can't be taken back.
    pub safety: bool,
}

/// Plans a restore: stop the writers, back up what is there, restore, start, verify.
///
/// Pure like [`super::plan`].
pub fn restore(
    desired: &DesiredState,
    observed: &ObservedState,
    history: &History,
    context: &Context<'_>,
    wish: &Restoring<'_>,
) -> Plan {
    let input = Input::new(desired, observed, history, context);
    let all = examine_by_hand(input);
    let mut planner = Planner::new(input);
    planner.restore(wish, &all);
    planner.hold_what_is_not_ours(&all);
    Plan {
        // What is started there is of the release, whatever Git says by now.
        around: input.around_of_release(&all),
        ..planner.finish_by_hand(format!("restore of {} from {}", wish.name, wish.file))
    }
}

/// Plans one run of a job; `None` = Git names no such job, or its service is not there.
///
/// Pure like [`super::plan`].
pub fn run_job(
    desired: &DesiredState,
    observed: &ObservedState,
    history: &History,
    context: &Context<'_>,
    name: &str,
) -> Option<Plan> {
    let input = Input::new(desired, observed, history, context);
    let all = examine_by_hand(input);
    let job = desired.jobs.get(name)?;
    let draft = input.job_draft(name, job, all.get(&job.service)?);
    let mut planner = Planner::new(input);
    planner.pull_for(all.get(&job.service)?);
    let after = planner.ground.clone();
    planner.push(Phase::Verify, Action::Job(Box::new(draft)), &[], after);
    Some(planner.finish_by_hand(format!("job {name}")))
}

/// Returns the name of the container in which the tools of a backup run, if any are needed.
pub fn tools_of(desired: &DesiredState, backup: &Backup) -> Option<String> {
    let name = backup.source.service()?;
    let (name, service) = desired.services.get_key_value(name)?;
    Some(super::services::container_name(
        &desired.stack,
        name,
        service,
    ))
}

/// Returns the commands that put backups back, one a line.
pub fn restore_commands(stack: &StackName, backups: &BTreeMap<String, String>) -> Vec<String> {
    backups
        .iter()
        .map(|(name, file)| format!("moored backup restore {name} {file} --stack {stack}"))
        .collect()
}

/// Returns whether a container has what a backup is of, and may write to it.
fn mounts(spec: &ContainerSpec, backup: &Backup) -> bool {
    spec.mounts.values().any(|mount| {
        let MountSource::Bind { path: mounted, .. } = &mount.source else {
            return false;
        };
        let of = |path: &Path| path.starts_with(mounted) || Path::new(mounted).starts_with(path);
        !mount.read_only && backup.source.paths().iter().any(|path| of(path))
    })
}

/// Examines the services where nothing changes over: what an interrupted pass has started beside
/// one of them is half made.
fn examine_by_hand(input: Input<'_>) -> All<'_> {
    let mut all = examine_all(input);
    for one in all.values_mut() {
        one.turn = None;
        one.half_made.extend(one.beside.take().map(reference));
    }
    all
}

impl<'a> Planner<'a> {
    fn restore(&mut self, wish: &Restoring<'_>, all: &All<'a>) {
        let mut before = Vec::new();
        if let Some(raise) = self.raise_by_hand() {
            let action = Action::MaintainOn(Box::new(raise));
            before = vec![self.push(Phase::Guard, action, &[], before)];
        }
        let named = self.writers(wish.backup);
        let writers = all.keys().copied().filter(|name| named.contains(name));
        let writers: BTreeSet<&ServiceName> = writers.collect();
        let mut stops = self.stop_all(&writers, all, &before);
        // Those that a service has too many of go with the next pass, and write until then.
        let does_write = |container: &Container, unit: &ServiceName| {
            let mut named = named.iter();
            named.any(|one| one.service() == unit.service()) || mounts(&container.spec, wish.backup)
        };
        stops.extend(self.stop_beyond(does_write, &before));
        // What a failed replace has put in a writer's place writes as well.
        for one in all.values().filter(|one| writers.contains(one.name)) {
            for container in &one.half_made {
                let (service, container) = (one.name.clone(), container.clone());
                let action = Action::Stop { service, container };
                stops.push(self.push(Phase::Guard, action, &[], before.clone()));
            }
        }
        if !stops.is_empty() {
            before = stops;
        }
        if wish.safety {
            let mut draft = self.input.backup_draft(wish.name, wish.backup);
            draft.before_restore_of = Some(wish.file.to_owned());
            let action = Action::Backup(Box::new(draft));
            before = vec![self.push(Phase::Guard, action, &[], before)];
        }
        let draft = RestoreDraft {
            name: wish.name.clone(),
            backup: wish.backup.clone(),
            file: wish.file.to_owned(),
            container: self.input.tools_of(wish.backup),
            schema: wish.schema.clone(),
        };
        let action = Action::Restore(Box::new(draft));
        self.ground = vec![self.push(Phase::Migrate, action, &[], before)];
        // Code that does not fit the data must not see it: the next pass deploys what does, or
        // migrates the data again, and then lets the visitors in.
        let released = self.input.history.release.as_ref();
        let (data, released) = (
            wish.schema.attempt,
            released.map_or(wish.schema.attempt, |release| release.schema.attempt),
        );
        if data != released {
            self.holds.push(Hold::DataIsOlder { data, released });
            return;
        }
        let order = dependency_order(self.input.desired);
        for one in order.into_iter().filter_map(|name| all.get(name)) {
            self.start_again(one, &writers);
        }
        for one in all.values() {
            self.follow(one);
        }
        for one in all.values() {
            self.verify(one);
        }
        self.look_up_again(all);
        self.check_release(all);
        if let Some(lower) = self.lower() {
            let after = self.ends();
            let action = Action::MaintainOff(Box::new(lower));
            self.push(Phase::Settle, action, &[], after);
        }
    }

    fn raise_by_hand(&mut self) -> Option<Raise> {
        let Input {
            desired,
            observed,
            history,
            context,
        } = self.input;
        let maintenance = desired.maintenance.as_ref()?;
        if maintenance.during == During::Never || observed.maintenance.is_some() {
            return None;
        }
        let owner = Owner::Attempt {
            stack: desired.stack.clone(),
            instance: context.instance.to_owned(),
            attempt: history.next_attempt,
        };
        self.raised = Some(owner.clone());
        Some(Raise {
            maintenance: maintenance.clone(),
            page: desired.maintenance_page.clone(),
            owner,
            reason: "a backup is restored".to_owned(),
        })
    }

    /// Returns the services that write to what a backup is of, as far as that can be told: those
    /// that a migration stops, that mount the file, or that depend on the database.
    fn writers(&self, backup: &Backup) -> BTreeSet<&'a ServiceName> {
        let desired = self.input.desired;
        let database = backup.source.service();
        let stopped = desired.migrations.iter().flat_map(|one| &one.stop);
        let mut writers: BTreeSet<&ServiceName> = stopped.collect();
        for (name, service) in &desired.services {
            let depends =
                database.is_some_and(|database| service.depends_on.contains_key(database));
            if depends || mounts(&service.spec, backup) {
                writers.insert(name);
            }
        }
        writers.retain(|name| Some(*name) != database);
        writers
    }

    /// Restarts a service that is in a namespace of a writer: that one is another one now.
    fn follow(&mut self, one: &Examined<'a>) {
        let runs = |holder: &&Container| holder.is_running();
        let Some(holder) = one.holder.filter(runs) else {
            return;
        };
        if self.step_of.contains_key(one.name) {
            return;
        }
        if let Some(why) = self.joins_a_stopped_one(one) {
            let (service, container) = (one.name.clone(), reference(holder));
            let action = Action::Restart { service, container };
            let after = self.ends();
            let step = self.push(Phase::Converge, action, &[why], after);
            self.step_of.insert(one.name, step);
        }
    }

    /// Starts a writer again; one that no release vouches for gives its place back to the one
    /// before, which fits the data.
    fn start_again(&mut self, one: &Examined<'a>, writers: &BTreeSet<&'a ServiceName>) {
        let mut after = self.ground.clone();
        // Whoever joins another one can be started only when that one runs.
        let before = one.service.depends_on.keys();
        after.extend(before.filter_map(|name| self.step_of.get(name)));
        let unverified = one.is_unverified(self.input.history);
        let before = match (&one.set_aside, one.holder) {
            (Some(old), _) if unverified => Some(old.clone()),
            // A failed replace has set it aside, and may have put another one in its place.
            (_, Some(holder)) if one.rename_back => Some(reference(holder)),
            (_, _) => None,
        };
        let step = match (before, one.holder) {
            (Some(old), _) => {
                let action = Action::PutBack {
                    service: one.name.clone(),
                    old,
                    name: one.container_name.clone(),
                };
                self.push(Phase::Converge, action, &[], after)
            }
            (_, Some(holder)) => {
                let owed = self.input.history.owed_starts.contains(one.name)
                    && matches!(holder.state, ContainerState::Exited { .. });
                let stopped = self.stopped.contains(one.name);
                if !(stopped || owed && writers.contains(one.name)) {
                    return;
                }
                let (service, container) = (one.name.clone(), reference(holder));
                self.push(
                    Phase::Converge,
                    Action::Start { service, container },
                    &[],
                    after,
                )
            }
            (_, None) => return,
        };
        self.stopped.insert(one.name);
        self.step_of.insert(one.name, step);
    }

    pub(super) fn finish_by_hand(self, subject: String) -> Plan {
        let Input {
            desired, history, ..
        } = self.input;
        let mut commit = desired.commit.clone();
        commit.subject = subject;
        Plan {
            kind: Kind::ByHand,
            on_failure: OnFailure::Rollback,
            unreleased: None,
            stack: desired.stack.clone(),
            attempt: history.next_attempt,
            from: Some(commit.revision.clone()),
            commit,
            steps: self.steps,
            around: self.input.around(),
            holds: self.holds,
            held_back: Vec::new(),
            differences: Vec::new(),
        }
    }
}
