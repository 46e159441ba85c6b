//! Runs the program: arguments, settings, subcommand, exit code.

use std::ffi::OsString;
use std::io::Write;
use std::time::Duration;

use clap::{CommandFactory, Parser};
use tracing_subscriber::EnvFilter;

use super::args::{Arguments, Command};
use super::context::{Cli, Failure};
use super::{
    Exit, backup, by_hand, check, doctor, init, logs, look, pass, promote, render, retry, rollback,
    shell, snapshot, suspend, try_routes,
};
use crate::config::{self};
use crate::events::Events;
use crate::proxy;
use crate::report::Console;
use crate::secret::{self, Redactor};
use crate::source;

/// Runs the program with `arguments`, the first being its name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Exit {
    secret::leave_no_core_file();
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    // The fetch's child: not for people, so not among the subcommands.
    if arguments
        .get(1)
        .is_some_and(|one| one == source::CHILD_ARGUMENT)
    {
        let _code = source::fetch_child(std::io::stdin(), std::io::stdout());
        return Exit::Done;
    }
    // And that which tests the configuration of a proxy, which must not have a second thread yet.
    if arguments
        .get(1)
        .is_some_and(|one| one == proxy::CHILD_ARGUMENT)
    {
        proxy::test_child(std::io::stdin(), std::io::stderr());
        return Exit::Done;
    }
    match Arguments::try_parse_from(arguments) {
        Ok(arguments) => work(arguments),
        Err(error) => {
            // Help and version are asked for, and go to stdout; the rest is a slip.
            let exit = if error.use_stderr() {
                Exit::Usage
            } else {
                Exit::Done
            };
            error.print().map_or(Exit::Failed, |()| exit)
        }
    }
}

/// Time for what a command has left in threads to end.
const TO_END: Duration = Duration::from_secs(5);

fn work(arguments: Arguments) -> Exit {
    source::start();
    let redactor = Redactor::default();
    log_to_stderr(arguments.verbose, &redactor);
    let console = Console::new(redactor.clone());
    let events = Events::new(move |event| console.tell(event));
    let path = config::path(arguments.config.clone());
    let command = arguments.command.clone();
    let cli = Cli {
        arguments,
        path,
        redactor,
        events,
    };
    let mut runtime = if matches!(command, Command::Run) {
        // Whoever rings or asks for its health is answered while a pass works.
        tokio::runtime::Builder::new_multi_thread()
    } else {
        // Nobody does: answers of the engine come to the thread that waits for them.
        tokio::runtime::Builder::new_current_thread()
    };
    let runtime = runtime.enable_all().build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return cli.fail(Exit::Failed, &format!("failed to start: {error}")),
    };
    let done = runtime.block_on(dispatch(&cli, command));
    // A thread may hang in a file system that does not answer.
    runtime.shutdown_timeout(TO_END);
    match done {
        Ok(exit) => exit,
        Err((exit, error)) => {
            cli.print_failure(&error);
            cli.fail(exit, &error)
        }
    }
}

async fn dispatch(cli: &Cli, command: Command) -> Result<Exit, Failure> {
    match command {
        Command::Run => pass::run(cli).await,
        Command::Reconcile { stack } => pass::reconcile(cli, stack.as_deref()).await,
        Command::Plan(arguments) => look::plan(cli, &arguments).await,
        Command::Snapshot => snapshot::snapshot(cli).await,
        Command::Check(arguments) => check::check(cli, &arguments),
        Command::Schema => check::schema(),
        Command::Init(arguments) => init::init(cli, &arguments).await,
        Command::Drift { stack } => look::drift(cli, stack.as_deref()).await,
        Command::Status { stack } => look::status(cli, stack.as_deref()).await,
        Command::History { stack, limit } => look::history(cli, stack.as_deref(), limit),
        Command::Retry { stack } => retry::retry(cli, stack.as_deref()),
        Command::Suspend {
            stack,
            reason,
            until,
        } => suspend::suspend(cli, stack.as_deref(), reason, until.as_deref()),
        Command::Resume { stack } => suspend::resume(cli, stack.as_deref()),
        Command::Notify => try_routes::try_routes(cli).await,
        Command::Adopt { stack } => by_hand::adopt(cli, stack.as_deref()).await,
        Command::Backup(command) => Box::pin(backup::backup(cli, command)).await,
        Command::Maintenance(command) => by_hand::maintenance(cli, command).await,
        Command::Job { name, stack } => by_hand::job(cli, stack.as_deref(), &name).await,
        Command::Rollback {
            stack,
            to,
            hold,
            no_push,
        } => {
            let ask = rollback::ask(stack.as_deref(), to.as_deref(), hold, !no_push);
            rollback::rollback(cli, &ask).await
        }
        Command::Bump {
            service,
            image,
            stack,
            no_push,
        } => {
            let what = (service.as_str(), image.as_str());
            promote::bump(cli, stack.as_deref(), what, &promote::ask(!no_push)).await
        }
        Command::Promote { from, to, no_push } => {
            let ask = promote::ask(!no_push);
            Box::pin(promote::promote(cli, &from, &to, &ask)).await
        }
        Command::Logs(arguments) => Box::pin(logs::logs(cli, &arguments)).await,
        Command::Shell(arguments) => Box::pin(shell::shell(cli, &arguments)).await,
        Command::Doctor { stack } => Box::pin(doctor::doctor(cli, stack.as_deref())).await,
        Command::Render(arguments) => render::render(cli, &arguments),
        Command::Completions { shell } => Ok(completions(shell)),
    }
}

fn completions(shell: clap_complete::Shell) -> Exit {
    clap_complete::generate(
        shell,
        &mut Arguments::command(),
        "moored",
        &mut std::io::stdout(),
    );
    Exit::Done
}

/// Sends log lines of the given verbosity to stderr, through the redactor.
///
/// The engine's client logs whole requests, environment included: it is never heard.
fn log_to_stderr(verbose: u8, redactor: &Redactor) {
    let level = match verbose {
        0 => return,
        1 => "moored=debug",
        _ => "moored=trace,git2=debug,hyper=off,bollard=off",
    };
    let redactor = redactor.clone();
    let writer = move || Redacted {
        redactor: redactor.clone(),
    };
    tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(level))
        .with_writer(writer)
        .with_ansi(false)
        .init();
}

/// Writes log lines to stderr with every secret hidden.
struct Redacted {
    redactor: Redactor,
}

impl Write for Redacted {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        let text = self.redactor.clean(&String::from_utf8_lossy(line));
        std::io::stderr().write_all(text.as_bytes())?;
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        std::io::stderr().flush()
    }
}
