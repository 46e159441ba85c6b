//! Reads numbers as Go does.

/// Returns a number as Go's `ParseFloat` reads one: digits, an optional fraction and exponent, with
/// underscores between digits. Leaves out what no Compose file has: hexadecimal and words.
pub(crate) fn parse_float(text: &str) -> Option<f64> {
    let separates = |at: usize| {
        let digit = |at: Option<usize>| {
            at.and_then(|at| text.as_bytes().get(at))
                .is_some_and(u8::is_ascii_digit)
        };
        digit(at.checked_sub(1)) && digit(Some(at + 1))
    };
    if !text.match_indices('_').all(|(at, _)| separates(at)) {
        return None;
    }
    let text = text.replace('_', "");
    // Rust would read words such as `inf` too.
    let belongs = |byte: u8| byte.is_ascii_digit() || b"+-.eE".contains(&byte);
    if !text.bytes().all(belongs) {
        return None;
    }
    // Go refuses a number out of range.
    text.parse().ok().filter(|value: &f64| value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_go_does() {
        for (text, expected) in [
            ("5", Some(5.0)),
            ("-5.25", Some(-5.25)),
            ("+.5", Some(0.5)),
            ("5.", Some(5.0)),
            ("1e3", Some(1000.0)),
            ("1_000.5_0", Some(1000.5)),
            ("_1", None),
            ("1_", None),
            ("1__0", None),
            ("1_.5", None),
            (".", None),
            ("", None),
            ("-", None),
            ("1e", None),
            ("e1", None),
            ("1.2.3", None),
            ("1e400", None),
            ("inf", None),
            ("NaN", None),
            ("0x1p4", None),
            (" 1", None),
        ] {
            assert_eq!(parse_float(text), expected, "{text}");
        }
    }
}
