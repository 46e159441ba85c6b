//! Brings the remote's branch into the mirror, in a child process that can be killed.
//!
//! libgit2 has time limits for single reads only: a server that sends one byte a second holds
//! it for ever, and a thread can't be ended. Therefore the program starts itself again with the
//! hidden argument [`CHILD_ARGUMENT`], hands over a request on stdin and kills the child when
//! the whole operation takes too long, or when nobody waits for it any more.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::Instant;

use super::branch;
use super::child::{Login, Request};
use super::error::SourceError;
use super::revision::Revision;
use super::url::Remote;
use super::{helper, mirror};
use crate::config::{self, Auth};

/// The hidden argument that makes the program a fetching child; see [`super::fetch_child`].
pub const CHILD_ARGUMENT: &str = "__fetch";

/// Longest time for a whole fetch. A quiet look takes milliseconds and the first clone of a
/// state repository seconds; two minutes leave room for a slow line and still end a server that
/// hangs before anybody wonders why nothing is deployed.
const DEADLINE: Duration = Duration::from_secs(120);

/// Most bytes that one fetch may receive: a hundred times a large state repository.
const RECEIVED_BYTES: u64 = 1024 * 1024 * 1024;

/// Most objects that one fetch may receive: as [`RECEIVED_BYTES`], for many tiny objects.
const OBJECTS: u64 = 2_000_000;

/// Most refs: a forge has one for each pull request as well, a state repository thousands.
const REFS: usize = 100_000;

/// Longest answer, or complaint, that is read from the child, in bytes.
const LONGEST_ANSWER: u64 = 64 * 1024;

/// What a fetch brought.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchAnswer {
    /// The branch's newest commit; the mirror has it with its full history.
    pub revision: Revision,
    /// Whether history was rewritten: the commit does not descend from the one that the mirror
    /// had for this branch before. False when the mirror had none: at the first fetch, and after
    /// damage to it. [`super::descends_from`] compares with what was released.
    pub rewound: bool,
}

/// What one fetch may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Longest time for the whole operation.
    pub deadline: Duration,
    /// Most bytes to receive.
    pub received_bytes: u64,
    /// Most objects to receive.
    pub objects: u64,
    /// Most refs that the remote may advertise.
    pub refs: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            deadline: DEADLINE,
            received_bytes: RECEIVED_BYTES,
            objects: OBJECTS,
            refs: REFS,
        }
    }
}

/// Brings the newest commit of the configured branch into `mirror` and returns it.
///
/// `program` is this program's own executable. The caller must be the only one who works on
/// `mirror`: what another fetch left locked is unlocked. An unchanged branch costs one look at
/// the remote's refs. A damaged mirror is moved aside and cloned afresh.
pub async fn fetch(
    repository: &config::Repository,
    mirror: &Path,
    program: &Path,
) -> Result<FetchAnswer, SourceError> {
    fetch_within(repository, mirror, program, &Limits::default()).await
}

/// Does what [`fetch`] does, within other limits.
pub async fn fetch_within(
    repository: &config::Repository,
    mirror: &Path,
    program: &Path,
    limits: &Limits,
) -> Result<FetchAnswer, SourceError> {
    let remote = Remote::parse(&repository.url)?;
    let request = request(repository, mirror, limits)?;
    let begun = Instant::now();
    if let Remote::Local(local) = &remote
        && let Some(revision) = unmoved(&request, local, limits.deadline).await?
    {
        let rewound = false;
        return Ok(FetchAnswer { revision, rewound });
    }
    let left = limits.deadline.saturating_sub(begun.elapsed());
    ask(request, (&repository.auth, &remote), program, left).await
}

/// Looks whether anything has to be fetched from a repository on this host, within a deadline: its
/// file system may be one of another machine, and hang.
async fn unmoved(
    request: &Request,
    remote: &Path,
    deadline: Duration,
) -> Result<Option<Revision>, SourceError> {
    let url = request.url.clone();
    let (mirror, branch) = (request.mirror.clone(), request.branch.clone());
    let remote = remote.to_owned();
    let look = tokio::task::spawn_blocking(move || mirror::unmoved(&mirror, &branch, &remote));
    let found = tokio::time::timeout(deadline, look).await;
    let found = found.map_err(|_| SourceError::TimedOut {
        url,
        seconds: deadline.as_secs(),
    })?;
    // What could not be looked at is for the child to tell.
    Ok(found.ok().flatten())
}

/// Makes the request for the child that does a fetch.
pub(super) fn request(
    repository: &config::Repository,
    mirror: &Path,
    limits: &Limits,
) -> Result<Request, SourceError> {
    branch::check(&repository.branch)?;
    let mirror = std::path::absolute(mirror).map_err(|e| SourceError::Mirror {
        path: mirror.to_owned(),
        message: e.to_string(),
    })?;
    Ok(Request {
        url: repository.url.clone(),
        branch: repository.branch.clone(),
        login: login(&repository.auth),
        given: None,
        ca_file: repository.ca_file.clone(),
        refs: limits.refs,
        received_bytes: limits.received_bytes,
        objects: limits.objects,
        mirror,
        push: None,
    })
}

/// Lets a child do what the request says, with what a credential helper gives, and ends both at
/// the deadline.
pub(super) async fn ask<T: DeserializeOwned>(
    mut request: Request,
    (auth, remote): (&Auth, &Remote),
    program: &Path,
    deadline: Duration,
) -> Result<T, SourceError> {
    let begun = Instant::now();
    request.given = helper::ask(auth, remote, deadline).await?;
    if request.given.is_some() {
        request.login = Login::Given;
    }
    let left = deadline.saturating_sub(begun.elapsed());
    let url = remote.to_string();
    let failed = |message: String| SourceError::Child {
        url: url.clone(),
        message,
    };
    let mut line = serde_json::to_vec(&request).map_err(|e| failed(e.to_string()))?;
    line.push(b'\n');
    let mut line = zeroize::Zeroizing::new(line);
    if let Some(given) = &request.given {
        given.write(&mut line);
    }
    let mut child = command(program, &request, remote)?
        .spawn()
        .map_err(|e| failed(format!("{}: {e}", program.display())))?;
    let Ok(talk) = tokio::time::timeout(left, converse(&mut child, &line)).await else {
        // Waits for the end of a process that can't refuse it: nobody else may touch the mirror
        // while it lives.
        drop(child.kill().await);
        let seconds = deadline.as_secs();
        return Err(SourceError::TimedOut { url, seconds });
    };
    let said = talk.map_err(|e| failed(e.to_string()))?;
    serde_json::from_slice(&said.answer).unwrap_or_else(|_| {
        let complaint = String::from_utf8_lossy(&said.complaint);
        let last = complaint.lines().rfind(|line| !line.trim().is_empty());
        let last = crate::secret::escape_control(last.unwrap_or("no answer"));
        Err(failed(format!("{}: {last}", said.status)))
    })
}

/// Returns the home directory of the child: beside the mirror and its own, so that no
/// configuration of a user has a say.
pub(super) fn home_of(mirror: &Path) -> PathBuf {
    beside(mirror, ".home")
}

/// Returns the path that has `suffix` behind the last component of `mirror`.
pub(super) fn beside(mirror: &Path, suffix: &str) -> PathBuf {
    let mut path = OsString::from(mirror);
    path.push(suffix);
    PathBuf::from(path)
}

fn login(auth: &Auth) -> Login {
    match auth {
        // The helper may have nothing to say.
        Auth::None | Auth::Helper { .. } => Login::None,
        Auth::Token {
            username,
            token_file,
        } => Login::Token {
            username: username.clone(),
            token_file: token_file.clone(),
        },
        Auth::SshKey {
            ssh_key,
            known_hosts,
        } => Login::SshKey {
            ssh_key: ssh_key.clone(),
            known_hosts: known_hosts.clone(),
        },
    }
}

fn command(program: &Path, request: &Request, remote: &Remote) -> Result<Command, SourceError> {
    let home = home_of(&request.mirror);
    let mut command = Command::new(program);
    // An empty environment: no proxy, no GIT_ variable, no PATH to find another program in.
    command
        .arg(CHILD_ARGUMENT)
        .env_clear()
        .env("HOME", &home)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    if !remote.uses_tls() {
        // Where a host keeps its certificates in one file, libgit2 reads it at its start whatever
        // the address: 20 ms measured.
        command.env("SSL_CERT_FILE", "/dev/null");
    } else if let Some(authorities) = &request.ca_file {
        check_authorities(authorities)?;
        // The only way to tell libgit2 without unsafe code. Its home has none: without a directory
        // the host's would count too.
        command
            .env("SSL_CERT_FILE", authorities)
            .env("SSL_CERT_DIR", &home);
    }
    Ok(command)
}

/// Says early what OpenSSL would pass over in silence: a file without certificates.
fn check_authorities(path: &Path) -> Result<(), SourceError> {
    /// Longest file in bytes: the authorities of a whole system have a quarter of it.
    const LONGEST: u64 = 1024 * 1024;
    let mut text = Vec::new();
    let read = File::open(path).and_then(|file| file.take(LONGEST).read_to_end(&mut text));
    let begins = b"-----BEGIN CERTIFICATE-----";
    let found = text.windows(begins.len()).any(|part| part == begins);
    let message = match read {
        Ok(_) if found => return Ok(()),
        Ok(_) => "there is no certificate (PEM) in it".to_owned(),
        Err(error) => error.to_string(),
    };
    Err(SourceError::AuthFile {
        what: "the file of authorities".to_owned(),
        path: path.to_owned(),
        message,
    })
}

struct Said {
    answer: Vec<u8>,
    complaint: Vec<u8>,
    status: std::process::ExitStatus,
}

async fn converse(child: &mut Child, request: &[u8]) -> std::io::Result<Said> {
    let (Some(mut stdin), Some(stdout), Some(stderr)) =
        (child.stdin.take(), child.stdout.take(), child.stderr.take())
    else {
        return Err(std::io::Error::other("its pipes are missing"));
    };
    // A child that died early has its reason on stderr, not in this broken pipe.
    drop(stdin.write_all(request).await);
    let (mut answer, mut complaint) = (Vec::new(), Vec::new());
    let (mut stdout, mut stderr) = (stdout.take(LONGEST_ANSWER), stderr.take(LONGEST_ANSWER));
    tokio::try_join!(
        stdout.read_to_end(&mut answer),
        stderr.read_to_end(&mut complaint)
    )?;
    let status = child.wait().await?;
    // Only now: the child takes the end of its stdin for the end of its parent.
    drop(stdin);
    Ok(Said {
        answer,
        complaint,
        status,
    })
}
