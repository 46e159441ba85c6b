//! An HTTP server on loopback that answers as it is told.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// The answer to one request.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: String,
    /// How long it takes; [`Duration::MAX`] = for ever.
    pub(crate) after: Duration,
}

/// Such a server. It ends with the runtime that made it.
pub(crate) struct Loopback {
    pub(crate) port: u16,
    asked: Arc<AtomicUsize>,
    last: Arc<Mutex<String>>,
}

impl Loopback {
    /// Answers the n-th request, from 0, by `script`.
    pub(crate) async fn new(script: impl Fn(usize) -> Reply + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = Self {
            port,
            asked: Arc::default(),
            last: Arc::default(),
        };
        let (asked, last) = (Arc::clone(&server.asked), Arc::clone(&server.last));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let reply = script(asked.fetch_add(1, Ordering::SeqCst));
                tokio::spawn(serve(stream, reply, Arc::clone(&last)));
            }
        });
        server
    }

    /// Answers every request the same.
    pub(crate) async fn always(status: u16, body: &str) -> Self {
        let reply = reply(status, body);
        Self::new(move |_| reply.clone()).await
    }

    /// How many have connected.
    pub(crate) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    /// The last request in full.
    pub(crate) fn last(&self) -> String {
        self.last.lock().unwrap().clone()
    }

    /// Its address.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }
}

/// An answer at once.
pub(crate) fn reply(status: u16, body: &str) -> Reply {
    Reply {
        status,
        body: body.to_owned(),
        after: Duration::ZERO,
    }
}

async fn serve(mut stream: TcpStream, reply: Reply, last: Arc<Mutex<String>>) {
    let mut request = Vec::new();
    let mut chunk = [0; 1024];
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read(&mut chunk).await {
            Ok(0) | Err(_) => return,
            Ok(n) => request.extend_from_slice(&chunk[..n]),
        }
    }
    *last.lock().unwrap() = String::from_utf8(request).unwrap();
    tokio::time::sleep(reply.after).await;
    let Reply { status, body, .. } = reply;
    let length = body.len();
    let text = format!("HTTP/1.1 {status} X\r\nContent-Length: {length}\r\n\r\n{body}");
    // The other side may have gone.
    stream.write_all(text.as_bytes()).await.unwrap_or_default();
}
