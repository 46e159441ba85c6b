//! Keeps the last release as it was while the next revision is held or can't be loaded: what Git
//! said then is loaded from the mirror again, and drift from it is mended.

use crate::host::View;
use crate::pass::PassError;
use crate::plan::{Context, History, Plan};
use crate::stacks::AtRevision;
use crate::{observe, plan, stacks};

/// Adds to a plan that is held because of its revision what keeps the last release as it was.
///
/// # Errors
/// The engine could not be asked.
pub async fn keep(
    view: &View,
    held: Plan,
    history: &History,
    context: &Context<'_>,
) -> Result<Plan, PassError> {
    let release = history.release.as_ref().map(|release| &release.id.revision);
    let Some(revision) = release.filter(|_| history.is_data_as_released()) else {
        return Ok(held);
    };
    if !held.waits_for_another_revision() {
        return Ok(held);
    }
    let found = stacks::find(view, revision, &held.stack);
    let found = found.and_then(|dir| {
        let dir = dir.map(|dir| stacks::at_revision(view, revision, &dir));
        dir.transpose()
    });
    // A release that can't be read any more can't be kept, and the hold says what is to be done.
    let Ok(Some(AtRevision {
        desired: Ok(desired),
        ..
    })) = found
    else {
        tracing::debug!(revision = revision.as_str(), "the release can't be loaded");
        return Ok(held);
    };
    view.redactor.learn(desired.secrets.iter().cloned());
    let (engine, recorded) = (view.engine.as_ref(), history.recorded());
    let observed = observe::observe(engine, &desired, recorded, view.instance()).await?;
    Ok(plan::heal(held, &desired, &observed, history, context))
}
