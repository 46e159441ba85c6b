//! `moored maintenance`, `moored job` and `moored adopt`.

use super::args::MaintenanceCommand;
use super::context::{Cli, Failure};
use super::{Exit, beside};
use crate::by_hand::As;
use crate::config;
use crate::maintenance::{Owner, SwitchedOn};
use crate::report::MaintenanceReport;

pub(super) async fn maintenance(cli: &Cli, command: MaintenanceCommand) -> Result<Exit, Failure> {
    let host = beside::open(cli)?;
    let report = match command {
        MaintenanceCommand::On { stack, reason } => {
            let stack = beside::stack(&host, stack.as_deref(), As::InGit).await?;
            let who = config::person();
            let who = who.unwrap_or_else(|| "somebody".to_owned());
            let on = stack
                .maintenance_on(who, reason)
                .await
                .map_err(|error| beside::failure(&error))?;
            let stack = stack.desired.stack.to_string();
            let by = match on {
                SwitchedOn::Now | SwitchedOn::Already => None,
                SwitchedOn::ByAnother(flag) => Some(flag.owner.to_string()),
            };
            MaintenanceReport {
                stack,
                on: true,
                by,
            }
        }
        MaintenanceCommand::Off { stack } => {
            let stack = beside::stack(&host, stack.as_deref(), As::InGit).await?;
            let there = stack
                .maintenance_off()
                .await
                .map_err(|error| beside::failure(&error))?;
            let stack = stack.desired.stack.to_string();
            let by = there.map(|flag| flag.owner);
            let back = matches!(by, Some(Owner::Git { .. }));
            MaintenanceReport {
                stack,
                on: false,
                by: by.filter(|_| back).map(|owner| owner.to_string()),
            }
        }
    };
    cli.print(&report)?;
    Ok(Exit::Done)
}

pub(super) async fn job(cli: &Cli, stack: Option<&str>, name: &str) -> Result<Exit, Failure> {
    let host = beside::open(cli)?;
    let stack = beside::locked(&host, stack, As::Released).await?;
    let name_of_stack = stack.desired.stack.clone();
    beside::tell(cli, &name_of_stack, stack.run_job(name).await)
}

pub(super) async fn adopt(cli: &Cli, stack: Option<&str>) -> Result<Exit, Failure> {
    let host = beside::open(cli)?;
    let stack = beside::locked(&host, stack, As::InGit).await?;
    let name = stack.desired.stack.clone();
    beside::tell(cli, &name, stack.adopt().await)
}
