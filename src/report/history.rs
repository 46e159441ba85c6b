//! History: the attempts that were made, with what became of them. Does not ask Git.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::Report;
use super::status::{display_time, stacks_of, took};
use crate::desired::{ServiceName, StackName};
use crate::host::View;
use crate::journal::{Note, Outcome};
use crate::pass::PassError;
use crate::plan::{Pin, Release, ReleasedImage};
use crate::record::{Attempt, Record};
use crate::source::Revision;
use crate::table;

/// One attempt, in short.
#[derive(Serialize)]
pub struct AttemptLine {
    /// Its number.
    pub attempt: u64,
    /// Its commit.
    pub revision: Revision,
    /// The commit's subject.
    pub subject: String,
    /// The commit's author.
    pub author: String,
    /// When it began.
    pub began_at: Timestamp,
    /// How long it took, in milliseconds.
    pub duration_ms: i64,
    /// How it ended; `None` while it runs.
    pub outcome: Option<Outcome>,
    /// What the images of the release that it became are tagged; `None` when it became none.
    pub version: Option<String>,
    /// Backups that it took, by name.
    pub backups: BTreeMap<String, String>,
    /// The end of what its one-off commands wrote, in order.
    pub outputs: Vec<String>,
    /// The plan that it executed, printed.
    pub plan: String,
    /// The images of the release that it became.
    pub images: BTreeMap<ServiceName, ReleasedImage>,
}

/// The attempts of all stacks, newest first.
#[derive(Default, Serialize)]
#[serde(transparent)]
pub struct HistoryReport {
    /// By stack.
    pub attempts: BTreeMap<String, Vec<AttemptLine>>,
    /// The releases that stacks are kept at, whatever Git says.
    #[serde(skip)]
    pub pins: BTreeMap<String, Pin>,
}

/// Returns the last `limit` attempts of every stack, or of the one that is named.
///
/// # Errors
/// The record can't be read.
pub fn history(view: &View, only: Option<&str>, limit: usize) -> Result<HistoryReport, PassError> {
    let mut report = HistoryReport::default();
    let Some(record) = &view.record else {
        return Ok(report);
    };
    for stack in stacks_of(record, only)? {
        let attempts = record.attempts(&stack, limit)?.into_iter();
        let lines: Result<_, _> = attempts
            .map(|one| AttemptLine::new(&stack, one, record))
            .collect();
        report.attempts.insert(stack.to_string(), lines?);
        let pin = record.pin(&stack)?;
        (report.pins).extend(pin.map(|pin| (stack.to_string(), pin)));
    }
    Ok(report)
}

impl AttemptLine {
    pub(super) fn new(
        stack: &StackName,
        attempt: Attempt,
        record: &Record,
    ) -> Result<Self, PassError> {
        let took = attempt.last_entry_at.as_millisecond() - attempt.began_at.as_millisecond();
        let release = record.release(stack, attempt.number)?;
        let (mut backups, mut outputs) = (BTreeMap::new(), Vec::new());
        for (_, note) in attempt.status.notes {
            match note {
                Note::Backup { name, file } => {
                    backups.insert(name, file);
                }
                Note::Output { text } => outputs.push(text),
                Note::SchemaBefore { .. } | Note::SchemaUnchanged => {}
            }
        }
        Ok(Self {
            version: release.as_ref().map(Release::version),
            images: release.map(|release| release.images).unwrap_or_default(),
            attempt: attempt.number,
            revision: attempt.revision,
            subject: attempt.subject,
            author: attempt.author,
            began_at: attempt.began_at,
            duration_ms: took.max(0),
            outcome: attempt.status.outcome,
            backups,
            outputs,
            plan: attempt.plan,
        })
    }
}

impl Report for HistoryReport {
    fn text(&self) -> String {
        if self.attempts.is_empty() {
            return "nothing has been released on this host yet\n".to_owned();
        }
        let texts = self.attempts.iter().map(|(stack, attempts)| {
            let pin = self.pins.get(stack);
            let pin = pin.map_or_else(String::new, |pin| format!("  {}", pin.notice(stack)));
            let header = [
                "  #", "version", "commit", "began", "took", "outcome", "author", "backup", "notes",
            ];
            let rows = attempts.iter().map(|one| {
                [
                    format!("  {}", one.attempt),
                    one.version.clone().unwrap_or_else(|| "—".to_owned()),
                    one.revision.short().to_owned(),
                    display_time(one.began_at),
                    took(one.duration_ms),
                    one.outcome
                        .as_ref()
                        .map_or("at work", Outcome::word)
                        .to_owned(),
                    one.author.clone(),
                    backups(one),
                    one.subject.clone(),
                ]
            });
            let rows = std::iter::once(header.map(str::to_owned)).chain(rows);
            format!("{stack}{pin}\n{}", table::aligned(rows))
        });
        texts.collect::<Vec<_>>().join("\n")
    }
}

fn backups(line: &AttemptLine) -> String {
    if line.backups.is_empty() {
        return "—".to_owned();
    }
    let files: Vec<&str> = line.backups.values().map(String::as_str).collect();
    files.join(", ")
}
