//! Says why a value can't be read, and what to write instead.

use std::fmt;

use crate::diagnostic::Diagnostic;
use crate::yaml::Node;

/// Why a value is refused; the place is the caller's to add.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What is wrong.
    pub why: String,
    /// What to write instead, with an example.
    pub hint: String,
}

impl Refusal {
    /// Makes a refusal of a reason and the way out.
    pub(super) fn new(why: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            why: why.into(),
            hint: hint.into(),
        }
    }

    /// Makes a refusal of a value that is of another type.
    pub(super) fn unlike(node: &Node, wanted: &str, hint: &str) -> Self {
        Self::new(format!("expected {wanted}, not {}", node.kind_name()), hint)
    }

    /// Makes the finding about a value; `path` is the way to it.
    pub(super) fn at(self, node: &Node, path: impl fmt::Display) -> Diagnostic {
        Diagnostic::new(node.location(), format!("{path}: {}", self.why)).hint(self.hint)
    }
}
