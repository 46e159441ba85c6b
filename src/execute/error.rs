//! Why a step failed.

use std::path::PathBuf;
use std::time::Duration;

use crate::backup::BackupError;
use crate::desired::ServiceName;
use crate::desired::proxy::ProxyKind;
use crate::engine::{EngineError, ReadEngine};
use crate::maintenance::MaintenanceError;
use crate::policy::Refusal;
use crate::proxy::ProxyError;
use crate::record::RecordError;
use crate::secret::Redactor;

/// Lines of a container's log that are told: enough for a stack trace's end, and little enough to
/// be read.
const LAST_LINES: usize = 10;

/// Bytes of a container's log that a message has room for.
const LONGEST_WORDS: usize = 2000;

/// Time for the last words. That the service is not up is known without them.
const WORDS_LIMIT: Duration = Duration::from_secs(2);

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
    /// A check of the whole stack does not pass.
    #[error("smoke check {what} does not pass: {why}")]
    Smoke {
        /// What was asked.
        what: String,
        /// What was seen.
        why: String,
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
    /// A one-off command did not end with success.
    #[error("{what} {how}{}", quoted(output))]
    Command {
        /// The command.
        what: String,
        /// How it ended.
        how: String,
        /// The end of what it wrote.
        output: String,
    },
    /// The maintenance page could not be switched, or visitors do not see what they should.
    #[error("{0}")]
    Maintenance(#[from] MaintenanceError),
    /// A backup could not be taken, verified or restored.
    #[error("{0}")]
    Backup(#[from] BackupError),
    /// A proxy's configuration can't be tested, loaded or proved.
    #[error("{0}")]
    Proxy(#[from] ProxyError),
    /// A proxy's configuration is refused.
    #[error("the configuration of {proxy} is refused: {why}")]
    Config {
        /// Which program.
        proxy: ProxyKind,
        /// What is wrong with it.
        why: String,
        /// Whether it stays wrong until Git moves.
        lasting: bool,
    },
    /// A file of the host may not be touched.
    #[error("the host's settings do not permit it: {0}")]
    NotPermitted(#[from] Refusal),
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
        let log = engine.output(container, LONGEST_WORDS);
        let last_words = match tokio::time::timeout(WORDS_LIMIT, log).await {
            Ok(Ok(text)) => last_lines(&text).to_owned(),
            Ok(Err(_)) | Err(_) => String::new(),
        };
        Self::NotUp {
            service: service.to_string(),
            why,
            last_words,
        }
    }

    /// Hides what is secret in what a program wrote, before it is set line by line.
    pub(super) fn clean(self, redactor: &Redactor) -> Self {
        match self {
            Self::NotUp {
                service,
                why,
                last_words,
            } => Self::NotUp {
                service,
                why,
                last_words: redactor.clean(&last_words),
            },
            Self::Command { what, how, output } => Self::Command {
                what,
                how,
                output: redactor.clean(&output),
            },
            other @ (Self::Engine(_)
            | Self::Proxy(_)
            | Self::Config { .. }
            | Self::Smoke { .. }
            | Self::Place { .. }
            | Self::Record(_)
            | Self::Maintenance(_)
            | Self::Backup(_)
            | Self::NotPermitted(_)
            | Self::GivenUp) => other,
        }
    }

    /// Says of the failed test of a configuration whether it stays wrong until Git moves: what a
    /// renewed certificate breaks may be half written.
    pub(super) fn about_config(self, proxy: ProxyKind, lasting: bool) -> Self {
        match self {
            Self::Proxy(ProxyError::Invalid { complaint }) => Self::Config {
                proxy,
                why: complaint,
                lasting,
            },
            other @ (Self::Engine(_)
            | Self::NotUp { .. }
            | Self::Smoke { .. }
            | Self::Place { .. }
            | Self::Record(_)
            | Self::Command { .. }
            | Self::Maintenance(_)
            | Self::Backup(_)
            | Self::Proxy(_)
            | Self::Config { .. }
            | Self::NotPermitted(_)
            | Self::GivenUp) => other,
        }
    }

    /// Returns whether the engine can't be reached any more.
    pub(super) fn is_loss_of_engine(&self) -> bool {
        let engine = match self {
            Self::Engine(error) => Some(error),
            Self::Backup(error) => error.engine(),
            Self::NotUp { .. }
            | Self::Proxy(_)
            | Self::Config { .. }
            | Self::Smoke { .. }
            | Self::Place { .. }
            | Self::Record(_)
            | Self::Command { .. }
            | Self::Maintenance(_)
            | Self::NotPermitted(_)
            | Self::GivenUp => None,
        };
        matches!(engine, Some(EngineError::Unavailable { .. }))
    }
}

/// Cuts a text to its last lines.
fn last_lines(text: &str) -> &str {
    let text = text.trim_end();
    let mut starts = text.rmatch_indices('\n').map(|(at, _)| at + 1);
    starts
        .nth(LAST_LINES - 1)
        .and_then(|at| text.get(at..))
        .unwrap_or(text)
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
