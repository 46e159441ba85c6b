//! Asks once: a service inside its network, or the stack as a visitor does.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use tokio::time::timeout;

use super::super::output::End;
use super::latency;
use super::patience::Refusal;
use crate::desired::checks::{Latency, ServiceProbe, Smoke, SmokeProbe, TcpAddress};
use crate::engine::model::{self, ContainerState, Exec};
use crate::engine::{EngineError, WriteEngine};
use crate::probe::{self, ProbeFailure};

/// What is asked, and of whom.
pub(super) enum Question<'a> {
    /// A service, inside its network.
    Service {
        probe: &'a ServiceProbe,
        container: Container<'a>,
    },
    /// The stack, as a visitor does.
    Stack {
        check: &'a Smoke,
        container: Option<Container<'a>>,
        before: Option<Duration>,
    },
}

/// A container that is asked and watched.
pub(super) struct Container<'a> {
    engine: &'a dyn WriteEngine,
    id: &'a str,
}

impl Question<'_> {
    /// Asks once; `left` is the time that there is.
    pub(super) async fn ask(&self, left: Duration) -> Result<(), Refusal> {
        match self {
            Self::Service { probe, container } => match probe {
                ServiceProbe::Http { path, port, answer } => {
                    let address = container.address().await?;
                    let asked =
                        probe::http_inside(address, *port, path, answer, one_answer(left)).await;
                    passed(asked.map(|_| ()))
                }
                ServiceProbe::Tcp { port } => {
                    let host = container.address().await?.to_string();
                    let address = TcpAddress { host, port: *port };
                    passed(probe::tcp(&address, one_answer(left)).await)
                }
                ServiceProbe::Exec { command } => container.exec(command, left).await,
            },
            Self::Stack {
                check,
                container,
                before,
            } => match (&check.probe, container) {
                (SmokeProbe::Http { url, answer }, _) => {
                    passed(probe::http(url, answer, one_answer(left)).await.map(|_| ()))?;
                    let (Some(wanted), Some(before)) = (&check.latency, before) else {
                        return Ok(());
                    };
                    let measured = latency::measure(url, answer, wanted.samples, one_answer(left));
                    compared(wanted, *before, timeout(left, measured).await.ok())
                }
                (SmokeProbe::Tcp(address), _) => {
                    passed(probe::tcp(address, one_answer(left)).await)
                }
                (SmokeProbe::Exec { command, .. }, Some(container)) => {
                    container.exec(command, left).await
                }
                (SmokeProbe::Exec { service, .. }, None) => Err(Refusal::Never(format!(
                    "{service} has no container to run it in"
                ))),
            },
        }
    }

    /// Returns when the container that is asked has fallen: never, for one that stays up.
    pub(super) async fn fallen(&self) -> Refusal {
        let container = match self {
            Self::Service { container, .. } => Some(container),
            Self::Stack { container, .. } => container.as_ref(),
        };
        match container {
            Some(container) => container.fallen().await,
            None => std::future::pending().await,
        }
    }
}

impl<'a> Container<'a> {
    pub(super) fn new(engine: &'a dyn WriteEngine, id: &'a str) -> Self {
        Self { engine, id }
    }

    async fn fallen(&self) -> Refusal {
        let mut restarts = None;
        loop {
            match self.look().await {
                // It may have been up for weeks before it is asked: its restarts of then are
                // nobody's business now.
                Ok(shown) if shown.restart_count > *restarts.get_or_insert(shown.restart_count) => {
                    return Refusal::Never(RESTARTED.to_owned());
                }
                Ok(_) | Err(Refusal::NotYet(_)) => tokio::time::sleep(BETWEEN_LOOKS).await,
                Err(over) => return over,
            }
        }
    }

    /// Returns the container while it runs.
    async fn look(&self) -> Result<model::Container, Refusal> {
        let Some(shown) = self.engine.container(self.id).await? else {
            return Err(Refusal::Never("its container is gone".to_owned()));
        };
        match &shown.state {
            ContainerState::Running => Ok(shown),
            ContainerState::Created => Err(Refusal::NotYet("it has not started yet".to_owned())),
            ContainerState::Restarting => Err(Refusal::Never(RESTARTED.to_owned())),
            other @ (ContainerState::Paused
            | ContainerState::Exited { .. }
            | ContainerState::Removing
            | ContainerState::Dead) => Err(Refusal::Never(format!("it is {other}"))),
        }
    }

    /// Returns where it can be asked from this host: on the network that it joined first.
    async fn address(&self) -> Result<IpAddr, Refusal> {
        let shown = self.look().await?;
        let mode = &shown.spec.network_mode;
        if mode == "host" {
            return Ok(Ipv4Addr::LOCALHOST.into());
        }
        let first = shown.addresses.get(mode);
        let mut candidates = first.into_iter().chain(shown.addresses.values());
        candidates
            .find_map(|address| address.parse().ok())
            .ok_or_else(|| {
                Refusal::Never(
                    "it has no address of its own on any network; ask it by exec".to_owned(),
                )
            })
    }

    /// Runs a command, which passes with exit code 0.
    ///
    /// It has all the time that there is: one that hangs would be in the container twice if it
    /// were tried again.
    async fn exec(&self, command: &[String], left: Duration) -> Result<(), Refusal> {
        let env = BTreeMap::new();
        let exec = Exec {
            command,
            env: &env,
            user: None,
            working_dir: None,
            privileged: false,
        };
        let mut output = End::default();
        let ran = timeout(left, self.engine.exec(self.id, &exec, None, &mut output)).await;
        let ended = match ran {
            Ok(Ok(ended)) if ended.code == 0 => return Ok(()),
            Ok(Ok(ended)) => ended,
            // What became of the container is seen by looking at it.
            Ok(Err(EngineError::Conflict { cause, .. } | EngineError::NotFound { cause, .. })) => {
                return Err(Refusal::NotYet(cause));
            }
            Ok(Err(EngineError::Refused { cause, .. })) => {
                return Err(Refusal::Never(format!("can't be run: {cause}")));
            }
            Ok(Err(error)) => return Err(Refusal::Engine(error)),
            Err(_) => return Err(Refusal::NotYet("it did not end".to_owned())),
        };
        let said = last_line(ended.errors.as_bytes()).or_else(|| last_line(output.bytes()));
        let said = said.map_or_else(String::new, |line| format!(": {line}"));
        Err(Refusal::NotYet(format!(
            "ended with exit code {}{said}",
            ended.code
        )))
    }
}

const RESTARTED: &str = "it ended and was started again by the engine";

/// Time between two looks at the container: a look costs the engine 0.2 ms.
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);

/// Returns how long one answer may take: one that hangs must not take the time of the next,
/// which may come from another worker.
fn one_answer(left: Duration) -> Duration {
    const AT_LEAST: Duration = Duration::from_secs(5);
    left.min((left / 3).max(AT_LEAST))
}

fn passed(asked: Result<(), ProbeFailure>) -> Result<(), Refusal> {
    asked.map_err(|failure| Refusal::NotYet(failure.to_string()))
}

/// Compares the median with the one before. It may be better next time: a service that was just
/// started has nothing in its caches.
fn compared(
    wanted: &Latency,
    before: Duration,
    measured: Option<Result<Duration, ProbeFailure>>,
) -> Result<(), Refusal> {
    match measured {
        Some(Ok(now)) => wanted
            .verdict(before, now)
            .map_or(Ok(()), |slower| Err(Refusal::NotYet(slower))),
        Some(Err(failure)) => Err(Refusal::NotYet(failure.to_string())),
        None => Err(Refusal::NotYet(format!(
            "{} requests for the latency did not end",
            wanted.samples
        ))),
    }
}

/// Returns the last line of an output that has something in it.
fn last_line(output: &[u8]) -> Option<String> {
    let mut lines = output.rsplit(|byte| *byte == b'\n');
    let line = lines.find(|line| !line.trim_ascii().is_empty())?;
    Some(probe::excerpt(line))
}
