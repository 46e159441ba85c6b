//! One pass: fetch, load, observe, plan, execute, record. Read this first.
//!
//! The only place that knows the order of the stages. A pass takes no input from what triggered
//! it: it reads everything afresh.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;

use crate::desired::DesiredState;
use crate::engine::EngineError;
use crate::events::Event;
use crate::execute::Hands;
use crate::host::{Host, View};
use crate::journal::Outcome;
use crate::observe::ObservedState;
use crate::plan::{Context, History, Plan};
use crate::record::RecordError;
use crate::stacks::LoadError;
use crate::{execute, observe, plan, stacks};

/// Why a stack could not be looked at or worked on.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// What Git wants could not be found out.
    #[error("{0}")]
    Load(#[from] LoadError),
    /// The engine could not be asked.
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// The record could not be read or written.
    #[error("{0}")]
    Record(#[from] RecordError),
}

/// A stack that was looked at: everything that the plan was made from, and the plan.
pub struct Looked {
    /// What Git wants.
    pub desired: DesiredState,
    /// What is on the host.
    pub observed: ObservedState,
    /// What was.
    pub history: History,
    /// What a pass does about it.
    pub plan: Plan,
}

/// What a pass did to a stack.
pub struct Passed {
    /// What it was made from.
    pub looked: Looked,
    /// How the attempt ended; `None` when there was nothing to do or something holds it.
    pub outcome: Option<Outcome>,
}

/// One result for each stack, by the directory of its manifest.
pub type ByStack<T> = BTreeMap<String, Result<T, PassError>>;

/// Does one pass over all stacks, or over the one that is named; stacks side by side.
///
/// # Errors
/// The state repository can't be fetched; nothing on the host is changed then.
pub async fn reconcile(host: &Host, only: Option<&str>) -> Result<ByStack<Passed>, PassError> {
    let passes = stacks::load(&host.view, only)
        .await?
        .into_iter()
        .map(|(dir, desired)| async {
            let passed = match desired {
                Ok(desired) => pass(&host.view, &host.hands, desired).await,
                Err(error) => Err(error.into()),
            };
            (dir, passed)
        });
    Ok(join_all(passes).await.into_iter().collect())
}

/// Looks at all stacks, or at the one that is named, and changes nothing.
///
/// # Errors
/// The state repository can't be fetched.
pub async fn look(view: &View, only: Option<&str>) -> Result<ByStack<Looked>, PassError> {
    let looks = stacks::load(view, only)
        .await?
        .into_iter()
        .map(|(dir, desired)| async {
            let looked = match desired {
                Ok(desired) => look_at(view, desired).await,
                Err(error) => Err(error.into()),
            };
            (dir, looked)
        });
    Ok(join_all(looks).await.into_iter().collect())
}

/// Does one pass over one stack.
///
/// # Errors
/// The engine could not be asked, or the record could not be written.
pub async fn pass(view: &View, hands: &Hands, desired: DesiredState) -> Result<Passed, PassError> {
    hands
        .record
        .end_interrupted(&desired.stack, hands.clock.now())?;
    let looked = look_at(view, desired).await?;
    if looked.plan.is_empty() {
        return Ok(Passed {
            looked,
            outcome: None,
        });
    }
    hands.events.tell(Event::Planned {
        plan: Arc::new(looked.plan.clone()),
    });
    let outcome = execute::execute(&looked.plan, hands).await?;
    Ok(Passed {
        looked,
        outcome: Some(outcome),
    })
}

/// Looks at one stack and changes nothing.
///
/// # Errors
/// The engine or the record could not be asked.
pub async fn look_at(view: &View, desired: DesiredState) -> Result<Looked, PassError> {
    view.redactor.learn(desired.secrets.iter().cloned());
    for warning in &desired.warnings {
        let (stack, warning) = (desired.stack.clone(), warning.clone());
        view.events.tell(Event::Warning { stack, warning });
    }
    let history = match &view.record {
        Some(record) => record.history(&desired.stack)?,
        None => History::default(),
    };
    let released = history
        .release
        .iter()
        .flat_map(|release| release.files.keys());
    let observed = observe::observe(view.engine.as_ref(), &desired, released).await?;
    let now = view.clock.now().as_second();
    let context = Context {
        instance: view.instance(),
        key: &view.key,
        now,
    };
    let plan = plan::plan(&desired, &observed, &history, &context);
    Ok(Looked {
        desired,
        observed,
        history,
        plan,
    })
}
