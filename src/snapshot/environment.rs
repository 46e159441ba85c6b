//! The environment of containers as a snapshot has it: what stands in Git, what an image brings
//! along, and no other value.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::redact::{HIDDEN, OTHER, UNWANTED, is_hidden};
use crate::desired::Service;
use crate::engine::model::{Container, Image};
use crate::secret::{Sensitive, looks_secret, mentions, worth_hiding};

/// Variables by container and name: the value where it may be shown, or what stands for it.
#[derive(Clone, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Environments(BTreeMap<String, BTreeMap<String, Option<String>>>);

impl Environments {
    /// Takes down what may be shown of a container of a service; returns what may not, as far as it
    /// is told from other texts.
    pub(super) fn add(
        &mut self,
        container: &Container,
        service: &Service,
        image: Option<&Image>,
        secrets: &[Sensitive],
    ) -> Vec<Sensitive> {
        let mut hidden = Vec::new();
        let mut shown = BTreeMap::new();
        for (name, value) in &container.spec.env {
            let told = value.as_ref().map(|value| {
                let told = told(name, value.expose(), service, image, secrets);
                if told != value.expose() && worth_hiding(name, value.expose()) {
                    hidden.push(value.clone());
                }
                told
            });
            shown.insert(name.clone(), told);
        }
        self.0.insert(container.id.clone(), shown);
        hidden
    }

    /// Gives a container what was taken down of it.
    pub(super) fn put_back(&self, container: &mut Container) {
        let kept = self.0.get(&container.id).into_iter().flatten();
        Arc::make_mut(&mut container.spec).env = kept
            .map(|(name, value)| (name.clone(), value.clone().map(Sensitive::new)))
            .collect();
    }
}

/// Returns what is told of the value of a variable.
fn told(
    name: &str,
    value: &str,
    service: &Service,
    image: Option<&Image>,
    secrets: &[Sensitive],
) -> String {
    let by_git = service.spec.env.get(name);
    let by_image = image.and_then(|image| image.env.get(name));
    let is_public = if by_git.is_some() {
        service.committed_env.contains(name) && !is_hidden(name, value, secrets)
    } else {
        let is_image = by_image.is_some_and(|default| default == value);
        is_image && !looks_secret(name) && !mentions(value, secrets)
    };
    if is_public {
        return value.to_owned();
    }
    let wanted = match by_git {
        Some(wanted) => wanted.as_ref().map(Sensitive::expose),
        None => by_image.map(String::as_str),
    };
    let stand_in = match wanted {
        Some(wanted) if wanted == value => HIDDEN,
        Some(_) => OTHER,
        None => UNWANTED,
    };
    stand_in.to_owned()
}
