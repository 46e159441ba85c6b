//! Knows the escapes in double quotes of an environment file.

/// Replaces the escapes that compose-go knows; any other stays as it is.
pub(super) fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        out.push_str(before);
        let (replacement, length) = escape(after);
        match replacement {
            Some(replacement) => out.push_str(&replacement),
            None => out.push('\\'),
        }
        rest = after.get(length..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

/// Returns what stands for an escape, and how many bytes behind the backslash belong to it.
fn escape(after: &str) -> (Option<String>, usize) {
    let single = |text: &str| (Some(text.to_owned()), 1);
    match after.bytes().next() {
        Some(b'a') => single("\u{7}"),
        Some(b'b') => single("\u{8}"),
        Some(b'f') => single("\u{c}"),
        Some(b'n') => single("\n"),
        Some(b'r') => single("\r"),
        Some(b't') => single("\t"),
        Some(b'v') => single("\u{b}"),
        Some(b'"') => single("\""),
        Some(b'\\') => single("\\"),
        // The variables come later, and take `$$` for a dollar sign.
        Some(b'$') => single("$$"),
        Some(b'0') => octal(after),
        Some(_) | None => (None, 0),
    }
}

/// Reads `\0` and up to three digits; what is no byte in octal loses its `0`, as in compose-go.
fn octal(after: &str) -> (Option<String>, usize) {
    let digits: String = after
        .chars()
        .skip(1)
        .take(3)
        .take_while(char::is_ascii_digit)
        .collect();
    let length = 1 + digits.len();
    let byte = (digits.len() == 3)
        .then(|| u8::from_str_radix(&digits, 8).ok())
        .flatten();
    let text = match byte {
        Some(byte) => char::from(byte).to_string(),
        None => format!("\\{digits}"),
    };
    (Some(text), length)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replaces_what_compose_go_knows() {
        for (text, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("\\n\\r\\t\\a\\b\\f\\v", "\n\r\t\u{7}\u{8}\u{c}\u{b}"),
            ("\\\\n", "\\n"),
            ("\\\"", "\""),
            ("\\$A", "$$A"),
            ("\\0101\\0377", "A\u{ff}"),
            ("\\0777 \\0189 \\012 \\0", "\\777 \\189 \\12 \\"),
            ("\\c\\x41\\é\\", "\\c\\x41\\é\\"),
        ] {
            assert_eq!(unescape(text), expected, "{text}");
        }
    }
}
