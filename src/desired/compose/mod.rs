//! Reads Compose files exactly as Docker Compose does.
//!
//! A file becomes an untyped tree with the place of every value ([`crate::yaml`]),
//! [`interpolate`] puts the values of variables in, `merge` puts
//! several files over one another. `service` and `resources` give the merged tree its types, with
//! [`env_file`] for environment files and [`short`] for the short forms of single values.

mod casts;
mod clashes;
pub mod env_file;
mod environment;
mod escape;
mod fields;
pub mod interpolate;
mod keys;
mod merge;
mod mounts;
pub(super) mod project;
pub(super) mod read;
mod resources;
mod service;
pub mod short;
mod template;
