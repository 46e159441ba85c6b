//! A report as JSON and YAML, every text in it cleaned before it is written down.

use serde::Serialize;
use serde_yaml::{Mapping, Value};

use crate::secret::Redactor;

/// Returns data as JSON that ends in a line feed, with every secret hidden.
pub(super) fn json(data: &impl Serialize, redactor: &Redactor) -> String {
    let json = serde_json::to_string_pretty(&cleaned(data, redactor)).unwrap_or_default();
    format!("{json}\n")
}

/// Returns data as YAML, with every secret hidden.
pub(super) fn yaml(data: &impl Serialize, redactor: &Redactor) -> String {
    serde_yaml::to_string(&cleaned(data, redactor)).unwrap_or_default()
}

/// Takes data as what it is in JSON, and cleans it.
fn cleaned(data: &impl Serialize, redactor: &Redactor) -> Value {
    // By way of the text: a value of `serde_json` forgets the order of the keys, and one of
    // `serde_yaml` that was made of Rust's own types has tags for enums.
    let json = serde_json::to_string(data).unwrap_or_default();
    let value: Value = serde_json::from_str(&json).unwrap_or_default();
    clean(value, redactor)
}

fn clean(value: Value, redactor: &Redactor) -> Value {
    match value {
        Value::String(text) => Value::String(redactor.clean(&text)),
        Value::Sequence(all) => all.into_iter().map(|one| clean(one, redactor)).collect(),
        Value::Mapping(map) => {
            let pairs = map.into_iter();
            let cleaned = pairs.map(|(key, one)| (clean(key, redactor), clean(one, redactor)));
            Value::Mapping(cleaned.collect::<Mapping>())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Tagged(_) => value,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::secret::Sensitive;

    #[derive(Serialize)]
    #[serde(rename_all = "kebab-case")]
    enum Kind {
        Plain,
        With { why: String, at: Option<i64> },
        Of(String),
    }

    #[derive(Serialize)]
    struct Told {
        zeal: String,
        kinds: Vec<Kind>,
        by_name: BTreeMap<String, f64>,
        large: u64,
    }

    #[test]
    fn texts_are_cleaned_before_they_are_quoted_and_the_order_stays() {
        let secret = "p\"a\\s s\n é 'x'";
        let redactor = Redactor::default();
        redactor.learn([Sensitive::new(secret)]);
        let told = Told {
            zeal: format!("failed with {secret}, and \u{1b}[31m"),
            kinds: vec![
                Kind::Plain,
                Kind::With {
                    why: "true".to_owned(),
                    at: None,
                },
                Kind::Of(secret.to_owned()),
            ],
            by_name: BTreeMap::from([(format!("x{secret}"), 0.5)]),
            large: u64::MAX,
        };
        insta::assert_snapshot!(json(&told, &redactor), @r#"
        {
          "zeal": "failed with [hidden], and \\u{1b}[31m",
          "kinds": [
            "plain",
            {
              "with": {
                "why": "true",
                "at": null
              }
            },
            {
              "of": "[hidden]"
            }
          ],
          "by_name": {
            "x[hidden]": 0.5
          },
          "large": 18446744073709551615
        }
        "#);
        insta::assert_snapshot!(yaml(&told, &redactor), @r"
        zeal: failed with [hidden], and \u{1b}[31m
        kinds:
        - plain
        - with:
            why: 'true'
            at: null
        - of: '[hidden]'
        by_name:
          x[hidden]: 0.5
        large: 18446744073709551615
        ");
    }
}
