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
    last: Mutex<Option<Answer>>,
}

/// The last answer.
#[derive(Clone, Copy)]
struct Answer {
    /// How far it was kept from the one before.
    distance: Duration,
    /// When it was through; `None` = it is not.
    ended: Option<Instant>,
}

impl Bell {
    /// Makes a bell that nobody has rung.
    pub fn new(pace: Pace) -> Self {
        Self(Arc::new(Inside {
            rung: Notify::new(),
            pace,
            last: Mutex::default(),
        }))
    }

    /// Asks for an answer. Never blocks, and asks for one however often it is called.
    pub fn ring(&self) {
        self.0.rung.notify_one();
    }

    /// Waits until it was rung and the answer is due. The caller is the only one that waits, and
    /// calls this as soon as it has answered: the distance to that answer begins there.
    ///
    /// Dropped before its end it may forget a ring: to be dropped only for another answer.
    pub async fn due(&self) {
        let last = self.end_of_last();
        self.0.rung.notified().await;
        let now = Instant::now();
        let ended = last.and_then(|last| last.ended).unwrap_or(now);
        let distance = last.map_or(Duration::ZERO, |last| {
            let quiet = now.saturating_duration_since(ended);
            self.0.pace.after(last.distance, quiet)
        });
        let settled = now + self.0.pace.settle;
        tokio::time::sleep_until(settled.max(ended + distance)).await;
        // What was rung meanwhile gets this answer.
        let _rung = self.0.rung.notified().now_or_never();
        *self.last() = Some(Answer {
            distance,
            ended: None,
        });
    }

    /// Returns the last answer, which is through now if it was not before.
    fn end_of_last(&self) -> Option<Answer> {
        let mut last = self.last();
        if let Some(last) = last.as_mut() {
            last.ended.get_or_insert_with(Instant::now);
        }
        *last
    }

    fn last(&self) -> MutexGuard<'_, Option<Answer>> {
        let last = self.0.last.lock();
        last.unwrap_or_else(PoisonError::into_inner)
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
        for _ in 0..8 {
            waited.push(answer(&bell).await);
        }
        let expected = [50, 1000, 2000, 4000, 8000, 10_000, 10_000, 10_000];
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
        near(answer(&bell).await, 50);
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

    #[tokio::test(start_paused = true)]
    async fn what_else_wakes_the_controller_does_not_keep_a_bell_from_resting() {
        let bell = Bell::new(PACE);
        for _ in 0..4 {
            bell.ring();
            bell.due().await;
        }
        for _ in 0..4 {
            let poll = tokio::time::timeout(Duration::from_secs(3), bell.due()).await;
            assert!(poll.is_err(), "nobody rang");
        }
        ring_after(&bell, Duration::from_millis(100));
        near(answer(&bell).await, 150);
    }
}
