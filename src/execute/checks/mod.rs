//! Asks what `ready:` and `smoke:` want until it is so, for a bounded time.
//!
//! A service that is asked is watched as well: one whose container ended, or was started again
//! by the engine, has failed at once, whatever answers by then.

mod ask;
mod latency;
mod patience;

use std::time::Duration;

use tokio::sync::watch;

use super::StepError;
use crate::desired::checks::{Ready, Smoke, SmokeProbe};
use crate::engine::WriteEngine;
use ask::{Container, Question};
pub use latency::measure;
use patience::{Refusal, patiently};

/// What checks are made with.
pub struct Checks<'a> {
    /// The engine: looking at containers, and commands inside them.
    pub engine: &'a dyn WriteEngine,
    /// Turns true when waiting has no point any more.
    pub given_up: watch::Receiver<bool>,
    /// Where it is told what is waited for.
    pub tell: &'a (dyn Fn(String) + Send + Sync),
}

impl<'a> Checks<'a> {
    /// Makes checks of one step.
    pub fn new(
        engine: &'a dyn WriteEngine,
        given_up: watch::Receiver<bool>,
        tell: &'a (dyn Fn(String) + Send + Sync),
    ) -> Self {
        Self {
            engine,
            given_up,
            tell,
        }
    }

    /// Returns when a service is ready; `container` is its container, by id or name.
    ///
    /// # Errors
    /// It is not within the check's timeout or can't be any more ([`StepError::NotUp`]), the wait
    /// was given up, or the engine can't be asked.
    pub async fn ready(&self, check: &Ready, container: &str) -> Result<(), StepError> {
        let question = Question::Service {
            probe: &check.probe,
            container: Container::new(self.engine, container),
        };
        let label = format!("{}: {}", check.service, check.probe);
        match patiently(&question, &label, check.timeout, self).await {
            Ok(()) => Ok(()),
            Err(Refusal::NotYet(why) | Refusal::Never(why)) => {
                let why = format!("{}: {why}", check.probe);
                Err(StepError::not_up(self.engine, &check.service, container, why).await)
            }
            Err(other) => Err(other.into_step_error(&label)),
        }
    }

    /// Returns when a visitor would find the stack as wanted.
    ///
    /// `container` is that of the service in which the check runs a command, by id or name;
    /// checks by http and tcp need none. `before` is the median before the release, from
    /// [`measure`]; without it the latency is not looked at.
    ///
    /// # Errors
    /// It is not so within the check's timeout or can't be any more ([`StepError::Smoke`]), the
    /// wait was given up, or the engine can't be asked.
    pub async fn smoke(
        &self,
        check: &Smoke,
        container: Option<&str>,
        before: Option<Duration>,
    ) -> Result<(), StepError> {
        let runs_inside = matches!(check.probe, SmokeProbe::Exec { .. });
        let container = container.filter(|_| runs_inside);
        let question = Question::Stack {
            check,
            container: container.map(|id| Container::new(self.engine, id)),
            before,
        };
        let label = check.probe.to_string();
        let asked = patiently(&question, &label, check.timeout, self).await;
        asked.map_err(|refusal| refusal.into_step_error(&label))
    }
}

impl Refusal {
    fn into_step_error(self, what: &str) -> StepError {
        match self {
            Self::NotYet(why) | Self::Never(why) => StepError::Smoke {
                what: what.to_owned(),
                why,
            },
            Self::Engine(error) => StepError::Engine(error),
            Self::GivenUp => StepError::GivenUp,
        }
    }
}
