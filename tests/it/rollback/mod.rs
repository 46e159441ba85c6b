//! Going back to an earlier release: a real repository, a real record, an engine in memory.

mod commit;
mod held;
mod kept;
mod pin;
mod refused;

use std::path::Path;
use std::process::Command;

use moored::plan::Hold;

use crate::support::town::{Town, named, plain, run, shop};

fn is_pinned(holds: &[Hold]) -> bool {
    holds.iter().any(|hold| matches!(hold, Hold::Pinned { .. }))
}

/// Runs Git's own program in a directory.
fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "safe.directory=*", "-C"])
        .arg(directory)
        .args(arguments)
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
