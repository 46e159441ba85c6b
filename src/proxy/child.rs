//! The child process that tests a configuration with staged files in place of the live ones.
//!
//! It has a mount namespace of its own, in which each staged directory is mounted over the real
//! one; then it runs the proxy's own test. So the live include tree is there, paths are the real
//! ones, and nothing that lives is touched. A namespace is given to a whole process, and a
//! runtime with its threads can't change it; therefore the program starts itself again, with the
//! hidden argument [`CHILD_ARGUMENT`] and a request on stdin.

use std::io::{BufRead as _, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use rustix::process::Signal;
use serde::{Deserialize, Serialize};

/// The hidden argument that makes the program a testing child; see [`test_child`].
pub const CHILD_ARGUMENT: &str = "__test-proxy";

/// Longest request in bytes; it holds paths.
const LONGEST_REQUEST: u64 = 1024 * 1024;

/// What the parent asks for.
#[derive(Serialize, Deserialize)]
pub(super) struct Request {
    /// Staged copies, each with the real path that it stands for, outer ones first.
    pub(super) over: Vec<(PathBuf, PathBuf)>,
    /// Directories that are empty for the test, so that what it writes there is gone with it.
    pub(super) hidden: Vec<PathBuf>,
    /// Argument lists; the stdout of the last one is the child's.
    pub(super) commands: Vec<Vec<String>>,
}

/// What came of it: the last line of the child's stderr, after what the commands wrote there.
#[derive(Serialize, Deserialize)]
pub(super) enum Outcome {
    /// All commands ended with status 0.
    Passed,
    /// One did not.
    Refused,
    /// The namespace was refused.
    NoPrivilege { message: String },
    /// A path can't be covered.
    Cover { path: PathBuf, message: String },
    /// A command can't be started.
    NotStarted { program: String, os_error: i32 },
    /// The request makes no sense.
    Odd,
}

/// Does the work of a testing child: reads one request from `stdin`, runs its commands, and ends
/// with a line on `stderr` that says what came of it. Called by `main` for the argument
/// [`CHILD_ARGUMENT`], and for nothing else: it changes the file system that this process sees,
/// and ends its process group when `stdin` ends.
pub fn test_child(stdin: impl Read + Send + 'static, mut stderr: impl Write) {
    let mut stdin = BufReader::new(stdin);
    let outcome = match read(&mut stdin) {
        Some(request) => match cover(&request) {
            Ok(()) => {
                end_with_parent(stdin);
                run(&request.commands)
            }
            Err(outcome) => outcome,
        },
        None => Outcome::Odd,
    };
    if let Ok(line) = serde_json::to_string(&outcome) {
        // Without its parent nobody is left to tell.
        drop(writeln!(stderr, "\n{line}"));
    }
}

fn read(stdin: &mut BufReader<impl Read>) -> Option<Request> {
    let mut line = Vec::new();
    let mut bounded = stdin.by_ref().take(LONGEST_REQUEST);
    bounded.read_until(b'\n', &mut line).ok()?;
    serde_json::from_slice(&line).ok()
}

/// Gives this process its own view of the file system. No thread may have been started yet.
fn cover(request: &Request) -> Result<(), Outcome> {
    let refused = |error: nix::Error| Outcome::NoPrivilege {
        message: error.desc().to_owned(),
    };
    let none = None::<&Path>;
    unshare(CloneFlags::CLONE_NEWNS).map_err(refused)?;
    // Otherwise what is mounted here would show on the host.
    let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
    mount(none, "/", none, private, none).map_err(refused)?;
    let failed = |path: &Path, error: nix::Error| Outcome::Cover {
        path: path.to_owned(),
        message: error.desc().to_owned(),
    };
    for (staged, real) in &request.over {
        mount(
            Some(staged.as_path()),
            real.as_path(),
            none,
            MsFlags::MS_BIND,
            none,
        )
        .map_err(|error| failed(real, error))?;
    }
    for path in request.hidden.iter().filter(|path| path.is_dir()) {
        let flags = MsFlags::MS_NODEV | MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
        mount(
            Some("none"),
            path.as_path(),
            Some("tmpfs"),
            flags,
            Some("size=16m"),
        )
        .map_err(|error| failed(path, error))?;
    }
    Ok(())
}

fn run(commands: &[Vec<String>]) -> Outcome {
    for (index, command) in commands.iter().enumerate() {
        let Some((program, arguments)) = command.split_first() else {
            return Outcome::Odd;
        };
        let last = index + 1 == commands.len();
        let status = Command::new(program)
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(if last {
                Stdio::inherit()
            } else {
                Stdio::null()
            })
            .status();
        match status {
            Ok(status) if status.success() => {}
            Ok(_) => return Outcome::Refused,
            Err(error) => {
                return Outcome::NotStarted {
                    program: program.clone(),
                    os_error: error.raw_os_error().unwrap_or_default(),
                };
            }
        }
    }
    Outcome::Passed
}

/// Ends this process and what it started as soon as the parent is gone: the kernel then closes
/// the pipe, even when the parent was killed.
fn end_with_parent(mut stdin: impl Read + Send + 'static) {
    std::thread::spawn(move || {
        let mut byte = [0];
        while matches!(stdin.read(&mut byte), Ok(1)) {}
        let own = rustix::process::getpid();
        // By hand it may be in the group of a shell.
        let _ = if rustix::process::getpgrp() == own {
            rustix::process::kill_process_group(own, Signal::KILL)
        } else {
            rustix::process::kill_process(own, Signal::KILL)
        };
    });
}
