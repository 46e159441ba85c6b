//! Prints values as Go's `encoding/json` does, down to the byte.

use std::fmt::Write as _;

use crate::yaml::{Kind, Node};

/// Returns a value as compact JSON, with keys in the order that they have.
///
/// `<`, `>`, `&` and the separators of lines and paragraphs are escaped, as Go does for browsers.
pub(super) fn compact(node: &Node) -> String {
    let mut out = String::new();
    print(node, None, &mut out);
    out
}

/// Returns a value as JSON in lines, with two spaces for each level.
pub(super) fn pretty(node: &Node) -> String {
    let mut out = String::new();
    print(node, Some(0), &mut out);
    out
}

/// Prints a value; `level` is how deep it stands, if levels have lines.
fn print(node: &Node, level: Option<usize>, out: &mut String) {
    match &node.kind {
        Kind::Null => out.push_str("null"),
        Kind::Bool(value) => out.push_str(if *value { "true" } else { "false" }),
        Kind::Int(value) => out.push_str(&value.to_string()),
        Kind::Float(value) => out.push_str(&number(*value)),
        Kind::Str(text) => string(text, out),
        Kind::Seq(items) => group(['[', ']'], items, level, out, |item, level, out| {
            print(item, level, out);
        }),
        Kind::Map(map) => group(['{', '}'], map, level, out, |entry, level, out| {
            string(&entry.key, out);
            out.push_str(if level.is_some() { ": " } else { ":" });
            print(&entry.value, level, out);
        }),
    }
}

fn group<T>(
    [open, close]: [char; 2],
    members: impl IntoIterator<Item = T>,
    level: Option<usize>,
    out: &mut String,
    print: impl Fn(T, Option<usize>, &mut String),
) {
    let inside = level.map(|level| level + 1);
    out.push(open);
    let mut is_empty = true;
    for member in members {
        if !is_empty {
            out.push(',');
        }
        is_empty = false;
        line(inside, out);
        print(member, inside, out);
    }
    if !is_empty {
        line(level, out);
    }
    out.push(close);
}

fn line(level: Option<usize>, out: &mut String) {
    if let Some(level) = level {
        out.push('\n');
        out.push_str(&"  ".repeat(level));
    }
}

/// Returns a number in digits, or with an exponent below 1e-6 and from 1e21 on.
fn number(value: f64) -> String {
    if !value.is_finite() {
        // Go refuses to print it; Compose's types hold no such number.
        return "null".to_owned();
    }
    if value == 0.0 || (1e-6..1e21).contains(&value.abs()) {
        return value.to_string();
    }
    let text = format!("{value:e}");
    match text.split_once('e') {
        Some((digits, exponent)) if !exponent.starts_with('-') => format!("{digits}e+{exponent}"),
        Some(_) | None => text,
    }
}

fn string(text: &str, out: &mut String) {
    out.push('"');
    for character in text.chars() {
        match character {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' | '\0'..='\u{1f}' => {
                // Writing to a string can't fail.
                let _written = write!(out, "\\u{:04x}", u32::from(character));
            }
            _ => out.push(character),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse;

    #[test]
    fn prints_as_go_does() {
        for (yaml, expected) in [
            (
                "{b: 1, a: [true, null, {}]}",
                r#"{"b":1,"a":[true,null,{}]}"#,
            ),
            (
                "[0.1, 2.0, -0.0, 1e20, 1e21, 1.5e-7, 1e-6]",
                "[0.1,2,-0,100000000000000000000,1e+21,1.5e-7,0.000001]",
            ),
            (
                r#""a\"b\\c\n\r\t\b\f\e\0é""#,
                r#""a\"b\\c\n\r\t\b\f\u001b\u0000é""#,
            ),
            (r#""<a>&\L\P""#, r#""\u003ca\u003e\u0026\u2028\u2029""#),
        ] {
            let node = parse("c.yaml", yaml.as_bytes()).unwrap();
            assert_eq!(compact(&node), expected, "{yaml}");
        }
    }

    #[test]
    fn prints_lines_as_go_does() {
        let node = parse("c.yaml", b"{a: [], b: {c: [1, {}], d: '<'}}").unwrap();
        let expected = r#"{
  "a": [],
  "b": {
    "c": [
      1,
      {}
    ],
    "d": "\u003c"
  }
}"#;
        assert_eq!(pretty(&node), expected);
    }
}
