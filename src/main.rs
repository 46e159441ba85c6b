//! The `moored` program: arguments → run → exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    moored::cli::run(std::env::args_os()).into()
}
