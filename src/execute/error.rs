//! Why a step failed.

use std::path::PathBuf;

use crate::desired::ServiceName;
use crate::engine::{EngineError, ReadEngine};
use crate::record::RecordError;

/// Lines of a container's log that are told: enough for a stack trace's end, and little enough to
/// be read.
const LAST_LINES: u16 = 10;

/// Why a step failed.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The engine refused or could not be asked.
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// A service did not come up.
    #[error("{service} is not up: {why}{}", quoted(last_words))]
    NotUp {
        /// Which one.
        service: String,
        /// What was seen.
        why: String,
        /// The last lines that its container wrote: it may be gone by the time that anybody asks.
        last_words: String,
    },
    /// A file could not be placed.
    #[error("failed to place {}: {source}", path.display())]
    Place {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The release could not be recorded.
    #[error("{0}")]
    Record(#[from] RecordError),
    /// The wait was given up because another step failed or a stop was asked for.
    #[error("given up")]
    GivenUp,
}

impl StepError {
    /// Makes the error of a service that is not up, with the last words of its container.
    pub(super) async fn not_up(
        engine: &dyn ReadEngine,
        service: &ServiceName,
        container: &str,
        why: String,
    ) -> Self {
        // They only help; that the service is not up is known without.
        let last_words = engine.last_words(container, LAST_LINES).await;
        Self::NotUp {
            service: service.to_string(),
            why,
            last_words: last_words.unwrap_or_default(),
        }
    }

    /// Returns whether the engine can't be reached any more.
    pub(super) fn is_loss_of_engine(&self) -> bool {
        matches!(self, Self::Engine(EngineError::Unavailable { .. }))
    }
}

/// Returns the last words of a container as an indented block; nothing for none.
fn quoted(last_words: &str) -> String {
    if last_words.trim().is_empty() {
        return String::new();
    }
    let lines = last_words.trim_end().lines();
    let lines: String = lines.fold(String::new(), |text, line| text + "\n    " + line);
    format!("\n  its last words:{lines}")
}
