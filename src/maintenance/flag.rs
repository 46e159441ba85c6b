//! What is in a flag file: whose it is, in a form for programs and people.

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use jiff::Timestamp;
use rustix::fs::OFlags;
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use crate::desired::StackName;

/// A flag that is there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flag {
    /// Who switched it on.
    pub owner: Owner,
    /// Why, in one line; empty when nobody said.
    pub reason: String,
    /// Since when: as it says itself, else the time of the file's last change.
    pub since: Option<Timestamp>,
}

/// Who switched maintenance on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Owner {
    /// An attempt of this installation.
    Attempt {
        /// Of which stack.
        stack: StackName,
        /// The installation: one state directory.
        instance: String,
        /// Its number.
        attempt: u64,
    },
    /// The manifest's `on:`.
    Git {
        /// Of which stack.
        stack: StackName,
        /// The installation: one state directory.
        instance: String,
    },
    /// A person, by command.
    Person {
        /// Who, as the system knows them.
        who: String,
    },
    /// Somebody: the file has other content, or is of another installation.
    Unknown,
}

/// Looks at the flag of a stack that `instance` keeps; none when maintenance is off.
///
/// # Errors
/// It can't be read, or is no plain file: a link is not followed.
pub fn observe(flag: &Path, instance: &str) -> io::Result<Option<Flag>> {
    const WANTED: &str = "it must be a plain file";
    // Opening a device may do something.
    let seen = flag.symlink_metadata();
    if seen.is_ok_and(|seen| !seen.is_file() && !seen.is_symlink()) {
        return Err(io::Error::other(WANTED));
    }
    let opened = OpenOptions::new()
        .read(true)
        // A named pipe must not hang the controller, and a link could lead anywhere.
        .custom_flags((OFlags::NONBLOCK | OFlags::NOFOLLOW).bits().cast_signed())
        .open(flag);
    let mut file = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
            return Err(io::Error::other("it is a link, and must be a plain file"));
        }
        Err(error) => return Err(error),
    };
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(io::Error::other(WANTED));
    }
    let mut content = Vec::new();
    file.by_ref().take(MAX_BYTES).read_to_end(&mut content)?;
    Ok(Some(Flag::read(&content, instance).unwrap_or_else(|| {
        Flag {
            owner: Owner::Unknown,
            reason: String::new(),
            since: about
                .modified()
                .ok()
                .and_then(|time| Timestamp::try_from(time).ok()),
        }
    })))
}

impl Owner {
    /// Returns whether what this one switched on is the other one's to switch off.
    ///
    /// Nobody is the same as somebody unknown.
    pub fn is(&self, other: &Self) -> bool {
        self == other && *self != Self::Unknown
    }

    /// Returns whether it is of this installation, or of a person.
    fn may_be_of(&self, of: &str) -> bool {
        match self {
            Self::Attempt { instance, .. } | Self::Git { instance, .. } => instance == of,
            Self::Person { .. } | Self::Unknown => true,
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attempt { stack, attempt, .. } => write!(f, "attempt {attempt} of {stack}"),
            Self::Git { stack, .. } => write!(f, "the manifest of {stack}"),
            Self::Person { who } => f.write_str(who),
            Self::Unknown => f.write_str("somebody by hand"),
        }
    }
}

impl Flag {
    /// Returns the content of the file.
    pub(super) fn written(&self) -> Vec<u8> {
        let document = Document {
            about: ABOUT.to_owned(),
            format: FORMAT,
            reason: self.reason.clone(),
            since: self.since,
            owner: self.owner.clone(),
        };
        let mut text = serde_json::to_vec_pretty(&document)
            .unwrap_or_else(|_| unreachable!("text, numbers and times are always JSON"));
        text.push(b'\n');
        text
    }

    /// Reads the content of a file; nothing when it is not ours.
    fn read(content: &[u8], instance: &str) -> Option<Self> {
        let document: Document = serde_json::from_slice(content).ok()?;
        // What a newer version means by it, only that one knows.
        (document.format == FORMAT && document.owner.may_be_of(instance)).then_some(Self {
            owner: document.owner,
            reason: document.reason,
            since: document.since,
        })
    }
}

/// What is in the file. `about` and the order are for people.
#[derive(Serialize, Deserialize)]
struct Document {
    #[serde(default)]
    about: String,
    format: u32,
    reason: String,
    since: Option<Timestamp>,
    owner: Owner,
}

const FORMAT: u32 = 1;

const ABOUT: &str = "visitors see the maintenance page while this file exists";

/// A hundred times what we write.
const MAX_BYTES: u64 = 64 * 1024;
