use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// What a server does with a connection, after it has read the request.
#[derive(Clone)]
pub(crate) enum Act {
    /// Sends bytes.
    Say(Vec<u8>),
    /// Sends the same bytes for ever, with a pause.
    Drip(Vec<u8>, Duration),
    /// Says nothing, and keeps the connection.
    Hang,
}

/// A server on loopback that does what a function says for the n-th connection, from 0.
pub(crate) struct Server {
    pub(crate) url: Url,
    pub(crate) port: u16,
    asked: Arc<AtomicUsize>,
}

impl Server {
    pub(crate) async fn new(script: impl Fn(usize) -> Vec<Act> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acts = script(counter.fetch_add(1, Ordering::SeqCst));
                tokio::spawn(serve(stream, acts));
            }
        });
        let url = Url::parse(&format!("http://127.0.0.1:{port}/health")).unwrap();
        Self { url, port, asked }
    }

    /// Answers every request the same.
    pub(crate) async fn answering(status: u16, body: &str) -> Self {
        let acts = answer(status, body);
        Self::new(move |_| acts.clone()).await
    }

    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

/// An answer as it should be.
pub(crate) fn answer(status: u16, body: &str) -> Vec<Act> {
    let length = body.len();
    let text = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{body}");
    vec![Act::Say(text.into_bytes())]
}

async fn serve(mut stream: TcpStream, acts: Vec<Act>) {
    let mut request = Vec::new();
    let mut chunk = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(n) => request.extend_from_slice(&chunk[..n]),
        }
    }
    for act in acts {
        match act {
            Act::Say(bytes) => {
                if stream.write_all(&bytes).await.is_err() {
                    return;
                }
            }
            Act::Drip(bytes, pause) => {
                while stream.write_all(&bytes).await.is_ok() {
                    tokio::time::sleep(pause).await;
                }
            }
            Act::Hang => std::future::pending().await,
        }
    }
}

/// Returns an address where nothing listens.
pub(crate) async fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    listener.local_addr().unwrap().port()
}

const ENOUGH: Duration = Duration::from_secs(20);
const SHORT: Duration = Duration::from_millis(300);

fn wants(contains: Option<&str>, json: &[(&str, serde_json::Value)]) -> Answer {
    let json = json
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.clone()));
    Answer {
        status: WantedStatus::Success,
        contains: contains.map(str::to_owned),
        json: json.collect::<BTreeMap<_, _>>(),
    }
}

fn success() -> Answer {
    Answer::of_status(WantedStatus::Success)
}

/// Asks a server that answers like this, and returns what is said of it.
async fn said(status: u16, body: &str, expect: &Answer) -> String {
    let server = Server::answering(status, body).await;
    match http(&server.url, expect, ENOUGH).await {
        Ok(answered) => format!("passed {}", answered.status),
        Err(failure) => failure.to_string(),
    }
}

/// Asks a server that does this, and returns what is said of it; it must end in time.
async fn said_of(acts: Vec<Act>, expect: &Answer) -> String {
    let server = Server::new(move |_| acts.clone()).await;
    let began = Instant::now();
    let failure = http(&server.url, expect, SHORT).await.unwrap_err();
    let took = began.elapsed();
    assert!(took < Duration::from_secs(5), "{took:?}");
    failure.to_string()
}

#[tokio::test]
async fn the_status_is_compared() {
    let (found, seen) = (
        success(),
        Answer::of_status(WantedStatus::SuccessOrRedirect),
    );
    let unavailable = Answer::of_status(WantedStatus::Exactly(503));
    let lines = [
        said(200, "", &found).await,
        said(302, "", &seen).await,
        said(503, "", &unavailable).await,
        said(503, "", &found).await,
        said(302, "", &found).await,
        said(404, "", &seen).await,
        said(200, "", &unavailable).await,
        said(299, "", &unavailable).await,
    ];
    insta::assert_snapshot!(lines.join("\n"), @"
    passed 200
    passed 302
    passed 503
    answered 503 Service Unavailable, wanted 200 to 299
    answered 302 Found, wanted 200 to 299
    answered 404 Not Found, wanted 200 to 399
    answered 200 OK, wanted 503
    answered 299, wanted 503
    ");
}

#[tokio::test]
async fn the_body_is_searched() {
    let ok = wants(Some("all is ok"), &[]);
    let lines = [
        said(200, "say: all is ok!", &ok).await,
        said(200, "", &ok).await,
        said(200, "all is\nnot \u{1b}[31mok\u{202e}", &ok).await,
        said(200, &"long ".repeat(1000), &ok).await,
    ];
    insta::assert_snapshot!(lines.join("\n"), @r#"
    passed 200
    the body does not contain "all is ok" (it is empty)
    the body does not contain "all is ok" (it begins: all is not \u{1b}[31mok\u{202e})
    the body does not contain "all is ok" (it begins: long long long long long long long long long long long long long long long long …)
    "#);
}

#[tokio::test]
async fn json_is_compared_by_pointer() {
    let body = r#"{"status":"healthy","db":{"ok":false,"n":1.0},"a/b":null,"list":[1]}"#;
    let wanted = |pointer, value: serde_json::Value| wants(None, &[(pointer, value)]);
    let all = wants(
        None,
        &[
            ("/status", "healthy".into()),
            ("/db/n", 1.into()),
            ("/a~1b", serde_json::Value::Null),
            ("/list/0", 1.into()),
        ],
    );
    let lines = [
        said(200, body, &all).await,
        said(200, body, &wanted("/db/ok", true.into())).await,
        said(200, body, &wanted("/db/up", true.into())).await,
        said(200, body, &wanted("/db", "up".into())).await,
        said(200, body, &wanted("", "up".into())).await,
        said(200, body, &wanted("/db/n", 2.into())).await,
        said(200, "<html>", &all).await,
        said(200, "", &all).await,
        said(200, &"[".repeat(100_000), &all).await,
    ];
    insta::assert_snapshot!(lines.join("\n"), @r#"
    passed 200
    /db/ok is false, wanted true
    /db/up is not there, wanted true
    /db is an object, wanted "up"
    the body is an object, wanted "up"
    /db/n is 1.0, wanted 2
    the body is not JSON (it begins: <html>)
    the body is not JSON (it is empty)
    the body is not JSON (it begins: [[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[…)
    "#);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let text = "HTTP/1.1 301 X\r\nLocation: /login?token=hunter22\r\nContent-Length: 0\r\n\r\n";
    let server = Server::new(move |_| vec![Act::Say(text.into())]).await;
    let failure = http(&server.url, &success(), ENOUGH).await.unwrap_err();
    insta::assert_snapshot!(failure, @"answered 301 Moved Permanently (to /login), wanted 200 to 299");
    assert_eq!(server.asked(), 1);
}

#[tokio::test]
async fn every_question_is_a_connection_of_its_own() {
    let server = Server::answering(200, "ok").await;
    for _ in 0..3 {
        http(&server.url, &success(), ENOUGH).await.unwrap();
    }
    assert_eq!(server.asked(), 3);
}

#[tokio::test]
async fn a_server_that_hangs_or_drips_ends_at_the_limit() {
    let drip = |byte: &str| Act::Drip(byte.into(), Duration::from_millis(20));
    let head = "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n";
    let lines = [
        said_of(vec![Act::Hang], &success()).await,
        said_of(vec![drip("H")], &success()).await,
        said_of(
            vec![Act::Say("HTTP/1.1 200 OK\r\n".into()), drip("a: b\r\n")],
            &success(),
        )
        .await,
        said_of(vec![Act::Say(head.into()), drip("x")], &success()).await,
        said_of(vec![Act::Say(head.into()), Act::Hang], &success()).await,
    ];
    insta::assert_snapshot!(lines.join("\n"), @"
    no answer within 300ms
    no answer within 300ms
    no answer within 300ms
    answered 200 OK and did not come to an end within 300ms
    answered 200 OK and did not come to an end within 300ms
    ");
}

#[tokio::test]
async fn an_answer_that_breaks_off_or_is_none_fails() {
    let half = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf";
    let lines = [
        said_of(vec![Act::Say(half.into())], &success()).await,
        said_of(vec![Act::Say("SSH-2.0-x\r\n".into())], &success()).await,
        said_of(vec![], &success()).await,
    ];
    insta::assert_snapshot!(lines.join("\n"), @"
    no whole answer came: end of file before message length reached
    no whole answer came: invalid HTTP version parsed
    no whole answer came: connection closed before message completed
    ");
}

#[tokio::test]
async fn no_more_than_a_mebibyte_is_read() {
    let endless = || {
        let head = "HTTP/1.1 200 OK\r\n\r\nbegin";
        let more = Act::Drip(vec![b'x'; 64 * 1024], Duration::ZERO);
        vec![Act::Say(head.into()), more]
    };
    let server = Server::new(move |_| endless()).await;
    let ask = async |expect: Answer| http(&server.url, &expect, ENOUGH).await.map(|_| ());
    assert_eq!(ask(success()).await, Ok(()));
    assert_eq!(ask(wants(Some("begin"), &[])).await, Ok(()));
    let lines = [
        ask(wants(Some("end"), &[])).await.unwrap_err().to_string(),
        ask(wants(None, &[("", true.into())]))
            .await
            .unwrap_err()
            .to_string(),
    ];
    insta::assert_snapshot!(lines.join("\n"), @r#"
    the first 1 MiB of the body does not contain "end" (it begins: beginxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…)
    the body is larger than 1 MiB, which is not read as JSON
    "#);
}

#[tokio::test]
async fn nobody_there_is_said_as_such() {
    let port = closed_port().await;
    let url = |text: &str| Url::parse(text).unwrap();
    let ask = async |url: Url| http(&url, &success(), ENOUGH).await.unwrap_err();
    insta::assert_snapshot!(ask(url(&format!("http://127.0.0.1:{port}/"))).await, @"can't connect: connection refused");
    let unknown = ask(url("http://nowhere.invalid/")).await;
    assert!(matches!(unknown, ProbeFailure::Unreachable(_)), "{unknown}");
}

#[tokio::test]
async fn a_text_is_short_and_has_a_good_status() {
    let ask = async |server: &Server| text(&server.url, SHORT).await;
    let short = Server::answering(200, " 4f2a\x1b \r\n").await;
    assert_eq!(ask(&short).await.unwrap(), "4f2a\x1b");
    let endless = Act::Drip(vec![b'x'; 1024], Duration::ZERO);
    let head = Act::Say("HTTP/1.1 200 OK\r\n\r\n".into());
    let long = Server::new(move |_| vec![head.clone(), endless.clone()]).await;
    assert_eq!(ask(&long).await.unwrap(), "x".repeat(MAX_TEXT));
    let said = [
        ask(&Server::answering(404, "4f2a").await).await,
        ask(&Server::new(|_| vec![Act::Hang]).await).await,
        text(
            &format!("http://127.0.0.1:{}/", closed_port().await)
                .parse()
                .unwrap(),
            SHORT,
        )
        .await,
    ];
    let said = said.map(|one| one.unwrap_err().to_string());
    insta::assert_snapshot!(said.join("\n"), @"
    answered 404 Not Found, wanted 200 to 299
    no answer within 300ms
    can't connect: connection refused
    ");
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let port = closed_port().await;
    let mut server = tls_server(dir.path(), port);
    let url = Url::parse(&format!("https://127.0.0.1:{port}/")).unwrap();
    let mut failure = ProbeFailure::ClosedAtOnce;
    for _ in 0..200 {
        failure = http(&url, &success(), ENOUGH).await.unwrap_err();
        if !failure.to_string().contains("refused") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let unchecked = super::text(&url, ENOUGH).await;
    server.kill().unwrap();
    server.wait().unwrap();
    assert!(unchecked.is_ok(), "a marker is read all the same");
    let text = failure.to_string();
    assert!(text.contains("can't connect: "), "{text}");
    assert!(text.contains("certificate"), "{text}");
}

/// A server with a certificate that nobody has signed.
fn tls_server(dir: &Path, port: u16) -> Child {
    let made = Command::new("openssl")
        .current_dir(dir)
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes"])
        .args(["-subj", "/CN=127.0.0.1", "-days", "1"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-keyout", "key", "-out", "cert"])
        .stderr(Stdio::null())
        .status();
    assert!(made.unwrap().success());
    Command::new("openssl")
        .current_dir(dir)
        .args(["s_server", "-www", "-key", "key", "-cert", "cert"])
        .args(["-accept", &format!("127.0.0.1:{port}")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

#[tokio::test]
async fn a_connection_must_stay() {
    let silent = Server::new(|_| vec![Act::Hang]).await;
    let connect = async |port| {
        let host = "127.0.0.1".to_owned();
        tcp(&TcpAddress { host, port }, ENOUGH).await
    };
    assert_eq!(connect(silent.port).await, Ok(()));

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (mut greets, _) = listener.accept().await.unwrap();
        greets.write_all(b"220 hello\r\n").await.unwrap();
        while let Ok((closes, _)) = listener.accept().await {
            drop(closes);
        }
    });
    assert_eq!(connect(port).await, Ok(()));
    // A busy host may not get to close it in time.
    let mut closed = false;
    for _ in 0..20 {
        closed = closed || connect(port).await == Err(ProbeFailure::ClosedAtOnce);
    }
    assert!(closed);
    let refused = connect(closed_port().await).await.unwrap_err();
    insta::assert_snapshot!(refused, @"can't connect: connection refused");
}

#[test]
fn limits_are_told_as_people_say_them() {
    let shown = |ms| rounded(Duration::from_millis(ms)).to_string();
    assert_eq!(shown(299), "300ms");
    assert_eq!(shown(996), "1s");
    assert_eq!(shown(4_999), "5s");
    assert_eq!(shown(61_200), "1m 1s");
}
