//! Makes, replaces and puts back containers so that a kill at any instant leaves something that
//! planning recognises by names and labels (see `plan::services`).

use std::borrow::Cow;

use super::StepError;
use super::around::{Whose, copy_into};
use crate::engine::model::{Container, ContainerSpec, ContainerState};
use crate::engine::{EngineError, WriteEngine};
use crate::labels;
use crate::plan::{ContainerRef, aside, incoming};

/// Makes and starts a container.
pub(super) async fn create(
    engine: &dyn WriteEngine,
    name: &str,
    spec: &ContainerSpec,
    whose: Whose<'_>,
) -> Result<(), StepError> {
    let id = make(engine, name, spec).await?;
    let started = start(engine, &id, spec).await;
    if started.is_err() {
        // One that could not be started keeps its name and would block the next try.
        engine.remove_container(&id).await?;
    }
    started?;
    whose.post_start(engine, &id).await
}

/// Starts a container that was made just now.
pub(super) async fn start(
    engine: &dyn WriteEngine,
    id: &str,
    spec: &ContainerSpec,
) -> Result<(), EngineError> {
    copy_into(engine, id, &spec.copied).await?;
    engine.start_container(id).await
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
    whose: Whose<'_>,
) -> Result<(), StepError> {
    let new = make(engine, &incoming(name), spec).await?;
    whose.stop(engine, &old.id).await?;
    engine.rename_container(&old.id, &aside(&old.name)).await?;
    engine.rename_container(&new, name).await?;
    start(engine, &new, spec).await?;
    whose.post_start(engine, &new).await
}

/// Makes a container without starting it. One that this very attempt has made already (the
/// answer to the call was lost) is taken as it is.
pub(super) async fn make(
    engine: &dyn WriteEngine,
    name: &str,
    spec: &ContainerSpec,
) -> Result<String, EngineError> {
    let spec = &with_image_label(engine, spec).await?;
    match engine.create_container(name, spec).await {
        Err(conflict @ EngineError::Conflict { .. }) => match engine.container(name).await? {
            Some(there) if is_of_same_attempt(&there, spec) => Ok(there.id),
            Some(_) | None => Err(conflict),
        },
        other => other,
    }
}

/// Returns `spec` with the label of its image, which is known once it was pulled.
async fn with_image_label<'s>(
    engine: &dyn WriteEngine,
    spec: &'s ContainerSpec,
) -> Result<Cow<'s, ContainerSpec>, EngineError> {
    if spec.labels.contains_key(labels::IMAGE) {
        return Ok(Cow::Borrowed(spec));
    }
    let mut spec = spec.clone();
    let image = engine.image(&spec.image).await?;
    let label = image.map(|image| (labels::IMAGE.to_owned(), image.id));
    spec.labels.extend(label);
    Ok(Cow::Owned(spec))
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

/// Starts a container that has its name back, if it does not run; returns whether it did not.
/// Repeatable.
pub(super) async fn run_again(
    engine: &dyn WriteEngine,
    old: &ContainerRef,
) -> Result<bool, EngineError> {
    match engine.container(&old.id).await? {
        // It was never stopped. The engine refuses to start a paused one.
        Some(kept) if kept.is_running() || kept.state == ContainerState::Paused => Ok(false),
        Some(_) | None => engine.start_container(&old.id).await.map(|()| true),
    }
}

/// Gives a container the name back that it had. Repeatable.
pub(super) async fn name_back(
    engine: &dyn WriteEngine,
    container: &ContainerRef,
) -> Result<(), EngineError> {
    match engine.container(&container.id).await? {
        Some(there) if there.name != container.name => {
            engine.rename_container(&there.id, &container.name).await
        }
        Some(_) | None => Ok(()),
    }
}

/// Gives the container that an interrupted pass had kept aside its name back; the one that has
/// the name, of the same service, goes. Repeatable.
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
    Ok(true)
}

/// Returns whether a container of ours was made for the service of one that was kept aside. That
/// one may be Docker Compose's, which has no label of ours.
fn is_of_same_service(ours: &Container, kept: &Container) -> bool {
    let label = |one: &Container, name: &str| one.spec.labels.get(name).cloned();
    let instance = label(kept, labels::INSTANCE);
    [labels::PROJECT, labels::SERVICE]
        .iter()
        .all(|name| label(ours, name) == label(kept, name))
        && label(ours, labels::INSTANCE).is_some_and(|ours| instance.is_none_or(|it| it == ours))
}
