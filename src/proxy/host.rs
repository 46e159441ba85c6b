//! The proxy that runs on the host itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::child::{CHILD_ARGUMENT, Outcome, Request};
use super::live::LiveFiles;
use super::run::{Output, Run};
use super::{ProxyError, Shape, complaint, reload_command, says_not_running, test_commands};
use crate::desired::proxy::ProxyKind;

/// The host's own proxy.
///
/// Its commands run with an empty environment: a Caddyfile with `{$NAME}` in it gets nothing for
/// the name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostProxy {
    /// Which program it is.
    pub kind: ProxyKind,
    /// How it is called: a path, or a name that is looked for in the usual directories.
    pub program: PathBuf,
    /// Its main configuration file; `None` = the program's own default.
    pub main: Option<PathBuf>,
}

/// Longest time for a test, a dump or a reload. A large nginx with slow names takes seconds.
const DEADLINE: Duration = Duration::from_secs(30);

/// Where Caddy's test would make the log files of the configuration, as root and only for root:
/// the running Caddy could not write them then.
const LOGS: &str = "/var/log";

/// What Caddy does not say: <https://github.com/caddyserver/caddy/issues/7175>.
const HALF_LOADED: &str = "; Caddy may now answer with the old and the new configuration in turn, \
    until it is restarted";

impl HostProxy {
    /// Reads what visitors can reach by the live files, which need not be what is loaded.
    ///
    /// # Errors
    /// The proxy is not installed, the live configuration is invalid, or the command did not end
    /// within 30 s.
    pub async fn dump(&self) -> Result<Shape, ProxyError> {
        // Caddy's test before it makes log files, see `LOGS`, and is not needed to look.
        let commands = test_commands(&self.program_name(), self.kind, self.main());
        let output = self
            .run(&commands.last().cloned().unwrap_or_default())
            .await?;
        if !output.status.success() {
            return Err(self.invalid(&output.stderr));
        }
        Shape::read(self.kind, &output.stdout)
    }

    /// Reads which files the live configuration is made of.
    ///
    /// # Errors
    /// Those of [`HostProxy::dump`].
    pub async fn files(&self) -> Result<LiveFiles, ProxyError> {
        let commands = test_commands(&self.program_name(), self.kind, self.main());
        let command = commands.last().cloned().unwrap_or_default();
        let output = self.run(&command).await?;
        if output.status.success() {
            let shown = String::from_utf8_lossy(&output.stdout);
            Ok(LiveFiles::read(self.kind, &shown))
        } else {
            Err(self.invalid(&output.stderr))
        }
    }

    /// Tests the live configuration with staged copies in place of some of its directories (or
    /// files), and returns what visitors could reach with it.
    ///
    /// `this_program` is this program's own executable. `staged` has the copy of each real path;
    /// see [`super::stage()`]. The live files are not touched. Addresses in use are not noticed:
    /// only [`super::prove()`] shows them.
    ///
    /// # Errors
    /// The proxy refuses the configuration; a real path does not exist; this process may not
    /// mount; it did not end within 30 s.
    pub async fn test(
        &self,
        this_program: &Path,
        staged: &BTreeMap<PathBuf, PathBuf>,
    ) -> Result<Shape, ProxyError> {
        self.test_within(this_program, staged, DEADLINE).await
    }

    /// Does what [`HostProxy::test`] does, within another limit.
    ///
    /// # Errors
    /// Those of [`HostProxy::test`].
    pub async fn test_within(
        &self,
        this_program: &Path,
        staged: &BTreeMap<PathBuf, PathBuf>,
        within: Duration,
    ) -> Result<Shape, ProxyError> {
        if let Some(path) = staged.keys().find(|path| !path.exists()) {
            return Err(ProxyError::NoDirectory { path: path.clone() });
        }
        let request = self.request(staged)?;
        let run = Run {
            program: this_program,
            arguments: &[CHILD_ARGUMENT.to_owned()],
            request: Some(&request),
            within,
        };
        let output = match run.run().await {
            Err(ProxyError::NotInstalled { program, source }) => {
                let message = format!("{program}: {source}");
                return Err(ProxyError::Child { message });
            }
            Err(ProxyError::Timeout { .. }) => {
                let command = test_commands(&self.program_name(), self.kind, self.main());
                let command = command.first().cloned().unwrap_or_default().join(" ");
                return Err(ProxyError::Timeout { command, within });
            }
            done => done?,
        };
        self.judge(&output)
    }

    /// Makes the running proxy load the live files.
    ///
    /// # Errors
    /// It is not running or not installed, or refuses the configuration. That there is no error
    /// does not mean that it is loaded: see [`super::prove()`]. Nor does an error always mean that
    /// nothing is: [`Shape::taken_in`] finds the addresses in use before.
    pub async fn reload(&self) -> Result<(), ProxyError> {
        let command = reload_command(&self.program_name(), self.kind, self.main());
        let output = self.run(&command).await?;
        if output.status.success() {
            return Ok(());
        }
        if says_not_running(self.kind, &output.stderr) {
            return Err(ProxyError::NotRunning {
                kind: self.kind,
                complaint: complaint(self.kind, &output.stderr),
            });
        }
        let mut complaint = complaint(self.kind, &output.stderr);
        if self.kind == ProxyKind::Caddy && output.stderr.contains("address already in use") {
            complaint.push_str(HALF_LOADED);
        }
        Err(ProxyError::Invalid { complaint })
    }

    fn main(&self) -> Option<&Path> {
        self.main.as_deref()
    }

    fn program_name(&self) -> String {
        self.program.to_string_lossy().into_owned()
    }

    fn invalid(&self, said: &str) -> ProxyError {
        ProxyError::Invalid {
            complaint: complaint(self.kind, said),
        }
    }

    async fn run(&self, command: &[String]) -> Result<Output, ProxyError> {
        let (program, arguments) = command.split_first().ok_or_else(|| ProxyError::Child {
            message: "there is no command".to_owned(),
        })?;
        let run = Run {
            program: Path::new(program),
            arguments,
            request: None,
            within: DEADLINE,
        };
        run.run().await
    }

    fn request(&self, staged: &BTreeMap<PathBuf, PathBuf>) -> Result<Vec<u8>, ProxyError> {
        let over = staged
            .iter()
            .map(|(real, copy)| Ok((std::path::absolute(copy)?, std::path::absolute(real)?)))
            .collect::<std::io::Result<Vec<_>>>();
        let odd = |message: String| ProxyError::Child { message };
        let request = Request {
            over: over.map_err(|error| odd(error.to_string()))?,
            hidden: match self.kind {
                ProxyKind::Nginx => Vec::new(),
                ProxyKind::Caddy => vec![PathBuf::from(LOGS)],
            },
            commands: test_commands(&self.program_name(), self.kind, self.main()),
        };
        let mut line = serde_json::to_vec(&request).map_err(|error| odd(error.to_string()))?;
        line.push(b'\n');
        Ok(line)
    }

    fn judge(&self, output: &Output) -> Result<Shape, ProxyError> {
        let said = output.stderr.trim_end();
        let (said, outcome) = said.rsplit_once('\n').unwrap_or(("", said));
        match serde_json::from_str(outcome) {
            Ok(Outcome::Passed) => Shape::read(self.kind, &output.stdout),
            Ok(Outcome::Refused) => Err(self.invalid(said)),
            Ok(Outcome::NoPrivilege { message }) => Err(ProxyError::NoPrivilege { message }),
            Ok(Outcome::Cover { path, message }) => Err(ProxyError::Cover { path, message }),
            Ok(Outcome::NotStarted { program, os_error }) => Err(ProxyError::NotInstalled {
                program,
                source: std::io::Error::from_raw_os_error(os_error),
            }),
            Ok(Outcome::Odd) => Err(ProxyError::Child {
                message: "it did not understand the request".to_owned(),
            }),
            Err(_) => Err(ProxyError::Child {
                message: format!("{}: {}", output.status, complaint(self.kind, said)),
            }),
        }
    }
}
