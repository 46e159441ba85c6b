//! Says which path is whose.

use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::middleware::{from_fn_with_state, map_response};
use axum::routing::{get, post};
use tower_http::timeout::TimeoutLayer;

use super::guard::{Guard, bare, guard};
use super::webhook::{self, Hooks};

/// Where webhooks go.
pub(super) const WEBHOOK: &str = "/webhook";

/// Longest time of a request, its body included.
const REQUEST: Duration = Duration::from_secs(10);

/// Returns everything that is listened for. Another room's routes are merged in here.
pub(super) fn router(hooks: Hooks, names: Guard) -> Router {
    let deadline = TimeoutLayer::with_status_code(StatusCode::REQUEST_TIMEOUT, REQUEST);
    Router::new()
        // That the controller runs; what it is at work on is no matter of health.
        .route("/healthz", get(|| async { "ok\n" }))
        .route(WEBHOOK, post(webhook::receive))
        .with_state(hooks)
        .layer(deadline)
        .layer(from_fn_with_state(names, guard))
        .layer(map_response(bare))
}
