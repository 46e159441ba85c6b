//! Does one step. Each action is one arm; none of them chooses anything.

use std::path::Path;

use tokio::sync::watch;

use super::around::{self, Whose};
use super::checks::Checks;
use super::scene::Scene;
use super::{
    StepError, await_service, beside, containers, data, files, front, inside, maintain, migrate,
    one_off,
};
use super::{latency, network, release, soak};
use crate::engine::EngineError;
use crate::events::Event;
use crate::permits::Touch;
use crate::plan::{Action, Placement, Step, TestPlace};

/// Has the effect of a step.
pub(super) async fn run(
    step: &Step,
    scene: &Scene<'_>,
    given_up: watch::Receiver<bool>,
) -> Result<(), StepError> {
    let hands = scene.hands;
    let engine = hands.engine();
    let stack = &scene.plan.stack;
    let number = step.number;
    let told = scene.told(number);
    let whose = Whose::of(&step.action, scene);
    scene.pulled.check(engine, &step.action).await?;
    match &step.action {
        Action::Pull { image, digest, .. } => pull(image, digest, number, scene).await?,
        Action::Measure(draft) => latency::measure_before(draft, scene, &told).await,
        Action::MaintainOn(raise) => maintain::raise(raise, scene, &told).await?,
        Action::MaintainOff(lower) => maintain::lower(lower, scene, &told).await?,
        Action::Stop { container, .. } => whose.stop(engine, &container.id).await?,
        Action::Backup(draft) => data::back_up(draft, number, scene, &told).await?,
        Action::Migrate(draft) => migrate::migrate(draft, number, scene, given_up, &told).await?,
        Action::Job(draft) => migrate::job(draft, number, scene, given_up, &told).await?,
        Action::Restore(draft) => data::restore(draft, &draft.file, scene, &told).await?,
        Action::PutBack { old, name, .. } => {
            containers::bring_back(engine, old, name).await?;
            whose.start(engine, &old.id).await?;
        }
        Action::CreateNetwork(network) => engine.create_network(network).await?,
        Action::RemakeNetwork(draft) => network::remake(engine, draft).await?,
        Action::CreateVolume(volume) => engine.create_volume(volume).await?,
        Action::Place { root, files } => place(root, files, scene)?,
        Action::Rename { container, name } => engine.rename_container(&container.id, name).await?,
        Action::Create { name, spec, .. } => containers::create(engine, name, spec, whose).await?,
        Action::Replace {
            old, name, spec, ..
        } => containers::replace(engine, old, name, spec, whose).await?,
        Action::Start { container, .. } => whose.start(engine, &container.id).await?,
        Action::StartBeside {
            name, spec, there, ..
        } => beside::start(engine, name, spec, there.as_ref(), whose).await?,
        Action::TestProxy(draft) => front::test(draft, scene, given_up, &told).await?,
        Action::Switch(draft) => front::switch(draft, scene, &told).await?,
        Action::SwitchBack(draft) => front::back(draft, scene, &told).await?,
        Action::Drain {
            container,
            draining,
            ..
        } => beside::drain(engine, &container.id, draining, &told).await?,
        Action::HandOver {
            old, name, beside, ..
        } => beside::hand_over(engine, old, name, beside, whose).await?,
        Action::Reload { container, how, .. } => {
            inside::tell_to_reload(engine, container, how).await?;
        }
        Action::Restart { container, .. } => whose.restart(engine, &container.id).await?,
        Action::Connect {
            container,
            network,
            place,
            ..
        } => engine.connect(&container.id, network, place).await?,
        Action::Disconnect {
            container, network, ..
        } => engine.disconnect(&container.id, network).await?,
        Action::Await {
            service,
            container,
            until,
            within,
            ..
        } => {
            let wait = await_service::Wait {
                service,
                container,
                until: *until,
                within: *within,
            };
            wait.run(engine, given_up, &told).await?;
        }
        Action::Ready(draft) => {
            let checks = Checks::new(engine, given_up, &told);
            checks.ready(&draft.ready, &draft.container).await?;
        }
        Action::Soak { containers, during } => {
            soak::soak(engine, containers, *during, given_up, &told).await?;
        }
        Action::Smoke(draft) => {
            let before = scene.measured().get(&draft.index).copied();
            let checks = Checks::new(engine, given_up, &told);
            let container = draft.container.as_deref();
            let smoke = checks.smoke(&draft.smoke, container, before).await;
            smoke.map_err(|error| maintain::hint(error, scene))?;
        }
        Action::Adopt { containers } => {
            let now = hands.clock.now();
            hands
                .record
                .adopt(stack, scene.plan.attempt, containers, now)?;
        }
        Action::RemoveNetwork { id, .. } => engine.remove_network(id).await?,
        Action::Remove { container, why } => around::remove(container, *why, scene).await?,
        Action::Record(draft) => release::record(draft, scene).await?,
    }
    Ok(())
}

/// Places files that are no configuration of the host's own proxy.
fn place(root: &Path, files: &[Placement], scene: &Scene<'_>) -> Result<(), StepError> {
    let store = scene.hands.store_of(&scene.plan.stack);
    files::place(root, files, &store, scene.guard(Touch::Write))
}

/// Pulls an image, and tells how far it is.
async fn pull(image: &str, digest: &str, step: u32, scene: &Scene<'_>) -> Result<(), EngineError> {
    let (stack, hands) = (&scene.plan.stack, scene.hands);
    let told = |progress| {
        let (stack, image) = (stack.clone(), image.to_owned());
        hands.events.tell(Event::Pulling {
            stack,
            step,
            image,
            progress,
        });
    };
    hands.engine().pull(image, digest, &told).await?;
    scene.pulled.note(hands.engine(), image).await
}

/// Clears a one-off container away once what it did is in the journal.
pub(super) async fn clear(step: &Step, scene: &Scene<'_>) {
    let one_offs = match &step.action {
        Action::Migrate(draft) => draft.status.iter().chain([&draft.one_off]).collect(),
        Action::Job(draft) => vec![&draft.one_off],
        Action::TestProxy(draft) => match &draft.place {
            TestPlace::Host => Vec::new(),
            TestPlace::Containers { one_offs, .. } => one_offs.iter().collect(),
        },
        Action::Pull { .. }
        | Action::Measure(_)
        | Action::MaintainOn(_)
        | Action::MaintainOff(_)
        | Action::Stop { .. }
        | Action::Backup(_)
        | Action::Restore(_)
        | Action::PutBack { .. }
        | Action::CreateNetwork(_)
        | Action::RemakeNetwork(_)
        | Action::CreateVolume(_)
        | Action::RemoveNetwork { .. }
        | Action::Place { .. }
        | Action::Rename { .. }
        | Action::Create { .. }
        | Action::Replace { .. }
        | Action::Start { .. }
        | Action::Restart { .. }
        | Action::StartBeside { .. }
        | Action::Switch(_)
        | Action::SwitchBack(_)
        | Action::Drain { .. }
        | Action::HandOver { .. }
        | Action::Reload { .. }
        | Action::Connect { .. }
        | Action::Disconnect { .. }
        | Action::Await { .. }
        | Action::Ready(_)
        | Action::Soak { .. }
        | Action::Smoke(_)
        | Action::Remove { .. }
        | Action::Adopt { .. }
        | Action::Record(_) => Vec::new(),
    };
    for one in one_offs {
        // The next plan removes what is left; a failure here must not become the attempt's.
        let removed = one_off::remove(scene.hands.engine(), &one.name, &one.spec).await;
        tracing::debug!(
            name = one.name,
            removed = removed.is_ok(),
            "one-off container"
        );
    }
}
