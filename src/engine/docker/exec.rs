//! Runs a command inside a container over one raw connection: what goes in and what comes out at
//! the same time.
//!
//! Two habits of the engine (moby 20.10, `daemon/monitor.go`, `container/stream`) decide how:
//!
//! - It notes the exit code before it ends the output. So output that ends while the engine says
//!   that the command runs was cut off on the way.
//! - Two seconds after the command's end it throws away what it could not pass on yet, and says
//!   nothing of it. So when the reader of the output is slow, we ask whether the command has
//!   ended, and take the rest, which is little, into memory.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::pin::Pin;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use futures_util::{Stream, StreamExt as _};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

use super::connection::{CALL_LIMIT, Docker};
use super::error;
use super::tail::Tail;
use super::write::START_LIMIT;
use crate::engine::EngineError;
use crate::engine::model::{Exec, Executed};
use crate::secret::Sensitive;

/// Bytes of standard error that are kept.
const ERRORS_KEPT: usize = 16 * 1024;

/// Bytes that are moved at once.
const CHUNK: usize = 64 * 1024;

/// Bytes of output that wait for a slow reader while the command may still be running.
const WAITING_AT_MOST: usize = 1024 * 1024;

/// Time between two questions whether the command of a slow reader has ended; there are two
/// seconds to notice it.
const BETWEEN_QUESTIONS: Duration = Duration::from_millis(300);

/// Exit codes that the engine gives a command that it could not run.
const NOT_RUN_CODES: [i64; 2] = [126, 127];

/// What the engine writes to the output of a command that it could not run.
const NOT_RUN: &str = "OCI runtime exec failed";

/// Bytes of output that are looked at for [`NOT_RUN`].
const HEAD_KEPT: usize = 1024;

/// What comes from a command.
pub(super) type Frames = Pin<Box<dyn Stream<Item = Result<LogOutput, Error>> + Send>>;

impl Docker {
    /// Runs a command in a container to its end; see [`crate::engine::WriteEngine::exec`].
    pub(super) async fn run_inside(
        &self,
        id: &str,
        exec: &Exec<'_>,
        input: Option<Box<dyn AsyncRead + Send + Unpin>>,
        output: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<Executed, EngineError> {
        // The arguments may hold what is nobody's business.
        let program = exec.command.first().map_or("nothing", String::as_str);
        let verb = format!("run {program} in");
        match self.run_unnamed(&verb, id, exec, input, output).await {
            Ok(executed) => Ok(executed),
            Err(failure) => Err(error::renamed(failure, self.doing(&verb, id).await)),
        }
    }

    async fn run_unnamed(
        &self,
        verb: &str,
        id: &str,
        exec: &Exec<'_>,
        input: Option<Box<dyn AsyncRead + Send + Unpin>>,
        output: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<Executed, EngineError> {
        let started = self.begin(verb, id, exec, input.is_some(), false);
        let Started {
            run,
            frames,
            to_program,
        } = started.await?;
        let mut out = Out::kept(output);
        let (fed, came) = run.pump(input, to_program, frames, &mut out).await?;
        let code = run.code(&came).await?;
        if code == 0 && fed == Fed::Partly {
            let cause = "the command ended before all of its input had been sent";
            return Err(self.broke(verb, cause));
        }
        let errors = came.errors.into_text();
        Ok(Executed { code, errors })
    }

    /// Starts a command, whose output and input are connected from then on.
    pub(super) async fn begin<'a>(
        &'a self,
        verb: &'a str,
        id: &str,
        exec: &Exec<'_>,
        with_input: bool,
        with_terminal: bool,
    ) -> Result<Started<'a>, EngineError> {
        let (client, id) = self.reach(verb, id).await?;
        let options = CreateExecOptions {
            tty: Some(with_terminal),
            ..options(exec, with_input)
        };
        let made = client.create_exec(id, options);
        let made = self.call(verb, CALL_LIMIT, made).await?.id;
        let options = StartExecOptions {
            tty: with_terminal,
            output_capacity: Some(CHUNK),
            ..StartExecOptions::default()
        };
        let started = client.start_exec(&made, Some(options));
        let started = self.call(verb, START_LIMIT, started).await?;
        let StartExecResults::Attached {
            output: frames,
            input: to_program,
        } = started
        else {
            return Err(self.broke(verb, "the engine ran it without its output"));
        };
        let run = Run {
            docker: self,
            verb,
            made,
            has_terminal: with_terminal,
        };
        Ok(Started {
            run,
            frames,
            to_program,
        })
    }

    pub(super) fn broke(&self, doing: &str, cause: &str) -> EngineError {
        EngineError::Unavailable {
            endpoint: self.address(),
            doing: doing.to_owned(),
            cause: cause.to_owned(),
        }
    }
}

/// Returns whether an error says that the container has no such program.
pub(super) fn says_not_run(failure: &EngineError) -> bool {
    matches!(failure, EngineError::Refused { cause, .. } if cause.contains(NOT_RUN))
}

fn options(exec: &Exec<'_>, with_input: bool) -> CreateExecOptions<String> {
    CreateExecOptions {
        attach_stdin: Some(with_input),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        env: Some(lines(exec.env)),
        cmd: Some(exec.command.to_vec()),
        user: exec.user.map(str::to_owned),
        working_dir: exec.working_dir.map(str::to_owned),
        privileged: exec.privileged.then_some(true),
        ..CreateExecOptions::default()
    }
}

fn lines(env: &BTreeMap<String, Sensitive>) -> Vec<String> {
    env.iter()
        .map(|(name, value)| format!("{name}={}", value.expose()))
        .collect()
}

fn refused(doing: &str, cause: String) -> EngineError {
    EngineError::Refused {
        doing: doing.to_owned(),
        cause,
    }
}

/// How much of the input was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fed {
    All,
    Partly,
}

/// A command that was started, and both ends of it.
pub(super) struct Started<'a> {
    pub(super) run: Run<'a>,
    pub(super) frames: Frames,
    pub(super) to_program: Pin<Box<dyn AsyncWrite + Send>>,
}

/// A command that was started.
pub(super) struct Run<'a> {
    docker: &'a Docker,
    verb: &'a str,
    /// Its id on the engine.
    made: String,
    has_terminal: bool,
}

/// Where the output of a command goes.
pub(super) struct Out<'a> {
    output: &'a mut (dyn AsyncWrite + Send + Unpin),
    /// Where its complaints go; `None` = their end is kept.
    errors: Option<&'a mut (dyn AsyncWrite + Send + Unpin)>,
}

/// Which of a command's streams something came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wrote {
    Output,
    Errors,
}

impl<'a> Out<'a> {
    /// Passes the output on, and keeps the end of the complaints.
    pub(super) fn kept(output: &'a mut (dyn AsyncWrite + Send + Unpin)) -> Self {
        let errors = None;
        Self { output, errors }
    }

    /// Passes both on as they come: somebody reads them.
    pub(super) fn live(
        output: &'a mut (dyn AsyncWrite + Send + Unpin),
        errors: &'a mut (dyn AsyncWrite + Send + Unpin),
    ) -> Self {
        let errors = Some(errors);
        Self { output, errors }
    }

    async fn write(&mut self, (from, bytes): (Wrote, &[u8])) -> io::Result<usize> {
        match (from, &mut self.errors) {
            (Wrote::Errors, Some(errors)) => errors.write(bytes).await,
            (Wrote::Output | Wrote::Errors, _) => self.output.write(bytes).await,
        }
    }

    async fn flush(&mut self) -> io::Result<()> {
        if let Some(errors) = &mut self.errors {
            errors.flush().await?;
        }
        self.output.flush().await
    }
}

impl Run<'_> {
    /// Returns its id on the engine.
    pub(super) fn made(&self) -> &str {
        &self.made
    }

    /// Returns the exit code of a command whose output has ended.
    pub(super) async fn code(&self, came: &Came) -> Result<i64, EngineError> {
        let Some(code) = self.ended().await? else {
            let cause = "the connection ended before the command did";
            return Err(self.docker.broke(self.verb, cause));
        };
        if NOT_RUN_CODES.contains(&code) && came.head.starts_with(NOT_RUN.as_bytes()) {
            let words = String::from_utf8_lossy(&came.head);
            let cause = words.split_whitespace().collect::<Vec<_>>().join(" ");
            return Err(refused(self.verb, cause));
        }
        Ok(code)
    }

    /// Moves bytes both ways until the output ends.
    pub(super) async fn pump(
        &self,
        input: Option<Box<dyn AsyncRead + Send + Unpin>>,
        mut to_program: Pin<Box<dyn AsyncWrite + Send>>,
        mut frames: Frames,
        output: &mut Out<'_>,
    ) -> Result<(Fed, Came), EngineError> {
        let feed = async {
            match input {
                Some(input) => feed(input, &mut to_program).await,
                None => Ok(Fed::All),
            }
        };
        let drain = self.drain(&mut frames, output);
        tokio::pin!(feed, drain);
        let mut sent = None;
        loop {
            tokio::select! {
                // A command that needs no more ends as soon as the last byte has been sent.
                biased;
                ended = &mut feed, if sent.is_none() => {
                    let unreadable = |failure| format!("its input can't be read: {failure}");
                    sent = Some(ended.map_err(|failure| refused(self.verb, unreadable(failure)))?);
                }
                came = &mut drain => return Ok((sent.unwrap_or(Fed::Partly), came?)),
            }
        }
    }

    /// Takes everything that the command writes.
    async fn drain(&self, frames: &mut Frames, output: &mut Out<'_>) -> Result<Came, EngineError> {
        let mut came = Came {
            passes_errors: output.errors.is_some(),
            has_terminal: self.has_terminal,
            ..Came::default()
        };
        let (mut open, mut at_most) = (true, WAITING_AT_MOST);
        loop {
            if !open && came.queue.is_empty() {
                break;
            }
            let full = open && came.waiting >= at_most;
            tokio::select! {
                frame = frames.next(), if open && !full => match frame {
                    None => open = false,
                    Some(frame) => self.take(&mut came, frame)?,
                },
                written = output.write(came.next()), if !came.queue.is_empty() => {
                    match written {
                        Ok(0) => return Err(self.unwritable("it takes no more")),
                        Ok(count) => came.pass_on(count),
                        Err(failure) => return Err(self.unwritable(&failure.to_string())),
                    }
                    if came.passes_errors && came.queue.is_empty() {
                        let flushed = output.flush().await;
                        flushed.map_err(|failure| self.unwritable(&failure.to_string()))?;
                    }
                }
                () = tokio::time::sleep(BETWEEN_QUESTIONS), if full => {
                    // Should the question fail, the next one may not.
                    if matches!(self.ended().await, Ok(Some(_))) {
                        at_most = usize::MAX;
                    }
                }
            }
        }
        let flushed = output.flush().await;
        flushed.map_err(|failure| self.unwritable(&failure.to_string()))?;
        Ok(came)
    }

    fn take(&self, came: &mut Came, frame: Result<LogOutput, Error>) -> Result<(), EngineError> {
        let broke = |cause| self.docker.broke(self.verb, cause);
        match frame {
            Ok(frame) => came.take(frame).map_err(broke),
            Err(failure) => {
                let endpoint = self.docker.address();
                Err(error::translate(&endpoint, self.verb, &failure))
            }
        }
    }

    /// Returns the exit code; `None` while the command runs.
    async fn ended(&self) -> Result<Option<i64>, EngineError> {
        let client = self.docker.client(self.verb).await?;
        let request = client.inspect_exec(&self.made);
        match self.docker.call(self.verb, CALL_LIMIT, request).await {
            Ok(shown) if shown.running == Some(true) => Ok(None),
            Ok(shown) => Ok(shown.exit_code),
            // The engine was restarted, or the container is gone: how it ended nobody knows.
            Err(EngineError::NotFound { cause, .. }) => Err(self.docker.broke(self.verb, &cause)),
            Err(failure) => Err(failure),
        }
    }

    fn unwritable(&self, cause: &str) -> EngineError {
        refused(self.verb, format!("its output can't be written: {cause}"))
    }
}

/// What has come from the command.
pub(super) struct Came {
    queue: VecDeque<(Wrote, Vec<u8>)>,
    passes_errors: bool,
    has_terminal: bool,
    /// Bytes of the first in the queue that have been passed on.
    passed: usize,
    /// Bytes in the queue.
    waiting: usize,
    errors: Tail,
    head: Vec<u8>,
}

impl Default for Came {
    fn default() -> Self {
        Self {
            queue: VecDeque::new(),
            passes_errors: false,
            has_terminal: false,
            passed: 0,
            waiting: 0,
            errors: Tail::new(ERRORS_KEPT),
            head: Vec::new(),
        }
    }
}

impl Came {
    fn take(&mut self, frame: LogOutput) -> Result<(), &'static str> {
        match frame {
            LogOutput::StdErr { message } if self.passes_errors => {
                self.push(Wrote::Errors, message.into());
            }
            LogOutput::StdErr { message } => self.errors.push(&message),
            LogOutput::StdOut { message } | LogOutput::StdIn { message } => {
                self.push(Wrote::Output, message.into());
            }
            LogOutput::Console { message } if self.has_terminal => {
                self.push(Wrote::Output, message.into());
            }
            // What is left over when the last frame is not whole.
            LogOutput::Console { .. } => {
                return Err("the connection broke in the middle of the output");
            }
        }
        Ok(())
    }

    fn push(&mut self, from: Wrote, message: Vec<u8>) {
        if from == Wrote::Output {
            let room = HEAD_KEPT.saturating_sub(self.head.len());
            self.head.extend(message.iter().take(room));
        }
        self.waiting += message.len();
        if !message.is_empty() {
            self.queue.push_back((from, message));
        }
    }

    fn next(&self) -> (Wrote, &[u8]) {
        let first = self.queue.front();
        first.map_or((Wrote::Output, &[]), |(from, part)| {
            (*from, part.get(self.passed..).unwrap_or_default())
        })
    }

    fn pass_on(&mut self, count: usize) {
        self.passed += count;
        self.waiting = self.waiting.saturating_sub(count);
        if self.next().1.is_empty() {
            self.queue.pop_front();
            self.passed = 0;
        }
    }
}

/// Sends the input, then its end. A program that takes no more is none of its errors.
async fn feed(
    mut input: Box<dyn AsyncRead + Send + Unpin>,
    to_program: &mut (impl AsyncWrite + Unpin),
) -> std::io::Result<Fed> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = input.read(&mut chunk).await?;
        let Some(bytes) = chunk.get(..read).filter(|bytes| !bytes.is_empty()) else {
            break;
        };
        if to_program.write_all(bytes).await.is_err() {
            return Ok(Fed::Partly);
        }
    }
    if to_program.flush().await.is_err() {
        return Ok(Fed::Partly);
    }
    // Fails where the program has ended by then; it has been sent everything.
    drop(to_program.shutdown().await);
    Ok(Fed::All)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_says_where_and_with_which_rights_it_runs() {
        let (command, env) = (["a".to_owned()], BTreeMap::new());
        let exec = |working_dir, privileged| Exec {
            command: &command,
            env: &env,
            user: None,
            working_dir,
            privileged,
        };
        let written = options(&exec(Some("/w"), true), false);
        assert_eq!(written.working_dir.as_deref(), Some("/w"));
        assert_eq!(written.privileged, Some(true));
        let written = options(&exec(None, false), false);
        assert_eq!((written.working_dir, written.privileged), (None, None));
    }
}
