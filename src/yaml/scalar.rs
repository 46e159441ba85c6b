//! Gives a scalar its type by the rules of Go's `yaml.v3` (its `resolve.go`).

use crate::yaml::Kind;
use crate::yaml::number::parse_float;

/// What a plain scalar turned out to be.
#[derive(Clone)]
#[cfg_attr(test, derive(Debug))]
pub(super) enum Resolved {
    /// A value.
    Value(Kind),
    /// A date or a time, which Go makes a `time.Time` of.
    Time,
}

/// Returns the value of a scalar without quotes and without tag.
pub(super) fn plain(text: &str) -> Resolved {
    if timestamp(text) {
        return Resolved::Time;
    }
    Resolved::Value(untimed(text))
}

/// Returns the value of a scalar where a time can't be: behind an explicit tag.
pub(super) fn untimed(text: &str) -> Kind {
    match text {
        "true" | "True" | "TRUE" => return Kind::Bool(true),
        "false" | "False" | "FALSE" => return Kind::Bool(false),
        "" | "~" | "null" | "Null" | "NULL" => return Kind::Null,
        ".nan" | ".NaN" | ".NAN" => return Kind::Float(f64::NAN),
        ".inf" | ".Inf" | ".INF" | "+.inf" | "+.Inf" | "+.INF" => {
            return Kind::Float(f64::INFINITY);
        }
        "-.inf" | "-.Inf" | "-.INF" => return Kind::Float(f64::NEG_INFINITY),
        _ => {}
    }
    number(text).unwrap_or_else(|| Kind::Str(text.to_owned()))
}

fn number(text: &str) -> Option<Kind> {
    let first = text.bytes().next()?;
    if first == b'.' {
        return parse_float(text).map(Kind::Float);
    }
    if !matches!(first, b'0'..=b'9' | b'+' | b'-') {
        return None;
    }
    let digits = text.replace('_', "");
    if let Some(value) = integer(&digits) {
        return Some(match i64::try_from(value) {
            Ok(value) => Kind::Int(value),
            Err(_) => Kind::Float(widen(value)),
        });
    }
    parse_float(&digits).map(Kind::Float)
}

/// Returns an integer as Go's `ParseInt` and `ParseUint` read one with base 0: from the smallest
/// `int64` to the largest `uint64`; `022` is octal.
fn integer(text: &str) -> Option<i128> {
    let (sign, rest) = match text.as_bytes().first()? {
        b'-' => (-1, text.get(1..)?),
        b'+' => (1, text.get(1..)?),
        _ => (1, text),
    };
    let (radix, digits) = match rest.as_bytes() {
        [b'0', b'x' | b'X', ..] => (16, rest.get(2..)?),
        [b'0', b'o' | b'O', ..] => (8, rest.get(2..)?),
        [b'0', b'b' | b'B', ..] => (2, rest.get(2..)?),
        [b'0', _, ..] => (8, rest.get(1..)?),
        _ => (10, rest),
    };
    // `from_str_radix` takes a sign of its own.
    if digits.starts_with(['+', '-']) {
        return None;
    }
    let value = sign * i128::from(u64::from_str_radix(digits, radix).ok()?);
    let signed = text.starts_with(['+', '-']);
    // Only `ParseUint` reaches beyond int64, and it takes no sign.
    let largest = if signed {
        i128::from(i64::MAX)
    } else {
        i128::from(u64::MAX)
    };
    (i128::from(i64::MIN)..=largest)
        .contains(&value)
        .then_some(value)
}

#[expect(
    clippy::cast_precision_loss,
    reason = "Go keeps a uint64 here; its digits stay in the written text"
)]
fn widen(value: i128) -> f64 {
    value as f64
}

/// Returns whether Go reads the text as a time: `2001-2-3`, `2001-02-03 4:05:06.7` or
/// `2001-02-03T04:05:06Z`.
fn timestamp(text: &str) -> bool {
    let mut rest = text;
    let Some(year) = take_number(&mut rest, 4, 4) else {
        return false;
    };
    let date = (|| {
        take(&mut rest, "-")?;
        let month = take_number(&mut rest, 1, 2)?;
        take(&mut rest, "-")?;
        let day = take_number(&mut rest, 1, 2)?;
        let (year, month, day) = (
            i16::try_from(year).ok()?,
            i8::try_from(month).ok()?,
            i8::try_from(day).ok()?,
        );
        jiff::civil::Date::new(year, month, day).ok()
    })();
    if date.is_none() {
        return false;
    }
    if rest.is_empty() {
        return true;
    }
    let zoned = take(&mut rest, "T")
        .or_else(|| take(&mut rest, "t"))
        .is_some();
    if !zoned {
        // Go's layout has one space, and matches any number of them.
        let trimmed = rest.trim_start_matches(' ');
        if trimmed.len() == rest.len() {
            return false;
        }
        rest = trimmed;
    }
    time_of_day(&mut rest).is_some() && if zoned { zone(rest) } else { rest.is_empty() }
}

fn time_of_day(rest: &mut &str) -> Option<()> {
    let hour = take_number(rest, 1, 2)?;
    take(rest, ":")?;
    let minute = take_number(rest, 1, 2)?;
    take(rest, ":")?;
    let second = take_number(rest, 1, 2)?;
    if let Some(fraction) = rest.strip_prefix(['.', ',']) {
        let end = fraction.trim_start_matches(|c: char| c.is_ascii_digit());
        if end.len() < fraction.len() {
            *rest = end;
        }
    }
    (hour < 24 && minute < 60 && second < 60).then_some(())
}

fn zone(text: &str) -> bool {
    if text == "Z" {
        return true;
    }
    let mut rest = text;
    let offset = (|| {
        take(&mut rest, "+").or_else(|| take(&mut rest, "-"))?;
        let hours = take_number(&mut rest, 2, 2)?;
        take(&mut rest, ":")?;
        let minutes = take_number(&mut rest, 2, 2)?;
        (hours <= 24 && minutes <= 60).then_some(())
    })();
    offset.is_some() && rest.is_empty()
}

fn take(rest: &mut &str, prefix: &str) -> Option<()> {
    *rest = rest.strip_prefix(prefix)?;
    Some(())
}

/// Takes a number of so many digits.
fn take_number(rest: &mut &str, least: usize, most: usize) -> Option<u16> {
    let count = rest
        .bytes()
        .take(most)
        .take_while(u8::is_ascii_digit)
        .count();
    if count < least {
        return None;
    }
    let (digits, after) = rest.split_at_checked(count)?;
    *rest = after;
    digits.parse().ok()
}
