//! Compares the body of an answer with what is wanted of it.

use serde_json::Value;

use super::Body;
use crate::desired::checks::Answer;
use crate::secret::escape_control;

/// Returns what is wrong with a body, the first thing of it.
pub(super) fn check(expect: &Answer, body: &Body) -> Result<(), String> {
    if let Some(text) = &expect.contains {
        contains(body, text)?;
    }
    if expect.json.is_empty() {
        return Ok(());
    }
    if !body.whole {
        return Err("the body is larger than 1 MiB, which is not read as JSON".to_owned());
    }
    let json: Value = serde_json::from_slice(&body.bytes)
        .map_err(|_| format!("the body is not JSON ({})", beginning(body)))?;
    for (pointer, wanted) in &expect.json {
        let name = if pointer.is_empty() {
            "the body".to_owned()
        } else {
            excerpt(pointer.as_bytes())
        };
        let wanted_shown = excerpt(wanted.to_string().as_bytes());
        match json.pointer(pointer) {
            None => return Err(format!("{name} is not there, wanted {wanted_shown}")),
            Some(found) if same(found, wanted) => {}
            Some(found) => {
                return Err(format!("{name} is {}, wanted {wanted_shown}", shown(found)));
            }
        }
    }
    Ok(())
}

/// Returns the beginning of a text, in one line and without what a terminal would act on.
pub fn excerpt(bytes: &[u8]) -> String {
    // Four bytes are the longest character.
    let start = bytes.get(..EXCERPT * 4).unwrap_or(bytes);
    let text = String::from_utf8_lossy(start);
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    let mut shown: String = line.chars().take(EXCERPT).collect();
    if shown.len() < line.len() || start.len() < bytes.len() {
        shown.push('…');
    }
    escape_control(&shown)
}

/// Characters of a body that are told.
const EXCERPT: usize = 80;

fn contains(body: &Body, text: &str) -> Result<(), String> {
    let found = body
        .bytes
        .windows(text.len().max(1))
        .any(|window| window == text.as_bytes());
    if found {
        return Ok(());
    }
    let what = if body.whole {
        "the body"
    } else {
        "the first 1 MiB of the body"
    };
    Err(format!(
        "{what} does not contain \"{}\" ({})",
        excerpt(text.as_bytes()),
        beginning(body)
    ))
}

fn beginning(body: &Body) -> String {
    if body.bytes.is_empty() {
        return "it is empty".to_owned();
    }
    format!("it begins: {}", excerpt(&body.bytes))
}

/// JSON has one kind of number: 1 and 1.0 are the same.
fn same(found: &Value, wanted: &Value) -> bool {
    found == wanted
        || matches!((found, wanted), (Value::Number(a), Value::Number(b))
            if (a.is_f64() || b.is_f64()) && a.as_f64() == b.as_f64())
}

fn shown(value: &Value) -> String {
    match value {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            excerpt(value.to_string().as_bytes())
        }
    }
}
