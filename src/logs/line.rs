//! Puts pieces of a log together to lines, and makes them fit to be shown.

use jiff::Timestamp;
use serde::Serialize;

use super::find::Source;
use crate::engine::model::{LogPiece, LogStream};
use crate::secret::Redactor;

/// One line that a container has written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Line {
    /// When the engine got it.
    pub time: Option<Timestamp>,
    /// The service.
    pub service: String,
    /// Name of the container.
    pub container: String,
    /// What stands before it where there are several: `web-1`.
    #[serde(skip)]
    pub label: String,
    /// `stdout` or `stderr`.
    pub stream: &'static str,
    /// What was written, without colours, with every secret hidden.
    pub text: String,
}

/// Longest line that is kept whole, in bytes.
const LONGEST: usize = 256 * 1024;

/// Bytes at the end of a line that was cut in which a secret may begin and not end.
const UNSURE: usize = 16 * 1024;

/// The lines of one container, as far as they have come.
#[derive(Default)]
pub(super) struct Lines {
    out: Partial,
    err: Partial,
}

#[derive(Default)]
struct Partial {
    at: Option<Timestamp>,
    bytes: Vec<u8>,
    cut: bool,
}

impl Lines {
    /// Takes the next piece; returns the line that ends with it.
    pub(super) fn take(
        &mut self,
        piece: LogPiece,
        of: &Source,
        redactor: &Redactor,
    ) -> Option<Line> {
        let LogPiece { stream, at, bytes } = piece;
        let partial = match stream {
            LogStream::Stdout => &mut self.out,
            LogStream::Stderr => &mut self.err,
        };
        if partial.bytes.is_empty() {
            partial.at = at;
        }
        let room = LONGEST.saturating_sub(partial.bytes.len());
        partial.cut |= bytes.len() > room;
        partial.bytes.extend(bytes.iter().take(room));
        let ends = bytes.last() == Some(&b'\n');
        ends.then(|| std::mem::take(partial).line(stream, of, redactor))
    }

    /// Returns what is said in the place of a log that can't be read.
    pub(super) fn unreadable(cause: &str, of: &Source, redactor: &Redactor) -> Line {
        let partial = Partial {
            bytes: format!("(its log can't be read: {cause})").into_bytes(),
            ..Partial::default()
        };
        partial.line(LogStream::Stderr, of, redactor)
    }

    /// Returns what has come of lines without an end.
    pub(super) fn rest(self, of: &Source, redactor: &Redactor) -> impl Iterator<Item = Line> {
        let both = [(LogStream::Stdout, self.out), (LogStream::Stderr, self.err)];
        let begun = both.into_iter().filter(|(_, one)| !one.bytes.is_empty());
        let lines: Vec<Line> = begun
            .map(|(stream, one)| one.line(stream, of, redactor))
            .collect();
        lines.into_iter()
    }
}

impl Partial {
    fn line(self, stream: LogStream, of: &Source, redactor: &Redactor) -> Line {
        let text = String::from_utf8_lossy(&self.bytes);
        let text = text.trim_end_matches(['\n', '\r']);
        let mut text = redactor.clean(&without_colours(text));
        if self.cut {
            let mut sure = text.len().saturating_sub(UNSURE);
            while !text.is_char_boundary(sure) {
                sure -= 1;
            }
            text.truncate(sure);
            text.push_str(" … (the line is longer)");
        }
        Line {
            time: self.at,
            service: of.service.clone(),
            container: of.container.clone(),
            label: of.label.clone(),
            stream: match stream {
                LogStream::Stdout => "stdout",
                LogStream::Stderr => "stderr",
            },
            text,
        }
    }
}

/// Takes the sequences out that a terminal takes for colours and movements (ECMA-48, `CSI`).
fn without_colours(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut parts = text.split("\u{1b}[");
    shown.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let is_final = |c: char| ('\u{40}'..='\u{7e}').contains(&c);
        let rest = part.split_once(is_final).map(|(_, rest)| rest);
        shown.push_str(rest.unwrap_or_default());
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Sensitive;

    fn source() -> Source {
        Source {
            id: "4711".to_owned(),
            container: "shop-web-1".to_owned(),
            service: "web".to_owned(),
            label: "web-1".to_owned(),
            running: true,
        }
    }

    fn piece(stream: LogStream, text: &str) -> LogPiece {
        LogPiece {
            stream,
            at: None,
            bytes: text.into(),
        }
    }

    fn shown(pieces: Vec<LogPiece>, redactor: &Redactor) -> Vec<String> {
        let mut lines = Lines::default();
        let mut shown = Vec::new();
        for piece in pieces {
            shown.extend(lines.take(piece, &source(), redactor));
        }
        shown.extend(lines.rest(&source(), redactor));
        let text = |line: Line| format!("{}: {}", line.stream, line.text);
        shown.into_iter().map(text).collect()
    }

    #[test]
    fn pieces_of_both_streams_become_lines() {
        let (out, err) = (LogStream::Stdout, LogStream::Stderr);
        let pieces = vec![
            piece(out, "one "),
            piece(err, "oh\n"),
            piece(out, "two\r\n"),
            piece(out, "\n"),
            piece(err, "the end"),
        ];
        assert_eq!(
            shown(pieces, &Redactor::default()),
            [
                "stderr: oh",
                "stdout: one two",
                "stdout: ",
                "stderr: the end"
            ]
        );
    }

    #[test]
    fn secrets_are_hidden_also_over_pieces_and_colours() {
        let redactor = Redactor::default();
        redactor.learn([Sensitive::new("hunter22-hunter22")]);
        let pieces = vec![
            piece(LogStream::Stdout, "a hunter"),
            piece(
                LogStream::Stdout,
                "22-\u{1b}[1;31mhunter22\u{1b}[0m b\u{7}\n",
            ),
        ];
        assert_eq!(shown(pieces, &redactor), ["stdout: a [hidden] b\\u{7}"]);
    }

    #[test]
    fn a_line_without_an_end_costs_bounded_memory_and_shows_no_half_a_secret() {
        let redactor = Redactor::default();
        let secret = "hunter22".repeat(1000);
        redactor.learn([Sensitive::new(secret.as_str())]);
        let part = "x".repeat(16 * 1024);
        let mut lines = Lines::default();
        for _ in 0..15 {
            lines.take(piece(LogStream::Stdout, &part), &source(), &redactor);
        }
        let rest = format!("{}{secret}", "y".repeat(12 * 1024));
        for text in [rest.as_str(), &part, &part] {
            lines.take(piece(LogStream::Stdout, text), &source(), &redactor);
            assert!(lines.out.bytes.len() <= LONGEST);
        }
        let line = lines.take(piece(LogStream::Stdout, "\n"), &source(), &redactor);
        let text = line.unwrap().text;
        assert!(text.ends_with("… (the line is longer)"), "{}", text.len());
        assert!(!text.contains("hunter22"));
    }
}
