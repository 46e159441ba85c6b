//! The arguments. Their help texts are the reference of the command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::report::Format;

/// Keeps Docker hosts moored to a Git repository.
///
/// Commit a tag bump to promote, `git revert` to roll back, and read drift reports that never
/// touch anything.
///
/// Exit codes: 0 nothing to do or done, 1 failed, 2 differences found (plan, drift), 64 usage,
/// 65 bad state repository, 69 engine or source unavailable, 75 held.
#[derive(Clone, Parser)]
#[command(name = "moored", version, max_term_width = 100)]
pub(super) struct Arguments {
    /// The host's settings [default: `$MOORED_CONFIG`, else /etc/moored/config.yaml]
    #[arg(long, short, global = true, value_name = "FILE")]
    pub(super) config: Option<PathBuf>,

    /// Form of the result on stdout
    #[arg(long, global = true, value_enum, default_value_t)]
    pub(super) format: Format,

    /// Say more on stderr (twice: even more)
    #[arg(long, short, global = true, action = clap::ArgAction::Count)]
    pub(super) verbose: u8,

    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Clone, Subcommand)]
pub(super) enum Command {
    /// Run the controller: a pass at every commit, at every changed file, and at every poll
    ///
    /// SIGTERM ends the step that runs and then the controller; SIGHUP reads the settings again.
    Run,

    /// Do one pass: bring the host to what Git says
    Reconcile {
        /// Only this stack, by its name or directory
        #[arg(long)]
        stack: Option<String>,
    },

    /// Show what a pass would do, and change nothing
    Plan {
        /// Only this stack, by its name or directory
        #[arg(long)]
        stack: Option<String>,
    },

    /// Show where the host differs from Git and from the last release, and change nothing
    Drift {
        /// Only this stack, by its name or directory
        #[arg(long)]
        stack: Option<String>,
    },

    /// Show what runs, what was released last and what is held; asks the engine, not Git
    Status {
        /// Only this stack, by its name
        #[arg(long)]
        stack: Option<String>,
    },

    /// Show the attempts that were made, newest first
    History {
        /// Only this stack, by its name
        #[arg(long)]
        stack: Option<String>,
        /// How many attempts of each stack
        #[arg(long, short = 'n', default_value_t = 20)]
        limit: usize,
    },

    /// Let a held revision be tried once more at the next pass
    Retry {
        /// Only this stack, by its name
        #[arg(long)]
        stack: Option<String>,
    },

    /// Print a completion script for a shell
    Completions {
        /// Which shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_arguments_make_sense() {
        Arguments::command().debug_assert();
    }
}
