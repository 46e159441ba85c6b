//! Says which path is whose.

use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{get, post};
use tower_http::timeout::TimeoutLayer;

use super::webhook::{self, Hooks};

/// Longest time of a request, its body included.
const REQUEST: Duration = Duration::from_secs(10);

/// Returns everything that is listened for. Another room's routes are merged in here.
pub(super) fn router(hooks: Hooks) -> Router {
    let deadline = TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, REQUEST);
    Router::new()
        // That the controller runs; what it is at work on is no matter of health.
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/webhook", post(webhook::receive))
        .with_state(hooks)
        .layer(deadline)
}
