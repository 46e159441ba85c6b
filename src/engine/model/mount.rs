//! What is mounted into a container, and what is copied into it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::secret::Sensitive;

/// Something mounted into a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mount {
    /// What is mounted.
    pub source: MountSource,
    /// Whether the container can't write to it.
    pub read_only: bool,
    /// Further options of the short form (`z`, `rshared`, `nocopy`, `size=64m`, …), sorted.
    pub options: Vec<String>,
    /// What only the long form can say.
    pub long: LongMount,
}

/// What only the long form of a mount can say; 0 and empty = the engine's default.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct LongMount {
    /// Path within the volume or image that is mounted.
    pub subpath: String,
    /// Labels of the volume, if it is made for this mount.
    pub labels: BTreeMap<String, String>,
    /// Whether mounts below a bind are mounted too (`enabled`, `disabled`, `writable`, `readonly`).
    pub recursive: String,
    /// Bytes of a [`MountSource::TmpfsMount`].
    pub size: i64,
    /// Permissions of a [`MountSource::TmpfsMount`].
    pub mode: u32,
}

impl Mount {
    /// Returns a new volume without a name of its own, as the engine makes it for an image.
    pub fn anonymous() -> Self {
        Self {
            source: MountSource::Anonymous(None),
            read_only: false,
            options: Vec::new(),
            long: LongMount::default(),
        }
    }
}

/// What is mounted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum MountSource {
    /// A named volume, by its name on the engine.
    Volume(String),
    /// A volume without a name of its own. `Some` on a live container, or to carry one over.
    Anonymous(Option<String>),
    /// A directory or file of the host, by absolute path.
    Bind {
        /// Absolute path on the host.
        path: String,
        /// Whether the engine makes a directory where nothing is.
        create: bool,
    },
    /// Memory, as the key `tmpfs` asks for it.
    Tmpfs,
    /// Memory, as a volume of type `tmpfs` asks for it.
    TmpfsMount,
    /// The files of an image, by its reference. API 1.48 and later.
    Image(String),
    /// A kind that this version does not make (npipe, cluster), by its name.
    Other(String),
}

impl fmt::Display for MountSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Volume(name) => write!(f, "volume {name}"),
            Self::Anonymous(_) => f.write_str("anonymous volume"),
            Self::Bind { path, .. } => f.write_str(path),
            Self::Tmpfs | Self::TmpfsMount => f.write_str("tmpfs"),
            Self::Image(reference) => write!(f, "image {reference}"),
            Self::Other(kind) => f.write_str(kind),
        }
    }
}

/// A file that is copied into a container before each start.
#[derive(Clone, PartialEq, Eq)]
pub struct CopiedFile {
    /// What is in it.
    pub content: Sensitive,
    /// Owner; 0 = root.
    pub uid: u64,
    /// Group; 0 = root.
    pub gid: u64,
    /// Permissions such as `0o444`.
    pub mode: u32,
}
