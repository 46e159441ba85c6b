//! Asks again and again, for a bounded time, and says what it waits for.

use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use super::Checks;
use super::ask::Question;
use crate::engine::EngineError;

/// Why a check has not passed.
pub(super) enum Refusal {
    /// It may pass later.
    NotYet(String),
    /// It can't pass any more.
    Never(String),
    /// The engine could not be asked.
    Engine(EngineError),
    /// Nobody waits for it any more.
    GivenUp,
}

impl From<EngineError> for Refusal {
    fn from(error: EngineError) -> Self {
        Self::Engine(error)
    }
}

/// Asks until the answer is as wanted.
///
/// # Errors
/// Why it is not; after `timeout` what was seen last, with the time that it had.
pub(super) async fn patiently(
    question: &Question<'_>,
    label: &str,
    timeout: Duration,
    with: &Checks<'_>,
) -> Result<(), Refusal> {
    let asking = Asking {
        label,
        began: Instant::now(),
        timeout,
        last: Mutex::new("no answer yet".to_owned()),
    };
    tokio::select! {
        asked = asking.ask(question) => asked,
        fallen = question.fallen() => Err(fallen),
        () = turned(with.given_up.clone()) => Err(Refusal::GivenUp),
        never = asking.talk(with.tell) => match never {},
    }
}

/// Returns when it turns true, or nobody is left to turn it.
async fn turned(mut given_up: watch::Receiver<bool>) {
    // Both ends of it mean the same.
    let (Ok(_) | Err(_)) = given_up.wait_for(|given_up| *given_up).await;
}

struct Asking<'a> {
    label: &'a str,
    began: Instant,
    timeout: Duration,
    last: Mutex<String>,
}

impl Asking<'_> {
    async fn ask(&self, question: &Question<'_>) -> Result<(), Refusal> {
        let mut pause = FIRST_PAUSE;
        loop {
            let why = match question.ask(self.left().max(SHORTEST)).await {
                Ok(()) => return Ok(()),
                Err(Refusal::NotYet(why)) => why,
                Err(over) => return Err(over),
            };
            if self.left().is_zero() {
                let timeout = humantime::format_duration(self.timeout);
                return Err(Refusal::NotYet(format!("{why}, after {timeout}")));
            }
            *self.last.lock().unwrap_or_else(PoisonError::into_inner) = why;
            tokio::time::sleep(pause.min(self.left())).await;
            pause = (pause * 3 / 2).min(LONGEST_PAUSE);
        }
    }

    async fn talk(&self, tell: &(dyn Fn(String) + Send + Sync)) -> Infallible {
        loop {
            tokio::time::sleep(BETWEEN_WORDS).await;
            let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            let seconds = (self.left() + Duration::from_millis(500)).as_secs();
            let left = humantime::format_duration(Duration::from_secs(seconds));
            tell(format!("{}: {last}; {left} left", self.label));
        }
    }

    fn left(&self) -> Duration {
        self.timeout.saturating_sub(self.began.elapsed())
    }
}

/// A service that comes up is noticed at once...
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// ... and one that takes its time is not kept from it.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// The last question has time to be answered too, or all that is known in the end is that it was
/// not.
const SHORTEST: Duration = Duration::from_millis(250);

/// Time between two words to the person who waits.
const BETWEEN_WORDS: Duration = Duration::from_secs(2);
