//! The subcommands that change nothing: `plan`, `drift`, `status`, `history`. They hold a
//! [`View`](crate::host::View), whose engine can't do anything.

use super::args::PlanArguments;
use super::context::{Cli, Failure};
use super::{Exit, check, exit, snapshot};
use crate::host::View;
use crate::pass::PassError;
use crate::report::{self, DriftReport, PlanReport};
use crate::source::Tree;
use crate::stacks::LoadError;
use crate::{reconcile, stacks};

fn failure(error: &PassError) -> Failure {
    (exit::of_error(error), error.to_string())
}

pub(super) async fn plan(cli: &Cli, arguments: &PlanArguments) -> Result<Exit, Failure> {
    if let Some(file) = &arguments.snapshot {
        return snapshot::plan(cli, arguments, file);
    }
    let stack = arguments.stack.as_deref();
    let view = cli.view()?;
    let looked = if let Some(tree) = other_files(&view, arguments).await? {
        let loaded = stacks::of_tree(&view, &tree, stack).map_err(load_failure)?;
        reconcile::look_at_all(&view, loaded).await
    } else {
        let looked = reconcile::look(&view, stack).await;
        looked.map_err(|error| failure(&error))?
    };
    cli.print(&PlanReport::new(&looked))?;
    Ok(exit::of_look(&looked))
}

/// Opens the files that a plan is asked for; none for what the branches have.
async fn other_files(view: &View, arguments: &PlanArguments) -> Result<Option<Tree>, Failure> {
    let revision = arguments.revision.as_deref();
    match (&arguments.from, revision) {
        (None, None) => Ok(None),
        (Some(dir), revision) => check::tree(dir, revision).map(Some),
        (None, Some(revision)) => {
            let mirror = stacks::lock_mirror(view).await.map_err(load_failure)?;
            for branch in stacks::by_branch(view).keys() {
                let fetched = stacks::fetch(view, branch, &mirror).await;
                fetched.map_err(load_failure)?;
            }
            check::tree(&view.mirror(), Some(revision)).map(Some)
        }
    }
}

fn load_failure(error: LoadError) -> Failure {
    failure(&PassError::from(error))
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
