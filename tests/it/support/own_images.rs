//! The images of an example system, which are one test's own: on the engine, or at a registry.

use super::docker_cli::{Sandbox, docker};
use super::registry::Registry;
use super::vehicles::images;

/// Makes images under names that nobody else uses.
pub(crate) struct OwnImages {
    prefix: String,
    /// Where they are and the engine has none; none = on the engine.
    pub(crate) registry: Option<Registry>,
}

impl OwnImages {
    pub(crate) fn new(sandbox: &Sandbox) -> Self {
        Self {
            prefix: sandbox.name(""),
            registry: None,
        }
    }

    /// Returns what stands before the name of each.
    pub(crate) fn base(&self) -> String {
        let registry = self.registry.as_ref();
        registry.map_or(self.prefix.clone(), |it| it.reference(&self.prefix))
    }

    /// Returns what stands before the name of other images, which are on the engine.
    pub(crate) fn beside(&self) -> &str {
        &self.prefix
    }

    /// Makes an image by a function of `scripts/lib/images.sh`; `name` has a tag. Returns its
    /// reference.
    pub(crate) fn make(&self, function: &str, name: &str, settings: &[&str]) -> String {
        let image = format!("{}{name}", self.prefix);
        images(function, &[&[image.as_str()], settings].concat());
        if let Some(registry) = &self.registry {
            registry.push(&image, &image);
            docker(&["rmi", "--force", &image]);
        }
        format!("{}{name}", self.base())
    }
}
