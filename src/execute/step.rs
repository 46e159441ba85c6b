//! Does one step. Each action is one arm; none of them chooses anything.

use tokio::sync::watch;

use super::{Hands, StepError, await_service, containers, files, release};
use crate::desired::StackName;
use crate::events::Event;
use crate::plan::{Action, Step};

/// Has the effect of a step.
pub(super) async fn run(
    step: &Step,
    stack: &StackName,
    hands: &Hands,
    given_up: watch::Receiver<bool>,
) -> Result<(), StepError> {
    let engine = hands.engine.as_ref();
    match &step.action {
        Action::Pull { image, digest, .. } => {
            let told = |progress| {
                let (stack, image) = (stack.clone(), image.clone());
                hands.events.tell(Event::Pulling {
                    stack,
                    step: step.number,
                    image,
                    progress,
                });
            };
            engine.pull(image, digest, &told).await?;
        }
        Action::CreateNetwork(network) => engine.create_network(network).await?,
        Action::CreateVolume(volume) => engine.create_volume(volume).await?,
        Action::Place { root, files } => files::place(root, files, &hands.store_of(stack))?,
        Action::Rename { container, name } => engine.rename_container(&container.id, name).await?,
        Action::Create { name, spec, .. } => containers::create(engine, name, spec).await?,
        Action::Replace {
            old, name, spec, ..
        } => {
            containers::replace(engine, old, name, spec).await?;
        }
        Action::Start { container, .. } => engine.start_container(&container.id).await?,
        Action::Restart { container, .. } => engine.restart_container(&container.id).await?,
        Action::Connect {
            container,
            network,
            aliases,
            ..
        } => {
            engine.connect(&container.id, network, aliases).await?;
        }
        Action::Disconnect {
            container, network, ..
        } => {
            engine.disconnect(&container.id, network).await?;
        }
        Action::Await {
            service,
            container,
            until,
            within,
            ..
        } => {
            let told = |what: String| {
                let stack = stack.clone();
                hands.events.tell(Event::Waiting {
                    stack,
                    step: step.number,
                    what,
                });
            };
            let wait = await_service::Wait {
                service,
                container,
                until: *until,
                within: *within,
            };
            wait.run(engine, given_up, &told).await?;
        }
        Action::Remove { container, .. } => engine.remove_container(&container.id).await?,
        Action::Record(draft) => release::record(stack, draft, hands).await?,
    }
    Ok(())
}
