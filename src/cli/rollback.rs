//! `moored rollback`: goes back to an earlier release, by a commit or by a pin.
//!
//! It holds no lock but the mirror's, so that it works beside a controller.

use super::context::{Cli, Failure};
use super::{Exit, exit};
use crate::config;
use crate::report::RollbackReport;
use crate::rollback::{self, Ask};

pub(super) fn ask<'a>(
    stack: Option<&'a str>,
    to: Option<&'a str>,
    hold: bool,
    push: bool,
) -> Ask<'a> {
    let by = config::person();
    Ask {
        stack,
        to,
        hold,
        push,
        by,
    }
}

pub(super) async fn rollback(cli: &Cli, ask: &Ask<'_>) -> Result<Exit, Failure> {
    let view = cli.view()?;
    let done = rollback::rollback(&view, ask)
        .await
        .map_err(|error| (exit::of_rollback(&error), error.to_string()))?;
    let exit = exit::of_way(&done.way);
    cli.print(&RollbackReport::new(done, &view.config))?;
    Ok(exit)
}
