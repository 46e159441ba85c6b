//! Waits for a service by looking at its container often and for a bounded time.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::StepError;
use crate::desired::ServiceName;
use crate::engine::model::{Container, ContainerState, Health, Restart};
use crate::engine::{EngineError, ReadEngine};
use crate::plan::Await;

/// What is waited for, and how long.
pub(super) struct Wait<'a> {
    pub(super) service: &'a ServiceName,
    pub(super) container: &'a str,
    pub(super) until: Await,
    pub(super) within: Duration,
}

/// Time between two looks: a look costs the engine 0.2 ms.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// Time between two words to the person who waits.
const BETWEEN_WORDS: Duration = Duration::from_secs(2);

/// What one look says.
enum Look {
    Reached,
    NotYet(String),
    Never(String),
}

/// What has been seen since the wait began.
struct Seen {
    began: Instant,
    restarts: Option<i64>,
}

impl Wait<'_> {
    /// Returns when the service is as wanted.
    ///
    /// # Errors
    /// It can't get there, it took too long, or the wait was given up.
    pub(super) async fn run(
        &self,
        engine: &dyn ReadEngine,
        mut given_up: watch::Receiver<bool>,
        tell: &(dyn Fn(String) + Send + Sync),
    ) -> Result<(), StepError> {
        // The engine counts from zero for a container that was just started.
        let restarts =
            matches!(self.until, Await::Ready { .. } | Await::Running { .. }).then_some(0);
        let mut seen = Seen {
            began: Instant::now(),
            restarts,
        };
        let mut told = Instant::now();
        loop {
            let why = match self.look(engine, &mut seen).await? {
                Look::Reached => return Ok(()),
                Look::Never(why) => return Err(self.not_up(engine, why).await),
                Look::NotYet(why) => why,
            };
            let waited = seen.began.elapsed();
            if waited > self.within {
                let within = humantime::format_duration(self.within);
                return Err(self.not_up(engine, format!("{why} after {within}")).await);
            }
            if told.elapsed() >= BETWEEN_WORDS {
                told = Instant::now();
                let left = Duration::from_secs((self.within.saturating_sub(waited)).as_secs());
                let left = humantime::format_duration(left);
                tell(format!("{}: {why}, {left} left", self.service));
            }
            tokio::select! {
                () = tokio::time::sleep(BETWEEN_LOOKS) => {}
                _changed = given_up.wait_for(|given_up| *given_up) => return Err(StepError::GivenUp),
            }
        }
    }

    async fn not_up(&self, engine: &dyn ReadEngine, why: String) -> StepError {
        StepError::not_up(engine, self.service, self.container, why).await
    }

    async fn look(&self, engine: &dyn ReadEngine, seen: &mut Seen) -> Result<Look, EngineError> {
        let Some(container) = engine.container(self.container).await? else {
            return Ok(Look::Never("its container is gone".to_owned()));
        };
        let restarts = *seen.restarts.get_or_insert(container.restart_count);
        let again =
            container.restart_count > restarts || container.state == ContainerState::Restarting;
        // A job may have a policy that starts it again until it succeeds.
        if again && self.until != Await::Completed {
            return Ok(Look::Never(
                "it ended and was started again by the engine".to_owned(),
            ));
        }
        Ok(match self.until {
            Await::Completed => completed(&container),
            // Without a health check there is no verdict.
            Await::Ready { soak } if container.health.is_none() => {
                running(&container, soak, seen.began.elapsed())
            }
            Await::Healthy | Await::Ready { .. } => healthy(&container),
            Await::Running { soak } => running(&container, soak, seen.began.elapsed()),
        })
    }
}

fn running(container: &Container, soak: Duration, seen_for: Duration) -> Look {
    match &container.state {
        ContainerState::Running if seen_for >= soak => Look::Reached,
        ContainerState::Running => Look::NotYet("it is running".to_owned()),
        ContainerState::Exited { code: 0, .. } if container.spec.restart == Restart::No => {
            Look::Reached
        }
        ContainerState::Created
        | ContainerState::Paused
        | ContainerState::Restarting
        | ContainerState::Exited { .. }
        | ContainerState::Removing
        | ContainerState::Dead => not_running(&container.state),
    }
}

fn healthy(container: &Container) -> Look {
    match (&container.state, container.health) {
        (ContainerState::Running, Some(Health::Healthy)) => Look::Reached,
        (ContainerState::Running, Some(Health::Unhealthy)) => {
            Look::Never("its health check fails".to_owned())
        }
        (ContainerState::Running, Some(Health::Starting)) => {
            Look::NotYet("its health check has not passed yet".to_owned())
        }
        (ContainerState::Running, None) => Look::Never("it has no health check".to_owned()),
        (other, _) => not_running(other),
    }
}

fn not_running(state: &ContainerState) -> Look {
    match state {
        ContainerState::Created => Look::NotYet("it has not started yet".to_owned()),
        ContainerState::Running
        | ContainerState::Paused
        | ContainerState::Restarting
        | ContainerState::Exited { .. }
        | ContainerState::Removing
        | ContainerState::Dead => Look::Never(format!("it is {state}")),
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
        | ContainerState::Dead => Look::Never(format!("it is {}", container.state)),
    }
}
