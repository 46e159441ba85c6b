//! One conversation with the remote.

use std::cell::Cell;
use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::Path;
use std::rc::Rc;

use git2::cert::Cert;
use git2::{
    AutotagOption, CertificateCheckStatus, Direction, ErrorClass, ErrorCode, FetchOptions, Oid,
    PushOptions, RemoteCallbacks, RemoteConnection, RemoteRedirect, Repository,
};

use super::branch;
use super::child::{Login, Request};
use super::credentials::Credentials;
use super::error::SourceError;
use super::fetch::home_of;
use super::known_hosts;
use super::url::Remote;

/// Most branches that are named when the right one is missing.
const MOST_LISTED: usize = 10;

/// Longest message that is handed on, in characters.
const LONGEST_MESSAGE: usize = 300;

/// A connection whose refs were read.
pub(super) struct Connection<'r, 'c> {
    guard: RemoteConnection<'r, 'c, 'static>,
    request: &'c Request,
    address: &'c Remote,
    seen: Rc<Seen>,
    talk: Talk,
}

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Talk {
    Fetch,
    Push,
}

/// What callbacks saw; libgit2 hands on only its own words.
#[derive(Default)]
struct Seen {
    host_key: Cell<Option<String>>,
    limit: Cell<Option<String>>,
    /// What the remote said to the push: nothing so far, done, or why not.
    push: Cell<Option<Result<(), String>>>,
}

/// Why objects did not arrive.
pub(super) enum FetchError {
    /// The remote's fault.
    Source(SourceError),
    /// Perhaps the mirror's fault.
    Mirror(git2::Error),
}

/// Makes the child's home directory: empty but for what libgit2 reads from nowhere else.
pub(super) fn prepare_home(request: &Request, remote: &Remote) -> Result<(), SourceError> {
    let home = home_of(&request.mirror);
    let made = match fs::remove_dir_all(&home) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e),
        Ok(()) | Err(_) => fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&home),
    };
    made.map_err(|e| SourceError::Mirror {
        path: home.clone(),
        message: e.to_string(),
    })?;
    match (remote, &request.login) {
        (Remote::Ssh { address, .. }, Login::SshKey { known_hosts, .. }) => {
            known_hosts::pin(known_hosts, &home, address)
        }
        (Remote::Ssh { .. }, Login::None | Login::Given | Login::Token { .. }) => {
            Err(SourceError::AuthFailed {
                url: remote.to_string(),
                message: "ssh needs ssh_key and known_hosts in the auth settings".to_owned(),
            })
        }
        (Remote::Local(path), _) => trust(path, &home).map_err(|e| SourceError::Mirror {
            path: home.clone(),
            message: e.message().to_owned(),
        }),
        (Remote::Http(_), _) => Ok(()),
    }
}

/// Lets libgit2 open a local repository that belongs to somebody else.
///
/// It refuses those because a repository's configuration can name programs to run. Reading refs
/// and objects runs none, and the host's settings name this very path. So exactly this path is
/// made a `safe.directory`, for this child alone; the check itself stays on.
fn trust(path: &Path, home: &Path) -> Result<(), git2::Error> {
    let own = rustix::process::geteuid().as_raw();
    let belongs_to_us = |path: &Path| fs::metadata(path).is_ok_and(|meta| meta.uid() == own);
    let git = path.join(".git");
    if belongs_to_us(path) && (!git.exists() || belongs_to_us(&git)) {
        return Ok(());
    }
    let Ok(real) = path.canonicalize() else {
        // It does not exist; connecting says so better.
        return Ok(());
    };
    let mut config = git2::Config::open(&home.join(".gitconfig"))?;
    let work_tree = real.parent().filter(|_| real.ends_with(".git"));
    for path in [Some(real.as_path()), work_tree].into_iter().flatten() {
        if let Some(path) = path.to_str() {
            config.set_multivar("safe.directory", "^$", path)?;
        }
    }
    Ok(())
}

/// Makes the remote of an address; nothing is connected yet.
pub(super) fn remote<'r>(
    repository: &'r Repository,
    address: &Remote,
) -> Result<git2::Remote<'r>, SourceError> {
    repository
        .remote_anonymous(&address.for_libgit2())
        .map_err(|e| SourceError::Unreachable {
            url: address.to_string(),
            message: e.message().to_owned(),
        })
}

impl<'r, 'c> Connection<'r, 'c> {
    /// Connects and reads the remote's refs.
    pub(super) fn open(
        remote: &'c mut git2::Remote<'r>,
        request: &'c Request,
        address: &'c Remote,
        talk: Talk,
    ) -> Result<Self, SourceError> {
        let seen = Rc::new(Seen::default());
        let credentials = Credentials::new(request, address)?;
        let callbacks = callbacks(&seen, credentials, request);
        let direction = match talk {
            Talk::Fetch => Direction::Fetch,
            Talk::Push => Direction::Push,
        };
        let guard = remote
            .connect_auth(direction, Some(callbacks), None)
            .map_err(|e| explain(&e, (address, talk), &seen, &request.login))?;
        Ok(Self {
            guard,
            request,
            address,
            seen,
            talk,
        })
    }

    /// Returns the commit that the remote advertises for a branch.
    pub(super) fn find_branch(&self, branch: &str) -> Result<Oid, SourceError> {
        let url = || self.address.to_string();
        let refs = self.guard.list().map_err(|e| self.explain(&e))?;
        if refs.is_empty() {
            return Err(SourceError::EmptyRepository { url: url() });
        }
        if refs.len() > self.request.refs {
            let limit = format!("{} refs", self.request.refs);
            return Err(SourceError::TooLarge { url: url(), limit });
        }
        let name = branch::reference(branch);
        if let Some(head) = refs.iter().find(|head| head.name() == name) {
            return Ok(head.oid());
        }
        let mut available: Vec<String> = refs
            .iter()
            .filter_map(|head| head.name().strip_prefix("refs/heads/"))
            .map(crate::secret::escape_control)
            .collect();
        available.sort();
        available.truncate(MOST_LISTED);
        Err(SourceError::BranchMissing {
            url: url(),
            branch: branch.to_owned(),
            available,
        })
    }

    /// Fetches one refspec with its full history, and ends the connection.
    pub(super) fn fetch(mut self, refspec: &str) -> Result<(), FetchError> {
        let credentials =
            Credentials::new(self.request, self.address).map_err(FetchError::Source)?;
        let mut options = FetchOptions::new();
        options
            .remote_callbacks(callbacks(&self.seen, credentials, self.request))
            .download_tags(AutotagOption::None)
            .update_fetchhead(false)
            .follow_redirects(RemoteRedirect::None);
        let fetched = self
            .guard
            .remote()
            .fetch(&[refspec], Some(&mut options), None);
        let Err(error) = fetched else { return Ok(()) };
        if let Some(limit) = self.seen.limit.take() {
            let url = self.address.to_string();
            return Err(FetchError::Source(SourceError::TooLarge { url, limit }));
        }
        if is_conversation(&error) {
            Err(FetchError::Source(self.explain(&error)))
        } else {
            Err(FetchError::Mirror(error))
        }
    }

    /// Pushes one refspec, and ends the connection.
    pub(super) fn push(mut self, refspec: &str) -> Result<(), SourceError> {
        let credentials = Credentials::new(self.request, self.address)?;
        let mut callbacks = callbacks(&self.seen, credentials, self.request);
        let seen = Rc::clone(&self.seen);
        callbacks.push_update_reference(move |_, refusal| {
            seen.push
                .set(Some(refusal.map_or(Ok(()), |words| Err(one_line(words)))));
            Ok(())
        });
        let mut options = PushOptions::new();
        options
            .remote_callbacks(callbacks)
            .packbuilder_parallelism(1)
            .follow_redirects(RemoteRedirect::None);
        let pushed = self.guard.remote().push(&[refspec], Some(&mut options));
        let url = self.address.to_string();
        match (pushed, self.seen.push.take()) {
            (Ok(()), Some(Ok(()))) => Ok(()),
            (_, Some(Err(message))) if is_about_others(&message) => Err(self.outrun()),
            (_, Some(Err(message))) => Err(SourceError::PushRefused { url, message }),
            (Ok(()), None) => {
                let message = "it did not say what became of it".to_owned();
                Err(SourceError::PushRefused { url, message })
            }
            (Err(error), _) if error.code() == ErrorCode::NotFastForward => Err(self.outrun()),
            (Err(error), _) => Err(self.explain(&error)),
        }
    }

    fn outrun(&self) -> SourceError {
        SourceError::Outrun {
            url: self.address.to_string(),
            branch: self.request.branch.clone(),
        }
    }

    fn explain(&self, error: &git2::Error) -> SourceError {
        let about = (self.address, self.talk);
        explain(error, about, &self.seen, &self.request.login)
    }
}

fn callbacks<'cb>(
    seen: &Rc<Seen>,
    mut credentials: Credentials,
    request: &Request,
) -> RemoteCallbacks<'cb> {
    let mut callbacks = RemoteCallbacks::new();
    callbacks.credentials(move |url, user, allowed| credentials.answer(url, user, allowed));
    let noted = Rc::clone(seen);
    callbacks.certificate_check(move |certificate: &Cert<'_>, _| {
        if let Some(key) = certificate.as_hostkey() {
            noted.host_key.replace(known_hosts::fingerprint(key));
        }
        // libgit2's own verdict counts: OpenSSL's for TLS, and for ssh libssh2's on the pinned
        // keys, the only ones in the child's home.
        Ok(CertificateCheckStatus::CertificatePassthrough)
    });
    let noted = Rc::clone(seen);
    let (most_bytes, most_objects) = (request.received_bytes, request.objects);
    callbacks.transfer_progress(move |progress| {
        let bytes = u64::try_from(progress.received_bytes()).unwrap_or(u64::MAX);
        let objects = u64::try_from(progress.total_objects()).unwrap_or(u64::MAX);
        let limit = if bytes > most_bytes {
            format!("{most_bytes} bytes")
        } else if objects > most_objects {
            format!("{most_objects} objects")
        } else {
            return true;
        };
        noted.limit.set(Some(limit));
        false
    });
    callbacks
}

/// Returns whether an error during a fetch is about talking to the remote, as opposed to
/// storing what it sent.
#[expect(clippy::wildcard_enum_match_arm, reason = "foreign enum")]
fn is_conversation(error: &git2::Error) -> bool {
    match error.class() {
        ErrorClass::Net
        | ErrorClass::Http
        | ErrorClass::Ssh
        | ErrorClass::Ssl
        | ErrorClass::Callback => true,
        _ => matches!(error.code(), ErrorCode::Auth | ErrorCode::Certificate),
    }
}

/// Returns whether a remote refuses a branch because it is not where it was: Git's words for it.
fn is_about_others(refusal: &str) -> bool {
    [
        "non-fast-forward",
        "fetch first",
        "failed to update ref",
        "lock ref",
        "stale info",
    ]
    .iter()
    .any(|words| refusal.contains(words))
}

/// Returns libgit2's message, which may quote the remote, as one line of bounded length.
pub(super) fn words(error: &git2::Error) -> String {
    one_line(error.message())
}

fn one_line(text: &str) -> String {
    let lines: Vec<&str> = text.split_whitespace().collect();
    let line: String = lines.join(" ").chars().take(LONGEST_MESSAGE).collect();
    crate::secret::escape_control(&line)
}

/// Says what an error of libgit2 means. Its codes tell little; what its HTTP client knows about
/// a status is in the text alone.
///
/// A push comes after a fetch: what is not allowed then is not allowed to this login.
fn explain(
    error: &git2::Error,
    (address, talk): (&Remote, Talk),
    seen: &Seen,
    login: &Login,
) -> SourceError {
    let said = why(error, address, seen, login);
    if talk == Talk::Fetch {
        return said;
    }
    // Over ssh the forges say why they hang up.
    let hung_up = error.class() == ErrorClass::Ssh;
    let refusal = if let SourceError::AuthFailed { url, message }
    | SourceError::NotARepository { url, message } = &said
    {
        Some((url, message))
    } else if let (SourceError::Unreachable { url, message }, true) = (&said, hung_up) {
        Some((url, message))
    } else {
        None
    };
    let refusal = refusal.map(|(url, message)| SourceError::PushRefused {
        url: url.clone(),
        message: message.clone(),
    });
    refusal.unwrap_or(said)
}

fn why(error: &git2::Error, address: &Remote, seen: &Seen, login: &Login) -> SourceError {
    const NO_REPOSITORY: [&str; 5] = [
        "status code: 404",
        "invalid content-type",
        // Through ssh: git itself, and the forges.
        "does not appear to be a git repository",
        "epository not found",
        "ould not be found",
    ];
    let url = address.to_string();
    let message = words(error);
    let status = |code: &str| message.ends_with(&format!("status code: {code}"));
    if let Remote::Local(_) = address {
        return SourceError::NotARepository { url, message };
    }
    if error.code() == ErrorCode::Auth || status("401") || status("403") {
        return SourceError::AuthFailed { url, message };
    }
    if let (Remote::Ssh { address, .. }, Login::SshKey { known_hosts, .. }) = (address, login)
        && error.code() == ErrorCode::Certificate
    {
        let fingerprint = seen.host_key.take().unwrap_or_default();
        return known_hosts::refusal(known_hosts, address, fingerprint);
    }
    let about_tls = error.class() == ErrorClass::Ssl && message.contains("certificate");
    if about_tls || error.code() == ErrorCode::Certificate {
        return SourceError::Certificate { url, message };
    }
    if NO_REPOSITORY.iter().any(|words| message.contains(words)) {
        return SourceError::NotARepository { url, message };
    }
    SourceError::Unreachable { url, message }
}
