//! The application that stands in for everybody's in these tests.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, OnceLock};

/// Compiles the stand-in application, unless that was done already; returns its path.
pub(super) fn standin() -> &'static Path {
    static DONE: OnceLock<PathBuf> = OnceLock::new();
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _one = ONE_AT_A_TIME.lock();
    DONE.get_or_init(|| {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/standin");
        let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("standin");
        let changed = |path: &Path| path.metadata().and_then(|about| about.modified()).ok();
        let files = sources.read_dir().unwrap().map(|file| file.unwrap().path());
        if changed(&program) > files.map(|file| changed(&file)).max().unwrap() {
            return program;
        }
        // Under another name first: two test processes must not see half a program.
        let new = program.with_extension(std::process::id().to_string());
        let status = Command::new("rustc")
            .args(["--edition", "2024", "-O", "-C", "panic=abort"])
            .args(["-C", "target-feature=+crt-static", "-C", "strip=symbols"])
            .arg("-o")
            .arg(&new)
            .arg(sources.join("main.rs"))
            .status()
            .expect("rustc can be run");
        assert!(status.success(), "rustc compiles the stand-in");
        std::fs::rename(&new, &program).unwrap();
        program
    })
}
