//! Listens for HTTP: whether the controller runs, and webhooks that ask it for an earlier look.
//!
//! [`Web`] is the listener, which follows the [`Settings`]. Nothing behind it can change anything:
//! the most that a request does is to ring a bell. Modules: `listener` (connections and their
//! deadlines), `guard` (what is refused before it is looked at), `router` (which path is whose),
//! `webhook` and `signature`, `refusals` (how they are told), `settings`.

mod guard;
mod listener;
mod refusals;
mod router;
mod settings;
mod signature;
mod webhook;

pub use listener::Web;
pub use settings::{Secret, SecretError, Settings};
