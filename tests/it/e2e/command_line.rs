//! What the program says of itself.

use std::process::{Command, Output};

use super::stage::MOORED;

fn moored(arguments: &[&str]) -> Output {
    Command::new(MOORED).args(arguments).output().unwrap()
}

#[test]
fn help_version_and_completions_go_to_stdout() {
    for (arguments, text) in [
        (["--help"].as_slice(), "reconcile"),
        (&["--version"], env!("CARGO_PKG_VERSION")),
        (&["completions", "bash"], "complete -F _moored"),
        (&["reconcile", "--help"], "--stack"),
    ] {
        let output = moored(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains(text), "{said}");
        assert!(output.stderr.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_slip_on_the_command_line_is_64_and_goes_to_stderr() {
    for arguments in [
        ["--no-such-flag"].as_slice(),
        &["reconsile"],
        &[],
        &["plan", "--format", "xml"],
        &["--config", "/nonexistent/moored.yaml", "plan"],
    ] {
        let output = moored(arguments);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        assert!(!output.stderr.is_empty(), "{arguments:?}");
    }
}
