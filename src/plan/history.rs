//! What planning knows of the past.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::{Deserialize, Serialize};

use super::facts::Facts;
use crate::desired::ServiceName;
use crate::source::{RepoPath, Revision};

/// What planning knows of a stack's past.
#[derive(Clone, Debug, Default)]
pub struct History {
    /// Number of the attempt that a pass would be.
    pub next_attempt: u64,
    /// The last release.
    pub release: Option<Release>,
    /// The last attempt, when it failed and nobody asked for another one.
    pub failed: Option<Failure>,
    /// Finished attempts, oldest first; as many as the rules of planning look back.
    pub past: Vec<PastAttempt>,
    /// Services whose restart was planned after a file had been placed, and was not seen to end.
    pub owed_restarts: BTreeSet<ServiceName>,
}

/// What was put in place last, as it was observed right after.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// Its number and commit.
    pub id: ReleaseId,
    /// Every service's facts.
    pub services: BTreeMap<ServiceName, Facts>,
    /// The image that each service runs.
    pub images: BTreeMap<ServiceName, ReleasedImage>,
    /// Files placed in the project directory, with the digest of their content.
    pub files: BTreeMap<RepoPath, String>,
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

/// An attempt that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its number.
    pub attempt: u64,
    /// Its commit.
    pub revision: Revision,
    /// What it failed with.
    pub error: String,
}

/// An attempt that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastAttempt {
    /// Its commit.
    pub revision: Revision,
    /// When it ended, in seconds since 1970.
    pub ended_at: i64,
    /// Services that it started because their process had ended.
    pub started: BTreeSet<ServiceName>,
}
