//! Walks a plan: journals before and after each step, and decides nothing.
//!
//! Steps run as parallel as their `after` allows, at most four at a time. When one fails,
//! nothing new begins, what runs is let finish, and what was replaced is put back.

mod afresh;
mod anew;
mod around;
mod await_service;
mod beside;
pub mod checks;
mod containers;
mod data;
mod error;
mod files;
mod front;
mod hands;
mod inside;
mod latency;
mod leftovers;
mod maintain;
mod migrate;
mod neighbours;
mod network;
mod one_off;
mod output;
mod pace;
mod pulled;
mod release;
mod release_files;
mod scene;
mod soak;
mod step;
mod tries;
mod undo;
mod undo_front;
mod undo_order;
mod walk;
mod way_back;

pub use error::StepError;
pub use hands::Hands;
pub use leftovers::settle_leftovers;
pub use walk::execute;
