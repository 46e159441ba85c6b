//! The terminal of the person: whether there is one, how large it is, and every key as it is typed.

use std::io::{IsTerminal as _, Read as _};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use tokio::io::{AsyncRead, ReadBuf};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};

use crate::engine::model::TerminalSize;

/// Bytes that are read at once.
const CHUNK: usize = 8 * 1024;

/// What is typed, or comes through a pipe.
///
/// A thread of its own reads it: one that hangs in a read ends with the program, while one of the
/// runtime would be waited for.
pub(super) struct Typed {
    chunks: mpsc::Receiver<Vec<u8>>,
    rest: Vec<u8>,
    passed: usize,
}

impl Typed {
    /// Begins to read.
    pub(super) fn read() -> Self {
        let (sender, chunks) = mpsc::channel(1);
        std::thread::spawn(move || {
            let mut chunk = vec![0; CHUNK];
            let mut stdin = std::io::stdin();
            while let Ok(count) = stdin.read(&mut chunk) {
                let bytes = chunk.get(..count).unwrap_or_default().to_vec();
                if count == 0 || sender.blocking_send(bytes).is_err() {
                    break;
                }
            }
        });
        Self {
            chunks,
            rest: Vec::new(),
            passed: 0,
        }
    }
}

impl AsyncRead for Typed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.passed >= self.rest.len() {
            let next = ready!(self.chunks.poll_recv(context));
            self.rest = next.unwrap_or_default();
            self.passed = 0;
        }
        let left = self.rest.get(self.passed..).unwrap_or_default();
        let count = left.len().min(into.remaining());
        into.put_slice(left.get(..count).unwrap_or_default());
        self.passed += count;
        Poll::Ready(Ok(()))
    }
}

/// A terminal that hands on every key, `Ctrl-C` too, until this is dropped.
pub(super) struct Raw {
    before: Termios,
}

impl Raw {
    /// Takes the terminal, if input and output are one.
    ///
    /// # Errors
    /// It can't be set.
    pub(super) fn take() -> std::io::Result<Option<Self>> {
        if !is_one() {
            return Ok(None);
        }
        let stdin = std::io::stdin();
        let before = tcgetattr(&stdin)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&stdin, OptionalActions::Now, &raw)?;
        Ok(Some(Self { before }))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // The next program has it then as it is.
        let restored = tcsetattr(std::io::stdin(), OptionalActions::Now, &self.before);
        tracing::debug!(ok = restored.is_ok(), "the terminal is as it was");
    }
}

/// Returns whether a person sits there: input and output are a terminal.
pub(super) fn is_one() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// Returns how large the terminal is, and each time that this changes.
pub(super) fn size() -> watch::Receiver<TerminalSize> {
    let (sender, size) = watch::channel(now());
    if let Ok(mut changed) = signal(SignalKind::window_change()) {
        tokio::spawn(async move {
            while changed.recv().await.is_some() && sender.send(now()).is_ok() {}
        });
    }
    size
}

fn now() -> TerminalSize {
    let size = tcgetwinsize(std::io::stdout()).ok();
    let usual = |number: u16, usual| if number == 0 { usual } else { number };
    TerminalSize {
        rows: usual(size.map_or(0, |size| size.ws_row), 24),
        columns: usual(size.map_or(0, |size| size.ws_col), 80),
    }
}
