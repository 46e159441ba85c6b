//! Waits for a service by looking at its container often and for a bounded time.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::StepError;
use super::pace::{BETWEEN_LOOKS, Pace};
use super::tries::Tries;
use crate::desired::ServiceName;
use crate::engine::model::{Container, ContainerState, Health};
use crate::engine::{EngineError, WriteEngine};
use crate::plan::Await;

/// What is waited for, and how long.
pub(super) struct Wait<'a> {
    pub(super) service: &'a ServiceName,
    pub(super) container: &'a str,
    pub(super) until: Await,
    pub(super) within: Duration,
}

/// What one look says.
enum Look {
    Reached,
    NotYet(String),
    Never(String),
}

/// What has been seen since the wait began.
struct Seen<'a> {
    pace: Pace,
    restarts: Option<i64>,
    tries: Tries<'a>,
}

impl Wait<'_> {
    /// Returns when the service is as wanted.
    ///
    /// # Errors
    /// It can't get there, it took too long, or the wait was given up.
    pub(super) async fn run(
        &self,
        engine: &dyn WriteEngine,
        mut given_up: watch::Receiver<bool>,
        tell: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(), StepError> {
        // The engine counts from zero for a container that was just started.
        let restarts =
            matches!(self.until, Await::Ready { .. } | Await::Running { .. }).then_some(0);
        let mut seen = Seen {
            pace: Pace::new(self.within),
            restarts,
            tries: Tries::new(engine),
        };
        loop {
            let why = match self.look(engine, &mut seen).await? {
                Look::Reached => return Ok(()),
                Look::Never(why) => return Err(self.not_up(engine, why).await),
                Look::NotYet(why) => why,
            };
            if seen.pace.is_over() {
                let within = humantime::format_duration(self.within);
                return Err(self.not_up(engine, format!("{why} after {within}")).await);
            }
            if seen.pace.is_time_for_a_word() {
                tell(format!("{}: {why}, {}", self.service, seen.pace.left()));
            }
            tokio::select! {
                () = seen.tries.go_on_until(Instant::now() + BETWEEN_LOOKS) => {}
                _changed = given_up.wait_for(|given_up| *given_up) => return Err(StepError::GivenUp),
            }
        }
    }

    async fn not_up(&self, engine: &dyn WriteEngine, why: String) -> StepError {
        StepError::not_up(engine, self.service, self.container, why).await
    }

    async fn look(
        &self,
        engine: &dyn WriteEngine,
        seen: &mut Seen<'_>,
    ) -> Result<Look, EngineError> {
        let Some(container) = engine.container(self.container).await? else {
            return Ok(Look::Never("its container is gone".to_owned()));
        };
        let restarts = *seen.restarts.get_or_insert(container.restart_count);
        let again =
            container.restart_count > restarts || container.state == ContainerState::Restarting;
        // A job may have a policy that starts it again until it succeeds.
        if again && self.until != Await::Completed {
            let ended = if container.oom_killed {
                "was killed for lack of memory"
            } else {
                "ended"
            };
            let why = format!("it {ended} and was started again by the engine");
            return Ok(Look::Never(why));
        }
        Ok(match self.until {
            Await::Completed => completed(&container),
            // Without a health check there is no verdict.
            Await::Ready { soak } if container.health.is_none() => {
                running(&container, soak, seen.pace.waited())
            }
            Await::Healthy { soak } | Await::Ready { soak } => {
                seen.tries.begin_if_due(&container);
                match healthy(&container, seen.tries.have_passed()) {
                    Look::Reached if seen.pace.waited() < soak => {
                        Look::NotYet("it is healthy".to_owned())
                    }
                    other @ (Look::Reached | Look::NotYet(_) | Look::Never(_)) => other,
                }
            }
            Await::Running { soak } => running(&container, soak, seen.pace.waited()),
        })
    }
}

/// Says of a container that is not up what it is instead.
pub(super) fn down(container: &Container) -> String {
    match &container.state {
        ContainerState::Exited {
            oom_killed: true, ..
        } => "it was killed for lack of memory".to_owned(),
        ContainerState::Created
        | ContainerState::Running
        | ContainerState::Paused
        | ContainerState::Restarting
        | ContainerState::Exited { .. }
        | ContainerState::Removing
        | ContainerState::Dead => format!("it is {}", container.state),
    }
}

fn running(container: &Container, soak: Duration, seen_for: Duration) -> Look {
    match &container.state {
        ContainerState::Running if seen_for >= soak => Look::Reached,
        ContainerState::Running => Look::NotYet("it is running".to_owned()),
        ContainerState::Exited { code: 0, .. } if container.spec.restart.leaves_success_alone() => {
            Look::Reached
        }
        ContainerState::Created
        | ContainerState::Paused
        | ContainerState::Restarting
        | ContainerState::Exited { .. }
        | ContainerState::Removing
        | ContainerState::Dead => not_running(container),
    }
}

/// `tried` is whether a try of our own has passed.
fn healthy(container: &Container, tried: bool) -> Look {
    match (&container.state, container.health) {
        (ContainerState::Running, Some(Health::Healthy)) => Look::Reached,
        (ContainerState::Running, Some(Health::Starting)) if tried => Look::Reached,
        (ContainerState::Running, Some(Health::Unhealthy)) if container.oom_killed => Look::Never(
            "its health check fails; something in it was killed for lack of memory".to_owned(),
        ),
        (ContainerState::Running, Some(Health::Unhealthy)) => {
            Look::Never("its health check fails".to_owned())
        }
        (ContainerState::Running, Some(Health::Starting)) => {
            Look::NotYet("its health check has not passed yet".to_owned())
        }
        (ContainerState::Running, None) => Look::Never("it has no health check".to_owned()),
        (
            ContainerState::Created
            | ContainerState::Paused
            | ContainerState::Restarting
            | ContainerState::Exited { .. }
            | ContainerState::Removing
            | ContainerState::Dead,
            _,
        ) => not_running(container),
    }
}

fn not_running(container: &Container) -> Look {
    match &container.state {
        ContainerState::Created => Look::NotYet("it has not started yet".to_owned()),
        ContainerState::Running
        | ContainerState::Paused
        | ContainerState::Restarting
        | ContainerState::Exited { .. }
        | ContainerState::Removing
        | ContainerState::Dead => Look::Never(down(container)),
    }
}

fn completed(container: &Container) -> Look {
    match &container.state {
        ContainerState::Exited { code: 0, .. } => Look::Reached,
        ContainerState::Created => Look::NotYet("it has not started yet".to_owned()),
        ContainerState::Running => Look::NotYet("it is at work".to_owned()),
        ContainerState::Restarting => Look::NotYet("the engine starts it again".to_owned()),
        ContainerState::Paused
        | ContainerState::Exited { .. }
        | ContainerState::Removing
        | ContainerState::Dead => Look::Never(down(container)),
    }
}
