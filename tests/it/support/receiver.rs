//! A receiver of notifications on loopback, which keeps what it gets.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

/// A request that came.
#[derive(Clone, Debug)]
pub(crate) struct Got {
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Got {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// Such a receiver; its thread ends with the process.
pub(crate) struct Receiver {
    pub(crate) port: u16,
    got: Arc<Mutex<Vec<Got>>>,
    /// The head of its answers.
    answer: Arc<Mutex<String>>,
}

impl Receiver {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let receiver = Self {
            port: listener.local_addr().unwrap().port(),
            got: Arc::default(),
            answer: Arc::new(Mutex::new("204 No Content".to_owned())),
        };
        let (got, answer) = (Arc::clone(&receiver.got), Arc::clone(&receiver.answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let mut stream = stream;
                let mut bytes = Vec::new();
                let mut chunk = [0; 4096];
                while !is_whole(&bytes) {
                    match stream.read(&mut chunk) {
                        Ok(0) | Err(_) => break,
                        Ok(n) => bytes.extend_from_slice(&chunk[..n]),
                    }
                }
                let text = String::from_utf8(bytes).unwrap();
                let Some((head, body)) = text.split_once("\r\n\r\n") else {
                    continue;
                };
                got.lock().unwrap().push(Got {
                    head: head.to_ascii_lowercase(),
                    body: body.to_owned(),
                });
                let answer = answer.lock().unwrap().clone();
                let text = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\n\r\n");
                // The other side may have gone.
                stream.write_all(text.as_bytes()).unwrap_or_default();
            }
        });
        receiver
    }

    /// Answers so from now on: a status line, and further headers.
    pub(crate) fn answers(&self, answer: &str) {
        answer.clone_into(&mut self.answer.lock().unwrap());
    }

    /// Returns what came since it was asked last.
    pub(crate) fn take(&self) -> Vec<Got> {
        std::mem::take(&mut *self.got.lock().unwrap())
    }

    /// Returns everything that came and was not taken.
    pub(crate) fn got(&self) -> Vec<Got> {
        self.got.lock().unwrap().clone()
    }

    /// Its address, with a path that nobody should see.
    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hooks/T0PSECRETPATH", self.port)
    }
}

fn is_whole(bytes: &[u8]) -> bool {
    let text = String::from_utf8_lossy(bytes);
    let Some((head, body)) = text.split_once("\r\n\r\n") else {
        return false;
    };
    let mut lines = head.lines().filter_map(|line| line.split_once(": "));
    let length = lines.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    length.is_none_or(|(_, length)| body.len() >= length.parse().unwrap())
}
