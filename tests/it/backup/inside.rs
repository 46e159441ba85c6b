//! Backups by a command in a container, with a real engine.

use moored::backup::{BackupError, restore, verify};
use moored::engine::docker::Docker;
use serde_json::{Value, json};

use super::Stage;
use crate::support::docker_cli::{ENDPOINT, Sandbox, docker};

/// A container that sleeps, and a stage with it.
fn sleeper() -> (Sandbox, Stage) {
    let sandbox = Sandbox::new("backup");
    let image = sandbox.image("sleeper", &["CMD [\"sleep\", \"600\"]"]);
    let mut stage = Stage::new(|_| command(&["cat", "/image"]));
    let name = sandbox.name("sleeper");
    stage.container = Some(docker(&["run", "-d", "--init", "--name", &name, &image]));
    stage.engine = Box::new(Docker::connect(ENDPOINT).unwrap());
    (sandbox, stage)
}

fn command(run: &[&str]) -> Value {
    json!({"command": {"service": "s", "run": run}})
}

fn shell(script: &str) -> Value {
    command(&["sh", "-c", script])
}

#[test]
fn what_a_command_writes_is_the_backup() {
    let (_sandbox, mut stage) = sleeper();
    let container = stage.container.clone().unwrap();
    let backup = stage.taken();
    assert_eq!(backup.manifest.file, "db_20260211_140302.out");
    let expected = docker(&["exec", &container, "cat", "/image"]);
    assert_eq!(std::fs::read_to_string(&backup.path).unwrap(), expected);
    stage
        .with(async |work| verify(work, &backup).await)
        .unwrap();

    let message = stage
        .with(async |work| restore(work, &backup).await)
        .unwrap_err()
        .to_string();
    assert!(
        message.contains("names no command that restores it"),
        "{message}"
    );
    let restoring = |script: &str| json!({"command": {"service": "s", "run": ["true"], "restore": ["sh", "-c", script]}});
    stage.change(restoring("cat > /tmp/restored"));
    stage
        .with(async |work| restore(work, &backup).await)
        .unwrap();
    assert_eq!(
        docker(&["exec", &container, "cat", "/tmp/restored"]),
        expected
    );
    stage.change(restoring("cat > /dev/null; echo no >&2; exit 4"));
    let message = stage
        .with(async |work| restore(work, &backup).await)
        .unwrap_err()
        .to_string();
    assert_eq!(
        message,
        "sh in the container of s ended with exit code 4: no"
    );
}

#[test]
fn what_fails_leaves_nothing() {
    let (_sandbox, mut stage) = sleeper();
    for (script, expected) in [
        ("echo half; exit 1", "exit code 1"),
        ("true", "it is empty"),
        ("echo half; kill -9 $$", "exit code 137"),
    ] {
        stage.change(shell(script));
        let message = stage.take().unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
        assert!(stage.names().is_empty());
    }
    let mut slow = shell("echo half; sleep 30");
    slow["timeout"] = json!("1s");
    stage.change(slow);
    let error = stage.take().unwrap_err();
    assert!(matches!(error, BackupError::TimedOut { .. }), "{error}");
    assert!(stage.names().is_empty());
    stage.container = None;
    let error = stage.take().unwrap_err();
    assert!(matches!(error, BackupError::NoContainer(_)), "{error}");
}

#[test]
fn an_output_much_shorter_than_before_is_refused() {
    let (_sandbox, mut stage) = sleeper();
    stage.change(shell("echo 0123456789"));
    stage.taken();
    stage.change(shell("echo 0123"));
    let message = stage.take().unwrap_err().to_string();
    assert!(
        message.contains("5 bytes, and db_20260211_140302.out had 11"),
        "{message}"
    );
}
