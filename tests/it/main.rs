//! The one integration test binary.

#[cfg(test)]
mod adopt;
#[cfg(test)]
mod alerts;
#[cfg(test)]
mod backup;
#[cfg(test)]
mod check;
#[cfg(test)] // For clippy: what lies in here is test code.
mod checks;
#[cfg(test)]
mod compose;
#[cfg(test)]
mod crash;
#[cfg(test)]
mod crash_compose;
#[cfg(test)]
mod crash_front;
#[cfg(test)]
mod crash_guarded;
#[cfg(test)]
mod diagnostics;
#[cfg(test)]
mod e2e;
#[cfg(test)]
mod engine;
#[cfg(test)]
mod examples;
#[cfg(test)]
mod expiry;
#[cfg(test)]
mod fuzz_corpus;
#[cfg(test)]
mod journal_replay;
#[cfg(test)]
mod load;
#[cfg(test)]
mod nameless_volumes;
#[cfg(test)]
mod neighbours;
#[cfg(test)]
mod owed;
#[cfg(test)]
mod places;
#[cfg(test)]
mod policy;
#[cfg(test)]
mod promote;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod proxy;
#[cfg(test)]
mod pull_policies;
#[cfg(test)]
mod rollback;
#[cfg(test)]
mod scenarios;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod snapshot;
#[cfg(test)]
mod sops;
#[cfg(test)]
mod source;
#[cfg(test)]
mod support;
#[cfg(test)]
mod systems;
#[cfg(test)]
mod tidy;
#[cfg(test)]
mod trust;
#[cfg(test)]
mod turns;
#[cfg(test)]
mod waits;
#[cfg(test)]
mod web;
