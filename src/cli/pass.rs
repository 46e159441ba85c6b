//! The subcommands that change the host: `reconcile` and `run`.

use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};

use super::{Cli, Exit, Failure, exit, host_failure};
use crate::config;
use crate::controller::{self, Signals};
use crate::host::Host;
use crate::reconcile::{self, ByStack, PassError, Passed};
use crate::report::PassReport;

pub(super) async fn reconcile(cli: &Cli, stack: Option<&str>) -> Result<Exit, Failure> {
    let signals = listen()?;
    let config = cli.config()?;
    let host = Host::open(
        config,
        cli.events.clone(),
        cli.redactor.clone(),
        signals.stop.clone(),
    );
    let host = host.await.map_err(|error| host_failure(&error))?;
    let passed = reconcile::reconcile(&host, stack)
        .await
        .map_err(|error| (exit::of_error(&error), error.to_string()))?;
    cli.print(&PassReport::new(&passed))?;
    Ok(exit::of_pass(&passed))
}

pub(super) async fn run(cli: &Cli) -> Result<Exit, Failure> {
    let signals = listen()?;
    let config = cli.config()?;
    let host = Host::open(
        config,
        cli.events.clone(),
        cli.redactor.clone(),
        signals.stop.clone(),
    );
    let host = host.await.map_err(|error| host_failure(&error))?;
    let load = || config::load(&cli.path).map_err(|error| error.to_string());
    let said = std::sync::Mutex::new(String::new());
    controller::run(host, signals, load, |result| tell(cli, result, &said)).await;
    Ok(Exit::Done)
}

/// Prints the result of a pass, unless it is what the pass before said: a host that is as Git
/// says, or an error that stays, is told once.
fn tell(cli: &Cli, result: &Result<ByStack<Passed>, PassError>, said: &std::sync::Mutex<String>) {
    let text = match result {
        Ok(passed) => crate::report::render(
            &PassReport::new(passed),
            cli.arguments.format,
            &cli.redactor,
        ),
        Err(error) => error.to_string(),
    };
    let mut said = said
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    if *said == text {
        return;
    }
    said.clone_from(&text);
    let told = match result {
        Ok(passed) => cli.print(&PassReport::new(passed)),
        Err(error) => Err((exit::of_error(error), error.to_string())),
    };
    if let Err((exit, error)) = told {
        let _exit = cli.fail(exit, &error);
    }
}

/// Turns SIGTERM and SIGINT into a request to stop, and SIGHUP into one to reload.
fn listen() -> Result<Signals, Failure> {
    let failed = |error: std::io::Error| {
        (
            Exit::Failed,
            format!("failed to listen for signals: {error}"),
        )
    };
    let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut hang_up = signal(SignalKind::hangup()).map_err(failed)?;
    let (stop, stopped) = watch::channel(false);
    let reload = Arc::new(Notify::new());
    let reload_asked = Arc::clone(&reload);
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = terminate.recv() => stop.send_replace(true),
                _ = interrupt.recv() => stop.send_replace(true),
                _ = hang_up.recv() => {
                    reload_asked.notify_one();
                    continue;
                }
            };
        }
    });
    Ok(Signals {
        stop: stopped,
        reload,
    })
}
