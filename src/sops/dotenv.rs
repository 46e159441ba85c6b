//! Reads SOPS' form of environment files: `KEY=value` and comments, one a line, and its own words
//! as further keys (`sops_mac=…`). No quotes, no blanks: what stands behind `=` is the value.

use std::sync::Arc;

use zeroize::Zeroizing;

use super::cipher::Plain;
use super::document::{Document, not_encrypted};
use super::metadata::Raw;
use crate::diagnostic::{Diagnostic, Diagnostics, Position};
use crate::secret::Sensitive;
use crate::yaml::text::{count, decode};
use crate::yaml::{Entry, Kind, Node};

/// Most lines: a hundred times those of a large file.
const MAX_LINES: usize = 20_000;

/// What the keys of SOPS begin with.
const PREFIX: &str = "sops_";

/// Reads a file.
pub(super) fn read(file: &str, text: &[u8]) -> Result<Document, Diagnostics> {
    let text = decode(file, text)?;
    let name: Arc<str> = file.into();
    let mut document = Document {
        entries: Vec::new(),
        raw: Raw::default(),
    };
    let mut has_metadata = false;
    for (index, line) in text.split('\n').enumerate() {
        let at = |offset: usize| Position {
            line: count(index + 1),
            column: count(offset + 1),
        };
        if index >= MAX_LINES {
            let message = format!("the file has more than {MAX_LINES} lines");
            return Err(Diagnostic::file(file, message).into());
        }
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if line.ends_with('\r') {
            let message = "this line ends as lines do on Windows, with which sops can't read it";
            return Err(Diagnostic::at(file, at(line.len() - 1), message)
                .hint("save it with LF at the ends of lines")
                .into());
        }
        let Some((key, value)) = line.split_once('=') else {
            let message = "neither KEY=value nor a comment";
            return Err(Diagnostic::at(file, at(0), message).into());
        };
        let value = value.replace("\\n", "\n");
        if let Some(key) = key.strip_prefix(PREFIX) {
            has_metadata = true;
            document.raw.add_flat(key, value, at(0));
            continue;
        }
        // What looks like a name may be a part of a secret: messages show none that is odd.
        if key.is_empty() || key.contains(|c: char| c.is_whitespace() || c.is_control()) {
            let message = "what stands before = is not the name of a variable";
            return Err(Diagnostic::at(file, at(0), message)
                .hint("write KEY=value")
                .into());
        }
        document.entries.push(Entry {
            key: key.to_owned(),
            key_position: at(0),
            value: Node::new(&name, at(key.chars().count() + 1), Kind::Str(value)),
        });
    }
    if has_metadata {
        Ok(document)
    } else {
        Err(not_encrypted(file).into())
    }
}

/// Puts the decrypted values together again as SOPS prints them, each in the line that it had.
pub(super) fn print(entries: &[Entry], values: &[Option<Plain>]) -> Sensitive {
    let mut out = Zeroizing::new(String::new());
    let mut line = 1;
    for (entry, value) in entries.iter().zip(values) {
        for _ in line..entry.key_position.line {
            out.push('\n');
        }
        line = entry.key_position.line;
        out.push_str(&entry.key);
        out.push('=');
        let Some(value) = value else { continue };
        for (index, part) in value.text.split('\n').enumerate() {
            if index > 0 {
                out.push_str("\\n");
            }
            out.push_str(part);
        }
    }
    out.push('\n');
    Sensitive::new(std::mem::take(&mut *out))
}
