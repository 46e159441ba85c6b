//! Opens the way to the engine: where it listens, which version of its API both sides speak,
//! and how long a call may take.

use std::future::Future;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bollard::models::SystemInfo;
use bollard::{API_DEFAULT_VERSION, BollardRequest, ClientVersion};
use tokio::net::{TcpStream, UnixStream};
use tokio::sync::{Mutex, OnceCell};

use super::error;
use super::from_engine::{EngineDefaults, SwapLimit};
use super::greeting::exchange;
use super::registry::{Quotas, url_safe};
use super::transport;
use crate::engine::EngineError;
use crate::engine::api::ApiVersion;
use crate::registries::Logins;

/// Time for one question or one small change. The slowest of them, a create, takes 7 ms on an
/// idle engine; an engine that is busy starting fifty containers has answered after seconds.
pub(super) const CALL_LIMIT: Duration = Duration::from_secs(60);

/// Time for the question which version the engine speaks, which it answers without any work.
const GREETING_LIMIT: Duration = Duration::from_secs(10);

/// bollard's own limit for an answer to begin. Every call has its own deadline here, so this one
/// only has to be longer than the longest of them.
pub(super) const LIBRARY_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// A Docker engine. Cheap to make: nothing is opened before the first call.
pub struct Docker {
    endpoint: Endpoint,
    session: Arc<Mutex<Option<Session>>>,
    /// Held while a network is made: the engine does not keep names apart.
    pub(super) making_network: Mutex<()>,
    /// What the engine is given for the registries that it asks.
    pub(super) logins: Logins,
    /// Which registries are left in peace.
    pub(super) quotas: Quotas,
}

/// What was learnt of the engine that listens: it holds until a connection breaks, because the one
/// that answers then may be of another version, or configured otherwise.
#[derive(Clone)]
struct Session {
    client: bollard::Docker,
    about: Arc<OnceCell<Arc<SystemInfo>>>,
}

impl Docker {
    /// Takes note of where the engine listens: `unix:///var/run/docker.sock`,
    /// `tcp://host:port` or `http://host:port`. Does no I/O.
    pub fn connect(endpoint: &str) -> Result<Self, EngineError> {
        let endpoint = Endpoint::parse(endpoint).map_err(|cause| EngineError::Unavailable {
            endpoint: endpoint.to_owned(),
            doing: "connect".to_owned(),
            cause,
        })?;
        Ok(Self {
            endpoint,
            session: Arc::default(),
            making_network: Mutex::new(()),
            logins: Logins::default(),
            quotas: Quotas::default(),
        })
    }

    /// Returns the client, after asking the engine once a session which version it speaks.
    pub(super) async fn client(&self, doing: &str) -> Result<bollard::Docker, EngineError> {
        Ok(self.session(doing).await?.client)
    }

    async fn session(&self, doing: &str) -> Result<Session, EngineError> {
        let mut known = self.session.lock().await;
        if let Some(session) = known.as_ref() {
            return Ok(session.clone());
        }
        let session = Session {
            client: self.open(doing).await?,
            about: Arc::default(),
        };
        *known = Some(session.clone());
        Ok(session)
    }

    /// Returns what ends the session: it outlives this value.
    pub(super) fn end_of_session(&self) -> impl Future<Output = ()> + Send + use<> {
        let session = Arc::clone(&self.session);
        async move { *session.lock().await = None }
    }

    /// Runs one request to its end within a deadline.
    pub(super) fn call<T>(
        &self,
        doing: &str,
        limit: Duration,
        request: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> impl Future<Output = Result<T, EngineError>> {
        let translate = move |error: &_| error::translate(&self.address(), doing, error);
        self.call_translated(doing, limit, request, translate)
    }

    /// Does the same, with words of the caller for what the engine refuses.
    pub(super) async fn call_translated<T>(
        &self,
        doing: &str,
        limit: Duration,
        request: impl Future<Output = Result<T, bollard::errors::Error>>,
        translate: impl FnOnce(&bollard::errors::Error) -> EngineError,
    ) -> Result<T, EngineError> {
        tracing::debug!(doing, "asking the engine");
        match tokio::time::timeout(limit, request).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                let failure = translate(&error);
                if matches!(failure, EngineError::Unavailable { .. }) {
                    self.end_of_session().await;
                }
                Err(failure)
            }
            Err(_) => Err(EngineError::TimedOut {
                doing: doing.to_owned(),
                limit,
            }),
        }
    }

    /// Returns what the engine says of itself. Asked once a session: it takes the engine 6 to 10 ms.
    pub(super) async fn about(&self, doing: &str) -> Result<Arc<SystemInfo>, EngineError> {
        let session = self.session(doing).await?;
        let ask = async || {
            let info = self.call(doing, CALL_LIMIT, session.client.info());
            info.await.map(Arc::new)
        };
        session.about.get_or_try_init(ask).await.cloned()
    }

    /// Returns how the engine is configured, for an answer that can't be read without.
    pub(super) async fn defaults(&self, doing: &str) -> Result<EngineDefaults, EngineError> {
        let info = self.about(doing).await?;
        let usual = EngineDefaults::default();
        let named = |name: &Option<String>, usual| name.clone().unwrap_or(usual);
        Ok(EngineDefaults {
            swap: match info.swap_limit {
                Some(false) => SwapLimit::Unsupported,
                Some(true) | None => SwapLimit::Supported,
            },
            logging_driver: named(&info.logging_driver, usual.logging_driver),
            runtime: named(&info.default_runtime, usual.runtime),
        })
    }

    /// Returns where the engine listens, for messages.
    pub(super) fn address(&self) -> String {
        self.endpoint.to_string()
    }

    async fn open(&self, doing: &str) -> Result<bollard::Docker, EngineError> {
        let unavailable = |failure: &io::Error| EngineError::Unavailable {
            endpoint: self.address(),
            doing: doing.to_owned(),
            cause: error::explain(failure),
        };
        let greeting = tokio::time::timeout(GREETING_LIMIT, self.endpoint.greet());
        let offered = match greeting.await {
            Ok(Ok(version)) => version,
            Ok(Err(failure)) => return Err(unavailable(&failure)),
            Err(_) => {
                return Err(EngineError::TimedOut {
                    doing: doing.to_owned(),
                    limit: GREETING_LIMIT,
                });
            }
        };
        let version = offered.min(version_of(API_DEFAULT_VERSION));
        let library_version = ClientVersion {
            major_version: version.0,
            minor_version: version.1,
        };
        let client = match &self.endpoint {
            Endpoint::Unix(path) => transport::over_socket(path, &library_version),
            Endpoint::Tcp(authority) => transport::over_tcp(authority, &library_version),
        };
        let client =
            client.map_err(|failure| error::translate(&self.address(), doing, &failure))?;
        Ok(client.with_request_modifier(move |request| with_version(url_safe(request), version)))
    }
}

/// Returns `name` if it can stand in the path of a request. The library puts names there as they
/// are: `../networks/x` would reach another object, and `?` or `#` would end the path.
pub(super) fn in_path<'a>(doing: &str, name: &'a str) -> Result<&'a str, EngineError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._:/@+-".contains(&byte);
    let fits = |part: &str| !part.is_empty() && part != "." && part != "..";
    if name.bytes().all(plain) && name.split('/').all(fits) {
        Ok(name)
    } else {
        Err(EngineError::Refused {
            doing: doing.to_owned(),
            cause: format!("{name:?} is not a name that an engine gives"),
        })
    }
}

/// Returns the version of the API that both sides speak.
pub(super) fn api_version(client: &bollard::Docker) -> ApiVersion {
    let (major, minor) = version_of(&client.client_version());
    ApiVersion { major, minor }
}

/// Returns a client that sends this body in the place of any other: for a key that an engine knows
/// and the library does not.
pub(super) fn with_body(client: &bollard::Docker, body: Vec<u8>) -> bollard::Docker {
    let version = version_of(&client.client_version());
    client.clone().with_request_modifier(move |mut request| {
        *request.body_mut() = bollard::body_full(body.clone().into());
        with_version(request, version)
    })
}

/// Returns a client that asks for this path in the place of any other: for an answer that the
/// library can't read.
pub(super) fn with_path(client: &bollard::Docker, path: &'static str) -> bollard::Docker {
    let version = version_of(&client.client_version());
    client.clone().with_request_modifier(move |mut request| {
        put_path(&mut request, path);
        with_version(request, version)
    })
}

fn version_of(version: &ClientVersion) -> (usize, usize) {
    (version.major_version, version.minor_version)
}

/// Puts the version before the path. bollard 0.21 knows the version but loses it when it joins
/// the URL; an engine takes a request without one to be in its own newest version, whose answers
/// we may not know.
fn with_version(mut request: BollardRequest, version: (usize, usize)) -> BollardRequest {
    let uri = request.uri();
    let prefix = format!("/v{}.{}/", version.0, version.1);
    if !uri.path().starts_with(&prefix)
        && let Some(rest) = uri.path_and_query()
    {
        let path = rest.as_str().trim_start_matches('/');
        let path = format!("{prefix}{path}");
        put_path(&mut request, &path);
    }
    request
}

fn put_path(request: &mut BollardRequest, path: &str) {
    let uri = request.uri();
    if let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority())
        && let Ok(there) = format!("{scheme}://{authority}{path}").parse()
    {
        *request.uri_mut() = there;
    }
}

/// Where an engine listens.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Endpoint {
    /// Path of a socket.
    Unix(String),
    /// `host:port`, without encryption.
    Tcp(String),
}

impl Endpoint {
    fn parse(text: &str) -> Result<Self, String> {
        if let Some(path) = text.strip_prefix("unix://") {
            return if path.starts_with('/') && path.len() > 1 {
                Ok(Self::Unix(path.to_owned()))
            } else {
                Err(
                    "the path of the socket must be absolute: unix:///var/run/docker.sock"
                        .to_owned(),
                )
            };
        }
        let address = text
            .strip_prefix("tcp://")
            .or_else(|| text.strip_prefix("http://"));
        match address.map(|address| address.trim_end_matches('/')) {
            Some(address) if is_authority(address) => Ok(Self::Tcp(address.to_owned())),
            Some(_) => {
                Err("the address must be a host and a port: tcp://127.0.0.1:2375".to_owned())
            }
            None => Err("unix:///path, tcp://host:port or http://host:port is expected".to_owned()),
        }
    }

    /// Asks for the version of the API in one exchange. `/_ping` is answered without work, while
    /// the `/version` that the library would ask takes the engine 6 ms.
    async fn greet(&self) -> io::Result<(usize, usize)> {
        match self {
            Self::Unix(path) => exchange(UnixStream::connect(path).await?).await,
            Self::Tcp(authority) => exchange(TcpStream::connect(authority).await?).await,
        }
    }
}

impl std::fmt::Display for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unix(path) => write!(f, "unix://{path}"),
            Self::Tcp(authority) => write!(f, "tcp://{authority}"),
        }
    }
}

fn is_authority(text: &str) -> bool {
    match text.rsplit_once(':') {
        Some((host, port)) => {
            !host.is_empty()
                && !host.contains(['/', '@', '?', '#', ' '])
                && port.parse::<u16>().is_ok()
        }
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::scripted;
    use futures_util::StreamExt as _;

    use super::*;
    use crate::engine::ReadEngine as _;

    #[test]
    fn endpoints() {
        let unix = |path: &str| Ok(Endpoint::Unix(path.to_owned()));
        let tcp = |address: &str| Ok(Endpoint::Tcp(address.to_owned()));
        assert_eq!(
            Endpoint::parse("unix:///var/run/docker.sock"),
            unix("/var/run/docker.sock")
        );
        assert_eq!(Endpoint::parse("tcp://10.0.0.1:2375"), tcp("10.0.0.1:2375"));
        assert_eq!(
            Endpoint::parse("http://localhost:2375/"),
            tcp("localhost:2375")
        );
        assert_eq!(Endpoint::parse("tcp://[::1]:2375"), tcp("[::1]:2375"));
        for bad in [
            "",
            "/var/run/docker.sock",
            "unix://docker.sock",
            "unix:///",
            "tcp://host",
            "tcp://host:port",
            "tcp://:2375",
            "tcp://host:99999",
            "http://user@host:1/x",
            "https://host:2376",
            "ssh://host",
        ] {
            assert!(Endpoint::parse(bad).is_err(), "{bad}");
            let refused = Docker::connect(bad).err();
            assert!(
                matches!(refused, Some(EngineError::Unavailable { .. })),
                "{bad}"
            );
        }
    }

    #[test]
    fn names_stay_in_their_place_in_the_path() {
        for good in ["web-1", "a_b.c", "r.example:5000/a/b:v1@sha256:00", "+x"] {
            assert_eq!(in_path("look", good), Ok(good));
        }
        for bad in [
            "", "..", "../x", "a/../b", "a//b", "/a", "a/", "a?b", "a#b", "a%2fb", "a b", "ä",
        ] {
            let refused = in_path("look", bad);
            assert!(matches!(refused, Err(EngineError::Refused { .. })), "{bad}");
        }
    }

    #[tokio::test]
    async fn something_else_than_an_engine_is_said_so() {
        let (endpoint, server) = scripted::serve("none", vec![(Some("404 Not Found"), "")]).await;
        let error = Docker::connect(&endpoint)
            .unwrap()
            .client("look")
            .await
            .unwrap_err();
        assert_eq!(server.await.unwrap(), ["GET /_ping"]);
        assert!(matches!(error, EngineError::Unavailable { .. }), "{error}");
        assert!(
            error
                .to_string()
                .contains("does not answer like a container engine"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn requests_carry_the_negotiated_version() {
        for (offered, spoken) in [("1.41", "1.41"), ("1.45", "1.45"), ("1.99", "1.53")] {
            let answers = vec![scripted::GREETING, (Some("200 OK"), "[]")];
            let (endpoint, server) = scripted::serve(offered, answers).await;
            let docker = Docker::connect(&endpoint).unwrap();
            assert_eq!(docker.networks().await, Ok(Vec::new()));
            let client = docker.client("look").await.unwrap();
            assert_eq!(api_version(&client).to_string(), spoken);
            let lines = server.await.unwrap();
            assert_eq!(lines, ["GET /_ping", &format!("GET /v{spoken}/networks")]);
        }
    }

    #[tokio::test]
    async fn requests_over_a_socket_carry_it_too() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("engine.sock");
        let answers = vec![scripted::GREETING, (Some("200 OK"), "[]")];
        let server = scripted::serve_socket(&socket, "1.41", answers);
        let docker = Docker::connect(&format!("unix://{}", socket.display())).unwrap();
        assert_eq!(docker.containers().await, Ok(Vec::new()));
        let list = "GET /v1.41/containers/json?all=true";
        assert_eq!(server.await.unwrap(), ["GET /_ping", list]);
    }

    #[tokio::test]
    async fn an_engine_that_comes_back_is_greeted_again() {
        let answers = vec![(None, ""), scripted::GREETING, (Some("200 OK"), "[]")];
        let (endpoint, server) = scripted::serve("1.41", answers).await;
        let docker = Docker::connect(&endpoint).unwrap();
        let error = docker.networks().await.unwrap_err();
        assert!(matches!(error, EngineError::Unavailable { .. }), "{error}");
        assert_eq!(docker.networks().await, Ok(Vec::new()));
        assert_eq!(server.await.unwrap().len(), 3);
    }

    #[tokio::test]
    async fn an_engine_that_may_be_another_one_is_asked_everything_again() {
        const OK: Option<&str> = Some("200 OK");
        let local = (
            OK,
            r#"{"Id":"1","HostConfig":{"LogConfig":{"Type":"local"}}}"#,
        );
        let answers = vec![
            scripted::GREETING,
            local,
            (OK, r#"{"LoggingDriver":"json-file"}"#),
            (OK, ""),
            scripted::GREETING,
            local,
            (OK, r#"{"LoggingDriver":"local"}"#),
            local,
        ];
        let (endpoint, server) = scripted::serve("1.41", answers).await;
        let docker = Docker::connect(&endpoint).unwrap();
        let driver = async || {
            let shown = docker.container("1").await.unwrap().unwrap();
            shown.spec.logging.clone().map(|logging| logging.driver)
        };
        assert_eq!(driver().await.as_deref(), Some("local"));
        // The engine is restarted: its events break off.
        assert_eq!(docker.changes().await.unwrap().next().await, None);
        assert_eq!((driver().await, driver().await), (None, None));
        let lines = server.await.unwrap();
        let asked = |path: &str| lines.iter().filter(|line| line.ends_with(path)).count();
        assert_eq!((asked("/_ping"), asked("/info")), (2, 2), "{lines:?}");
    }
}
