//! Switches maintenance on and off by its flag file, and proves that visitors see it.
//!
//! The proxy shows the page while the file exists, whatever is in it. What is in it says who
//! switched it on ([`Owner`]), so that nobody else switches it off: a file that a person made, by
//! hand or by command, is never removed by us.

mod error;
mod flag;
mod prove;
mod switch;
#[cfg(test)]
mod tests;

pub use error::MaintenanceError;
pub use flag::{Flag, Owner, observe};
pub use prove::{Wanted, prove};
pub use switch::{Page, SwitchedOff, SwitchedOn, switch_off, switch_on, take_away};
