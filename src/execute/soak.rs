//! Watches containers that are up for a while: what dies after twenty seconds was no success.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::StepError;
use super::await_service::down;
use super::pace::Pace;
use crate::desired::ServiceName;
use crate::engine::ReadEngine;
use crate::engine::model::{Container, ContainerState, Health};

/// Time between two looks at all of them. What happens between two shows in the second: the
/// engine counts starts.
const BETWEEN_LOOKS: Duration = Duration::from_millis(500);

/// What a container was at the first look.
struct Before {
    restart_count: i64,
    started_at: String,
}

/// Watches containers, by service and name, for so long. A job that ends with code 0 and is not
/// to be started again is as good as one that runs.
///
/// # Errors
/// [`StepError::NotUp`] for the first one that ended, was started again, is unhealthy or gone;
/// [`StepError::GivenUp`] when the wait was given up; the engine can't be asked.
pub(super) async fn soak(
    engine: &dyn ReadEngine,
    containers: &[(ServiceName, String)],
    during: Duration,
    mut given_up: watch::Receiver<bool>,
    tell: &(dyn Fn(String) + Send + Sync),
) -> Result<(), StepError> {
    let mut pace = Pace::new(during);
    let end = Instant::now() + during;
    let mut before: Vec<Option<Before>> = containers.iter().map(|_| None).collect();
    loop {
        let last = Instant::now() >= end;
        for ((service, name), before) in containers.iter().zip(&mut before) {
            if let Some(why) = look(engine, name, before).await? {
                return Err(StepError::not_up(engine, service, name, why).await);
            }
        }
        if last || containers.is_empty() {
            return Ok(());
        }
        if pace.is_time_for_a_word() {
            let services = match containers {
                [(service, _)] => service.to_string(),
                several => format!("{} services", several.len()),
            };
            tell(format!("watching {services}: {}", pace.left()));
        }
        let next = end.min(Instant::now() + BETWEEN_LOOKS);
        tokio::select! {
            () = tokio::time::sleep_until(next) => {}
            _changed = given_up.wait_for(|given_up| *given_up) => return Err(StepError::GivenUp),
        }
    }
}

/// Looks at one container; returns what is wrong with it.
async fn look(
    engine: &dyn ReadEngine,
    name: &str,
    before: &mut Option<Before>,
) -> Result<Option<String>, StepError> {
    let Some(container) = engine.container(name).await? else {
        return Ok(Some("its container is gone".to_owned()));
    };
    let now = Before {
        restart_count: container.restart_count,
        started_at: container.started_at.clone(),
    };
    let before = before.get_or_insert(now);
    Ok(wrong(&container, before))
}

fn wrong(container: &Container, before: &Before) -> Option<String> {
    let again = container.restart_count != before.restart_count
        || container.started_at != before.started_at
        || container.state == ContainerState::Restarting;
    if again {
        let why = if container.oom_killed {
            "it was killed for lack of memory and started again"
        } else {
            "it ended and was started again"
        };
        return Some(why.to_owned());
    }
    match (&container.state, container.health) {
        (ContainerState::Running, Some(Health::Unhealthy)) => {
            Some("its health check fails".to_owned())
        }
        (ContainerState::Running, Some(Health::Starting | Health::Healthy) | None) => None,
        (ContainerState::Exited { code: 0, .. }, _)
            if container.spec.restart.leaves_success_alone() =>
        {
            None
        }
        (
            ContainerState::Created
            | ContainerState::Paused
            | ContainerState::Restarting
            | ContainerState::Exited { .. }
            | ContainerState::Removing
            | ContainerState::Dead,
            _,
        ) => Some(down(container)),
    }
}
