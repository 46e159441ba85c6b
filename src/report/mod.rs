//! Makes words and data of what happened: events as they come, results as text and JSON.

mod by_hand;
mod check;
mod console;
mod drift;
mod history;
mod init;
mod logs;
mod passes;
mod promotion;
mod query;
mod rollback;
mod snapshot;
mod status;
mod structured;
mod suspension;
mod told;

pub use by_hand::{BackupLine, BackupReport, MaintenanceReport};
pub use check::CheckReport;
pub use console::Console;
pub use drift::DriftReport;
pub use history::{HistoryReport, history};
pub use init::InitReport;
pub use logs::LogLines;
pub use passes::{PassReport, PlanReport};
pub use promotion::PromotionReport;
pub use query::answer;
pub use rollback::RollbackReport;
pub use snapshot::SnapshotReport;
pub use status::{RetryReport, StatusReport, status};
pub use suspension::SuspensionReport;
pub use told::{NotifyReport, Tried};

use crate::secret::Redactor;

/// The form of a result.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// Aligned text for people.
    #[default]
    Text,
    /// JSON for programs.
    Json,
    /// YAML for both.
    Yaml,
    /// The text as Markdown has it, for a comment on a pull request.
    Markdown,
}

/// Something that is told to people and programs.
pub trait Report: serde::Serialize {
    /// Returns it as text; ends in a line feed.
    fn text(&self) -> String;
}

/// Returns a report in a form, with every secret hidden.
pub fn render(report: &impl Report, format: Format, redactor: &Redactor) -> String {
    match format {
        Format::Text => redactor.clean(&report.text()),
        Format::Json => structured::json(report, redactor),
        Format::Yaml => structured::yaml(report, redactor),
        Format::Markdown => redactor.clean(&fenced(&report.text())),
    }
}

/// Returns a text as a block of code that nothing in it ends.
fn fenced(text: &str) -> String {
    let mut fence = "```".to_owned();
    while text.contains(&fence) {
        fence.push('`');
    }
    format!("{fence}text\n{text}{fence}\n")
}

#[cfg(test)]
mod tests {
    use super::fenced;

    #[test]
    fn nothing_in_a_text_ends_its_block() {
        assert_eq!(fenced("a\n"), "```text\na\n```\n");
        assert_eq!(fenced("```\nb\n"), "````text\n```\nb\n````\n");
    }
}
