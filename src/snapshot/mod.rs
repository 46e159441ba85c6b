//! Tells what is on a host and what was, without a secret, so that a change can be planned where
//! there is neither the host nor its engine: in CI.
//!
//! [`take()`] makes a [`Snapshot`] of what was looked at; [`plan()`] plans other files against it. No
//! value of an environment, no copied file and no key is in it; `redact` says what is hidden and
//! how. What is hidden is the same text on both sides, and so never a difference by itself; one that
//! already differs from Git on the host has another text, and still does. Digests that were made
//! with the key of the host are told in a key that everybody knows, of what is left when everything
//! secret is hidden (`translate`).
//!
//! Format and limits: `docs/ci.md`; why: `docs/decisions/0026-snapshot.md`.

mod compare;
mod environment;
mod fill;
mod redact;
mod take;
mod translate;

use std::collections::BTreeMap;
use std::path::PathBuf;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use compare::{Compared, look_at, plan};
pub use redact::HIDDEN;
pub use take::take;

use crate::desired::{DesiredState, Service, ServiceName, StackName};
use crate::engine::model::{Container, Image};
use crate::gates::Closed;
use crate::labels;
use crate::observe::{ImageState, ObservedState};
use crate::plan::{History, unit};
use crate::policy::Policy;
use crate::secret::DigestKey;
use crate::source::{CommitInfo, ReadError};
use environment::Environments;

/// The form of a snapshot; another one is refused.
pub const FORMAT: u32 = 2;

/// Larger than that of any host that Moored is for.
const MAX_BYTES: usize = 64 * 1024 * 1024;

/// What is on a host and what was, as far as planning wants to know it, without a secret.
#[derive(Clone, Serialize, Deserialize)]
pub struct Snapshot {
    /// [`FORMAT`].
    pub format: u32,
    /// The version of Moored that took it.
    pub moored: String,
    /// When.
    pub taken_at: Timestamp,
    /// Name of the host.
    pub host: String,
    /// Its time zone by its IANA name, where it has one.
    pub time_zone: Option<String>,
    /// Id of the installation.
    pub instance: String,
    /// What its settings permit.
    pub policy: Policy,
    /// Its stacks.
    pub stacks: BTreeMap<StackName, StackSnapshot>,
    /// Stacks that could not be looked at, by directory, with why.
    pub failed: BTreeMap<String, String>,
}

/// One stack of a host.
#[derive(Clone, Serialize, Deserialize)]
pub struct StackSnapshot {
    /// Directory of its manifest.
    pub dir: String,
    /// What Git was at.
    pub commit: CommitInfo,
    /// Where its relative paths resolve unless it says so itself.
    pub directory: PathBuf,
    /// That the settings let changes in at other hours; `None` = not when this was taken.
    #[serde(default)]
    pub closed: Option<Closed>,
    /// Who must approve what is new, if anybody.
    #[serde(default)]
    pub approvers: Vec<String>,
    /// What was found, but for the environment of containers.
    observed: ObservedState,
    /// That environment, as far as it may be shown.
    environments: Environments,
    /// What was.
    history: History,
}

/// Why there is no snapshot, or no plan by one.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It is too large.
    #[error("the snapshot is larger than {MAX_BYTES} bytes")]
    TooLarge,
    /// It is something else.
    #[error("this is no snapshot: {0}\n  hint: moored snapshot writes one")]
    Unreadable(String),
    /// Another version took it.
    #[error(
        "the snapshot has format {found}, and this version reads {FORMAT}\n  hint: use the version of moored that the host has"
    )]
    OtherFormat {
        /// Which one.
        found: u32,
    },
    /// The files can't be read.
    #[error("failed to read the state repository: {0}")]
    Read(#[from] ReadError),
    /// A secret is part of the words and names that a snapshot is written in.
    #[error(
        "a secret is part of a common word or of a name that a plan has to show, and can't be hidden\n  hint: whoever sees the stack would guess it: choose another one"
    )]
    Telltale,
    /// Something could not be written down.
    #[error("failed to write down what was observed: {0}")]
    Unwritable(serde_json::Error),
}

impl Snapshot {
    /// Reads a snapshot.
    ///
    /// # Errors
    /// It is none, or of another format.
    pub fn parse(text: &[u8]) -> Result<Self, SnapshotError> {
        #[derive(Deserialize)]
        struct Head {
            format: u32,
        }
        let unreadable = |error: serde_json::Error| SnapshotError::Unreadable(error.to_string());
        if text.len() > MAX_BYTES {
            return Err(SnapshotError::TooLarge);
        }
        let head: Head = serde_json::from_slice(text).map_err(unreadable)?;
        if head.format != FORMAT {
            return Err(SnapshotError::OtherFormat { found: head.format });
        }
        serde_json::from_slice(text).map_err(unreadable)
    }
}

/// Returns which service of a stack a container is of, with what Git wants of it.
fn service_of<'a>(
    container: &Container,
    desired: &'a DesiredState,
) -> Option<(&'a ServiceName, &'a Service)> {
    let project = container.spec.labels.get(labels::PROJECT);
    // Another project may have a service of the same name.
    project.filter(|project| *project == desired.stack.as_str())?;
    desired.services.get_key_value(&unit(container)?)
}

/// Returns the image that a container was made from, if it was looked at.
fn image_of<'a>(container: &Container, observed: &'a ObservedState) -> Option<&'a Image> {
    observed.images.values().find_map(|state| match state {
        ImageState::Here(image) if image.id == container.image_id => Some(image.as_ref()),
        ImageState::Here(_)
        | ImageState::Remote { .. }
        | ImageState::Moved { .. }
        | ImageState::NotPulled
        | ImageState::Missing { .. }
        | ImageState::Denied { .. }
        | ImageState::Unknown { .. } => None,
    })
}

/// The key of the digests in a snapshot, which everybody knows: there is no secret in what they
/// are digests of.
fn public_key() -> DigestKey {
    DigestKey::new(vec![0; 32])
}
