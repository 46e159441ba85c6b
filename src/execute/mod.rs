//! Walks a plan: journals before and after each step, and decides nothing.
//!
//! Steps run as parallel as their `after` allows, at most four at a time. When one fails,
//! nothing new begins, what runs is let finish, and what was replaced is put back.

mod await_service;
mod containers;
mod error;
mod files;
mod hands;
mod release;
mod step;
mod undo;
mod walk;

pub use error::StepError;
pub use hands::Hands;
pub use walk::execute;
