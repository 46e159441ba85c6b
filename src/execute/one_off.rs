//! Runs a one-off container to its end: a migration or a job.
//!
//! What it does can't be taken back, so a run is never made twice and never cut short: a
//! container that an earlier, killed process has made is taken over where it is.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::containers;
use super::pace::{BETWEEN_LOOKS, Pace, in_seconds};
use crate::engine::model::{Container, ContainerSpec, ContainerState, Restart};
use crate::engine::{EngineError, WriteEngine};
use crate::labels;

/// Bytes of output that are kept.
const OUTPUT_KEPT: usize = 16 * 1024;

/// Characters of a command or a line that a word about them has room for.
const SHOWN: usize = 80;

/// Time for a killed process to be gone.
const GONE_WITHIN: Duration = Duration::from_secs(10);

/// Exit code of a process that was killed: 128 + SIGKILL.
const KILLED: i64 = 137;

/// A one-off container.
pub(super) struct OneOff<'a> {
    /// Its name.
    pub(super) name: &'a str,
    /// What it is made from, with [`labels::JOB`] and the labels of its stack. It is never
    /// started again by the engine, whatever `restart` says.
    pub(super) spec: &'a ContainerSpec,
    /// How long it may run, from the moment when this process begins to wait.
    pub(super) within: Duration,
}

/// How it ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ended {
    /// Exit code of its process.
    pub(super) code: i64,
    /// Whether the kernel killed it for want of memory.
    pub(super) oom_killed: bool,
    /// The end of what it wrote, at most 16 KiB. May hold secrets.
    pub(super) output: String,
}

/// Why it did not end.
#[derive(Debug, thiserror::Error)]
pub(super) enum OneOffError {
    /// Nothing ran: it could not be made or started.
    #[error("{0}")]
    NotStarted(#[source] EngineError),
    /// Nothing ran: the attempt was given up before.
    #[error("given up before it was started")]
    GivenUp,
    /// It ran out of time and was killed.
    #[error("it was killed because it had not ended after {}", in_seconds(*within))]
    Deadline {
        /// The time that it had.
        within: Duration,
        /// The end of what it wrote, at most 16 KiB. May hold secrets.
        output: String,
    },
    /// The engine can't be asked, or the container was taken away: it may have run, be running
    /// or have ended.
    #[error("{0}")]
    Engine(#[source] EngineError),
}

/// Makes and starts the container, or takes over the one that is there, and waits for its end.
/// Does not remove it.
///
/// Once it was started it is not given up: only the deadline ends it.
pub(super) async fn run(
    engine: &dyn WriteEngine,
    one: &OneOff<'_>,
    given_up: watch::Receiver<bool>,
    tell: &(dyn Fn(String) + Send + Sync),
) -> Result<Ended, OneOffError> {
    let there = engine.container(one.name).await;
    let there = match there.map_err(OneOffError::Engine)? {
        Some(there) if !is_same_job(&there, one.spec) => {
            return Err(OneOffError::NotStarted(taken(one.name)));
        }
        Some(there) => Some(there),
        None => None,
    };
    let id = match there {
        Some(there) if !is_new(&there) => there.id,
        new => {
            let known = new.map(|new| new.id);
            start(engine, one, known, &given_up).await?
        }
    };
    wait(engine, &id, one, tell).await
}

/// Removes the container of a job; one that something else has made stays. Repeatable.
pub(super) async fn remove(
    engine: &dyn WriteEngine,
    name: &str,
    spec: &ContainerSpec,
) -> Result<(), EngineError> {
    match engine.container(name).await? {
        Some(there) if is_same_job(&there, spec) => engine.remove_container(&there.id).await,
        Some(_) | None => Ok(()),
    }
}

/// Starts the container, after making it if it is not known yet; returns its id.
async fn start(
    engine: &dyn WriteEngine,
    one: &OneOff<'_>,
    known: Option<String>,
    given_up: &watch::Receiver<bool>,
) -> Result<String, OneOffError> {
    let go_on = || {
        let stopped = *given_up.borrow();
        if stopped {
            Err(OneOffError::GivenUp)
        } else {
            Ok(())
        }
    };
    go_on()?;
    let id = match known {
        Some(id) => id,
        None => make(engine, one).await?,
    };
    go_on()?;
    let Err(failure) = containers::start(engine, &id, one.spec).await else {
        return Ok(id);
    };
    match &failure {
        EngineError::Unavailable { .. } | EngineError::TimedOut { .. } => {
            Err(OneOffError::Engine(failure))
        }
        EngineError::NotFound { .. }
        | EngineError::Conflict { .. }
        | EngineError::Registry { .. }
        | EngineError::Denied { .. }
        | EngineError::TooMany { .. }
        | EngineError::Refused { .. } => {
            let seen = engine.container(&id).await;
            match seen.map_err(OneOffError::Engine)? {
                Some(there) if !is_new(&there) => Err(OneOffError::Engine(failure)),
                Some(_) | None => Err(OneOffError::NotStarted(failure)),
            }
        }
    }
}

/// Makes the container. Making runs nothing, so whatever fails here, nothing ran.
async fn make(engine: &dyn WriteEngine, one: &OneOff<'_>) -> Result<String, OneOffError> {
    let asked = ContainerSpec {
        restart: Restart::No,
        ..one.spec.clone()
    };
    let made = engine.create_container(one.name, &asked).await;
    made.map_err(OneOffError::NotStarted)
}

/// Looks until it has ended or its time is over.
async fn wait(
    engine: &dyn WriteEngine,
    id: &str,
    one: &OneOff<'_>,
    tell: &(dyn Fn(String) + Send + Sync),
) -> Result<Ended, OneOffError> {
    let mut pace = Pace::new(one.within);
    loop {
        if let Some(ended) = look(engine, id, one.name).await? {
            return Ok(ended);
        }
        if pace.is_over() {
            return kill(engine, id, one).await;
        }
        if pace.is_time_for_a_word() {
            let (what, ran) = (what(one), in_seconds(pace.waited()));
            tell(format!("{what}: running for {ran}, {}", pace.left()));
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}

/// Returns how it ended; `None` while it has not.
async fn look(
    engine: &dyn WriteEngine,
    id: &str,
    name: &str,
) -> Result<Option<Ended>, OneOffError> {
    let away = |cause: &str| EngineError::NotFound {
        doing: format!("wait for container {name}"),
        cause: cause.to_owned(),
    };
    let there = engine.container(id).await.map_err(OneOffError::Engine)?;
    let Some(there) = there else {
        let cause = "somebody removed it before its end was known";
        return Err(OneOffError::Engine(away(cause)));
    };
    match there.state {
        ContainerState::Exited { code, oom_killed } => Ok(Some(Ended {
            code,
            oom_killed: oom_killed || there.oom_killed,
            output: output(engine, id).await?,
        })),
        ContainerState::Created
        | ContainerState::Running
        | ContainerState::Paused
        | ContainerState::Restarting => Ok(None),
        ContainerState::Removing | ContainerState::Dead => {
            let cause = "somebody is removing it before its end was known";
            Err(OneOffError::Engine(away(cause)))
        }
    }
}

/// Kills it because its time is over. It may have ended by itself just before.
async fn kill(engine: &dyn WriteEngine, id: &str, one: &OneOff<'_>) -> Result<Ended, OneOffError> {
    let killed = engine.kill_container(id).await;
    killed.map_err(OneOffError::Engine)?;
    let until = Instant::now() + GONE_WITHIN;
    loop {
        match look(engine, id, one.name).await? {
            Some(ended) if ended.code == KILLED && !ended.oom_killed => {
                return Err(OneOffError::Deadline {
                    within: one.within,
                    output: ended.output,
                });
            }
            Some(ended) => return Ok(ended),
            None if Instant::now() >= until => {
                return Err(OneOffError::Engine(EngineError::TimedOut {
                    doing: format!("kill container {}", one.name),
                    limit: GONE_WITHIN,
                }));
            }
            None => tokio::time::sleep(BETWEEN_LOOKS).await,
        }
    }
}

/// Reads the end of its output. A logging driver that can't be read is no reason to forget how
/// it ended.
async fn output(engine: &dyn WriteEngine, id: &str) -> Result<String, OneOffError> {
    match engine.output(id, OUTPUT_KEPT).await {
        Ok(text) => Ok(text),
        Err(failure @ EngineError::Unavailable { .. }) => Err(OneOffError::Engine(failure)),
        Err(failure) => Ok(format!("(its output is not known: {failure})\n")),
    }
}

/// Says what runs: its command, or its name if the command is the image's.
fn what(one: &OneOff<'_>) -> String {
    match one.spec.command.as_deref() {
        Some([program, arguments @ ..]) => shown(program, arguments),
        Some([]) | None => one.name.to_owned(),
    }
}

/// Returns a command as far as it fits in a line, without what would move the cursor. An argument
/// is there as a whole or not at all: what is secret in a part of one could not be told.
fn shown(program: &str, arguments: &[String]) -> String {
    let mut text = program.to_owned();
    for argument in arguments {
        if text.chars().count() + argument.chars().count() >= SHOWN {
            text.push_str(" …");
            break;
        }
        text = format!("{text} {argument}");
    }
    text.retain(|c| !c.is_control());
    text
}

fn is_same_job(there: &Container, spec: &ContainerSpec) -> bool {
    [
        labels::INSTANCE,
        labels::STACK,
        labels::SERVICE,
        labels::JOB,
    ]
    .iter()
    .all(|label| there.spec.labels.get(*label) == spec.labels.get(*label))
        && spec.labels.contains_key(labels::JOB)
}

/// Returns whether nothing has run in it yet. One that the engine could not start stays so.
fn is_new(there: &Container) -> bool {
    there.state == ContainerState::Created
}

fn taken(name: &str) -> EngineError {
    EngineError::Conflict {
        doing: format!("create container {name}"),
        cause: "there is a container of this name that was not made for this job; rename or \
                remove it"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_is_cut_between_its_arguments() {
        let words = |all: &[&str]| all.iter().map(|&word| word.to_owned()).collect::<Vec<_>>();
        let told = |arguments: &[&str]| shown("migrate", &words(arguments));
        assert_eq!(told(&[]), "migrate");
        assert_eq!(told(&["--to", "5\u{1b}"]), "migrate --to 5");
        let (filler, secret) = ("-".repeat(60), "pa55word-of-nobody");
        assert_eq!(told(&[&filler, secret, "x"]), format!("migrate {filler} …"));
    }
}
