//! Keeps secret values out of every output.
//!
//! [`Sensitive`] has no `Debug`, `Display` or `Serialize`, so printing one is a compile error.
//! Two values are compared, and recorded, by a digest that is keyed with a key of this host
//! ([`DigestKey`]): a plain hash of a short password could be guessed.
//! [`Redactor`] is the last line: text that reaches a person or the journal passes through it,
//! data before it is made text. Modules: `redactor`, and `forms` in which a value turns up.

mod forms;
mod redactor;

pub use redactor::Redactor;

use hmac::{Hmac, KeyInit, Mac};
use rustix::process::{Resource, Rlimit};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use zeroize::Zeroizing;

/// A value that may be secret: it can be compared and handed to the engine, and nothing else.
#[derive(Clone, PartialEq, Eq)]
pub struct Sensitive(Zeroizing<String>);

impl Sensitive {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(Zeroizing::new(value.into()))
    }

    /// Returns the value itself; the caller must not print, log or store it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

/// Has the kernel write no core file of this process, nor of those that it starts: what is in their
/// memory would be in it.
pub fn leave_no_core_file() {
    let none = Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    // Where the system has no such limit, there is nothing to be done about it.
    let _ = rustix::process::setrlimit(Resource::Core, none);
}

/// The key of this host for keyed digests (32 random bytes, kept in the state directory).
#[derive(Clone)]
pub struct DigestKey(Zeroizing<Vec<u8>>);

impl DigestKey {
    /// Wraps key material.
    pub fn new(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// Returns the keyed digest of `bytes`: HMAC-SHA256, in full.
    pub fn digest(&self, bytes: &[u8]) -> Digest {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0)
            .unwrap_or_else(|_| unreachable!("HMAC takes a key of any length"));
        mac.update(bytes);
        Digest(hex::encode(mac.finalize().into_bytes()))
    }
}

/// A digest as 64 lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(pub String);

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns whether a variable of this name should be treated as secret wherever it comes from.
///
/// Errs on the side of hiding: a hidden value that was public costs a look into Git, a shown
/// secret can't be taken back.
pub fn looks_secret(name: &str) -> bool {
    const WORDS: [&str; 14] = [
        "PASS",
        "PWD",
        "SECRET",
        "TOKEN",
        "KEY",
        "CREDENTIAL",
        "AUTH",
        "PRIVATE",
        "CERT",
        "DSN",
        "DATABASE_URL",
        "SALT",
        "SIGNING",
        "WEBHOOK",
    ];
    let name = name.to_ascii_uppercase();
    WORDS.iter().any(|word| name.contains(word))
}

/// Returns whether a value from a file of the host is hidden wherever it turns up in a text.
///
/// By name, or because it is long enough that it does not turn up by chance: hiding every
/// `production` that stands in an environment file would make all output unreadable.
pub fn worth_hiding(name: &str, value: &str) -> bool {
    value.len()
        >= if looks_secret(name) {
            SHORTEST_HIDDEN
        } else {
            LONG
        }
}

/// Returns whether a text has one of these values in it.
pub fn mentions(text: &str, secrets: &[Sensitive]) -> bool {
    secrets
        .iter()
        .any(|secret| secret.expose().len() >= SHORTEST_HIDDEN && text.contains(secret.expose()))
}

/// Values shorter than this are not replaced: hiding every `1` or `true` would make all output
/// unreadable and protect nothing.
const SHORTEST_HIDDEN: usize = 6;

/// Values of at least this length turn up in a text by no chance.
const LONG: usize = 16;

/// Returns `text` with control and bidirectional characters, except line feed and tab, written
/// as `\u{..}`.
pub fn escape_control(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let bidi = matches!(c, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
        if (c.is_control() && c != '\n' && c != '\t') || bidi {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_terminal_sequences() {
        assert_eq!(escape_control("a\u{1b}[31mb\n"), "a\\u{1b}[31mb\n");
        assert_eq!(escape_control("a\u{202e}b"), "a\\u{202e}b");
    }

    #[test]
    fn digests_depend_on_the_key() {
        let (a, b) = (DigestKey::new(vec![1; 32]), DigestKey::new(vec![2; 32]));
        assert_eq!(a.digest(b"x"), a.digest(b"x"));
        assert_ne!(a.digest(b"x"), b.digest(b"x"));
    }

    #[test]
    fn knows_secret_names() {
        for name in ["DB_PASSWORD", "api_token", "SECRET_KEY", "DATABASE_URL"] {
            assert!(looks_secret(name), "{name}");
        }
        for name in ["LOG_LEVEL", "PORT", "GREETING"] {
            assert!(!looks_secret(name), "{name}");
        }
    }
}
