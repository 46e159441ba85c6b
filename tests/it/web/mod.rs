//! What the controller listens to, asked over real connections: who is heard, and what nobody can
//! do to it.

mod hostile;

use std::io::Write as _;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use moored::bell::{Bell, Pace};
use moored::config;
use moored::events::{Event, Events};
use moored::web::{Settings, Web};
use tempfile::TempDir;

use crate::support::docker_cli::eventually;
use crate::support::webhook::{self, request, send, signature, status};

const SECRET: &str = "a-secret-to-everybody";

/// A bell that is answered at once.
const AT_ONCE: Pace = Pace {
    settle: Duration::from_millis(1),
    shortest: Duration::ZERO,
    longest: Duration::ZERO,
};

/// A listener, and what it told.
struct Stage {
    runtime: tokio::runtime::Runtime,
    web: Web,
    bell: Bell,
    told: Arc<Mutex<Vec<String>>>,
    dir: TempDir,
}

impl Stage {
    fn new() -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let told = Arc::new(Mutex::new(Vec::new()));
        let tell = Arc::clone(&told);
        let events = Events::new(move |event| {
            let line = if let Event::Listening { address } = event {
                format!("listening {address}")
            } else if let Event::NotListening { error, .. } = event {
                format!("not listening {error}")
            } else if let Event::ListensToOthers { address } = event {
                format!("others {address}")
            } else {
                assert!(matches!(event, Event::WebhooksRefused { times: 1 }));
                "refused".to_owned()
            };
            tell.lock().unwrap().push(line);
        });
        let bell = Bell::new(AT_ONCE);
        Self {
            web: Web::new(bell.clone(), events),
            runtime,
            bell,
            told,
            dir: tempfile::tempdir().unwrap(),
        }
    }

    /// Follows settings with these lines.
    fn follow(&mut self, lines: &str) {
        let (config, secret) = (
            self.dir.path().join("config"),
            self.dir.path().join("secret"),
        );
        let lines = lines.replace("SECRET", &secret.display().to_string());
        let text = format!("repository: {{url: /nowhere}}\n{lines}");
        moored::files::write_atomically(&config, text.as_bytes(), 0o600).unwrap();
        moored::files::write_atomically(&secret, SECRET.as_bytes(), 0o600).unwrap();
        let settings = Settings::read(&config::load(&config).unwrap()).unwrap();
        self.runtime.block_on(self.web.follow(&settings));
    }

    fn told(&self) -> Vec<String> {
        self.told.lock().unwrap().clone()
    }

    /// Waits until it listens; returns where.
    fn address(&self) -> SocketAddr {
        eventually("it listens", || {
            self.told().iter().any(|line| line.starts_with("listening"))
        });
        let told = self.told();
        let last = told.iter().rfind(|line| line.starts_with("listening "));
        last.unwrap().split_once(' ').unwrap().1.parse().unwrap()
    }

    /// Begins to listen on loopback, with webhooks.
    fn listening() -> (Self, SocketAddr) {
        let mut stage = Self::new();
        stage.follow("listen: 127.0.0.1:0\nwebhook: {secret_file: SECRET}\n");
        let address = stage.address();
        (stage, address)
    }

    /// Returns whether the bell was rung since the last time.
    fn rung(&self) -> bool {
        self.runtime.block_on(async {
            let due = tokio::time::timeout(Duration::from_millis(200), self.bell.due());
            due.await.is_ok()
        })
    }
}

fn signed(body: &str) -> Vec<u8> {
    webhook::signed(SECRET, body)
}

#[test]
fn every_request_has_its_answer_and_only_a_signed_one_rings() {
    let (stage, address) = Stage::listening();
    let body = "{\"ref\": \"refs/heads/main\"}";
    let good = format!("X-Hub-Signature-256: {}\r\n", signature(SECRET, body));
    let twice = format!("{good}{good}");
    let deep = "[".repeat(100_000);
    let post = |path: &str, headers: &str| request(&format!("POST {path}"), headers, body);
    for (what, bytes, status) in [
        ("health", request("GET /healthz", "", ""), 200),
        ("its head", request("HEAD /healthz", "", ""), 200),
        ("the root", request("GET /", "", ""), 404),
        ("above", request("GET /..%2f..%2fetc/passwd", "", ""), 404),
        ("a NUL", request("GET /%00", "", ""), 404),
        ("a look", request("GET /webhook", "", ""), 405),
        ("a put", request("PUT /webhook", &good, body), 405),
        ("unsigned", post("/webhook", ""), 401),
        ("signed twice", post("/webhook", &twice), 401),
        (
            "a secret in the address",
            post(&format!("/webhook?token={SECRET}"), ""),
            401,
        ),
        (
            "no HTTP",
            b"\x16\x03\x01\x02\x00 hello\r\n\r\n".to_vec(),
            400,
        ),
        ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), 400),
    ] {
        let answer = send(address, &bytes);
        assert!(
            answer == status || (status == 400 && answer == 0),
            "{what}: {answer}"
        );
        assert!(!stage.rung(), "{what} rang");
    }
    for (what, bytes) in [
        ("signed", signed(body)),
        ("the same again", signed(body)),
        ("empty", signed("")),
        ("no JSON", signed("payload=%7B%7D")),
        ("deep", signed(&deep)),
        ("of a branch that is no text", signed("{\"ref\": [1]}")),
    ] {
        assert_eq!(send(address, &bytes), 202, "{what}");
        assert!(stage.rung(), "{what} did not ring");
    }
    let zipped = format!("{good}Content-Encoding: gzip\r\n");
    assert_eq!(
        send(address, &post("/webhook", &zipped)),
        202,
        "not unpacked"
    );
    let token = format!("X-Gitlab-Token: {SECRET}\r\n");
    assert_eq!(send(address, &post("/webhook", &token)), 202);
    let told = stage.told();
    assert_eq!(
        told.iter().filter(|line| *line == "refused").count(),
        1,
        "the first; the others are counted: {told:?}"
    );
    assert!(!told.concat().contains(SECRET));
}

#[test]
fn a_body_that_is_too_large_is_refused_before_it_is_read() {
    let (stage, address) = Stage::listening();
    let head = |length: u64| {
        format!(
            "POST /webhook HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n\
             X-Hub-Signature-256: {}\r\n\r\n",
            signature(SECRET, "")
        )
    };
    // Not a byte of them is ever sent.
    for length in [1024 * 1024 + 1, 4 << 30, u64::MAX / 2] {
        assert_eq!(send(address, head(length).as_bytes()), 413, "{length}");
    }
    let most = "x".repeat(1024 * 1024);
    assert_eq!(send(address, &signed(&most)), 202);
    assert!(stage.rung());

    // One without a length, that has no end.
    let mut stream = TcpStream::connect(address).unwrap();
    let chunked = format!(
        "POST /webhook HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\
         X-Hub-Signature-256: {}\r\n\r\n",
        signature(SECRET, "")
    );
    stream.write_all(chunked.as_bytes()).unwrap();
    let piece = format!("10000\r\n{}\r\n", "x".repeat(65_536));
    let pieces = (0..1000).take_while(|_| stream.write_all(piece.as_bytes()).is_ok());
    assert!(pieces.count() < 1000, "all of it was taken");
    assert!(!stage.rung());

    let both = format!(
        "POST /webhook HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 2\r\nContent-Length: 3\r\n\
         X-Hub-Signature-256: {}\r\n\r\n{{}}",
        signature(SECRET, "{}")
    );
    assert!(
        [0, 400].contains(&send(address, both.as_bytes())),
        "two lengths"
    );
    let headers = "X-Large: ".to_owned() + &"x".repeat(64 * 1024) + "\r\n";
    let mut stream = TcpStream::connect(address).unwrap();
    // The end of it may not be taken any more.
    let _sent = stream.write_all(&request("GET /healthz", &headers, ""));
    assert_ne!(status(&mut stream), 200, "a head without measure");
    assert_eq!(send(address, &request("GET /healthz", "", "")), 200);
}

#[test]
fn who_is_slow_is_cut_off_and_keeps_nobody_waiting() {
    let (stage, address) = Stage::listening();
    let began = Instant::now();
    // More than are served at a time, and none of them ends its head.
    let slow: Vec<TcpStream> = (0..100)
        .map(|_| {
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(b"GET /healthz HTTP/1.1\r\n").unwrap();
            stream
        })
        .collect();
    let mut body = TcpStream::connect(address).unwrap();
    let head = String::from_utf8(signed("{}")).unwrap().replace("{}", "");
    assert_eq!(send(address, &request("GET /healthz", "", "")), 200);
    let waited = began.elapsed();
    assert!(waited < Duration::from_secs(15), "{waited:?}");
    drop(slow);

    let began = Instant::now();
    body.write_all(head.as_bytes()).unwrap();
    assert_eq!(status(&mut body), 408, "a body that does not come");
    assert!(began.elapsed() < Duration::from_secs(15));
    assert!(!stage.rung());
}

#[test]
fn settings_are_followed() {
    let mut stage = Stage::new();
    stage.follow("listen: 127.0.0.1:0\n");
    let first = stage.address();
    assert_eq!(send(first, &signed("{}")), 404, "there are no webhooks");
    assert_eq!(send(first, &request("GET /healthz", "", "")), 200);

    // A secret that comes or goes moves nothing.
    stage.follow("listen: 127.0.0.1:0\nwebhook: {secret_file: SECRET}\n");
    assert_eq!(send(first, &signed("{}")), 202);
    assert!(stage.rung());
    stage.follow("listen: 127.0.0.1:0\n");
    assert_eq!(send(first, &signed("{}")), 404);
    assert_eq!(stage.told().len(), 1);

    stage.follow("");
    assert!(TcpStream::connect(first).is_err(), "it still listens");
    stage.follow("listen: 127.0.0.2:0\n");
    eventually("it listens elsewhere", || stage.told().len() == 2);
    assert_eq!(stage.address().ip().to_string(), "127.0.0.2");
    stage.follow("listen: 0.0.0.0:0\n");
    eventually("it warns", || {
        stage.told().iter().any(|line| line == "others 0.0.0.0:0")
    });
    drop(stage);
}

#[test]
fn an_address_that_is_taken_is_told_and_tried_again() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let mut stage = Stage::new();
    stage.follow(&format!("listen: {address}\n"));
    eventually("it says so", || !stage.told().is_empty());
    assert!(
        stage.told()[0].starts_with("not listening "),
        "{:?}",
        stage.told()
    );
    drop(taken);
    assert_eq!(stage.address(), address);
    assert_eq!(send(address, &request("GET /healthz", "", "")), 200);
}
