//! What a container has written, and a person who talks to a command inside one.

use jiff::Timestamp;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

/// Which part of a container's log is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogWish {
    /// The last so many lines; `None` = all of them.
    pub tail: Option<usize>,
    /// Nothing from before this second since 1970.
    pub since: Option<i64>,
    /// Whether what is written from now on comes too, until the container stops.
    pub follow: bool,
}

/// A line of a log, or a part of a long one: the engine hands on at most 16 KiB at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPiece {
    /// Which of its streams it was written to.
    pub stream: LogStream,
    /// When the engine got it, where the logging driver says so.
    pub at: Option<Timestamp>,
    /// What was written, with its line feed where the line ends here.
    pub bytes: Vec<u8>,
}

/// The streams that a container writes to. One with a terminal has the first alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogStream {
    /// Its standard output.
    Stdout,
    /// Its standard error.
    Stderr,
}

/// The ends of a conversation with a command.
pub struct Ends<'a> {
    /// What the command reads. It need not read all of it.
    pub input: Box<dyn AsyncRead + Send + Unpin>,
    /// Where its standard output goes; with a terminal everything that it writes.
    pub output: &'a mut (dyn AsyncWrite + Send + Unpin),
    /// Where its standard error goes.
    pub errors: &'a mut (dyn AsyncWrite + Send + Unpin),
    /// The terminal that it gets, as large as this says now and later; `None` = it gets none.
    pub terminal: Option<watch::Receiver<TerminalSize>>,
}

/// How large a terminal is, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TerminalSize {
    /// Lines.
    pub rows: u16,
    /// Characters a line.
    pub columns: u16,
}
