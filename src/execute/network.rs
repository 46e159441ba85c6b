//! Makes a network again, with the same containers in it.
//!
//! A kill on the way leaves containers that are not connected, and perhaps no network: the next
//! plan makes it and connects them.

use crate::engine::model::Endpoint;
use crate::engine::{EngineError, WriteEngine};
use crate::plan::{Member, RemadeNetwork};

/// Takes a network away and makes it as Git says; the containers in it have their places again.
/// Whatever ran in it has been stopped, or goes on without it meanwhile.
pub(super) async fn remake(
    engine: &dyn WriteEngine,
    draft: &RemadeNetwork,
) -> Result<(), EngineError> {
    leave(engine, draft).await?;
    engine.remove_network(&draft.before.id).await?;
    engine.create_network(&draft.wanted).await?;
    join(engine, draft, |member| member.then.as_ref()).await
}

/// Takes that back, from wherever it stopped. Repeatable.
pub(super) async fn take_back(
    engine: &dyn WriteEngine,
    draft: &RemadeNetwork,
) -> Result<(), EngineError> {
    let networks = engine.networks().await?;
    let there = networks.iter().find(|one| one.name == draft.before.name);
    if there.is_none_or(|there| there.id != draft.before.id) {
        // What was started in the new one is to see the old one from its start.
        for member in draft.members.iter().filter(|member| member.stops) {
            engine.stop_container(&member.container.id).await?;
        }
        leave(engine, draft).await?;
        let others = others_in(engine, &draft.before.name).await?;
        for (id, _) in &others {
            engine.disconnect(id, &draft.before.name).await?;
        }
        if let Some(there) = there.filter(|there| there.labels == draft.wanted.labels) {
            engine.remove_network(&there.id).await?;
        }
        engine.create_network(&draft.before).await?;
        for (id, place) in &others {
            engine.connect(id, &draft.before.name, place).await?;
        }
    }
    join(engine, draft, |member| Some(&member.before)).await
}

/// Returns who else is in a network, and as what: a container that was made meanwhile and stays.
/// Addresses of the new network mean nothing in the one of before.
async fn others_in(
    engine: &dyn WriteEngine,
    network: &str,
) -> Result<Vec<(String, Endpoint)>, EngineError> {
    let mut others = Vec::new();
    for one in engine.containers().await? {
        if !one.networks.contains(network) {
            continue;
        }
        let Some(container) = engine.container(&one.id).await? else {
            continue;
        };
        let place = container.spec.networks.get(network).cloned();
        others.push((one.id, place.unwrap_or_default().without_address()));
    }
    Ok(others)
}

async fn leave(engine: &dyn WriteEngine, draft: &RemadeNetwork) -> Result<(), EngineError> {
    for Member { container, .. } in &draft.members {
        engine.disconnect(&container.id, &draft.before.name).await?;
    }
    Ok(())
}

/// Gives the members their places, see [`Member`].
async fn join(
    engine: &dyn WriteEngine,
    draft: &RemadeNetwork,
    place: impl Fn(&Member) -> Option<&Endpoint>,
) -> Result<(), EngineError> {
    for member in &draft.members {
        let Some(place) = place(member) else {
            continue;
        };
        let id = &member.container.id;
        let joined = engine.connect(id, &draft.before.name, place);
        match joined.await {
            // Nobody misses one that has gone since.
            Err(EngineError::NotFound { .. }) if engine.container(id).await?.is_none() => {}
            other => other?,
        }
    }
    Ok(())
}
