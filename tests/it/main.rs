//! The one integration test binary.

#[cfg(test)] // For clippy: what lies in here is test code.
mod engine;
#[cfg(test)]
mod source;
#[cfg(test)]
mod support;
