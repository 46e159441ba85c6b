//! Answers the remote's question for credentials, once.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use git2::{Cred, CredentialType, ErrorClass, ErrorCode};

use super::child::{Login, Request};
use super::error::SourceError;
use super::url::{Address, Remote};
use crate::secret::Sensitive;

/// Longest token file in bytes; the longest tokens (JWT) have a few kilobytes.
const LONGEST_TOKEN_FILE: u64 = 64 * 1024;

/// Credentials for one connection, bound to the remote they were configured for.
pub(super) struct Credentials {
    kind: Kind,
    asked: bool,
}

enum Kind {
    None,
    Token {
        origin: Address,
        username: String,
        token: Sensitive,
    },
    Key {
        user: String,
        path: PathBuf,
    },
}

impl Credentials {
    /// Reads what the login names; fails early where libgit2 would only say "authentication
    /// failed".
    pub(super) fn new(request: &Request, remote: &Remote) -> Result<Self, SourceError> {
        let kind = match (&request.login, remote) {
            (Login::Given, Remote::Http(origin)) => match &request.given {
                Some(given) => Kind::Token {
                    origin: origin.clone(),
                    username: given.username.clone(),
                    token: given.password.clone(),
                },
                None => Kind::None,
            },
            (
                Login::Token {
                    username,
                    token_file,
                },
                Remote::Http(origin),
            ) => Kind::Token {
                origin: origin.clone(),
                username: username.clone(),
                token: read_token(token_file)?,
            },
            (Login::SshKey { ssh_key, .. }, Remote::Ssh { user, .. }) => {
                File::open(ssh_key).map_err(|e| unusable("the ssh key", ssh_key, &e))?;
                Kind::Key {
                    user: user.clone(),
                    path: ssh_key.clone(),
                }
            }
            // A token for ssh or a key for http answers nothing.
            (Login::None | Login::Given | Login::Token { .. } | Login::SshKey { .. }, _) => {
                Kind::None
            }
        };
        Ok(Self { kind, asked: false })
    }

    /// Answers libgit2's callback. A second question means that the first answer was refused.
    pub(super) fn answer(
        &mut self,
        url: &str,
        _user: Option<&str>,
        allowed: CredentialType,
    ) -> Result<Cred, git2::Error> {
        let again = std::mem::replace(&mut self.asked, true);
        match &self.kind {
            Kind::None => Err(refused(
                "it wants credentials, and the auth settings have none for this kind of address",
            )),
            Kind::Token { .. } if again => Err(refused("the token was refused")),
            Kind::Key { .. } if again => Err(refused("the ssh key was refused")),
            // libgit2 names the host that asks, which need not be the one that was configured.
            Kind::Token { origin, .. } if !origin.same_origin(url) => {
                Err(refused("another server asked for the token"))
            }
            Kind::Token {
                username, token, ..
            } if allowed.contains(CredentialType::USER_PASS_PLAINTEXT) => {
                Cred::userpass_plaintext(username, token.expose())
            }
            Kind::Key { user, path } if allowed.contains(CredentialType::SSH_KEY) => {
                Cred::ssh_key(user, None, path, None)
            }
            Kind::Token { .. } => Err(refused("it does not take a user name with a token")),
            Kind::Key { .. } => Err(refused("it does not take ssh keys")),
        }
    }
}

fn refused(message: &str) -> git2::Error {
    git2::Error::new(ErrorCode::Auth, ErrorClass::Callback, message)
}

fn read_token(path: &Path) -> Result<Sensitive, SourceError> {
    let mut text = zeroize::Zeroizing::new(String::new());
    let what = "the token file";
    File::open(path)
        .and_then(|file| file.take(LONGEST_TOKEN_FILE).read_to_string(&mut text))
        .map_err(|e| unusable(what, path, &e))?;
    let token = text.lines().next().unwrap_or_default().trim();
    if token.is_empty() {
        let empty = std::io::Error::other("its first line is empty");
        return Err(unusable(what, path, &empty));
    }
    Ok(Sensitive::new(token))
}

fn unusable(what: &str, path: &Path, error: &std::io::Error) -> SourceError {
    SourceError::AuthFile {
        what: what.to_owned(),
        path: path.to_owned(),
        message: error.to_string(),
    }
}
