//! What planning knows of the past.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::facts::Facts;
use crate::desired::ServiceName;
use crate::gates::Suspension;
use crate::observe::Recorded;
use crate::source::{RepoPath, Revision};

/// What planning knows of a stack's past.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct History {
    /// Number of the attempt that a pass would be.
    pub next_attempt: u64,
    /// The last release.
    pub release: Option<Release>,
    /// The last attempt, when it failed and nobody asked for another one.
    pub failed: Option<Failure>,
    /// The last attempt, when it was to keep the last release as it was and failed: that is not
    /// tried again by itself.
    pub healed: Option<Failure>,
    /// How often in a row the last revision that was tried was cut short, if it was.
    pub crashed: Option<Crashed>,
    /// The revision of the last deploy, when that was cut short or stopped.
    pub unfinished: Option<Revision>,
    /// Finished attempts, oldest first; as many as the rules of planning look back.
    pub past: Vec<PastAttempt>,
    /// Services whose restart was planned after a file had been placed, and was not seen to end.
    pub owed_restarts: BTreeSet<ServiceName>,
    /// Services that an attempt stopped and did not start again.
    pub owed_starts: BTreeSet<ServiceName>,
    /// The form that the data has now.
    pub schema: Schema,
    /// Forms that the data had at releases, newest release first.
    pub past_schemas: Vec<Schema>,
    /// A migration that a killed attempt left behind, of which nobody knows whether it is done.
    pub doubt: Option<Doubt>,
    /// Backups, by name, from before the data left the form that it has at the last release.
    pub guards: BTreeMap<String, String>,
    /// Jobs that have run to their end at some time.
    pub ran_jobs: BTreeSet<String>,
    /// The release that it is kept at, whatever Git says.
    pub pin: Option<Pin>,
    /// That a person at the host has said to leave it alone.
    pub suspended: Option<Suspension>,
    /// Ids of containers that Docker Compose made, and that are ours by now.
    pub adopted: BTreeSet<String>,
}

/// That a stack is kept at a release, whatever Git says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// Which release.
    pub release: ReleaseId,
    /// Since when.
    pub since: Timestamp,
    /// Who asked for it, where that is known.
    pub by: Option<String>,
}

impl History {
    /// Returns the form that the data has now; half-migrated data has one of its own, which no
    /// code fits.
    pub fn known_schema(&self) -> Schema {
        match &self.doubt {
            None => self.schema.clone(),
            Some(doubt) => Schema {
                attempt: doubt.attempt,
                marks: BTreeSet::new(),
            },
        }
    }

    /// Returns what is known of what there is on the host.
    pub fn recorded(&self) -> Recorded<'_> {
        let release = self.release.as_ref();
        Recorded {
            files: release.map(|release| &release.files),
            host_placed: release.map(|release| &release.host_placed),
            adopted: &self.adopted,
        }
    }

    /// Returns the files of the backups that guard the release, or data that was changed since: they
    /// are never taken away.
    pub fn guarding(&self) -> BTreeSet<String> {
        let released = self.release.iter();
        let released = released.flat_map(|release| release.backups.values());
        self.guards.values().chain(released).cloned().collect()
    }
}

/// The form that migrations have given to a stack's data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Schema {
    /// The attempt that changed it last in a way that the code before can't work with; 0 = none.
    pub attempt: u64,
    /// The migrations that it has seen, as [`super::Action::Migrate`] marks them: those of the
    /// code that it belongs to.
    pub marks: BTreeSet<String>,
}

/// A migration of which nobody knows whether it is done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Doubt {
    /// The attempt that was killed.
    pub attempt: u64,
    /// Which migration.
    pub mark: String,
    /// What its status command said before it.
    pub before: Option<String>,
    /// Whether nobody saw it end; else it failed half-way.
    pub killed: bool,
    /// Whether a person asks for another try. What it has done to the data is not known by that.
    pub forgiven: bool,
}

/// What was put in place last, as it was observed right after; the record keeps it as JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Its number and commit.
    pub id: ReleaseId,
    /// Every service's facts.
    #[serde(with = "listed")]
    pub services: BTreeMap<ServiceName, Facts>,
    /// The image that each service runs.
    pub images: BTreeMap<ServiceName, ReleasedImage>,
    /// Files placed in the project directory, with the digest of their content.
    pub files: BTreeMap<RepoPath, String>,
    /// The form that its data has. This and the two below came with version 2 of the record.
    #[serde(default)]
    pub schema: Schema,
    /// Backups that guard it, by name: taken by the very attempt that made it.
    #[serde(default)]
    pub backups: BTreeMap<String, String>,
    /// Jobs that have run to their end at some time.
    #[serde(default)]
    pub jobs: BTreeSet<String>,
    /// Files placed at fixed places of the host, by absolute path, with the digest of their content.
    /// This and the one below came later in version 2: an older program reads past them.
    #[serde(default)]
    pub host_placed: BTreeMap<PathBuf, String>,
    /// What the proxy in front of it has loaded, if Git names one.
    #[serde(default)]
    pub proxy: Option<ReleasedProxy>,
    /// Digest of what Git says of its backups; `None` = an older program made it.
    #[serde(default)]
    pub backups_said: Option<String>,
    /// When its lifetime is over. This came with version 5: an older program reads past it.
    #[serde(default)]
    pub expires: Option<Timestamp>,
}

/// Writes facts as lists: JSON has text keys only, and a field may be more than a text.
mod listed {
    use serde::{Deserializer, Serializer};

    use super::{BTreeMap, Deserialize, Facts, ServiceName};
    use crate::plan::facts::{Fact, Field};

    pub(super) fn serialize<S: Serializer>(
        services: &BTreeMap<ServiceName, Facts>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let lists = services.iter().map(|(name, facts)| {
            let list: Vec<(&Field, &Fact)> = facts.iter().collect();
            (name, list)
        });
        serializer.collect_map(lists)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<BTreeMap<ServiceName, Facts>, D::Error> {
        let lists: BTreeMap<ServiceName, Vec<(Field, Fact)>> =
            Deserialize::deserialize(deserializer)?;
        let facts = lists.into_iter();
        let facts = facts.map(|(name, list)| (name, list.into_iter().collect()));
        Ok(facts.collect())
    }
}

/// What the proxy in front of a release has loaded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleasedProxy {
    /// What it answers when it is asked: the release in which its configuration changed last.
    pub marker: String,
    /// Its configuration files by where they lie on the host, with the digest of their content.
    pub files: BTreeMap<PathBuf, String>,
    /// The same files by where the proxy reads them, with the digest of what Git has.
    pub templates: BTreeMap<PathBuf, String>,
    /// The addresses under which it reaches services, by `SERVICE:PORT`.
    pub upstreams: BTreeMap<String, String>,
    /// Certificates and keys by where it reads them, with the digest of their content.
    pub certificates: BTreeMap<PathBuf, String>,
}

/// The image that a service of a release runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleasedImage {
    /// Reference as written.
    pub reference: String,
    /// Id of its configuration on this host (`sha256:…`).
    pub id: String,
    /// What registries call it (`repository@sha256:…`); `None` for one that came from none.
    pub digest: Option<String>,
}

/// Names a release: the attempt that made it, and the commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReleaseId {
    /// Number of the attempt.
    pub attempt: u64,
    /// The commit.
    pub revision: Revision,
}

impl fmt::Display for ReleaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}-{}", self.attempt, self.revision.short()))
    }
}

impl Pin {
    /// Returns what it means for its stack, for people.
    pub fn notice(&self, stack: &str) -> String {
        format!("{self}: Git is not followed; lift with: moored retry --stack {stack}")
    }
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let since = self.since.strftime("%Y-%m-%d %H:%M UTC");
        write!(f, "pinned to {} since {since}", self.release)?;
        match &self.by {
            Some(by) => write!(f, " by {by}"),
            None => Ok(()),
        }
    }
}

/// An attempt that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// Its number.
    pub attempt: u64,
    /// Its commit.
    pub revision: Revision,
    /// What it failed with.
    pub error: String,
    /// What has become of it.
    pub then: AfterFailure,
}

/// That a revision was cut short whenever it was tried: the controller was killed meanwhile, or the
/// host went down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crashed {
    /// Which revision.
    pub revision: Revision,
    /// How often in a row.
    pub times: usize,
}

/// Crashes in a row after which a revision is not tried any more by itself: it may be what kills
/// the controller.
const TOO_MANY_CRASHES: usize = 3;

impl Crashed {
    /// Returns whether it is not tried any more by itself.
    pub fn is_too_often(&self) -> bool {
        self.times >= TOO_MANY_CRASHES
    }
}

/// What has become of an attempt that failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AfterFailure {
    /// What was there before is there again, as far as there was something.
    Back,
    /// Everything stays as it is until a person decides.
    Stays {
        /// What that person can do.
        way_out: String,
    },
    /// It could not be taken back: nothing more is done by itself.
    Stuck,
}

/// An attempt that succeeded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastAttempt {
    /// Its commit.
    pub revision: Revision,
    /// When it ended, in seconds since 1970.
    pub ended_at: i64,
    /// Services that it started because their process had ended.
    pub started: BTreeSet<ServiceName>,
}

impl Release {
    /// Returns the proxy's configuration as Git has it, by where the proxy reads each file.
    pub fn configs(&self) -> Option<&BTreeMap<PathBuf, String>> {
        self.proxy.as_ref().map(|proxy| &proxy.templates)
    }

    /// Returns what its images are tagged: the tag that most of them have, or each service's own
    /// where there is no such tag.
    pub fn version(&self) -> String {
        let mut counted: BTreeMap<&str, usize> = BTreeMap::new();
        let images = self.images.iter();
        let tags: Vec<(&ServiceName, &str)> = images
            .map(|(service, image)| (service, tag(&image.reference)))
            .collect();
        for (_, tag) in &tags {
            *counted.entry(tag).or_default() += 1;
        }
        let most = counted.values().max().copied().unwrap_or(0);
        let mut leading = counted.iter().filter(|(_, count)| **count == most);
        match (leading.next(), leading.next()) {
            (Some((tag, _)), None) => (*tag).to_owned(),
            _ => tags
                .iter()
                .map(|(service, tag)| format!("{service} {tag}"))
                .collect::<Vec<_>>()
                .join(", "),
        }
    }
}

/// Returns the tag of a reference, or the beginning of its digest where it has none.
fn tag(reference: &str) -> &str {
    let (named, digest) = match reference.split_once('@') {
        Some((named, digest)) => (named, digest.get(..19).unwrap_or(digest)),
        None => (reference, "latest"),
    };
    // A colon before the last slash is of a registry's port.
    let name = named.rsplit('/').next().unwrap_or(named);
    name.split_once(':').map_or(digest, |(_, tag)| tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_found_behind_a_registry_with_a_port() {
        assert_eq!(tag("127.0.0.1:5000/shop/web:v1"), "v1");
        assert_eq!(tag("127.0.0.1:5000/shop/web"), "latest");
        assert_eq!(tag("web@sha256:0123456789abcdef"), "sha256:0123456789ab");
    }

    #[test]
    fn what_was_promoted_is_told_by_its_tag() {
        let promoted = "127.0.0.1:5000/shop/web:v3@sha256:0123456789abcdef";
        assert_eq!(tag(promoted), "v3");
    }
}
