//! Asks a service or an address once, within a time limit that holds whatever the other side does.
//!
//! Every question is a new connection, as a new visitor makes it: one that is kept open may end
//! at a proxy's old worker or at the container before. Redirects are not followed, proxies of the
//! environment are not used, certificates are checked. Module `post` sends a [`Letter`] to a receiver.

mod answer;
mod post;
#[cfg(test)]
pub(crate) mod tests;

use std::error::Error as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::LazyLock;
use std::time::Duration;

use reqwest::header::{HOST, LOCATION};
use reqwest::redirect::Policy;
use reqwest::{Client, ClientBuilder, RequestBuilder, Response, StatusCode};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use url::Url;

pub use answer::excerpt;
pub use post::{Letter, post};

use crate::desired::checks::{Answer, TcpAddress, WantedStatus};
use crate::secret::escape_control;

/// An answer that was as wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Its status.
    pub status: u16,
    /// From the question to the end of the answer, the connection included.
    pub took: Duration,
}

/// Why a probe did not pass.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProbeFailure {
    /// Nobody can be asked at all.
    #[error("the HTTP client can't be made: {0}")]
    Client(String),
    /// There is no connection.
    #[error("can't connect: {0}")]
    Unreachable(String),
    /// There is a connection, and behind it nobody.
    #[error("the connection was accepted and closed at once: nothing listens behind it")]
    ClosedAtOnce,
    /// Nothing came within the limit.
    #[error("no answer within {}", rounded(*.0))]
    NoAnswer(Duration),
    /// The answer began, and did not end within the limit.
    #[error("answered {} and did not come to an end within {}", status_line(*.status), rounded(*.limit))]
    Unfinished {
        /// How it began.
        status: u16,
        /// The limit.
        limit: Duration,
    },
    /// The connection broke before the answer was whole.
    #[error("no whole answer came: {0}")]
    Broken(String),
    /// The answer has another status.
    #[error("answered {}{}, wanted {wanted}", status_line(*.status), leads_to(.location.as_deref()))]
    Status {
        /// The status it has.
        status: u16,
        /// Where it leads to, if it does, without the query.
        location: Option<String>,
        /// The status it should have.
        wanted: WantedStatus,
    },
    /// The body is not as wanted.
    #[error("{0}")]
    Body(String),
}

impl ProbeFailure {
    /// Returns the status that was answered, if anything was.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Unfinished { status, .. } | Self::Status { status, .. } => Some(*status),
            Self::Client(_)
            | Self::Unreachable(_)
            | Self::ClosedAtOnce
            | Self::NoAnswer(_)
            | Self::Broken(_)
            | Self::Body(_) => None,
        }
    }
}

/// Asks an address once, by a GET request, and checks the answer.
///
/// The body is read to its end even when it does not matter: an answer that stops halfway is
/// none. At most 1 MiB of it is read.
///
/// # Errors
/// Why it is not as wanted; at the latest after `limit`.
pub async fn http(url: &Url, expect: &Answer, limit: Duration) -> Result<Answered, ProbeFailure> {
    ask(client()?.get(url.clone()), expect, limit).await
}

/// Asks a service like [`http`], on the address that its container has.
///
/// It is called `localhost`, as by a health check inside the container: many applications refuse
/// names that are not in a list of theirs, and nobody has an address of the engine's in there.
///
/// # Errors
/// Why the answer is not as wanted; at the latest after `limit`.
pub async fn http_inside(
    address: IpAddr,
    port: u16,
    path: &str,
    expect: &Answer,
    limit: Duration,
) -> Result<Answered, ProbeFailure> {
    // Host and port can't be anything else: the path begins with a slash.
    let url = format!("http://{}{path}", SocketAddr::new(address, port));
    let request = client()?.get(url).header(HOST, format!("localhost:{port}"));
    ask(request, expect, limit).await
}

async fn ask(
    request: RequestBuilder,
    expect: &Answer,
    limit: Duration,
) -> Result<Answered, ProbeFailure> {
    let began = Instant::now();
    let response = send(request, limit).await?;
    let status = response.status().as_u16();
    if !expect.status.accepts(status) {
        return Err(ProbeFailure::Status {
            status,
            location: location(&response),
            wanted: expect.status,
        });
    }
    let left = limit.saturating_sub(began.elapsed());
    let body = timeout(left, read_body(response, MAX_BODY))
        .await
        .map_err(|_| ProbeFailure::Unfinished { status, limit })??;
    let took = began.elapsed();
    answer::check(expect, &body).map_err(ProbeFailure::Body)?;
    Ok(Answered { status, took })
}

async fn send(request: RequestBuilder, limit: Duration) -> Result<Response, ProbeFailure> {
    match timeout(limit, request.send()).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => {
            let (connects, said) = (error.is_connect(), words(&error.without_url()));
            Err(if connects {
                ProbeFailure::Unreachable(said)
            } else {
                ProbeFailure::Broken(said)
            })
        }
        Err(_) => Err(ProbeFailure::NoAnswer(limit)),
    }
}

/// Asks an address once, by a GET request, and returns the text that it answers: at most 256
/// bytes, without white space around.
///
/// Unlike everywhere else, a certificate is not checked: this asks a listener of our own proxy
/// for what is no secret, by whatever name, and a certificate that has run out must not hold a
/// release up.
///
/// # Errors
/// There is no answer with a status of 200 to 299; at the latest after `limit`.
pub async fn text(url: &Url, limit: Duration) -> Result<String, ProbeFailure> {
    let began = Instant::now();
    let client = made(&UNCHECKED)?;
    let response = send(client.get(url.clone()), limit).await?;
    let status = response.status().as_u16();
    let wanted = WantedStatus::Success;
    if !wanted.accepts(status) {
        let location = location(&response);
        return Err(ProbeFailure::Status {
            status,
            location,
            wanted,
        });
    }
    let left = limit.saturating_sub(began.elapsed());
    let body = timeout(left, read_body(response, MAX_TEXT))
        .await
        .map_err(|_| ProbeFailure::Unfinished { status, limit })??;
    Ok(String::from_utf8_lossy(&body.bytes).trim().to_owned())
}

/// Connects once.
///
/// A connection that is closed at once is a failure: the engine's proxy of a published port
/// accepts whether anything listens behind it or not.
///
/// # Errors
/// Why there is no connection; at the latest after `limit`.
pub async fn tcp(address: &TcpAddress, limit: Duration) -> Result<(), ProbeFailure> {
    let connecting = TcpStream::connect((address.host.as_str(), address.port));
    let stream = timeout(limit, connecting)
        .await
        .map_err(|_| ProbeFailure::NoAnswer(limit))?
        .map_err(|error| ProbeFailure::Unreachable(plain(&error.to_string())))?;
    let mut first = [0];
    match timeout(CLOSED_AT_ONCE.min(limit), stream.peek(&mut first)).await {
        Ok(Ok(0) | Err(_)) => Err(ProbeFailure::ClosedAtOnce),
        Ok(Ok(_)) | Err(_) => Ok(()),
    }
}

/// The engine's proxy closes within a millisecond on a busy host too; a client that says nothing
/// is borne longer by every server.
const CLOSED_AT_ONCE: Duration = Duration::from_millis(100);

/// A health page has some hundred bytes.
const MAX_BODY: usize = 1024 * 1024;

/// A marker has some twenty bytes.
const MAX_TEXT: usize = 256;

/// As much of an answer as was read.
pub(crate) struct Body {
    bytes: Vec<u8>,
    whole: bool,
}

static CLIENT: Made = LazyLock::new(|| make(ClientBuilder::new()));

/// Never for an address that a secret is sent to or that is not our own.
static UNCHECKED: Made =
    LazyLock::new(|| make(ClientBuilder::new().danger_accept_invalid_certs(true)));

type Made = LazyLock<Result<Client, String>>;

fn make(builder: ClientBuilder) -> Result<Client, String> {
    builder
        .redirect(Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(0)
        .http1_only()
        .user_agent(concat!("moored/", env!("CARGO_PKG_VERSION")))
        .build()
        .map_err(|error| words(&error))
}

fn client() -> Result<&'static Client, ProbeFailure> {
    made(&CLIENT)
}

fn made(client: &'static Made) -> Result<&'static Client, ProbeFailure> {
    client
        .as_ref()
        .map_err(|error| ProbeFailure::Client(error.clone()))
}

async fn read_body(mut response: Response, most: usize) -> Result<Body, ProbeFailure> {
    let mut bytes = Vec::new();
    while let Some(chunk) = response
        .chunk()
        .await
        .map_err(|error| ProbeFailure::Broken(words(&error)))?
    {
        let room = most.saturating_sub(bytes.len());
        bytes.extend(chunk.iter().take(room));
        if chunk.len() > room {
            return Ok(Body {
                bytes,
                whole: false,
            });
        }
    }
    Ok(Body { bytes, whole: true })
}

/// Returns where an answer leads to, without the query: that may be a secret.
fn location(response: &Response) -> Option<String> {
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    let location = location.split(['?', '#']).next()?;
    Some(answer::excerpt(location.as_bytes()))
}

fn leads_to(location: Option<&str>) -> String {
    location.map_or_else(String::new, |location| format!(" (to {location})"))
}

fn status_line(status: u16) -> String {
    let reason = StatusCode::from_u16(status)
        .ok()
        .and_then(|status| status.canonical_reason());
    reason.map_or_else(|| status.to_string(), |reason| format!("{status} {reason}"))
}

/// Returns the innermost cause: the others say only that there was an error.
fn words(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = error.to_string();
        cause = error.source();
    }
    plain(&text)
}

/// Returns a message of the system for people: without its number, in one line, bounded.
fn plain(text: &str) -> String {
    let text = text.split(" (os error").next().unwrap_or(text);
    let mut chars = text.chars();
    let first = chars.next().into_iter().flat_map(char::to_lowercase);
    let text: String = first.chain(chars).take(LONGEST_MESSAGE).collect();
    escape_control(&text).replace('\n', " ")
}

/// Longest message of a library that is told, in characters.
const LONGEST_MESSAGE: usize = 200;

/// Returns a duration as a person would say it.
fn rounded(duration: Duration) -> humantime::FormattedDuration {
    let ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let unit = if ms < 995 { 10 } else { 1000 };
    let ms = ms.saturating_add(unit / 2) / unit * unit;
    humantime::format_duration(Duration::from_millis(ms))
}
