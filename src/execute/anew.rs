//! Makes a container again on the way back that can't be started any more: one in whose namespaces
//! it was is gone, and the engine knows that one by its id alone.

use super::scene::Scene;
use super::{StepError, containers};
use crate::engine::model::{Container, ContainerSpec, joined};
use crate::engine::{EngineError, ReadEngine};
use crate::labels;
use crate::plan::facts::{Fact, Field};
use crate::plan::{ContainerRef, Step, aside, incoming};

/// Returns whether one of the containers is gone in whose namespaces a container was.
pub(super) async fn is_left_alone(
    engine: &dyn ReadEngine,
    kept: &Container,
) -> Result<bool, EngineError> {
    for other in kept.spec.joins() {
        if engine.container(other).await?.is_none() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Makes the container before again, as the engine knows it, in the namespaces of those that have
/// the names now, and starts it; the one that can't be started goes. Returns the new one's id.
///
/// A kill on the way leaves what a replace leaves.
///
/// # Errors
/// There is nobody of that name who runs, or the release before had another content of a file that
/// is copied in, which nobody knows any more.
pub(super) async fn make_again(
    scene: &Scene<'_>,
    step: &Step,
    old: &ContainerRef,
    kept: &Container,
    new: &ContainerSpec,
) -> Result<String, StepError> {
    let engine = scene.hands.engine();
    let gone = |why: String| StepError::NotUp {
        service: old.name.clone(),
        why: format!(
            "{why}; to have it made as Git says, commit a revert and run: moored retry --stack {}",
            scene.plan.stack
        ),
        last_words: String::new(),
    };
    let mut spec = ContainerSpec::clone(&kept.spec);
    if let Some(why) = join_again(engine, step, &mut spec, new).await? {
        return Err(gone(why));
    }
    if step
        .reasons
        .iter()
        .any(|one| matches!(one.field, Field::Copied(_)))
    {
        let why = "the content before of a file that is copied into it is not known any more";
        return Err(gone(why.to_owned()));
    }
    spec.copied.clone_from(&new.copied);
    let tagged = engine.image(&spec.image).await?;
    if tagged.is_none_or(|image| image.id != kept.image_id) {
        spec.image.clone_from(&kept.image_id);
    }
    // The engine fills these in, and does not take them together with another one's network.
    if joined(&spec.network_mode).is_some() {
        spec.hostname = None;
        spec.domainname = None;
        spec.expose.clear();
    }
    for label in [labels::INSTANCE, labels::STACK] {
        let ours = new.labels.get(label);
        spec.labels
            .extend(ours.map(|ours| (label.to_owned(), ours.clone())));
    }
    let made = containers::make(engine, &incoming(&old.name), &spec).await?;
    engine.stop_container(&kept.id).await?;
    engine.rename_container(&kept.id, &aside(&old.name)).await?;
    engine.rename_container(&made, &old.name).await?;
    containers::start(engine, &made, &spec).await?;
    engine.remove_container(&kept.id).await?;
    Ok(made)
}

/// Puts the names of those who are there now in the place of those who are gone; returns what stands
/// in the way, if something does.
async fn join_again(
    engine: &dyn ReadEngine,
    step: &Step,
    spec: &mut ContainerSpec,
    new: &ContainerSpec,
) -> Result<Option<String>, EngineError> {
    // What Git has changed was another one before.
    let before = |field: Field, now: &str| {
        let changed = step.reasons.iter().find(|one| one.field == field);
        match changed.map(|one| (&one.release, &one.git)) {
            Some((Some(Fact::Plain(then)), Some(git))) if *git != Fact::Plain(then.clone()) => {
                then.clone()
            }
            Some(_) | None => now.to_owned(),
        }
    };
    let (spaces, wanted) = (&mut spec.namespaces, &new.namespaces);
    for (space, field, now) in [
        (
            &mut spec.network_mode,
            Field::NetworkMode,
            &new.network_mode,
        ),
        (&mut spaces.ipc, Field::Ipc, &wanted.ipc),
        (&mut spaces.pid, Field::Pid, &wanted.pid),
    ] {
        let Some(id) = joined(space) else {
            continue;
        };
        if engine.container(id).await?.is_some() {
            continue;
        }
        let then = before(field, now);
        let Some(name) = joined(&then) else {
            let why = format!("the container that it shared a namespace with is gone ({id})");
            return Ok(Some(why));
        };
        if !engine
            .container(name)
            .await?
            .is_some_and(|there| there.is_running())
        {
            return Ok(Some(format!(
                "{name}, whose namespaces it shares, is not running"
            )));
        }
        *space = then;
    }
    Ok(None)
}
