//! Carries requests to the engine over connections that are kept for a moment: the library's own
//! transports open one for each request, which is a third of a pass without a change.

use std::time::Duration;

use bollard::{BollardRequest, ClientVersion};
use hyper_util::client::legacy::Builder;
use hyper_util::client::legacy::connect::{Connect, HttpConnector};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyperlocal::UnixConnector;

use super::connection::LIBRARY_LIMIT;

/// How long a connection that nobody uses is kept. Longer than any pause within a pass, and shorter
/// than whatever stands before an engine keeps its own.
const KEPT_FOR: Duration = Duration::from_secs(4);

/// Connections that are kept. More than a pass has open at once.
const KEPT: usize = 8;

/// Returns a client for the engine at the socket `path`.
pub(super) fn over_socket(
    path: &str,
    version: &ClientVersion,
) -> Result<bollard::Docker, bollard::errors::Error> {
    client(
        UnixConnector,
        &format!("unix://{}", hex::encode(path)),
        version,
    )
}

/// Returns a client for the engine at `authority`, `host:port`, without encryption.
pub(super) fn over_tcp(
    authority: &str,
    version: &ClientVersion,
) -> Result<bollard::Docker, bollard::errors::Error> {
    client(
        HttpConnector::new(),
        &format!("http://{authority}"),
        version,
    )
}

fn client(
    connector: impl Connect + Clone + Send + Sync + 'static,
    base: &str,
    version: &ClientVersion,
) -> Result<bollard::Docker, bollard::errors::Error> {
    let client = Builder::new(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(KEPT_FOR)
        .pool_max_idle_per_host(KEPT)
        .build(connector);
    let send = move |request: BollardRequest| {
        let answer = client.request(request);
        async move { answer.await.map_err(bollard::errors::Error::from) }
    };
    bollard::Docker::connect_with_custom_transport(
        send,
        Some(base),
        LIBRARY_LIMIT.as_secs(),
        version,
    )
}
