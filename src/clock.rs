//! The wall clock, injected: only for display, records and schedules, never for ordering.

use jiff::Timestamp;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Returns now.
    fn now(&self) -> Timestamp;
}

/// The system's clock.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}
