//! Switches the maintenance page on and off, and proves it through the real proxy.

use std::time::Duration;

use super::StepError;
use super::scene::Scene;
use crate::desired::maintenance::Maintenance;
use crate::maintenance::{
    self, Flag, MaintenanceError, Owner, Page, SwitchedOff, SwitchedOn, Wanted,
};
use crate::plan::{Action, Lower, Raise};

/// Time for the proxy to show the page: it looks for the flag at every request.
const UNTIL_SHOWN: Duration = Duration::from_secs(10);

/// Time to see whether the site answers before anything is done.
const A_LOOK: Duration = Duration::from_secs(2);

/// Time for the site to answer once the page is gone: what was just started may need a moment.
const UNTIL_ANSWERED: Duration = Duration::from_secs(60);

/// Switches the page on and proves that visitors see it. Repeatable.
///
/// A page that does not show is taken away again: it would say that nobody is let in, and be wrong.
pub(super) async fn raise(
    raise: &Raise,
    scene: &Scene<'_>,
    tell: &(dyn Fn(String) + Send + Sync),
) -> Result<(), StepError> {
    let flag = Flag {
        owner: raise.owner.clone(),
        reason: raise.reason.clone(),
        since: Some(scene.hands.clock.now()),
    };
    let answers = prove(&raise.maintenance, Wanted::Off, A_LOOK, tell).await;
    let put_up = put_up(&raise.maintenance, raise.page.as_deref(), &flag, scene)?;
    // Behind a page that is on already there is no telling.
    scene.site_was_down(answers.is_err() && put_up == SwitchedOn::Now);
    let proved = prove(&raise.maintenance, Wanted::On, UNTIL_SHOWN, tell).await;
    let Err(unproved) = proved else { return Ok(()) };
    if answers.is_err() && !restores_by_itself(scene) {
        // The proxy is down with the rest, and this may be the deploy that mends it.
        tell(format!("{unproved}; the site did not answer before either"));
        return Ok(());
    }
    // One that was there before may keep visitors from data that nobody has mended yet.
    if put_up == SwitchedOn::Now {
        switch_off(&raise.maintenance, &raise.owner, scene)?;
    }
    Err(unproved)
}

/// Returns whether a failure restores data by itself: nobody may have written since the backup.
fn restores_by_itself(scene: &Scene<'_>) -> bool {
    let steps = scene.plan.steps.iter();
    let mut migrations = steps.filter_map(|step| {
        let Action::Migrate(draft) = &step.action else {
            return None;
        };
        Some(draft.restores)
    });
    migrations.any(|restores| restores)
}

/// Takes the page down because the attempt is taken back. A site that did not answer before need
/// not answer now: that is not what the attempt has done.
pub(super) async fn take_down(
    raise: &Raise,
    scene: &Scene<'_>,
    tell: &(dyn Fn(String) + Send + Sync),
) -> Result<(), StepError> {
    if scene.was_site_down() {
        switch_off(&raise.maintenance, &raise.owner, scene)?;
        return Ok(());
    }
    let lowered = Lower {
        maintenance: raise.maintenance.clone(),
        owner: raise.owner.clone(),
    };
    lower(&lowered, scene, tell).await
}

/// Switches the page off and proves that the site answers; else visitors get the page again.
/// Repeatable. A page that somebody else has switched on stays.
pub(super) async fn lower(
    lower: &Lower,
    scene: &Scene<'_>,
    tell: &(dyn Fn(String) + Send + Sync),
) -> Result<(), StepError> {
    let maintenance = &lower.maintenance;
    match switch_off(maintenance, &lower.owner, scene)? {
        SwitchedOff::ByAnother(_) => return Ok(()),
        SwitchedOff::Now | SwitchedOff::Already => {}
    }
    let proved = prove(maintenance, Wanted::Off, UNTIL_ANSWERED, tell).await;
    if proved.is_err() {
        let flag = Flag {
            owner: lower.owner.clone(),
            reason: "the site does not answer".to_owned(),
            since: Some(scene.hands.clock.now()),
        };
        // That the site does not answer is what matters, whether or not the page is back.
        let back = put_up(maintenance, None, &flag, scene);
        tracing::debug!(
            back = back.is_ok(),
            "the page, because the site does not answer"
        );
    }
    proved
}

/// Makes sure that the page is on as it was when the attempt began: else somebody may have let
/// visitors in, and what they have written since must not be lost.
pub(super) fn still_on(scene: &Scene<'_>) -> Result<(), StepError> {
    let steps = scene.plan.steps.iter();
    let mut raised = steps.filter_map(|step| {
        let Action::MaintainOn(raise) = &step.action else {
            return None;
        };
        Some(&raise.maintenance.flag)
    });
    let Some(flag) = raised.next() else {
        return Ok(());
    };
    match maintenance::observe(flag, scene.hands.record.instance()) {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(MaintenanceError::NotProved {
            probe: flag.display().to_string(),
            wanted: Wanted::On,
            seen: "somebody has taken it away, and visitors may have written since".to_owned(),
            within: Duration::ZERO,
        }
        .into()),
        Err(source) => {
            let path = flag.clone();
            Err(MaintenanceError::Look { path, source }.into())
        }
    }
}

fn put_up(
    maintenance: &Maintenance,
    page: Option<&[u8]>,
    flag: &Flag,
    scene: &Scene<'_>,
) -> Result<SwitchedOn, StepError> {
    scene.hands.pass_page(&scene.plan.stack, maintenance)?;
    let page = maintenance.page_name().zip(page);
    let page = page.map(|(name, content)| Page { name, content });
    let instance = scene.hands.record.instance();
    // One that a person has put up meanwhile does as well, and stays theirs.
    Ok(maintenance::switch_on(
        &maintenance.flag,
        page,
        flag,
        instance,
    )?)
}

fn switch_off(
    maintenance: &Maintenance,
    owner: &Owner,
    scene: &Scene<'_>,
) -> Result<SwitchedOff, StepError> {
    // Whatever is permitted by now: only a flag that says that it is ours is taken away.
    let instance = scene.hands.record.instance();
    Ok(maintenance::switch_off(&maintenance.flag, owner, instance)?)
}

async fn prove(
    maintenance: &Maintenance,
    wanted: Wanted,
    within: Duration,
    tell: &(dyn Fn(String) + Send + Sync),
) -> Result<(), StepError> {
    let Some(probe) = &maintenance.probe else {
        return Ok(());
    };
    Ok(maintenance::prove(probe, wanted, within, tell).await?)
}

/// Says what may be in the way of a smoke check that sees 503 while the page is on.
pub(super) fn hint(error: StepError, scene: &Scene<'_>) -> StepError {
    let raised = scene
        .plan
        .steps
        .iter()
        .any(|step| matches!(step.action, Action::MaintainOn(_) | Action::MaintainOff(_)));
    if let StepError::Smoke { what, why } = &error
        && raised
        && why.contains("503")
    {
        return StepError::Smoke {
            what: what.clone(),
            why: format!(
                "{why}\n  hint: the maintenance page is on while it asks; let its path through in \
                 the proxy, or ask the service itself (docs/manifest.md, smoke)"
            ),
        };
    }
    error
}
