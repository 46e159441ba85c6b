//! Who is told what: the key `notify` of the host's settings, as plain data.
//!
//! A [`Route`] leads to one receiver. [`Topic`] says what a notification is of, [`Kind`] whose
//! business it is. Read with the rest of the settings; `alerts/` goes by it.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Deserializer, Serialize};

use crate::gates;

/// Where notifications go, and which.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// The form that the receiver takes.
    pub kind: Form,
    /// File with the receiver's address in its first line: whoever has that may write there.
    pub url_file: PathBuf,
    /// What it is told of; left out = everything.
    #[serde(default = "all_topics", deserialize_with = "some")]
    pub on: BTreeSet<Topic>,
    /// Whose business it is told of; left out = everybody's.
    #[serde(default = "all_kinds", rename = "for", deserialize_with = "some")]
    pub kinds: BTreeSet<Kind>,
    /// The stacks that it is told of, by name or directory; empty = all.
    #[serde(default, deserialize_with = "some")]
    pub stacks: BTreeSet<String>,
    /// File with the secret that what is sent is signed with; left out = it is not signed.
    pub secret_file: Option<PathBuf>,
    /// Authorities that may vouch for the receiver's certificate, in the place of this host's.
    pub ca_file: Option<PathBuf>,
    /// Whether the receiver may be on this host or in a private network, and without TLS.
    #[serde(default)]
    pub private: bool,
}

/// The form that a receiver takes.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
pub enum Form {
    /// `{"text": …}`, as incoming webhooks of Slack, Mattermost and Rocket.Chat take it.
    Slack,
    /// A JSON document.
    Webhook,
}

/// What a notification is of.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// A release was made.
    Deployed,
    /// An attempt failed, whatever has become of it.
    Failed,
    /// What Git says is not put in place until somebody does something.
    Held,
    /// Something was changed by hand, and was put back or is only reported.
    Drift,
    /// What was told of before is over.
    Recovered,
    /// A backup, or a drill of one, that a schedule wants failed.
    BackupFailed,
    /// A backup that a schedule wants was not taken.
    BackupLate,
    /// The maintenance page has been on for longer than is usual.
    Maintenance,
    /// The controller was killed again and again at a revision.
    Crashes,
    /// Nobody vouches for a commit, history was rewritten, the settings refuse what is asked.
    Security,
    /// A service is up and not well.
    Unhealthy,
    /// Git, the engine or a registry has been away for long.
    Unreachable,
    /// The lifetime of a stack is over.
    Expired,
}

/// Whose business something is.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Of those who keep the host: whatever is nobody else's.
    Infrastructure,
    /// Of those who own services behind.
    Backend,
    /// Of those who own services in front.
    Frontend,
    /// Of those who look after what may be trusted.
    Security,
}

/// Every topic.
pub const TOPICS: [Topic; 13] = [
    Topic::Deployed,
    Topic::Failed,
    Topic::Held,
    Topic::Drift,
    Topic::Recovered,
    Topic::BackupFailed,
    Topic::BackupLate,
    Topic::Maintenance,
    Topic::Crashes,
    Topic::Security,
    Topic::Unhealthy,
    Topic::Unreachable,
    Topic::Expired,
];

/// Every kind.
pub const KINDS: [Kind; 4] = [
    Kind::Infrastructure,
    Kind::Backend,
    Kind::Frontend,
    Kind::Security,
];

impl Route {
    /// Returns whether it is told of a topic that is the business of these kinds.
    pub fn wants(&self, topic: Topic, kinds: &BTreeSet<Kind>) -> bool {
        self.on.contains(&topic) && !self.kinds.is_disjoint(kinds)
    }

    /// Returns whether it is told of a stack; what is of no stack concerns all of them.
    pub fn concerns(&self, stack: Option<&str>, dir: Option<&str>) -> bool {
        let named = |wanted: Option<&str>| {
            let mut names = self.stacks.iter().map(|name| gates::plain(name));
            wanted.is_some_and(|wanted| names.any(|name| name == gates::plain(wanted)))
        };
        let of_all = stack.is_none() && dir.is_none();
        self.stacks.is_empty() || of_all || named(stack) || named(dir)
    }

    /// Returns what it is called, also in the outbox: its file, which has the address.
    pub fn name(&self) -> String {
        self.url_file.display().to_string()
    }
}

impl Topic {
    /// Returns the word of the settings.
    pub fn word(self) -> &'static str {
        match self {
            Self::Deployed => "deployed",
            Self::Failed => "failed",
            Self::Held => "held",
            Self::Drift => "drift",
            Self::Recovered => "recovered",
            Self::BackupFailed => "backup_failed",
            Self::BackupLate => "backup_late",
            Self::Maintenance => "maintenance",
            Self::Crashes => "crashes",
            Self::Security => "security",
            Self::Unhealthy => "unhealthy",
            Self::Unreachable => "unreachable",
            Self::Expired => "expired",
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.word())
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Infrastructure => "infrastructure",
            Self::Backend => "backend",
            Self::Frontend => "frontend",
            Self::Security => "security",
        })
    }
}

fn all_topics() -> BTreeSet<Topic> {
    TOPICS.into()
}

fn all_kinds() -> BTreeSet<Kind> {
    KINDS.into()
}

/// Reads a list that is not empty: an empty one would be a route that nothing goes by.
fn some<'de, D: Deserializer<'de>, T: Deserialize<'de> + Ord>(
    deserializer: D,
) -> Result<BTreeSet<T>, D::Error> {
    let listed = Vec::<T>::deserialize(deserializer)?;
    if listed.is_empty() {
        let message = "an empty list; leave the key out to have all";
        return Err(serde::de::Error::custom(message));
    }
    Ok(listed.into_iter().collect())
}
