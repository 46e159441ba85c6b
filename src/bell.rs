//! Wakes the controller: many rings make one answer, and answers keep a distance.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use tokio::sync::Notify;
use tokio::time::Instant;

/// Something that asks for a look before the poll is due. Cloning is cheap; all clones are one
/// bell.
#[derive(Clone)]
pub struct Bell(Arc<Inside>);

/// How soon a bell is answered.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Time from the first ring to the answer: what comes in it is answered as well.
    pub settle: Duration,
    /// The first distance to the answer before, when it is rung again and again. It doubles with
    /// each answer.
    pub shortest: Duration,
    /// The longest such distance.
    pub longest: Duration,
}

struct Inside {
    rung: Notify,
    pace: Pace,
    /// How far the last answer was kept from the one before.
    distance: Mutex<Duration>,
}

impl Bell {
    /// Makes a bell that nobody has rung.
    pub fn new(pace: Pace) -> Self {
        Self(Arc::new(Inside {
            rung: Notify::new(),
            pace,
            distance: Mutex::default(),
        }))
    }

    /// Asks for an answer. Never blocks, and asks for one however often it is called.
    pub fn ring(&self) {
        self.0.rung.notify_one();
    }

    /// Waits until it was rung and the answer is due. The caller is the only one that waits, and
    /// calls this as soon as it has answered: the distance to the answer before begins there.
    ///
    /// Dropped before its end it may forget a ring: to be dropped only for another answer.
    pub async fn due(&self) {
        let since = Instant::now();
        self.0.rung.notified().await;
        let distance = self.0.pace.after(*self.distance(), since.elapsed());
        let settled = Instant::now() + self.0.pace.settle;
        tokio::time::sleep_until(settled.max(since + distance)).await;
        // What was rung meanwhile gets this answer.
        let _rung = self.0.rung.notified().now_or_never();
        *self.distance() = distance;
    }

    fn distance(&self) -> MutexGuard<'_, Duration> {
        let distance = self.0.distance.lock();
        distance.unwrap_or_else(PoisonError::into_inner)
    }
}

impl Pace {
    /// Returns how far an answer is to be from the one before, which was kept as far as `before`,
    /// when nobody rang for so long.
    fn after(&self, before: Duration, quiet: Duration) -> Duration {
        let next = before.saturating_mul(2);
        if quiet > next.max(self.shortest) {
            Duration::ZERO
        } else {
            next.clamp(self.shortest, self.longest)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Pace = Pace {
        settle: Duration::from_millis(50),
        shortest: Duration::from_secs(1),
        longest: Duration::from_secs(10),
    };

    /// Returns the time until the next answer, in milliseconds.
    async fn answer(bell: &Bell) -> u128 {
        let began = Instant::now();
        bell.due().await;
        began.elapsed().as_millis()
    }

    /// Compares times; the clock of tests goes in steps of a millisecond.
    #[track_caller]
    fn near(waited: u128, expected: u128) {
        assert!(waited.abs_diff(expected) <= 10, "{waited} {expected}");
    }

    /// Lets a ring come after so long.
    fn ring_after(bell: &Bell, pause: Duration) {
        let bell = bell.clone();
        tokio::spawn(async move {
            tokio::time::sleep(pause).await;
            bell.ring();
        });
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_answered_once() {
        let bell = Bell::new(PACE);
        for after in [2000, 2000, 2020, 2049] {
            ring_after(&bell, Duration::from_millis(after));
        }
        near(answer(&bell).await, 2050);
        let more = tokio::time::timeout(Duration::from_secs(60), bell.due()).await;
        assert!(more.is_err(), "it was answered twice");
    }

    #[tokio::test(start_paused = true)]
    async fn a_bell_that_never_rests_is_answered_less_and_less_often() {
        let bell = Bell::new(PACE);
        let ringing = bell.clone();
        let ringing = tokio::spawn(async move {
            loop {
                ringing.ring();
                tokio::time::sleep(Duration::from_millis(7)).await;
            }
        });
        let mut waited = Vec::new();
        for _ in 0..7 {
            waited.push(answer(&bell).await);
        }
        let expected = [1000, 2000, 4000, 8000, 10_000, 10_000, 10_000];
        for (waited, expected) in waited.into_iter().zip(expected) {
            near(waited, expected);
        }
        ringing.abort();
        // A ring that came with the end of it.
        bell.ring();
        bell.due().await;
        // Quiet for long enough, it is answered at once again.
        ring_after(&bell, Duration::from_secs(21));
        near(answer(&bell).await, 21_050);
    }

    #[tokio::test(start_paused = true)]
    async fn a_ring_before_anybody_waits_is_not_lost() {
        let bell = Bell::new(PACE);
        bell.ring();
        bell.ring();
        near(answer(&bell).await, 1000);
        let none = Pace {
            shortest: Duration::ZERO,
            longest: Duration::ZERO,
            ..PACE
        };
        let bell = Bell::new(none);
        for _ in 0..3 {
            bell.ring();
            near(answer(&bell).await, 50);
        }
    }
}
