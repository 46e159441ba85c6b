//! Sends webhooks, signed or not.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use hmac::{Hmac, KeyInit as _, Mac as _};
use sha2::Sha256;

/// Returns what GitHub signs a body with: HMAC-SHA256 in hexadecimal digits, with its name.
pub(crate) fn signature(secret: &str, body: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(body.as_bytes());
    format!("sha256={}", hex::encode(mac.finalize().into_bytes()))
}

/// Returns a request with these lines of headers.
pub(crate) fn request(head: &str, headers: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!("{head} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {length}\r\n{headers}\r\n{body}")
        .into_bytes()
}

/// Returns a signed webhook.
pub(crate) fn signed(secret: &str, body: &str) -> Vec<u8> {
    let header = format!("X-Hub-Signature-256: {}\r\n", signature(secret, body));
    request("POST /webhook", &header, body)
}

/// Sends bytes and returns the status of the answer; 0 = the connection was closed without one.
pub(crate) fn send(address: impl std::net::ToSocketAddrs, bytes: &[u8]) -> u16 {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(bytes).unwrap();
    status(&mut stream)
}

/// Sends bytes and returns the whole answer; empty = the connection was closed without one.
pub(crate) fn answer(address: impl std::net::ToSocketAddrs, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(bytes).unwrap();
    let patience = Some(Duration::from_secs(20));
    stream.set_read_timeout(patience).unwrap();
    let mut answer = Vec::new();
    // What was read before a reset counts.
    let _end = stream.read_to_end(&mut answer);
    String::from_utf8(answer).unwrap()
}

/// Reads the status of an answer; 0 = there was none.
pub(crate) fn status(stream: &mut TcpStream) -> u16 {
    let patience = Some(Duration::from_secs(20));
    stream.set_read_timeout(patience).unwrap();
    let mut line = [0; 12];
    if stream.read_exact(&mut line).is_err() {
        return 0;
    }
    let line = String::from_utf8(line.to_vec()).unwrap();
    line.rsplit(' ').next().unwrap().parse().unwrap()
}
