//! Reads a moment as people write it.

use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use serde::Deserialize;

/// A moment as people write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum Moment {
    /// A whole day: `2026-12-24`.
    Day(Date),
    /// A time of a day: `2026-12-24 18:00`.
    Time(DateTime),
    /// The same everywhere: `2026-12-24T18:00Z`.
    Exact(Timestamp),
}

impl Moment {
    /// Returns when it begins.
    pub fn starts(self, zone: &TimeZone) -> Timestamp {
        match self {
            Self::Day(day) => in_zone(day.at(0, 0, 0, 0), zone),
            Self::Time(time) => in_zone(time, zone),
            Self::Exact(exact) => exact,
        }
    }

    /// Returns when it is over: of a day its end, else the moment itself.
    pub fn ends(self, zone: &TimeZone) -> Timestamp {
        match self {
            Self::Day(day) => {
                let next = day.tomorrow().map(|next| next.at(0, 0, 0, 0));
                next.map_or(Timestamp::MAX, |next| in_zone(next, zone))
            }
            Self::Time(_) | Self::Exact(_) => self.starts(zone),
        }
    }
}

/// Only times at the end of the calendar have no place on the clock.
fn in_zone(time: DateTime, zone: &TimeZone) -> Timestamp {
    zone.to_timestamp(time).unwrap_or(Timestamp::MAX)
}

impl FromStr for Moment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Ok(exact) = text.parse::<Timestamp>() {
            return Ok(Self::Exact(exact));
        }
        let is_day = !text.contains([':', ' ', 'T', 't']);
        let read = if is_day {
            text.parse().map(Self::Day)
        } else {
            text.parse().map(Self::Time)
        };
        read.map_err(|_| {
            let text = text.escape_default();
            format!(
                "\"{text}\" is not a time such as 2026-12-24, 2026-12-24 18:00 or \
                 2026-12-24T18:00Z"
            )
        })
    }
}

impl TryFrom<String> for Moment {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}
