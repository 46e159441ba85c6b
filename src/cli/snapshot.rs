//! The subcommand `snapshot`, and plans against one.

use std::io::Write;
use std::path::Path;

use super::args::PlanArguments;
use super::context::{Cli, Failure, print_text};
use super::{Exit, check, exit};
use crate::desired::StackName;
use crate::reconcile;
use crate::report::{Format, PlanReport, SnapshotReport, render};
use crate::snapshot::{self, Compared, Snapshot, SnapshotError};

pub(super) async fn snapshot(cli: &Cli) -> Result<Exit, Failure> {
    let view = cli.view()?;
    let looked = reconcile::look(&view, None).await;
    let looked = looked.map_err(|error| (exit::of_error(&error), error.to_string()))?;
    let snapshot = snapshot::take(&view, &looked);
    let failed = snapshot.failed.clone();
    // Whatever form was asked for: it is read by programs.
    let report = SnapshotReport(snapshot);
    print_text(&render(&report, Format::Json, &cli.redactor))?;
    for (dir, error) in &failed {
        cli.fail(
            Exit::Failed,
            &format!("{dir} is not in the snapshot: {error}"),
        );
    }
    let exits = failed.keys().map(|dir| match looked.get(dir) {
        Some(Err(error)) => exit::of_error(error),
        Some(Ok(_)) | None => Exit::Failed,
    });
    Ok(exits.fold(Exit::Done, Exit::or))
}

/// Plans files against a snapshot: without settings, engine or host.
pub(super) fn plan(cli: &Cli, arguments: &PlanArguments, file: &Path) -> Result<Exit, Failure> {
    let text = std::fs::read(file).map_err(|error| {
        let why = format!("failed to read {}: {error}", file.display());
        (Exit::Usage, why)
    })?;
    let snapshot = Snapshot::parse(&text).map_err(|error| failure(&error))?;
    let dir = arguments.from.as_deref().unwrap_or(Path::new("."));
    let tree = check::tree(dir, arguments.revision.as_deref())?;
    let hosts = arguments.host_files.as_deref();
    let only = arguments.stack.as_deref();
    let compared = snapshot::plan(&snapshot, &tree, hosts, only);
    let compared = compared.map_err(|error| failure(&error))?;
    if compared.looked.is_empty() {
        let known: Vec<&str> = snapshot.stacks.keys().map(StackName::as_str).collect();
        let why = format!(
            "no stack of these files is in the snapshot of {}\n  hint: it has: {}",
            snapshot.host,
            known.join(", ")
        );
        return Err((Exit::BadState, why));
    }
    for looked in compared.looked.values().flatten() {
        cli.events.warn(&looked.desired);
    }
    cli.print(&PlanReport::new(&compared.looked))?;
    tell(cli, &snapshot, &compared);
    Ok(exit::of_look(&compared.looked))
}

/// Says what the plan is made from, and what it leaves out.
fn tell(cli: &Cli, snapshot: &Snapshot, compared: &Compared) {
    let mut lines = vec![format!(
        "note: planned against the snapshot of {} at {}; its secret values were not compared",
        snapshot.host,
        snapshot.taken_at.strftime("%Y-%m-%d %H:%M UTC")
    )];
    let mut add = |what: &str, of: &std::collections::BTreeSet<String>| {
        if !of.is_empty() {
            let all: Vec<&str> = of.iter().map(String::as_str).collect();
            lines.push(format!("note: {what}: {}", all.join(", ")));
        }
    };
    add(
        "not compared, for it can't be seen from here",
        &compared.unseen,
    );
    add("approval is judged on the host", &compared.unapproved);
    add("not of this host", &compared.elsewhere);
    add("on this host, and not in these files", &compared.gone);
    for line in lines {
        let line = cli.redactor.clean(&line);
        // Who can't be told goes without: the plan is what counts.
        writeln!(std::io::stderr(), "{line}").unwrap_or_default();
    }
}

fn failure(error: &SnapshotError) -> Failure {
    let exit = match error {
        SnapshotError::TooLarge
        | SnapshotError::Unreadable(_)
        | SnapshotError::OtherFormat { .. } => Exit::Usage,
        SnapshotError::Read(_) => Exit::BadState,
        SnapshotError::Telltale | SnapshotError::Unwritable(_) => Exit::Failed,
    };
    (exit, error.to_string())
}
