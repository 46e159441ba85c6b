//! The `proxy:` part of a manifest: the nginx or Caddy in front of a stack, and its configuration.

mod checks;
mod marker;
mod raw;
mod resolve;
mod template;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use url::Url;

pub use checks::fixed_ports;
pub use marker::MarkerAt;
pub(super) use resolve::resolve;
pub use template::{Template, Upstream};

use super::ServiceName;
use crate::files::{self, Mode};
use crate::source::RepoPath;
use raw::RawProxy;

/// The proxy in front of a stack, as the manifest names it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "RawProxy")]
pub struct Proxy {
    /// Which program it is.
    pub kind: ProxyKind,
    /// Where it runs.
    pub place: ProxyPlace,
    /// Files of the repository, relative to the manifest, and where the proxy reads each.
    pub configs: BTreeMap<String, PathBuf>,
    /// Where it tells which configuration it has loaded.
    pub marker: Marker,
    /// Its main configuration file; `None` = the program's own default.
    pub main: Option<PathBuf>,
    /// Whether a new configuration may have fewer listeners and names than the one before.
    pub allow_shrink: bool,
}

/// A program that Moored knows how to test and reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProxyKind {
    /// <https://nginx.org>
    Nginx,
    /// <https://caddyserver.com>
    Caddy,
}

/// Where a proxy runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProxyPlace {
    /// On the host itself.
    Host,
    /// In a container of this stack.
    Service(ServiceName),
    /// In a container that is not of this stack, by its name.
    Container(String),
}

/// Where a proxy tells which configuration it has loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Marker {
    /// A path: it is asked for on the first address that the proxy is known to listen on.
    Path(String),
    /// A whole address.
    Url(Url),
}

/// The proxy in front of a stack, with its configuration read.
#[derive(Clone)]
pub struct DesiredProxy {
    /// As the manifest names it.
    pub proxy: Proxy,
    /// Its configuration by where the proxy reads each file.
    pub configs: BTreeMap<PathBuf, ProxyConfig>,
}

impl DesiredProxy {
    /// Returns whether its configuration may name a service.
    pub fn names(&self, service: &ServiceName) -> bool {
        let mut configs = self.configs.values();
        configs.any(|one| String::from_utf8_lossy(&one.template.text).contains(service.service()))
    }
}

/// One file of a proxy's configuration.
#[derive(Clone)]
pub struct ProxyConfig {
    /// Its path in the repository.
    pub source: RepoPath,
    /// Its path below the project directory; `None` = it lies elsewhere in the repository.
    pub project_path: Option<RepoPath>,
    /// Its content before what only the host knows is filled in.
    pub template: Template,
    /// Whether it may be executed.
    pub mode: Mode,
}

impl ProxyKind {
    /// Returns the name of its program.
    pub fn program(self) -> &'static str {
        match self {
            Self::Nginx => "nginx",
            Self::Caddy => "caddy",
        }
    }
}

impl fmt::Display for ProxyKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.program())
    }
}

impl ProxyConfig {
    /// Returns the digest of its text as Git has it, and of its mode.
    pub fn digest(&self) -> String {
        files::digest(&self.template.text, self.mode)
    }
}
