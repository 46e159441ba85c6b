//! Reads an encrypted file into its entries and what SOPS says about them.

use super::dotenv;
use super::metadata::Raw;
use crate::diagnostic::{Diagnostic, Diagnostics, Position};
use crate::yaml::text::count;
use crate::yaml::{self, Entry, Kind};

/// Longest file in bytes: a hundred times a large one.
const MAX_BYTES: usize = 1 << 20;

/// The form of a file, which its name tells, as it does to SOPS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// `.env`
    Dotenv,
    /// `.yaml`, `.yml`
    Yaml,
    /// `.json`
    Json,
    /// Any other name: a file that is encrypted as a whole, and JSON or YAML around it.
    Whole,
}

/// An encrypted file.
pub(super) struct Document {
    /// Its values, in order; what SOPS added is not among them.
    pub(super) entries: Vec<Entry>,
    /// What SOPS added.
    pub(super) raw: Raw,
}

impl Format {
    /// Returns the form of the file with this name.
    pub(super) fn of(file: &str) -> Result<Self, Diagnostic> {
        let name = file.rsplit('/').next().unwrap_or(file);
        match name.rsplit_once('.').map(|(_, extension)| extension) {
            Some("env") => Ok(Self::Dotenv),
            Some("yaml" | "yml") => Ok(Self::Yaml),
            Some("json") => Ok(Self::Json),
            Some("ini") => Err(Diagnostic::file(file, "INI files are not supported")
                .hint("write it as .env, .yaml or .json, and encrypt that")),
            Some(_) | None => Ok(Self::Whole),
        }
    }
}

/// Reads a file.
///
/// # Errors
/// It is too long, or not of its form; or SOPS has not encrypted it.
pub(super) fn read(file: &str, text: &[u8], format: Format) -> Result<Document, Diagnostics> {
    if text.len() > MAX_BYTES {
        let message = format!("the file has more than {} MiB", MAX_BYTES >> 20);
        return Err(Diagnostic::file(file, message).into());
    }
    match format {
        Format::Dotenv => dotenv::read(file, text),
        Format::Yaml => tree(file, text),
        // SOPS puts YAML around what was a YAML file (`sops encrypt --input-type binary a.yaml`).
        Format::Whole if text.trim_ascii_start().starts_with(b"data:") => tree(file, text),
        Format::Json | Format::Whole => json(file, text),
    }
}

/// Reads JSON by the reader of YAML, which has it all but for tabs before a value, and places.
fn json(file: &str, text: &[u8]) -> Result<Document, Diagnostics> {
    if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(text) {
        if !text.trim_ascii_start().starts_with(b"{") {
            return Err(not_encrypted(file).into());
        }
        let position = Position {
            line: count(error.line()),
            column: count(error.column()),
        };
        return Err(Diagnostic::at(file, position, "not valid JSON").into());
    }
    // Inside of texts JSON has tabs as `\t` only.
    let spaced: Vec<u8> = text
        .iter()
        .map(|byte| if *byte == b'\t' { b' ' } else { *byte })
        .collect();
    tree(file, &spaced)
}

fn tree(file: &str, text: &[u8]) -> Result<Document, Diagnostics> {
    let mut root = yaml::parse(file, text)?;
    let place = root.location();
    let Some(map) = root.as_map_mut() else {
        return Err(not_encrypted(file).into());
    };
    let Some(metadata) = map.remove("sops") else {
        return Err(not_encrypted(file).into());
    };
    if !matches!(metadata.value.kind, Kind::Map(_)) {
        let message = "sops is to be what sops says about the file, and is something else";
        return Err(Diagnostic::new(place, message).into());
    }
    Ok(Document {
        entries: map.iter().cloned().collect(),
        raw: Raw::of_tree(&metadata.value),
    })
}

/// Refuses a file that has nothing from SOPS in it.
pub(super) fn not_encrypted(file: &str) -> Diagnostic {
    let message = "is not encrypted: sops has not been at this file";
    let hint = "encrypt it before it is committed: sops encrypt --in-place FILE; a secret that has \
                been pushed in plain text is to be changed";
    Diagnostic::file(file, message).hint(hint)
}
