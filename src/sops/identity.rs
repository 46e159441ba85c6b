//! The private keys of a host.

use age::x25519::Identity;

use crate::diagnostic::{Diagnostic, Position};
use crate::secret::Sensitive;
use crate::yaml::text::{count, decode};

/// Most keys in one file: each is tried on each recipient of a file.
const MOST: usize = 32;

/// The age keys that a host decrypts with.
pub struct Identities {
    pub(super) keys: Vec<Identity>,
    /// The lines that they stand in.
    lines: Vec<Sensitive>,
}

/// Kinds of keys that are known and not used: how their text begins, and what they are.
const OTHERS: [(&str, &str); 5] = [
    ("AGE-PLUGIN-", "a key of an age plugin"),
    ("AGE-SECRET-KEY-PQ-", "a post-quantum age key"),
    ("-----BEGIN AGE", "an age key behind a passphrase"),
    ("age-encryption.org", "an age key behind a passphrase"),
    ("-----BEGIN", "a key of another program, such as ssh"),
];

impl Identities {
    /// Reads a file as `age-keygen` writes it: one key a line, blank lines and lines that begin
    /// with `#` aside.
    ///
    /// # Errors
    /// What is not an age key (`AGE-SECRET-KEY-1…`), by its line and never by its text; no key at
    /// all; more than 32.
    pub fn parse(file: &str, text: &[u8]) -> Result<Self, Diagnostic> {
        const FORM: &str = "make one with age-keygen -o FILE; it begins with AGE-SECRET-KEY-1";
        let text = decode(file, text)?;
        let mut found = Self {
            keys: Vec::new(),
            lines: Vec::new(),
        };
        for (index, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let Ok(key) = line.parse::<Identity>() else {
                let position = Position {
                    line: count(index + 1),
                    column: 1,
                };
                let other = OTHERS.iter().find(|(start, _)| line.starts_with(start));
                let what = other.map_or("no age key", |(_, what)| what);
                let message = format!("{what} stands here, where an age key is wanted");
                return Err(Diagnostic::at(file, position, message).hint(FORM));
            };
            found.keys.push(key);
            found.lines.push(Sensitive::new(line));
        }
        match found.keys.len() {
            0 => Err(Diagnostic::file(file, "there is no age key in it").hint(FORM)),
            1..=MOST => Ok(found),
            _ => {
                let message = format!("there are more than {MOST} age keys in it");
                Err(Diagnostic::file(file, message).hint("keep those that are in use"))
            }
        }
    }

    /// Returns the keys as they are written, to be hidden wherever they turn up.
    pub fn texts(&self) -> impl Iterator<Item = &Sensitive> {
        self.lines.iter()
    }

    /// Returns the recipients that files are encrypted for to be read with these keys.
    pub(super) fn recipients(&self) -> Vec<String> {
        let of_each = self.keys.iter().map(|key| key.to_public().to_string());
        of_each.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "AGE-SECRET-KEY-13LYTSUZ4HZX684CMKNFGK393DGDTZ64L9SKU2RPNFK5928Y7PXLSL08EKZ";

    #[test]
    fn reads_what_age_keygen_writes() {
        let text = format!("# created: today\r\n# public key: age1…\r\n{KEY}\r\n\n  {KEY}\n");
        let found = Identities::parse("age.key", text.as_bytes()).ok().unwrap();
        let recipient = "age1wlvz30nacwm9ez7kdkmgmupsjqs3gu4ajmnhktxf720a0dnlla2s70lm36";
        assert_eq!(found.recipients(), [recipient, recipient]);
        assert!(found.texts().all(|text| text.expose() == KEY));
    }

    #[test]
    fn what_is_no_key_is_refused_by_its_line_alone() {
        let refused = |text: &str| {
            let found = Identities::parse("age.key", text.as_bytes());
            found.err().unwrap().to_string()
        };
        let truncated = &KEY[..60];
        for (text, expected) in [
            ("", "age.key: there is no age key in it"),
            ("# nothing\n", "age.key: there is no age key in it"),
            (
                &*format!("\n{truncated}\n"),
                "age.key:2:1: no age key stands here",
            ),
            (
                "AGE-PLUGIN-../../X-1QQQ",
                "age.key:1:1: a key of an age plugin",
            ),
            (
                "AGE-SECRET-KEY-PQ-1JPDDEM",
                "age.key:1:1: a post-quantum age key",
            ),
            (
                "-----BEGIN OPENSSH PRIVATE KEY-----",
                "age.key:1:1: a key of another program",
            ),
            (
                "-----BEGIN AGE ENCRYPTED FILE-----",
                "age.key:1:1: an age key behind a passphrase",
            ),
            (&format!("{KEY}\n").repeat(33), "age.key: there are more"),
        ] {
            let said = refused(text);
            assert!(said.starts_with(expected), "{said}");
            assert!(!said.contains(truncated), "{said}");
        }
    }
}
