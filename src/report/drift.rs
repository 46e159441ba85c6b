//! The drift report: per service and field what Git says, what the last release was, and what is
//! live.

use serde::Serialize;

use super::Report;
use crate::pass::{ByStack, Looked};
use crate::plan::{Difference, Hold, ReleaseId, value};
use crate::source::Revision;
use crate::table;

/// The drift of all stacks.
#[derive(Serialize)]
#[serde(transparent)]
pub struct DriftReport(pub Vec<StackDrift>);

/// The drift of one stack.
#[derive(Serialize)]
pub struct StackDrift {
    /// Name of the stack, or the directory of its manifest when that can't be read.
    pub stack: String,
    /// The commit that Git is at.
    pub revision: Option<Revision>,
    /// The last release.
    pub release: Option<ReleaseId>,
    /// Fields that differ, by service.
    pub differences: Vec<Difference>,
    /// What else is to be said.
    pub notes: Vec<Hold>,
    /// What was wrong, when the stack could not be looked at.
    pub error: Option<String>,
}

impl DriftReport {
    /// Makes the report of a look.
    pub fn new(looked: &ByStack<Looked>) -> Self {
        let stacks = looked.iter().map(|(dir, looked)| match looked {
            Ok(looked) => StackDrift {
                stack: looked.desired.stack.to_string(),
                revision: Some(looked.desired.commit.revision.clone()),
                release: looked
                    .history
                    .release
                    .as_ref()
                    .map(|release| release.id.clone()),
                differences: looked.plan.differences.clone(),
                notes: notes(&looked.plan.holds),
                error: None,
            },
            Err(error) => StackDrift {
                stack: dir.clone(),
                revision: None,
                release: None,
                differences: Vec::new(),
                notes: Vec::new(),
                error: Some(error.to_string()),
            },
        });
        Self(stacks.collect())
    }

    /// Returns whether anything differs.
    pub fn has_differences(&self) -> bool {
        self.0
            .iter()
            .any(|stack| !stack.differences.is_empty() || !stack.notes.is_empty())
    }
}

/// Returns the holds that say more than the differences do.
fn notes(holds: &[Hold]) -> Vec<Hold> {
    holds
        .iter()
        .filter(|hold| !matches!(hold, Hold::DriftReported { .. }))
        .cloned()
        .collect()
}

impl Report for DriftReport {
    fn text(&self) -> String {
        let texts: Vec<String> = self.0.iter().map(StackDrift::text).collect();
        texts.join("\n")
    }
}

impl StackDrift {
    fn text(&self) -> String {
        if let Some(error) = &self.error {
            let error = error.replace('\n', "\n  ");
            return format!("{}  could not be looked at\n  {error}\n", self.stack);
        }
        let git = self.revision.as_ref().map_or("—", Revision::short);
        let release = self
            .release
            .as_ref()
            .map_or_else(|| "none".to_owned(), ToString::to_string);
        let count: usize = self.differences.iter().map(|one| one.reasons.len()).sum();
        let verdict = match count {
            0 if self.notes.is_empty() => "the host is as Git says".to_owned(),
            0 => "no field differs, and something is to be noted".to_owned(),
            1 => "1 difference".to_owned(),
            count => format!("{count} differences"),
        };
        let mut text = format!("{}  git {git}  release {release}  {verdict}\n", self.stack);
        if count > 0 {
            text.push_str(&table::aligned(
                std::iter::once(header()).chain(self.rows()),
            ));
        }
        for note in &self.notes {
            text = format!("{text}  note  {note}\n");
        }
        text
    }

    fn rows(&self) -> impl Iterator<Item = [String; 6]> {
        self.differences.iter().flat_map(|one| {
            one.reasons.iter().map(|reason| {
                [
                    format!("  {}", one.of),
                    reason.field.to_string(),
                    value(&reason.field, reason.git.as_ref()),
                    if self.release.is_none() {
                        "—".to_owned()
                    } else {
                        value(&reason.field, reason.release.as_ref())
                    },
                    value(&reason.field, reason.live.as_ref()),
                    reason.origin.to_string(),
                ]
            })
        })
    }
}

fn header() -> [String; 6] {
    ["  service", "field", "git", "release", "live", ""].map(str::to_owned)
}
