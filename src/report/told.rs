//! The result of `moored notify`: what came back from the receivers, and what nobody is told of.

use std::collections::BTreeSet;

use serde::Serialize;

use super::Report;
use crate::routes::{KINDS, Kind, Route, TOPICS, Topic};
use crate::table;

/// What came back from the receivers.
#[derive(Serialize)]
pub struct NotifyReport {
    /// By route, in the order of the settings.
    pub routes: Vec<Tried>,
    /// What no route leads anywhere, and whose business it is.
    pub nobody: Vec<String>,
}

/// What came back from one receiver.
#[derive(Serialize)]
pub struct Tried {
    /// The file with its address.
    pub route: String,
    /// The status of its answer.
    pub status: Option<u16>,
    /// Why the message was not taken.
    pub error: Option<String>,
}

impl NotifyReport {
    /// Makes the report of what was tried.
    pub fn new(settings: &[Route], routes: Vec<Tried>) -> Self {
        let told = |topic: Topic, kind: Kind| {
            let kinds = BTreeSet::from([kind]);
            settings.iter().any(|route| route.wants(topic, &kinds))
        };
        let nobody = KINDS.into_iter().filter_map(|kind| {
            let topics = TOPICS.into_iter().filter(|topic| !told(*topic, kind));
            let topics: Vec<&str> = topics.map(Topic::word).collect();
            (!topics.is_empty()).then(|| format!("{kind}: {}", topics.join(", ")))
        });
        Self {
            nobody: nobody.collect(),
            routes,
        }
    }

    /// Returns whether every receiver has taken the message.
    pub fn is_well(&self) -> bool {
        self.routes.iter().all(|one| one.error.is_none())
    }
}

impl Report for NotifyReport {
    fn text(&self) -> String {
        if self.routes.is_empty() {
            return "nobody is told of anything: the settings have no notify\n".to_owned();
        }
        let rows = self.routes.iter().map(|one| {
            let result = match (&one.error, one.status) {
                (Some(error), _) => format!("failed: {error}"),
                (None, Some(status)) => format!("taken ({status})"),
                (None, None) => "taken".to_owned(),
            };
            [one.route.clone(), result]
        });
        let mut text = table::aligned(rows);
        for one in &self.nobody {
            text = format!("{text}nobody is told of  {one}\n");
        }
        text
    }
}
