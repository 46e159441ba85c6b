//! Takes the bytes of a file as text, and finds places in it.

use crate::diagnostic::{Diagnostic, Position};

/// Bytes of one file, and of what comes of it.
pub(crate) const MAX_BYTES: usize = 8 << 20;

/// Returns the text of a file without its byte order mark; refuses a file that is too long or
/// not UTF-8.
pub(crate) fn decode<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str, Diagnostic> {
    if bytes.len() > MAX_BYTES {
        let message = format!("the file has more than {} MiB", MAX_BYTES >> 20);
        return Err(Diagnostic::file(file, message).hint("split it"));
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    str::from_utf8(bytes).map_err(|error| {
        let valid = bytes.get(..error.valid_up_to()).unwrap_or_default();
        let valid = String::from_utf8_lossy(valid);
        let place = place(&valid, valid.len());
        Diagnostic::at(file, place, "the file is not valid UTF-8").hint("save it as UTF-8")
    })
}

/// Returns the line and column of a byte offset.
pub(crate) fn place(text: &str, offset: usize) -> Position {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    Position {
        line: count(before.matches('\n').count() + 1),
        column: count(line.chars().count() + 1),
    }
}

/// Returns a count as lines and columns are counted.
pub(crate) fn count(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}
