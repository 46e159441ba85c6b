//! Reads the short forms of Compose: one string for a port, a volume, a time, a size, a command.
//!
//! Each function says in its error what to write instead; the place is the caller's to add.

mod command;
mod duration;
mod ports;
mod size;
mod volume;

pub use super::refusal::Refusal;
pub use command::{cut_of_command, split_command};
pub use duration::{format_duration, parse_duration};
pub use ports::parse_ports;
pub use size::parse_bytes;
pub use volume::{ShortVolume, parse_volume};
