//! Single values, as compose-go's types decode and print them.
//!
//! Each function returns what is printed, nothing for a zero that Go leaves out, or why the type
//! doesn't take the value.

use crate::desired::compose::casts::Cast;
use crate::desired::compose::short;
use crate::yaml::Kind;
use crate::yaml::Node;
use crate::yaml::number::parse_float;

pub(super) type Printed = Result<Option<Kind>, String>;

pub(super) fn text(node: &Node) -> Printed {
    Ok(non_empty(written_text(node)?))
}

/// Returns a text, or an integer as text, which is all that Go makes a string of.
pub(super) fn written_text(node: &Node) -> Result<String, String> {
    match &node.kind {
        Kind::Null => Ok(String::new()),
        Kind::Str(text) => Ok(text.clone()),
        Kind::Int(value) => Ok(value.to_string()),
        Kind::Bool(_) | Kind::Float(_) | Kind::Seq(_) | Kind::Map(_) => {
            Err(format!("expected a string, not {}", node.kind_name()))
        }
    }
}

pub(super) fn flag(node: &Node) -> Result<Option<bool>, String> {
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
        Kind::Int(_) | Kind::Float(_) | Kind::Seq(_) | Kind::Map(_) => {
            Err(format!("expected true or false, not {}", node.kind_name()))
        }
    }
}

pub(super) fn int(node: &Node) -> Result<Option<i64>, String> {
    match &node.kind {
        Kind::Null => Ok(None),
        Kind::Int(value) => Ok(Some(*value)),
        Kind::Float(value) => Ok(Some(truncate(*value))),
        Kind::Str(text) => match text.parse() {
            Ok(value) => Ok(Some(value)),
            Err(_) => Err("expected a whole number such as 3".to_owned()),
        },
        Kind::Bool(_) | Kind::Seq(_) | Kind::Map(_) => {
            Err(format!("expected a whole number, not {}", node.kind_name()))
        }
    }
}

pub(super) fn unsigned(node: &Node, largest: i64) -> Result<Option<i64>, String> {
    let value = match &node.kind {
        Kind::Str(_) => {
            return Err("expected a whole number, not a string; take the quotes away".to_owned());
        }
        Kind::Null
        | Kind::Bool(_)
        | Kind::Int(_)
        | Kind::Float(_)
        | Kind::Seq(_)
        | Kind::Map(_) => int(node)?,
    };
    match value {
        Some(value) if value < 0 => Err("expected a whole number from 0 on".to_owned()),
        Some(value) if value > largest => Err(format!("expected at most {largest}")),
        value => Ok(value),
    }
}

pub(super) fn float(node: &Node) -> Printed {
    let expected = || "expected a number such as 0.5".to_owned();
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

pub(super) fn bytes(node: &Node) -> Result<Option<i64>, String> {
    match &node.kind {
        // Compose reads no other number than an integer, and doesn't say so.
        Kind::Null | Kind::Float(_) => Ok(None),
        Kind::Int(value) => Ok(Some(*value)),
        Kind::Str(text) => short::parse_bytes(text).map(Some),
        Kind::Bool(_) | Kind::Seq(_) | Kind::Map(_) => {
            Err(format!("expected a size, not {}", node.kind_name()))
        }
    }
}

pub(super) fn time(node: &Node) -> Result<Option<i64>, String> {
    match &node.kind {
        Kind::Null => Ok(None),
        Kind::Str(text) => short::parse_duration(text).map(Some),
        Kind::Bool(_) | Kind::Int(_) | Kind::Float(_) | Kind::Seq(_) | Kind::Map(_) => Err(
            format!("expected a time such as 1m30s, not {}", node.kind_name()),
        ),
    }
}

pub(super) fn mode(node: &Node) -> Printed {
    let expected = || "expected the mode of a file in octal, such as \"0440\"".to_owned();
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
            number.ok_or_else(|| "expected \"all\" or a whole number".to_owned())?
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
