//! Fetching over HTTP, from honest and from other servers.

use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use moored::config::Auth;
use moored::source::{Limits, SourceError};

use super::{Host, answer};
use crate::support::git_http::{Answer, GitHttp};
use crate::support::origin::{Origin, oid};
use crate::support::put;

/// base64 of `me:s3cr3t-token`.
const BASIC: &str = "bWU6czNjcjN0LXRva2Vu";

/// Returns a server for an origin; none where Git is not installed.
fn serve(origin: &Origin) -> GitHttp {
    GitHttp::serve(origin.directory.path())
}

fn token(host: &Host, token: &str) -> Auth {
    let token_file: PathBuf = host.directory.path().join("token");
    put(&token_file, token);
    Auth::Token {
        username: "me".to_owned(),
        token_file,
    }
}

/// Returns a port that was free a moment ago.
pub(super) fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn quickly() -> Limits {
    Limits {
        deadline: Duration::from_millis(700),
        ..Limits::default()
    }
}

#[tokio::test]
async fn fetches_first_and_later_commits() {
    let (origin, first) = Origin::with_main(&[("a", "1"), ("b/c", "2")]);
    let server = serve(&origin);
    let (host, url) = (Host::new(), server.url("state.git"));
    assert_eq!(host.fetch(&url, "main").await, Ok(answer(&first)));
    assert_eq!(host.read(&first, "b/c"), "2");
    let second = origin.commit("main", &[("a", "2")]);
    assert_eq!(host.fetch(&url, "main").await, Ok(answer(&second)));
    assert_eq!(host.read(&second, "a"), "2");

    server.take_requests();
    assert_eq!(host.fetch(&url, "main").await, Ok(answer(&second)));
    let targets: Vec<_> = server.take_requests();
    assert_eq!(targets.len(), 1, "one look at the refs, no objects");
    assert_eq!(targets[0].method, "GET");

    origin.point("main", oid(&first));
    assert!(host.fetch(&url, "main").await.unwrap().rewound);
    origin.delete("main");
    origin.point("other", oid(&first));
    let error = host.fetch(&url, "main").await.unwrap_err();
    assert!(
        matches!(error, SourceError::BranchMissing { .. }),
        "{error}"
    );
    origin.delete("other");
    let error = host.fetch(&url, "main").await.unwrap_err();
    assert!(
        matches!(error, SourceError::EmptyRepository { .. }),
        "{error}"
    );
}

#[tokio::test]
async fn logs_in_with_a_token() {
    let (origin, first) = Origin::with_main(&[("a", "1")]);
    let server = serve(&origin);
    server.demand(BASIC);
    let (host, url) = (Host::new(), server.url("state.git"));
    let auth = token(&host, "s3cr3t-token\n# a note\n");
    assert_eq!(host.fetch_as(&url, "main", auth).await, Ok(answer(&first)));
}

#[tokio::test]
async fn reports_a_token_that_is_wrong_missing_or_revoked() {
    let (origin, _) = Origin::with_main(&[("a", "1")]);
    let server = serve(&origin);
    server.demand(BASIC);
    let (host, url) = (Host::new(), server.url("state.git"));
    let wrong = token(&host, "wr0ng-token");
    for auth in [wrong.clone(), Auth::None] {
        let error = host.fetch_as(&url, "main", auth).await.unwrap_err();
        assert!(matches!(error, SourceError::AuthFailed { .. }), "{error}");
        assert!(!format!("{error:?}").contains("wr0ng"), "{error}");
    }
    let presented = server
        .take_requests()
        .iter()
        .filter(|request| request.headers.contains_key("authorization"))
        .count();
    assert!(
        presented <= 2,
        "a wrong token is not tried again and again: {presented}"
    );
    server.set_answer(Answer::Status(403));
    let right = token(&host, "s3cr3t-token");
    let error = host.fetch_as(&url, "main", right).await.unwrap_err();
    assert!(matches!(error, SourceError::AuthFailed { .. }), "{error}");

    let empty = token(&host, "\n");
    let error = host.fetch_as(&url, "main", empty).await.unwrap_err();
    assert!(
        matches!(&error, SourceError::AuthFile { path, .. } if path.ends_with("token")),
        "{error}"
    );
}

#[tokio::test]
async fn does_not_follow_a_redirect_with_the_token() {
    let (origin, _) = Origin::with_main(&[("a", "1")]);
    let (server, thief) = (serve(&origin), serve(&origin));
    thief.demand(BASIC);
    let (host, url) = (Host::new(), server.url("state.git"));
    let auth = token(&host, "s3cr3t-token");
    let base = thief.url("").trim_end_matches('/').to_owned();

    server.set_answer(Answer::Redirect(base.replace("127.0.0.1", "localhost")));
    for auth in [auth.clone(), Auth::None] {
        let error = host.fetch_as(&url, "main", auth).await.unwrap_err();
        assert!(matches!(error, SourceError::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains("redirect"), "{error}");
    }
    assert!(thief.take_requests().is_empty(), "another host");

    // libgit2 takes another port of the same host for the same site.
    server.set_answer(Answer::Redirect(base));
    let refused = host.fetch_as(&url, "main", auth.clone()).await;
    assert!(refused.is_err());
    // And keeps a token that it was given before the redirect.
    server.demand(BASIC);
    let error = host.fetch_as(&url, "main", auth).await;
    let reached = thief.take_requests();
    assert!(!reached.is_empty(), "else the guard could go");
    for request in reached {
        assert!(!request.headers.contains_key("authorization"), "{error:?}");
    }
}

#[tokio::test]
async fn reports_what_is_not_found_or_broken() {
    let (origin, _) = Origin::with_main(&[("a", "1")]);
    let server = serve(&origin);
    let host = Host::new();
    let error = host
        .fetch(&server.url("other.git"), "main")
        .await
        .unwrap_err();
    assert!(
        matches!(error, SourceError::NotARepository { .. }),
        "{error}"
    );
    server.set_answer(Answer::Status(500));
    let error = host
        .fetch(&server.url("state.git"), "main")
        .await
        .unwrap_err();
    assert!(matches!(error, SourceError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("500"), "{error}");
    let url = format!("http://127.0.0.1:{}/state.git", free_port());
    let error = host.fetch(&url, "main").await.unwrap_err();
    assert!(matches!(error, SourceError::Unreachable { .. }), "{error}");
}

#[tokio::test]
async fn reports_a_certificate_that_is_not_trusted() {
    let host = Host::new();
    let path = |name: &str| host.directory.path().join(name);
    let made = Command::new("openssl")
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
        ])
        .args([
            "-subj",
            "/CN=127.0.0.1",
            "-addext",
            "subjectAltName=IP:127.0.0.1",
        ])
        .arg("-keyout")
        .arg(path("key"))
        .arg("-out")
        .arg(path("cert"))
        .stderr(Stdio::null())
        .status();
    assert!(made.unwrap().success());
    let port = free_port();
    let mut server = Command::new("openssl")
        .args([
            "s_server",
            "-quiet",
            "-accept",
            &format!("127.0.0.1:{port}"),
            "-key",
        ])
        .arg(path("key"))
        .arg("-cert")
        .arg(path("cert"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let started = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    });
    let url = format!("https://127.0.0.1:{port}/state.git");
    let fetched = host.fetch(&url, "main").await;
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(started);
    assert!(
        matches!(fetched, Err(SourceError::Certificate { .. })),
        "{fetched:?}"
    );
}

#[tokio::test]
async fn stops_at_the_limit_of_bytes() {
    let (origin, _) = Origin::with_main(&[("a", "1")]);
    let server = serve(&origin);
    let few = Limits {
        received_bytes: 10,
        ..Limits::default()
    };
    let fetched = Host::new()
        .fetch_within(&server.url("state.git"), few)
        .await;
    assert!(
        matches!(&fetched, Err(SourceError::TooLarge { limit, .. }) if limit == "10 bytes"),
        "{fetched:?}"
    );
}

#[test]
fn ends_the_child_with_its_parent() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let directory = tempfile::tempdir().unwrap();
    let request = serde_json::json!({
        "url": format!("http://{}/state.git", server.local_addr().unwrap()),
        "branch": "main",
        "login": "None",
        "received_bytes": 1_000_000,
        "objects": 1000,
        "refs": 1000,
        "mirror": directory.path().join("mirror"),
    });
    let mut child = Command::new(super::program())
        .arg(moored::source::CHILD_ARGUMENT)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{request}").unwrap();
    let connected = server.accept();
    assert!(
        child.try_wait().unwrap().is_none(),
        "it waits for the server"
    );
    let shown = |file| std::fs::read_to_string(format!("/proc/{}/{file}", child.id())).unwrap();
    assert!(shown("status").contains("NoNewPrivs:\t1\n"));
    let limits = shown("limits");
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let core: Vec<&str> = core.unwrap().split_whitespace().rev().take(3).collect();
    assert_eq!(core, ["bytes", "0", "0"], "it leaves no core file");
    // What the kernel does for a parent that was killed.
    drop(stdin);
    let ended = (0..250).find_map(|_| {
        std::thread::sleep(Duration::from_millis(20));
        child.try_wait().unwrap()
    });
    child.kill().unwrap();
    assert_eq!(ended.and_then(|status| status.signal()), Some(9));
    drop(connected);
}

#[tokio::test]
async fn ends_a_server_that_hangs() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/state.git");
    ends_in_time(&url).await;
}

#[tokio::test]
async fn ends_a_server_that_drips() {
    let (origin, _) = Origin::with_main(&[("a", "1")]);
    let server = GitHttp::serve(origin.directory.path());
    server.set_answer(Answer::Drip);
    ends_in_time(&server.url("state.git")).await;
}

async fn ends_in_time(url: &str) {
    let host = Host::new();
    let begun = Instant::now();
    let error = host.fetch_within(url, quickly()).await.unwrap_err();
    assert!(matches!(error, SourceError::TimedOut { .. }), "{error}");
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(children_of(&host), 0, "the child is gone");
}

#[tokio::test]
async fn kills_the_child_when_nobody_waits_any_more() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let url = format!("http://127.0.0.1:{port}/state.git");
    let host = Host::new();
    let waiting = tokio::time::timeout(Duration::from_millis(700), host.fetch(&url, "main"));
    assert!(waiting.await.is_err(), "the server never answers");
    for _ in 0..100 {
        if children_of(&host) == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the child lives on");
}

/// Counts the processes whose home is that of the host's fetching child (Linux only).
fn children_of(host: &Host) -> usize {
    let home = format!("HOME={}.home", host.mirror().display());
    let Ok(processes) = std::fs::read_dir("/proc") else {
        return 0;
    };
    processes
        .flatten()
        .filter_map(|process| std::fs::read(process.path().join("environ")).ok())
        .filter(|environment| {
            environment
                .split(|byte| *byte == 0)
                .any(|variable| variable == home.as_bytes())
        })
        .count()
}
