//! Looks up the login for one registry, anew each time: `docker login` counts at once.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::docker_config::{DockerConfig, Found};
use super::helper;
use crate::secret::{Redactor, Sensitive};

/// Longest file, in bytes: thousands of logins.
const LONGEST: u64 = 1024 * 1024;

/// How to log in to one registry.
#[derive(Clone, PartialEq, Eq)]
pub enum Login {
    /// With a user name and a password.
    Password {
        /// The user.
        username: String,
        /// A password, or a token in its place.
        password: Sensitive,
    },
    /// With a token that the registry's own login gave.
    IdentityToken(Sensitive),
}

impl Login {
    /// Makes one of a user name and a password.
    pub fn new(username: &str, password: &str) -> Self {
        Self::Password {
            username: username.to_owned(),
            password: Sensitive::new(password),
        }
    }

    /// Returns the texts that give it away: the secret, and the form in which it is sent.
    fn texts(&self) -> Vec<Sensitive> {
        match self {
            Self::Password { username, password } => {
                let both = Zeroizing::new(format!("{username}:{}", password.expose()));
                let sent = Sensitive::new(STANDARD.encode(both.as_bytes()));
                vec![password.clone(), sent]
            }
            Self::IdentityToken(token) => vec![token.clone()],
        }
    }
}

/// Why it is not known how to log in to a registry.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// Docker's file can't be read.
    #[error("failed to read {} (registries.config in the settings): {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Docker's file can't be used.
    #[error("{} {message}", path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        message: String,
    },
    /// The credential helper does not help.
    #[error("the credential helper {program}, asked for {registry}, {message}")]
    Helper {
        /// The program.
        program: String,
        /// The registry that it was asked for.
        registry: String,
        /// What is wrong with it.
        message: String,
    },
}

/// The logins of this host. Cheap to make: nothing is read before the first question.
#[derive(Clone, Default)]
pub struct Logins {
    file: Option<PathBuf>,
    redactor: Redactor,
}

impl Logins {
    /// Takes note of Docker's configuration file, and of who hides what is found in it from then
    /// on. Without a file there are no logins.
    pub fn new(file: Option<PathBuf>, redactor: Redactor) -> Self {
        Self { file, redactor }
    }

    /// Returns how to log in to a registry, by the name that a reference has for it in full;
    /// `None` when nothing is said of it.
    ///
    /// # Errors
    /// The file or the credential helper can't be used. Nothing of what they say is in the message.
    pub async fn of(&self, registry: &str) -> Result<Option<Login>, LoginError> {
        let Some(path) = &self.file else {
            return Ok(None);
        };
        let unusable = |message: String| LoginError::Unusable {
            path: path.clone(),
            message,
        };
        let config = DockerConfig::parse(&read(path)?).map_err(unusable)?;
        let login = match config.find(registry).map_err(unusable)? {
            Found::Nothing => None,
            Found::Login(login) => Some(login),
            Found::Helper(name) => {
                let asked = helper::ask(&name, registry).await;
                asked.map_err(|message| LoginError::Helper {
                    program: helper::program_of(&name),
                    registry: registry.to_owned(),
                    message,
                })?
            }
        };
        // Helpers of cloud registries give another token every few hours.
        let texts = login.iter().flat_map(Login::texts);
        self.redactor.learn_passing(texts);
        Ok(login)
    }

    /// Says with which login a registry was asked, for people.
    pub fn told(&self, registry: &str, login: Option<&Login>) -> String {
        match (&self.file, login) {
            (Some(file), Some(_)) => format!("asked with the login of {}", file.display()),
            (Some(file), None) => {
                let file = file.display();
                format!("asked without a login: {file} has none for {registry}")
            }
            (None, _) => {
                "asked without a login: the host's settings name none, see registries".to_owned()
            }
        }
    }
}

/// Reads Docker's file. It names programs that are run, so not everybody may have written it.
fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, LoginError> {
    let failed = |source: io::Error| LoginError::Read {
        path: path.to_owned(),
        source,
    };
    let unusable = |message: String| LoginError::Unusable {
        path: path.to_owned(),
        message,
    };
    let about = fs::metadata(path).map_err(failed)?;
    if !about.is_file() {
        return Err(unusable("is not a regular file".to_owned()));
    }
    if about.permissions().mode() & 0o002 != 0 {
        return Err(unusable(
            "may be written by everybody; run: chmod o-w on it".to_owned(),
        ));
    }
    if about.len() > LONGEST {
        return Err(unusable(format!("is larger than {LONGEST} bytes")));
    }
    let mut bytes = Zeroizing::new(Vec::new());
    let file = File::open(path).map_err(failed)?;
    file.take(LONGEST).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.json");
        crate::files::write_atomically(&path, text.as_bytes(), mode).unwrap();
        (dir, path)
    }

    #[tokio::test]
    async fn what_is_found_is_hidden_from_then_on() {
        let text = r#"{"auths": {"r.example": {"auth": "YWRhOmh1bnRlcjIy"}}}"#;
        let (_dir, path) = written(text, 0o600);
        let redactor = Redactor::default();
        let logins = Logins::new(Some(path), redactor.clone());
        let login = logins.of("r.example").await.unwrap();
        assert!(login == Some(Login::new("ada", "hunter22")));
        let said = redactor.clean("Basic YWRhOmh1bnRlcjIy for ada, hunter22");
        assert_eq!(said, "Basic [hidden] for ada, [hidden]");
        assert!(logins.of("other.example").await.unwrap().is_none());
        assert!(Logins::default().of("r.example").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn files_that_are_not_used() {
        let message = async |path: PathBuf| {
            let logins = Logins::new(Some(path), Redactor::default());
            logins.of("r.example").await.err().unwrap().to_string()
        };
        let (dir, path) = written("{}", 0o666);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        let said = message(path).await;
        assert!(said.contains("may be written by everybody"), "{said}");
        let said = message(dir.path().join("none")).await;
        assert!(said.contains("registries.config"), "{said}");
        let said = message(dir.path().to_owned()).await;
        assert!(said.contains("is not a regular file"), "{said}");
        let text = r#"{"credsStore": "mooredtest-that-nobody-has"}"#;
        let (_dir, path) = written(text, 0o600);
        let said = message(path).await;
        let program = "docker-credential-mooredtest-that-nobody-has";
        assert!(said.contains(program), "{said}");
        assert!(said.contains("r.example"), "{said}");
    }
}
