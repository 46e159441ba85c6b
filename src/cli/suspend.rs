//! `moored suspend` and `moored resume`: leave a stack alone for a while, and end that.

use jiff::Timestamp;

use super::context::{Cli, Failure};
use super::{Exit, beside};
use crate::config;
use crate::desired::StackName;
use crate::gates::{Moment, Suspension};
use crate::host::Host;
use crate::record::{Record, RecordError};
use crate::report::SuspensionReport;

pub(super) fn suspend(
    cli: &Cli,
    stack: Option<&str>,
    reason: String,
    until: Option<&str>,
) -> Result<Exit, Failure> {
    let host = beside::open(cli)?;
    let now = host.view.clock.now();
    let until = until.map(|text| end(&host, text, now)).transpose()?;
    let record = &host.hands.record;
    let stack = which(record, stack)?;
    let suspension = Suspension {
        reason,
        until,
        since: Some(now),
        by: config::person(),
    };
    let before = record.suspension(&stack).map_err(|error| failed(&error))?;
    record
        .suspend(&stack, &suspension)
        .map_err(|error| failed(&error))?;
    cli.print(&SuspensionReport {
        stack,
        before: before.filter(|before| !before.is_over(now)),
        now: Some(suspension),
    })?;
    Ok(Exit::Done)
}

pub(super) fn resume(cli: &Cli, stack: Option<&str>) -> Result<Exit, Failure> {
    let host = beside::open(cli)?;
    let record = &host.hands.record;
    let stack = which(record, stack)?;
    let before = record.resume(&stack).map_err(|error| failed(&error))?;
    let now = None;
    cli.print(&SuspensionReport { stack, now, before })?;
    Ok(Exit::Done)
}

fn failed(error: &RecordError) -> Failure {
    (Exit::Failed, error.to_string())
}

/// Reads when a suspension ends: a time, or a duration from now.
fn end(host: &Host, text: &str, now: Timestamp) -> Result<Timestamp, Failure> {
    let end = if let Ok(duration) = humantime::parse_duration(text) {
        now.checked_add(duration).unwrap_or(Timestamp::MAX)
    } else {
        let moment = text.parse::<Moment>().map_err(|error| {
            let error = format!("--until: {error}, nor a duration such as 2h");
            (Exit::Usage, error)
        })?;
        moment.ends(&host.view.time_zone)
    };
    if end <= now {
        let error = format!("--until: {} is over", text.escape_default());
        return Err((Exit::Usage, error));
    }
    Ok(end)
}

/// A name that nobody knows would suspend nothing, and look as if it did.
fn which(record: &Record, asked: Option<&str>) -> Result<StackName, Failure> {
    let known = record.stacks().map_err(|error| failed(&error))?;
    let names = || {
        let names: Vec<&str> = known.iter().map(StackName::as_str).collect();
        names.join(", ")
    };
    let error = match (asked, known.as_slice()) {
        (None, [only]) => return Ok(only.clone()),
        (None, []) => {
            "nothing has been released on this host yet\n  hint: say suspend in moored.yaml"
                .to_owned()
        }
        (None, [_, ..]) => format!("which stack? there is: {}", names()),
        (Some(asked), _) => {
            if let Some(found) = known.iter().find(|one| one.as_str() == asked) {
                return Ok(found.clone());
            }
            let asked = asked.escape_default();
            format!(
                "no stack \"{asked}\" was ever released on this host; there is: {}\n  hint: one \
                 that is new is suspended in Git: suspend in its moored.yaml",
                names()
            )
        }
    };
    Err((Exit::Usage, error))
}
