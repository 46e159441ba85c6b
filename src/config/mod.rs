//! The host's settings: everything that decides whom to trust. Read from the host, never from
//! the state repository. The only reader of the process environment.

mod own;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Deserializer};

pub use own::OwnFile;
use own::relative_path;

use crate::diagnostic::Diagnostic;
use crate::document::{self, WordOr};
use crate::gates::{self, ApprovalRule, Window};
use crate::permits::Permits;
use crate::routes::{Form, Route};

/// Where the settings are when nobody says otherwise.
const DEFAULT_PATH: &str = "/etc/moored/config.yaml";

/// Where the engine is when nobody says otherwise.
pub const DEFAULT_ENGINE: &str = "unix:///var/run/docker.sock";

/// Where Moored keeps what is its own when nobody says otherwise.
pub const DEFAULT_STATE_DIR: &str = "/var/lib/moored";

/// Keys that the format defines and this version does not act on.
const LATER: [&str; 1] = ["offsite"];

/// The host's settings.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The file that they are read from; `None` = none.
    #[serde(skip)]
    pub file: Option<PathBuf>,
    /// Where the desired state comes from.
    pub repository: Repository,
    /// Directories with a `moored.yaml`; left out = every one in the repository.
    pub stacks: Option<Vec<StackSource>>,
    /// Where the journal, the mirror and the project directories are kept.
    #[serde(default = "default_state_dir")]
    pub state_dir: PathBuf,
    /// The engine's endpoint.
    #[serde(default = "default_engine")]
    pub engine: String,
    /// File with the age keys that SOPS files of the repository are decrypted with.
    pub age_identity: Option<PathBuf>,
    /// What stacks may ask of the engine.
    #[serde(default)]
    pub policy: Permits,
    /// When changes of a stack are let in, by its name or directory.
    #[serde(default)]
    pub windows: BTreeMap<String, Window>,
    /// Who must approve what is new in a stack, by its name or directory.
    #[serde(default)]
    pub approvals: BTreeMap<String, ApprovalRule>,
    /// Where the controller listens for HTTP; left out = nowhere.
    #[serde(default, deserialize_with = "address")]
    pub listen: Option<SocketAddr>,
    /// Names by which it may be asked, beside addresses and `localhost`.
    #[serde(default, deserialize_with = "names")]
    pub listen_names: BTreeSet<String>,
    /// Who may ask for a look over HTTP; left out = nobody.
    pub webhook: Option<Webhook>,
    /// How to log in to the registries that images come from; `None` = nowhere.
    pub registries: Option<Registries>,
    /// Who is told of what happens.
    #[serde(default)]
    pub notify: Vec<Route>,
}

/// Who may ask for a look over HTTP.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Webhook {
    /// File with the secret in its first line.
    pub secret_file: PathBuf,
}

/// How to log in to registries.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Registries {
    /// Docker's `config.json`: logins, and the names of credential helpers.
    pub config: PathBuf,
}

/// Where the desired state comes from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Repository {
    /// The remote: `https://`, `http://`, `ssh://`, `file://` or an absolute local path.
    pub url: String,
    /// Branch to follow.
    #[serde(default = "default_branch")]
    pub branch: String,
    /// Time between two looks at the remote.
    #[serde(default = "default_poll", deserialize_with = "document::duration")]
    pub poll: Duration,
    /// How to log in, if the remote wants it.
    #[serde(default)]
    pub auth: Auth,
    /// Whether `moored rollback`, `bump` and `promote` push the commits that they make.
    #[serde(default = "yes")]
    pub push: bool,
    /// Authorities that may vouch for the remote's TLS certificate, in the place of this host's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Whether history is followed that does not go on from what was released.
    #[serde(default)]
    pub allow_force_push: bool,
    /// Whose signature a commit must have.
    #[serde(default)]
    pub verify: Option<Verify>,
}

/// Whose signature a commit must have.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Verify {
    /// Keys that may sign, in the form of ssh-keygen(1), "ALLOWED SIGNERS".
    pub allowed_signers: PathBuf,
    /// Which commits.
    #[serde(default)]
    pub commits: Commits,
}

/// Which commits must be signed.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Commits {
    /// The one that is deployed.
    #[default]
    Head,
    /// It, and every one that came with it since the last release.
    All,
}

/// How to log in to the remote.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(
    untagged,
    expecting = "auth must be {ssh_key: FILE, known_hosts: FILE}, {username: NAME, token_file: FILE} \
                 or {credential_helper: [PROGRAM, ARGUMENT…]}"
)]
pub enum Auth {
    /// A private key for ssh, with the host keys to accept.
    SshKey {
        /// Private key without a passphrase.
        ssh_key: PathBuf,
        /// Accepted host keys in OpenSSH's format.
        known_hosts: PathBuf,
    },
    /// A user name and a token from a file, for http(s).
    Token {
        /// User name; many servers ignore it.
        #[serde(default = "default_username")]
        username: String,
        /// File with the token in its first line.
        token_file: PathBuf,
    },
    /// By what a program says, for http(s).
    Helper {
        /// Absolute path of the program, and arguments before `get`: see gitcredentials(7).
        credential_helper: Vec<String>,
    },
    /// Not at all.
    #[default]
    None,
}

/// A directory of the repository that is kept on this host.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
#[serde(from = "WordOr<StackFields>")]
pub struct StackSource {
    /// Directory with the `moored.yaml`.
    pub dir: String,
    /// Branch to follow for it; `None` = the repository's.
    pub branch: Option<String>,
    /// Whose signature a commit must have for it; `None` = the repository's rule.
    pub verify: Option<Verify>,
    /// Whether rewritten history is followed for it; `None` = the repository's rule.
    pub allow_force_push: Option<bool>,
}

/// The long form of a [`StackSource`].
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StackFields {
    dir: String,
    branch: Option<String>,
    verify: Option<Verify>,
    allow_force_push: Option<bool>,
}

impl From<WordOr<StackFields>> for StackSource {
    fn from(written: WordOr<StackFields>) -> Self {
        let fields = match written {
            WordOr::Mapping(fields) => fields,
            WordOr::Word(dir) => StackFields {
                dir,
                branch: None,
                verify: None,
                allow_force_push: None,
            },
        };
        Self {
            dir: fields.dir,
            branch: fields.branch,
            verify: fields.verify,
            allow_force_push: fields.allow_force_push,
        }
    }
}

impl Config {
    /// Returns what the settings say of a directory of the repository by name.
    fn source(&self, dir: &str) -> Option<&StackSource> {
        let sources = self.stacks.as_deref().unwrap_or_default();
        sources.iter().find(|source| source.dir == dir)
    }

    /// Returns the branch that a directory of the repository is followed on.
    pub fn branch_of(&self, dir: &str) -> &str {
        let own = self.source(dir).and_then(|source| source.branch.as_deref());
        own.unwrap_or(&self.repository.branch)
    }

    /// Returns whose signature a commit must have for a directory of the repository.
    pub fn verify_of(&self, dir: &str) -> Option<&Verify> {
        let own = self.source(dir).and_then(|source| source.verify.as_ref());
        own.or(self.repository.verify.as_ref())
    }

    /// Returns whether a commit must be signed for anything that follows a branch.
    pub fn verifies(&self, branch: &str) -> bool {
        let mut sources = self.stacks.iter().flatten();
        let own = sources.any(|one| one.verify.is_some() && self.branch_of(&one.dir) == branch);
        own || self.repository.verify.is_some()
    }

    /// Returns whether rewritten history is followed for a directory of the repository.
    pub fn allows_force_push(&self, dir: &str) -> bool {
        let own = self.source(dir).and_then(|source| source.allow_force_push);
        own.unwrap_or(self.repository.allow_force_push)
    }
}

/// Why the settings can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file can't be read.
    #[error("failed to read the host's settings {}: {source}\n  hint: {hint}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
        /// What to do about it.
        hint: String,
    },
    /// The file says something that can't be.
    #[error("{0}")]
    Invalid(Diagnostic),
}

/// Returns the path of the settings: the one given, else `MOORED_CONFIG`, else
/// `/etc/moored/config.yaml`.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one reader of the environment"
)]
pub fn path(given: Option<PathBuf>) -> PathBuf {
    given
        .or_else(|| std::env::var_os("MOORED_CONFIG").map(PathBuf::from))
        .unwrap_or_else(|| PathBuf::from(DEFAULT_PATH))
}

/// Returns the variables of the process whose name and value are text, with `PWD` as the shell
/// sets it. For `${...}` in Compose files that a person renders; a pass never looks at them.
pub fn environment() -> BTreeMap<String, String> {
    let text = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let mut variables: BTreeMap<String, String> = std::env::vars_os().filter_map(text).collect();
    if let (false, Ok(directory)) = (variables.contains_key("PWD"), std::env::current_dir()) {
        variables.insert("PWD".to_owned(), directory.display().to_string());
    }
    variables
}

/// Returns whether the person asks for output without colour (`NO_COLOR`, <https://no-color.org>).
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one reader of the environment"
)]
pub fn no_color() -> bool {
    std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
}

/// Returns who runs the program: the person behind `sudo` (`SUDO_USER`), else `USER`. For people
/// to read, and proof of nothing.
#[expect(
    clippy::disallowed_methods,
    reason = "this is the one reader of the environment"
)]
pub fn person() -> Option<String> {
    ["SUDO_USER", "USER"]
        .iter()
        .find_map(|name| std::env::var(name).ok().and_then(|text| plain_name(&text)))
}

/// Returns a name as it may stand in a line of text; none when nothing is left of it.
fn plain_name(text: &str) -> Option<String> {
    const LONGEST: usize = 64;
    let name: String = text
        .chars()
        .filter(|c| !c.is_control() && !"<>".contains(*c))
        .take(LONGEST)
        .collect();
    let name = name.trim();
    (!name.is_empty()).then(|| name.to_owned())
}

/// Reads and checks the settings.
///
/// # Errors
/// The file can't be read, or something in it can't be; each names the place and the way out.
pub fn load(path: &Path) -> Result<Config, ConfigError> {
    let text = std::fs::read(path).map_err(|source| {
        let hint = if source.kind() == std::io::ErrorKind::NotFound {
            "name the file with --config or MOORED_CONFIG; the smallest one is:\n    \
             repository: {url: https://git.example.org/ops/state.git}"
        } else {
            "it must be readable for the user that runs moored"
        };
        ConfigError::Read {
            path: path.to_owned(),
            source,
            hint: hint.to_owned(),
        }
    })?;
    let config = parse(&path.display().to_string(), &text).map_err(ConfigError::Invalid)?;
    let file = Some(path.to_owned());
    Ok(Config { file, ..config })
}

/// Reads and checks the text of the settings.
pub(crate) fn parse(file: &str, text: &[u8]) -> Result<Config, Diagnostic> {
    let config: Config = document::read(file, text, &LATER)?;
    let refuse = |message: &str, hint: &str| Err(Diagnostic::file(file, message).hint(hint));
    if !config.state_dir.is_absolute() {
        return refuse(
            "state_dir must be an absolute path",
            "for example /var/lib/moored",
        );
    }
    if config.repository.poll < MIN_POLL || config.repository.poll > MAX_POLL {
        return refuse(
            "repository.poll must be between 1s and 1day",
            "for example poll: 30s",
        );
    }
    if let Some((key, path)) = relative_path(&config) {
        let message = format!("{key} must be an absolute path, not {}", path.display());
        let name = path.file_name().unwrap_or_default();
        let example = Path::new("/etc/moored").join(name);
        return refuse(&message, &format!("for example {}", example.display()));
    }
    let needs_listen = [
        ("webhook", config.webhook.is_some()),
        ("listen_names", !config.listen_names.is_empty()),
    ];
    let needs_listen = needs_listen.iter().find(|(_, is_there)| *is_there);
    if let Some((key, _)) = needs_listen.filter(|_| config.listen.is_none()) {
        return refuse(
            &format!("{key} needs an address to listen on"),
            "add listen: 127.0.0.1:9640, and let a proxy with TLS hand on what comes for it",
        );
    }
    if config.stacks.as_ref().is_some_and(Vec::is_empty) {
        return refuse(
            "stacks is an empty list",
            "leave the key out to keep every stack",
        );
    }
    let dirs = config.stacks.iter().flatten().map(|one| &one.dir);
    if let Some(twice) = first_twice(dirs) {
        return refuse(
            &format!("stacks names {twice} twice"),
            "a directory is kept once, on one branch",
        );
    }
    let signed = |route: &&Route| route.secret_file.is_some() && route.kind == Form::Slack;
    if config.notify.iter().any(|route| signed(&route)) {
        return refuse(
            "notify: secret_file belongs to kind: webhook",
            "take it out: what kind: slack sends is not signed",
        );
    }
    let windows = first_twice(config.windows.keys()).map(|twice| ("windows", twice));
    let approvals = first_twice(config.approvals.keys()).map(|twice| ("approvals", twice));
    if let Some((key, twice)) = windows.or(approvals) {
        return refuse(
            &format!("{key} names {twice} twice"),
            "a stack or directory has one rule there",
        );
    }
    Ok(config)
}

/// Returns the first stack or directory that stands there twice, however it is written.
fn first_twice<'a>(names: impl Iterator<Item = &'a String>) -> Option<&'a str> {
    let mut seen = BTreeSet::new();
    let mut names = names.map(|name| gates::plain(name));
    names.find(|name| !seen.insert(*name))
}

/// Reads an address and a port of this host.
fn address<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SocketAddr>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse::<SocketAddr>().map(Some).map_err(|_| {
        let message = format!(
            "\"{text}\" is not an address with a port, such as 127.0.0.1:9640 or [::1]:9640"
        );
        serde::de::Error::custom(message)
    })
}

/// Reads names of this host, without a port.
fn names<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BTreeSet<String>, D::Error> {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let is_name = |name: &str| {
        let mut parts = name.split('.');
        parts.all(|part| !part.is_empty() && part.chars().all(is_of_name))
    };
    let names = Vec::<String>::deserialize(deserializer)?;
    if let Some(bad) = names.iter().find(|name| !is_name(name)) {
        return Err(serde::de::Error::custom(format!(
            "\"{bad}\" is not a name of a host, such as moored.example.org, without scheme and port"
        )));
    }
    Ok(names.iter().map(|name| name.to_ascii_lowercase()).collect())
}

/// Below a second a poll is a load test of the Git server.
const MIN_POLL: Duration = Duration::from_secs(1);
/// Above a day nobody would call it keeping up with Git.
const MAX_POLL: Duration = Duration::from_secs(24 * 60 * 60);

fn default_state_dir() -> PathBuf {
    PathBuf::from(DEFAULT_STATE_DIR)
}

fn default_engine() -> String {
    DEFAULT_ENGINE.to_owned()
}

fn default_branch() -> String {
    "main".to_owned()
}

fn yes() -> bool {
    true
}

fn default_poll() -> Duration {
    Duration::from_secs(30)
}

fn default_username() -> String {
    "git".to_owned()
}

#[cfg(test)]
mod tests;
