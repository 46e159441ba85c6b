//! Writes requests in the engine's words, as Docker Compose writes them. Pure;
//! [`super::from_engine`] reads them back.
//!
//! `container` writes the body of a create call, `host_config` the part of it that says what the
//! container may do, `objects` networks, places in them and volumes.

mod container;
mod host_config;
mod objects;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

#[cfg(test)]
use container::Creation;
pub(super) use container::creation;
pub(super) use host_config::SYSTEM_PATHS;
pub(super) use objects::{INTERFACE, endpoint, network, volume};

/// 0 means that the engine decides: the field is left out.
fn limit(value: i64) -> Option<i64> {
    (value != 0).then_some(value)
}

pub(super) fn text(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

fn filled<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}

fn unsorted(map: &BTreeMap<String, String>) -> HashMap<String, String> {
    map.iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect()
}

fn filled_map(map: &BTreeMap<String, String>) -> Option<HashMap<String, String>> {
    (!map.is_empty()).then(|| unsorted(map))
}
