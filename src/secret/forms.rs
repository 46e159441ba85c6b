//! The forms in which a secret value turns up in a text.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::{LONG, SHORTEST_HIDDEN, Sensitive, escape_control};

/// Returns every form in which a value is looked for: as it is, each long line of it, and both as
/// JSON, an address or an error message has them; each line and the whole in hexadecimal digits, and
/// the whole in base64.
///
/// A key of many lines is printed line by line by most programs, with something before each.
pub(super) fn forms(value: &str) -> Vec<Sensitive> {
    let lines = value.lines().map(str::trim);
    let parts = lines.filter(|line| line.len() >= LONG && *line != value);
    let mut all: Vec<Sensitive> = parts.chain([value]).flat_map(encoded).collect();
    all.push(Sensitive::new(STANDARD_NO_PAD.encode(value)));
    all.retain(|form| form.expose().len() >= SHORTEST_HIDDEN);
    all
}

fn encoded(text: &str) -> Vec<Sensitive> {
    vec![
        Sensitive::new(text),
        Sensitive::new(escape_control(text)),
        Sensitive::new(quoted(text, false)),
        Sensitive::new(quoted(text, true)),
        Sensitive::new(percent(text)),
        Sensitive::new(hex::encode(text)),
        Sensitive::new(hex::encode_upper(text)),
    ]
}

/// Returns what stands between the quotes of a JSON string, and of most other languages' strings.
fn quoted(text: &str, only_ascii: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            _ if u32::from(c) < 0x20 || (only_ascii && !c.is_ascii()) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(out, "\\u{unit:04x}").unwrap_or_default();
                }
            }
            _ => out.push(c),
        }
    }
    out
}

/// Returns a text as it stands in an address (RFC 3986, section 2.1).
fn percent(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => {
                out.push(char::from(byte));
            }
            _ => write!(out, "%{byte:02X}").unwrap_or_default(),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quoted_form_is_what_json_writes() {
        for text in ["plain", "a\"b\\c\nd\re\tf\u{8}\u{c}\u{1}\u{1f}é€😀/<'"] {
            let json = serde_json::to_string(text).unwrap();
            assert_eq!(format!("\"{}\"", quoted(text, false)), json);
            let ascii = quoted(text, true);
            assert!(ascii.is_ascii(), "{ascii}");
            let read: String = serde_json::from_str(&format!("\"{ascii}\"")).unwrap();
            assert_eq!(read, text);
        }
        assert_eq!(percent("p@ss/é~"), "p%40ss%2F%C3%A9~");
    }
}
