//! Visitors while a command runs: what `scripts/bench` measures availability with.
//!
//! Built by plain `rustc -O` from the harness of the tests. `load URL COMMAND…` waits until the
//! visitors are being answered, runs the command, waits until they have noticed everything that
//! comes of it, and prints one line:
//!
//! ```text
//! REQUESTS FAILED GAP_US COMMAND_US CROSSED VERSIONS DOWNLOAD
//! ```
//!
//! the longest time without a successful answer and the time of the command in microseconds, the
//! requests that were sent once more (see `tests/it/support/load.rs`), every version that answered,
//! and `whole` or `cut` for the downloads. The first failures go to
//! standard error. A command that fails, or a site that does not answer, is exit code 1.

#[path = "../it/support/load.rs"]
mod load;

use std::io::{self, Write as _};
use std::process::{Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use load::{Failure, Load, LoadReport, LoadSpec};

/// Requests that have been answered before the command starts.
const WARM: usize = 200;

/// Time for them.
const WARM_LIMIT: Duration = Duration::from_secs(20);

/// Time before the command, and after it: for what it leaves to others.
const CALM: Duration = Duration::from_millis(1500);

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [url, program, rest @ ..] = args.as_slice() else {
        eprintln!("usage: load URL COMMAND…");
        return ExitCode::from(64);
    };
    match measure(url, program, rest) {
        Ok((report, took)) => {
            for Failure { at, cause } in report.failed.iter().chain(&report.long_failed) {
                eprintln!("{:7.3} s  {cause}", at.as_secs_f64());
            }
            let line = line(&report, took);
            match writeln!(io::stdout(), "{line}") {
                Ok(()) => ExitCode::SUCCESS,
                Err(_) => ExitCode::FAILURE,
            }
        }
        Err(problem) => {
            eprintln!("load: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn measure(url: &str, program: &str, args: &[String]) -> Result<(LoadReport, Duration), String> {
    let load = Load::start(url, &LoadSpec::default());
    let began = Instant::now();
    while load.answered() < WARM {
        if began.elapsed() > WARM_LIMIT {
            return Err(format!("{url} does not answer: {:?}", load.stop().failed));
        }
        thread::sleep(Duration::from_millis(10));
    }
    thread::sleep(CALM);
    let began = Instant::now();
    // Its talk is not our line.
    let ended = Command::new(program)
        .args(args)
        .stdout(Stdio::from(io::stderr()))
        .status()
        .map_err(|failure| format!("{program}: {failure}"))?;
    let took = began.elapsed();
    if !ended.success() {
        return Err(format!("{program} failed: {ended}"));
    }
    let answered = load.answered();
    thread::sleep(CALM);
    let began = Instant::now();
    while load.answered() < answered + WARM && began.elapsed() < WARM_LIMIT {
        thread::sleep(Duration::from_millis(10));
    }
    Ok((load.stop(), took))
}

fn line(report: &LoadReport, took: Duration) -> String {
    let versions: Vec<_> = report.versions.iter().map(String::as_str).collect();
    format!(
        "{} {} {} {} {} {} {}",
        report.requests,
        report.failures,
        report.longest_gap.as_micros(),
        took.as_micros(),
        report.crossed,
        versions.join(","),
        if report.long_ok { "whole" } else { "cut" },
    )
}
