//! Reads one YAML document by the rules of Go's `yaml.v3`, which Compose is written with.
//!
//! [`parse`] takes the events of the YAML parser and builds a [`Node`](super::node::Node) tree:
//! `load` checks the document as it stands (keys, tags, budgets), `expand` replaces aliases and
//! merge keys by what they stand for, `scalar` gives plain text its type.

mod expand;
mod load;
mod scalar;
#[cfg(test)]
mod tests;

pub use load::{parse, parse_documents};
