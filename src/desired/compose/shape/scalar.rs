//! Single values, as compose-go's types decode and print them.
//!
//! Each function returns what is printed, nothing for a zero that Go leaves out, or why the type
//! doesn't take the value.

use crate::desired::compose::casts::Cast;
use crate::desired::compose::refusal::Refusal;
use crate::desired::compose::short;
use crate::yaml::Kind;
use crate::yaml::Node;
use crate::yaml::number::parse_float;

pub(super) type Printed = Result<Option<Kind>, Refusal>;

const WHOLE: &str = "write a whole number such as 3";

pub(super) fn text(node: &Node) -> Printed {
    Ok(non_empty(written_text(node)?))
}

/// Returns a text, or an integer as text, which is all that Go makes a string of.
pub(super) fn written_text(node: &Node) -> Result<String, Refusal> {
    match &node.kind {
        Kind::Null => Ok(String::new()),
        Kind::Str(text) => Ok(text.clone()),
        Kind::Int(value) => Ok(value.to_string()),
        Kind::Bool(_) | Kind::Float(_) | Kind::Seq(_) | Kind::Map(_) => {
            let hint = match node.kind {
                Kind::Bool(_) | Kind::Float(_) => "put quotes around the value",
                Kind::Null | Kind::Int(_) | Kind::Str(_) | Kind::Seq(_) | Kind::Map(_) => {
                    "write one value, such as \"text\""
                }
            };
            Err(Refusal::unlike(node, "a string", hint))
        }
    }
}

pub(super) fn flag(node: &Node) -> Result<Option<bool>, Refusal> {
    match &node.kind {
        Kind::Null => Ok(None),
        Kind::Bool(value) => Ok(Some(*value)),
        Kind::Str(text) => match Cast::Boolean.apply(text)? {
            Kind::Bool(value) => Ok(Some(value)),
            Kind::Null
            | Kind::Int(_)
            | Kind::Float(_)
            | Kind::Str(_)
            | Kind::Seq(_)
            | Kind::Map(_) => Ok(None),
        },
        Kind::Int(_) | Kind::Float(_) | Kind::Seq(_) | Kind::Map(_) => Err(Refusal::unlike(
            node,
            "true or false",
            "write true or false",
        )),
    }
}

pub(super) fn int(node: &Node) -> Result<Option<i64>, Refusal> {
    match &node.kind {
        Kind::Null => Ok(None),
        Kind::Int(value) => Ok(Some(*value)),
        Kind::Float(value) => Ok(Some(truncate(*value))),
        Kind::Str(text) => match text.parse() {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err(Refusal::new("not a whole number", WHOLE)),
        },
        Kind::Bool(_) | Kind::Seq(_) | Kind::Map(_) => {
            Err(Refusal::unlike(node, "a whole number", WHOLE))
        }
    }
}

pub(super) fn unsigned(node: &Node, largest: i64) -> Result<Option<i64>, Refusal> {
    let value = match &node.kind {
        Kind::Str(_) => {
            return Err(Refusal::unlike(
                node,
                "a whole number",
                "take the quotes away: 3",
            ));
        }
        Kind::Null
        | Kind::Bool(_)
        | Kind::Int(_)
        | Kind::Float(_)
        | Kind::Seq(_)
        | Kind::Map(_) => int(node)?,
    };
    match value {
        Some(value) if value < 0 => Err(Refusal::new("the number is negative", "write 0 or more")),
        Some(value) if value > largest => {
            let hint = format!("write {largest} or less");
            Err(Refusal::new("the number is too large", hint))
        }
        value => Ok(value),
    }
}

pub(super) fn float(node: &Node) -> Printed {
    let expected = || Refusal::new("not a number", "write a number such as 0.5");
    let value = match &node.kind {
        Kind::Null => return Ok(None),
        #[expect(clippy::cast_precision_loss, reason = "Go keeps 32 bits")]
        Kind::Int(value) => *value as f64,
        Kind::Float(value) => *value,
        Kind::Str(text) => parse_float(text).ok_or_else(expected)?,
        Kind::Bool(_) | Kind::Seq(_) | Kind::Map(_) => return Err(expected()),
    };
    #[expect(clippy::cast_possible_truncation, reason = "Go keeps 32 bits")]
    let narrow = value as f32;
    if !narrow.is_finite() {
        return Err(expected());
    }
    if narrow == 0.0 {
        return Ok(None);
    }
    // The shortest digits of the narrow number are what Go prints.
    let shortest = narrow.to_string().parse().unwrap_or(value);
    Ok(Some(Kind::Float(shortest)))
}

pub(super) fn bytes(node: &Node) -> Result<Option<i64>, Refusal> {
    match &node.kind {
        // Compose reads no other number than an integer, and doesn't say so.
        Kind::Null | Kind::Float(_) => Ok(None),
        Kind::Int(value) => Ok(Some(*value)),
        Kind::Str(text) => short::parse_bytes(text).map(Some),
        Kind::Bool(_) | Kind::Seq(_) | Kind::Map(_) => {
            let hint = "write a size such as 512m";
            Err(Refusal::unlike(node, "a size", hint))
        }
    }
}

pub(super) fn time(node: &Node) -> Result<Option<i64>, Refusal> {
    match &node.kind {
        Kind::Null => Ok(None),
        Kind::Str(text) => short::parse_duration(text).map(Some),
        Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Seq(_) | Kind::Map(_) => {
            let hint = "write a time such as 1m30s";
            Err(Refusal::unlike(node, "a time", hint))
        }
    }
}

pub(super) fn mode(node: &Node) -> Printed {
    let expected = || {
        let hint = "write the mode in octal and in quotes, such as \"0440\"";
        Refusal::new("not the mode of a file", hint)
    };
    let mode = match &node.kind {
        Kind::Null => return Ok(None),
        Kind::Int(value) => *value,
        Kind::Str(text) => i64::from_str_radix(text, 8).map_err(|_| expected())?,
        Kind::Bool(_) | Kind::Float(_) | Kind::Seq(_) | Kind::Map(_) => return Err(expected()),
    };
    if mode < 0 {
        return Err(expected());
    }
    Ok(Some(Kind::Str(format!("0{mode:o}"))))
}

pub(super) fn device_count(node: &Node) -> Printed {
    let count = match &node.kind {
        Kind::Null => return Ok(None),
        Kind::Int(value) => *value,
        Kind::Str(text) if text.eq_ignore_ascii_case("all") => -1,
        Kind::Str(_) | Kind::Bool(_) | Kind::Float(_) | Kind::Seq(_) | Kind::Map(_) => {
            let number = node.as_str().and_then(|text| text.parse().ok());
            number.ok_or_else(|| Refusal::new("not a number of devices", "write all, or 1"))?
        }
    };
    Ok(non_zero(Some(count)))
}

pub(super) fn non_empty(text: String) -> Option<Kind> {
    (!text.is_empty()).then_some(Kind::Str(text))
}

pub(super) fn non_zero(value: Option<i64>) -> Option<Kind> {
    value.filter(|value| *value != 0).map(Kind::Int)
}

#[expect(clippy::cast_possible_truncation, reason = "Go cuts the fraction too")]
fn truncate(value: f64) -> i64 {
    value as i64
}
