//! Backs up what a command in a container writes, and restores with another one that reads it.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use super::blocking::Deadline;
use super::transfer::{Call, Programs};
use super::{BackupError, Work};
use crate::desired::backups::Command;

/// Runs the command with its output into `file` at `path`.
pub(super) async fn take(
    work: &Work<'_>,
    deadline: Deadline,
    command: &Command,
    path: &Path,
    file: File,
) -> Result<(), BackupError> {
    let call = Call {
        doing: "run the command of the backup",
        command: &command.run,
        env: &BTreeMap::new(),
    };
    let programs = Programs::new(work, &command.service, deadline)?;
    programs.write(&call, path, file).await
}

/// Runs the command that restores with the backup at `path` as its input.
///
/// A command that is cut off by the deadline can't tell that its input is not whole: it must
/// commit at its end, and the timeout must be long enough.
pub(super) async fn restore(
    work: &Work<'_>,
    deadline: Deadline,
    command: &Command,
    path: &Path,
) -> Result<(), BackupError> {
    let Some(restore) = &command.restore else {
        return Err(BackupError::NotPossible {
            what: format!("the backup {} names no command that restores it", work.name),
            hint: "name one in the manifest: command: {service, run, restore: [..]}; it gets the \
                   backup on its standard input"
                .to_owned(),
        });
    };
    let call = Call {
        doing: "run the command that restores",
        command: restore,
        env: &BTreeMap::new(),
    };
    let programs = Programs::new(work, &command.service, deadline)?;
    programs.feed(&call, path, &mut tokio::io::sink()).await
}
