//! What a fact is, and which facts are shown.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::Field;
use crate::secret::{Digest, DigestKey, Sensitive, looks_secret, mentions};

/// The value of a field: shown, or only known by its keyed digest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fact {
    /// May be shown.
    Plain(String),
    /// Must not be shown; equal digests mean equal values.
    Hidden(Digest),
}

impl Fact {
    /// Leaves nothing of a shown value but its keyed digest.
    pub fn hide(&mut self, key: &DigestKey) {
        if let Self::Plain(text) = self {
            *self = Self::Hidden(key.digest(text.as_bytes()));
        }
    }
}

/// Everything known about a container, by field.
pub type Facts = BTreeMap<Field, Fact>;

/// Decides which values are shown.
#[derive(Clone, Copy)]
pub struct Veil<'a> {
    /// Key of the digests of hidden values.
    pub key: &'a DigestKey,
    /// A value with one of these in it is hidden, whatever its field.
    pub secrets: &'a [Sensitive],
}

impl Veil<'_> {
    pub(super) fn fact(&self, value: String) -> Fact {
        if mentions(&value, self.secrets) {
            return self.hide(&value);
        }
        Fact::Plain(value)
    }

    pub(super) fn hide(&self, value: &str) -> Fact {
        Fact::Hidden(self.key.digest(value.as_bytes()))
    }

    /// Returns the fact for a value that has a name: an option of a driver may be a password.
    pub(in super::super) fn named(&self, name: &str, value: &str) -> Fact {
        if looks_secret(name) {
            return self.hide(value);
        }
        self.fact(value.to_owned())
    }
}
