//! The `ready:` and `smoke:` lists of a manifest: what is asked of a release before it counts.
//!
//! A `ready` check asks one service, inside its network. A `smoke` check asks as a visitor does,
//! from this host, when everything is up. Redirects are never followed: where one leads says
//! nothing about the release.

mod read;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;
use url::Url;

pub(super) use read::http_url;

use super::ServiceName;
use read::{RawReady, RawSmoke};

/// A check of one service: it must pass before what depends on the release goes on.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "RawReady")]
pub struct Ready {
    /// The service that is asked.
    pub service: ServiceName,
    /// How it is asked.
    pub probe: ServiceProbe,
    /// How long it may take until the check passes; 1 minute unless said otherwise.
    pub timeout: Duration,
}

/// How a service is asked, inside its network.
#[derive(Clone, Debug, PartialEq)]
pub enum ServiceProbe {
    /// By a GET request.
    Http {
        /// Path and query, beginning with `/`.
        path: String,
        /// Port inside the container.
        port: u16,
        /// What it must answer.
        answer: Answer,
    },
    /// By a connection that is accepted.
    Tcp {
        /// Port inside the container.
        port: u16,
    },
    /// By a command in the container that ends with exit code 0.
    Exec {
        /// Program and arguments.
        command: Vec<String>,
    },
}

/// A check of the whole stack, as a visitor sees it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(try_from = "RawSmoke")]
pub struct Smoke {
    /// What is asked.
    pub probe: SmokeProbe,
    /// How long it may take until the check passes; 30 seconds unless said otherwise.
    pub timeout: Duration,
    /// How much slower than before the release it may be; only for http.
    pub latency: Option<Latency>,
}

/// What a smoke check asks.
#[derive(Clone, Debug, PartialEq)]
pub enum SmokeProbe {
    /// An address, by a GET request from this host.
    Http {
        /// Where; http or https, without credentials.
        url: Url,
        /// What it must answer.
        answer: Answer,
    },
    /// A connection from this host that is accepted.
    Tcp(TcpAddress),
    /// A command in a service's container that ends with exit code 0.
    Exec {
        /// The service.
        service: ServiceName,
        /// Program and arguments.
        command: Vec<String>,
    },
}

/// Host and port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TcpAddress {
    /// Name or address, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// What must be true of an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Its status.
    pub status: WantedStatus,
    /// Text that its body must contain.
    pub contains: Option<String>,
    /// Scalars that its body must have, by JSON pointer (RFC 6901).
    pub json: BTreeMap<String, Value>,
}

/// The status that an answer must have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WantedStatus {
    /// This one.
    Exactly(u16),
    /// 200 to 299. What `ready` wants unless said otherwise: a service that sends its health
    /// check elsewhere has not answered it.
    Success,
    /// 200 to 399. What `smoke` wants unless said otherwise: a page that leads to the login is
    /// up.
    SuccessOrRedirect,
    /// Below 500. What a visitor must get when maintenance is over: a page that wants a login
    /// or is not there is the stack's own answer.
    NoServerError,
}

/// How much slower than before the release an address may be.
///
/// The median of sequential requests is compared: one slow request in twenty says nothing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Latency {
    /// Requests before and after; 20 unless said otherwise.
    pub samples: u16,
    /// Factor that the median may grow by; more than 1.
    pub at_most: f64,
}

/// A difference below this never counts: on a busy host 1 ms becomes 3 ms by chance, and nobody
/// notices either.
pub const LATENCY_FLOOR: Duration = Duration::from_millis(20);

impl Answer {
    /// Returns the answer that has this status, whatever its body.
    pub fn of_status(status: WantedStatus) -> Self {
        Self {
            status,
            contains: None,
            json: BTreeMap::new(),
        }
    }

    /// Returns whether the body matters.
    pub fn wants_body(&self) -> bool {
        self.contains.is_some() || !self.json.is_empty()
    }
}

impl WantedStatus {
    /// Returns whether a status is as wanted.
    pub fn accepts(self, status: u16) -> bool {
        match self {
            Self::Exactly(wanted) => status == wanted,
            Self::Success => (200..300).contains(&status),
            Self::SuccessOrRedirect => (200..400).contains(&status),
            Self::NoServerError => status < 500,
        }
    }
}

impl Latency {
    /// Returns what is wrong when the median has grown too much; nothing when it has not.
    pub fn verdict(&self, before: Duration, now: Duration) -> Option<String> {
        let grown = now.saturating_sub(before) > LATENCY_FLOOR;
        let slower = now.as_secs_f64() > before.as_secs_f64() * self.at_most;
        (grown && slower).then(|| {
            format!(
                "median {}, was {} before: more than {} × as slow",
                milliseconds(now),
                milliseconds(before),
                self.at_most
            )
        })
    }
}

/// Returns a duration as `48 ms`, with tenths below 10 ms.
fn milliseconds(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1000.0;
    if ms < 10.0 {
        format!("{ms:.1} ms")
    } else {
        format!("{ms:.0} ms")
    }
}

impl fmt::Display for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timeout = humantime::format_duration(self.timeout);
        write!(f, "{} ≤ {timeout}", self.probe)
    }
}

impl fmt::Display for Smoke {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let timeout = humantime::format_duration(self.timeout);
        write!(f, "{} ≤ {timeout}", self.probe)?;
        match &self.latency {
            Some(latency) => write!(f, ", at most {} × as slow", latency.at_most),
            None => Ok(()),
        }
    }
}

impl fmt::Display for ServiceProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { path, port, .. } => write!(f, "GET :{port}{path}"),
            Self::Tcp { port } => write!(f, "tcp :{port}"),
            Self::Exec { command } => write!(f, "exec {}", one_line(command)),
        }
    }
}

impl fmt::Display for SmokeProbe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http { url, .. } => write!(f, "GET {url}"),
            Self::Tcp(address) => write!(f, "tcp {address}"),
            Self::Exec { service, command } => write!(f, "exec {} in {service}", one_line(command)),
        }
    }
}

impl fmt::Display for TcpAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for WantedStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(status) => write!(f, "{status}"),
            Self::Success => f.write_str("200 to 299"),
            Self::SuccessOrRedirect => f.write_str("200 to 399"),
            Self::NoServerError => f.write_str("less than 500"),
        }
    }
}

/// Returns a command as it would be typed, on one line.
fn one_line(command: &[String]) -> String {
    let line = shell_words::join(command);
    crate::secret::escape_control(&line).replace('\n', "\\n")
}
