//! Plays the runbooks of the example systems: one test for each row of [`row::ROWS`], named after
//! it. What goes in are pushes to the state repository and `moored` commands; what came of it is
//! looked at from outside, at the engine, through the proxy, in the database and in files.
//!
//! `scripts/systems` runs them and writes what came of each into `docs/systems.md`.

mod arsvent;
mod moltfund;
pub(crate) mod row;
mod v_edfinance;
mod watch;
