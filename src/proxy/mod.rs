//! Tests, reloads and proves the configuration of nginx and Caddy.
//!
//! Neither exit status says what is served: `nginx -t` and `nginx -s reload` return 0 where the
//! new configuration is not applied (an address in use), and an empty include directory passes
//! the test and takes every site down. Therefore a configuration is tested with the live include
//! tree around it before anything is touched ([`HostProxy::test`]), what visitors can reach is
//! compared ([`Shape::lost_in`]), and after the reload the proxy itself is asked which
//! configuration it has loaded ([`prove()`]).
//!
//! [`test_commands`], [`reload_command`], [`Shape::read`] and [`complaint`] are what is the same
//! for a proxy of the host and for one in a container; [`HostProxy`] is the host's own.
//!
//! | module | what it does |
//! |---|---|
//! | `commands` | which commands test and reload, and what their words mean |
//! | `shape`, `address` | listeners and names, what a new configuration lacks of them, and which are taken |
//! | `nginx`, `caddy` | read the two languages, with budgets |
//! | `certificates` | the files that TLS needs |
//! | `stage` | copies a directory with changes |
//! | `live` | which files a configuration is made of |
//! | `prove` | asks for the marker |
//! | `host`, `run`, `child` | the host's proxy; commands with a deadline; the child with its own view of the file system |

mod address;
mod caddy;
mod certificates;
mod child;
mod commands;
mod error;
mod host;
mod live;
mod nginx;
mod pattern;
mod prove;
mod run;
mod shape;
mod stage;
#[cfg(test)]
mod tests;

pub use certificates::certificates;
pub use child::{CHILD_ARGUMENT, test_child};
pub use commands::{complaint, reload_command, says_not_running, test_commands};
pub use error::ProxyError;
pub use host::HostProxy;
pub use live::LiveFiles;
pub use prove::{loaded, prove, prove_gone};
pub use shape::Shape;
pub use stage::stage;
