//! One stack, and what a person has done to it: backups, restores, jobs, the maintenance page.

use std::sync::Arc;
use std::time::Duration;

use crate::backup::{self, BackupError, Drilled, Listed, Manifest, Origin, Progress, Work};
use crate::desired::DesiredState;
use crate::desired::backups::{Backup, BackupName};
use crate::desired::maintenance::Maintenance;
use crate::engine::model::ContainerState;
use crate::engine::{EngineError, WriteEngine};
use crate::events::Event;
use crate::host::{Host, View};
use crate::lock::{Lock, LockError};
use crate::maintenance::{self, Flag, MaintenanceError, Owner, Page, SwitchedOn, Wanted};
use crate::pass::{PassError, Passed};
use crate::plan::{Context, Kind, Plan, Restoring, Schema};
use crate::policy::Refusal;
use crate::record::RecordError;
use crate::stacks::LoadError;
use crate::{execute, plan, reconcile, stacks};

/// Time for a pass of the controller to come to an end: a deploy with its backup and migration.
const PATIENCE: Duration = Duration::from_secs(30 * 60);

/// Why something that a person asked for was not done.
#[derive(Debug, thiserror::Error)]
pub enum ByHandError {
    /// The stack could not be loaded or looked at.
    #[error("{0}")]
    Pass(#[from] PassError),
    /// The controller is at work on the stack and does not come to an end.
    #[error("{0}")]
    Busy(#[from] LockError),
    /// The record could not be read or written.
    #[error("{0}")]
    Record(#[from] RecordError),
    /// The engine could not be asked.
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// A backup could not be taken, read, verified or restored.
    #[error("{0}")]
    Backup(#[from] BackupError),
    /// The maintenance page could not be switched.
    #[error("{0}")]
    Maintenance(#[from] MaintenanceError),
    /// A file of the host may not be touched.
    #[error("the host's settings do not permit it: {0}")]
    NotPermitted(#[from] Refusal),
    /// No container of a service runs.
    #[error("no container of {service} runs in {stack}; moored status says what does")]
    NotRunning {
        /// The stack.
        stack: String,
        /// The service.
        service: String,
    },
    /// What was asked for is not in the manifest, or makes no sense.
    #[error("{0}")]
    Refused(String),
}

/// One stack, for a person's command.
pub struct Stack<'a> {
    pub(super) host: &'a Host,
    /// What Git wants it to be.
    pub desired: DesiredState,
    _lock: Option<Lock>,
}

/// What a stack is taken to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum As {
    /// What Git says now; where that can't be had, what was released last.
    InGit,
    /// What was released last, so that it fits what runs; what Git says before the first release.
    Released,
}

/// Loads the stack of this name; without one there must be a single stack on the host.
///
/// # Errors
/// There is no such stack, or not a single one, or it can't be loaded.
pub async fn stack<'a>(
    host: &'a Host,
    name: Option<&str>,
    taken: As,
) -> Result<Stack<'a>, ByHandError> {
    Ok(Stack::of(host, load(&host.view, name, taken).await?))
}

/// Loads the stack of this name like [`stack`], for a look.
///
/// # Errors
/// Those of [`stack`].
pub async fn load(view: &View, name: Option<&str>, taken: As) -> Result<DesiredState, ByHandError> {
    let in_git = async || stacks::load(view, name).await;
    let released = || stacks::released(view, name);
    let loaded = match taken {
        As::InGit => match in_git().await {
            Err(unreachable @ (LoadError::Source(_) | LoadError::Mirror(_))) => {
                let found = released().map_err(PassError::from)?;
                if found.is_empty() {
                    return Err(PassError::from(unreachable).into());
                }
                found
            }
            loaded => loaded.map_err(PassError::from)?,
        },
        As::Released => match released() {
            Ok(found) if !found.is_empty() => found,
            Ok(_) | Err(_) => in_git().await.map_err(PassError::from)?,
        },
    };
    let mut loaded: Vec<_> = loaded.into_iter().collect();
    if loaded.len() > 1 {
        let dirs: Vec<&str> = loaded.iter().map(|(dir, _)| dir.as_str()).collect();
        return Err(ByHandError::Refused(format!(
            "there are several stacks here; say which one: --stack with one of {}",
            dirs.join(", ")
        )));
    }
    let Some((_, desired)) = loaded.pop() else {
        return Err(ByHandError::Refused("there is no stack here".to_owned()));
    };
    Ok(desired.map_err(PassError::from)?)
}

impl<'a> Stack<'a> {
    /// Takes a stack that was loaded already.
    pub fn of(host: &'a Host, desired: DesiredState) -> Self {
        host.view.redactor.learn(desired.secrets.iter().cloned());
        Self {
            host,
            desired,
            _lock: None,
        }
    }

    /// Keeps the controller off the stack until this is dropped; waits for its attempt to end.
    ///
    /// # Errors
    /// It does not end within half an hour.
    pub async fn locked(self) -> Result<Self, ByHandError> {
        let hands = &self.host.hands;
        let stack = &self.desired.stack;
        let lock = match hands.lock_stack(stack, Duration::ZERO).await {
            Err(LockError::Taken { holder, .. }) => {
                hands.events.tell(Event::WaitingForOther {
                    stack: stack.clone(),
                    holder,
                });
                hands.lock_stack(stack, PATIENCE).await?
            }
            lock => lock?,
        };
        Ok(Self {
            _lock: Some(lock),
            ..self
        })
    }

    /// Returns the backups of the manifest, or the one that is named.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn backups(&self, only: Option<&str>) -> Result<Vec<(&BackupName, &Backup)>, ByHandError> {
        if let Some(only) = only {
            return Ok(vec![self.backup(only)?]);
        }
        if self.desired.backups.is_empty() {
            return Err(ByHandError::Refused(format!(
                "{} has no backups in its manifest",
                self.desired.stack
            )));
        }
        Ok(self.desired.backups.iter().collect())
    }

    /// Returns the backup of this name.
    ///
    /// # Errors
    /// There is none of that name.
    pub fn backup(&self, name: &str) -> Result<(&BackupName, &Backup), ByHandError> {
        let all = self.desired.backups.iter();
        let mut named = all.filter(|(known, _)| known.as_str() == name);
        named.next().ok_or_else(|| {
            let known = self.desired.backups.keys().map(BackupName::as_str);
            ByHandError::Refused(format!(
                "{} has no backup {name}; its manifest has: {}",
                self.desired.stack,
                known.collect::<Vec<_>>().join(", ")
            ))
        })
    }

    /// Takes a backup now, verifies it, and takes away what is no longer kept.
    ///
    /// # Errors
    /// It can't be taken or does not hold what it must; none is taken away then.
    pub async fn back_up(
        &self,
        name: &BackupName,
        backup: &Backup,
    ) -> Result<Manifest, ByHandError> {
        execute::settle_leftovers(&self.host.hands, &self.desired)?;
        let history = self.host.hands.record.history(&self.desired.stack)?;
        let release = history.release.as_ref();
        let origin = Origin {
            revision: release.map(|release| release.id.revision.clone()),
            release: release.map(|release| release.id.to_string()),
            attempt: None,
            schema: serde_json::to_value(history.known_schema()).unwrap_or_default(),
            before_restore_of: None,
        };
        let told = self.telling(name);
        let place = self.place(backup).await?;
        let work = self.work(name, backup, place.as_deref(), &told);
        let taken = backup::take(&work, &origin).await?;
        backup::retain(&work, &taken, &history.guarding())?;
        Ok(taken)
    }

    /// Returns what there is of a backup, newest first.
    ///
    /// # Errors
    /// Its directory can't be read.
    pub fn list(&self, name: &BackupName, backup: &Backup) -> Result<Vec<Listed>, ByHandError> {
        let (instance, stack) = (self.host.view.instance(), &self.desired.stack);
        Ok(backup::catalogue(&backup.to, instance, stack, name)?.backups)
    }

    /// Returns the newest backup that is there.
    ///
    /// # Errors
    /// There is none, or the directory can't be read.
    pub fn newest(&self, name: &BackupName, backup: &Backup) -> Result<Listed, ByHandError> {
        let newest = self.list(name, backup)?.into_iter().find(|one| one.present);
        newest.ok_or_else(|| {
            ByHandError::Refused(format!(
                "there is no backup {name} yet; take one: moored backup now {name}"
            ))
        })
    }

    /// Verifies a backup file again.
    ///
    /// # Errors
    /// It is not what was written, or does not hold what it must.
    pub async fn verify(
        &self,
        name: &BackupName,
        backup: &Backup,
        listed: &Listed,
    ) -> Result<(), ByHandError> {
        let told = self.telling(name);
        let place = self.place(backup).await?;
        backup::verify(&self.work(name, backup, place.as_deref(), &told), listed).await?;
        Ok(())
    }

    /// Restores a backup into a scratch place and asks it the drill's query.
    ///
    /// # Errors
    /// It can't be restored, or does not answer as it must.
    pub async fn drill(
        &self,
        name: &BackupName,
        backup: &Backup,
        listed: &Listed,
    ) -> Result<Drilled, ByHandError> {
        let told = self.telling(name);
        let place = self.place(backup).await?;
        let work = self.work(name, backup, place.as_deref(), &told);
        let drill = backup.drill.as_ref().ok_or_else(|| {
            ByHandError::Refused(format!("backup {name} has no drill in the manifest"))
        })?;
        let drilled = backup::drill(&work, listed, drill).await?;
        let (stack, now) = (&self.desired.stack, self.host.hands.clock.now());
        self.host.hands.record.drilled(stack, name.as_str(), now)?;
        Ok(drilled)
    }

    /// Puts a backup in the place of the data: writers stopped, what is there backed up, restored,
    /// started, verified; if that fails, what was there is put back.
    ///
    /// # Errors
    /// It could not be begun. How it ended is the outcome.
    pub async fn restore(
        self,
        name: &BackupName,
        backup: &Backup,
        listed: &Listed,
        safety: bool,
    ) -> Result<Passed, ByHandError> {
        // Before anything is touched: a backup that is no good must not stop anybody.
        self.verify(name, backup, listed).await?;
        let Manifest { file, origin, .. } = &listed.manifest;
        let schema: Schema = serde_json::from_value(origin.schema.clone()).unwrap_or_default();
        self.execute(|desired, observed, history, context| {
            let wish = Restoring {
                name,
                backup,
                file,
                schema: schema.clone(),
                safety,
            };
            Ok(plan::restore(desired, observed, history, context, &wish))
        })
        .await
    }

    /// Runs a job of the manifest once.
    ///
    /// # Errors
    /// There is none of that name, or it could not be begun.
    pub async fn run_job(self, name: &str) -> Result<Passed, ByHandError> {
        self.execute(|desired, observed, history, context| {
            plan::run_job(desired, observed, history, context, name).ok_or_else(|| {
                let known: Vec<&str> = desired.jobs.keys().map(String::as_str).collect();
                format!(
                    "{} has no job {name}; its manifest has: {}",
                    desired.stack,
                    known.join(", ")
                )
            })
        })
        .await
    }

    /// Takes the containers that Docker Compose runs in the places of services for ours from now
    /// on; nothing is done to them.
    ///
    /// # Errors
    /// It could not be begun. How it ended is the outcome; `None` where there was none to take.
    pub async fn adopt(self) -> Result<Passed, ByHandError> {
        self.execute(|desired, observed, history, context| {
            Ok(plan::adopt(desired, observed, history, context))
        })
        .await
    }

    /// Looks at the stack, plans, and executes.
    async fn execute(
        self,
        planned: impl Fn(
            &DesiredState,
            &crate::observe::ObservedState,
            &plan::History,
            &Context<'_>,
        ) -> Result<Plan, String>,
    ) -> Result<Passed, ByHandError> {
        let Host { view, hands, .. } = self.host;
        execute::settle_leftovers(hands, &self.desired)?;
        let mut looked = Box::pin(reconcile::look_at(view, self.desired)).await?;
        let policy = view.policy();
        let context = view.context(&policy, view.clock.now().as_second());
        let made = planned(&looked.desired, &looked.observed, &looked.history, &context);
        looked.plan = made.map_err(ByHandError::Refused)?;
        debug_assert!(looked.plan.kind == Kind::ByHand, "a deploy is a pass");
        if looked.plan.is_empty() {
            return Ok(Passed {
                looked,
                outcome: None,
            });
        }
        let plan = Arc::new(looked.plan.clone());
        hands.events.tell(Event::Planned { plan });
        let outcome = Some(Box::pin(execute::execute(&looked.plan, hands)).await?);
        Ok(Passed { looked, outcome })
    }

    /// Switches the maintenance page on until the same person, or another, switches it off.
    ///
    /// # Errors
    /// The manifest has none, it can't be switched, or visitors do not see it.
    pub async fn maintenance_on(
        &self,
        who: String,
        reason: String,
    ) -> Result<SwitchedOn, ByHandError> {
        let maintenance = self.maintenance()?;
        let page = maintenance
            .page_name()
            .zip(self.desired.maintenance_page.as_deref());
        let page = page.map(|(name, content)| Page { name, content });
        let flag = Flag {
            owner: Owner::Person { who },
            reason,
            since: Some(self.host.hands.clock.now()),
        };
        let instance = self.host.view.instance();
        let found = maintenance::switch_on(&maintenance.flag, page, &flag, instance)?;
        self.prove(Wanted::On).await?;
        Ok(found)
    }

    /// Switches the maintenance page off, whoever switched it on; returns who that was.
    ///
    /// # Errors
    /// The manifest has none, it can't be switched, or the site does not answer.
    pub async fn maintenance_off(&self) -> Result<Option<Flag>, ByHandError> {
        let maintenance = self.page()?;
        let (flag, instance) = (&maintenance.flag, self.host.view.instance());
        let there = maintenance::observe(flag, instance).ok().flatten();
        // A page that was put up while that was permitted must come off.
        if there.is_none_or(|there| there.owner == Owner::Unknown) {
            self.maintenance()?;
        }
        let there = maintenance::take_away(flag, instance)?;
        self.prove(Wanted::Off).await?;
        Ok(there)
    }

    /// Returns the page of the manifest, whose files may be touched.
    fn maintenance(&self) -> Result<&Maintenance, ByHandError> {
        let maintenance = self.page()?;
        let hands = &self.host.hands;
        hands.pass_page(&self.desired.stack, maintenance)?;
        Ok(maintenance)
    }

    fn page(&self) -> Result<&Maintenance, ByHandError> {
        self.desired.maintenance.as_ref().ok_or_else(|| {
            let stack = &self.desired.stack;
            ByHandError::Refused(format!("{stack} has no maintenance page in its manifest"))
        })
    }

    async fn prove(&self, wanted: Wanted) -> Result<(), ByHandError> {
        const UNTIL_SEEN: Duration = Duration::from_secs(10);
        let maintenance = self.page()?;
        if let Some(probe) = &maintenance.probe {
            maintenance::prove(probe, wanted, UNTIL_SEEN, &|_| {}).await?;
        }
        Ok(())
    }

    fn telling(&self, name: &BackupName) -> impl Fn(Progress) + Send + Sync + use<> {
        let events = self.host.hands.events.clone();
        let (stack, name) = (self.desired.stack.clone(), name.clone());
        move |progress| {
            events.tell(Event::BackingUp {
                stack: stack.clone(),
                name: name.clone(),
                done: progress.done,
                total: progress.total,
            });
        }
    }

    /// Returns the id of the container in which the tools of a backup run, if it runs.
    async fn place(&self, backup: &Backup) -> Result<Option<String>, ByHandError> {
        let hands = &self.host.hands;
        hands.pass_backup(&self.desired.stack, backup)?;
        let Some(name) = plan::tools_of(&self.desired, backup) else {
            return Ok(None);
        };
        let engine: &dyn WriteEngine = self.host.hands.engine();
        let there = engine.container(&name).await?;
        Ok(there
            .filter(|one| one.state == ContainerState::Running)
            .map(|one| one.id))
    }

    fn work<'w>(
        &'w self,
        name: &'w BackupName,
        backup: &'w Backup,
        container: Option<&'w str>,
        progress: &'w (dyn Fn(Progress) + Send + Sync),
    ) -> Work<'w> {
        Work {
            engine: self.host.hands.engine(),
            container,
            instance: self.host.view.instance(),
            stack: &self.desired.stack,
            name,
            backup,
            zone: &self.desired.time_zone,
            now: self.host.hands.clock.now(),
            progress,
        }
    }
}
