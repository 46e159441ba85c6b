//! Keeps the last release as it was while the next revision is held or can't be loaded: what Git
//! said then is loaded from the mirror again, and drift from it is mended.

use crate::desired::{DesiredState, StackName};
use crate::events::Event;
use crate::host::View;
use crate::pass::{PassError, Passed, Scheduled};
use crate::plan::{Context, History, Plan};
use crate::source::Revision;
use crate::stacks::{AtRevision, LoadError};
use crate::{observe, plan, stacks};

/// Adds to a plan that is held because of its revision what keeps the last release as it was;
/// returns what schedules are carried out of as well.
///
/// # Errors
/// The engine could not be asked.
pub async fn keep(
    view: &View,
    held: Plan,
    history: &History,
    context: &Context<'_>,
) -> Result<(Plan, Scheduled), PassError> {
    if held.is_over() {
        return Ok((held, Scheduled::Nothing));
    }
    if !held.keeps_schedules() {
        return Ok((held, Scheduled::Wanted));
    }
    let release = history.release.as_ref().map(|release| &release.id.revision);
    // A release that can't be read any more can't be kept, and the hold says what is to be done.
    let Some(desired) = release.and_then(|revision| released(view, revision, &held.stack)) else {
        return Ok((held, Scheduled::Nothing));
    };
    view.redactor.learn(desired.secrets.iter().cloned());
    let mut plan = held;
    if plan.waits_for_another_revision() && history.is_data_as_released() {
        let (engine, recorded) = (view.engine.as_ref(), history.recorded());
        let observed = observe::observe(engine, &desired, recorded, view.instance()).await?;
        plan = plan::heal(plan, &desired, &observed, history, context);
    }
    Ok((plan, Scheduled::Released(Box::new(desired))))
}

/// Returns what comes of a stack whose head can't be loaded: why, beside how its release was kept.
///
/// # Errors
/// Always where the head can't be loaded.
pub fn beside(
    view: &View,
    dir: &str,
    loaded: Result<DesiredState, LoadError>,
    kept: Result<Passed, PassError>,
) -> Result<Passed, PassError> {
    let Err(error) = loaded else { return kept };
    match kept {
        Ok(passed) => Err(PassError::Kept {
            error,
            passed: Box::new(passed),
        }),
        Err(why) => {
            let why = view.redactor.clean(&why.to_string());
            let dir = dir.to_owned();
            view.events.tell(Event::NotKept { dir, error: why });
            Err(error.into())
        }
    }
}

fn released(view: &View, revision: &Revision, stack: &StackName) -> Option<DesiredState> {
    let found = stacks::find(view, revision, stack);
    let found = found.and_then(|dir| {
        let dir = dir.map(|dir| stacks::at_revision(view, revision, &dir));
        dir.transpose()
    });
    let Ok(Some(AtRevision {
        desired: Ok(desired),
        ..
    })) = found
    else {
        tracing::debug!(revision = revision.as_str(), "the release can't be loaded");
        return None;
    };
    Some(desired)
}
