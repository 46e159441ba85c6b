//! Prints a model as `docker compose config` does, with every `$` doubled.

use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};

use super::{json, place};
use crate::yaml::{Kind, Node};

const NOT_FINITE: &str = "a number of the model is infinite or none";

/// Returns a model as JSON.
///
/// # Errors
/// A number in it is none.
pub fn json(model: &Node) -> Result<String, String> {
    if !is_finite(model) {
        return Err(NOT_FINITE.to_owned());
    }
    Ok(escaped(&json::pretty(&shown(model))))
}

/// Returns a model as YAML.
///
/// # Errors
/// A number in it is none.
pub fn yaml(model: &Node) -> Result<String, String> {
    let text = serde_yaml::to_string(&Printed(&shown(model))).map_err(|error| error.to_string())?;
    Ok(escaped(&text))
}

/// Leaves out what has gone into other keys: files of labels, and the content of configs that comes
/// from a variable, whose name says it.
fn shown(model: &Node) -> Node {
    let mut model = model.clone();
    if let Kind::Map(top) = &mut model.kind {
        for service in place::entries(top, "services") {
            if let Kind::Map(map) = &mut service.value.kind {
                map.remove("label_file");
            }
        }
        for config in place::entries(top, "configs") {
            if let Kind::Map(map) = &mut config.value.kind
                && map.contains_key("environment")
            {
                map.remove("content");
            }
        }
    }
    model
}

fn escaped(text: &str) -> String {
    let mut text = text.replace('$', "$$");
    if !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

fn is_finite(node: &Node) -> bool {
    match &node.kind {
        Kind::Float(value) => value.is_finite(),
        Kind::Seq(items) => items.iter().all(is_finite),
        Kind::Map(map) => map.iter().all(|entry| is_finite(&entry.value)),
        Kind::Null | Kind::Bool(_) | Kind::Int(_) | Kind::Str(_) => true,
    }
}

struct Printed<'a>(&'a Node);

impl Serialize for Printed<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0.kind {
            Kind::Null => serializer.serialize_unit(),
            Kind::Bool(value) => serializer.serialize_bool(*value),
            Kind::Int(value) => serializer.serialize_i64(*value),
            Kind::Float(value) => number(*value, serializer),
            Kind::Str(text) => serializer.serialize_str(text),
            Kind::Seq(items) => {
                let mut list = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    list.serialize_element(&Printed(item))?;
                }
                list.end()
            }
            Kind::Map(map) => {
                let mut mapping = serializer.serialize_map(Some(map.len()))?;
                for entry in map {
                    mapping.serialize_entry(&entry.key, &Printed(&entry.value))?;
                }
                mapping.end()
            }
        }
    }
}

/// Prints a whole number without a fraction, as Go does.
fn number<S: Serializer>(value: f64, serializer: S) -> Result<S::Ok, S::Error> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if !value.is_finite() {
        return Err(serde::ser::Error::custom(NOT_FINITE));
    }
    #[expect(
        clippy::cast_possible_truncation,
        reason = "whole and small enough to be exact"
    )]
    if value.fract().abs() < f64::EPSILON && value.abs() < EXACT {
        return serializer.serialize_i64(value as i64);
    }
    serializer.serialize_f64(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse;

    #[test]
    fn prints_both_forms() {
        let node = parse("c.yaml", b"a: {c: $x, b: [1, 1.5, 2.0, true, ~]}").unwrap();
        insta::assert_snapshot!(json(&node).unwrap(), @r#"
        {
          "a": {
            "c": "$$x",
            "b": [
              1,
              1.5,
              2,
              true,
              null
            ]
          }
        }
        "#);
        insta::assert_snapshot!(yaml(&node).unwrap(), @"
        a:
          c: $$x
          b:
          - 1
          - 1.5
          - 2
          - true
          - null
        ");
        let node = parse("c.yaml", b"a: .inf").unwrap();
        assert!(json(&node).is_err());
    }
}
