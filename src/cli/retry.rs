//! `moored retry`: lets a held revision be tried once more, and lifts a pin.

use super::Exit;
use super::context::{Cli, Failure};
use crate::report::RetryReport;

pub(super) fn retry(cli: &Cli, stack: Option<&str>) -> Result<Exit, Failure> {
    let view = cli.view()?;
    let Some(record) = &view.record else {
        cli.print(&RetryReport::default())?;
        return Ok(Exit::Done);
    };
    let failed = |error: crate::record::RecordError| (Exit::Failed, error.to_string());
    let mut report = RetryReport::default();
    for name in record.stacks().map_err(failed)? {
        if stack.is_some_and(|stack| name.as_str() != stack) {
            continue;
        }
        let held = record.forgive(&name, view.clock.now()).map_err(failed)?;
        let pin = record.lift_pin(&name).map_err(failed)?;
        if held || pin.is_some() {
            report.add(&name, pin);
        }
    }
    cli.print(&report)?;
    Ok(Exit::Done)
}
