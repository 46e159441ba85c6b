//! Takes webhooks: a request that is signed with the secret rings a bell, and does nothing else.

use std::sync::{Arc, PoisonError, RwLock};

use axum::body::{Body, HttpBody};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use futures_util::StreamExt;

use super::refusals::Refusals;
use super::settings::Secret;
use super::signature::Check;
use crate::bell::Bell;
use crate::events::Events;

/// Most bytes of a body. It is hashed and not kept, so this bounds time, not memory.
const LARGEST: usize = 1024 * 1024;

/// What webhooks are checked with, and the bell that they ring. Cloning is cheap.
#[derive(Clone)]
pub(super) struct Hooks {
    /// `None` = there are no webhooks.
    secret: Arc<RwLock<Option<Arc<Secret>>>>,
    bell: Bell,
    refusals: Refusals,
}

impl Hooks {
    pub(super) fn new(bell: Bell, events: &Events) -> Self {
        Self {
            secret: Arc::default(),
            bell,
            refusals: Refusals::new(events.clone()),
        }
    }

    /// Takes another secret from now on.
    pub(super) fn set_secret(&self, secret: Option<Arc<Secret>>) {
        *self.secret.write().unwrap_or_else(PoisonError::into_inner) = secret;
    }

    fn secret(&self) -> Option<Arc<Secret>> {
        let secret = self.secret.read();
        secret.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Refuses without saying what is wrong; the host's own people are told.
    fn refuse(&self) -> StatusCode {
        self.refusals.count();
        StatusCode::UNAUTHORIZED
    }
}

/// Answers `POST /webhook`: 202 once a look is asked for.
pub(super) async fn receive(
    State(hooks): State<Hooks>,
    headers: HeaderMap,
    body: Body,
) -> StatusCode {
    let Some(secret) = hooks.secret() else {
        return StatusCode::NOT_FOUND;
    };
    // What Content-Length says, before a byte of it is read.
    if usize::try_from(body.size_hint().lower()).map_or(true, |length| length > LARGEST) {
        return StatusCode::PAYLOAD_TOO_LARGE;
    }
    let Some(mut check) = Check::of(&headers, &secret) else {
        return hooks.refuse();
    };
    let mut length = 0;
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let Ok(piece) = piece else {
            return StatusCode::BAD_REQUEST;
        };
        length += piece.len();
        if length > LARGEST {
            return StatusCode::PAYLOAD_TOO_LARGE;
        }
        check.take_in(&piece);
    }
    if !check.holds() {
        return hooks.refuse();
    }
    hooks.bell.ring();
    StatusCode::ACCEPTED
}
