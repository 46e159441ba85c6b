//! Reads our own YAML formats (`moored.yaml`, the host's settings) into typed values.
//!
//! Plain YAML through `serde_yaml`. Compose files are Go's dialect and have a reader of their
//! own, see `docs/decisions/0002-two-yaml-readers.md`.

use std::fmt;
use std::marker::PhantomData;
use std::time::Duration;

use jiff::tz::TimeZone;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_path_to_error::Segment;

use crate::diagnostic::{Diagnostic, Position, suggestion};
use crate::yaml;

/// More than any real document of ours; keeps a hostile repository from costing memory.
const MAX_BYTES: usize = 1024 * 1024;

/// Reads `text` as a `T`, refusing unknown keys with a suggestion.
///
/// `later` names keys that the format defines and this version does not act on yet: they are
/// refused by name, because ignoring a safety setting is worse than not starting.
///
/// # Errors
/// The first thing that is wrong, with line and column where the library knows them.
pub fn read<T: DeserializeOwned>(file: &str, text: &[u8], later: &[&str]) -> Result<T, Diagnostic> {
    if text.len() > MAX_BYTES {
        return Err(Diagnostic::file(
            file,
            format!("larger than {MAX_BYTES} bytes"),
        ));
    }
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    let Ok(text) = std::str::from_utf8(text) else {
        return Err(Diagnostic::file(file, "not UTF-8 text"));
    };
    // Of a key that stands twice in a mapping of names, serde keeps the last value in silence.
    if let Some(twice) = yaml::duplicate_key(file, text.as_bytes()) {
        return Err(twice);
    }
    let deserializer = serde_yaml::Deserializer::from_str(text);
    serde_path_to_error::deserialize(deserializer)
        .map_err(|error| explain(file, text, &error, later))
}

/// Reads a duration such as `30s` or `5m` inside a document.
///
/// # Errors
/// The text is not a duration.
pub fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text).map_err(|error| {
        let message = format!("\"{text}\" is not a duration such as 30s or 5m: {error}");
        serde::de::Error::custom(message)
    })
}

/// Reads the name of a time zone such as `Europe/Berlin` inside a document.
///
/// # Errors
/// The text is no such name.
pub fn time_zone<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<TimeZone>, D::Error> {
    let name = String::deserialize(deserializer)?;
    let unknown = |_| {
        let name = name.escape_default();
        let message = format!("\"{name}\" is not a time zone such as Europe/Berlin or UTC");
        serde::de::Error::custom(message)
    };
    TimeZone::get(&name).map(Some).map_err(unknown)
}

/// A value that is one word, or a mapping where more is to be said.
///
/// Unlike an untagged enum it says what is wrong inside the mapping.
pub enum WordOr<T> {
    /// The short form.
    Word(String),
    /// The long form.
    Mapping(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for WordOr<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either<T>(PhantomData<T>);

        impl<'de, T: Deserialize<'de>> Visitor<'de> for Either<T> {
            type Value = WordOr<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a word or a mapping")
            }

            fn visit_str<E>(self, word: &str) -> Result<Self::Value, E> {
                Ok(WordOr::Word(word.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(WordOr::Mapping)
            }
        }

        deserializer.deserialize_any(Either(PhantomData))
    }
}

fn explain(
    file: &str,
    text: &str,
    error: &serde_path_to_error::Error<serde_yaml::Error>,
    later: &[&str],
) -> Diagnostic {
    let said = error.inner().to_string();
    // serde_yaml appends the place to the message; the place stands in front of ours.
    let message = said
        .rsplit_once(" at line ")
        .map_or(said.as_str(), |(message, _)| message);
    // ... and it puts a part of the path in front, which ours has in full.
    let path = error.path().to_string();
    let message = match message.split_once(": ") {
        Some((part, rest)) if path.starts_with(part) => rest,
        Some(_) | None => message,
    };
    let prefix = if path == "." {
        String::new()
    } else {
        format!("{path}: ")
    };
    let diagnostic = |message: String| match place(file, text, error) {
        Some(position) => Diagnostic::at(file, position, message),
        None => Diagnostic::file(file, message),
    };
    let Some((key, expected)) = unknown_key(message) else {
        return diagnostic(format!("{prefix}{message}"));
    };
    // The path ends in the key itself.
    let prefix = match prefix.strip_suffix(&format!("{key}: ")) {
        Some("") => String::new(),
        Some(above) => format!("{}: ", above.trim_end_matches('.')),
        None => prefix,
    };
    if later.contains(&key) {
        let message = format!("{prefix}\"{key}\" is not supported by this version of moored");
        return diagnostic(message).hint(format!(
            "take the key out; version {} can't honour it",
            env!("CARGO_PKG_VERSION")
        ));
    }
    let found = diagnostic(format!("{prefix}unknown key \"{key}\""));
    match suggestion(key, expected.iter().copied()) {
        Some(hint) => found.hint(hint),
        None if expected.is_empty() => found,
        None => found.hint(format!("known keys here: {}", expected.join(", "))),
    }
}

/// Returns where the value stands that is wrong: `serde_yaml` itself knows only where the mapping
/// around it begins.
fn place(
    file: &str,
    text: &str,
    error: &serde_path_to_error::Error<serde_yaml::Error>,
) -> Option<Position> {
    let keys: Vec<String> = error
        .path()
        .iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(index.to_string()),
            Segment::Map { key } => Some(key.clone()),
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let tree = yaml::parse(file, text.as_bytes()).ok();
    let exact = tree.as_ref().and_then(|tree| {
        let (last, above) = keys.split_last()?;
        let parent = tree.at(above)?;
        let key = parent.as_map().and_then(|map| map.key_position(last));
        let unknown = error.inner().to_string().contains("unknown field");
        if unknown {
            key
        } else {
            tree.at(&keys).map(|node| node.position).or(key)
        }
    });
    exact.or_else(|| {
        let at = error.inner().location()?;
        Some(Position {
            line: clamp(at.line()),
            column: clamp(at.column()),
        })
    })
}

/// Takes serde's `unknown field` message apart: the key, and the keys that would be right.
fn unknown_key(message: &str) -> Option<(&str, Vec<&str>)> {
    let (_, rest) = message.split_once("unknown field `")?;
    let (key, rest) = rest.split_once('`')?;
    let expected = rest.split('`').skip(1).step_by(2).collect();
    Some((key, expected))
}

fn clamp(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[expect(dead_code, reason = "only its reading is tested")]
    struct Sample {
        stack: String,
        images: Option<String>,
    }

    fn refused(text: &str) -> String {
        read::<Sample>("m.yaml", text.as_bytes(), &["proxy"])
            .unwrap_err()
            .to_string()
    }

    #[test]
    fn an_unknown_key_comes_with_its_place_and_a_suggestion() {
        insta::assert_snapshot!(refused("stack: a\nimagess: b\n"), @r#"
        m.yaml:2:1: unknown key "imagess"
          hint: did you mean "images"?
        "#);
    }

    #[test]
    fn a_key_of_a_later_version_is_refused_by_name() {
        insta::assert_snapshot!(refused("stack: a\nproxy: {}\n"), @r#"
        m.yaml:2:1: "proxy" is not supported by this version of moored
          hint: take the key out; version 0.1.0 can't honour it
        "#);
    }

    #[test]
    fn a_key_that_stands_twice_is_refused_with_both_places() {
        type Names = BTreeMap<String, BTreeMap<String, String>>;
        insta::assert_snapshot!(refused("stack: a\nimages: b\nstack: c\n"), @r#"
        m.yaml:3:1: key "stack" is already defined in line 1
          hint: remove one of the two, or put both values under one key
        "#);
        let named = |text: &str| {
            let read = read::<Names>("m.yaml", text.as_bytes(), &[]);
            read.map_err(|error| error.to_string())
        };
        insta::assert_snapshot!(named("a:\n  rows: x\n  b: y\n  'rows': z\n").unwrap_err(), @r#"
        m.yaml:4:3: key "rows" is already defined in line 2
          hint: remove one of the two, or put both values under one key
        "#);
        // In two mappings it is two keys.
        assert!(named("a: {rows: x}\nb: {rows: x}\n").is_ok());
    }

    #[test]
    fn garbage_is_refused_with_its_place() {
        insta::assert_snapshot!(refused("stack: [a\n"), @"m.yaml:1:8: stack: invalid type: sequence, expected a string");
        insta::assert_snapshot!(refused("\u{1}\u{2}"), @"m.yaml:1:1: control characters are not allowed");
        insta::assert_snapshot!(refused(""), @"m.yaml:1:1: missing field `stack`");
        insta::assert_snapshot!(refused("stack: {a: 1}\n"), @"m.yaml:1:8: stack: invalid type: map, expected a string");
    }
}
