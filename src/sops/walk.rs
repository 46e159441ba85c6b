//! Decrypts the values of a file in their order, and checks the code that vouches for them.

use sha2::{Digest as _, Sha512};
use zeroize::Zeroizing;

use super::cipher::{self, Kind as Type, Plain};
use super::data_key::DataKey;
use super::metadata::Metadata;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::secret::escape_control;
use crate::yaml::{Entry, Kind, Node};

/// What a code over encrypted values alone begins with: the SHA-256 of `sops`.
const ONLY_ENCRYPTED: [u8; 32] = [
    0x8a, 0x3f, 0xd2, 0xad, 0x54, 0xce, 0x66, 0x52, 0x7b, 0x10, 0x34, 0xf3, 0xd1, 0x47, 0xbe, 0x0b,
    0x0b, 0x97, 0x5b, 0x3b, 0xf4, 0x4f, 0x72, 0xc6, 0xfd, 0xad, 0xec, 0x81, 0x76, 0xf2, 0x7d, 0x69,
];

/// Most findings about one file: with another key all of its values are wrong.
const MOST_FINDINGS: usize = 5;

/// Decrypts all values; returns those that stand alone behind a key of the first level, in the
/// order of the entries.
///
/// # Errors
/// What can't be decrypted; or the values are not those that were encrypted, all of them and in
/// this order.
pub(super) fn decrypt(
    file: &str,
    entries: &[Entry],
    metadata: &Metadata,
    key: &DataKey,
) -> Result<Vec<Option<Plain>>, Diagnostics> {
    let mut walk = Walk {
        metadata,
        key,
        hash: Sha512::new(),
        path: Vec::new(),
        findings: Vec::new(),
    };
    if metadata.only_encrypted {
        walk.hash.update(ONLY_ENCRYPTED);
    }
    let values = walk.entries(entries);
    walk.findings.truncate(MOST_FINDINGS);
    Diagnostics::check(std::mem::take(&mut walk.findings))?;
    walk.check(file)?;
    Ok(values)
}

struct Walk<'a> {
    metadata: &'a Metadata,
    key: &'a DataKey,
    hash: Sha512,
    /// The keys on the way; positions in lists are not among them.
    path: Vec<String>,
    findings: Vec<Diagnostic>,
}

impl Walk<'_> {
    fn entries<'e>(&mut self, entries: impl IntoIterator<Item = &'e Entry>) -> Vec<Option<Plain>> {
        let mut values = Vec::new();
        for entry in entries {
            self.path.push(entry.key.clone());
            values.push(self.value(&entry.value, false));
            self.path.pop();
        }
        values
    }

    /// Decrypts what is in a value, and returns it when it is one.
    fn value(&mut self, node: &Node, in_list: bool) -> Option<Plain> {
        let written = match &node.kind {
            Kind::Null => return None,
            Kind::Seq(items) => {
                for item in items {
                    self.value(item, true);
                }
                return None;
            }
            Kind::Map(map) => {
                self.entries(map);
                return None;
            }
            Kind::Bool(value) => (cipher::boolean(*value).to_owned(), Type::Bool),
            Kind::Int(value) => (value.to_string(), Type::Other),
            Kind::Float(value) => (cipher::float(*value), Type::Other),
            Kind::Str(text) => (text.clone(), Type::Text),
        };
        let encrypted = self.metadata.rule.encrypts(&self.path);
        // SOPS leaves an empty text as it is.
        let is_empty = matches!(&node.kind, Kind::Str(text) if text.is_empty());
        let plain = if encrypted && !is_empty {
            self.decrypt(node)?
        } else {
            let (text, kind) = written;
            let text = Zeroizing::new(text);
            Plain { text, kind }
        };
        match plain.kind {
            // A comment in a list is stored as an item of it; the code leaves comments out.
            Type::Comment if in_list => return None,
            Type::Comment => {
                self.refuse(node, "has a value that is a comment");
                return None;
            }
            Type::Text | Type::Bool | Type::Other => {}
        }
        if encrypted || !self.metadata.only_encrypted {
            self.hash.update(plain.text.as_bytes());
        }
        Some(plain)
    }

    fn decrypt(&mut self, node: &Node) -> Option<Plain> {
        let Some(text) = node.as_str().filter(|text| text.starts_with("ENC[")) else {
            self.refuse(node, "stands in plain text, where sops encrypts");
            return None;
        };
        let bound_to = format!("{}:", self.path.join(":"));
        match cipher::decrypt(self.key, text, &bound_to) {
            Ok(plain) => Some(plain),
            Err(why) => {
                self.refuse(node, &format!("has a value that {why}"));
                None
            }
        }
    }

    fn refuse(&mut self, node: &Node, what: &str) {
        if self.findings.len() < MOST_FINDINGS {
            let path = escape_control(&self.path.join("."));
            let message = format!("{path} {what}");
            let hint = "change the file with sops alone: sops edit FILE";
            let found = Diagnostic::new(node.location(), message).hint(hint);
            self.findings.push(found);
        }
    }

    fn check(self, file: &str) -> Result<(), Diagnostic> {
        const AGAIN: &str = "change the file with sops alone: sops edit FILE; when nobody but you \
                             has had it in hand, sops decrypt --ignore-mac and encrypt it again";
        let (code, position) = &self.metadata.code;
        let refuse = |message: &str| Diagnostic::at(file, *position, message).hint(AGAIN);
        let expected = cipher::decrypt(self.key, code, &self.metadata.last_modified);
        let expected = expected.map_err(|why| {
            let message = format!("the message authentication code (mac) {why}");
            refuse(&message)
        })?;
        let found = hex::encode_upper(self.hash.finalize());
        if *expected.text == found {
            return Ok(());
        }
        let message = "the values are not those that were encrypted: the message authentication \
                       code (mac) says otherwise";
        Err(refuse(message))
    }
}
