//! `moored logs`: what the containers of a stack have written.

use std::io::Write;

use jiff::Timestamp;
use jiff::civil::DateTime;

use super::args::LogsArguments;
use super::context::{Cli, Failure};
use super::{Exit, beside};
use crate::by_hand::{self, As};
use crate::host::View;
use crate::logs::{LogsError, More, Reader, Wish};
use crate::report::{Format, LogLines};

pub(super) async fn logs(cli: &Cli, arguments: &LogsArguments) -> Result<Exit, Failure> {
    let view = cli.view()?;
    let since = arguments.since.as_deref();
    let wish = Wish {
        services: arguments.services.clone(),
        tail: tail(&arguments.tail)?,
        since: since.map(|text| moment(&view, text)).transpose()?,
        follow: arguments.follow,
    };
    // What was released has the secrets of what runs; what is to come may have others already.
    let loaded = by_hand::load(&view, arguments.stack.as_deref(), As::Released).await;
    let desired = loaded.map_err(|error| beside::failure(&error))?;
    let engine = std::sync::Arc::clone(&view.engine);
    let reader = Reader::open(engine, cli.redactor.clone(), &desired, wish).await;
    let mut reader = reader.map_err(|error| failure(&error))?;
    let lines = LogLines::new(reader.labels(), arguments.timestamps);
    let is_json = cli.arguments.format == Format::Json;
    let mut out = std::io::stdout();
    let shown = reader.show(|line| {
        let text = if is_json {
            LogLines::json(&line)
        } else {
            lines.text(&line)
        };
        // Nobody reads any more (`| head`): they have seen enough.
        match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
            Ok(()) => More::Wanted,
            Err(_) => More::Enough,
        }
    });
    shown.await.map_err(|error| failure(&error))?;
    Ok(Exit::Done)
}

fn failure(error: &LogsError) -> Failure {
    let exit = match error {
        LogsError::Engine(_) => Exit::Unavailable,
        LogsError::Unknown { .. } => Exit::Usage,
    };
    (exit, error.to_string())
}

fn tail(text: &str) -> Result<Option<usize>, Failure> {
    if text == "all" {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| {
        let error = format!("--tail: {} is not a number, nor all", text.escape_default());
        (Exit::Usage, error)
    })
}

/// Reads since when: a duration before now, or a time.
fn moment(view: &View, text: &str) -> Result<Timestamp, Failure> {
    if let Ok(duration) = humantime::parse_duration(text) {
        let before = view.clock.now().checked_sub(duration);
        return Ok(before.unwrap_or(Timestamp::UNIX_EPOCH));
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let civil = text.parse::<DateTime>().ok();
    let zoned = civil.and_then(|time| time.to_zoned(view.time_zone.clone()).ok());
    zoned.map(|time| time.timestamp()).ok_or_else(|| {
        let text = text.escape_default();
        let error = format!(
            "--since: {text} is no duration such as 10m, nor a time such as 2026-12-24T18:00"
        );
        (Exit::Usage, error)
    })
}
