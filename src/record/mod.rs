//! Keeps what was done: attempts with their journals, and releases, in `SQLite`.
//!
//! [`Record`] is the open database of one state directory. WAL with `synchronous=FULL`: what
//! [`Journal::append`] returned from survives a power cut. Format: `docs/decisions/0003-journal.md`.

mod adopted;
mod asked;
mod data;
mod error;
mod history;
mod outbox;
mod pins;
mod releases;
mod remembered;
mod schema;
mod store;
mod suspensions;
#[cfg(test)]
mod tests;
mod writer;

pub use error::RecordError;
pub use history::Attempt;
pub use outbox::{Change, Waiting};
pub use releases::Released;
pub use store::Record;
pub use writer::Journal;
