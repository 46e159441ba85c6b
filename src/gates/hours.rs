//! Reads hours of the week such as `Mon-Thu 08:00-18:00, Fri 08:00-12:00`.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use serde::Deserialize;

/// Days of the week, Monday first, as they are written.
const DAYS: [&str; 7] = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"];

/// Most spans in one text.
const MOST_SPANS: usize = 32;

/// Hours of the week.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub(super) struct Hours(Vec<Span>);

/// One span of hours, on some days of the week. One that ends before it begins ends on the
/// next day.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Span {
    /// Monday first.
    days: Vec<&'static str>,
    from: Time,
    to: Time,
}

/// A time of the day; `24:00` is its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Time {
    hour: i8,
    minute: i8,
}

impl Hours {
    /// Returns whether a moment is within.
    pub(super) fn contain(&self, at: Timestamp, zone: &TimeZone) -> bool {
        let today = at.to_zoned(zone.clone()).date();
        // One that began yesterday may go on.
        let days = [today.yesterday().ok(), Some(today)];
        days.into_iter().flatten().any(|day| {
            let mut spans = self.on(day, zone);
            spans.any(|(from, to)| from <= at && at < to)
        })
    }

    /// Returns when the next span after a moment begins.
    pub(super) fn next_start(&self, after: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut day = after.to_zoned(zone.clone()).date();
        // The same day of the next week, in whatever zone.
        for _ in 0..=DAYS.len() + 1 {
            let starts = self.on(day, zone).map(|(from, _)| from);
            if let Some(first) = starts.filter(|from| *from > after).min() {
                return Some(first);
            }
            day = day.tomorrow().ok()?;
        }
        None
    }

    /// Returns the spans that begin on a day.
    fn on(&self, day: Date, zone: &TimeZone) -> impl Iterator<Item = (Timestamp, Timestamp)> {
        let index = usize::try_from(day.weekday().to_monday_zero_offset()).unwrap_or_default();
        let name = DAYS.get(index).copied().unwrap_or_default();
        let spans = self.0.iter().filter(move |span| span.days.contains(&name));
        spans.filter_map(move |span| {
            let last = if span.to <= span.from {
                day.tomorrow().ok()?
            } else {
                day
            };
            let on_clock = |time: DateTime| zone.to_timestamp(time).ok();
            Some((on_clock(span.from.on(day)?)?, on_clock(span.to.on(last)?)?))
        })
    }
}

impl Time {
    fn on(self, day: Date) -> Option<DateTime> {
        if self.hour == 24 {
            return day.tomorrow().ok().map(|next| next.at(0, 0, 0, 0));
        }
        Some(day.at(self.hour, self.minute, 0, 0))
    }

    fn read(text: &str) -> Option<Self> {
        let (hour, minute) = text.split_once(':')?;
        let is_number = |text: &str| text.len() == 2 && text.bytes().all(|b| b.is_ascii_digit());
        if !is_number(hour) || !is_number(minute) {
            return None;
        }
        let (hour, minute): (u8, u8) = (hour.parse().ok()?, minute.parse().ok()?);
        let is_one = (hour < 24 && minute < 60) || (hour, minute) == (24, 0);
        let read = || {
            Some(Self {
                hour: i8::try_from(hour).ok()?,
                minute: i8::try_from(minute).ok()?,
            })
        };
        is_one.then(read).flatten()
    }
}

impl TryFrom<String> for Hours {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let spans: Vec<&str> = text.split(',').map(str::trim).collect();
        if spans.len() > MOST_SPANS {
            return Err(format!("more than {MOST_SPANS} spans of hours"));
        }
        let read = |span: &str| {
            Span::read(span).ok_or_else(|| {
                let span = span.escape_default();
                format!("\"{span}\" is not days and hours such as Mon-Thu 08:00-18:00")
            })
        };
        let spans: Result<Vec<Span>, String> = spans.into_iter().map(read).collect();
        Ok(Self(spans?))
    }
}

impl Span {
    fn read(text: &str) -> Option<Self> {
        let (days, hours) = match text.split_once(char::is_whitespace) {
            Some((days, hours)) => (read_days(days)?, hours.trim()),
            None => (DAYS.to_vec(), text),
        };
        let (from, to) = hours.split_once('-')?;
        let (from, to) = (Time::read(from.trim())?, Time::read(to.trim())?);
        // A span of nothing, or one that begins when the day is over.
        (from != to && from.hour < 24).then_some(Self { days, from, to })
    }
}

/// Reads `Mon`, `Mon-Thu` or `Fri-Mon`.
fn read_days(text: &str) -> Option<Vec<&'static str>> {
    let index = |name: &str| {
        let is_it = |day: &&str| day.eq_ignore_ascii_case(name);
        DAYS.iter().position(is_it)
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (index(first)?, index(last)?);
    let count = (last + DAYS.len() - first) % DAYS.len() + 1;
    let days = DAYS.iter().cycle().skip(first).take(count);
    Some(days.copied().collect())
}
