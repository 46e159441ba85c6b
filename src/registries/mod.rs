//! Finds out how to log in to an image registry: from the file that `docker login` writes, or from
//! the credential helper that it names.
//!
//! [`Logins`] answers for one registry at a time, so that a login can go to no other. The engine
//! does the logging in; nothing here talks to a registry.

mod docker_config;
mod helper;
mod logins;
mod name;

pub use logins::{Login, LoginError, Logins};
pub use name::address;
