//! A person goes into containers and databases: with a terminal, through pipes, and while a deploy
//! goes on.

use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use rusqlite::Connection;

use super::play::Play;
use super::stage::{MOORED, Ran, Stage};
use crate::support::docker_cli::{docker, eventually};

/// Runs a subcommand that reads this.
fn with_input(stage: &Stage, arguments: &[&str], input: &str) -> Ran {
    let mut child = Command::new("timeout")
        .args(["--kill-after=5", "60", MOORED, "--config"])
        .arg(stage.path("config.yaml"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It need not read all of it.
    drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    Ran {
        code: output.status.code(),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Commits a stack of one service that sleeps.
fn commit(stage: &Stage, image: &str, more: &str) {
    let manifest = stage.manifest(&[("web", image)], more);
    let compose = "services:\n  web:\n    image: app\n    init: true\n    \
                   command: [sleep, '600']\n    stop_grace_period: 1s\n";
    let files = [
        ("moored.yaml", manifest.as_str()),
        ("compose.yaml", compose),
    ];
    stage.commit(image, &files);
}

#[test]
fn commands_run_in_the_container_of_a_service() {
    let stage = Stage::new("shell");
    commit(&stage, &stage.sandbox.image("app", &[]), "");
    let away = stage.moored(&["shell", "web"]).exits(69);
    away.says(&["no container of web runs"]);
    stage.reconcile();

    let ran = stage
        .moored(&["shell", "web", "--", "cat", "/image"])
        .exits(0);
    assert_eq!(ran.out, format!("{}:1", stage.sandbox.name("app")));
    let both = [
        "shell",
        "web",
        "--",
        "sh",
        "-c",
        "echo out; echo err >&2; exit 7",
    ];
    let ran = stage.moored(&both).exits(7);
    assert_eq!((ran.out.as_str(), ran.err.as_str()), ("out\n", "err\n"));
    // Through pipes: a shell reads its commands, a program its data.
    let ran = with_input(&stage, &["shell", "web"], "echo \"in $0\"\nexit 3\n").exits(3);
    assert!(ran.out.contains("in /bin/sh"), "{ran:?}");
    let large = "x".repeat(300_000);
    let ran = with_input(&stage, &["shell", "web", "--", "cat"], &large).exits(0);
    assert!(ran.out == large && ran.err.is_empty());
    // What is not read is nobody's mistake.
    with_input(&stage, &["shell", "web", "--", "true"], &large).exits(0);
    let ran = stage.moored(&["shell", "web", "--user", "7:8", "--", "id", "-u"]);
    assert_eq!(ran.exits(0).out, "7\n");

    stage
        .moored(&["shell", "wbe"])
        .exits(64)
        .says(&["its services: web"]);
    stage.moored(&["shell", "web", "--database"]).exits(64);
    stage.moored(&["shell", "web", "--write"]).exits(64);
    let none = stage.moored(&["shell", "web", "--", "that-nobody-has"]);
    assert_ne!(none.code, Some(0), "{none:?}");
}

#[test]
fn a_person_has_a_terminal_inside() {
    let stage = Stage::new("terminal");
    commit(&stage, &stage.sandbox.image("app", &[]), "");
    stage.reconcile();
    let config = stage.path("config.yaml").display().to_string();
    let command = format!("{MOORED} --config {config} shell web");
    let mut child = Command::new("timeout")
        .args(["--kill-after=5", "60", "script", "--quiet", "--return"])
        .args(["--command", &command, "/dev/null"])
        .env("TERM", "vt100")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script can be run");
    let (mut stdin, mut stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut said = Vec::new();
    // What is typed before the shell is there belongs to the terminal around.
    while !said.ends_with(b"# ") {
        let mut one = [0];
        stdout.read_exact(&mut one).unwrap();
        said.extend(one);
    }
    stdin
        .write_all(b"test -t 0 && test -t 1 && echo \"is a $TERM\"; busybox stty size; exit 5\n")
        .unwrap();
    stdout.read_to_end(&mut said).unwrap();
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("is a vt100\r\n24 80\r\n"), "{said}");
    assert_eq!(child.wait().unwrap().code(), Some(5), "{said}");
}

#[test]
fn a_deploy_does_not_wait_for_an_open_shell() {
    let stage = Stage::new("open");
    commit(&stage, &stage.sandbox.image("one", &[]), "");
    stage.reconcile();
    let mut shell = stage.start(&["shell", "web", "--", "sh", "-c", "echo inside; sleep 300"]);
    shell.says("inside");
    let second = stage.sandbox.image("two", &[]);
    commit(&stage, &second, "");
    stage.reconcile();
    assert_eq!(stage.image("web"), second);
    // Its container is gone, and so is it.
    assert_ne!(shell.ends(Duration::from_secs(10)), Some(0));
}

#[test]
fn a_container_without_a_shell_says_so() {
    let stage = Stage::new("bare");
    stage.commit_web("v1", &stage.app("v1"), "");
    stage.reconcile();
    let ran = stage.moored(&["shell", "web"]).exits(64);
    ran.says(&["the container of web has no shell", "-- PROGRAM"]);
    let ran = stage.moored(&["shell", "web", "--", "/standin", "print", "a", "b"]);
    assert_eq!(ran.exits(0).out, "a b\n");
}

#[test]
fn a_database_of_sqlite_is_asked_without_a_program_and_only_read() {
    let stage = Stage::new("sqlite");
    let path = stage.path("data/prod.db");
    std::fs::create_dir(stage.path("data")).unwrap();
    let made = Connection::open(&path).unwrap();
    made.execute_batch(&format!(
        "PRAGMA journal_mode = wal; CREATE TABLE users (id INTEGER, name TEXT);
         INSERT INTO users VALUES (1, 'Ada'), (2, '{}');",
        stage.canary.value()
    ))
    .unwrap();
    let backups = format!(
        "backups:\n  prod: {{sqlite: {}, to: {}, floors: {{tables: 1}}}}\n{}",
        path.display(),
        stage.path("kept").display(),
        stage.canary.given_to("web"),
    );
    commit(&stage, &stage.sandbox.image("app", &[]), &backups);
    let query = ["shell", "prod", "--", "select * from users order by id"];
    let ran = stage.moored(&query).exits(0);
    assert_eq!(ran.out, "id  name\n1   Ada\n2   [hidden]\n");
    let ran = with_input(
        &stage,
        &["shell", "prod"],
        "select count(*) n\nfrom users;\n.tables",
    );
    assert_ne!(ran.code, Some(0), "a short word stands alone: {ran:?}");
    let ran = with_input(
        &stage,
        &["shell", "prod"],
        "select count(*) n\nfrom users;\n",
    )
    .exits(0);
    assert_eq!(ran.out, "n\n2\n");
    let ran = with_input(&stage, &["shell", "prod"], ".tables\n").exits(0);
    assert_eq!(ran.out, "name\nusers\n");
    let json = [
        "--format",
        "json",
        "shell",
        "prod",
        "--",
        "select id from users",
    ];
    assert_eq!(stage.moored(&json).out, "{\"id\":\"1\"}\n{\"id\":\"2\"}\n");

    let delete = ["shell", "prod", "--", "delete from users where id = 2"];
    let ran = stage.moored(&delete).exits(1);
    ran.says(&["attempt to write a readonly database"]);
    let ran = stage.moored(&[&["shell", "prod", "--write"], &delete[2..]].concat());
    ran.exits(0)
        .says(&["1 rows changed", "moored backup now prod"]);
    stage.moored(&query).exits(0).says(&["Ada"]);
    let left: i64 = made
        .query_row("SELECT count(*) FROM users", [], |row| row.get(0))
        .unwrap();
    assert_eq!(left, 1);
    stage
        .moored(&["shell", "prd"])
        .exits(64)
        .says(&["postgres): prod"]);
}

#[test]
fn a_database_of_postgres_is_asked_by_its_own_client() {
    let play = Play::v_edfinance("psql");
    play.first("v1.0.0", &[]);
    let query = "select text from entries";
    let stage = &play.stage;
    stage.moored(&["doctor"]).exits(0);
    let psql = ["shell", "postgres", "--database", "--", "-XAtc", query];
    assert_eq!(stage.moored(&psql).exits(0).out, "first\n");
    let through = ["shell", "postgres", "--database", "--", "-XAt"];
    let ran = with_input(stage, &through, "select 1 + 1;\n").exits(0);
    assert_eq!(ran.out, "2\n");
    // Without a word more it is the service, which has the same name.
    let ran = stage.moored(&["shell", "postgres", "--", "sh", "-c", "echo in a container"]);
    assert_eq!(ran.exits(0).out, "in a container\n");
    docker(&["stop", &play.system.container("postgres")]);
    eventually("it is told that nothing runs", || {
        stage.moored(&psql).code == Some(69)
    });
}
