//! Says whether changes are let in now, and when they are again.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::Moment;
use super::hours::Hours;
use crate::document;

/// Most changes between open and closed that are looked at for the next opening: freezes that lie
/// behind one another, with the weekends between.
const MOST_TURNS: usize = 1000;

/// When changes are let in.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Hours of the week; left out = always.
    deploy: Option<Hours>,
    /// Their time zone; left out = the host's.
    #[serde(default, deserialize_with = "document::time_zone")]
    zone: Option<TimeZone>,
    /// Times in which nothing is changed, whatever the hour.
    #[serde(default)]
    freeze: Vec<Freeze>,
}

/// A time in which nothing is changed.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Fields")]
struct Freeze {
    from: Moment,
    to: Moment,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Fields {
    from: Moment,
    to: Moment,
    reason: String,
}

/// A window that is closed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// Why it is frozen; `None` = it is only the hour.
    pub freeze: Option<String>,
    /// When it opens, for people; `None` = never, as far as can be seen.
    pub opens: Option<String>,
    /// The same on the clock.
    pub opens_at: Option<Timestamp>,
}

impl TryFrom<Fields> for Freeze {
    type Error = String;

    fn try_from(fields: Fields) -> Result<Self, String> {
        let Fields { from, to, reason } = fields;
        if from.starts(&TimeZone::UTC) >= to.ends(&TimeZone::UTC) {
            return Err("a freeze that ends before it begins".to_owned());
        }
        Ok(Self { from, to, reason })
    }
}

impl Window {
    /// Returns it with the host's time zone, unless it has one of its own.
    #[must_use]
    pub fn in_zone(self, host: &TimeZone) -> Self {
        Self {
            zone: self.zone.or_else(|| Some(host.clone())),
            ..self
        }
    }

    /// Returns why changes are not let in, and when they are; `None` = it is open.
    pub fn closed(&self, now: Timestamp) -> Option<Closed> {
        let zone = self.zone();
        let freeze = self.frozen(now, &zone);
        if freeze.is_none() && self.is_hour(now, &zone) {
            return None;
        }
        // Where a freeze goes on to the end of the calendar there is nothing to name.
        let opens = self.opens(now, &zone).filter(|at| *at < Timestamp::MAX);
        let written = |at: Timestamp| {
            let at = at.to_zoned(zone.clone());
            at.strftime("%a %Y-%m-%d %H:%M %Z").to_string()
        };
        Some(Closed {
            freeze: freeze.map(|freeze| freeze.reason.clone()),
            opens: opens.map(written),
            opens_at: opens,
        })
    }

    fn zone(&self) -> TimeZone {
        self.zone.clone().unwrap_or(TimeZone::UTC)
    }

    fn opens(&self, now: Timestamp, zone: &TimeZone) -> Option<Timestamp> {
        let mut at = now;
        for _ in 0..MOST_TURNS {
            if let Some(freeze) = self.frozen(at, zone) {
                at = freeze.to.ends(zone);
            } else if self.is_hour(at, zone) {
                return Some(at);
            } else {
                at = self.deploy.as_ref()?.next_start(at, zone)?;
            }
        }
        None
    }

    fn is_hour(&self, at: Timestamp, zone: &TimeZone) -> bool {
        let hours = self.deploy.as_ref();
        hours.is_none_or(|hours| hours.contain(at, zone))
    }

    fn frozen(&self, at: Timestamp, zone: &TimeZone) -> Option<&Freeze> {
        let covers = |one: &&Freeze| one.from.starts(zone) <= at && at < one.to.ends(zone);
        self.freeze.iter().find(covers)
    }
}
