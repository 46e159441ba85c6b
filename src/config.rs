//! The host's settings: everything that decides whom to trust. Read from the host, never from
//! the state repository. The only reader of the process environment.

use std::path::PathBuf;
use std::time::Duration;

/// Where the desired state comes from.
#[derive(Clone, Debug)]
pub struct Repository {
    /// The remote: `https://`, `http://`, `ssh://`, `file://` or an absolute local path.
    pub url: String,
    /// Branch to follow.
    pub branch: String,
    /// Time between two looks at the remote.
    pub poll: Duration,
    /// How to log in, if the remote wants it.
    pub auth: Auth,
}

/// How to log in to the remote.
#[derive(Clone, Debug, Default)]
pub enum Auth {
    /// Not at all.
    #[default]
    None,
    /// A user name and a token from a file, for http(s).
    Token {
        /// User name; many servers ignore it.
        username: String,
        /// File with the token in its first line.
        token_file: PathBuf,
    },
    /// A private key for ssh, with the host keys to accept.
    SshKey {
        /// Private key without a passphrase.
        ssh_key: PathBuf,
        /// Accepted host keys in OpenSSH's format.
        known_hosts: PathBuf,
    },
}
