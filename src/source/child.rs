//! The other side of a fetch or push: the child process that libgit2 runs in.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use rustix::process::{Resource, Rlimit, Signal};
use serde::{Deserialize, Serialize};

use super::branch;
use super::error::SourceError;
use super::helper::Given;
use super::mirror;
use super::push::{self, Push};
use super::url::Remote;

/// Longest request in bytes; it holds a few paths.
const LONGEST_REQUEST: u64 = 64 * 1024;

/// Most memory that the child may allocate, in bytes. A remote that advertises millions of refs
/// must not push the containers of this host out of memory; mapped packs don't count.
const MEMORY: u64 = 2 * 1024 * 1024 * 1024;

/// What the parent asks for. Goes through a pipe, because arguments are visible to every user.
#[derive(Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) url: String,
    pub(super) branch: String,
    pub(super) login: Login,
    /// What a credential helper gave: two lines of their own behind the request.
    #[serde(skip)]
    pub(super) given: Option<Given>,
    /// The authorities that may vouch for the remote; the parent sees to it.
    #[serde(skip)]
    pub(super) ca_file: Option<PathBuf>,
    pub(super) refs: usize,
    pub(super) received_bytes: u64,
    pub(super) objects: u64,
    pub(super) mirror: PathBuf,
    /// What to send; without it the branch is fetched.
    pub(super) push: Option<Push>,
}

/// How to log in; secrets in files are read by the child alone.
#[derive(Serialize, Deserialize)]
pub(super) enum Login {
    None,
    /// With [`Request::given`].
    Given,
    Token {
        username: String,
        token_file: PathBuf,
    },
    SshKey {
        ssh_key: PathBuf,
        known_hosts: PathBuf,
    },
}

/// Does the work of a fetching child: reads one request from `stdin`, writes the answer to
/// `stdout`. Called by `main` for the argument [`super::CHILD_ARGUMENT`], and for nothing else:
/// it limits this process, and ends it when `stdin` ends.
pub fn fetch_child(stdin: impl Read + Send + 'static, mut stdout: impl Write) -> ExitCode {
    let mut stdin = BufReader::new(stdin);
    let mut line = Vec::new();
    let request = stdin
        .by_ref()
        .take(LONGEST_REQUEST)
        .read_until(b'\n', &mut line)
        .ok()
        .and_then(|_| serde_json::from_slice::<Request>(&line).ok());
    let Some(mut request) = request else {
        return ExitCode::from(2);
    };
    if matches!(request.login, Login::Given) {
        request.given = Given::read(&mut stdin);
    }
    // Of this thread, which does the work, and of those that it starts.
    let _ = rustix::thread::set_no_new_privs(true);
    end_with_parent(stdin);
    limit(Resource::Data, MEMORY);
    let written = match &request.push {
        None => serde_json::to_writer(&mut stdout, &checked(&request, mirror::bring)),
        Some(push) => {
            let send = |request: &Request, remote: &Remote| push::send(request, remote, push);
            serde_json::to_writer(&mut stdout, &checked(&request, send))
        }
    };
    let written = written.map_err(std::io::Error::from);
    match written.and_then(|()| stdout.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn checked<T>(
    request: &Request,
    work: impl Fn(&Request, &Remote) -> Result<T, SourceError>,
) -> Result<T, SourceError> {
    let remote = Remote::parse(&request.url)?;
    branch::check(&request.branch)?;
    work(request, &remote)
}

/// Ends this process as soon as the parent is gone: the kernel then closes the pipe, even when
/// the parent was killed. A child that outlived it would write to a mirror it does not own.
fn end_with_parent(mut stdin: impl Read + Send + 'static) {
    std::thread::spawn(move || {
        let mut byte = [0];
        while matches!(stdin.read(&mut byte), Ok(1)) {}
        let _ = rustix::process::kill_process(rustix::process::getpid(), Signal::KILL);
    });
}

fn limit(resource: Resource, most: u64) {
    let now = rustix::process::getrlimit(resource);
    let most = Some(now.maximum.map_or(most, |maximum| maximum.min(most)));
    // Where the system has no such limit, the fetch works without.
    let _ = rustix::process::setrlimit(
        resource,
        Rlimit {
            current: most,
            maximum: most,
        },
    );
}
