//! Reads the log of a container piece by piece, as long as somebody wants more of it.

use std::time::Duration;

use bollard::container::LogOutput;
use bollard::query_parameters::LogsOptionsBuilder;
use futures_util::stream::{StreamExt as _, TryStreamExt as _};
use jiff::Timestamp;

use super::connection::{self, Docker};
use super::error;
use super::read::short;
use crate::engine::model::{LogPiece, LogStream, LogWish};
use crate::engine::{EngineError, Logs};

/// Time for the engine to begin with the log of a container that does not write: where nothing
/// comes there is nothing to wait for, and reading it goes on.
const BEGINS_WITHIN: Duration = Duration::from_secs(30);

impl Docker {
    /// Opens a log; see [`crate::engine::ReadEngine::logs`].
    pub(super) async fn pieces(&self, id: &str, wish: LogWish) -> Result<Logs, EngineError> {
        let doing = format!("read the log of container {}", short(id));
        let client = self.client(&doing).await?;
        let id = connection::in_path(&doing, id)?;
        let tail = wish
            .tail
            .map_or("all".to_owned(), |lines| lines.to_string());
        let since = wish.since.unwrap_or_default().max(0);
        let options = LogsOptionsBuilder::default()
            .stdout(true)
            .stderr(true)
            .timestamps(true)
            .tail(&tail)
            .since(i32::try_from(since).unwrap_or(i32::MAX))
            .follow(wish.follow)
            .build();
        let mut pieces = Box::pin(client.logs(id, Some(options)).peekable());
        // That there is no such container, or that its driver can't be read, is told at once.
        let begun = tokio::time::timeout(BEGINS_WITHIN, pieces.as_mut().peek());
        if !wish.follow && begun.await.is_err() {
            return Err(EngineError::TimedOut {
                doing,
                limit: BEGINS_WITHIN,
            });
        }
        let endpoint = self.address();
        let pieces = pieces.map_ok(piece);
        Ok(Box::pin(pieces.map_err(move |failure| {
            error::translate(&endpoint, &doing, &failure)
        })))
    }
}

fn piece(written: LogOutput) -> LogPiece {
    let stream = match &written {
        LogOutput::StdErr { .. } => LogStream::Stderr,
        LogOutput::StdOut { .. } | LogOutput::StdIn { .. } | LogOutput::Console { .. } => {
            LogStream::Stdout
        }
    };
    let bytes = written.into_bytes();
    let (at, rest) = timed(&bytes).unzip();
    LogPiece {
        stream,
        at,
        bytes: rest.unwrap_or(&bytes).to_vec(),
    }
}

/// Takes the time off a piece that begins with it, as the engine was asked to write.
fn timed(bytes: &[u8]) -> Option<(Timestamp, &[u8])> {
    /// Characters of `2026-02-11T14:03:02.123456789+00:00`.
    const LONGEST: usize = 36;
    let space = bytes.iter().take(LONGEST).position(|byte| *byte == b' ')?;
    let (time, rest) = bytes.split_at_checked(space)?;
    let time = std::str::from_utf8(time).ok()?.parse().ok()?;
    Some((time, rest.get(1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &'static str) -> (Option<String>, String) {
        let message = text.into();
        let piece = piece(LogOutput::StdOut { message });
        let bytes = String::from_utf8(piece.bytes).unwrap();
        (piece.at.map(|at| at.to_string()), bytes)
    }

    #[test]
    fn the_time_of_a_piece_is_taken_off_it() {
        let at = Some("2026-02-11T14:03:02.123456789Z".to_owned());
        assert_eq!(
            of("2026-02-11T14:03:02.123456789Z a b\n"),
            (at, "a b\n".to_owned())
        );
        let at = Some("2026-02-11T14:03:02Z".to_owned());
        assert_eq!(of("2026-02-11T14:03:02Z \n"), (at, "\n".to_owned()));
        for bare in ["", "a b\n", "2026 is near\n", "€€€€€€€€€€€€€€€€€€€€ x"]
        {
            assert_eq!(of(bare), (None, bare.to_owned()));
        }
    }
}
