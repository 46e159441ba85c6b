//! Plans what guards the data and the visitors of a deploy: maintenance page, writers stopped,
//! backups, migrations; and holds a deploy whose code does not fit the data.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::action::{Action, Phase};
use super::diff::{Origin, Remedy};
use super::digests::mark;
use super::drafts::{BackupDraft, MigrationDraft};
use super::examined::{Examined, Turn};
use super::facts::{Fact, Field};
use super::networks::runs;
use super::order::{Planner, dependency_order};
use super::services::{Input, reference};
use super::way::unit;
use super::{Hold, Schema, Unreleased, restore_commands, tools_of};
use crate::desired::backups::{Backup, BackupName};
use crate::desired::migrations::Migration;
use crate::desired::{Schedule, ServiceName};
use crate::engine::model::{Container, ContainerState};
use crate::observe::ObservedState;

/// Services as they were examined.
pub(super) type All<'a> = BTreeMap<&'a ServiceName, Examined<'a>>;

/// A migration that has to be run.
#[derive(Clone)]
pub(super) struct Due<'a> {
    index: usize,
    migration: &'a Migration,
    mark: String,
    /// What its status command said before a killed attempt began it.
    before: Option<String>,
}

impl<'a> Planner<'a> {
    /// Finds out which migrations are due, and holds code that does not fit the data.
    pub(super) fn look_at_data(&mut self, all: &All<'a>) {
        let Input {
            desired, history, ..
        } = self.input;
        let mut due = Vec::new();
        for (index, migration, one) in self.migrating(all) {
            let mark = mark(index, migration, one.service, self.input.context.key);
            let doubt = history.doubt.as_ref().filter(|doubt| doubt.mark == mark);
            let before = doubt.and_then(|doubt| doubt.before.clone());
            // A tag that has moved is other code under the same name.
            let moved = one.reasons.iter().any(|one| one.field == Field::ImageId);
            let ahead = self.is_ahead(&mark) && !one.runs_without_us(history);
            if doubt.is_some() || moved || ahead {
                due.push(Due {
                    index,
                    migration,
                    mark,
                    before,
                });
            }
        }
        self.hold_doubt(&due);
        self.due = due;
        let schema = &history.schema;
        let wanted = self.wanted_schema(all);
        if let Some(wanted) = wanted.filter(|wanted| *wanted < schema.attempt) {
            let live = schema.attempt;
            if !self.accepts(live) {
                let restore = restore_commands(&desired.stack, self.backups_before(live));
                self.holds.push(Hold::SchemaDiffers {
                    live,
                    wanted,
                    restore,
                });
            }
        }
    }

    /// Returns the backups that were taken before the attempt `live` changed the data.
    fn backups_before(&self, live: u64) -> &'a BTreeMap<String, String> {
        let history = self.input.history;
        let release = history.release.as_ref();
        let of_release = release.filter(|release| release.id.attempt == live);
        match of_release {
            Some(release) if history.guards.is_empty() => &release.backups,
            Some(_) | None => &history.guards,
        }
    }

    /// Tells of backups that a schedule wants and that were not taken for a whole period.
    pub(super) fn hold_late_backups(&mut self) {
        let Input {
            desired,
            observed,
            context,
            ..
        } = self.input;
        let now = Timestamp::from_second(context.now).unwrap_or_default();
        for (name, backup) in &desired.backups {
            let taken = observed.taken.get(name).copied();
            let late = |schedule: &Schedule| schedule.is_late(&desired.time_zone, taken, now);
            if backup.schedule.as_ref().is_some_and(late) {
                let last = taken.map(|at| at.to_zoned(desired.time_zone.clone()));
                self.holds.push(Hold::BackupLate {
                    name: name.to_string(),
                    last: last.map(|at| at.strftime("%Y-%m-%d %H:%M").to_string()),
                });
            }
        }
    }

    /// Returns whether a migration has not been run on the data as it is.
    fn is_ahead(&self, mark: &str) -> bool {
        let history = self.input.history;
        if history.schema.marks.contains(mark) {
            return false;
        }
        // Code that ran before: data that is older wants its migration again, newer data not.
        let mut known = history.past_schemas.iter();
        let known = known.find(|past| past.marks.contains(mark));
        known.is_none_or(|past| past.attempt > history.schema.attempt)
    }

    /// Returns the form of the data that the wanted code was released with; `None` = it is new
    /// here, or there is no telling.
    fn wanted_schema(&self, all: &All<'a>) -> Option<u64> {
        let history = self.input.history;
        let marks = self.marks(all);
        let fits = |schema: &Schema| {
            // Code without migrations is known by having none.
            if marks.is_empty() {
                schema.marks.is_empty()
            } else {
                marks.is_subset(&schema.marks)
            }
        };
        if fits(&history.schema) {
            return None;
        }
        let mut past = history.past_schemas.iter();
        past.find(|past| fits(past)).map(|past| past.attempt)
    }

    /// Returns the migrations of Git by their place, with the service that each belongs to.
    fn migrating<'e>(
        &self,
        all: &'e All<'a>,
    ) -> impl Iterator<Item = (usize, &'a Migration, &'e Examined<'a>)> + use<'a, 'e> {
        let migrations = self.input.desired.migrations.iter().enumerate();
        migrations
            .filter_map(|(index, migration)| Some((index, migration, all.get(&migration.service)?)))
    }

    /// Returns the marks of the migrations of Git.
    fn marks(&self, all: &All<'a>) -> BTreeSet<String> {
        self.migrating(all)
            .map(|(index, migration, one)| {
                mark(index, migration, one.service, self.input.context.key)
            })
            .collect()
    }

    /// Returns whether Git says that the code may run on the data as the attempt `live` made it.
    fn accepts(&self, live: u64) -> bool {
        let Input {
            desired, history, ..
        } = self.input;
        let release = history.release.as_ref().map(|release| &release.id);
        desired.accept_schema.as_ref().is_some_and(|accepted| {
            let number = accepted.split('-').next().unwrap_or(accepted);
            number == live.to_string()
                || release.is_some_and(|id| {
                    id.to_string() == *accepted || number == id.attempt.to_string()
                })
        })
    }

    /// Holds everything while nobody knows what a migration has done, unless this very plan finds
    /// it out, or a person has committed something new after seeing it fail.
    fn hold_doubt(&mut self, due: &[Due<'_>]) {
        let history = self.input.history;
        let Some(doubt) = &history.doubt else { return };
        let resumed = due.iter().any(|due| due.mark == doubt.mark);
        let mended = !doubt.killed && !due.is_empty();
        let again = doubt.forgiven && !due.is_empty();
        if !resumed && !mended && !again && !self.accepts(doubt.attempt) {
            self.holds.push(Hold::MigrationInDoubt {
                attempt: doubt.attempt,
                restore: restore_commands(&self.input.desired.stack, &history.guards),
            });
        }
    }

    /// Returns whether the plan puts something in place that Git has changed: what a backup and
    /// the maintenance page are for. Mending what somebody changed by hand is not.
    fn is_deploy(&self, all: &All<'a>) -> bool {
        let by_git = |one: &Examined<'_>| {
            matches!(one.remedy, Some(Remedy::Create | Remedy::Replace))
                && one
                    .reasons
                    .iter()
                    .any(|reason| reason.origin != Origin::Drift)
        };
        !self.due.is_empty() || !self.remade.is_empty() || all.values().any(by_git)
    }

    /// Plans the maintenance page, the stop of the writers and the backups.
    pub(super) fn guard(&mut self, all: &All<'a>) {
        self.remove_left_one_offs();
        let deploys = self.is_deploy(all);
        self.deploys = deploys;
        let mut before = self.ground.clone();
        // Before the first release there is nobody to be shown a page, but of what ran without us.
        let released = self.input.history.release.is_some();
        let visited = released || all.values().any(Examined::is_of_compose);
        if let Some(raise) = self.raise(deploys, visited) {
            let action = Action::MaintainOn(Box::new(raise));
            before = vec![self.push(Phase::Guard, action, &[], before)];
        }
        let stops = self.stops(all, &before);
        if !stops.is_empty() {
            before = stops;
        }
        let backups = if deploys && !self.goes_on() {
            self.backups(all)
        } else {
            Vec::new()
        };
        let taken: Vec<u32> = backups
            .into_iter()
            .map(|draft| {
                let action = Action::Backup(Box::new(draft));
                self.push(Phase::Guard, action, &[], before.clone())
            })
            .collect();
        self.ground = if taken.is_empty() { before } else { taken };
    }

    /// Sees to it that none of the services that write to the data which is about to be migrated
    /// goes on with a container beside the serving one.
    pub(super) fn leave_none_beside(&self, all: &mut All<'a>) {
        let due = self.due.iter();
        let named: BTreeSet<&ServiceName> = due.flat_map(|due| &due.migration.stop).collect();
        for one in all.values_mut().filter(|one| named.contains(one.name)) {
            if let Some(Turn::GoesOn(slot)) = one.turn {
                one.turn = Some(Turn::BeginsAgain(slot));
            }
        }
    }

    /// Stops the services that write to the data which is about to be migrated.
    fn stops(&mut self, all: &All<'a>, before: &[u32]) -> Vec<u32> {
        let named: BTreeSet<&ServiceName> = self
            .due
            .iter()
            .flat_map(|due| &due.migration.stop)
            .collect();
        let mut before = before.to_vec();
        for one in named.iter().filter_map(|name| all.get(name)) {
            // It writes as well, and its place is given back before the data is worked on.
            if one.beside.is_some() {
                self.retreat(Phase::Guard, one, &mut before);
            }
        }
        let mut steps = self.remove_half_made(&named, all, &before);
        steps.extend(self.stop_all(&named, all, &before));
        let is_named = |_: &Container, unit: &ServiceName| {
            let mut named = named.iter();
            named.any(|one| one.service() == unit.service())
        };
        steps.extend(self.stop_beyond(is_named, &before));
        steps
    }

    /// Stops the containers beyond the number which Git wants of their services, as far as they
    /// write: they go only when everything else is in place.
    pub(super) fn stop_beyond(
        &mut self,
        writes: impl Fn(&Container, &ServiceName) -> bool,
        before: &[u32],
    ) -> Vec<u32> {
        let mut steps = Vec::new();
        for container in self.input.surplus().filter(|one| runs(one)) {
            if unit(container).is_some_and(|service| writes(container, &service)) {
                steps.extend(self.stop_leaver(Phase::Guard, container, before));
            }
        }
        steps
    }

    /// Stops those of the services that run, or that a failure would start: who depends on another
    /// one, or joins it, before that one, so that it is started after it when that is taken back.
    pub(super) fn stop_all(
        &mut self,
        named: &BTreeSet<&'a ServiceName>,
        all: &All<'a>,
        before: &[u32],
    ) -> Vec<u32> {
        let mut steps = Vec::new();
        let order = dependency_order(self.input.desired);
        for name in order.into_iter().rev().filter(|name| named.contains(name)) {
            let Some(one) = all.get(name) else { continue };
            let Some(holder) = one.holder else { continue };
            if !self.may_write(one, holder) {
                continue;
            }
            let action = Action::Stop {
                service: name.clone(),
                container: reference(holder),
            };
            steps.push(self.push(Phase::Guard, action, &[], before.to_vec()));
            self.stopped.insert(name);
        }
        steps
    }

    /// Returns whether a container writes, or would as soon as a failure puts it back in its place:
    /// taking the stop back starts it, and nothing else may before the data is as it was. Where
    /// its code does not fit the data any more, a failure does not start it.
    fn may_write(&self, one: &Examined<'a>, holder: &Container) -> bool {
        match &holder.state {
            ContainerState::Running | ContainerState::Restarting | ContainerState::Paused => true,
            ContainerState::Exited { .. } => {
                let running = Fact::Plain(ContainerState::Running.to_string());
                self.deploys
                    && one.remedy.is_some()
                    && self.input.unreleased().is_none()
                    && one.wanted.get(&Field::State) == Some(&running)
            }
            ContainerState::Created | ContainerState::Removing | ContainerState::Dead => false,
        }
    }

    /// Returns the backups that this deploy begins with.
    fn backups(&self, all: &All<'a>) -> Vec<BackupDraft> {
        let Input {
            observed, history, ..
        } = self.input;
        let mut drafts = self.input.guards();
        // A new host has no data yet, and a backup of nothing is none.
        drafts.retain(|draft| {
            history.release.is_some() || has_data(&draft.name, &draft.backup, all, observed)
        });
        drafts
    }

    /// Returns whether the plan goes on with a migration that a killed attempt began: a backup of
    /// now would have the half-migrated data in it, and the one from before is there.
    fn goes_on(&self) -> bool {
        let doubt = self.input.history.doubt.as_ref();
        doubt.is_some_and(|doubt| doubt.killed && self.due.iter().any(|due| due.mark == doubt.mark))
            && !self.input.history.guards.is_empty()
    }

    /// Returns the services whose image migrates.
    pub(super) fn due_services(&self) -> BTreeSet<&'a ServiceName> {
        self.due.iter().map(|due| &due.migration.service).collect()
    }

    /// Returns the services that must be there before a migration can run.
    pub(super) fn needed_by_migrations(&self) -> BTreeSet<&'a ServiceName> {
        let services = &self.input.desired.services;
        let mut needed = BTreeSet::new();
        let mut open: Vec<&ServiceName> =
            self.due.iter().map(|due| &due.migration.service).collect();
        while let Some(service) = open.pop().and_then(|name| services.get(name)) {
            let more = service
                .depends_on
                .keys()
                .filter(|name| needed.insert(*name));
            open.extend(more);
        }
        needed
    }

    /// Plans the migrations, after what they need is there.
    pub(super) fn migrate(&mut self, all: &All<'a>) {
        for due in self.due.clone() {
            let Some(one) = all.get(&due.migration.service) else {
                continue;
            };
            let mut after = self.ground.clone();
            after.extend(self.dependencies(one, all));
            let draft = self.migration(&due, one);
            let action = Action::Migrate(Box::new(draft));
            let step = self.push(Phase::Migrate, action, &[], after);
            self.ground = vec![step];
            if !due.migration.compatible {
                self.migrations.push(step);
            }
        }
    }

    fn migration(&self, due: &Due<'_>, one: &Examined<'_>) -> MigrationDraft {
        let migration = due.migration;
        let within = migration.timeout;
        let what = format!("migrate-{}", due.index + 1);
        let one_off =
            |what: &str, run: &[String], job: &str| self.input.one_off(one, what, run, job, within);
        MigrationDraft {
            one_off: one_off(&what, &migration.run, &due.mark),
            mark: due.mark.clone(),
            compatible: migration.compatible,
            transactional: migration.transactional,
            status: migration.status.as_ref().map(|run| {
                one_off(
                    &format!("{what}-status"),
                    run,
                    &format!("{}-status", due.mark),
                )
            }),
            before: due.before.clone(),
            restores: migration.restore_on_failed_migration,
            backups: self.input.guards(),
            taken: if self.goes_on() {
                self.input.history.guards.clone()
            } else {
                BTreeMap::new()
            },
        }
    }

    /// Returns the form that the data has when this plan is done.
    pub(super) fn schema_then(&self, all: &All<'a>) -> Schema {
        let history = self.input.history;
        let attempt = if self.migrations.is_empty() {
            history.schema.attempt
        } else {
            history.next_attempt
        };
        Schema {
            attempt,
            marks: self.marks(all),
        }
    }
}

impl Input<'_> {
    /// Returns what earlier attempts have made of the data, if the last release can't work with it.
    pub(super) fn unreleased(&self) -> Option<Unreleased> {
        let history = self.history;
        let released = history.release.as_ref()?;
        let moved = history.schema.attempt != released.schema.attempt || history.doubt.is_some();
        moved.then(|| Unreleased {
            guards: history.guards.clone(),
        })
    }

    /// Returns the backups that a deploy begins with where there is data.
    fn guards(&self) -> Vec<BackupDraft> {
        let wanted = self.desired.backups.iter();
        wanted
            .filter(|(_, backup)| backup.before_deploy)
            .map(|(name, backup)| self.backup_draft(name, backup))
            .collect()
    }

    /// Says which backup is to be taken, and where its tools are.
    pub(super) fn backup_draft(&self, name: &BackupName, backup: &Backup) -> BackupDraft {
        let history = self.history;
        BackupDraft {
            name: name.clone(),
            backup: backup.clone(),
            container: self.tools_of(backup),
            schema: history.known_schema(),
            release: history.release.as_ref().map(|release| release.id.clone()),
            guards: history.guarding(),
            zone: self.desired.time_zone.clone(),
            before_restore_of: None,
        }
    }

    /// Returns the name of the container in which the tools of a backup run.
    pub(super) fn tools_of(&self, backup: &Backup) -> Option<String> {
        tools_of(self.desired, backup)
    }
}

/// Returns whether there is something to back up yet.
fn has_data(name: &BackupName, backup: &Backup, all: &All<'_>, observed: &ObservedState) -> bool {
    match backup.source.service() {
        Some(service) => all.get(service).is_some_and(|one| one.holder.is_some()),
        None => observed.sources.contains(name),
    }
}
