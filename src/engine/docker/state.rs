//! Reads what a container is doing and how well it is. Pure.

use bollard::models::{ContainerState as EngineState, ContainerStateStatusEnum, HealthStatusEnum};

use crate::engine::model::{ContainerState, Health};

/// Returns what a container is doing.
pub(super) fn state(state: &EngineState) -> ContainerState {
    let exited = || ContainerState::Exited {
        code: state.exit_code.unwrap_or_default(),
        oom_killed: state.oom_killed.unwrap_or_default(),
    };
    match state.status {
        Some(ContainerStateStatusEnum::CREATED) => ContainerState::Created,
        Some(ContainerStateStatusEnum::RUNNING | ContainerStateStatusEnum::STOPPING) => {
            ContainerState::Running
        }
        Some(ContainerStateStatusEnum::PAUSED) => ContainerState::Paused,
        Some(ContainerStateStatusEnum::RESTARTING) => ContainerState::Restarting,
        Some(ContainerStateStatusEnum::REMOVING) => ContainerState::Removing,
        Some(ContainerStateStatusEnum::DEAD) => ContainerState::Dead,
        None | Some(ContainerStateStatusEnum::EMPTY) if state.running == Some(true) => {
            ContainerState::Running
        }
        None | Some(ContainerStateStatusEnum::EMPTY | ContainerStateStatusEnum::EXITED) => exited(),
    }
}

/// Returns what the health check says; `None` without one, and where its process does not run: an
/// engine shows `unhealthy` for every container that has ended, a job that succeeded too.
pub(super) fn health(state: &EngineState) -> Option<Health> {
    match self::state(state) {
        ContainerState::Running | ContainerState::Paused => {}
        ContainerState::Created
        | ContainerState::Restarting
        | ContainerState::Exited { .. }
        | ContainerState::Removing
        | ContainerState::Dead => return None,
    }
    match state.health.as_ref()?.status? {
        HealthStatusEnum::STARTING => Some(Health::Starting),
        HealthStatusEnum::HEALTHY => Some(Health::Healthy),
        HealthStatusEnum::UNHEALTHY => Some(Health::Unhealthy),
        HealthStatusEnum::EMPTY | HealthStatusEnum::NONE => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(state: Value) -> EngineState {
        serde_json::from_value(state).unwrap()
    }

    #[test]
    fn states() {
        let exited = |code, oom_killed| ContainerState::Exited { code, oom_killed };
        for (state, expected) in [
            (json!({"Status": "created"}), ContainerState::Created),
            (
                json!({"Status": "running", "Running": true}),
                ContainerState::Running,
            ),
            (
                json!({"Status": "paused", "Running": true}),
                ContainerState::Paused,
            ),
            (
                json!({"Status": "restarting", "Running": true}),
                ContainerState::Restarting,
            ),
            (json!({"Status": "removing"}), ContainerState::Removing),
            (json!({"Status": "dead"}), ContainerState::Dead),
            (json!({"Status": "exited", "ExitCode": 0}), exited(0, false)),
            (
                json!({"Status": "exited", "ExitCode": 137, "OOMKilled": true}),
                exited(137, true),
            ),
        ] {
            assert_eq!(super::state(&read(state)), expected);
        }
    }

    #[test]
    fn health_is_none_without_a_check() {
        for (health, expected) in [
            (Value::Null, None),
            (json!({"Status": "none"}), None),
            (json!({"Status": ""}), None),
            (
                json!({"Status": "starting", "Log": []}),
                Some(Health::Starting),
            ),
            (json!({"Status": "healthy"}), Some(Health::Healthy)),
            (json!({"Status": "unhealthy"}), Some(Health::Unhealthy)),
        ] {
            let state = read(json!({"Status": "running", "Health": health}));
            assert_eq!(super::health(&state), expected);
        }
    }

    #[test]
    fn what_has_ended_has_no_health() {
        for status in ["created", "restarting", "removing", "exited", "dead"] {
            let state = read(json!({"Status": status, "Health": {"Status": "unhealthy"}}));
            assert_eq!(super::health(&state), None, "{status}");
        }
        let state = read(json!({"Status": "paused", "Health": {"Status": "unhealthy"}}));
        assert_eq!(super::health(&state), Some(Health::Unhealthy));
    }
}
