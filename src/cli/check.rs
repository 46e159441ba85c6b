//! The subcommands `check`, which lints a state repository, and `schema`, for editors.

use std::path::Path;

use super::Exit;
use super::args::CheckArguments;
use super::context::{Cli, Failure, print_text};
use crate::check;
use crate::report::CheckReport;
use crate::source::{self, LocalError, Tree};

pub(super) fn check(cli: &Cli, arguments: &CheckArguments) -> Result<Exit, Failure> {
    let tree = tree(&arguments.dir, arguments.revision.as_deref())?;
    let checked = check::check(&tree, arguments.host_files.as_deref());
    let checked = checked.map_err(|error| (Exit::BadState, error.to_string()))?;
    let exit = if checked.has_errors() {
        Exit::BadState
    } else {
        Exit::Done
    };
    cli.print(&CheckReport::new(checked))?;
    Ok(exit)
}

/// Prints the published schema of manifests, that of this version.
pub(super) fn schema() -> Result<Exit, Failure> {
    const SCHEMA: &str = include_str!("../../docs/moored.schema.json");
    print_text(SCHEMA).map(|()| Exit::Done)
}

/// Opens a directory as it is, or a commit of the repository that it is in.
pub(super) fn tree(dir: &Path, revision: Option<&str>) -> Result<Tree, Failure> {
    let Some(revision) = revision else {
        return Tree::in_directory(dir).map_err(|error| (Exit::Usage, error.to_string()));
    };
    source::at_revision(dir, revision).map_err(|error| {
        let exit = match &error {
            LocalError::NotARepository { .. } | LocalError::Unknown { .. } => Exit::Usage,
            LocalError::Read(_) => Exit::BadState,
        };
        (exit, error.to_string())
    })
}
