//! Takes over from what is live whatever can't be known of Git away from the host.

use serde_json::{Map, Value};

use super::redact::{HIDDEN, OTHER};
use super::{SnapshotError, image_of, service_of};
use crate::desired::{DesiredState, Service};
use crate::engine::model::{Container, ContainerSpec, Image};
use crate::observe::ObservedState;
use crate::secret::Sensitive;

/// Completes what Git wants by what is live: texts with a value in them that is not known here, or
/// was hidden there, and, where some file could not be seen, variables that such a file may set.
///
/// # Errors
/// Something can't be written down.
pub(super) fn fill(
    desired: &mut DesiredState,
    observed: &ObservedState,
    sees_all: bool,
) -> Result<(), SnapshotError> {
    for container in observed.containers.iter().chain(&observed.candidates) {
        let Some(name) = service_of(container, desired).map(|(name, _)| name.clone()) else {
            continue;
        };
        let Some(service) = desired.services.get_mut(&name) else {
            continue;
        };
        if !sees_all {
            add_variables(service, container, image_of(container, observed));
        }
        fill_spec(&mut service.spec, &container.spec)?;
    }
    Ok(())
}

fn add_variables(service: &mut Service, container: &Container, image: Option<&Image>) {
    for (name, value) in &container.spec.env {
        let value = value.as_ref().map(Sensitive::expose);
        let by_git = value == Some(HIDDEN) || value == Some(OTHER);
        let by_image = image.is_some_and(|image| image.env.contains_key(name));
        if by_git && !by_image {
            let value = || Some(Sensitive::new(HIDDEN));
            service.spec.env.entry(name.clone()).or_insert_with(value);
        }
    }
}

fn fill_spec(wanted: &mut ContainerSpec, live: &ContainerSpec) -> Result<(), SnapshotError> {
    let mut filled = serde_json::to_value(&*wanted).map_err(SnapshotError::Unwritable)?;
    let live = serde_json::to_value(live).map_err(SnapshotError::Unwritable)?;
    fill_value(&mut filled, &live);
    let filled: ContainerSpec =
        serde_json::from_value(filled).map_err(SnapshotError::Unwritable)?;
    *wanted = ContainerSpec {
        env: std::mem::take(&mut wanted.env),
        copied: std::mem::take(&mut wanted.copied),
        ..filled
    };
    Ok(())
}

fn fill_value(wanted: &mut Value, live: &Value) {
    match (wanted, live) {
        (Value::String(wanted), Value::String(live)) if may_be_same(wanted, live) => {
            wanted.clone_from(live);
        }
        (Value::Array(wanted), Value::Array(live)) if wanted.len() == live.len() => {
            for (wanted, live) in wanted.iter_mut().zip(live) {
                fill_value(wanted, live);
            }
        }
        (Value::Object(wanted), Value::Object(live)) => {
            fill_names(wanted, live);
            for (name, wanted) in wanted.iter_mut() {
                if let Some(live) = live.get(name) {
                    fill_value(wanted, live);
                }
            }
        }
        _ => {}
    }
}

/// Takes over the names of entries as the values of entries are.
fn fill_names(wanted: &mut Map<String, Value>, live: &Map<String, Value>) {
    let (same, other): (Map<String, Value>, Map<String, Value>) = std::mem::take(wanted)
        .into_iter()
        .partition(|(name, _)| live.contains_key(name));
    *wanted = same;
    for (name, value) in other {
        let is_it = |live: &&String| !wanted.contains_key(*live) && may_be_same(&name, live);
        let found = live.keys().find(is_it).cloned();
        wanted.insert(found.unwrap_or(name), value);
    }
}

/// Returns whether a text of Git and one of the host may be the same, as far as they can be seen:
/// either may have something hidden in it. One that the host knows to differ is not.
fn may_be_same(wanted: &str, live: &str) -> bool {
    (wanted.contains(HIDDEN) && live != OTHER && fits(wanted, live))
        || (live.contains(HIDDEN) && fits(live, wanted))
}

/// Returns whether a text is what a pattern is with some text for each value that is not known.
fn fits(pattern: &str, text: &str) -> bool {
    let parts: Vec<&str> = pattern.split(HIDDEN).collect();
    let [first, middle @ .., last] = parts.as_slice() else {
        return pattern == text;
    };
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    for part in middle {
        let Some((_, after)) = rest.split_once(part) else {
            return false;
        };
        rest = after;
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_fits_whatever_the_values_are() {
        for (pattern, text, expected) in [
            ("shop:[hidden]", "shop:v1", true),
            ("[hidden]", "anything", true),
            ("[hidden]/shop:[hidden]", "registry.example/shop:v1", true),
            ("shop:[hidden]", "blog:v1", false),
            ("a[hidden]b", "ab", true),
            ("a[hidden]b[hidden]c", "axc", false),
            ("a[hidden]a", "a", false),
            ("plain", "plain", true),
        ] {
            assert_eq!(fits(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn what_git_shows_and_the_host_hides_is_not_a_difference() {
        let live = serde_json::json!({
            "image": "[hidden]:16",
            "mounts": {"/var/lib/[hidden]": "data", "/other": "x"},
            "user": "[hidden]",
        });
        let mut wanted = serde_json::json!({
            "image": "shop:16",
            "mounts": {"/var/lib/shop": "data", "/another": "x"},
            "user": null,
        });
        fill_value(&mut wanted, &live);
        let expected = serde_json::json!({
            "image": "[hidden]:16",
            "mounts": {"/var/lib/[hidden]": "data", "/another": "x"},
            "user": null,
        });
        assert_eq!(wanted, expected);
    }

    #[test]
    fn what_is_known_stays_and_what_differs_on_the_host_does_too() {
        let live = serde_json::json!({"image": "shop:v1", "command": [OTHER], "user": "app"});
        let mut wanted =
            serde_json::json!({"image": "shop:[hidden]", "command": ["[hidden]"], "user": "root"});
        fill_value(&mut wanted, &live);
        let expected =
            serde_json::json!({"image": "shop:v1", "command": ["[hidden]"], "user": "root"});
        assert_eq!(wanted, expected);
    }
}
