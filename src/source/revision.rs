//! Names commits.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A full commit id: 40 lower-case hexadecimal digits.
///
/// Never an abbreviation, a branch or a tag: those can mean another commit tomorrow.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Revision(String);

/// Says that a text is no full commit id.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a commit id is 40 hexadecimal digits; this has {digits} of {length} characters")]
pub struct RevisionError {
    digits: usize,
    length: usize,
}

/// What a person wants to know about a commit. Made by its author: to be escaped where printed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitInfo {
    /// The commit itself.
    pub revision: Revision,
    /// First line of the message: at most 200 characters, what is not UTF-8 replaced.
    pub subject: String,
    /// Author's name as the commit states it, bounded like the subject.
    pub author_name: String,
    /// Author's address as the commit states it, bounded like the subject.
    pub author_email: String,
    /// Committer's time in seconds since 1970 (UTC), as the commit states it.
    pub committed_at: i64,
}

impl CommitInfo {
    /// Returns what stands for a commit where files are read that are not committed: the id that
    /// `git blame` and `git diff` give to them, all zeros.
    pub fn uncommitted() -> Self {
        Self {
            revision: Revision("0".repeat(40)),
            subject: "not committed".to_owned(),
            author_name: String::new(),
            author_email: String::new(),
            committed_at: 0,
        }
    }

    /// Returns whether it stands for files that are not committed.
    pub fn is_uncommitted(&self) -> bool {
        self.revision.0.bytes().all(|digit| digit == b'0')
    }
}

impl Revision {
    /// Returns the first seven digits, for people.
    pub fn short(&self) -> &str {
        self.0.get(..7).unwrap_or(&self.0)
    }

    /// Returns all 40 digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Revision {
    type Err = RevisionError;

    fn from_str(text: &str) -> Result<Self, RevisionError> {
        let digits = text.bytes().filter(u8::is_ascii_hexdigit).count();
        if digits == 40 && text.len() == 40 {
            Ok(Self(text.to_ascii_lowercase()))
        } else {
            Err(RevisionError {
                digits,
                length: text.chars().count(),
            })
        }
    }
}

impl TryFrom<String> for Revision {
    type Error = RevisionError;

    fn try_from(text: String) -> Result<Self, RevisionError> {
        text.parse()
    }
}

impl From<Revision> for String {
    fn from(revision: Revision) -> Self {
        revision.0
    }
}

impl From<git2::Oid> for Revision {
    fn from(id: git2::Oid) -> Self {
        Self(id.to_string())
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_full_ids_only() {
        let id = "0123456789abcdef0123456789ABCDEF01234567";
        let revision: Revision = id.parse().unwrap();
        assert_eq!(revision.as_str(), id.to_ascii_lowercase());
        assert_eq!(revision.short(), "0123456");
        for text in ["", "main", "0123456", &id[1..], &format!("{id}0")] {
            assert!(text.parse::<Revision>().is_err(), "{text}");
        }
    }

    #[test]
    fn is_a_plain_string_in_json() {
        let revision: Revision = "a".repeat(40).parse().unwrap();
        let json = serde_json::to_string(&revision).unwrap();
        assert_eq!(json, format!("\"{revision}\""));
        assert!(serde_json::from_str::<Revision>("\"HEAD\"").is_err());
    }
}
