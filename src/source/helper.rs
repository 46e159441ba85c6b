//! Asks a credential helper for a user name and a password: gitcredentials(7), git-credential(1).
//!
//! The program is named in the host's settings and run by the parent, so that the deadline holds
//! for it too. What it says goes to the child by a pipe.

use std::io::{BufRead, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use super::error::SourceError;
use super::url::Remote;
use crate::config::Auth;
use crate::program::{LONGEST, ask as ask_program};
use crate::secret::Sensitive;

/// What a helper said.
#[derive(Clone)]
pub(super) struct Given {
    pub(super) username: String,
    pub(super) password: Sensitive,
}

impl Given {
    /// Appends it as two lines.
    pub(super) fn write(&self, to: &mut Vec<u8>) {
        for line in [self.username.as_str(), self.password.expose()] {
            to.extend_from_slice(line.as_bytes());
            to.push(b'\n');
        }
    }

    /// Reads what [`Self::write`] wrote.
    pub(super) fn read(from: &mut impl BufRead) -> Option<Self> {
        let mut line = || {
            let mut line = Zeroizing::new(String::new());
            from.by_ref().take(LONGEST).read_line(&mut line).ok()?;
            let text = line.strip_suffix('\n')?;
            Some(Zeroizing::new(text.to_owned()))
        };
        let (username, password) = (line()?, line()?);
        Some(Self {
            username: username.to_string(),
            password: Sensitive::new(password.as_str()),
        })
    }
}

/// Asks the helper of the settings, if there is one for this kind of remote.
pub(super) async fn ask(
    auth: &Auth,
    remote: &Remote,
    deadline: Duration,
) -> Result<Option<Given>, SourceError> {
    let (Auth::Helper { credential_helper }, Remote::Http(address)) = (auth, remote) else {
        return Ok(None);
    };
    let (program, arguments) = credential_helper.split_first().unzip();
    let program = PathBuf::from(program.map(String::as_str).unwrap_or_default());
    let unusable = |message: String| SourceError::AuthFile {
        what: "the credential helper".to_owned(),
        path: program.clone(),
        message,
    };
    if !program.is_absolute() {
        return Err(unusable("it is not an absolute path".to_owned()));
    }
    let question = address.credential_question();
    let asked = talk(&program, arguments.unwrap_or_default(), &question);
    let answer = match tokio::time::timeout(deadline, asked).await {
        Ok(answer) => answer.map_err(|error| unusable(error.to_string()))?,
        Err(_) => {
            return Err(SourceError::TimedOut {
                url: remote.to_string(),
                seconds: deadline.as_secs(),
            });
        }
    };
    let value = |name: &str| {
        let mut lines = answer.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='))
    };
    match (value("username"), value("password")) {
        (Some(username), Some(password)) if !password.is_empty() => Ok(Some(Given {
            username: username.to_owned(),
            password: Sensitive::new(password),
        })),
        _ => Err(unusable("it said no username and password".to_owned())),
    }
}

/// Runs the program, which must end with success.
async fn talk(
    program: &Path,
    arguments: &[String],
    question: &str,
) -> std::io::Result<Zeroizing<String>> {
    let arguments = [arguments, &["get".to_owned()]].concat();
    let answer = ask_program(program, &arguments, question).await?;
    if !answer.status.success() {
        let message = format!("it ended with {}; run it by hand to see why", answer.status);
        return Err(std::io::Error::other(message));
    }
    Ok(answer.text)
}
