//! Opens a host for a person's command, beside a controller that may run.

use super::context::{Cli, Failure, host_failure};
use super::{Exit, exit};
use crate::by_hand::{self, As, ByHandError, Stack};
use crate::desired::StackName;
use crate::host::Host;
use crate::pass::Passed;
use crate::report::PassReport;

pub(super) fn open(cli: &Cli) -> Result<Host, Failure> {
    let config = cli.config()?;
    let (_stop, never) = tokio::sync::watch::channel(false);
    let host = Host::open_beside(config, cli.events.clone(), cli.redactor.clone(), never);
    host.map_err(|error| host_failure(&error))
}

pub(super) async fn stack<'a>(
    host: &'a Host,
    name: Option<&str>,
    taken: As,
) -> Result<Stack<'a>, Failure> {
    by_hand::stack(host, name, taken)
        .await
        .map_err(|error| failure(&error))
}

/// Loads a stack and keeps the controller off it.
pub(super) async fn locked<'a>(
    host: &'a Host,
    name: Option<&str>,
    taken: As,
) -> Result<Stack<'a>, Failure> {
    let stack = stack(host, name, taken).await?;
    stack.locked().await.map_err(|error| failure(&error))
}

/// Tells how what was done to a stack has ended.
pub(super) fn tell(
    cli: &Cli,
    stack: &StackName,
    done: Result<Passed, ByHandError>,
) -> Result<Exit, Failure> {
    let done = done.map_err(|error| failure(&error))?;
    let passed = [(stack.to_string(), Ok(done))].into();
    cli.print(&PassReport::new(&passed))?;
    Ok(exit::of_pass(&passed))
}

pub(super) fn failure(error: &ByHandError) -> Failure {
    let exit = match error {
        ByHandError::Pass(error) => exit::of_error(error),
        ByHandError::Busy(_) | ByHandError::Engine(_) | ByHandError::NotRunning { .. } => {
            Exit::Unavailable
        }
        ByHandError::NotPermitted(_) => Exit::Held,
        ByHandError::Refused(_) => Exit::Usage,
        ByHandError::Record(_) | ByHandError::Backup(_) | ByHandError::Maintenance(_) => {
            Exit::Failed
        }
    };
    (exit, error.to_string())
}
