//! `moored backup`: takes, lists, verifies, restores and drills backups.

use super::args::BackupCommand;
use super::context::{Cli, Failure};
use super::{Exit, beside};
use crate::backup::{Drilled, Listed};
use crate::by_hand::{As, ByHandError, Stack};
use crate::desired::backups::{Backup, BackupName};
use crate::report::{BackupLine, BackupReport};

pub(super) async fn backup(cli: &Cli, command: BackupCommand) -> Result<Exit, Failure> {
    match command {
        BackupCommand::Now { name, stack } => {
            each(
                cli,
                stack.as_deref(),
                name.as_deref(),
                "taken",
                async |stack, name, backup| {
                    let taken = stack.back_up(name, backup).await?;
                    Ok(BackupLine::taken(name, &taken))
                },
            )
            .await
        }
        BackupCommand::List { name, stack } => list(cli, stack.as_deref(), name.as_deref()).await,
        BackupCommand::Verify { name, file, stack } => {
            let named = name.is_some();
            each(
                cli,
                stack.as_deref(),
                name.as_deref(),
                "verified",
                async |stack, name, backup| {
                    if !named && stack.list(name, backup)?.is_empty() {
                        return Ok(BackupLine::about(name, "there is none yet"));
                    }
                    let listed = find(stack, name, backup, file.as_deref())?;
                    stack.verify(name, backup, &listed).await?;
                    Ok(BackupLine::listed(name, &listed, "verified"))
                },
            )
            .await
        }
        BackupCommand::Drill { name, file, stack } => {
            let named = name.is_some();
            each(
                cli,
                stack.as_deref(),
                name.as_deref(),
                "drilled",
                async |stack, name, backup| {
                    if !named && backup.drill.is_none() {
                        return Ok(BackupLine::about(name, "has no drill in the manifest"));
                    }
                    let listed = find(stack, name, backup, file.as_deref())?;
                    let drilled = stack.drill(name, backup, &listed).await?;
                    Ok(BackupLine::listed(name, &listed, &proved(&drilled)))
                },
            )
            .await
        }
        BackupCommand::Restore {
            name,
            file,
            no_safety_backup,
            stack,
        } => {
            let (stack, file) = (stack.as_deref(), file.as_deref());
            Box::pin(restore(cli, stack, &name, file, !no_safety_backup)).await
        }
    }
}

/// Does something with each backup of a stack, or with the one that is named; tells of all.
async fn each(
    cli: &Cli,
    stack: Option<&str>,
    only: Option<&str>,
    done: &str,
    work: impl AsyncFn(&Stack<'_>, &BackupName, &Backup) -> Result<BackupLine, ByHandError>,
) -> Result<Exit, Failure> {
    let host = beside::open(cli)?;
    let stack = beside::locked(&host, stack, As::InGit).await?;
    let mut report = BackupReport::new(&stack.desired.stack, done);
    let mut exit = Exit::Done;
    for (name, backup) in stack
        .backups(only)
        .map_err(|error| beside::failure(&error))?
    {
        match work(&stack, name, backup).await {
            Ok(line) => report.add(line),
            Err(error) => {
                report.add(BackupLine::failed(name, &error.to_string()));
                exit = exit.or(beside::failure(&error).0);
            }
        }
    }
    cli.print(&report)?;
    Ok(exit)
}

async fn list(cli: &Cli, stack: Option<&str>, only: Option<&str>) -> Result<Exit, Failure> {
    let host = beside::open(cli)?;
    let stack = beside::stack(&host, stack, As::InGit).await?;
    let mut report = BackupReport::new(&stack.desired.stack, "there are none");
    for (name, backup) in stack
        .backups(only)
        .map_err(|error| beside::failure(&error))?
    {
        for one in stack
            .list(name, backup)
            .map_err(|error| beside::failure(&error))?
        {
            let state = if one.present {
                "verified"
            } else {
                "its file is gone"
            };
            report.add(BackupLine::listed(name, &one, state));
        }
    }
    cli.print(&report)?;
    Ok(Exit::Done)
}

async fn restore(
    cli: &Cli,
    stack: Option<&str>,
    only: &str,
    file: Option<&str>,
    safety: bool,
) -> Result<Exit, Failure> {
    let host = beside::open(cli)?;
    let stack = beside::locked(&host, stack, As::Released).await?;
    let failure = |error: ByHandError| beside::failure(&error);
    let (name, backup) = stack.backup(only).map_err(failure)?;
    let (name, backup) = (name.clone(), backup.clone());
    let listed = find(&stack, &name, &backup, file).map_err(failure)?;
    let name_of_stack = stack.desired.stack.clone();
    let restored = stack.restore(&name, &backup, &listed, safety).await;
    beside::tell(cli, &name_of_stack, restored)
}

fn proved(drilled: &Drilled) -> String {
    match drilled.answer {
        Some(answer) => format!("can be restored; the query answers {answer}"),
        None => "can be restored".to_owned(),
    }
}

/// Returns the backup of this file name, or the newest one.
fn find(
    stack: &Stack<'_>,
    name: &BackupName,
    backup: &Backup,
    file: Option<&str>,
) -> Result<Listed, ByHandError> {
    let Some(file) = file else {
        return stack.newest(name, backup);
    };
    let mut listed = stack.list(name, backup)?.into_iter();
    let found = listed.find(|one| one.manifest.file == file);
    found.ok_or_else(|| {
        ByHandError::Refused(format!(
            "there is no file {file} among the backups {name}; see: moored backup list {name}"
        ))
    })
}
