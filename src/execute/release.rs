//! Records a release: looks at every container of it once more, and writes down what is there.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::stream::{StreamExt, TryStreamExt};

use super::scene::Scene;
use super::{Hands, StepError, release_files, way_back};
use crate::desired::ServiceName;
use crate::engine::model::{Container, ContainerState, Image};
use crate::engine::reference::Reference;
use crate::journal::Note;
use crate::observe::certificate;
use crate::plan::facts::{Fact, Facts, Field, Veil};
use crate::plan::{Release, ReleaseDraft, ReleasedImage, observed_facts};

/// Questions to the engine at once, as when observing.
const AT_ONCE: usize = 8;

/// Records a release as it is observed now. Repeatable.
pub(super) async fn record(draft: &ReleaseDraft, scene: &Scene<'_>) -> Result<(), StepError> {
    let (stack, hands) = (&scene.plan.stack, scene.hands);
    let status = scene.book.status();
    let taken = way_back::backups(&status);
    let containers: Vec<(&ServiceName, &Facts, Container)> =
        futures_util::stream::iter(&draft.services)
            .map(|(service, (name, git))| async move {
                Ok::<_, StepError>((service, git, still_up(service, name, hands).await?))
            })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await?;
    let images = images(&containers, hands).await?;
    let mut release = Release {
        id: draft.id.clone(),
        services: BTreeMap::new(),
        images: BTreeMap::new(),
        files: draft.files.clone(),
        host_placed: draft.host_placed.clone(),
        proxy: draft.proxy.clone(),
        schema: draft.schema.clone(),
        backups: if draft.backups_stand || taken.is_empty() {
            draft.backups.clone()
        } else {
            taken
        },
        jobs: draft.jobs.clone(),
        backups_said: Some(draft.backups_said.clone()),
        expires: draft.expires,
    };
    if let Some(proxy) = &mut release.proxy {
        let (container, paths) = &draft.certificates;
        for path in paths {
            let seen = certificate(hands.engine(), container.as_deref(), path).await?;
            proxy
                .certificates
                .extend(seen.map(|digest| (path.clone(), digest)));
        }
    }
    // That a migration has changed nothing was not known when it was planned.
    let unchanged = |step: &u32| status.notes.contains(&(*step, Note::SchemaUnchanged));
    if draft.migrations.iter().all(unchanged) {
        release.schema.attempt = draft.schema_unchanged;
    }
    // What Git hides is hidden by its field; nothing else can differ from Git by now.
    let veil = Veil {
        key: &hands.key,
        secrets: &[],
    };
    for (service, git, container) in containers {
        let image = images.get(&container.image_id);
        let mut git = git.clone();
        // Of an image that was pulled by this very plan, planning could not know these.
        for name in image.iter().flat_map(|image| image.env.keys()) {
            let public = || Fact::Plain(String::new());
            git.entry(Field::Env(name.clone())).or_insert_with(public);
        }
        let facts = observed_facts(&container, &git, veil);
        let released = ReleasedImage {
            digest: image.and_then(|image| known_as(image, &container.spec.image)),
            reference: container.spec.image.clone(),
            id: container.image_id,
        };
        release.images.insert(service.clone(), released);
        release.services.insert(service.clone(), facts);
    }
    hands
        .record
        .record_release(stack, &release, hands.clock.now())?;
    release_files::write(stack, hands)
}

/// Returns what registries call an image: in the repository of a reference, if one has it there.
fn known_as(image: &Image, reference: &str) -> Option<String> {
    let mut all = image.repo_digests.iter();
    let reference = Reference::parse(reference).ok();
    let is_there = |digest: &&String| {
        let digest = Reference::parse(digest).ok();
        let both = reference.as_ref().zip(digest);
        both.is_some_and(|(reference, digest)| reference.is_of_repository(&digest))
    };
    let there = all.clone().find(is_there);
    there.or_else(|| all.next()).cloned()
}

/// Returns the images that the containers run, each asked for once.
async fn images(
    containers: &[(&ServiceName, &Facts, Container)],
    hands: &Hands,
) -> Result<BTreeMap<String, Image>, StepError> {
    let ids: BTreeSet<&String> = containers
        .iter()
        .map(|(_, _, container)| &container.image_id)
        .collect();
    let mut images = BTreeMap::new();
    for id in ids {
        if let Some(image) = hands.engine().image(id).await? {
            images.insert(id.clone(), image);
        }
    }
    Ok(images)
}

/// Returns the container of a service unless it went down after it had been seen up: what is
/// recorded as released must run.
async fn still_up(
    service: &ServiceName,
    name: &str,
    hands: &Hands,
) -> Result<Container, StepError> {
    let why = match hands.engine().container(name).await? {
        None => "its container is gone".to_owned(),
        Some(container) => match &container.state {
            ContainerState::Running | ContainerState::Restarting => return Ok(container),
            ContainerState::Exited { code: 0, .. }
                if container.spec.restart.leaves_success_alone() =>
            {
                return Ok(container);
            }
            ContainerState::Created
            | ContainerState::Paused
            | ContainerState::Exited { .. }
            | ContainerState::Removing
            | ContainerState::Dead => format!("it was up and is {} now", container.state),
        },
    };
    Err(StepError::not_up(hands.engine(), service, name, why).await)
}
