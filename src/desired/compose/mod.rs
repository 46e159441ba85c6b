//! Reads Compose files exactly as Docker Compose does, into one canonical tree.
//!
//! [`load::load`] is the way through, in the order of compose-go. Per file: YAML ([`crate::yaml`]),
//! `interpolate`, `extends`, `tags` (`!reset`, `!override`), `include`, `overlay` (merging),
//! `unicity`, `schema`, `canonical` (short forms become long). For the whole: `paths`, `normalize`,
//! `profiles`, `consistency`, `cut` (commands that lose their end), `resolve` (environment files), `shape` (as Go's types print it).
//! `print` writes it out, `hash` computes Compose's own hashes; `mapping` beside it makes of it
//! what the engine is asked for.

mod canonical;
mod casts;
mod consistency;
mod cut;
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
mod refusal;
mod resolve;
mod schema;
mod shape;
pub mod short;
mod tags;
mod template;
mod trail;
mod unicity;
mod validate;
