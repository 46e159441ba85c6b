//! The subcommands that change nothing: `plan`, `drift`, `status`, `history`. They hold a
//! [`View`](crate::host::View), whose engine can't do anything.

use super::context::{Cli, Failure};
use super::{Exit, exit};
use crate::pass::PassError;
use crate::reconcile;
use crate::report::{self, DriftReport, PlanReport};

fn failure(error: &PassError) -> Failure {
    (exit::of_error(error), error.to_string())
}

pub(super) async fn plan(cli: &Cli, stack: Option<&str>) -> Result<Exit, Failure> {
    let view = cli.view()?;
    let looked = reconcile::look(&view, stack)
        .await
        .map_err(|error| failure(&error))?;
    cli.print(&PlanReport::new(&looked))?;
    Ok(exit::of_look(&looked))
}

pub(super) async fn drift(cli: &Cli, stack: Option<&str>) -> Result<Exit, Failure> {
    let view = cli.view()?;
    let looked = reconcile::look(&view, stack)
        .await
        .map_err(|error| failure(&error))?;
    let report = DriftReport::new(&looked);
    cli.print(&report)?;
    let errors = looked.values().filter_map(|looked| looked.as_ref().err());
    let differs = if report.has_differences() {
        Exit::Differences
    } else {
        Exit::Done
    };
    Ok(errors.map(exit::of_error).next().unwrap_or(differs))
}

pub(super) async fn status(cli: &Cli, stack: Option<&str>) -> Result<Exit, Failure> {
    let view = cli.view()?;
    let status = report::status(&view, stack)
        .await
        .map_err(|error| failure(&error))?;
    cli.print(&status)?;
    Ok(Exit::Done)
}

pub(super) fn history(cli: &Cli, stack: Option<&str>, limit: usize) -> Result<Exit, Failure> {
    let view = cli.view()?;
    let history = report::history(&view, stack, limit).map_err(|error| failure(&error))?;
    cli.print(&history)?;
    Ok(Exit::Done)
}
