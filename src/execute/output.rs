//! Keeps the end of what a program writes.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::AsyncWrite;

/// The end of an output: at most twice [`KEPT`] bytes of it.
#[derive(Default)]
pub(super) struct End(Vec<u8>);

impl End {
    /// Returns what was kept.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

/// More than the last line of anything that is meant for people.
const KEPT: usize = 4 * 1024;

impl AsyncWrite for End {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        // However much there is at once: only its end is kept.
        let end = bytes.len().saturating_sub(KEPT);
        self.0.extend(bytes.iter().skip(end));
        let surplus = self.0.len().saturating_sub(KEPT);
        self.0.drain(..surplus);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
