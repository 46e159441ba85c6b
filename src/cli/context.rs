//! What every subcommand has at hand, and the one way to print and to fail.

use std::io::Write;
use std::path::PathBuf;

use super::args::Arguments;
use super::{Exit, exit};
use crate::config::{self, Config};
use crate::events::Events;
use crate::host::{HostError, View};
use crate::report::{Format, Report, render};
use crate::secret::Redactor;

/// What every subcommand has at hand.
pub(super) struct Cli {
    pub(super) arguments: Arguments,
    pub(super) path: PathBuf,
    pub(super) redactor: Redactor,
    pub(super) events: Events,
}

/// What goes wrong in a subcommand: the exit code, and what is said.
pub(super) type Failure = (Exit, String);

impl Cli {
    pub(super) fn config(&self) -> Result<Config, Failure> {
        config::load(&self.path).map_err(|error| (Exit::Usage, error.to_string()))
    }

    pub(super) fn view(&self) -> Result<View, Failure> {
        let config = self.config()?;
        View::open(config, self.events.clone(), self.redactor.clone())
            .map_err(|error| (exit::of_host(&error), error.to_string()))
    }

    /// Prints a result on stdout.
    pub(super) fn print(&self, report: &impl Report) -> Result<(), Failure> {
        print_text(&render(report, self.arguments.format, &self.redactor))
    }

    /// Prints a failure on stdout for programs that read JSON there.
    pub(super) fn print_failure(&self, error: &str) {
        if self.arguments.format == Format::Json {
            let failure = serde_json::json!({ "error": self.redactor.clean(error) });
            // It is said on stderr as well, and the exit code tells it too.
            writeln!(std::io::stdout(), "{failure}").unwrap_or_default();
        }
    }

    /// Says on stderr what went wrong.
    pub(super) fn fail(&self, exit: Exit, error: &str) -> Exit {
        let text = self.redactor.clean(&format!("moored: {error}\n"));
        std::io::stderr()
            .write_all(text.as_bytes())
            .map_or(exit, |()| exit)
    }
}

/// Prints a text on stdout as it is.
pub(super) fn print_text(text: &str) -> Result<(), Failure> {
    match std::io::stdout().write_all(text.as_bytes()) {
        // Nobody reads any more (`| head`): they have seen enough.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err((Exit::Failed, format!("failed to print the result: {error}")))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}

pub(super) fn host_failure(error: &HostError) -> Failure {
    (exit::of_host(error), error.to_string())
}
