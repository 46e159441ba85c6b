//! Hides what is secret in what Git wants and in what was observed, in the same way: what is equal
//! before is equal afterwards.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::SnapshotError;
use crate::desired::{DesiredState, Hook, Service, Wanted};
use crate::engine::model::ContainerSpec;
use crate::labels;
use crate::secret::{Redactor, Sensitive, looks_secret, mentions};

/// Stands for what is hidden, or not known: the word of [`Redactor::clean`], so that a text with a
/// secret in it is the same whoever hid it.
pub const HIDDEN: &str = "[hidden]";

/// Stands for what is hidden and differs from what Git wanted when the snapshot was taken.
pub(super) const OTHER: &str = "[hidden, and not as in Git]";

/// Stands for what is hidden, and what Git did not have at all then.
pub(super) const UNWANTED: &str = "[hidden, and not in Git]";

/// Mappings whose values may be secret by their name: labels, options of drivers and the like, and
/// the environment of images.
const NAMED: [&str; 7] = [
    "annotations",
    "driver_opts",
    "env",
    "labels",
    "options",
    "storage_opt",
    "sysctls",
];

/// Returns what Git wants with everything hidden that is secret.
///
/// # Errors
/// It can't be written down.
pub(super) fn desired(desired: &DesiredState) -> Result<DesiredState, SnapshotError> {
    let redactor = Redactor::default();
    redactor.learn(desired.secrets.iter().cloned());
    let mut redacted = desired.clone();
    for service in redacted.services.values_mut() {
        hide_in_service(service, &desired.secrets, &redactor)?;
    }
    for wanted in redacted.networks.values_mut() {
        match wanted {
            Wanted::Own(network) | Wanted::External(network) => {
                *network = cleaned(network, &redactor)?;
            }
        }
    }
    for wanted in redacted.volumes.values_mut() {
        match wanted {
            Wanted::Own(volume) | Wanted::External(volume) => {
                *volume = cleaned(volume, &redactor)?;
            }
        }
    }
    redacted.secrets = vec![Sensitive::new(HIDDEN)];
    Ok(redacted)
}

fn hide_in_service(
    service: &mut Service,
    secrets: &[Sensitive],
    redactor: &Redactor,
) -> Result<(), SnapshotError> {
    let mut spec: ContainerSpec = cleaned(&service.spec, redactor)?;
    spec.copied.clone_from(&service.spec.copied);
    for file in spec.copied.values_mut() {
        file.content = Sensitive::new(HIDDEN);
    }
    let mut env = service.spec.env.clone();
    for (name, value) in &mut env {
        let Some(value) = value else { continue };
        if !service.committed_env.contains(name) || is_hidden(name, value.expose(), secrets) {
            service.committed_env.remove(name);
            *value = Sensitive::new(HIDDEN);
        }
    }
    spec.env = env;
    service.spec = spec;
    let hooks = service.post_start.iter_mut().chain(&mut service.pre_stop);
    hooks.for_each(|hook| hide_in_hook(hook, redactor));
    Ok(())
}

fn hide_in_hook(hook: &mut Hook, redactor: &Redactor) {
    for word in &mut hook.command {
        *word = redactor.clean(word);
    }
    for value in hook.env.values_mut() {
        *value = Sensitive::new(HIDDEN);
    }
}

/// Returns whether the value of a variable is hidden although it stands in Git.
pub(super) fn is_hidden(name: &str, value: &str, secrets: &[Sensitive]) -> bool {
    looks_secret(name) || value.contains(HIDDEN) || mentions(value, secrets)
}

/// Returns a value with every known secret hidden, and what its name says is one; and Docker
/// Compose's hash of a service, which has no key: with the rest of the service at hand, everybody
/// could try its secrets out on it.
///
/// # Errors
/// It can't be written down, or a secret is one of the words that it is written in.
pub(super) fn cleaned<T: Serialize + DeserializeOwned>(
    value: &T,
    redactor: &Redactor,
) -> Result<T, SnapshotError> {
    let mut json = serde_json::to_value(value).map_err(SnapshotError::Unwritable)?;
    clean(&mut json, redactor)?;
    serde_json::from_value(json).map_err(|_| SnapshotError::Telltale)
}

/// Finds a secret that is part of a name which has to stay as it is.
///
/// # Errors
/// There is one.
pub(super) fn check_names<'a>(
    names: impl IntoIterator<Item = &'a str>,
    redactor: &Redactor,
) -> Result<(), SnapshotError> {
    let mut names = names.into_iter();
    if names.any(|name| redactor.clean(name) != name) {
        return Err(SnapshotError::Telltale);
    }
    Ok(())
}

fn clean(value: &mut Value, redactor: &Redactor) -> Result<(), SnapshotError> {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
        Value::String(text) => *text = redactor.clean(text),
        Value::Array(values) => {
            for one in values {
                clean(one, redactor)?;
            }
        }
        Value::Object(map) => {
            for (name, mut one) in std::mem::take(map) {
                if NAMED.contains(&name.as_str()) {
                    hide_by_name(&mut one);
                }
                if name == labels::CONFIG_HASH {
                    one = HIDDEN.into();
                }
                clean(&mut one, redactor)?;
                if may_be_a_field(&name) || labels::is_reserved(&name) {
                    check_names([name.as_str()], redactor)?;
                }
                map.insert(redactor.clean(&name), one);
            }
        }
    }
    Ok(())
}

/// Returns whether the name of an entry may be that of a field of ours.
fn may_be_a_field(name: &str) -> bool {
    name.bytes().all(|c| c.is_ascii_lowercase() || c == b'_')
}

fn hide_by_name(value: &mut Value) {
    let Value::Object(map) = value else { return };
    for (name, one) in map.iter_mut() {
        if let (true, Value::String(text)) = (looks_secret(name), one)
            && text != OTHER
        {
            HIDDEN.clone_into(text);
        }
    }
}

/// Hides in what is live everything that stands where Git has a secret, unless it is what Git has:
/// it may be the secret before. What [`cleaned`] hides by its name is told apart here.
///
/// # Errors
/// It can't be written down.
pub(super) fn hidden_like<T: Serialize + DeserializeOwned>(
    live: &T,
    wanted: &T,
    secrets: &[Sensitive],
) -> Result<T, SnapshotError> {
    let json = |one: &T| serde_json::to_value(one).map_err(SnapshotError::Unwritable);
    let mut found = json(live)?;
    hide_like(&mut found, &json(wanted)?, secrets);
    serde_json::from_value(found).map_err(SnapshotError::Unwritable)
}

fn hide_like(live: &mut Value, wanted: &Value, secrets: &[Sensitive]) {
    if let (Value::Object(live), Value::Object(wanted)) = (&mut *live, wanted) {
        for (name, one) in live.iter_mut() {
            let Some(wanted) = wanted.get(name) else {
                continue;
            };
            if NAMED.contains(&name.as_str()) {
                mark_by_name(one, wanted);
            }
            hide_like(one, wanted, secrets);
        }
    } else if has_secret(wanted, secrets) && *live != *wanted {
        blank(live);
    }
}

fn mark_by_name(live: &mut Value, wanted: &Value) {
    let (Value::Object(live), Value::Object(wanted)) = (live, wanted) else {
        return;
    };
    for (name, one) in live.iter_mut() {
        let differs = wanted.get(name).is_some_and(|wanted| wanted != one);
        if differs && looks_secret(name) {
            blank(one);
        }
    }
}

fn has_secret(value: &Value, secrets: &[Sensitive]) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
        Value::String(text) => mentions(text, secrets),
        Value::Array(values) => values.iter().any(|one| has_secret(one, secrets)),
        Value::Object(map) => map.values().any(|one| has_secret(one, secrets)),
    }
}

fn blank(value: &mut Value) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
        Value::String(text) => OTHER.clone_into(text),
        Value::Array(values) => values.iter_mut().for_each(blank),
        Value::Object(map) => map.values_mut().for_each(blank),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn secrets() -> Vec<Sensitive> {
        vec![Sensitive::new("hunter22-now")]
    }

    #[test]
    fn what_is_secret_by_value_or_by_name_is_hidden() {
        let redactor = Redactor::default();
        redactor.learn(secrets());
        let value = json!({
            "command": ["--password=hunter22-now", "plain"],
            "options": {"splunk-token": "abc", "mode": "fast"},
            "labels": {"auth": "admin:x", "tier": "web", "com.docker.compose.config-hash": "0f"},
            "key": "shown",
            "at hunter22-now": 1,
        });
        let expected = json!({
            "command": ["--password=[hidden]", "plain"],
            "options": {"splunk-token": "[hidden]", "mode": "fast"},
            "labels": {"auth": "[hidden]", "tier": "web", "com.docker.compose.config-hash": "[hidden]"},
            "key": "shown",
            "at [hidden]": 1,
        });
        assert_eq!(cleaned(&value, &redactor).unwrap(), expected);
    }

    #[test]
    fn what_is_hidden_by_its_name_still_differs_where_it_does() {
        let wanted = json!({"labels": {"auth": "new", "key": "same", "tier": "web"}});
        let live = json!({"labels": {"auth": "old", "key": "same", "tier": "app", "salt": "x"}});
        let mut found = hidden_like(&live, &wanted, &[]).unwrap();
        clean(&mut found, &Redactor::default()).unwrap();
        let expected =
            json!({"labels": {"auth": OTHER, "key": HIDDEN, "tier": "app", "salt": HIDDEN}});
        assert_eq!(found, expected);
    }

    #[test]
    fn the_secret_before_is_hidden_where_git_has_the_one_of_now() {
        let wanted = json!({"command": ["--password=hunter22-now"], "user": "root"});
        let live = json!({"command": ["--password=hunter22-old", "x"], "user": "app"});
        let expected = json!({"command": [OTHER, OTHER], "user": "app"});
        assert_eq!(hidden_like(&live, &wanted, &secrets()).unwrap(), expected);
        assert_eq!(hidden_like(&wanted, &wanted, &secrets()).unwrap(), wanted);
    }
}
