//! An engine for unit tests that gives prepared answers, for what a real one can't be brought to
//! do on demand.

use std::path::Path;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinHandle;

/// One answer: the status line without the protocol, and the body. Without a status the
/// connection is closed in place of an answer.
pub(super) type Answer = (Option<&'static str>, &'static str);

/// The greeting of an engine that speaks this version of the API.
pub(super) const GREETING: Answer = (Some("200 OK"), "OK");

/// Serves one connection after the other on a TCP port, one answer each; returns the endpoint, and
/// a task that ends with the request lines.
pub(super) async fn serve(
    version: &'static str,
    answers: Vec<Answer>,
) -> (String, JoinHandle<Vec<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
    let task = tokio::spawn(async move {
        let mut lines = Vec::new();
        for answer in answers {
            let (stream, _) = listener.accept().await.unwrap();
            lines.push(exchange(stream, version, answer).await);
        }
        lines
    });
    (endpoint, task)
}

/// The same on a socket at `path`.
pub(super) fn serve_socket(
    path: &Path,
    version: &'static str,
    answers: Vec<Answer>,
) -> JoinHandle<Vec<String>> {
    let listener = UnixListener::bind(path).unwrap();
    tokio::spawn(async move {
        let mut lines = Vec::new();
        for answer in answers {
            let (stream, _) = listener.accept().await.unwrap();
            lines.push(exchange(stream, version, answer).await);
        }
        lines
    })
}

async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    version: &str,
    (status, body): Answer,
) -> String {
    let mut request = [0_u8; 4096];
    let read = stream.read(&mut request).await.unwrap();
    let text = String::from_utf8_lossy(&request[..read]).into_owned();
    if let Some(status) = status {
        let length = body.len();
        let answer = format!(
            "HTTP/1.1 {status}\r\nApi-Version: {version}\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n{body}"
        );
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
    text.lines()
        .next()
        .unwrap_or_default()
        .replace(" HTTP/1.1", "")
}
