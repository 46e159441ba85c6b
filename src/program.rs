//! Asks a program that the host's settings name one question: written to its standard input,
//! answered on its standard output.
//!
//! There is no shell and no deadline: the caller has one, and the program is killed when the
//! future is dropped.

use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Command;
use zeroize::Zeroizing;

/// Longest answer that is read, in bytes; the longest tokens (JWT) have a few kilobytes.
pub const LONGEST: u64 = 64 * 1024;

/// What a program answered.
pub struct Answer {
    /// Its standard output, which may be secret.
    pub text: Zeroizing<String>,
    /// How it ended.
    pub status: ExitStatus,
}

/// Runs a program with these arguments and asks it a question. A name without a slash is looked up
/// in `PATH`.
///
/// Its complaints on standard error are not kept, they may have anything in them.
///
/// # Errors
/// It can't be run, or what it says is not text.
pub async fn ask(program: &Path, arguments: &[String], question: &str) -> io::Result<Answer> {
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()?;
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(io::Error::other("its pipes are missing"));
    };
    // One that knows the answer need not listen.
    drop(stdin.write_all(question.as_bytes()).await);
    drop(stdin);
    let mut text = Zeroizing::new(String::new());
    stdout.take(LONGEST).read_to_string(&mut text).await?;
    let status = child.wait().await?;
    Ok(Answer { text, status })
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask_it(program: &str, arguments: &[&str], question: &str) -> io::Result<Answer> {
        let arguments: Vec<String> = arguments.iter().map(|word| (*word).to_owned()).collect();
        ask(Path::new(program), &arguments, question).await
    }

    #[tokio::test]
    async fn what_is_asked_reaches_it_and_what_it_says_comes_back() {
        let answer = ask_it("cat", &["-"], "who?\n").await.unwrap();
        assert!(answer.status.success());
        assert_eq!(answer.text.as_str(), "who?\n");
        let answer = ask_it("false", &[], "").await.unwrap();
        assert!(!answer.status.success());
        assert!(ask_it("mooredtest-that-nobody-has", &[], "").await.is_err());
    }

    #[tokio::test]
    async fn one_that_does_not_stop_talking_is_cut_short() {
        let answer = ask_it("yes", &[], "").await.unwrap();
        assert_eq!(answer.text.len(), usize::try_from(LONGEST).unwrap());
    }

    #[tokio::test]
    async fn one_that_does_not_answer_costs_the_time_of_the_caller_alone() {
        let asked = ask_it("sleep", &["600"], "who?");
        let within = std::time::Duration::from_millis(50);
        assert!(tokio::time::timeout(within, asked).await.is_err());
    }
}
