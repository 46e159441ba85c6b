//! Finds rules of the settings that are for no stack there is.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde::Serialize;

use super::plain;
use crate::diagnostic;
use crate::secret::escape_control;

/// A rule of the settings that is for no stack there is, so that nobody knows which one it guards.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Nameless {
    /// Where it stands in the settings: `windows` or `approvals`.
    pub rules: String,
    /// What it names.
    pub name: String,
    /// What it may have meant: `did you mean "…"?`.
    pub hint: Option<String>,
}

impl Nameless {
    /// Returns those of the rules below a key of the settings that name none of the stacks and
    /// directories `known`.
    pub fn among<T>(key: &str, rules: &BTreeMap<String, T>, known: &BTreeSet<String>) -> Vec<Self> {
        let nobody = rules.keys().filter(|name| !known.contains(plain(name)));
        let nameless = nobody.map(|name| Self {
            rules: key.to_owned(),
            name: name.clone(),
            hint: diagnostic::suggestion(plain(name), known.iter().map(String::as_str)),
        });
        nameless.collect()
    }
}

impl fmt::Display for Nameless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { rules, name, hint } = self;
        let name = escape_control(name);
        write!(
            f,
            "{rules} names \"{name}\", and no stack has that name or directory"
        )?;
        hint.iter().try_for_each(|hint| write!(f, " ({hint})"))
    }
}
