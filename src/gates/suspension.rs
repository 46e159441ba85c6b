//! Says that a stack is left alone for a while.

use std::fmt;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};

use super::Moment;

/// That a stack is left alone, as a manifest says it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suspend {
    /// Why.
    pub reason: String,
    /// Until when; left out = until it is taken out.
    pub until: Option<Moment>,
}

/// That a stack is left alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspension {
    /// Why.
    pub reason: String,
    /// Until when; `None` = until somebody lifts it.
    pub until: Option<Timestamp>,
    /// Since when, where that is known.
    pub since: Option<Timestamp>,
    /// Who asked for it, where that is known.
    pub by: Option<String>,
}

impl Suspend {
    /// Returns it with its end on the clock; times without a zone are of `zone`.
    pub fn in_zone(self, zone: &TimeZone) -> Suspension {
        Suspension {
            reason: self.reason,
            until: self.until.map(|until| until.ends(zone)),
            since: None,
            by: None,
        }
    }
}

impl Suspension {
    /// Returns whether it has ended by itself.
    pub fn is_over(&self, now: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= now)
    }
}

impl fmt::Display for Suspension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let written = |at: Timestamp| at.strftime("%Y-%m-%d %H:%M UTC");
        f.write_str("suspended")?;
        if let Some(since) = self.since {
            write!(f, " since {}", written(since))?;
        }
        if let Some(by) = &self.by {
            write!(f, " by {by}")?;
        }
        if let Some(until) = self.until {
            write!(f, " until {}", written(until))?;
        }
        write!(f, " ({})", crate::secret::escape_control(&self.reason))
    }
}
