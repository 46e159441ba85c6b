//! Reads Compose files exactly as Docker Compose does.
//!
//! A file becomes an untyped tree with the place of every value ([`crate::yaml`]),
//! [`interpolate`] puts the values of variables in, `merge` puts
//! several files over one another. `service` and `resources` give the merged tree its types, with
//! [`env_file`] for environment files and [`short`] for the short forms of single values.

mod canonical;
mod casts;
mod consistency;
pub mod env_file;
mod escape;
mod extends;
pub mod files;
pub mod hash;
mod include;
pub mod interpolate;
mod json;
mod lexical;
pub mod load;
mod normalize;
mod omit;
mod overlay;
mod paths;
mod pattern;
mod place;
pub mod print;
mod profiles;
mod project_name;
mod resolve;
mod schema;
mod shape;
pub mod short;
mod tags;
mod template;
mod trail;
mod unicity;
mod validate;
