//! Starts and stops the container of a service with what goes with it: files are copied in before
//! a start, commands run inside after it and before a stop.
//!
//! Whether a command ran is unknown after a kill: it is run again, with the next start or restart
//! ([decision 0016](../../docs/decisions/0016-hooks.md)).

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::timeout;

use super::StepError;
use super::await_service::down;
use super::output::End;
use super::scene::Scene;
use super::undo::{Back, Undo};
use super::walk::Walk;
use crate::desired::{Hook, ServiceName};
use crate::engine::model::{Container, CopiedFile, Exec};
use crate::engine::{EngineError, WriteEngine};
use crate::labels;
use crate::plan::{Action, Around, ContainerRef, RemoveReason, Step};

/// Time for one command. Docker Compose has no limit; somebody waits for us.
const HOOK_WITHIN: Duration = Duration::from_secs(300);

/// Whose container it is, and what goes with its starts and stops.
#[derive(Clone, Copy)]
pub(super) struct Whose<'a> {
    service: Option<&'a ServiceName>,
    around: Option<&'a Around>,
    scene: &'a Scene<'a>,
}

impl<'a> Whose<'a> {
    /// Finds what goes with an action that starts or stops a container; nothing for another one.
    pub(super) fn of(action: &'a Action, scene: &'a Scene<'_>) -> Self {
        let service = action.turn().map(|turn| turn.service);
        match service {
            Some(service) => Self::of_service(service, scene),
            None => Self {
                service: None,
                around: None,
                scene,
            },
        }
    }

    /// Finds what goes with the containers of a service.
    fn of_service(service: &'a ServiceName, scene: &'a Scene<'_>) -> Self {
        let around = &scene.plan.around;
        // One beyond the number that Git wants is as the others.
        let its_own = around.get(service);
        Self {
            service: Some(service),
            around: its_own.or_else(|| around.get(&service.replica(1))),
            scene,
        }
    }

    /// Starts a container. Repeatable.
    pub(super) async fn start(self, engine: &dyn WriteEngine, id: &str) -> Result<(), StepError> {
        if let Some(around) = self.around {
            copy_into(engine, id, &around.files).await?;
        }
        engine.start_container(id).await?;
        self.post_start(engine, id).await
    }

    /// Restarts a container.
    pub(super) async fn restart(self, engine: &dyn WriteEngine, id: &str) -> Result<(), StepError> {
        self.pre_stop(engine, id).await?;
        if let Some(around) = self.around {
            copy_into(engine, id, &around.files).await?;
        }
        self.scene.puts_down(id);
        engine.restart_container(id).await?;
        self.post_start(engine, id).await
    }

    /// Stops a container. Repeatable.
    pub(super) async fn stop(self, engine: &dyn WriteEngine, id: &str) -> Result<(), StepError> {
        self.pre_stop(engine, id).await?;
        self.scene.puts_down(id);
        Ok(engine.stop_container(id).await?)
    }

    /// Runs the commands that follow on a start.
    pub(super) async fn post_start(
        self,
        engine: &dyn WriteEngine,
        id: &str,
    ) -> Result<(), StepError> {
        let hooks = self.around.iter().flat_map(|around| &around.post_start);
        for hook in hooks {
            match run(engine, id, hook, "post_start").await {
                Err(failure @ StepError::Engine(EngineError::Conflict { .. })) => {
                    return Err(self.not_up(engine, id, failure).await);
                }
                ran => ran?,
            }
        }
        Ok(())
    }

    /// Runs the commands that come before a stop; none in a container that does not run.
    pub(super) async fn pre_stop(
        self,
        engine: &dyn WriteEngine,
        id: &str,
    ) -> Result<(), StepError> {
        let hooks = self.around.iter().flat_map(|around| &around.pre_stop);
        for hook in hooks {
            let there = engine.container(id).await?;
            if !there.is_some_and(|there| there.is_running()) {
                break;
            }
            match run(engine, id, hook, "pre_stop").await {
                // It has ended by itself meanwhile.
                Err(StepError::Engine(
                    EngineError::Conflict { .. } | EngineError::NotFound { .. },
                )) => break,
                ran => ran?,
            }
        }
        Ok(())
    }

    /// Runs the commands that follow on a start in a container that a failure has brought back, if
    /// they are those of its time. One that fails is told: that it serves again matters more.
    pub(super) async fn is_back(
        self,
        engine: &dyn WriteEngine,
        id: &str,
        tell: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(), EngineError> {
        if self.around.is_none_or(|around| !around.as_before) {
            return Ok(());
        }
        match self.post_start(engine, id).await {
            Err(StepError::Engine(lost @ EngineError::Unavailable { .. })) => Err(lost),
            Err(failure) => {
                tell(failure.to_string());
                Ok(())
            }
            Ok(()) => Ok(()),
        }
    }

    async fn not_up(self, engine: &dyn WriteEngine, id: &str, failure: StepError) -> StepError {
        match (engine.container(id).await, self.service) {
            (Ok(Some(there)), Some(service)) if !there.is_running() => {
                StepError::not_up(engine, service, id, down(&there)).await
            }
            (Ok(_) | Err(_), _) => failure,
        }
    }
}

/// Returns what goes with the starts and stops of a container of the stack.
pub(super) fn around_of<'a>(container: &Container, scene: &'a Scene<'_>) -> Option<Whose<'a>> {
    let label = |name: &str| container.spec.labels.get(name);
    let service = label(labels::SERVICE)?;
    let number = label(labels::NUMBER).and_then(|number| number.parse().ok());
    let mut all = (scene.plan.around.keys()).filter(|name| name.service() == service);
    // One beyond the number that Git wants is as the others.
    let its_own = all.clone().find(|name| Some(name.number()) == number);
    Some(Whose::of_service(its_own.or_else(|| all.next())?, scene))
}

impl Walk<'_> {
    /// Takes one step back, with what follows on a start where that starts something again;
    /// returns whether something is as it was before.
    pub(super) async fn go_back(&self, step: &Step, undo: &Undo<'_>) -> Result<bool, StepError> {
        let back = self.undo(step, undo).await?;
        if let Back::Started(container) = &back {
            let engine = self.scene.hands.engine();
            let tell = self.scene.told(step.number);
            let whose = if let Undo::Follow(service, _) = undo {
                Whose::of_service(service, &self.scene)
            } else {
                Whose::of(&step.action, &self.scene)
            };
            whose.is_back(engine, container, &tell).await?;
        }
        Ok(back != Back::Nothing)
    }
}

/// Removes a container. One that is not wanted any more may run: it gets its time to stop, and its
/// commands before that where Git still has its service. Repeatable.
pub(super) async fn remove(
    container: &ContainerRef,
    why: RemoveReason,
    scene: &Scene<'_>,
) -> Result<(), StepError> {
    let engine = scene.hands.engine();
    let may_run = match why {
        RemoveReason::Orphan | RemoveReason::Surplus | RemoveReason::Expired => {
            engine.container(&container.id).await?
        }
        RemoveReason::Replaced | RemoveReason::HalfMade => None,
    };
    if let Some(there) = may_run {
        match around_of(&there, scene) {
            Some(whose) => whose.stop(engine, &there.id).await?,
            None => engine.stop_container(&there.id).await?,
        }
    }
    Ok(engine.remove_container(&container.id).await?)
}

/// Copies files into a container; nothing for none.
pub(super) async fn copy_into(
    engine: &dyn WriteEngine,
    id: &str,
    files: &BTreeMap<String, CopiedFile>,
) -> Result<(), EngineError> {
    if files.is_empty() {
        return Ok(());
    }
    engine.copy_into(id, files).await
}

/// Runs a command inside a container to its end, within its time.
async fn run(engine: &dyn WriteEngine, id: &str, hook: &Hook, what: &str) -> Result<(), StepError> {
    let exec = Exec {
        command: &hook.command,
        env: &hook.env,
        user: hook.user.as_deref(),
        working_dir: hook.working_dir.as_deref(),
        privileged: hook.privileged,
    };
    // The arguments may hold what is nobody's business.
    let program = hook.command.first().map_or("nothing", String::as_str);
    let failed = |how: String, output: String| StepError::Command {
        what: format!("{what}: {program}"),
        how,
        output,
    };
    let mut said = End::default();
    let ran = timeout(HOOK_WITHIN, engine.exec(id, &exec, None, &mut said)).await;
    let output = String::from_utf8_lossy(said.bytes()).into_owned();
    match ran {
        Ok(Ok(ended)) if ended.code == 0 => Ok(()),
        Ok(Ok(ended)) => Err(failed(
            format!("ended with exit code {}", ended.code),
            output + &ended.errors,
        )),
        Ok(Err(failure)) => Err(failure.into()),
        Err(_) => {
            let within = humantime::format_duration(HOOK_WITHIN);
            Err(failed(format!("had not ended after {within}"), output))
        }
    }
}
