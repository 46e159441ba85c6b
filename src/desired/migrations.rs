//! One-off commands of a stack as `moored.yaml` writes them: migrations and jobs.

use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize};

use super::ServiceName;
use crate::document;

/// A command of the new image that brings the data to the form which that image wants.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Migration {
    /// Whose image, environment, networks and mounts it runs with.
    pub service: ServiceName,
    /// The command; the image's entrypoint stays in front of it.
    #[serde(deserialize_with = "command")]
    pub run: Vec<String>,
    /// Services that write to the data: they are stopped before the backup.
    #[serde(default)]
    pub stop: Vec<ServiceName>,
    /// How long it may take before it is killed.
    #[serde(default = "ten_minutes", deserialize_with = "document::duration")]
    pub timeout: Duration,
    /// Whether the release before works with the data as it is afterwards.
    #[serde(default)]
    pub compatible: bool,
    /// Whether a failed one has changed nothing.
    #[serde(default)]
    pub transactional: bool,
    /// Prints the version of the data's form: the same text before and after means that nothing
    /// has changed.
    #[serde(default, deserialize_with = "optional_command")]
    pub status: Option<Vec<String>>,
    /// Whether the backup is restored when it fails half-way.
    #[serde(default)]
    pub restore_on_failed_migration: bool,
}

/// A command that is run once in a stack's life, once a release, or by hand.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Job {
    /// Whose image, environment, networks and mounts it runs with.
    pub service: ServiceName,
    /// The command; the image's entrypoint stays in front of it.
    #[serde(deserialize_with = "command")]
    pub run: Vec<String>,
    /// When it is run.
    pub when: JobTime,
    /// How long it may take before it is killed.
    #[serde(default = "ten_minutes", deserialize_with = "document::duration")]
    pub timeout: Duration,
}

/// When a job is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobTime {
    /// Once in the stack's life on this host.
    FirstDeploy,
    /// Whenever a service is made or replaced because Git says so.
    EachRelease,
    /// By `moored job`.
    ByHand,
}

/// What happens when a new release is not up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnFailure {
    /// The release before comes back where that is safe.
    #[default]
    Rollback,
    /// Everything stays as it is for a person to look at.
    Hold,
}

fn ten_minutes() -> Duration {
    Duration::from_secs(10 * 60)
}

fn command<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    let words = Vec::<String>::deserialize(deserializer)?;
    if words.first().is_none_or(String::is_empty) {
        return Err(serde::de::Error::custom(
            "a command is a list of words, the program first, as in [npx, prisma, migrate, deploy]",
        ));
    }
    Ok(words)
}

fn optional_command<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Vec<String>>, D::Error> {
    command(deserializer).map(Some)
}
