//! Runs programs in the container of a service, with a file as their input or output.

use std::collections::BTreeMap;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};

use super::blocking::Deadline;
use super::error::io;
use super::{BackupError, Progress, Work};
use crate::desired::ServiceName;
use crate::engine::model::Exec;
use crate::secret::{Redactor, Sensitive};

/// Bytes of what a program said that an error shows.
const SAID: usize = 1000;

/// Runs programs in one container.
pub(super) struct Programs<'a> {
    work: &'a Work<'a>,
    service: &'a ServiceName,
    container: &'a str,
    deadline: Deadline,
    redactor: Redactor,
}

/// One call of a program.
pub(super) struct Call<'a> {
    /// What it is for.
    pub(super) doing: &'static str,
    /// Program and arguments.
    pub(super) command: &'a [String],
    /// Its environment beside that of the container.
    pub(super) env: &'a BTreeMap<String, Sensitive>,
}

/// A stream with a count of the bytes that went through it.
pub(super) struct Metered<S> {
    stream: S,
    count: Arc<AtomicU64>,
}

impl<'a> Programs<'a> {
    /// Takes the container of the source's service.
    pub(super) fn new(
        work: &'a Work<'a>,
        service: &'a ServiceName,
        deadline: Deadline,
    ) -> Result<Self, BackupError> {
        let container = work
            .container
            .ok_or_else(|| BackupError::NoContainer(service.clone()))?;
        Ok(Self {
            work,
            service,
            container,
            deadline,
            redactor: Redactor::default(),
        })
    }

    /// Hides these values in what programs say.
    pub(super) fn hide(&self, values: impl IntoIterator<Item = Sensitive>) {
        self.redactor.learn(values);
    }

    /// Runs a program that must end with exit code 0, writing its output to `output`.
    pub(super) async fn run(
        &self,
        call: &Call<'_>,
        input: Option<Box<dyn AsyncRead + Send + Unpin>>,
        output: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<(), BackupError> {
        let exec = Exec {
            command: call.command,
            env: call.env,
            user: None,
            working_dir: None,
            privileged: false,
        };
        let running = self.work.engine.exec(self.container, &exec, input, output);
        let ended = self
            .deadline
            .bound(call.doing, async { Ok(running.await?) })
            .await?;
        if ended.code == 0 {
            return Ok(());
        }
        let said = self.redactor.clean(ended.errors.trim());
        let start = said.len().saturating_sub(SAID);
        let start = (start..said.len()).find(|at| said.is_char_boundary(*at));
        let said = start.and_then(|at| said.get(at..)).unwrap_or_default();
        Err(BackupError::Program {
            program: call.command.first().cloned().unwrap_or_default(),
            service: self.service.clone(),
            code: ended.code,
            said: said.to_owned(),
        })
    }

    /// Runs a program with the file at `path` as its input.
    pub(super) async fn feed(
        &self,
        call: &Call<'_>,
        path: &Path,
        output: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<(), BackupError> {
        let opened = async {
            let file = tokio::fs::File::open(path).await?;
            let length = file.metadata().await?.len();
            Ok((file, length))
        };
        let (file, length) = opened.await.map_err(io("open", path))?;
        let count = Arc::<AtomicU64>::default();
        let input = Metered {
            stream: file,
            count: Arc::clone(&count),
        };
        let running = self.run(call, Some(Box::new(input)), output);
        self.watch(&count, Some(length), running).await
    }

    /// Runs a program whose output goes into `file`, durably.
    pub(super) async fn write(
        &self,
        call: &Call<'_>,
        path: &Path,
        file: std::fs::File,
    ) -> Result<(), BackupError> {
        let count = Arc::<AtomicU64>::default();
        let mut output = Metered {
            stream: tokio::fs::File::from_std(file),
            count: Arc::clone(&count),
        };
        let running = self.run(call, None, &mut output);
        self.watch(&count, None, running).await?;
        let mut file = output.stream;
        let flushed = async {
            file.flush().await?;
            file.sync_all().await
        };
        flushed.await.map_err(io("write", path))
    }

    /// Tells the progress while `running` goes on.
    async fn watch<T>(
        &self,
        count: &AtomicU64,
        total: Option<u64>,
        running: impl Future<Output = T>,
    ) -> T {
        /// Often enough for a person who looks.
        const BEAT: Duration = Duration::from_millis(200);
        let tell = || {
            (self.work.progress)(Progress {
                done: count.load(Ordering::Relaxed),
                total,
            });
        };
        tokio::pin!(running);
        loop {
            tokio::select! {
                ended = &mut running => {
                    tell();
                    return ended;
                }
                () = tokio::time::sleep(BEAT) => tell(),
            }
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Metered<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = into.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, into);
        let more = into.filled().len().saturating_sub(before);
        self.count
            .fetch_add(u64::try_from(more).unwrap_or_default(), Ordering::Relaxed);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Metered<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if let Poll::Ready(Ok(length)) = written {
            let more = u64::try_from(length).unwrap_or_default();
            self.count.fetch_add(more, Ordering::Relaxed);
        }
        written
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
