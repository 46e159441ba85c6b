//! Runs one command with a deadline and bounded output.

use std::ffi::OsStr;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::{Child, Command};

use super::ProxyError;

/// A command to run.
pub(super) struct Run<'a> {
    pub(super) program: &'a Path,
    pub(super) arguments: &'a [String],
    /// What it reads first; its stdin then stays open until it has ended.
    pub(super) request: Option<&'a [u8]>,
    pub(super) within: Duration,
}

/// What came of it.
pub(super) struct Output {
    pub(super) status: ExitStatus,
    pub(super) stdout: Vec<u8>,
    /// The last 64 KiB.
    pub(super) stderr: String,
}

/// Most bytes that are read of stdout.
const MOST_STDOUT: usize = 4 * 1024 * 1024;

/// Most bytes that are kept of stderr: the end of it, where the cause stands.
const MOST_STDERR: usize = 64 * 1024;

/// Where programs are looked for. The caller's own variable has no say.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

impl Run<'_> {
    /// Runs the command, in a process group of its own that ends with this future.
    ///
    /// The environment is empty but for `PATH` and a home that is thrown away afterwards.
    pub(super) async fn run(&self) -> Result<Output, ProxyError> {
        let home = tempfile::tempdir().map_err(|error| self.failed(&error))?;
        let mut child = self.command(home.path()).spawn().map_err(|source| {
            let program = self.program.display().to_string();
            ProxyError::NotInstalled { program, source }
        })?;
        let group = Group::of(&child);
        match tokio::time::timeout(self.within, self.converse(&mut child)).await {
            Ok(Ok(output)) => {
                group.ended();
                Ok(output)
            }
            Ok(Err(error)) => {
                drop(group);
                drop(child.wait().await);
                Err(error)
            }
            Err(_) => {
                drop(group);
                // Nobody can refuse this end: what is staged for the test is removed after it.
                drop(child.wait().await);
                Err(ProxyError::Timeout {
                    command: self.shown(),
                    within: self.within,
                })
            }
        }
    }

    fn command(&self, home: &Path) -> Command {
        let mut command = Command::new(self.program);
        command
            .args(self.arguments)
            .env_clear()
            .env("PATH", PATH)
            .stdin(match self.request {
                Some(_) => Stdio::piped(),
                None => Stdio::null(),
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        for name in ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"] {
            command.env(name, home);
        }
        command
    }

    async fn converse(&self, child: &mut Child) -> Result<Output, ProxyError> {
        let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(self.failed(&io::Error::other("its pipes are missing")));
        };
        let mut stdin = child.stdin.take();
        if let (Some(stdin), Some(request)) = (&mut stdin, self.request) {
            // One that died early has its reason on stderr, not in this broken pipe.
            drop(stdin.write_all(request).await);
        }
        let (stdout, stderr) = tokio::try_join!(self.whole(stdout), async {
            last(stderr).await.map_err(|error| self.failed(&error))
        })?;
        let status = child.wait().await.map_err(|error| self.failed(&error))?;
        drop(stdin);
        Ok(Output {
            status,
            stdout,
            stderr,
        })
    }

    async fn whole(&self, from: impl AsyncRead + Unpin) -> Result<Vec<u8>, ProxyError> {
        let mut bytes = Vec::new();
        let most = u64::try_from(MOST_STDOUT).unwrap_or(u64::MAX);
        from.take(most.saturating_add(1))
            .read_to_end(&mut bytes)
            .await
            .map_err(|error| self.failed(&error))?;
        if bytes.len() > MOST_STDOUT {
            return Err(ProxyError::TooMuch {
                command: self.shown(),
                limit: MOST_STDOUT,
            });
        }
        Ok(bytes)
    }

    fn failed(&self, error: &io::Error) -> ProxyError {
        ProxyError::Child {
            message: format!("`{}`: {error}", self.shown()),
        }
    }

    fn shown(&self) -> String {
        let program = self.program.file_name().unwrap_or(OsStr::new("?"));
        let mut words = vec![program.to_string_lossy().into_owned()];
        words.extend(self.arguments.iter().cloned());
        words.join(" ")
    }
}

async fn last(mut from: impl AsyncRead + Unpin) -> io::Result<String> {
    let mut kept = Vec::new();
    loop {
        if from.read_buf(&mut kept).await? == 0 {
            break;
        }
        if kept.len() > 2 * MOST_STDERR {
            kept.drain(..kept.len() - MOST_STDERR);
        }
    }
    let start = kept.len().saturating_sub(MOST_STDERR);
    let kept = kept.get(start..).unwrap_or_default();
    Ok(String::from_utf8_lossy(kept).into_owned())
}

/// The process group of a child: it ends with this value.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }

    /// Forgets the group: its leader is gone, and the number may soon be another's.
    fn ended(mut self) {
        self.0 = None;
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(id) = self.0 {
            let _ = rustix::process::kill_process_group(id, Signal::KILL);
        }
    }
}
