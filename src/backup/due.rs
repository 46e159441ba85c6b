//! Decides when something with a schedule is due, and when it is late.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::desired::Schedule;

/// Returns whether it is time: it never happened, or its next time after the last has come.
///
/// A last time that lies ahead comes from a clock that was wrong; nothing can be said from it,
/// and it is time.
pub fn is_due(
    schedule: &Schedule,
    zone: &TimeZone,
    last: Option<Timestamp>,
    now: Timestamp,
) -> bool {
    match last {
        Some(last) if last <= now => schedule.after(last, zone).is_some_and(|next| next <= now),
        Some(_) | None => true,
    }
}

/// Returns whether a whole period went by without it: its second time after the last has come.
///
/// What never happened is due, not late: when it should have begun is not known.
pub fn is_late(
    schedule: &Schedule,
    zone: &TimeZone,
    last: Option<Timestamp>,
    now: Timestamp,
) -> bool {
    last.and_then(|last| schedule.after(last, zone))
        .and_then(|missed| schedule.after(missed, zone))
        .is_some_and(|next| next <= now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn nightly() -> Schedule {
        Schedule::try_from("30 2 * * *".to_owned()).unwrap()
    }

    #[test]
    fn is_due_from_its_time_on_and_late_a_period_after() {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let last = Some(at("2026-06-01T00:30:05Z"));
        for (now, due, late) in [
            ("2026-06-01T00:30:06Z", false, false),
            ("2026-06-02T00:29:59Z", false, false),
            ("2026-06-02T00:30:00Z", true, false),
            ("2026-06-03T00:29:59Z", true, false),
            ("2026-06-03T00:30:00Z", true, true),
        ] {
            let now = at(now);
            assert_eq!(is_due(&nightly(), &zone, last, now), due, "{now}");
            assert_eq!(is_late(&nightly(), &zone, last, now), late, "{now}");
        }
    }

    #[test]
    fn the_first_one_is_due_and_not_late() {
        let now = at("2026-06-01T12:00:00Z");
        assert!(is_due(&nightly(), &TimeZone::UTC, None, now));
        assert!(!is_late(&nightly(), &TimeZone::UTC, None, now));
    }

    #[test]
    fn a_clock_that_was_ten_years_ahead_stops_nothing() {
        let last = Some(at("2036-06-01T00:00:00Z"));
        let now = at("2026-06-01T12:00:00Z");
        assert!(is_due(&nightly(), &TimeZone::UTC, last, now));
        assert!(!is_due(&nightly(), &TimeZone::UTC, Some(now), now));
    }

    /// Looks every ten minutes through a night in which the clock changes, and takes one when due.
    fn taken_in_the_night(of: &str) -> usize {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let mut last = Some(at(of));
        let mut now = at(of);
        let mut taken = 0;
        for _ in 0..6 * 24 {
            now += jiff::SignedDuration::from_mins(10);
            if is_due(&nightly(), &zone, last, now) {
                last = Some(now);
                taken += 1;
            }
        }
        taken
    }

    #[test]
    fn one_a_night_also_when_the_clock_changes() {
        assert_eq!(taken_in_the_night("2026-03-28T12:00:00Z"), 1);
        assert_eq!(taken_in_the_night("2026-10-24T12:00:00Z"), 1);
        assert_eq!(taken_in_the_night("2026-06-24T12:00:00Z"), 1);
    }
}
