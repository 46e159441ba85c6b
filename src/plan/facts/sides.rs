//! Tells what Git wants a container to be, and what a live one is.

use std::collections::BTreeSet;

use super::super::field::ShownAs;
use super::spec::of_spec;
use super::{Fact, Facts, Field, Veil};
use crate::engine::model::{Container, ContainerSpec, Image, Mount};
use crate::secret::{DigestKey, Sensitive};

/// What is known of a live container beside what the engine shows of it.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// What Git wants it to be.
    pub git: &'a Facts,
    /// What it was when it was last released; `None` = never.
    pub release: Option<&'a Facts>,
    /// Says whether it was made from what Git wants. It takes a while, and is rarely asked.
    pub is_of_git: &'a dyn Fn() -> bool,
}

impl Known<'_> {
    /// Returns whether somebody asks for a field, or did when it was released.
    fn is_asked(&self, field: &Field) -> bool {
        let release = || self.release.is_some_and(|facts| facts.contains_key(field));
        self.git.contains_key(field) || release()
    }

    /// Returns what to take for what the engine never shows: what it was made from.
    fn unseen(&self) -> &Facts {
        match self.release {
            // Where both say the same it is of no account.
            Some(release) if release != self.git && !(self.is_of_git)() => release,
            Some(_) | None => self.git,
        }
    }
}

/// Returns what Git wants a container to be: `spec` over the image's defaults.
///
/// Without `image` (it is not on the host yet) only what `spec` itself says is known.
pub fn desired(
    spec: &ContainerSpec,
    image: Option<&Image>,
    committed: &BTreeSet<String>,
    veil: Veil<'_>,
) -> Facts {
    let whole = match image {
        Some(image) => with_defaults(spec, image),
        None => spec.clone(),
    };
    // The image's own variables are as public as the image is, unless a file of the host sets them.
    let public = |name: &str| {
        let by_image = || image.is_some_and(|image| image.env.contains_key(name));
        committed.contains(name) || (!spec.env.contains_key(name) && by_image())
    };
    let mut facts = of_spec(&whole, &public, veil);
    if let Some(image) = image {
        facts.insert(Field::ImageId, Fact::Plain(image.id.clone()));
    }
    facts
}

/// Returns what a live container is. Only variables that Git knows as public have their value
/// shown, and nothing that is hidden there is shown here.
///
/// What the engine fills in where nobody asks for anything is left out, and what it never shows
/// is taken from what the container was made from: see `Field::shown_as`.
pub fn live(container: &Container, known: Known<'_>, veil: Veil<'_>) -> Facts {
    let public = |name: &str| {
        matches!(
            known.git.get(&Field::Env(name.to_owned())),
            Some(Fact::Plain(_))
        )
    };
    let mut facts = of_spec(&container.spec, &public, veil);
    let on_host = container.spec.network_mode == "host";
    facts.retain(|field, fact| match field.shown_as() {
        ShownAs::Asked | ShownAs::AskedIfPossible => true,
        ShownAs::FilledIn => known.is_asked(field),
        ShownAs::FilledInOnHost => known.is_asked(field) || !on_host,
        ShownAs::FilledWith(words) => {
            let fills = |text: &String| words.contains(&text.as_str());
            known.is_asked(field) || !matches!(fact, Fact::Plain(text) if fills(text))
        }
        ShownAs::Never => false,
    });
    for (field, fact) in known.unseen() {
        if field.shown_as() == ShownAs::Never {
            facts.insert(field.clone(), fact.clone());
        }
    }
    for (field, fact) in known.git {
        let unshown = field.shown_as() == ShownAs::AskedIfPossible && !facts.contains_key(field);
        if unshown && (known.is_of_git)() {
            facts.insert(field.clone(), fact.clone());
        }
    }
    hide_as(&mut facts, Some(known.git), veil.key);
    facts.insert(Field::ImageId, Fact::Plain(container.image_id.clone()));
    facts
}

/// Hides what `other` hides: the value there is a secret, so this one may be the one before it.
pub(in super::super) fn hide_as(facts: &mut Facts, other: Option<&Facts>, key: &DigestKey) {
    for (field, fact) in facts {
        if matches!(
            other.and_then(|other| other.get(field)),
            Some(Fact::Hidden(_))
        ) {
            fact.hide(key);
        }
    }
}

/// Returns `spec` with everything that it leaves open as the engine fills it in from `image`.
///
/// The rules are those of the engine's own merge (moby `runconfig` and `daemon/commit.go`).
fn with_defaults(spec: &ContainerSpec, image: &Image) -> ContainerSpec {
    let mut whole = spec.clone();
    let own_program = spec
        .entrypoint
        .as_ref()
        .is_some_and(|program| !program.is_empty());
    if spec.command.as_ref().is_none_or(Vec::is_empty) && !own_program {
        whole.command = Some(image.command.clone());
    }
    whole
        .entrypoint
        .get_or_insert_with(|| image.entrypoint.clone());
    for (name, value) in &image.env {
        let value = || Some(Sensitive::new(value.clone()));
        whole.env.entry(name.clone()).or_insert_with(value);
    }
    for (name, value) in &image.labels {
        whole
            .labels
            .entry(name.clone())
            .or_insert_with(|| value.clone());
    }
    let open = |field: &Option<String>| field.as_ref().is_none_or(String::is_empty);
    if open(&spec.user) {
        whole.user = Some(image.user.clone());
    }
    if open(&spec.working_dir) {
        whole.working_dir = Some(image.working_dir.clone());
    }
    if open(&spec.stop_signal) {
        whole.stop_signal = Some(image.stop_signal.clone());
    }
    whole.healthcheck = match (&spec.healthcheck, &image.healthcheck) {
        (Some(own), Some(base)) => Some(own.over(base)),
        (Some(one), None) | (None, Some(one)) => Some(one.clone()),
        (None, None) => None,
    };
    whole.expose.extend(image.expose.iter().cloned());
    // Whatever another container has there is mounted in the place of a new volume.
    let own = image
        .volumes
        .iter()
        .filter(|_| spec.volumes_from.is_empty());
    for target in own {
        whole
            .mounts
            .entry(target.clone())
            .or_insert_with(Mount::anonymous);
    }
    whole
}
