//! One pass: fetch, load, observe, plan, execute, record. Read this first.
//!
//! Alone knows the order of the stages. Whatever triggers a pass, it reads everything afresh.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::desired::DesiredState;
use crate::events::Event;
use crate::execute::Hands;
use crate::host::{Host, View};
use crate::pass::{ByStack, Looked, PassError, Passed, each};
use crate::record::Record;
use crate::stacks::{LoadError, Loaded};
use crate::{execute, kept, observe, plan, stacks};

/// Does one pass over all stacks, or over the one that is named; stacks side by side.
///
/// # Errors
/// The state repository can't be fetched; nothing on the host is changed then.
pub async fn reconcile(host: &Host, only: Option<&str>) -> Result<ByStack<Passed>, PassError> {
    let began = Instant::now();
    let stacks = stacks::load(&host.view, only).await?;
    let loaded = began.elapsed();
    let pass = async |dir: &str, desired| pass_loaded(&host.view, &host.hands, dir, desired).await;
    let passed = each(stacks, pass).await;
    let pass = began.elapsed().saturating_sub(loaded);
    tracing::debug!(?loaded, ?pass, "a pass is done");
    Ok(passed)
}

/// Looks at all stacks, or at the one that is named, and changes nothing.
///
/// # Errors
/// The state repository can't be fetched.
pub async fn look(view: &View, only: Option<&str>) -> Result<ByStack<Looked>, PassError> {
    Ok(look_at_all(view, stacks::load(view, only).await?).await)
}

/// Looks at stacks that were loaded, from wherever, and changes nothing.
pub async fn look_at_all(view: &View, stacks: Loaded) -> ByStack<Looked> {
    each(stacks, async |_, desired| look_at(view, desired?).await).await
}

/// Does one pass over a stack as it was loaded; one whose head can't be is kept as it was released.
///
/// # Errors
/// It can't be loaded; or as [`pass`].
pub async fn pass_loaded(
    view: &View,
    hands: &Hands,
    dir: &str,
    desired: Result<DesiredState, LoadError>,
) -> Result<Passed, PassError> {
    let Some(released) = stacks::instead(view, dir, &desired) else {
        return Box::pin(pass(view, hands, desired?)).await;
    };
    let passed = Box::pin(pass(view, hands, released)).await;
    kept::beside(view, dir, desired, passed)
}

/// Time for somebody's command on a stack to end; after it the stack waits for the next pass.
const A_MOMENT: Duration = Duration::from_secs(1);

/// Does one pass over one stack.
///
/// # Errors
/// The engine could not be asked, or the record could not be written.
pub async fn pass(view: &View, hands: &Hands, desired: DesiredState) -> Result<Passed, PassError> {
    let _lock = hands.lock_stack(&desired.stack, A_MOMENT).await?;
    execute::settle_leftovers(hands, &desired)?;
    let was_due = hands.engine_lock.is_due();
    let mut looked = Box::pin(look_at(view, desired)).await?;
    if was_due && !looked.plan.is_empty() {
        hands.engine_lock.take(&view.engine.info().await?.id)?;
        // Whoever had it until now may have been at work.
        looked = Box::pin(look_again(view, looked.desired)).await?;
    }
    hands.record.keep_asked(&looked.observed.asked)?;
    let mut outcome = None;
    if !looked.plan.is_empty() {
        let plan = Arc::new(looked.plan.clone());
        hands.events.tell(Event::Planned { plan });
        outcome = Some(execute::execute(&looked.plan, hands).await?);
    }
    Ok(Passed { looked, outcome })
}

/// Looks at one stack and changes nothing.
///
/// # Errors
/// The engine or the record could not be asked.
pub async fn look_at(view: &View, desired: DesiredState) -> Result<Looked, PassError> {
    view.redactor.learn(desired.secrets.iter().cloned());
    view.events.warn(&desired);
    look_again(view, desired).await
}

async fn look_again(view: &View, desired: DesiredState) -> Result<Looked, PassError> {
    let (history, asked) = Record::remembered(view.record.as_ref(), &desired.stack)?;
    let (engine, recorded) = (view.engine.as_ref(), history.recorded());
    let mut observed = observe::observe(engine, &desired, recorded, view.instance()).await?;
    let now = view.clock.now().as_second();
    observe::ask_registries(engine, &desired, &mut observed, &asked, now).await?;
    let policy = view.policy();
    let context = view.context(&policy, now);
    let plan = plan::plan(&desired, &observed, &history, &context);
    let (plan, scheduled) = kept::keep(view, plan, &history, &context).await?;
    Ok(Looked {
        desired,
        observed,
        history,
        plan,
        scheduled,
    })
}
