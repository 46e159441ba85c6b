//! What the listener takes from the host's settings, with the secret that they name.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::signature;
use crate::config::Config;
use crate::files;
use crate::secret::Sensitive;

/// What the listener takes from the host's settings.
#[derive(Clone)]
pub struct Settings {
    /// Where to listen; `None` = nowhere.
    pub listen: Option<SocketAddr>,
    /// The names by which it may be asked, beside addresses and `localhost`; in lower case.
    pub names: BTreeSet<String>,
    /// What webhooks are signed with; `None` = there are none.
    pub secret: Option<Arc<Secret>>,
}

/// What webhooks are signed with.
pub struct Secret {
    text: Sensitive,
    standard: Option<Zeroizing<Vec<u8>>>,
}

/// Why a secret can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The file can't be read.
    #[error("failed to read {key} {}: {source}\n  hint: {}", path.display(), make(path))]
    Read {
        /// The key of the settings.
        key: &'static str,
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The file is open to everybody.
    #[error(
        "{key} {path} is open to everybody\n  hint: chmod 600 {path}, and put a new secret in it",
        path = path.display()
    )]
    Open {
        /// The key of the settings.
        key: &'static str,
        /// Which file.
        path: PathBuf,
    },
    /// It is no secret that could be sent and not guessed.
    #[error(
        "the first line of {key} {} has {length} characters, and {SHORTEST} to {LONGEST} are \
         wanted\n  hint: {}",
        path.display(),
        make(path)
    )]
    Length {
        /// The key of the settings.
        key: &'static str,
        /// Which file.
        path: PathBuf,
        /// How long it is, in bytes.
        length: usize,
    },
}

fn make(path: &Path) -> String {
    let path = path.display();
    format!("make one with: openssl rand -hex 32 | install -m 600 /dev/stdin {path}")
}

/// Fewest bytes of a secret: whoever has seen one signature can try shorter ones out.
const SHORTEST: usize = 16;

/// Most bytes of a secret; no sender takes more.
const LONGEST: usize = 512;

/// Permissions of those who are neither the owner nor of the group.
const EVERYBODY: u32 = 0o007;

impl Settings {
    /// Takes what concerns the listener out of the settings, and reads the secret.
    ///
    /// # Errors
    /// The secret can't be used.
    pub fn read(config: &Config) -> Result<Self, SecretError> {
        let webhook = config.webhook.as_ref();
        let secret =
            webhook.map(|webhook| Secret::read("webhook.secret_file", &webhook.secret_file));
        Ok(Self {
            listen: config.listen,
            names: config.listen_names.clone(),
            secret: secret.transpose()?.map(Arc::new),
        })
    }

    /// Returns the secret, to be hidden wherever it turns up.
    pub fn to_hide(&self) -> Option<Sensitive> {
        Some(self.secret.as_ref()?.text.clone())
    }
}

impl Secret {
    /// Reads the first line of a file that a key of the settings names.
    ///
    /// # Errors
    /// It can't be used.
    pub fn read(key: &'static str, path: &Path) -> Result<Self, SecretError> {
        let path = path.to_owned();
        let (line, mode) = match files::first_line(&path) {
            Ok(read) => read,
            Err(source) => return Err(SecretError::Read { key, path, source }),
        };
        if mode & EVERYBODY != 0 {
            return Err(SecretError::Open { key, path });
        }
        let length = line.len();
        Self::new(&line).ok_or(SecretError::Length { key, path, length })
    }

    /// Returns the header that says of a body that whoever sends it knows the secret, as
    /// `web::signature` reads it.
    pub fn sign(&self, body: &[u8]) -> (&'static str, String) {
        signature::sign(self, body)
    }

    /// Takes a text as the secret; `None` when it is too short or too long.
    pub(super) fn new(text: &str) -> Option<Self> {
        if !(SHORTEST..=LONGEST).contains(&text.len()) {
            return None;
        }
        let key = text.strip_prefix("whsec_");
        let key = key.and_then(|key| STANDARD.decode(key).ok());
        Some(Self {
            text: Sensitive::new(text),
            standard: key.map(Zeroizing::new),
        })
    }

    /// Returns the secret as it is written.
    pub(super) fn text(&self) -> &[u8] {
        self.text.expose().as_bytes()
    }

    /// Returns the key that it is in the form of Standard Webhooks, if it has that form.
    pub(super) fn standard(&self) -> Option<&[u8]> {
        self.standard.as_deref().map(Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns what is wrong with a file, with its path left out.
    fn refused(content: &[u8], mode: u32) -> String {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        crate::files::write_atomically(&path, content, mode).unwrap();
        let refused = Secret::read("webhook.secret_file", &path)
            .map(|_| ())
            .unwrap_err();
        refused
            .to_string()
            .replace(&path.display().to_string(), "FILE")
    }

    #[test]
    fn a_secret_that_cannot_be_used_is_refused_with_the_way_out() {
        insta::assert_snapshot!(refused(b"", 0o600), @"
        the first line of webhook.secret_file FILE has 0 characters, and 16 to 512 are wanted
          hint: make one with: openssl rand -hex 32 | install -m 600 /dev/stdin FILE
        ");
        insta::assert_snapshot!(refused(b"\n0123456789abcdef\n", 0o600), @"
        the first line of webhook.secret_file FILE has 0 characters, and 16 to 512 are wanted
          hint: make one with: openssl rand -hex 32 | install -m 600 /dev/stdin FILE
        ");
        assert!(refused(b"0123456789abcde\n", 0o600).contains("has 15 characters"));
        assert!(refused(&[b'x'; 513], 0o600).contains("has 513 characters"));
        assert!(refused(b"\xff\xfe0123456789abcdef", 0o600).contains("UTF-8"));
        insta::assert_snapshot!(refused(b"0123456789abcdef", 0o644), @"
        webhook.secret_file FILE is open to everybody
          hint: chmod 600 FILE, and put a new secret in it
        ");
        let missing = Secret::read("webhook.secret_file", Path::new("/nonexistent/secret"));
        let missing = missing.map(|_| ()).unwrap_err().to_string();
        assert!(missing.contains("No such file"), "{missing}");
        let directory = Secret::read("webhook.secret_file", Path::new("/"))
            .map(|_| ())
            .unwrap_err();
        assert!(directory.to_string().contains("no regular file"));
    }

    #[test]
    fn a_secret_is_the_first_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        for content in ["0123456789abcdef", " 0123456789abcdef \r\nold\n"] {
            crate::files::write_atomically(&path, content.as_bytes(), 0o600).unwrap();
            let secret =
                Secret::read("webhook.secret_file", &path).map_err(|error| error.to_string());
            let secret = secret.unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(secret.text(), b"0123456789abcdef");
            assert_eq!(secret.standard(), None);
        }
        let standard = Secret::new("whsec_MDEyMzQ1Njc4OWFiY2RlZg==").unwrap();
        assert_eq!(standard.standard(), Some(b"0123456789abcdef".as_slice()));
    }
}
