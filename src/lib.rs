//! Moored keeps Docker hosts moored to a Git repository.
//!
//! The modules in the order in which data flows through them:
//! [`config`] → [`source`] → [`desired`], [`engine`] → `observe` → `plan` → `execute` → `record`.
//! `reconcile` shows one pass through all of them; read it first.

pub mod config;
pub mod desired;
pub mod diagnostic;
pub mod engine;
pub mod secret;
pub mod source;
