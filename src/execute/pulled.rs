//! Keeps to the images that were pulled: a tag of this host can be given to another one between
//! the pull and the container.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::engine::{EngineError, WriteEngine};
use crate::plan::Action;

/// The images that this attempt has pulled: their ids by the references of Git.
#[derive(Default)]
pub(super) struct Pulled(Mutex<BTreeMap<String, String>>);

impl Pulled {
    /// Takes note of what a reference stands for after it was pulled by its digest.
    pub(super) async fn note(
        &self,
        engine: &dyn WriteEngine,
        reference: &str,
    ) -> Result<(), EngineError> {
        if let Some(image) = engine.image(reference).await? {
            self.ids().insert(reference.to_owned(), image.id);
        }
        Ok(())
    }

    /// Makes sure that what a step makes a container of is still what was pulled for it.
    ///
    /// [`EngineError::Conflict`] when it is not.
    pub(super) async fn check(
        &self,
        engine: &dyn WriteEngine,
        action: &Action,
    ) -> Result<(), EngineError> {
        let Some(reference) = image_of(action) else {
            return Ok(());
        };
        let pulled = self.ids().get(reference).cloned();
        let Some(pulled) = pulled else {
            return Ok(());
        };
        match engine.image(reference).await? {
            Some(here) if here.id == pulled => Ok(()),
            Some(_) | None => Err(EngineError::Conflict {
                doing: format!("make a container of {reference}"),
                cause: "since it was pulled, somebody has given its tag on this host to another \
                        image, or taken it away"
                    .to_owned(),
            }),
        }
    }

    fn ids(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns the image that a step makes a container of, as Git names it.
fn image_of(action: &Action) -> Option<&str> {
    if let Action::Create { spec, .. }
    | Action::Replace { spec, .. }
    | Action::StartBeside {
        spec, there: None, ..
    } = action
    {
        return Some(spec.image.as_str());
    }
    if let Action::Migrate(draft) = action {
        return Some(draft.one_off.spec.image.as_str());
    }
    if let Action::Job(draft) = action {
        return Some(draft.one_off.spec.image.as_str());
    }
    None
}
