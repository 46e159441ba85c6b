//! Does what a person asks for beside Git: backups, restores, jobs, the maintenance page, and a
//! shell inside a container or a database.
//!
//! It works beside a controller that runs: the lock of the stack keeps the two apart, and what
//! changes containers or data goes through a plan and the journal like a pass. A [`shell`](Room)
//! takes no lock: `docs/decisions/0030-doctor-logs-shell.md` says why. Modules: `stack`, `shell`.

mod shell;
mod stack;

pub use shell::{Inside, Room};
pub use stack::{As, ByHandError, Stack, load, stack};
