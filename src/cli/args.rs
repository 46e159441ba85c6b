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
/// 65 bad state repository, 69 engine or source unavailable, 75 held. `shell` has that of what it
/// ran.
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
    ///
    /// For what the branches have, or with --from and --revision for other files. Nobody vouches
    /// for those: `repository.verify` is not asked.
    Plan(PlanArguments),

    /// Print what is on this host, without a secret, as JSON to plan against elsewhere
    ///
    /// No value of an environment that does not stand in Git is in it, no copied file and no key.
    /// Read with: moored plan --snapshot FILE
    Snapshot,

    /// Check a state repository without a host: everything that is wrong with any stack
    ///
    /// Needs no settings and no engine. Files of hosts can't be seen; what hangs on them is not
    /// checked, and their number is told. Exits with 65 when a host would refuse a stack.
    Check(CheckArguments),

    /// Write the first moored.yaml of a project, from what Docker Compose runs or from its files
    ///
    /// What is sure is written as it is, what is guessed behind a `#`. Nothing is copied, started or
    /// stopped, and no value of an environment file is shown. What to do next is printed.
    Init(InitArguments),

    /// Print the JSON Schema of moored.yaml, for editors
    Schema,

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

    /// Let a held revision be tried once more at the next pass, and lift a pin
    Retry {
        /// Only this stack, by its name
        #[arg(long)]
        stack: Option<String>,
    },

    /// Leave a stack alone: nothing of it is changed, not even drift
    ///
    /// What is running goes on. Commands of a person (backups, jobs, rollback --hold) still work. To
    /// say it in Git instead: suspend in moored.yaml.
    Suspend {
        /// Which stack, by its name [default: the only one]
        stack: Option<String>,
        /// Why, in one line
        #[arg(long)]
        reason: String,
        /// Until when: 2h, 2026-12-24, "2026-12-24 18:00" or 2026-12-24T18:00Z [default: resume]
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
    },

    /// End what `moored suspend` began
    Resume {
        /// Which stack, by its name [default: the only one]
        stack: Option<String>,
    },

    /// Send a test message by every route of `notify` in the settings, and show what came back
    Notify,

    /// Say that the containers which Docker Compose runs for a stack are Moored's from now on
    ///
    /// Nothing is done to them here; where they differ from Git, the next pass may replace them.
    /// Those that are exactly as Git says are adopted by a pass itself.
    Adopt {
        /// Which stack, by its name or directory [default: the only one]
        stack: Option<String>,
    },

    /// Take, list, verify, restore and drill the backups of the manifest
    #[command(subcommand)]
    Backup(BackupCommand),

    /// Switch the maintenance page of the manifest on or off by hand
    #[command(subcommand)]
    Maintenance(MaintenanceCommand),

    /// Run a job of the manifest once, in a container of its own
    Job {
        /// Its name in the manifest
        name: String,
        /// Of which stack, by its name or directory; needed where there are several
        #[arg(long)]
        stack: Option<String>,
    },

    /// Go back to an earlier release: by a commit that is pushed, or by a pin on this host
    ///
    /// The commit puts the files that the stack is made of back to what they were at the release,
    /// on top of the branch; the next pass deploys it. Where it can't be pushed, the commands to do
    /// it by hand are printed, and nothing has changed.
    Rollback {
        /// Which stack, by its name [default: the only one]
        stack: Option<String>,
        /// To this release: 17-4f2a9c1, an attempt number, the beginning of a commit, or an image
        /// tag that only it ran [default: the last healthy one before what Git says now]
        #[arg(long, value_name = "RELEASE")]
        to: Option<String>,
        /// Pin this host to the release, without Git, until: moored retry
        #[arg(long)]
        hold: bool,
        /// Make the commit, and print how to push it by hand
        #[arg(long)]
        no_push: bool,
    },

    /// Write the image of a service into `images` of a moored.yaml, by a commit that is pushed
    ///
    /// That line changes and nothing else. Where it can't be pushed, what to do by hand is printed.
    Bump {
        /// Which service
        service: String,
        /// Its image
        image: String,
        /// Of which stack, by its name or directory [default: the only one]
        #[arg(long)]
        stack: Option<String>,
        /// Make the commit, and print how to do it by hand
        #[arg(long)]
        no_push: bool,
    },

    /// Write the images that run well in one stack into the moored.yaml of another, by their digests
    ///
    /// Both are on this host. Promoted are the services that `images` of either names. Refused is a
    /// stack that is not exactly its last release, whole and healthy.
    Promote {
        /// The stack that they run well in, by its name or directory
        from: String,
        /// The stack that gets them, by its name or directory
        to: String,
        /// Make the commit, and print how to do it by hand
        #[arg(long)]
        no_push: bool,
    },

    /// Look for everything that this host still lacks, and say which command mends it
    ///
    /// Looks at the settings, the engine, the repository, keys and logins, and for each stack at its
    /// files, directories, ports, images and proxy. Nothing is changed. Exits with 1 as long as
    /// something is missing, whatever it is.
    Doctor {
        /// Only this stack, by its name or directory
        #[arg(long)]
        stack: Option<String>,
    },

    /// Show what the containers of a stack have written
    ///
    /// Those of stopped ones too, in the order of time. Values that Moored knows to be secret are
    /// hidden. With --format json each line is an object.
    Logs(LogsArguments),

    /// Go into the container of a service, or into a database
    ///
    /// Runs a shell in the running container of a service, or the command after `--`; psql for a
    /// backup with postgres. A backup with sqlite is asked without any program: statements are read
    /// from the terminal or a pipe. Exits with the code of what was run. A deploy does not wait for
    /// it, and may take the container away meanwhile.
    Shell(ShellArguments),

    /// Print what Compose files come to: merged, filled in and checked
    ///
    /// Prints what `docker compose config` prints: the model that a pass works from, as YAML or
    /// with --format json as JSON. Needs no settings, no engine and no repository. Variables come
    /// from the environment first, then from --env-file or `.env`.
    Render(RenderArguments),

    /// Print a completion script for a shell
    Completions {
        /// Which shell
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}

#[derive(Clone, clap::Args)]
pub(super) struct PlanArguments {
    /// Only this stack, by its name or directory
    #[arg(long)]
    pub(super) stack: Option<String>,
    /// For the files in this directory, committed or not; with --revision, for a commit of the
    /// repository that it is in
    #[arg(long, value_name = "DIR")]
    pub(super) from: Option<PathBuf>,
    /// For this commit, as `git rev-parse` takes it [default repository: what was fetched]
    #[arg(long, value_name = "REV")]
    pub(super) revision: Option<String>,
    /// Against what `moored snapshot` wrote on the host: needs no settings and no engine [default
    /// files: those in the current directory]
    #[arg(long, value_name = "FILE")]
    pub(super) snapshot: Option<PathBuf>,
    /// A directory with files of the host: DIR/etc/web.env is taken for /etc/web.env
    #[arg(long, value_name = "DIR", requires = "snapshot")]
    pub(super) host_files: Option<PathBuf>,
}

#[derive(Clone, clap::Args)]
pub(super) struct LogsArguments {
    /// Only of these services [default: all]
    #[arg(value_name = "SERVICE")]
    pub(super) services: Vec<String>,
    /// Of which stack, by its name or directory; needed where there are several
    #[arg(long)]
    pub(super) stack: Option<String>,
    /// Go on with what is written from now on, until Ctrl-C; also by containers that come in the
    /// place of others
    #[arg(long, short)]
    pub(super) follow: bool,
    /// How many lines of each container, or all
    #[arg(long, value_name = "LINES", default_value = "100")]
    pub(super) tail: String,
    /// Nothing older: 10m, 2026-12-24T18:00 or 2026-12-24T18:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(super) since: Option<String>,
    /// Show when each line was written
    #[arg(long, short)]
    pub(super) timestamps: bool,
}

#[derive(Clone, clap::Args)]
pub(super) struct ShellArguments {
    /// A service, or a backup of the manifest with sqlite or postgres; a service goes first
    #[arg(value_name = "SERVICE|DATABASE")]
    pub(super) name: String,
    /// Of which stack, by its name or directory; needed where there are several
    #[arg(long)]
    pub(super) stack: Option<String>,
    /// It is a database, also where a service has the same name
    #[arg(long)]
    pub(super) database: bool,
    /// Let statements change a database of `SQLite`; take a backup first
    #[arg(long)]
    pub(super) write: bool,
    /// User, and group, in the container [default: the container's own]
    #[arg(long, short, value_name = "USER")]
    pub(super) user: Option<String>,
    /// What to run in the place of a shell; for a database: arguments of psql, or a statement
    #[arg(last = true, value_name = "COMMAND")]
    pub(super) command: Vec<String>,
}

#[derive(Clone, clap::Args)]
pub(super) struct CheckArguments {
    /// The state repository
    #[arg(value_name = "DIR", default_value = ".")]
    pub(super) dir: PathBuf,
    /// Check this commit, as `git rev-parse` takes it [default: the files as they are]
    #[arg(long, value_name = "REV")]
    pub(super) revision: Option<String>,
    /// A directory with files of the hosts: DIR/etc/web.env is taken for /etc/web.env
    #[arg(long, value_name = "DIR")]
    pub(super) host_files: Option<PathBuf>,
}

#[derive(Clone, clap::Args)]
pub(super) struct InitArguments {
    /// Where moored.yaml goes [default: the directory of the project that runs, else this one]
    #[arg(value_name = "DIR")]
    pub(super) dir: Option<PathBuf>,
    /// The project that runs, as `docker compose ls` has it [default: the one of the directory]
    #[arg(long, value_name = "NAME", conflicts_with = "stack")]
    pub(super) project: Option<String>,
    /// Name of the stack, for files that do not run [default: `name` of the files, else that of
    /// the directory]
    #[arg(long, value_name = "NAME")]
    pub(super) stack: Option<String>,
    /// A Compose file; later ones go over earlier ones [default: those that the project was started
    /// from, else as `docker compose` finds them]
    #[arg(long = "file", short, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// A file with values for variables [default: those that the project was started with, else
    /// `.env` beside the Compose file]
    #[arg(long = "env-file", value_name = "FILE")]
    pub(super) env_files: Vec<PathBuf>,
    /// Print moored.yaml, and write nothing
    #[arg(long, conflicts_with_all = ["force", "settings"])]
    pub(super) stdout: bool,
    /// Print the host's settings for it, for /etc/moored/config.yaml, and write nothing
    #[arg(long, conflicts_with = "force")]
    pub(super) settings: bool,
    /// Write over a moored.yaml that is there
    #[arg(long)]
    pub(super) force: bool,
}

#[derive(Clone, clap::Args)]
pub(super) struct RenderArguments {
    /// A Compose file; later ones go over earlier ones [default: `$COMPOSE_FILE`, else compose.yaml
    /// with its overrides, here or in a folder above]
    #[arg(long = "file", short, value_name = "FILE")]
    pub(super) files: Vec<PathBuf>,
    /// Name of the project [default: `$COMPOSE_PROJECT_NAME`, else `name` of the files, else that
    /// of the folder]
    #[arg(long, short, value_name = "NAME")]
    pub(super) project_name: Option<String>,
    /// A profile whose services are shown too; `*` is all [default: `$COMPOSE_PROFILES`]
    #[arg(long = "profile", value_name = "PROFILE")]
    pub(super) profiles: Vec<String>,
    /// A file with values for variables [default: `.env` in the project directory]
    #[arg(long = "env-file", value_name = "FILE")]
    pub(super) env_files: Vec<PathBuf>,
    /// Where relative paths begin [default: the folder of the first file]
    #[arg(long, value_name = "FOLDER")]
    pub(super) project_directory: Option<PathBuf>,
}

#[derive(Clone, Subcommand)]
pub(super) enum BackupCommand {
    /// Take a backup now and verify it
    Now {
        /// Only this one, by its name in the manifest
        name: Option<String>,
        /// Of which stack, by its name or directory; needed where there are several
        #[arg(long)]
        stack: Option<String>,
    },
    /// Show the backups that there are, newest first
    List {
        /// Only this one, by its name in the manifest
        name: Option<String>,
        /// Of which stack, by its name or directory; needed where there are several
        #[arg(long)]
        stack: Option<String>,
    },
    /// Check that a backup is what was written, and holds what it must
    Verify {
        /// Only this one, by its name in the manifest
        name: Option<String>,
        /// Its file [default: the newest]
        file: Option<String>,
        /// Of which stack, by its name or directory; needed where there are several
        #[arg(long)]
        stack: Option<String>,
    },
    /// Put a backup in the place of the data
    ///
    /// The services that write are stopped, the data of now is backed up, the backup is restored,
    /// the services are started and checked. If any of it fails, the data of now is put back.
    Restore {
        /// Its name in the manifest
        name: String,
        /// Its file [default: the newest]
        file: Option<String>,
        /// Do not back up the data of now: it can't be read any more
        #[arg(long)]
        no_safety_backup: bool,
        /// Of which stack, by its name or directory; needed where there are several
        #[arg(long)]
        stack: Option<String>,
    },
    /// Restore a backup into a scratch place and ask it the manifest's query
    Drill {
        /// Only this one, by its name in the manifest
        name: Option<String>,
        /// Its file [default: the newest]
        file: Option<String>,
        /// Of which stack, by its name or directory; needed where there are several
        #[arg(long)]
        stack: Option<String>,
    },
}

#[derive(Clone, Subcommand)]
pub(super) enum MaintenanceCommand {
    /// Show visitors the page; it stays until it is switched off by hand
    On {
        /// Of which stack, by its name or directory; needed where there are several
        #[arg(long)]
        stack: Option<String>,
        /// Why, in one line
        #[arg(long, default_value = "switched on by hand")]
        reason: String,
    },
    /// Let visitors in again, whoever switched the page on
    Off {
        /// Of which stack, by its name or directory; needed where there are several
        #[arg(long)]
        stack: Option<String>,
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
