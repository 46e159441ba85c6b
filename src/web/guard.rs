//! Refuses what nobody sends who may ask: web pages in somebody's browser, and requests for a
//! name that is not ours.
//!
//! A page can have a browser ask whatever the browser reaches, this host's loopback included,
//! and by a name of its own that it lets point there (DNS rebinding) it could read the answer.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};

use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HOST, HeaderValue, ORIGIN, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, StatusCode, Uri, Version};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::router::WEBHOOK;

/// The names of this host. Cloning is cheap.
#[derive(Clone, Default)]
pub(super) struct Guard {
    /// In lower case.
    names: Arc<RwLock<BTreeSet<String>>>,
}

impl Guard {
    /// Takes other names from now on.
    pub(super) fn set_names(&self, names: BTreeSet<String>) {
        *self.names.write().unwrap_or_else(PoisonError::into_inner) = names;
    }

    /// Returns how a request is refused, if it is.
    fn refuses(&self, request: &Request) -> Option<StatusCode> {
        let headers = request.headers();
        if from_a_page(headers) {
            return Some(StatusCode::FORBIDDEN);
        }
        match host(request.uri(), headers) {
            // Before HTTP/1.1 it could be left out, and some health checks do; no browser does.
            Ok(None) if request.version() < Version::HTTP_11 => None,
            Ok(None) | Err(BadHost) => Some(StatusCode::BAD_REQUEST),
            // Its signature says more than a name, and a proxy may hand on its own.
            Ok(Some(_)) if request.uri().path() == WEBHOOK => None,
            Ok(Some(host)) => (!self.is_ours(&host)).then_some(StatusCode::MISDIRECTED_REQUEST),
        }
    }

    /// Returns whether this is a name of ours. An address is: nobody can let it point elsewhere.
    fn is_ours(&self, host: &Authority) -> bool {
        let host = host.host().to_ascii_lowercase();
        let bare = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        if bare.unwrap_or(&host).parse::<IpAddr>().is_ok() || host == "localhost" {
            return true;
        }
        let names = self.names.read().unwrap_or_else(PoisonError::into_inner);
        names.contains(host.strip_suffix('.').unwrap_or(&host))
    }
}

/// Lets a request through, or refuses it before its body is read.
pub(super) async fn guard(State(guard): State<Guard>, request: Request, next: Next) -> Response {
    match guard.refuses(&request) {
        Some(status) => status.into_response(),
        None => next.run(request).await,
    }
}

/// Says of an answer that it is nothing to show, to keep or to guess at.
pub(super) async fn bare(mut answer: Response) -> Response {
    let headers = answer.headers_mut();
    for (name, value) in [
        (CACHE_CONTROL, "no-store"),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; frame-ancestors 'none'",
        ),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}

/// Returns whether a page had a browser send this. One that a person typed in says `none`.
fn from_a_page(headers: &HeaderMap) -> bool {
    let mut sites = headers.get_all("sec-fetch-site").into_iter();
    headers.contains_key(ORIGIN) || sites.any(|site| site != "none")
}

/// The host is there twice, or is none.
struct BadHost;

/// Returns the host that is asked for; `None` = no word of it (RFC 9112, section 3.2).
fn host(uri: &Uri, headers: &HeaderMap) -> Result<Option<Authority>, BadHost> {
    let mut hosts = headers.get_all(HOST).into_iter();
    let (first, second) = (hosts.next(), hosts.next());
    if second.is_some() {
        return Err(BadHost);
    }
    if let Some(authority) = uri.authority() {
        return Ok(Some(authority.clone()));
    }
    let Some(first) = first else { return Ok(None) };
    // A user before it is no part of the header, and hides which name it is.
    if first.as_bytes().contains(&b'@') {
        return Err(BadHost);
    }
    let host = Authority::try_from(first.as_bytes());
    host.map(Some).map_err(|_| BadHost)
}
