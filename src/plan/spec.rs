//! Says what the container of a service is made from: what Git says, what the container before
//! leaves to it, and the labels by which it is known again.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::time::Duration;

use super::ReleaseId;
use super::drafts::OneOff;
use super::examined::Examined;
use super::facts::{self, Fact, Field, Veil};
use super::services::Input;
use super::slot::{Slot, in_slot};
use crate::desired::{Condition, Service, ServiceName};
use crate::engine::model::{Container, ContainerSpec, Healthcheck, Image, MountSource, Restart};
use crate::labels;

impl Input<'_> {
    /// Returns what the container of a service is made from, labels of ours included.
    pub(super) fn container_spec(&self, one: &Examined<'_>) -> ContainerSpec {
        let (name, service) = (one.name, one.service);
        let mut spec = self.spec_in(one, one.slot_then()).into_owned();
        let attempt = self.history.next_attempt;
        if let Some(holder) = one.holder {
            carry_over_anonymous(&mut spec, holder, self.image(service));
        }
        let digest = self.digest(service);
        let revision = self.desired.commit.revision.clone();
        let release = ReleaseId { attempt, revision }.to_string();
        let image = self
            .image(service)
            .map(|image| (labels::IMAGE, image.id.clone()));
        let image = image.map(|(label, id)| (label.to_owned(), id));
        spec.labels.extend(image);
        spec.labels.extend(self.compose_labels(name, service));
        spec.labels.extend(
            [
                (labels::STACK, self.desired.stack.to_string()),
                (labels::INSTANCE, self.context.instance.to_owned()),
                (labels::DIGEST, digest),
                (labels::RELEASE, release),
                (labels::ATTEMPT, attempt.to_string()),
            ]
            .map(|(label, value)| (label.to_owned(), value)),
        );
        spec
    }

    /// Returns the labels by which Docker Compose knows a container as one of a service, but for
    /// that of its image: which one that is may not be known before it is pulled.
    fn compose_labels(
        &self,
        name: &ServiceName,
        service: &Service,
    ) -> impl Iterator<Item = (String, String)> {
        let desired = self.desired;
        let files = desired.compose_files.iter();
        let files: Vec<String> = files.map(|file| file.display().to_string()).collect();
        [
            (labels::PROJECT, desired.stack.to_string()),
            (labels::SERVICE, name.service().to_owned()),
            (labels::NUMBER, name.number().to_string()),
            (labels::ONEOFF, "False".to_owned()),
            (labels::CONFIG_HASH, service.config_hash.clone()),
            (labels::DEPENDS_ON, depends_on(service)),
            (labels::CONFIG_FILES, files.join(",")),
            (
                labels::WORKING_DIR,
                desired.project_directory.display().to_string(),
            ),
            (labels::VERSION, labels::COMPOSE_VERSION.to_owned()),
        ]
        .map(|(label, value)| (label.to_owned(), value))
        .into_iter()
    }

    /// Returns the digest of what Git says of a service, and of nothing else: not of its image.
    pub(super) fn digest(&self, service: &Service) -> String {
        digest_of(service, self.veil())
    }

    /// Returns what the container of a service is made from in a slot, as Git says it.
    pub(super) fn spec_in<'s>(
        &self,
        one: &Examined<'s>,
        slot: Option<Slot>,
    ) -> Cow<'s, ContainerSpec> {
        in_slot(&self.desired.stack, one.name, one.service, slot)
    }

    /// Says what a one-off container of a service is made from: the service's own image,
    /// environment, networks and mounts, without what makes it the service.
    pub(super) fn one_off(
        &self,
        one: &Examined<'_>,
        what: &str,
        run: &[String],
        job: &str,
        within: Duration,
    ) -> OneOff {
        let mut spec = self.container_spec(one);
        spec.command = Some(run.to_vec());
        spec.restart = Restart::No;
        spec.healthcheck = Some(Healthcheck::none());
        spec.ports.clear();
        // It must not be found under the service's name by those who want to be served.
        spec.networks
            .values_mut()
            .for_each(|endpoint| endpoint.aliases.clear());
        spec.labels
            .insert(labels::ONEOFF.to_owned(), "True".to_owned());
        spec.labels.insert(labels::JOB.to_owned(), job.to_owned());
        OneOff {
            service: one.name.clone(),
            name: format!("{}-{}-{what}", self.desired.stack, one.name),
            spec,
            run: run.to_vec(),
            within,
        }
    }
}

/// Returns the digest of what Git says of a service, and of nothing else: not of its image.
pub(super) fn digest_of(service: &Service, veil: Veil<'_>) -> String {
    let said = facts::desired(&service.spec, None, &service.committed_env, veil);
    let said: Vec<(&Field, &Fact)> = said.iter().collect();
    let bytes = serde_json::to_vec(&said).unwrap_or_default();
    veil.key.digest(&bytes).to_string()
}

/// Returns what a service depends on as `docker compose down` and `stop` read it for their order.
fn depends_on(service: &Service) -> String {
    let all = service.depends_on.iter().map(|(name, dependency)| {
        let condition = match dependency.condition {
            Condition::Started => "service_started",
            Condition::Healthy => "service_healthy",
            Condition::Completed => "service_completed_successfully",
        };
        // Docker Compose looks for what it finds here among the services.
        format!("{}:{condition}:{}", name.service(), dependency.restart)
    });
    all.collect::<BTreeSet<_>>()
        .into_iter()
        .collect::<Vec<_>>()
        .join(",")
}

/// Takes over the nameless volumes of the container before: an image that declares a volume keeps
/// its data there, and a new one would be empty.
fn carry_over_anonymous(spec: &mut ContainerSpec, holder: &Container, image: Option<&Image>) {
    for (target, mount) in &holder.spec.mounts {
        // One that neither Git nor the image wants any more would stay for ever. What an image
        // that is not here yet wants is not known, and losing data is worse than a mount too many.
        let wanted = spec.mounts.contains_key(target)
            || image.is_none_or(|image| image.volumes.contains(target));
        if !wanted || !matches!(mount.source, MountSource::Anonymous(Some(_))) {
            continue;
        }
        let wanted = spec
            .mounts
            .entry(target.clone())
            .or_insert_with(|| mount.clone());
        if wanted.source == MountSource::Anonymous(None) {
            wanted.source = mount.source.clone();
        }
    }
}
