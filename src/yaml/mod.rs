//! Reads YAML by the rules of Go's `yaml.v3`, which Compose is written with, into a tree in which
//! every value knows its place.
//!
//! [`parse`] takes the events of the YAML parser and builds a [`Node`] tree: `load` checks the
//! document as it stands (keys, tags, budgets), `expand` replaces aliases and merge keys by what
//! they stand for, `scalar` gives plain text its type, `syntax` says how to mend what is no YAML. `text` is for all formats made of lines.

mod expand;
mod load;
mod node;
pub(crate) mod number;
mod scalar;
mod syntax;
#[cfg(test)]
mod tests;
pub(crate) mod text;

pub use load::{duplicate_key, parse, parse_documents};
pub use node::{Entry, Kind, Map, Node, Style, Written};
