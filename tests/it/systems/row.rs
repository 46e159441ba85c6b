//! The rows, and what is written down of each when its test ends.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use crate::e2e::turn;
use crate::support::put;

/// Every row: a system, and what must work. `scripts/systems` reads it here, a line each.
#[rustfmt::skip]
pub(crate) const ROWS: &[(&str, &str)] = &[
    ("moltfund", "deploy"),
    ("moltfund", "hotfix"),
    ("moltfund", "rollback"),
    ("moltfund", "rollback by name"),
    ("moltfund", "nginx change"),
    ("moltfund", "bad nginx"),
    ("moltfund", "TLS variant"),
    ("moltfund", "data"),
    ("moltfund", "maintenance commands"),
    ("moltfund", "history"),
    ("moltfund", "first set-up"),
    ("moltfund", "secrets"),
    ("arsvent", "staging follows main"),
    ("arsvent", "promote"),
    ("arsvent", "immutable"),
    ("arsvent", "maintenance"),
    ("arsvent", "ordered"),
    ("arsvent", "failed readiness"),
    ("arsvent", "failed migration"),
    ("arsvent", "isolation"),
    ("arsvent", "release files"),
    ("arsvent", "one-command rollback"),
    ("arsvent", "nginx"),
    ("arsvent", "blue/green"),
    ("v-edfinance", "deploy"),
    ("v-edfinance", "revert"),
    ("v-edfinance", "redeploy"),
    ("v-edfinance", "daily dump"),
    ("v-edfinance", "restore"),
    ("v-edfinance", "truncated dump"),
    ("v-edfinance", "integrity check"),
    ("v-edfinance", "routes"),
];

/// A row that is played: the first thing in its test, so that it is the last to go.
///
/// When it goes, `target/systems/SYSTEM/ROW` has the result and how many milliseconds it took, from
/// the turn of the test on.
pub(super) struct Row {
    place: PathBuf,
    began: Instant,
    // Until everything of the test is taken down.
    _turn: Arc<fs::File>,
}

impl Row {
    /// Waits for its turn.
    pub(super) fn begin(system: &str, row: &str) -> Self {
        assert!(ROWS.contains(&(system, row)), "{system} has no row {row}");
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
        let place = target.join("systems").join(system);
        fs::create_dir_all(&place).unwrap();
        let place = place.join(name_of(row));
        drop(fs::remove_file(&place));
        Self {
            place,
            _turn: turn::wait(),
            began: Instant::now(),
        }
    }
}

impl Drop for Row {
    fn drop(&mut self) {
        let result = if std::thread::panicking() {
            "fail"
        } else {
            "pass"
        };
        let took = self.began.elapsed().as_millis();
        put(&self.place, format!("{result} {took}\n"));
    }
}

/// Returns how the test of a row is called.
pub(crate) fn name_of(row: &str) -> String {
    row.to_lowercase().replace([' ', '/', '-'], "_")
}
