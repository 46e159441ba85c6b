//! Reads sizes as Docker does (`RAMInBytes` of go-units).

use crate::desired::compose::refusal::Refusal;
use crate::yaml::number::parse_float;

const HINT: &str = "write a size such as 512m, 1.5g or 1073741824";

/// Returns the bytes of a size such as `512m`, `1.5 GiB` or `100`; `k`, `m`, `g`, `t` and `p` all
/// count in 1024s, with `b` or `ib` behind them or not.
pub fn parse_bytes(text: &str) -> Result<i64, Refusal> {
    bytes(text).ok_or_else(|| Refusal::new("not a size", HINT))
}

fn bytes(text: &str) -> Option<i64> {
    let last = text.rfind(|c: char| c.is_ascii_digit() || c == '.' || c == ' ')?;
    let (number, suffix) = text.split_at_checked(last + 1)?;
    // One space may stand between number and unit.
    let number = number.strip_suffix(' ').unwrap_or(number);
    let size = parse_float(number)?;
    let suffix = suffix.to_ascii_lowercase();
    let factor = match suffix.as_str() {
        "" | "b" => 1.0,
        "k" | "kb" | "kib" => 1024.0,
        "m" | "mb" | "mib" => 1024.0 * 1024.0,
        "g" | "gb" | "gib" => 1024.0 * 1024.0 * 1024.0,
        "t" | "tb" | "tib" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        "p" | "pb" | "pib" => 1024.0 * 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    };
    let size = size * factor;
    // 2^63, the first that an i64 can't hold.
    if !(0.0..9_223_372_036_854_775_808.0).contains(&size) {
        return None;
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "the range is checked above"
    )]
    let whole = size as i64;
    Some(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads() {
        for (text, expected) in [
            ("0", 0),
            ("100", 100),
            ("100b", 100),
            ("1k", 1024),
            ("1K", 1024),
            ("1kb", 1024),
            ("1KiB", 1024),
            ("512m", 512 << 20),
            ("1gb", 1 << 30),
            ("1.5g", 3 << 29),
            (".5k", 512),
            ("1 mb", 1 << 20),
            ("2t", 2 << 40),
            ("1p", 1 << 50),
            ("1e3", 1000),
            ("1_000", 1000),
            ("1.9", 1),
            ("1 ", 1),
        ] {
            assert_eq!(parse_bytes(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn refuses() {
        for text in [
            "", "k", "-1", "-1k", "1x", "1kk", "1kib ", "1bb", "1mbb", "1.2.3m", " 1", "1  k",
            "9000p", "x1", "1é", "inf1", "1ki",
        ] {
            let refused = parse_bytes(text).unwrap_err();
            assert_eq!(refused.hint, HINT, "{text}");
        }
    }
}
