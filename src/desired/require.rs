//! What a service must have in its environment before anything is touched: `env.SERVICE.require`.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::mapping::Project;
use super::{Service, ServiceName};
use crate::diagnostic::{Diagnostic, suggestion};
use crate::document::WordOr;

/// A variable that a service must have, and that must not be empty.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WordOr<RawRequirement>")]
pub struct Requirement {
    /// Its name.
    pub name: String,
    /// Only when another variable of the service has this value; one that is not set has the
    /// empty one.
    pub when: Option<(String, String)>,
    /// A variable of a service that must have the same value.
    pub same_as: Option<(ServiceName, String)>,
}

/// A requirement as it is written in long form.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawRequirement {
    name: String,
    when: Option<String>,
    same_as: Option<String>,
}

impl TryFrom<WordOr<RawRequirement>> for Requirement {
    type Error = String;

    fn try_from(raw: WordOr<RawRequirement>) -> Result<Self, String> {
        let raw = match raw {
            WordOr::Word(name) => RawRequirement {
                name,
                when: None,
                same_as: None,
            },
            WordOr::Mapping(raw) => raw,
        };
        let when = raw.when.map(|text| match text.split_once('=') {
            Some((name, value)) => Ok((variable(name)?, value.to_owned())),
            None => Err(format!(
                "when: \"{}\" is not NAME=value",
                text.escape_default()
            )),
        });
        let same_as = raw.same_as.map(|text| match text.rsplit_once('.') {
            Some((service, name)) => {
                Ok((ServiceName::try_from(service.to_owned())?, variable(name)?))
            }
            None => Err(format!(
                "same_as: \"{}\" is not SERVICE.NAME",
                text.escape_default()
            )),
        });
        Ok(Self {
            name: variable(&raw.name)?,
            when: when.transpose()?,
            same_as: same_as.transpose()?,
        })
    }
}

fn variable(name: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || "_-.".contains(c);
    if !name.is_empty() && name.chars().all(fits) {
        return Ok(name.to_owned());
    }
    Err(format!(
        "\"{}\" is not the name of a variable",
        name.escape_default()
    ))
}

/// Notes every requirement that is not met.
///
/// A service of whose environment something could not be read is left out: that was noted, and
/// what it lacks is not known.
pub(super) fn check(services: &BTreeMap<ServiceName, Service>, project: &Project<'_>) {
    for (name, env) in &project.manifest.env {
        let Some(service) = services
            .get(name)
            .filter(|_| project.knows_environment(name))
        else {
            continue;
        };
        for (index, required) in env.require.iter().enumerate() {
            let Err((message, hint)) = unmet(required, name, service, services, project) else {
                continue;
            };
            let message = format!("env.{name}.require: {message}");
            let place = ["env", name.as_str(), "require", &index.to_string()];
            let found = match project.manifest_place(&place) {
                Some(at) => Diagnostic::new(at.location(), message),
                None => Diagnostic::file(super::manifest::FILE_NAME, message),
            };
            project.add(found.hint(hint));
        }
    }
}

/// Returns the value of a variable that is set and not empty.
fn value<'a>(service: &'a Service, name: &str) -> Option<&'a str> {
    let value = service.spec.env.get(name)?.as_ref()?.expose();
    (!value.is_empty()).then_some(value)
}

/// Fails with what is missing, and what to do about it.
fn unmet(
    required: &Requirement,
    own_name: &ServiceName,
    service: &Service,
    services: &BTreeMap<ServiceName, Service>,
    project: &Project<'_>,
) -> Result<(), (String, String)> {
    let mut reason = String::new();
    if let Some((name, wanted)) = &required.when {
        if value(service, name).unwrap_or_default() != wanted {
            return Ok(());
        }
        reason = format!(", and {name}={wanted} wants it");
    }
    let name = &required.name;
    let Some(own) = value(service, name) else {
        let state = match service.spec.env.get(name) {
            Some(Some(_)) => "is empty",
            Some(None) | None => "is not set",
        };
        let hint = format!(
            "set it in a file of env.{own_name}.files or env.{own_name}.secrets, or in the \
             environment of the Compose file"
        );
        return Err((format!("{name} {state}{reason}"), hint));
    };
    let Some((other_name, other)) = &required.same_as else {
        return Ok(());
    };
    let Some(other_service) = services.get(other_name) else {
        let known = services.keys().map(ServiceName::as_str);
        let hint = suggestion(other_name.as_str(), known);
        let hint = hint.unwrap_or_else(|| "name a service of the Compose files".to_owned());
        return Err((format!("same_as: there is no service {other_name}"), hint));
    };
    if !project.knows_environment(other_name) {
        return Ok(());
    }
    let hint = "give both the same value".to_owned();
    match value(other_service, other) {
        Some(value) if value == own => Ok(()),
        Some(_) => Err((
            format!("{name} is not the same as {other_name}.{other}"),
            hint,
        )),
        None => {
            let message =
                format!("{other_name}.{other}, which {name} must be the same as, is not set");
            Err((message, hint))
        }
    }
}
