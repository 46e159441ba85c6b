//! Says which head of a branch is not followed, and why: as data, and in words.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::source::Revision;

/// What the host's settings say to the head of a stack's branch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// It is followed.
    #[default]
    Followed,
    /// It is followed, and does not descend from what was released: the settings allow that.
    Rewritten,
    /// It is not followed; the stack stays at its last release.
    Refused(Refusal),
}

/// A head that is not followed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "refused", rename_all = "kebab-case")]
pub enum Refusal {
    /// It does not descend from what was released.
    #[error("{0}")]
    HistoryRewritten(Rewrite),
    /// A commit is not signed by anybody who may.
    #[error("{0}")]
    NotTrusted(UntrustedHead),
    /// What it says of the stack is wrong.
    #[error("{0}")]
    NotLoadable(UnloadableHead),
}

/// History that does not go on from what was released.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Rewrite {
    /// The branch.
    pub branch: String,
    /// The commit of the last release.
    pub released: Revision,
    /// The head of the branch.
    pub head: Revision,
}

/// A head that is not signed, or that comes with a commit that is not, by anybody who may.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UntrustedHead {
    /// The branch.
    pub branch: String,
    /// The head of the branch.
    pub head: Revision,
    /// The commit that it is about: the head, or one that came with it.
    pub commit: Revision,
    /// What is wrong with it.
    #[serde(flatten)]
    pub why: Distrust,
}

/// A head whose files of a stack are wrong. What is wrong with them is told beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UnloadableHead {
    /// The branch.
    pub branch: String,
    /// The head of the branch.
    pub head: Revision,
    /// How many findings there are.
    pub findings: usize,
}

/// Why nobody vouches for a commit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum Distrust {
    /// There is no signature.
    #[error("is not signed")]
    Unsigned,
    /// There is more than one signature.
    #[error("has more than one signature")]
    SeveralSignatures,
    /// The signature is of another kind than OpenSSH's.
    #[error("has {what}, which is not accepted; sign with an SSH key (gpg.format=ssh)")]
    OtherKind {
        /// Which kind, with its article.
        what: String,
    },
    /// The signature can't be read.
    #[error("has a signature that can't be read ({message})")]
    Malformed {
        /// What is wrong with it.
        message: String,
    },
    /// The signature was made for something else than a commit.
    #[error("has a signature that was made for \"{namespace}\" and not for \"git\"")]
    OtherPurpose {
        /// What it was made for.
        namespace: String,
    },
    /// The key is of a kind that is not accepted.
    #[error("is signed with {key}, a key of the kind {kind}, which is not accepted; {instead}")]
    KindOfKey {
        /// Fingerprint of the key.
        key: String,
        /// Its kind, as OpenSSH names it.
        kind: String,
        /// What to use.
        instead: String,
    },
    /// The key is in the file of nobody.
    #[error("is signed with {key}, which is not among the allowed signers")]
    UnknownSigner {
        /// Fingerprint of the key.
        key: String,
    },
    /// The key may sign other things only.
    #[error("is signed by {signer}, whose key {key} may not sign for \"git\" (namespaces)")]
    NotForGit {
        /// Whose key it is.
        signer: String,
        /// Fingerprint of the key.
        key: String,
    },
    /// The key was not valid yet.
    #[error("is signed by {signer}, whose key {key} is valid from {since} on")]
    NotYetValid {
        /// Whose key it is.
        signer: String,
        /// Fingerprint of the key.
        key: String,
        /// Since when it is valid.
        since: String,
    },
    /// The key was not valid any more.
    #[error("is signed by {signer}, whose key {key} was valid until {until}")]
    Expired {
        /// Whose key it is.
        signer: String,
        /// Fingerprint of the key.
        key: String,
        /// Until when it was valid.
        until: String,
    },
    /// The signature is not of this commit.
    #[error("has a signature by {key} that is not of this commit")]
    Forged {
        /// Fingerprint of the key.
        key: String,
    },
    /// More commits came since the release than are looked at.
    #[error("comes with more than {most} commits since the last release, too many to verify each")]
    TooMany {
        /// How many are looked at.
        most: usize,
    },
    /// The file of allowed signers can't be used.
    #[error("can't be verified: {message}")]
    SignersFile {
        /// Which file.
        file: PathBuf,
        /// What is wrong with it, with its name.
        message: String,
    },
    /// The commit can't be read.
    #[error("can't be verified: {message}")]
    Unreadable {
        /// Why.
        message: String,
    },
}

impl fmt::Display for Rewrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            branch,
            released,
            head,
        } = self;
        write!(
            f,
            "the history of branch {branch} was rewritten: {}..{} does not go on from what was \
             released; push a commit that descends from {}, or say allow_force_push: true in the \
             host's settings",
            released.short(),
            head.short(),
            released.short()
        )
    }
}

impl fmt::Display for UnloadableHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (head, branch) = (self.head.short(), &self.branch);
        let findings = if self.findings == 1 {
            "1 finding".to_owned()
        } else {
            format!("{} findings", self.findings)
        };
        write!(
            f,
            "commit {head} of branch {branch} can't be loaded ({findings}, see moored plan)"
        )
    }
}

impl fmt::Display for UntrustedHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let commit = self.commit.short();
        write!(f, "commit {commit} of branch {} {}", self.branch, self.why)?;
        if self.head != self.commit {
            let head = self.head.short();
            return write!(
                f,
                "; it came with {head}, which is not followed until every commit since the last \
                 release is signed by somebody who may"
            );
        }
        match self.why {
            // What is to be done is at the host.
            Distrust::SignersFile { .. } | Distrust::Unreadable { .. } => Ok(()),
            Distrust::Unsigned
            | Distrust::SeveralSignatures
            | Distrust::OtherKind { .. }
            | Distrust::Malformed { .. }
            | Distrust::OtherPurpose { .. }
            | Distrust::KindOfKey { .. }
            | Distrust::UnknownSigner { .. }
            | Distrust::NotForGit { .. }
            | Distrust::NotYetValid { .. }
            | Distrust::Expired { .. }
            | Distrust::Forged { .. }
            | Distrust::TooMany { .. } => f.write_str(
                "; it is not followed until a commit on top is signed by somebody who may",
            ),
        }
    }
}
