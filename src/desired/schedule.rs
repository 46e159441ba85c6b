//! When something happens by itself: five cron fields, read in a time zone.

use std::fmt;

use croner::Cron;
use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;

/// Minute, hour, day of month, month and day of week, as in `crontab(5)`; fires at least once.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub struct Schedule {
    text: String,
    cron: Cron,
}

impl Schedule {
    /// Returns the first time after `time` at which it fires; `None` beyond the library's years.
    ///
    /// A time of day that the clock skips in spring fires when the clock has moved on, one that
    /// the clock shows twice in autumn fires once.
    pub fn after(&self, time: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let from = time.to_zoned(zone.clone());
        let next = self.cron.find_next_occurrence(&from, false).ok()?;
        Some(next.timestamp())
    }

    /// Returns whether it is time: it never happened, or its next time after the last has come.
    ///
    /// A last time that lies ahead comes from a clock that was wrong; nothing can be said from it,
    /// and it is time.
    pub fn is_due(&self, zone: &TimeZone, last: Option<Timestamp>, now: Timestamp) -> bool {
        match last {
            Some(last) if last <= now => self.after(last, zone).is_some_and(|next| next <= now),
            Some(_) | None => true,
        }
    }

    /// Returns whether a whole period went by without it: its second time after the last has come.
    ///
    /// What never happened is due, not late: when it should have begun is not known.
    pub fn is_late(&self, zone: &TimeZone, last: Option<Timestamp>, now: Timestamp) -> bool {
        last.and_then(|last| self.after(last, zone))
            .and_then(|missed| self.after(missed, zone))
            .is_some_and(|next| next <= now)
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl TryFrom<String> for Schedule {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let refused = |why: &str| {
            format!(
                "\"{}\" is not a schedule: {why}; write minute, hour, day of month, month and day \
                 of week, as in \"0 2 * * *\"",
                text.escape_default()
            )
        };
        check_form(&text).map_err(refused)?;
        let parser = CronParser::builder()
            .seconds(Seconds::Disallowed)
            .year(Year::Disallowed)
            .build();
        let cron = parser
            .parse(&text)
            .map_err(|error| refused(&error.to_string()))?;
        let schedule = Self { text, cron };
        // Any start will do: the calendar repeats.
        match schedule.after(Timestamp::UNIX_EPOCH, &TimeZone::UTC) {
            Some(_) => Ok(schedule),
            None => Err(format!(
                "\"{}\" never comes: there is no such day",
                schedule.text
            )),
        }
    }
}

/// Refuses what the library takes beyond `crontab(5)`, where a slip would change the meaning:
/// nicknames, a field of seconds or years, names of days as minutes, `L`, `W`, `#` and `?`.
fn check_form(text: &str) -> Result<(), &'static str> {
    let fields: Vec<&str> = text.split_ascii_whitespace().collect();
    if text.contains('@') {
        return Err("nicknames are not taken");
    }
    if fields.len() != 5 {
        return Err("it must have five fields");
    }
    let plain = |c: char| c.is_ascii_digit() || "*,-/".contains(c);
    for (n, field) in fields.iter().enumerate() {
        // Only month and day of week have names.
        let good = |c: char| plain(c) || (n >= 3 && c.is_ascii_alphabetic());
        if !field.chars().all(good) {
            return Err("a field has a character that has no place there");
        }
        let words = field.split(|c: char| !c.is_ascii_alphabetic());
        if words
            .clone()
            .any(|word| !word.is_empty() && !named(n, word))
        {
            return Err("months are called JAN to DEC, days SUN to SAT");
        }
    }
    Ok(())
}

fn named(field: usize, word: &str) -> bool {
    const MONTHS: [&str; 12] = [
        "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
    ];
    const DAYS: [&str; 7] = ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];
    let names: &[&str] = if field == 3 { &MONTHS } else { &DAYS };
    names.iter().any(|name| name.eq_ignore_ascii_case(word))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schedule(text: &str) -> Schedule {
        Schedule::try_from(text.to_owned()).unwrap()
    }

    fn refused(text: &str) -> String {
        Schedule::try_from(text.to_owned()).unwrap_err()
    }

    /// The next `count` times after `from`, as they read on a clock in Berlin.
    fn berlin(text: &str, from: &str, count: usize) -> Vec<String> {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let mut time = from.parse::<Timestamp>().unwrap();
        let mut found = Vec::new();
        for _ in 0..count {
            time = schedule(text).after(time, &zone).unwrap();
            let shown = time.to_zoned(zone.clone()).strftime("%m-%d %H:%M %Z");
            found.push(shown.to_string());
        }
        found
    }

    #[test]
    fn fires_once_where_the_clock_skips_an_hour() {
        let found = berlin("30 2 * * *", "2026-03-28T00:00:00Z", 3);
        assert_eq!(
            found,
            ["03-28 02:30 CET", "03-29 03:00 CEST", "03-30 02:30 CEST"]
        );
    }

    #[test]
    fn fires_once_where_the_clock_shows_an_hour_twice() {
        let found = berlin("30 2 * * *", "2026-10-24T00:00:00Z", 3);
        assert_eq!(
            found,
            ["10-24 02:30 CEST", "10-25 02:30 CEST", "10-26 02:30 CET"]
        );
    }

    #[test]
    fn reads_what_crontab_reads() {
        for text in [
            "*/15 * * * *",
            "0 2 1,15 * MON-FRI",
            "0 0 29 2 *",
            "5 4 * jan sun",
            "0 0 * * 7",
        ] {
            assert_eq!(schedule(text).to_string(), text);
        }
    }

    #[test]
    fn refuses_what_never_comes() {
        let text = refused("* * 31 2 *");
        assert_eq!(text, "\"* * 31 2 *\" never comes: there is no such day");
        assert!(refused("0 0 30 2 *").contains("never comes"));
    }

    #[test]
    fn refuses_what_would_surprise() {
        for text in [
            "",
            "@daily",
            "0 2 * *",
            "0 0 2 * * *",
            "0 0 2 * * * 2026",
            "MON 2 * * *",
            "0 2 L * *",
            "0 2 * * 5#2",
            "0 2 ? * *",
            "0 2 15W * *",
            "61 2 * * *",
            "0 24 * * *",
            "0 2 * * MONDAY",
            "0 2 * MON *",
            "0 2 * * 8",
            "*/0 * * * *",
            "0 2 0 * *",
            "5/10 * * * *",
            "0 2 * * +1",
            "-1 2 * * *",
            "\u{661} 2 * * *",
        ] {
            assert!(refused(text).contains("is not a schedule"), "{text}");
        }
    }

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
            assert_eq!(nightly().is_due(&zone, last, now), due, "{now}");
            assert_eq!(nightly().is_late(&zone, last, now), late, "{now}");
        }
    }

    #[test]
    fn the_first_one_is_due_and_not_late() {
        let now = at("2026-06-01T12:00:00Z");
        assert!(nightly().is_due(&TimeZone::UTC, None, now));
        assert!(!nightly().is_late(&TimeZone::UTC, None, now));
    }

    #[test]
    fn a_clock_that_was_ten_years_ahead_stops_nothing() {
        let last = Some(at("2036-06-01T00:00:00Z"));
        let now = at("2026-06-01T12:00:00Z");
        assert!(nightly().is_due(&TimeZone::UTC, last, now));
        assert!(!nightly().is_due(&TimeZone::UTC, Some(now), now));
    }

    /// Looks every ten minutes through a night in which the clock changes, and takes one when due.
    fn taken_in_the_night(of: &str) -> usize {
        let zone = TimeZone::get("Europe/Berlin").unwrap();
        let mut last = Some(at(of));
        let mut now = at(of);
        let mut taken = 0;
        for _ in 0..6 * 24 {
            now += jiff::SignedDuration::from_mins(10);
            if nightly().is_due(&zone, last, now) {
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
