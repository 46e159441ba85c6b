//! Reads one check of a manifest, and says what is wrong with it.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::time::Duration;

use serde::{Deserialize, Deserializer};
use serde_json::Value;
use url::Url;

use super::{Answer, Latency, Ready, ServiceProbe, Smoke, SmokeProbe, TcpAddress, WantedStatus};
use crate::desired::ServiceName;
use crate::document;

/// Reads an address that is asked over http or https.
///
/// # Errors
/// What is wrong with it, without the address itself where that has credentials.
pub(in crate::desired) fn http_url(text: &str) -> Result<Url, String> {
    let shown = text.escape_default();
    let url = Url::parse(text).map_err(|error| {
        let hint = "write it as http://127.0.0.1/health";
        // What can't be read may have credentials in it all the same.
        if text.contains('@') {
            format!("the address can't be read: {error}; {hint}")
        } else {
            format!("\"{shown}\" is not an address: {error}; {hint}")
        }
    })?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err("an address must not have credentials in it; ask one that needs none".into());
    }
    match url.scheme() {
        "http" | "https" => Ok(url),
        _ => Err(format!("\"{shown}\" must begin with http:// or https://")),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawReady {
    service: ServiceName,
    http: Option<String>,
    port: Option<NonZeroU16>,
    tcp: Option<NonZeroU16>,
    exec: Option<Vec<String>>,
    status: Option<u16>,
    contains: Option<String>,
    #[serde(default)]
    json: BTreeMap<String, JsonScalar>,
    #[serde(default = "ready_timeout", deserialize_with = "timeout")]
    timeout: Duration,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawSmoke {
    http: Option<String>,
    tcp: Option<String>,
    exec: Option<Vec<String>>,
    service: Option<ServiceName>,
    status: Option<u16>,
    contains: Option<String>,
    #[serde(default)]
    json: BTreeMap<String, JsonScalar>,
    #[serde(default = "smoke_timeout", deserialize_with = "timeout")]
    timeout: Duration,
    latency: Option<RawLatency>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawLatency {
    #[serde(default = "default_samples")]
    samples: u16,
    at_most: f64,
}

/// A scalar as JSON knows it.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "a value must be null, true/false, a number or text; name what is inside a list \
                 or an object by a longer pointer"
)]
enum JsonScalar {
    Null(()),
    Bool(bool),
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Text(String),
}

/// What a check says beside its probe, which only http has a use for.
struct RawAnswer {
    status: Option<u16>,
    contains: Option<String>,
    json: BTreeMap<String, JsonScalar>,
}

impl RawAnswer {
    /// Refuses what only an answer over http has.
    fn none(&self, probe: &str) -> Result<(), String> {
        let given = [
            ("status", self.status.is_some()),
            ("contains", self.contains.is_some()),
            ("json", !self.json.is_empty()),
        ];
        given
            .iter()
            .try_for_each(|(key, given)| only_with(key, *given, "http", probe))
    }

    fn read(self, default: WantedStatus) -> Result<Answer, String> {
        let status = match self.status {
            None => default,
            Some(status) if (100..600).contains(&status) => WantedStatus::Exactly(status),
            Some(status) => return Err(format!("status {status} is not between 100 and 599")),
        };
        if self.contains.as_ref().is_some_and(String::is_empty) {
            return Err("contains is empty; every body contains nothing".into());
        }
        if self
            .contains
            .as_ref()
            .is_some_and(|text| text.len() > LONGEST_TEXT)
        {
            return Err(format!("contains is longer than {LONGEST_TEXT} bytes"));
        }
        let json = self.json.into_iter().map(|(pointer, scalar)| {
            check_pointer(&pointer)?;
            Ok((pointer, scalar.read()?))
        });
        Ok(Answer {
            status,
            contains: self.contains,
            json: json.collect::<Result<_, String>>()?,
        })
    }
}

impl JsonScalar {
    fn read(self) -> Result<Value, String> {
        Ok(match self {
            Self::Null(()) => Value::Null,
            Self::Bool(value) => value.into(),
            Self::Unsigned(value) => value.into(),
            Self::Signed(value) => value.into(),
            Self::Float(value) => serde_json::Number::from_f64(value)
                .ok_or_else(|| format!("JSON has no number {value}"))?
                .into(),
            Self::Text(value) => value.into(),
        })
    }
}

/// The grammar of RFC 6901, section 3.
fn check_pointer(pointer: &str) -> Result<(), String> {
    let shown = pointer.escape_default();
    if !pointer.is_empty() && !pointer.starts_with('/') {
        return Err(format!(
            "\"{shown}\" is not a JSON pointer: it begins with /, as in /db/ok"
        ));
    }
    let mut tildes = pointer.split('~').skip(1);
    if tildes.any(|rest| !rest.starts_with(['0', '1'])) {
        return Err(format!(
            "\"{shown}\" is not a JSON pointer: ~ is written ~0, and / inside a name ~1"
        ));
    }
    Ok(())
}

fn only_with(key: &str, given: bool, owner: &str, probe: &str) -> Result<(), String> {
    if given {
        return Err(format!(
            "{key} belongs to {owner}; a check by {probe} has none"
        ));
    }
    Ok(())
}

fn check_command(command: Vec<String>) -> Result<Vec<String>, String> {
    if command.first().is_none_or(String::is_empty) {
        return Err("exec names a program and its arguments, as in [/app/check, --quick]".into());
    }
    if command.iter().any(|word| word.contains('\0')) {
        return Err("exec has a NUL in it".into());
    }
    Ok(command)
}

const ONE_OF: &str = "a check has exactly one of http, tcp and exec";

impl TryFrom<RawReady> for Ready {
    type Error = String;

    fn try_from(raw: RawReady) -> Result<Self, String> {
        let answer = RawAnswer {
            status: raw.status,
            contains: raw.contains,
            json: raw.json,
        };
        let no_port = |probe: &str| only_with("port", raw.port.is_some(), "http", probe);
        let probe = match (raw.http, raw.tcp, raw.exec) {
            (Some(path), None, None) => ServiceProbe::Http {
                path: check_path(path)?,
                port: raw
                    .port
                    .ok_or("http needs the port inside the container, as in port: 8080")?
                    .get(),
                answer: answer.read(WantedStatus::Success)?,
            },
            (None, Some(port), None) => {
                no_port("tcp")?;
                answer.none("tcp")?;
                ServiceProbe::Tcp { port: port.get() }
            }
            (None, None, Some(command)) => {
                no_port("exec")?;
                answer.none("exec")?;
                ServiceProbe::Exec {
                    command: check_command(command)?,
                }
            }
            _ => return Err(ONE_OF.into()),
        };
        Ok(Self {
            service: raw.service,
            probe,
            timeout: raw.timeout,
        })
    }
}

impl TryFrom<RawSmoke> for Smoke {
    type Error = String;

    fn try_from(raw: RawSmoke) -> Result<Self, String> {
        let answer = RawAnswer {
            status: raw.status,
            contains: raw.contains,
            json: raw.json,
        };
        let no_service = |probe: &str| only_with("service", raw.service.is_some(), "exec", probe);
        let no_latency = |probe: &str| only_with("latency", raw.latency.is_some(), "http", probe);
        let probe = match (raw.http, raw.tcp, raw.exec) {
            (Some(url), None, None) => {
                no_service("http")?;
                SmokeProbe::Http {
                    url: http_url(&url)?,
                    answer: answer.read(WantedStatus::SuccessOrRedirect)?,
                }
            }
            (None, Some(address), None) => {
                no_service("tcp")?;
                no_latency("tcp")?;
                answer.none("tcp")?;
                SmokeProbe::Tcp(read_address(&address)?)
            }
            (None, None, Some(command)) => {
                no_latency("exec")?;
                answer.none("exec")?;
                SmokeProbe::Exec {
                    service: raw
                        .service
                        .ok_or("exec needs the service that it runs in, as in service: web")?,
                    command: check_command(command)?,
                }
            }
            _ => return Err(ONE_OF.into()),
        };
        Ok(Self {
            probe,
            timeout: raw.timeout,
            latency: raw.latency.map(Latency::try_from).transpose()?,
        })
    }
}

impl TryFrom<RawLatency> for Latency {
    type Error = String;

    fn try_from(raw: RawLatency) -> Result<Self, String> {
        let RawLatency { samples, at_most } = raw;
        // Fewer have no median to speak of, more are a load test.
        if !(3..=200).contains(&samples) {
            return Err(format!("samples: {samples} is not between 3 and 200"));
        }
        // What is not a number is not between them either.
        if !(at_most > 1.0 && at_most <= 100.0) {
            return Err(format!(
                "at_most: {at_most} must be more than 1 and at most 100: the factor by which \
                 the median may grow"
            ));
        }
        Ok(Self { samples, at_most })
    }
}

/// What is put behind `http://host:port` must not be able to change those.
fn check_path(path: String) -> Result<String, String> {
    let odd = |c: char| c.is_control() || c.is_whitespace() || c == '#' || c == '\\';
    if !path.starts_with('/') || path.contains(odd) {
        return Err(format!(
            "\"{}\" is not a path: it begins with / and has no space, # or backslash; the service \
             is asked on its own address",
            path.escape_default()
        ));
    }
    Ok(path)
}

fn read_address(text: &str) -> Result<TcpAddress, String> {
    let refuse = || {
        let shown = text.escape_default();
        format!("\"{shown}\" is not host and port, as in 127.0.0.1:5432 or [::1]:5432")
    };
    let (host, port) = text.rsplit_once(':').ok_or_else(refuse)?;
    let bracketed = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let ok = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let valid = match bracketed {
        Some(host) => host.parse::<std::net::Ipv6Addr>().is_ok(),
        None => !host.is_empty() && host.chars().all(ok),
    };
    let port: NonZeroU16 = port.parse().map_err(|_| refuse())?;
    if !valid {
        return Err(refuse());
    }
    Ok(TcpAddress {
        host: bracketed.unwrap_or(host).to_owned(),
        port: port.get(),
    })
}

fn timeout<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let timeout = document::duration(deserializer)?;
    if (MIN_TIMEOUT..=MAX_TIMEOUT).contains(&timeout) {
        return Ok(timeout);
    }
    let timeout = humantime::format_duration(timeout);
    Err(serde::de::Error::custom(format!(
        "a timeout of {timeout} is not between 1s and 1h"
    )))
}

/// More than a sentence, and little enough to be searched for in no time.
const LONGEST_TEXT: usize = 1000;

/// Below a second a busy host fails by chance.
const MIN_TIMEOUT: Duration = Duration::from_secs(1);
/// Above an hour a deploy would rather look stuck than be patient.
const MAX_TIMEOUT: Duration = Duration::from_secs(60 * 60);

fn ready_timeout() -> Duration {
    Duration::from_secs(60)
}

fn smoke_timeout() -> Duration {
    Duration::from_secs(30)
}

fn default_samples() -> u16 {
    20
}
