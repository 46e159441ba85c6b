//! `moored retry`: lets a held revision be tried once more.

use super::Exit;
use super::context::{Cli, Failure};
use crate::report::RetryReport;

pub(super) fn retry(cli: &Cli, stack: Option<&str>) -> Result<Exit, Failure> {
    let view = cli.view()?;
    let Some(record) = &view.record else {
        cli.print(&RetryReport(Vec::new()))?;
        return Ok(Exit::Done);
    };
    let failed = |error: crate::record::RecordError| (Exit::Failed, error.to_string());
    let mut freed = Vec::new();
    for name in record.stacks().map_err(failed)? {
        if stack.is_none_or(|stack| name.as_str() == stack)
            && record.forgive(&name, view.clock.now()).map_err(failed)?
        {
            freed.push(name.to_string());
        }
    }
    let report = RetryReport(freed);
    cli.print(&report)?;
    Ok(Exit::Done)
}
