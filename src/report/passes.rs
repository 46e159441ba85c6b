//! The results of passes and plans.

use std::collections::BTreeMap;

use serde::Serialize;

use super::Report;
use crate::diagnostic::Diagnostics;
use crate::journal::Outcome;
use crate::pass::{ByStack, Looked, PassError, Passed};
use crate::plan::{Kind, Plan, Weight};
use crate::stacks::LoadError;

/// What one stack came to.
#[derive(Serialize)]
pub struct StackResult {
    /// Directory of its manifest.
    pub dir: String,
    /// The plan, when one could be made.
    #[serde(flatten)]
    pub plan: Option<Plan>,
    /// How the attempt ended, when there was one.
    #[serde(flatten)]
    pub outcome: Option<Outcome>,
    /// What a person is to look at after a deploy, by the file that it stands in.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub checklist: BTreeMap<String, String>,
    /// What was wrong.
    pub error: Option<String>,
    /// What was wrong with the state repository, finding by finding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diagnostics: Option<Diagnostics>,
}

/// The result of one pass over all stacks.
#[derive(Serialize)]
#[serde(transparent)]
pub struct PassReport(pub Vec<StackResult>);

/// The plans of all stacks.
#[derive(Serialize)]
#[serde(transparent)]
pub struct PlanReport(pub Vec<StackResult>);

impl PassReport {
    /// Makes the report of a pass.
    pub fn new(passed: &ByStack<Passed>) -> Self {
        let results = passed.iter().map(|(dir, passed)| match passed {
            Ok(passed) => StackResult {
                dir: dir.clone(),
                plan: Some(passed.looked.plan.clone()),
                outcome: passed.outcome.clone(),
                checklist: checklist(passed),
                error: None,
                diagnostics: None,
            },
            Err(error) => failed(dir, error),
        });
        Self(results.collect())
    }
}

impl PlanReport {
    /// Makes the report of a look.
    pub fn new(looked: &ByStack<Looked>) -> Self {
        let results = looked.iter().map(|(dir, looked)| match looked {
            Ok(looked) => StackResult {
                dir: dir.clone(),
                plan: Some(looked.plan.clone()),
                outcome: None,
                checklist: BTreeMap::new(),
                error: None,
                diagnostics: None,
            },
            Err(error) => failed(dir, error),
        });
        Self(results.collect())
    }
}

/// Returns the checklist of a deploy that put something new in place.
fn checklist(passed: &Passed) -> BTreeMap<String, String> {
    let (desired, plan) = (&passed.looked.desired, &passed.looked.plan);
    if passed.outcome != Some(Outcome::Succeeded)
        || plan.from.as_ref() == Some(&plan.commit.revision)
    {
        return BTreeMap::new();
    }
    let files = desired.checklist.iter();
    files
        .map(|(path, text)| (path.to_string(), text.clone()))
        .collect()
}

fn findings(error: &LoadError) -> Option<Diagnostics> {
    match error {
        LoadError::State(found) => Some(found.clone()),
        LoadError::Source(_)
        | LoadError::Mirror(_)
        | LoadError::Read(_)
        | LoadError::Refused(_)
        | LoadError::Record(_)
        | LoadError::Engine(_)
        | LoadError::Pinned { .. } => None,
    }
}

fn failed(dir: &str, error: &PassError) -> StackResult {
    let diagnostics = match error {
        PassError::Load(error) | PassError::Kept { error, .. } => findings(error),
        PassError::Engine(_)
        | PassError::Busy(_)
        | PassError::Maintenance(_)
        | PassError::Record(_) => None,
    };
    StackResult {
        dir: dir.to_owned(),
        plan: None,
        outcome: None,
        checklist: BTreeMap::new(),
        error: Some(error.to_string()),
        diagnostics,
    }
}

impl Report for PassReport {
    fn text(&self) -> String {
        self.0.iter().map(pass_text).collect()
    }
}

impl Report for PlanReport {
    fn text(&self) -> String {
        let texts: Vec<String> = self.0.iter().map(plan_text).collect();
        texts.join("\n")
    }
}

fn plan_text(result: &StackResult) -> String {
    match (&result.plan, &result.error) {
        (Some(plan), _) => plan.to_string(),
        (None, Some(error)) => error_text(&result.dir, error),
        (None, None) => String::new(),
    }
}

fn pass_text(result: &StackResult) -> String {
    let Some(plan) = &result.plan else {
        return plan_text(result);
    };
    let (stack, revision) = (&plan.stack, plan.commit.revision.short());
    let line = match &result.outcome {
        None if plan.weight() == Some(Weight::Blocking) => "held, nothing changed".to_owned(),
        None if plan.weight() == Some(Weight::Passing) => {
            "not now, nothing changed; tried again".to_owned()
        }
        None => "nothing to do".to_owned(),
        Some(Outcome::Succeeded) if plan.kind == Kind::ByHand => {
            format!("done: {}", plan.commit.subject)
        }
        Some(Outcome::Succeeded) if plan.kind == Kind::Heal => {
            format!(
                "is as it was released again, as {}-{revision}",
                plan.attempt
            )
        }
        Some(Outcome::Succeeded) => format!("released as {}-{revision}", plan.attempt),
        Some(Outcome::RolledBack { error }) => {
            format!(
                "rolled back; what ran before runs again\n  {}",
                indented(error)
            )
        }
        Some(Outcome::Failed { error }) => format!("failed\n  {}", indented(error)),
        Some(Outcome::Held { error, way_out }) => format!(
            "failed, and stays as it is until you decide\n  {}\n  {}",
            indented(error),
            indented(way_out)
        ),
        Some(Outcome::Stuck { error }) => format!(
            "failed, and could not be taken back; nothing more is done by itself\n  {}",
            indented(error)
        ),
        Some(Outcome::Postponed { error }) => {
            format!("not now; the next pass goes on\n  {}", indented(error))
        }
        Some(Outcome::Unsettled { error }) => {
            format!(
                "is up, with something left to tidy up\n  {}",
                indented(error)
            )
        }
        Some(Outcome::Stopped) => "stopped as asked; the next pass goes on".to_owned(),
        Some(Outcome::Interrupted) => "interrupted".to_owned(),
    };
    let mut text = format!("{stack}  {revision}  {line}\n");
    for hold in &plan.holds {
        text = format!("{text}  holds  {hold}\n");
    }
    for (file, content) in &result.checklist {
        let content = indented(content.trim_end());
        text = format!("{text}  now look at ({file})\n  {content}\n");
    }
    text
}

/// Returns the text of a stack that could not be looked at.
fn error_text(dir: &str, error: &str) -> String {
    let name = if dir == "." {
        "the state repository"
    } else {
        dir
    };
    format!("{name}  refused, nothing changed\n  {}\n", indented(error))
}

fn indented(text: &str) -> String {
    text.replace('\n', "\n  ")
}
