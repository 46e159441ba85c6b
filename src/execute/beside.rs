//! Changes a service over from one container to another one that runs beside it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::time::Duration;

use procfs::net::TcpState;
use procfs::process::Process;
use tokio::time::Instant;

use super::around::Whose;
use super::pace::{BETWEEN_LOOKS, Pace};
use super::{StepError, containers};
use crate::engine::model::{ContainerSpec, Health};
use crate::engine::{EngineError, WriteEngine};
use crate::plan::{ContainerRef, Draining, Retreat, Workers, aside};

/// Time for the proxy's old workers to notice: one that has accepted a visitor just now has not
/// sent the request on yet.
const AT_LEAST: Duration = Duration::from_millis(500);

/// Time for a container without a health check to begin to serve.
const UP_AFTER: Duration = Duration::from_secs(1);

/// Time for a container with one.
const UP_WITHIN: Duration = Duration::from_secs(60);

/// Starts the container that is to take over, and makes it if it is not there. Repeatable.
pub(super) async fn start(
    engine: &dyn WriteEngine,
    name: &str,
    spec: &ContainerSpec,
    there: Option<&ContainerRef>,
    whose: Whose<'_>,
) -> Result<(), StepError> {
    match there {
        Some(there) => whose.start(engine, &there.id).await,
        None => containers::create(engine, name, spec, whose).await,
    }
}

/// Waits until nobody is connected to a container any more, or until the time is over.
///
/// Where its connections can't be seen, all of the time is given to them.
pub(super) async fn drain(
    engine: &dyn WriteEngine,
    container: &str,
    draining: &Draining,
    tell: &(dyn Fn(String) + Send + Sync),
) -> Result<(), EngineError> {
    let began = Instant::now();
    let mut pace = Pace::new(draining.within);
    loop {
        let Some(there) = engine.container(container).await? else {
            return Ok(());
        };
        if !there.is_running() || pace.is_over() {
            return Ok(());
        }
        let open = there.pid;
        let open = match open.and_then(|pid| connections(pid, &there.id, &draining.ports)) {
            Some(open) => Some(open + old_workers(engine, draining.workers.as_ref()).await?),
            None => None,
        };
        if open == Some(0) && began.elapsed() >= AT_LEAST {
            return Ok(());
        }
        if pace.is_time_for_a_word() {
            let open = open.map_or_else(|| "some".to_owned(), |open| open.to_string());
            tell(format!(
                "{open} connections to {}, {}",
                there.name,
                pace.left()
            ));
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
}

/// Returns how many workers of a proxy go on with an old configuration. One of them may have taken
/// a request in before it sends it on: nginx does so with the whole body.
async fn old_workers(
    engine: &dyn WriteEngine,
    workers: Option<&Workers>,
) -> Result<usize, EngineError> {
    let container = match workers {
        None => return Ok(0),
        Some(Workers::Host) => None,
        Some(Workers::Container(name)) => match engine.container(name).await? {
            Some(container) => Some(container.id),
            None => return Ok(0),
        },
    };
    let Ok(all) = procfs::process::all_processes() else {
        return Ok(0);
    };
    let old = all.filter_map(Result::ok).filter(|process| {
        is_old_worker(process).unwrap_or(false)
            && match &container {
                Some(id) => is_in(process, id).unwrap_or(false),
                None => is_of_the_host(process).unwrap_or(false),
            }
    });
    Ok(old.count())
}

/// What nginx calls a worker that serves its last visitors
/// (`src/os/unix/ngx_process_cycle.c`).
const SHUTTING_DOWN: &str = "nginx: worker process is shutting down";

fn is_old_worker(process: &Process) -> Option<bool> {
    let title = process.cmdline().ok()?;
    Some(title.first()?.starts_with(SHUTTING_DOWN))
}

fn is_in(process: &Process, container: &str) -> Option<bool> {
    let cgroups = process.cgroups().ok()?;
    Some(
        cgroups
            .into_iter()
            .any(|group| group.pathname.contains(container)),
    )
}

/// Returns whether a process counts the same processes as this one: those of containers do not.
fn is_of_the_host(process: &Process) -> Option<bool> {
    let counts = |process: &Process| {
        let namespaces = process.namespaces().ok()?;
        Some(namespaces.0.get(OsStr::new("pid"))?.identifier)
    };
    Some(counts(process)? == counts(&Process::myself().ok()?)?)
}

/// Returns how many connections a container's process has on these ports; `None` = that can't be
/// seen from here, as from inside another container.
fn connections(pid: i64, id: &str, ports: &BTreeSet<u16>) -> Option<usize> {
    let process = Process::new(i32::try_from(pid).ok()?).ok()?;
    // In another process namespace the number is somebody else's.
    if !is_in(&process, id)? {
        return None;
    }
    let mut all = process.tcp().ok()?;
    all.extend(process.tcp6().unwrap_or_default());
    let open = all.iter().filter(|one| {
        one.state == TcpState::Established && ports.contains(&one.local_address.port())
    });
    Some(open.count())
}

/// Starts the old container again and waits until visitors can be sent to it; returns whether it
/// did not run. Repeatable.
///
/// One that does not come up is still the best there is.
pub(super) async fn run_again(
    engine: &dyn WriteEngine,
    old: &ContainerRef,
) -> Result<bool, EngineError> {
    let there = engine.container(&old.id).await?;
    if there.is_none() || !containers::run_again(engine, old).await? {
        return Ok(false);
    }
    let pace = Pace::new(UP_WITHIN);
    while let Some(there) = engine.container(&old.id).await? {
        let up = match there.health {
            Some(health) => health == Health::Healthy,
            None => pace.waited() >= UP_AFTER,
        };
        if up || !there.is_running() || pace.is_over() {
            break;
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
    }
    Ok(true)
}

/// Takes the container beside the old one away after its connections have ended, and gives the old
/// one its name back. Repeatable.
pub(super) async fn end(
    engine: &dyn WriteEngine,
    name: &str,
    spec: &ContainerSpec,
    there: Option<&ContainerRef>,
    retreat: &Retreat,
    tell: &(dyn Fn(String) + Send + Sync),
) -> Result<(), EngineError> {
    let known = there.map_or(name, |there| there.id.as_str());
    drain(engine, known, &retreat.draining, tell).await?;
    match there {
        Some(there) => engine.remove_container(&there.id).await?,
        None => containers::unmake(engine, name, spec).await?,
    }
    if let Some(old) = &retreat.stopped {
        name_back(engine, old, &retreat.place).await?;
    }
    Ok(())
}

/// Gives a container that was kept aside its name back. Repeatable.
async fn name_back(
    engine: &dyn WriteEngine,
    old: &ContainerRef,
    name: &str,
) -> Result<(), EngineError> {
    match engine.container(&old.id).await? {
        Some(there) if there.name != name => engine.rename_container(&there.id, name).await,
        Some(_) | None => Ok(()),
    }
}

/// Stops the old container, keeps it aside, and gives its name to the one beside it. Repeatable.
pub(super) async fn hand_over(
    engine: &dyn WriteEngine,
    old: &ContainerRef,
    name: &str,
    beside: &str,
    whose: Whose<'_>,
) -> Result<(), StepError> {
    if let Some(there) = engine.container(&old.id).await? {
        whose.stop(engine, &there.id).await?;
        if there.name != aside(name) {
            engine.rename_container(&there.id, &aside(name)).await?;
        }
    }
    Ok(rename(engine, beside, name).await?)
}

/// Takes [`hand_over`] back, from wherever it stopped: the old container has the name again.
/// Repeatable.
pub(super) async fn hand_back(
    engine: &dyn WriteEngine,
    old: &ContainerRef,
    name: &str,
    beside: &str,
) -> Result<(), EngineError> {
    let Some(there) = engine.container(&old.id).await? else {
        return Ok(());
    };
    if there.name != name && beside != name {
        rename(engine, name, beside).await?;
    }
    if there.name != old.name {
        engine.rename_container(&there.id, &old.name).await?;
    }
    Ok(())
}

/// Gives the container `from` another name, if there is one of that name.
async fn rename(engine: &dyn WriteEngine, from: &str, to: &str) -> Result<(), EngineError> {
    match engine.container(from).await? {
        Some(there) if from != to && there.name == from => {
            engine.rename_container(&there.id, to).await
        }
        Some(_) | None => Ok(()),
    }
}
