//! The subcommands that change the host: `reconcile` and `run`.

use std::sync::Arc;
use std::time::Duration;

use backon::{ExponentialBuilder, Retryable};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};

use super::context::{Cli, Failure, host_failure};
use super::{Exit, exit};
use crate::alerts::{Alerts, Heard, Office};
use crate::config::Config;
use crate::controller::{self, Settings, Signals};
use crate::engine::EngineError;
use crate::host::{Host, HostError};
use crate::pass::{ByStack, PassError, Passed};
use crate::reconcile;
use crate::record::RecordError;
use crate::report::PassReport;
use crate::web;

pub(super) async fn reconcile(cli: &Cli, stack: Option<&str>) -> Result<Exit, Failure> {
    let signals = listen()?;
    let config = cli.config()?;
    let (events, redactor) = (cli.events.clone(), cli.redactor.clone());
    let host = Host::open(config, events, redactor, signals.stop.clone());
    let host = host.map_err(|error| host_failure(&error))?;
    let record = host.hands.record.clone();
    let mut alerts = Alerts::open(record.clone(), Heard::default()).map_err(not_told)?;
    let mut stop = signals.stop;
    let passed = tokio::select! {
        passed = reconcile::reconcile(&host, stack) => passed,
        // Nothing has begun yet when the fetch is what takes long.
        () = controller::stopped_while_idle(&host, &mut stop) => {
            return Err((Exit::Failed, "stopped as asked, nothing changed".to_owned()));
        }
    };
    let noted = alerts.note(&host.view, &passed, stack.is_none());
    // What an earlier one could not send is tried again too.
    Office::of(&host.view, record).deliver(TO_TELL).await;
    let passed = passed.map_err(|error| (exit::of_error(&error), error.to_string()))?;
    cli.print(&PassReport::new(&passed))?;
    // Whatever came of it was told here.
    noted.map_err(not_told)?;
    Ok(exit::of_pass(&passed))
}

/// Longest time that a pass by hand waits for receivers of notifications at its end.
const TO_TELL: Duration = Duration::from_secs(5);

#[expect(clippy::needless_pass_by_value, reason = "it is mapped over errors")]
fn not_told(error: RecordError) -> Failure {
    (Exit::Failed, error.to_string())
}

pub(super) async fn run(cli: &Cli) -> Result<Exit, Failure> {
    let signals = listen()?;
    let Settings { config, web } = settings(cli)?;
    let mut stop = signals.stop.clone();
    let host = tokio::select! {
        host = open_patiently(cli, &config, &signals) => host?,
        _stopped = stop.wait_for(|stop| *stop) => return Ok(Exit::Done),
    };
    let load = || settings(cli).map_err(|(_, error)| error);
    let said = std::sync::Mutex::new(String::new());
    controller::run(host, &web, signals, load, |result| tell(cli, result, &said)).await;
    Ok(Exit::Done)
}

/// Reads the settings, and what else of the host a controller needs for them.
fn settings(cli: &Cli) -> Result<Settings, Failure> {
    let config = cli.config()?;
    let web = web::Settings::read(&config).map_err(|error| (Exit::Usage, error.to_string()))?;
    Ok(Settings { config, web })
}

/// Opens the host, waiting for an engine that is not there yet: at boot it may come up later.
async fn open_patiently(cli: &Cli, config: &Config, signals: &Signals) -> Result<Host, Failure> {
    let forever = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(Duration::from_secs(30))
        .without_max_times();
    let open = async || {
        let redactor = cli.redactor.clone();
        let events = signals.heard.hear(cli.events.clone());
        let host = Host::open(config.clone(), events, redactor, signals.stop.clone())?;
        host.take_engine().await?;
        Ok(host)
    };
    let mut told = false;
    open.retry(forever)
        .when(|error| matches!(error, HostError::Engine(EngineError::Unavailable { .. })))
        .notify(|error, _pause| {
            if !std::mem::replace(&mut told, true) {
                let _exit = cli.fail(Exit::Unavailable, &format!("{error}; waiting for it"));
            }
        })
        .await
        .map_err(|error| host_failure(&error))
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
        heard: Heard::default(),
    })
}
