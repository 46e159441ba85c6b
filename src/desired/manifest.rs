//! Reads `moored.yaml`: what Git says about one stack beyond its Compose files.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize};

use super::backups::{Backup, BackupName};
use super::checks::{Ready, Smoke};
use super::examples::with_example;
use super::file_change::RawReload;
use super::maintenance::Maintenance;
use super::migrations::{Job, Migration, OnFailure};
use super::placed::Placement;
use super::proxy::Proxy;
use super::require::Requirement;
use super::strategy::Strategy;
use crate::diagnostic::Diagnostic;
use crate::document::{self, WordOr};
use crate::gates::{Moment, Suspend};
use crate::routes::Kind;

/// File name of a manifest.
pub const FILE_NAME: &str = "moored.yaml";

/// Keys that the format defines and this version does not act on.
const LATER: [&str; 1] = ["offsite"];

/// `moored.yaml`. Format: `docs/manifest.md`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Name of the stack; the Compose project name.
    pub stack: StackName,
    /// Compose files, later ones over earlier ones, relative to the manifest; left out = the
    /// file that `docker compose` would find.
    #[serde(default)]
    pub compose: Vec<String>,
    /// Image of a service, over `image:` of its Compose file. What a promotion edits.
    #[serde(default)]
    pub images: BTreeMap<ServiceName, String>,
    /// Values for `${...}` in the Compose files.
    #[serde(default)]
    pub variables: BTreeMap<String, Scalar>,
    /// Files of the host with further values for `${...}`.
    #[serde(default)]
    pub variable_files: Vec<PathBuf>,
    /// Environment of a service beyond its Compose file.
    #[serde(default)]
    pub env: BTreeMap<ServiceName, ServiceEnv>,
    /// Where relative paths resolve on the host; left out = a directory of ours.
    pub project_directory: Option<PathBuf>,
    /// What happens to a service when a repository file that it mounts has changed.
    #[serde(default)]
    pub on_file_change: BTreeMap<String, OnFileChange>,
    /// Files of the repository that are placed on the host.
    #[serde(default)]
    pub files: Vec<Placement>,
    /// The proxy in front of the stack.
    pub proxy: Option<Proxy>,
    /// How the container of a service is replaced, by its name or `default`.
    #[serde(default)]
    pub strategy: BTreeMap<String, Strategy>,
    /// How long what was started must run, without ending or restarting, before it counts as up.
    #[serde(default, deserialize_with = "optional_duration")]
    pub soak: Option<Duration>,
    /// Time zone of schedules and of the names of backups; left out = the host's.
    #[serde(default, deserialize_with = "document::time_zone")]
    pub time_zone: Option<TimeZone>,
    /// The page that visitors see while the stack is worked on.
    pub maintenance: Option<Maintenance>,
    /// Backups by name.
    #[serde(default)]
    pub backups: BTreeMap<BackupName, Backup>,
    /// Commands that bring the data to the form that new code wants, in order.
    #[serde(default)]
    pub migrations: Vec<Migration>,
    /// One-off commands by name.
    #[serde(default)]
    pub jobs: BTreeMap<String, Job>,
    /// Checks of services after they were started.
    #[serde(default)]
    pub ready: Vec<Ready>,
    /// Checks of the whole stack after all services are ready.
    #[serde(default)]
    pub smoke: Vec<Smoke>,
    /// What happens when a new release is not up.
    #[serde(default)]
    pub on_failure: OnFailure,
    /// Says that the code works on data which another release has migrated: that release, or the
    /// attempt that migrated.
    pub accept_schema: Option<Scalar>,
    /// Files of the repository that are shown after a deploy.
    #[serde(default)]
    pub checklist: Vec<String>,
    /// What happens to a container that was changed by hand.
    #[serde(default)]
    pub drift: DriftPolicy,
    /// Whether containers of services that Git no longer names are removed.
    #[serde(default)]
    pub prune: bool,
    /// Whose business a service is: who is told of what happens to it.
    #[serde(default)]
    pub owners: BTreeMap<ServiceName, Kind>,
    /// When its lifetime is over; left out = it stays.
    pub expires: Option<Moment>,
    /// That the stack is left alone, and until when.
    pub suspend: Option<Suspend>,
}

/// Environment of a service beyond its Compose file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceEnv {
    /// Files of the host, read after the service's own `env_file`.
    #[serde(default)]
    pub files: Vec<PathBuf>,
    /// Files of the repository that SOPS has encrypted, relative to the manifest, read after
    /// those.
    #[serde(default)]
    pub secrets: Vec<String>,
    /// What the service must have in its environment.
    #[serde(default)]
    pub require: Vec<Requirement>,
}

/// What happens to a service when a repository file that it mounts has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WordOr<RawReload>")]
pub enum OnFileChange {
    /// Its container is restarted.
    #[default]
    Restart,
    /// Its container is replaced.
    Replace,
    /// Nothing: the service sees the new content by itself.
    Ignore,
    /// Its process is told to read its files again.
    Reload(Reload),
}

/// How a process is told to read its files again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reload {
    /// By a signal to the container's first process, such as `SIGHUP`.
    Signal(String),
    /// By a command inside the container.
    Run(Vec<String>),
}

/// What happens to a container that was changed by hand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DriftPolicy {
    /// It is put back to what Git says.
    #[default]
    Correct,
    /// It is reported and left alone.
    Report,
}

/// A YAML scalar as text: `true`, `8080` and `"8080"` are the same to `${...}`.
///
/// Floats are left out on purpose: an unquoted `1.10` would silently become `1.1`, another tag.
#[derive(Clone, Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "a value must be text, a whole number or true/false; quote the rest, as in \"1.10\""
)]
#[expect(missing_docs, reason = "each variant is the YAML type of its name")]
pub enum Scalar {
    Bool(bool),
    Integer(i64),
    Text(String),
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => write!(f, "{value}"),
            Self::Integer(value) => write!(f, "{value}"),
            Self::Text(value) => f.write_str(value),
        }
    }
}

/// Name of a stack: lower-case letters, digits, `-` and `_`, beginning with a letter or digit.
///
/// The rule is Compose's for project names, so that `docker compose -p STACK` accepts it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct StackName(String);

/// Name of a service: letters, digits, `.`, `-` and `_`, beginning with a letter or digit. With a
/// number, as in `web#2`, one of its further containers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ServiceName(String);

/// The engine refuses container names beyond what a file name can hold.
const LONGEST_NAME: usize = 128;

fn valid_name(name: &str, extra: &[char], upper: bool) -> bool {
    let letter =
        |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || (upper && c.is_ascii_uppercase());
    name.len() <= LONGEST_NAME
        && name.starts_with(letter)
        && name.chars().all(|c| letter(c) || extra.contains(&c))
}

impl TryFrom<String> for StackName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        if valid_name(&name, &['-', '_'], false) {
            return Ok(Self(name));
        }
        Err(format!(
            "\"{}\" is not a stack name: lower-case letters, digits, - and _, beginning with a \
             letter or digit",
            name.escape_default()
        ))
    }
}

impl TryFrom<String> for ServiceName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let (service, number) = name.split_once('#').unwrap_or((&name, "2"));
        let is_number = number
            .parse::<u32>()
            .is_ok_and(|n| n > 1 && n.to_string() == number);
        // Compose's schema has ^[a-zA-Z0-9._-]+$; the engine wants a letter or digit in front.
        if is_number && valid_name(service, &['-', '_', '.'], true) {
            return Ok(Self(name));
        }
        Err(format!(
            "\"{}\" is not a service name: letters, digits, ., - and _, beginning with a letter \
             or digit",
            name.escape_default()
        ))
    }
}

impl StackName {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl ServiceName {
    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the name of the service that this is a container of.
    pub fn service(&self) -> &str {
        self.0
            .split_once('#')
            .map_or(&self.0, |(service, _)| service)
    }

    /// Returns the number of the container among those of its service, from 1.
    pub fn number(&self) -> u32 {
        let number = self.0.split_once('#').map(|(_, number)| number.parse());
        number.and_then(Result::ok).unwrap_or(1)
    }

    /// Returns the name of another container of the same service.
    #[must_use]
    pub fn replica(&self, number: u32) -> Self {
        match number {
            0 | 1 => Self(self.service().to_owned()),
            number => Self(format!("{}#{number}", self.service())),
        }
    }
}

impl fmt::Display for StackName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl Manifest {
    /// Returns what a change of a mounted file does to `service`.
    pub fn on_file_change(&self, service: &ServiceName) -> OnFileChange {
        of_service(&self.on_file_change, service)
    }

    /// Returns how the container of `service` is replaced.
    pub fn strategy(&self, service: &ServiceName) -> Strategy {
        of_service(&self.strategy, service)
    }
}

/// Stands for the services that have no rule of their own.
pub(super) const DEFAULT: &str = "default";

fn of_service<T: Clone + Default>(rules: &BTreeMap<String, T>, service: &ServiceName) -> T {
    rules
        .get(service.as_str())
        .or_else(|| rules.get(DEFAULT))
        .cloned()
        .unwrap_or_default()
}

/// Reads and checks a manifest.
///
/// # Errors
/// What is wrong first, with its place.
pub fn parse(file: &str, text: &[u8]) -> Result<Manifest, Diagnostic> {
    let manifest: Manifest = document::read(file, text, &LATER).map_err(with_example)?;
    let files = manifest.env.values().flat_map(|env| &env.files);
    let paths: BTreeSet<&PathBuf> = manifest
        .project_directory
        .iter()
        .chain(&manifest.variable_files)
        .chain(files)
        .collect();
    let odd = |path: &&Path| path.components().any(|part| part == Component::ParentDir);
    if let Some(path) = manifest.project_directory.as_deref().filter(odd) {
        let message = format!("project_directory {} has .. in it", path.display());
        return Err(Diagnostic::file(file, message).hint("write the path that it comes to"));
    }
    if let Some(path) = paths.into_iter().find(|path| !path.is_absolute()) {
        return Err(Diagnostic::file(
            file,
            format!(
                "{} is a path of the host and must be absolute",
                path.display()
            ),
        )
        .hint("files of the repository are named in the Compose file's env_file"));
    }
    Ok(manifest)
}

fn optional_duration<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Duration>, D::Error> {
    document::duration(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        parse("moored.yaml", text.as_bytes())
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn reads_what_a_promotion_edits() {
        let text =
            b"stack: shop\nimages: {web: 'shop:v2'}\nvariables: {TAG: '1.10', N: 3, ON: true}\n";
        let manifest = parse("moored.yaml", text).unwrap();
        let web = ServiceName::try_from("web".to_owned()).unwrap();
        assert_eq!(
            manifest.images.get(&web).map(String::as_str),
            Some("shop:v2")
        );
        assert_eq!(manifest.drift, DriftPolicy::Correct);
        assert!(!manifest.prune);
    }

    #[test]
    fn file_change_rules_fall_back_to_the_default() {
        let text = b"stack: shop\non_file_change: {default: replace, proxy: ignore}\n";
        let manifest = parse("moored.yaml", text).unwrap();
        let rule = |name: &str| manifest.on_file_change(&ServiceName(name.to_owned()));
        assert_eq!(rule("proxy"), OnFileChange::Ignore);
        assert_eq!(rule("web"), OnFileChange::Replace);
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_place() {
        insta::assert_snapshot!(refused("stack: Shop\n"), @r#"
        moored.yaml:1:8: stack: "Shop" is not a stack name: lower-case letters, digits, - and _, beginning with a letter or digit
          hint: for example stack: shop
        "#);
        insta::assert_snapshot!(refused("stack: ../x\n"), @r#"
        moored.yaml:1:8: stack: "../x" is not a stack name: lower-case letters, digits, - and _, beginning with a letter or digit
          hint: for example stack: shop
        "#);
        insta::assert_snapshot!(refused("stack: a\nimags: {}\n"), @r#"
        moored.yaml:2:1: unknown key "imags"
          hint: did you mean "images"?
        "#);
        insta::assert_snapshot!(refused("stack: a\nbackups: {db: {sqlite: /a, to: /b, offsite: x}}\n"), @r#"
        moored.yaml:2:36: backups.db: "offsite" is not supported by this version of moored
          hint: take the key out; version 0.1.0 can't honour it
        "#);
        insta::assert_snapshot!(refused("stack: a\nstack: b\n"), @r#"
        moored.yaml:2:1: key "stack" is already defined in line 1
          hint: remove one of the two, or put both values under one key
        "#);
        insta::assert_snapshot!(refused("stack: a\nenv: {web: {files: [x.env]}}\n"), @"
        moored.yaml: x.env is a path of the host and must be absolute
          hint: files of the repository are named in the Compose file's env_file
        ");
        insta::assert_snapshot!(refused("stack: a\nsoak: 5\n"), @r#"
        moored.yaml:2:7: soak: "5" is not a duration such as 30s or 5m: time unit needed, for example 5sec or 5ms
          hint: for example soak: 10s
        "#);
        insta::assert_snapshot!(refused("images: {}\n"), @"
        moored.yaml:1:1: missing field `stack`
          hint: for example stack: shop
        ");
        insta::assert_snapshot!(refused("stack: a\nvariables: {TAG: 1.10}\n"), @r#"
        moored.yaml:2:18: variables.TAG: a value must be text, a whole number or true/false; quote the rest, as in "1.10"
          hint: for example variables: {TAG: '1.10', WORKERS: 4, DEBUG: false}
        "#);
    }
}
