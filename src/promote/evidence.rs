//! Says what is known of a stack that is promoted from: that it is its release, whole and well.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::PromoteError;
use crate::desired::{ServiceName, StackName};
use crate::engine::model::{Container, ContainerState, Health};
use crate::host::{self, View};
use crate::labels;
use crate::pass::Looked;
use crate::plan::{Hold, ReleaseId, ReleasedImage, is_aside, is_incoming};

/// What is known of a stack that is well.
#[derive(Clone, Debug, Serialize)]
pub struct Evidence {
    /// Which stack.
    pub stack: StackName,
    /// What runs.
    pub release: ReleaseId,
    /// The subject of its commit.
    pub subject: String,
    /// Since when it is released.
    pub since: Timestamp,
    /// When it was looked at.
    pub at: Timestamp,
    /// On which host.
    pub host: String,
    /// The image of each service.
    #[serde(skip)]
    pub(super) images: BTreeMap<ServiceName, ReleasedImage>,
    /// Its containers by the name of their service, each in a few words.
    pub containers: BTreeMap<String, Vec<String>>,
}

/// Returns what is known of a stack that was looked at.
///
/// # Errors
/// It is not well, or is not what was released: everything that speaks against it.
pub(super) fn of(view: &View, looked: &Looked) -> Result<Evidence, PromoteError> {
    let stack = &looked.desired.stack;
    let ours: Vec<&Container> = (looked.observed.containers.iter())
        .filter(|one| !is_aside(&one.name) && !is_incoming(&one.name))
        .collect();
    let mut found = against(looked);
    found.extend(ours.iter().filter_map(|one| ill(one)));
    let record = view.record.as_ref();
    let last = record.map(|record| record.releases(stack, 1)).transpose()?;
    let last = last.and_then(|mut releases| releases.pop());
    let Some(last) = last.filter(|_| found.is_empty()) else {
        let stack = stack.clone();
        if looked.history.release.is_none() {
            found.insert(0, "nothing has been released of it yet".to_owned());
        }
        return Err(PromoteError::NotWell { stack, found });
    };
    let mut containers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for one in ours {
        if let Some(service) = one.spec.labels.get(labels::SERVICE) {
            let of_service = containers.entry(service.clone()).or_default();
            of_service.push(words(one));
        }
    }
    Ok(Evidence {
        stack: stack.clone(),
        release: last.release.id,
        subject: last.subject,
        since: last.at,
        at: view.clock.now(),
        host: host::name(),
        images: last.release.images,
        containers,
    })
}

/// Returns what a look says against a stack.
fn against(looked: &Looked) -> Vec<String> {
    let plan = &looked.plan;
    let mut found = Vec::new();
    for difference in &plan.differences {
        let reasons: Vec<String> = difference.reasons.iter().map(ToString::to_string).collect();
        found.push(format!("{}: {}", difference.of, reasons.join(", ")));
    }
    if !plan.steps.is_empty() {
        let count = plan.steps.len();
        found.push(format!(
            "its plan is not empty: {count} steps are to be done"
        ));
    }
    let holds = plan
        .holds
        .iter()
        .filter(|hold| !says_nothing_of_images(hold));
    found.extend(holds.map(ToString::to_string));
    if looked.history.unfinished.is_some() {
        found.push("its last deploy was cut short".to_owned());
    }
    found
}

/// Returns whether a hold has nothing to do with whether what runs is well.
fn says_nothing_of_images(hold: &Hold) -> bool {
    matches!(
        hold,
        Hold::BackupLate { .. }
            | Hold::RegistrySilent { .. }
            | Hold::TagMoved { .. }
            | Hold::Orphan { .. }
            | Hold::NotOfStack { .. }
            | Hold::Differs { .. }
            | Hold::NetworkInUse { .. }
    )
}

/// Says what is wrong with a container, if something is.
fn ill(container: &Container) -> Option<String> {
    let state = &container.state;
    let is_up = matches!(
        state,
        ContainerState::Running | ContainerState::Exited { code: 0, .. }
    );
    let why = match container.health {
        Some(Health::Unhealthy) => "is unhealthy".to_owned(),
        Some(Health::Starting) => "has not passed its health check yet".to_owned(),
        Some(Health::Healthy) | None if is_up => return None,
        Some(Health::Healthy) | None => format!("is {state}"),
    };
    Some(format!("container {} {why}", container.name))
}

fn words(container: &Container) -> String {
    let id = container.id.get(..12).unwrap_or(&container.id);
    let health = match container.health {
        Some(Health::Healthy) => ", healthy",
        Some(Health::Starting | Health::Unhealthy) | None => "",
    };
    format!(
        "{id} {}{health}, since {}",
        container.state, container.started_at
    )
}

impl Evidence {
    /// Returns it as the body of a commit message has it, for the services that are promoted.
    pub(super) fn text(&self, services: &[&ServiceName]) -> String {
        let written = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M:%S UTC");
        let mut text = format!(
            "Well in {} on {} at {}:\nrelease {} of commit {}\n    {}\nreleased at {}\n",
            self.stack,
            self.host,
            written(self.at),
            self.release,
            self.release.revision,
            crate::secret::escape_control(&self.subject),
            written(self.since),
        );
        for service in services {
            if let Some(image) = self.images.get(*service) {
                let digest = image.digest.as_deref().unwrap_or(&image.id);
                text = format!("{text}\n{service}: {digest}\n");
            }
            for container in self.containers.get(service.as_str()).into_iter().flatten() {
                text = format!("{text}    container {container}\n");
            }
        }
        text
    }
}
