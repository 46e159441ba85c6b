//! Makes, replaces and puts back containers so that a kill at any instant leaves something that
//! planning recognises by names and labels (see `plan::services`).

use crate::engine::model::{Container, ContainerSpec, ContainerState};
use crate::engine::{EngineError, WriteEngine};
use crate::labels;
use crate::plan::{ContainerRef, aside, incoming};

/// Makes and starts a container.
pub(super) async fn create(
    engine: &dyn WriteEngine,
    name: &str,
    spec: &ContainerSpec,
) -> Result<(), EngineError> {
    let id = make(engine, name, spec).await?;
    let started = engine.start_container(&id).await;
    if started.is_err() {
        // One that could not be started keeps its name and would block the next try.
        engine.remove_container(&id).await?;
    }
    started
}

/// Makes the new container beside the old one, then lets it take its place. The old one is kept
/// aside, stopped, under another name.
///
/// If it fails on the way, the old one gets its place back by [`put_back`].
pub(super) async fn replace(
    engine: &dyn WriteEngine,
    old: &ContainerRef,
    name: &str,
    spec: &ContainerSpec,
) -> Result<(), EngineError> {
    let new = make(engine, &incoming(name), spec).await?;
    engine.stop_container(&old.id).await?;
    engine.rename_container(&old.id, &aside(&old.name)).await?;
    engine.rename_container(&new, name).await?;
    engine.start_container(&new).await
}

/// Makes a container without starting it. One that this very attempt has made already (the
/// answer to the call was lost) is taken as it is.
async fn make(
    engine: &dyn WriteEngine,
    name: &str,
    spec: &ContainerSpec,
) -> Result<String, EngineError> {
    match engine.create_container(name, spec).await {
        Err(conflict @ EngineError::Conflict { .. }) => match engine.container(name).await? {
            Some(there) if is_of_same_attempt(&there, spec) => Ok(there.id),
            Some(_) | None => Err(conflict),
        },
        other => other,
    }
}

fn is_of_same_attempt(there: &Container, spec: &ContainerSpec) -> bool {
    [
        labels::INSTANCE,
        labels::ATTEMPT,
        labels::STACK,
        labels::SERVICE,
    ]
    .iter()
    .all(|label| there.spec.labels.get(*label) == spec.labels.get(*label))
}

/// Takes a create back: the container goes, if this very attempt has made it. Repeatable.
pub(super) async fn unmake(
    engine: &dyn WriteEngine,
    name: &str,
    spec: &ContainerSpec,
) -> Result<(), EngineError> {
    match engine.container(name).await? {
        Some(there) if is_of_same_attempt(&there, spec) => engine.remove_container(&there.id).await,
        Some(_) | None => Ok(()),
    }
}

/// Takes a replace back, from wherever it stopped: the new container goes, the old one gets its
/// name back. Repeatable.
///
/// Returns whether there was an old container to put back.
pub(super) async fn put_back(
    engine: &dyn WriteEngine,
    old: &ContainerRef,
    name: &str,
    spec: &ContainerSpec,
) -> Result<bool, EngineError> {
    let Some(kept) = engine.container(&old.id).await? else {
        return Ok(false);
    };
    for candidate in [incoming(name), name.to_owned()] {
        unmake(engine, &candidate, spec).await?;
    }
    if kept.name != old.name {
        engine.rename_container(&old.id, &old.name).await?;
    }
    Ok(true)
}

/// Starts a container that has its name back. Repeatable.
pub(super) async fn run_again(
    engine: &dyn WriteEngine,
    old: &ContainerRef,
) -> Result<(), EngineError> {
    match engine.container(&old.id).await? {
        // A paused one was never stopped, and the engine refuses to start it.
        Some(kept) if kept.state == ContainerState::Paused => Ok(()),
        Some(_) | None => engine.start_container(&old.id).await,
    }
}

/// Gives the container that an interrupted pass had kept aside its name back and starts it; the
/// one that has the name, of the same service, goes. Repeatable.
///
/// Returns whether there was one to bring back.
pub(super) async fn bring_back(
    engine: &dyn WriteEngine,
    old: &ContainerRef,
    name: &str,
) -> Result<bool, EngineError> {
    let Some(kept) = engine.container(&old.id).await? else {
        return Ok(false);
    };
    if let Some(there) = engine.container(name).await?
        && there.id != kept.id
        && is_of_same_service(&there, &kept)
    {
        engine.remove_container(&there.id).await?;
    }
    if kept.name != name {
        engine.rename_container(&kept.id, name).await?;
    }
    run_again(engine, old).await?;
    Ok(true)
}

fn is_of_same_service(one: &Container, other: &Container) -> bool {
    [labels::INSTANCE, labels::STACK, labels::SERVICE]
        .iter()
        .all(|label| one.spec.labels.get(*label) == other.spec.labels.get(*label))
}
