//! What can go wrong between the remote and the mirror.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Why the remote's branch could not be brought here, or not be moved.
///
/// Crosses the pipe from the fetching child, therefore plain data; the words of libgit2 are
/// kept in `message`. Nothing here means that the desired state has changed: after any of these
/// the host stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum SourceError {
    /// The address is of a kind that is not used, or makes no sense.
    #[error("the repository address \"{url}\" is refused: {reason}")]
    Unsupported {
        /// Address without credentials.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The address has a user name or password in it.
    #[error(
        "the repository address {url} has credentials in it; take them out and use the auth \
         settings (token_file or ssh_key)"
    )]
    CredentialsInUrl {
        /// Address without credentials.
        url: String,
    },
    /// The configured branch can't be the name of a branch.
    #[error("\"{branch}\" can't be the name of a branch: {reason}")]
    InvalidBranch {
        /// Name as configured, escaped.
        branch: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A file that the auth settings name is missing, unreadable or empty.
    #[error("{what} {path} can't be used ({message}); correct the auth settings or the file", path = path.display())]
    AuthFile {
        /// What the file is: "the token file".
        what: String,
        /// Path as configured.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// No connection, or a broken one.
    #[error(
        "could not talk to {url} ({message}); check the address, the network and the server, it \
         is tried again at the next poll"
    )]
    Unreachable {
        /// Address without credentials.
        url: String,
        /// libgit2's words.
        message: String,
    },
    /// The server's TLS certificate is not trusted.
    #[error(
        "the TLS certificate of {url} is not trusted ({message}); renew it, or name its authority \
         in ca_file or this host's trust store"
    )]
    Certificate {
        /// Address without credentials.
        url: String,
        /// libgit2's words.
        message: String,
    },
    /// The server refuses the credentials, or wants some.
    #[error(
        "{url} refused to let us in ({message}); check that the token or key is valid and may \
         read this repository"
    )]
    AuthFailed {
        /// Address without credentials.
        url: String,
        /// What was refused.
        message: String,
    },
    /// The server's host key is not among the pinned ones.
    #[error(
        "{host} presented the host key {fingerprint}, and {known_hosts} has no key for {host}; \
         compare the fingerprint with the server's and add the key",
        known_hosts = known_hosts.display()
    )]
    HostKeyUnknown {
        /// Host, with brackets and port unless it is 22.
        host: String,
        /// Fingerprint as OpenSSH prints it.
        fingerprint: String,
        /// File with the accepted keys.
        known_hosts: PathBuf,
    },
    /// The server's host key is not the pinned one.
    #[error(
        "{host} presented the host key {fingerprint}, but {known_hosts} has another key for it; \
         somebody may be listening in. Only if the server's key was really changed, replace it \
         there",
        known_hosts = known_hosts.display()
    )]
    HostKeyChanged {
        /// Host, with brackets and port unless it is 22.
        host: String,
        /// Fingerprint as OpenSSH prints it.
        fingerprint: String,
        /// File with the accepted keys.
        known_hosts: PathBuf,
    },
    /// The remote has branches, but not this one.
    #[error(
        "{url} has no branch \"{branch}\" (it has {}); nothing is changed until it is back or the \
         branch setting is corrected",
        listed(available)
    )]
    BranchMissing {
        /// Address without credentials.
        url: String,
        /// Branch that is followed.
        branch: String,
        /// The first ten branches that are there.
        available: Vec<String>,
    },
    /// The remote has no refs at all.
    #[error(
        "{url} is an empty repository; nothing is changed until something is pushed to it again"
    )]
    EmptyRepository {
        /// Address without credentials.
        url: String,
    },
    /// There is no Git repository at the address.
    #[error("there is no readable Git repository at {url} ({message}); check the address")]
    NotARepository {
        /// Address without credentials.
        url: String,
        /// libgit2's words.
        message: String,
    },
    /// The whole operation took too long and was ended.
    #[error(
        "fetching {url} took longer than {seconds} s and was ended; the server hangs or the line \
         is too slow, it is tried again at the next poll"
    )]
    TimedOut {
        /// Address without credentials.
        url: String,
        /// The limit in seconds.
        seconds: u64,
    },
    /// The remote sends more than a state repository can have.
    #[error(
        "{url} sends more than {limit}; a state repository is small, check the address or keep \
         large files elsewhere"
    )]
    TooLarge {
        /// Address without credentials.
        url: String,
        /// The limit that was reached.
        limit: String,
    },
    /// What arrived is incomplete or damaged, even after a fresh clone.
    #[error(
        "what {url} sent is incomplete or damaged ({message}); check the remote with `git fsck`"
    )]
    Corrupt {
        /// Address without credentials.
        url: String,
        /// libgit2's words.
        message: String,
    },
    /// The mirror on this host can't be read or written.
    #[error(
        "the mirror {path} can't be used ({message}); check free space and permissions",
        path = path.display()
    )]
    Mirror {
        /// The mirror's directory or a file in it.
        path: PathBuf,
        /// The system's words.
        message: String,
    },
    /// The remote does not let us change the branch.
    #[error("{url} refused the push ({message}); nothing has changed there")]
    PushRefused {
        /// Address without credentials.
        url: String,
        /// The remote's words, or libgit2's.
        message: String,
    },
    /// A work tree is at the branch.
    #[error(
        "branch {branch} is checked out in {url}, where a push would leave the files behind; \
         commit there, or follow a bare repository (git clone --bare)"
    )]
    CheckedOut {
        /// The repository.
        url: String,
        /// The branch.
        branch: String,
    },
    /// Somebody else was faster.
    #[error("somebody else pushed to branch {branch} of {url} meanwhile; run it again")]
    Outrun {
        /// Address without credentials.
        url: String,
        /// The branch.
        branch: String,
    },
    /// A push took too long and was ended.
    #[error(
        "pushing to {url} took longer than {seconds} s and was ended; whether it arrived is not \
         known, run it again"
    )]
    PushTimedOut {
        /// Address without credentials.
        url: String,
        /// The limit in seconds.
        seconds: u64,
    },
    /// The child process that talks to the remote did not do its work.
    #[error("the process that fetches {url} failed ({message}); this is a fault of the program")]
    Child {
        /// Address without credentials.
        url: String,
        /// What happened to it.
        message: String,
    },
}

fn listed(available: &[String]) -> String {
    if available.is_empty() {
        "no branch at all".to_owned()
    } else {
        available.join(", ")
    }
}
