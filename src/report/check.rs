//! The result of checking a state repository.

use std::collections::BTreeSet;
use std::fmt::Write;

use serde::Serialize;

use super::Report;
use crate::check::{Checked, Finding, Severity};

/// What a state repository comes to; as JSON an array of its findings.
#[derive(Serialize)]
#[serde(transparent)]
pub struct CheckReport {
    /// What was found.
    pub findings: Vec<Finding>,
    #[serde(skip)]
    stacks: usize,
    #[serde(skip)]
    unseen: BTreeSet<String>,
}

impl CheckReport {
    /// Makes the report of a check.
    pub fn new(checked: Checked) -> Self {
        Self {
            findings: checked.findings,
            stacks: checked.stacks,
            unseen: checked.unseen,
        }
    }

    fn count(&self, severity: Severity) -> usize {
        let findings = self.findings.iter();
        findings.filter(|one| one.severity == severity).count()
    }
}

impl Report for CheckReport {
    fn text(&self) -> String {
        let mut text = String::new();
        for one in &self.findings {
            let word = match one.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            };
            text.push_str(&one.file);
            for number in [one.line, one.column].into_iter().flatten() {
                // Writing into a text can't fail.
                write!(text, ":{number}").unwrap_or_default();
            }
            writeln!(text, ": {word}: {}", one.message).unwrap_or_default();
            if let Some(hint) = &one.hint {
                writeln!(text, "  hint: {hint}").unwrap_or_default();
            }
        }
        let (errors, warnings) = (self.count(Severity::Error), self.count(Severity::Warning));
        let counted = [
            counted(self.stacks, "stack"),
            counted(errors, "error"),
            counted(warnings, "warning"),
        ];
        writeln!(text, "{}", counted.join(", ")).unwrap_or_default();
        if !self.unseen.is_empty() {
            let files: Vec<&str> = self.unseen.iter().map(String::as_str).collect();
            let number = self.unseen.len();
            let files = files.join(", ");
            writeln!(
                text,
                "not checked, for it can't be seen from here: {number} ({files})"
            )
            .unwrap_or_default();
        }
        text
    }
}

fn counted(number: usize, what: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {what}{plural}")
}
