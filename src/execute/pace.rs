//! How often a wait looks, and how often it speaks.

use std::time::Duration;

use tokio::time::Instant;

/// Time between two looks at one container: a look costs the engine 0.2 ms.
pub(super) const BETWEEN_LOOKS: Duration = Duration::from_millis(100);

/// Time between two words to the person who waits.
const BETWEEN_WORDS: Duration = Duration::from_secs(2);

/// A wait with an end.
pub(super) struct Pace {
    began: Instant,
    told: Instant,
    within: Duration,
}

impl Pace {
    /// Begins a wait.
    pub(super) fn new(within: Duration) -> Self {
        let now = Instant::now();
        Self {
            began: now,
            told: now,
            within,
        }
    }

    /// Returns how long it has been.
    pub(super) fn waited(&self) -> Duration {
        self.began.elapsed()
    }

    /// Returns whether its time is over.
    pub(super) fn is_over(&self) -> bool {
        self.waited() > self.within
    }

    /// Returns whether it is time for a word; then the next is due later.
    pub(super) fn is_time_for_a_word(&mut self) -> bool {
        let due = self.told.elapsed() >= BETWEEN_WORDS;
        if due {
            self.told = Instant::now();
        }
        due
    }

    /// Says how much time is left: `9m 46s left`.
    pub(super) fn left(&self) -> String {
        let left = self.within.saturating_sub(self.waited());
        format!("{} left", in_seconds(left))
    }
}

/// Says a duration without its parts of a second.
pub(super) fn in_seconds(duration: Duration) -> String {
    humantime::format_duration(Duration::from_secs(duration.as_secs())).to_string()
}
