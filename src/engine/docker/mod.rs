//! Reaches a Docker engine over its API with bollard: the only room that knows the client
//! library.
//!
//! [`Docker`] implements both halves of the seam. The two mappings between our words and the
//! engine's are pure: `to_engine` writes a request, `from_engine` reads an answer, and what
//! one wrote the other reads back the same.

mod connection;
mod content;
mod copy;
mod error;
mod events;
mod exec;
mod from_engine;
mod greeting;
mod list;
mod logs;
mod mounts;
mod neighbours;
mod networks;
mod pull;
mod read;
mod registry;
#[cfg(test)]
mod scripted;
mod state;
mod tail;
mod talk;
mod to_engine;
mod transport;
mod write;

pub use connection::Docker;
