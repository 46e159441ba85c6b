//! The intent journal of one attempt: what was begun and what is known to be done.
//!
//! An entry is durable before the effect that it announces. The state of an attempt is never
//! stored: [`replay`] folds its entries, and recording uses the very same [`next`].

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

/// One entry. Serialized into the journal: adding a variant is a new format version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the fields are the things of their names")]
pub enum Entry {
    /// The attempt begins, with so many steps.
    Began { steps: u32 },
    /// A step is about to have its effect.
    Intent { step: u32 },
    /// A step had its effect.
    Done { step: u32 },
    /// A step failed; what it did is in doubt.
    Failed { step: u32, error: String },
    /// A step that has begun found out, or left behind, something that later passes want to know.
    Noted { step: u32, note: Note },
    /// What a step did is about to be taken back.
    UndoIntent { step: u32 },
    /// What a step did has been taken back.
    Undone { step: u32 },
    /// The attempt is over.
    Ended { outcome: Outcome },
    /// A person asks for another try of what failed.
    Forgiven,
}

/// What a step found out or left behind.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "note", rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the fields are the things of their names")]
pub enum Note {
    /// The end of what a one-off command wrote.
    Output { text: String },
    /// A backup was taken and verified.
    Backup { name: String, file: String },
    /// The version of the data's form before a migration, as its status command tells it.
    SchemaBefore { version: String },
    /// A migration has left the form of the data as it was.
    SchemaUnchanged,
}

/// How an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "kebab-case")]
pub enum Outcome {
    /// Everything is done and recorded.
    Succeeded,
    /// A step failed, and what had been replaced was put back.
    RolledBack {
        /// With what.
        error: String,
    },
    /// A step failed, and there was nothing to put back.
    Failed {
        /// With what.
        error: String,
    },
    /// A step failed, and going back by itself could lose data or is not wanted: everything stays
    /// as it is, the maintenance page too, until a person decides.
    Held {
        /// With what.
        error: String,
        /// What that person can do.
        way_out: String,
    },
    /// A step failed, and taking back what was done failed too: nothing more is done by itself.
    Stuck {
        /// With what.
        error: String,
    },
    /// The engine or a registry went away; the next pass goes on from what it finds.
    Postponed {
        /// What went wrong.
        error: String,
    },
    /// Everything is up, and something is left to tidy up, which the next pass does.
    Unsettled {
        /// What went wrong.
        error: String,
    },
    /// A person or the system asked the controller to stop.
    Stopped,
    /// The controller was killed, which is found at its next start, or the engine went away.
    Interrupted,
}

impl Outcome {
    /// Returns the outcome in a word or two.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::RolledBack { .. } => "rolled back",
            Self::Failed { .. } => "failed",
            Self::Held { .. } => "held",
            Self::Stuck { .. } => "stuck",
            Self::Postponed { .. } => "postponed",
            Self::Unsettled { .. } => "unsettled",
            Self::Stopped => "stopped",
            Self::Interrupted => "interrupted",
        }
    }

    /// Returns what went wrong, if anything did.
    pub fn error(&self) -> Option<&str> {
        match self {
            Self::RolledBack { error }
            | Self::Failed { error }
            | Self::Held { error, .. }
            | Self::Stuck { error }
            | Self::Postponed { error }
            | Self::Unsettled { error } => Some(error),
            Self::Succeeded | Self::Stopped | Self::Interrupted => None,
        }
    }
}

/// Where an attempt is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Status {
    /// Number of steps; `None` before the attempt began.
    pub steps: Option<u32>,
    /// Steps that had their effect.
    pub done: BTreeSet<u32>,
    /// Steps of which nobody knows.
    pub in_doubt: BTreeSet<u32>,
    /// Steps that were taken back.
    pub undone: BTreeSet<u32>,
    /// What the steps noted, in order.
    pub notes: Vec<(u32, Note)>,
    /// How it ended; `None` while it runs, or after a crash.
    pub outcome: Option<Outcome>,
    /// A person asked for another try.
    pub forgiven: bool,
}

/// An entry that can't follow on a status.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal has an entry that can't be there: {entry:?} after {status:?}")]
pub struct IllegalEntry {
    status: Box<Status>,
    entry: Box<Entry>,
}

/// Returns the status after an entry.
///
/// # Errors
/// The entry can't follow: the journal is not one that this program wrote.
pub fn next(mut status: Status, entry: &Entry) -> Result<Status, IllegalEntry> {
    let running = status.steps.is_some() && status.outcome.is_none();
    let known = |step: &u32| status.steps.is_some_and(|steps| (1..=steps).contains(step));
    let begun = |step: &u32| status.done.contains(step) || status.in_doubt.contains(step);
    let legal = match entry {
        Entry::Began { .. } => status.steps.is_none(),
        Entry::Intent { step } => running && known(step) && !begun(step),
        Entry::Done { step } | Entry::Failed { step, .. } | Entry::Noted { step, .. } => {
            running && status.in_doubt.contains(step)
        }
        Entry::UndoIntent { step } => running && begun(step),
        Entry::Undone { step } => running && status.in_doubt.contains(step),
        Entry::Ended { .. } => running,
        Entry::Forgiven => status.outcome.is_some(),
    };
    if !legal {
        return Err(IllegalEntry {
            status: Box::new(status),
            entry: Box::new(entry.clone()),
        });
    }
    match entry {
        Entry::Began { steps } => status.steps = Some(*steps),
        Entry::Intent { step } => {
            status.in_doubt.insert(*step);
        }
        Entry::Done { step } => {
            status.in_doubt.remove(step);
            status.done.insert(*step);
        }
        // What a failed step did stays in doubt: only looking at the world tells.
        Entry::Failed { .. } => {}
        Entry::Noted { step, note } => status.notes.push((*step, note.clone())),
        Entry::UndoIntent { step } => {
            status.done.remove(step);
            status.in_doubt.insert(*step);
        }
        Entry::Undone { step } => {
            status.in_doubt.remove(step);
            status.undone.insert(*step);
        }
        Entry::Ended { outcome } => status.outcome = Some(outcome.clone()),
        Entry::Forgiven => status.forgiven = true,
    }
    Ok(status)
}

/// Returns the status after all entries of an attempt.
///
/// # Errors
/// See [`next`].
pub fn replay<'a>(entries: impl IntoIterator<Item = &'a Entry>) -> Result<Status, IllegalEntry> {
    entries.into_iter().try_fold(Status::default(), next)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entries(text: &str) -> Vec<Entry> {
        let step = |word: &str| word[1..].parse().unwrap();
        text.split(' ')
            .map(|word| match &word[..1] {
                "B" => Entry::Began { steps: step(word) },
                "I" => Entry::Intent { step: step(word) },
                "D" => Entry::Done { step: step(word) },
                "F" => Entry::Failed {
                    step: step(word),
                    error: "x".to_owned(),
                },
                "U" => Entry::UndoIntent { step: step(word) },
                "N" => Entry::Undone { step: step(word) },
                "E" => Entry::Ended {
                    outcome: Outcome::Succeeded,
                },
                _ => Entry::Forgiven,
            })
            .collect()
    }

    #[test]
    fn a_step_is_in_doubt_between_intent_and_done() {
        let status = replay(&entries("B3 I1 D1 I2")).unwrap();
        assert_eq!(status.done, [1].into());
        assert_eq!(status.in_doubt, [2].into());
        assert_eq!(status.outcome, None);
    }

    #[test]
    fn a_failed_step_stays_in_doubt_until_it_is_undone() {
        assert_eq!(replay(&entries("B1 I1 F1")).unwrap().in_doubt, [1].into());
        let status = replay(&entries("B1 I1 F1 U1 N1 E")).unwrap();
        assert!(status.in_doubt.is_empty());
        assert_eq!(status.undone, [1].into());
    }

    #[test]
    fn what_cannot_follow_is_refused() {
        for text in [
            "I1",
            "B1 I2",
            "B1 I1 I1",
            "B1 D1",
            "B1 I1 D1 I1",
            "B1 E I1",
            "B1 E E",
            "B1 B1",
            "B1 N1",
            "B1 R",
        ] {
            assert!(replay(&entries(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn forgiving_keeps_the_outcome() {
        let status = replay(&entries("B1 I1 D1 E R")).unwrap();
        assert!(status.forgiven);
        assert_eq!(status.outcome, Some(Outcome::Succeeded));
    }

    #[test]
    fn an_entry_reads_back_as_it_was_written() {
        for entry in entries("B3 I1 D1 F1 U1 N1 E R") {
            let text = serde_json::to_string(&entry).unwrap();
            assert_eq!(serde_json::from_str::<Entry>(&text).unwrap(), entry);
        }
    }
}
