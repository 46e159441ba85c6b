//! Does one step. Each action is one arm; none of them chooses anything.

use tokio::sync::watch;

use super::error::LAST_LINES;
use super::{Hands, StepError, await_service, containers, files};
use crate::desired::{ServiceName, StackName};
use crate::engine::model::{Container, ContainerState, Restart};
use crate::events::Event;
use crate::plan::facts::{Fact, Field, Veil};
use crate::plan::{Action, Release, ReleaseDraft, ReleasedImage, Step, observed_facts};

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
        Action::Record(draft) => record(stack, draft, hands).await?,
    }
    Ok(())
}

/// Returns the container of a service unless it went down after it had been seen up: what is
/// recorded as released must run.
async fn still_up(
    service: &ServiceName,
    name: &str,
    hands: &Hands,
) -> Result<Container, StepError> {
    let why = match hands.engine.container(name).await? {
        None => "its container is gone".to_owned(),
        Some(container) => match &container.state {
            ContainerState::Running | ContainerState::Restarting => return Ok(container),
            ContainerState::Exited { code: 0, .. } if container.spec.restart == Restart::No => {
                return Ok(container);
            }
            ContainerState::Created
            | ContainerState::Paused
            | ContainerState::Exited { .. }
            | ContainerState::Removing
            | ContainerState::Dead => format!("it was up and is {} now", container.state),
        },
    };
    let last_words = hands.engine.last_words(name, LAST_LINES).await;
    Err(StepError::NotUp {
        service: service.to_string(),
        why,
        last_words: last_words.unwrap_or_default(),
    })
}

/// Looks at every container of the release once more and records what is there.
async fn record(stack: &StackName, draft: &ReleaseDraft, hands: &Hands) -> Result<(), StepError> {
    let mut release = Release {
        id: draft.id.clone(),
        services: [].into(),
        images: [].into(),
        files: draft.files.clone(),
    };
    // What Git hides is hidden by its field; nothing else can differ from Git by now.
    let veil = Veil {
        key: &hands.key,
        secrets: &[],
    };
    for (service, (name, git)) in &draft.services {
        let container = still_up(service, name, hands).await?;
        let image = hands.engine.image(&container.image_id).await?;
        let mut git = git.clone();
        // Of an image that was pulled by this very plan, planning could not know these.
        for name in image.iter().flat_map(|image| image.env.keys()) {
            let public = || Fact::Plain(String::new());
            git.entry(Field::Env(name.clone())).or_insert_with(public);
        }
        let facts = observed_facts(&container, &git, veil);
        let released = ReleasedImage {
            reference: container.spec.image,
            id: container.image_id,
            digest: image.and_then(|image| image.repo_digests.into_iter().next()),
        };
        release.images.insert(service.clone(), released);
        release.services.insert(service.clone(), facts);
    }
    hands.record.release(stack, &release, hands.clock.now())?;
    Ok(())
}
