//! An engine that says it is newer than it is: what a program asks of a newer one is written down
//! and passed on to the real one, which passes over the keys that it does not know.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use axum::body::{Body, Bytes, to_bytes};
use hyper::header::{CONTENT_LENGTH, HeaderName, HeaderValue};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::client::legacy::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyperlocal::UnixConnector;
use serde_json::Value;
use tokio::net::UnixListener;
use tokio::runtime::Runtime;

/// What the header of every answer is called that has the version.
const SPOKEN: HeaderName = HeaderName::from_static("api-version");

/// The version that the engine of these tests speaks.
const REAL: &str = "1.41";

/// Most bytes of a request or an answer.
const MOST: usize = 16 * 1024 * 1024;

/// The body of each request for a container, by the container's name.
type Bodies = Arc<Mutex<BTreeMap<String, Value>>>;

/// The socket of such an engine; it is there until this is dropped.
pub(crate) struct NewerEngine {
    dir: tempfile::TempDir,
    bodies: Bodies,
    _runtime: Runtime,
}

impl NewerEngine {
    /// Listens in front of the engine at `socket`, and speaks `version`, `1.51`.
    pub(crate) fn before(socket: &str, version: &'static str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let runtime = Runtime::new().unwrap();
        let bodies = Bodies::default();
        let engine = Passage {
            engine: PathBuf::from(socket),
            version,
            bodies: Arc::clone(&bodies),
        };
        let path = dir.path().join("engine.sock");
        let listener = {
            let _inside = runtime.enter();
            UnixListener::bind(path).unwrap()
        };
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let engine = engine.clone();
                let answer = service_fn(move |request| engine.clone().pass(request));
                let serve = hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), answer);
                tokio::spawn(async move { drop(serve.await) });
            }
        });
        Self {
            dir,
            bodies,
            _runtime: runtime,
        }
    }

    /// Where it listens, as `DOCKER_HOST` says it.
    pub(crate) fn endpoint(&self) -> String {
        format!("unix://{}", self.dir.path().join("engine.sock").display())
    }

    /// Returns what was asked for since the last call, by the name of the container.
    pub(crate) fn asked(&self) -> BTreeMap<String, Value> {
        std::mem::take(&mut *self.bodies.lock().unwrap())
    }
}

#[derive(Clone)]
struct Passage {
    engine: PathBuf,
    version: &'static str,
    bodies: Bodies,
}

impl Passage {
    async fn pass(
        self,
        request: Request<hyper::body::Incoming>,
    ) -> Result<Response<Body>, Infallible> {
        let failed = |error: String| {
            let mut answer = Response::new(Body::from(error));
            *answer.status_mut() = StatusCode::BAD_GATEWAY;
            answer
        };
        Ok(self.ask(request).await.unwrap_or_else(failed))
    }

    async fn ask(&self, request: Request<hyper::body::Incoming>) -> Result<Response<Body>, String> {
        let (mut parts, body) = request.into_parts();
        let body = read(Body::new(body)).await?;
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        if let Some((_, name)) = path.split_once("/containers/create?") {
            let name = name.split('&').find_map(|one| one.strip_prefix("name="));
            let asked = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
            let name = name.unwrap_or_default().to_owned();
            self.bodies.lock().unwrap().insert(name, asked);
        }
        let path = path.replacen(&format!("/v{}/", self.version), &format!("/v{REAL}/"), 1);
        parts.uri = hyperlocal::Uri::new(&self.engine, &path).into();
        parts.headers.remove("connection");
        let request = Request::from_parts(parts, Body::from(body));
        let client = Client::builder(TokioExecutor::new()).build(UnixConnector);
        let answer = client.request(request).await;
        let (mut parts, body) = answer.map_err(|error| error.to_string())?.into_parts();
        let mut body = read(Body::new(body)).await?;
        if path.ends_with("/version") {
            let text = String::from_utf8_lossy(&body).into_owned();
            let says = |version| format!("\"ApiVersion\":\"{version}\"");
            body = text.replace(&says(REAL), &says(self.version)).into();
        }
        parts.headers.remove(CONTENT_LENGTH);
        parts.headers.remove("transfer-encoding");
        parts
            .headers
            .insert(SPOKEN, HeaderValue::from_static(self.version));
        Ok(Response::from_parts(parts, Body::from(body)))
    }
}

async fn read(body: Body) -> Result<Bytes, String> {
    to_bytes(body, MOST)
        .await
        .map_err(|error| error.to_string())
}
