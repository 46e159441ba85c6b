//! `moored doctor`: what this host still lacks.

use super::Exit;
use super::context::{Cli, Failure};
use crate::doctor;

/// One code for whatever is missing, so that a script can wait for the host to be well.
pub(super) async fn doctor(cli: &Cli, stack: Option<&str>) -> Result<Exit, Failure> {
    let diagnosis = doctor::examine(&cli.path, stack, &cli.redactor).await;
    cli.print(&diagnosis)?;
    Ok(if diagnosis.is_well() {
        Exit::Done
    } else {
        Exit::Failed
    })
}
