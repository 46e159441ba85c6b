//! Proves what visitors see.

use std::fmt;
use std::time::Duration;

use tokio::time::Instant;
use url::Url;

use super::MaintenanceError;
use crate::desired::checks::{Answer, WantedStatus};
use crate::probe;

/// What visitors should see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The page, with status 503.
    On,
    /// The stack: any answer below 500.
    Off,
}

/// Asks an address until visitors see what is wanted.
///
/// # Errors
/// They do not within `within`; with what was seen last.
pub async fn prove(
    probe: &Url,
    wanted: Wanted,
    within: Duration,
    tell: &(dyn Fn(String) + Send + Sync),
) -> Result<(), MaintenanceError> {
    let answer = Answer::of_status(match wanted {
        Wanted::On => WantedStatus::Exactly(503),
        Wanted::Off => WantedStatus::NoServerError,
    });
    let began = Instant::now();
    let mut told = began;
    loop {
        let left = within.saturating_sub(began.elapsed());
        let limit = left.clamp(SHORTEST_ANSWER, LONGEST_ANSWER);
        let Err(seen) = probe::http(probe, &answer, limit).await else {
            return Ok(());
        };
        if told.elapsed() >= BETWEEN_WORDS {
            told = Instant::now();
            tell(format!("GET {probe}: {seen}"));
        }
        tokio::time::sleep(BETWEEN_LOOKS).await;
        if began.elapsed() >= within {
            return Err(MaintenanceError::NotProved {
                probe: probe.to_string(),
                wanted,
                seen: seen.to_string(),
                within,
            });
        }
    }
}

/// Time between two questions.
const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// Time between two words to the person who waits.
const BETWEEN_WORDS: Duration = Duration::from_secs(2);

/// The last question has time to be answered too, or all that is known in the end is that it was
/// not.
const SHORTEST_ANSWER: Duration = Duration::from_millis(250);

/// A proxy that hangs in one worker may answer in another.
const LONGEST_ANSWER: Duration = Duration::from_secs(5);

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::On => "on",
            Self::Off => "off",
        })
    }
}
