//! Reads and writes times as Go does, with `d` and `w` on top (go-str2duration 2.1).

use std::fmt::Write as _;

use crate::desired::compose::refusal::Refusal;

const UNITS: [(&str, i64); 10] = [
    ("ns", 1),
    ("us", MICROSECOND),
    // The micro sign and the Greek letter.
    ("\u{b5}s", MICROSECOND),
    ("\u{3bc}s", MICROSECOND),
    ("ms", MILLISECOND),
    ("s", SECOND),
    ("m", MINUTE),
    ("h", HOUR),
    ("d", 24 * HOUR),
    ("w", 7 * 24 * HOUR),
];
const HINT: &str = "write a time such as 1m30s or 500ms";
const MICROSECOND: i64 = 1_000;
const MILLISECOND: i64 = 1_000_000;
const SECOND: i64 = 1_000_000_000;
const MINUTE: i64 = 60 * SECOND;
const HOUR: i64 = 60 * MINUTE;

/// Returns the nanoseconds of a time such as `1m30s`, `1.5h` or `1d2h`.
///
/// A number without unit is refused, as in Compose, except `0`; a negative time is refused too,
/// which Compose leaves to the engine.
pub fn parse_duration(text: &str) -> Result<i64, Refusal> {
    let refused = |what: &str| Err(Refusal::new(what, HINT));
    if text.starts_with('-') {
        return refused("the time is negative");
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Ok(0);
    }
    if rest.is_empty() {
        return refused("the time is empty");
    }
    let mut total = 0_i64;
    while !rest.is_empty() {
        let (whole, after) = cut(rest, |c| c.is_ascii_digit());
        let (fraction, after) = match after.strip_prefix('.') {
            Some(after) => cut(after, |c| c.is_ascii_digit()),
            None => ("", after),
        };
        let (unit, after) = cut(after, |c| c != '.' && !c.is_ascii_digit());
        if whole.is_empty() && fraction.is_empty() {
            return refused("not a time");
        }
        if unit.is_empty() {
            return refused("a number has no unit");
        }
        let Some(&(_, nanoseconds)) = UNITS.iter().find(|(name, _)| *name == unit) else {
            return refused("unknown unit");
        };
        let part = amount(whole, fraction, nanoseconds);
        match part.and_then(|part| total.checked_add(part)) {
            Some(sum) => total = sum,
            None => return refused("the time is too long"),
        }
        rest = after;
    }
    Ok(total)
}

/// Returns a time as Go prints it: `1h30m0s`, `1.5s`, `100ms`, `0s`.
pub fn format_duration(nanoseconds: i64) -> String {
    let mut out = String::new();
    if nanoseconds < 0 {
        out.push('-');
    }
    let value = nanoseconds.unsigned_abs();
    let (unit, name) = match value {
        0 => return "0s".to_owned(),
        1..1_000 => (1, "ns"),
        1_000..1_000_000 => (1_000, "\u{b5}s"),
        1_000_000..1_000_000_000 => (1_000_000, "ms"),
        _ => (1_000_000_000, "s"),
    };
    let mut whole = value / unit;
    if name == "s" {
        let minutes = whole / 60;
        if minutes >= 60 {
            push(&mut out, minutes / 60, "h");
        }
        if minutes > 0 {
            push(&mut out, minutes % 60, "m");
        }
        whole %= 60;
    }
    let digits = unit.ilog10() as usize;
    let fraction = format!("{:0digits$}", value % unit);
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    push(&mut out, whole, &format!("{point}{fraction}{name}"));
    out
}

fn push(out: &mut String, value: u64, unit: &str) {
    // Writing to a string can't fail.
    let _written = write!(out, "{value}{unit}");
}

/// Returns the nanoseconds of so many units, computed as Go does.
fn amount(whole: &str, fraction: &str, unit: i64) -> Option<i64> {
    let whole: i64 = if whole.is_empty() {
        0
    } else {
        whole.parse().ok()?
    };
    let whole = whole.checked_mul(unit)?;
    // Digits beyond what an i64 can hold don't count.
    let (mut parts, mut scale) = (0_i64, 1.0_f64);
    for digit in fraction.bytes() {
        if parts > i64::MAX / 10 {
            break;
        }
        let Some(more) = (parts * 10).checked_add(i64::from(digit - b'0')) else {
            break;
        };
        parts = more;
        scale *= 10.0;
    }
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        reason = "Go rounds here too"
    )]
    let part = (parts as f64 * (unit as f64 / scale)) as i64;
    whole.checked_add(part)
}

fn cut(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    let end = text.find(|c| !belongs(c)).unwrap_or(text.len());
    text.split_at_checked(end).unwrap_or((text, ""))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads_and_writes() {
        for (text, nanoseconds, printed) in [
            ("0", 0, "0s"),
            ("0s", 0, "0s"),
            ("1ns", 1, "1ns"),
            ("1us", 1_000, "1µs"),
            ("1.5µs", 1_500, "1.5µs"),
            ("2\u{3bc}s", 2_000, "2µs"),
            ("500ms", 500 * MILLISECOND, "500ms"),
            ("1s", SECOND, "1s"),
            ("1.5s", 1_500 * MILLISECOND, "1.5s"),
            (".5s", 500 * MILLISECOND, "500ms"),
            ("1.s", SECOND, "1s"),
            ("+5s", 5 * SECOND, "5s"),
            ("90s", 90 * SECOND, "1m30s"),
            ("1m30s", 90 * SECOND, "1m30s"),
            ("30s1m", 90 * SECOND, "1m30s"),
            ("1.5h", 90 * MINUTE, "1h30m0s"),
            ("1h", HOUR, "1h0m0s"),
            ("1h0m0.000000001s", HOUR + 1, "1h0m0.000000001s"),
            ("1d2h", 26 * HOUR, "26h0m0s"),
            ("1w", 168 * HOUR, "168h0m0s"),
            ("0.5d", 12 * HOUR, "12h0m0s"),
            ("0.3333333333333333333h", 1_200 * SECOND, "20m0s"),
        ] {
            assert_eq!(parse_duration(text), Ok(nanoseconds), "{text}");
            assert_eq!(format_duration(nanoseconds), printed, "{text}");
        }
        assert_eq!(format_duration(-90 * SECOND), "-1m30s");
        assert_eq!(format_duration(i64::MIN), "-2562047h47m16.854775808s");
    }

    #[test]
    fn refusals_show_how_to_write_it() {
        for (text, expected) in [
            ("", "the time is empty"),
            ("30", "a number has no unit"),
            ("1.5", "a number has no unit"),
            ("1h30", "a number has no unit"),
            ("-1s", "the time is negative"),
            ("1y", "unknown unit"),
            ("1 s", "unknown unit"),
            ("1S", "unknown unit"),
            ("s", "not a time"),
            (".s", "not a time"),
            ("300000w", "the time is too long"),
            ("99999999999999999999s", "the time is too long"),
        ] {
            let message = parse_duration(text).unwrap_err();
            assert_eq!(message, Refusal::new(expected, HINT), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back(nanoseconds in 0..=i64::MAX) {
            prop_assert_eq!(parse_duration(&format_duration(nanoseconds)), Ok(nanoseconds));
        }

        #[test]
        fn never_panics(text in "[0-9.smhdwnuµ+-]{0,40}") {
            let _duration = parse_duration(&text);
        }
    }
}
