//! Runs short commands inside a container.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::timeout;

use super::StepError;
use crate::desired::manifest::Reload;
use crate::engine::model::Exec;
use crate::engine::{EngineError, WriteEngine};
use crate::plan::ContainerRef;

/// Time for a command inside a container.
const COMMAND_WITHIN: Duration = Duration::from_secs(30);

/// Runs a command in a container; returns its exit code and the end of what it complained of.
pub(super) async fn exec(
    engine: &dyn WriteEngine,
    container: &str,
    command: &[String],
    output: &mut Vec<u8>,
) -> Result<(i64, String), StepError> {
    let exec = Exec {
        command,
        env: &BTreeMap::new(),
        user: None,
        working_dir: None,
        privileged: false,
    };
    match timeout(COMMAND_WITHIN, engine.exec(container, &exec, None, output)).await {
        Ok(ended) => ended
            .map(|ended| (ended.code, ended.errors))
            .map_err(StepError::from),
        Err(_) => Err(StepError::Engine(EngineError::TimedOut {
            doing: format!("run {} in {container}", command.join(" ")),
            limit: COMMAND_WITHIN,
        })),
    }
}

/// Tells the process in a container to read its files again.
pub(super) async fn tell_to_reload(
    engine: &dyn WriteEngine,
    container: &ContainerRef,
    how: &Reload,
) -> Result<(), StepError> {
    let run = match how {
        Reload::Signal(signal) => {
            return Ok(engine.signal_container(&container.id, signal).await?);
        }
        Reload::Run(run) => run,
    };
    match exec(engine, &container.id, run, &mut Vec::new()).await? {
        (0, _) => Ok(()),
        (code, output) => Err(StepError::Command {
            what: run.join(" "),
            how: format!("ended with exit code {code}"),
            output,
        }),
    }
}
