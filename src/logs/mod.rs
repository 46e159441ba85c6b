//! Shows what the containers of a stack have written and go on writing, with every secret hidden.
//!
//! [`Reader::open`] finds the containers, [`Reader::show`] hands on their lines one by one in the
//! order of time; nothing is gathered, however much they wrote. Modules: `find` (the containers),
//! `read` (what there is), `follow` (what comes), `line` (lines out of pieces).

mod find;
mod follow;
mod line;
mod read;

pub use line::Line;
pub use read::Reader;

use crate::engine::EngineError;

/// Which lines are wanted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Of these services; empty = of all.
    pub services: Vec<String>,
    /// The last so many of each container; `None` = all.
    pub tail: Option<usize>,
    /// Nothing older than this.
    pub since: Option<jiff::Timestamp>,
    /// Whether it goes on with what is written from now on.
    pub follow: bool,
}

/// Whether whoever reads wants more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum More {
    /// Yes.
    Wanted,
    /// No: nobody reads any longer.
    Enough,
}

/// Why logs can't be shown.
#[derive(Debug, thiserror::Error)]
pub enum LogsError {
    /// The engine can't be asked, or a log not be read.
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// There is no such service.
    #[error("{stack} has no service \"{}\"; there is: {}", service.escape_default(), known.join(", "))]
    Unknown {
        /// The stack.
        stack: String,
        /// What was asked for.
        service: String,
        /// Those that there are.
        known: Vec<String>,
    },
}
