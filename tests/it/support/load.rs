//! Visitors that never stop: requests over several connections while something happens to what
//! answers them, and what they noticed.
//!
//! [`Load::start`] lets them in and [`Load::stop`] sends them home with a [`LoadReport`]. Each
//! connection is a closed loop: it asks again when it was answered. Std only, and nothing of the
//! package: `tests/bench/load.rs` is built of this file too.
//!
//! A request has **failed** when nobody takes the connection, it is reset or closed before the
//! answer is whole, the status is 500 or above, or the answer takes more than 5 s. One exception,
//! which every HTTP client makes (RFC 9112, 9.3.1): a server may close a connection that waits for
//! its next request, and where that crosses the request, it is sent once more over a new
//! connection. [`LoadReport::crossed`] counts these.

use std::collections::BTreeSet;
use std::io::{self, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// Longest that one request may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Failures that are kept with their time and cause.
const KEPT: usize = 10;

/// Bytes of an answer that are read at most.
const LONGEST_ANSWER: usize = 1024 * 1024;

/// How often the long download looks whether it may end.
const LOOK: Duration = Duration::from_millis(200);

/// What the visitors do.
#[derive(Clone, Debug)]
pub(crate) struct LoadSpec {
    /// Connections at a time, at most 64.
    pub(crate) connections: usize,
    /// How many of them are kept for the next request; the others are new for each.
    pub(crate) keep_alive: usize,
    /// Every so many requests, one asks for `/slow?ms=300`; 0 = never. Only every fourth connection
    /// does, so that there always are others that are answered meanwhile.
    pub(crate) slow_every: usize,
    /// One more connection reads `/stream`, one download after the other.
    pub(crate) long: bool,
    /// Time that each of them takes.
    pub(crate) long_for: Duration,
    /// Time between an answer and the next request, so that processors are left for what is
    /// looked at, and a server that only fails is not asked in a tight loop.
    pub(crate) pause: Duration,
    /// After that time they go by themselves.
    pub(crate) at_most: Duration,
    /// After so many requests too.
    pub(crate) at_most_requests: usize,
}

impl Default for LoadSpec {
    fn default() -> Self {
        Self {
            connections: 8,
            keep_alive: 4,
            slow_every: 5,
            long: true,
            long_for: Duration::from_secs(2),
            pause: Duration::from_millis(2),
            at_most: Duration::from_secs(120),
            at_most_requests: 1_000_000,
        }
    }
}

/// One request that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    /// When, since the start.
    pub(crate) at: Duration,
    /// `status 502`, `connection refused`, …
    pub(crate) cause: String,
}

/// What the visitors noticed.
#[derive(Clone, Debug, Default)]
pub(crate) struct LoadReport {
    /// Requests that were answered or failed.
    pub(crate) requests: usize,
    /// How many of them failed.
    pub(crate) failures: usize,
    /// The first of them.
    pub(crate) failed: Vec<Failure>,
    /// The longest time without any successful answer, between the first and the last of them.
    pub(crate) longest_gap: Duration,
    /// Whether every long download went on until its end; true without one.
    pub(crate) long_ok: bool,
    /// Why one did not.
    pub(crate) long_failed: Option<Failure>,
    /// Requests that crossed the end of a kept connection and were sent once more.
    pub(crate) crossed: usize,
    /// Every `"version":"…"` in the answers.
    pub(crate) versions: BTreeSet<String>,
}

/// Visitors, until they are stopped or dropped.
pub(crate) struct Load {
    site: Arc<Site>,
    threads: Vec<JoinHandle<()>>,
    long: Option<JoinHandle<Result<(), Failure>>>,
}

impl Load {
    /// Starts them at an address such as `http://127.0.0.1:8080/`. Panics for one that is not of
    /// this machine: this is nothing to do to others.
    pub(crate) fn start(url: &str, spec: &LoadSpec) -> Self {
        let rest = url.strip_prefix("http://").expect("only http:// is spoken");
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let address: SocketAddr = authority.parse().expect("an address and a port");
        assert!(address.ip().is_loopback(), "{url} is not of this machine");
        assert!(spec.connections <= 64 && spec.keep_alive <= spec.connections);
        let site = Arc::new(Site {
            address,
            path: format!("/{path}"),
            began: Instant::now(),
            spec: spec.clone(),
            told: AtomicBool::new(false),
            asked: AtomicUsize::new(0),
            seen: Mutex::default(),
        });
        let visitors = (0..spec.connections).map(|number| {
            let site = Arc::clone(&site);
            thread::spawn(move || Visitor::new(&site, number).visit())
        });
        let threads = visitors.collect();
        let long = spec.long.then(|| {
            let site = Arc::clone(&site);
            thread::spawn(move || site.download())
        });
        Self {
            site,
            threads,
            long,
        }
    }

    /// Returns how many requests have been answered well so far.
    pub(crate) fn answered(&self) -> usize {
        let seen = self.site.seen.lock().unwrap();
        seen.report.requests - seen.report.failures
    }

    /// Lets them finish what they have asked for, and returns what they noticed.
    pub(crate) fn stop(mut self) -> LoadReport {
        self.site.told.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("a visitor does not panic");
        }
        let long = self.long.take().map(JoinHandle::join);
        let long = long.map(|long| long.expect("the download does not panic"));
        let mut report = self.site.seen.lock().unwrap().report.clone();
        report.long_failed = long.and_then(Result::err);
        report.long_ok = report.long_failed.is_none();
        report
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.site.told.store(true, Ordering::Relaxed);
    }
}

/// What all visitors know.
struct Site {
    address: SocketAddr,
    path: String,
    began: Instant,
    spec: LoadSpec,
    told: AtomicBool,
    /// Requests begun.
    asked: AtomicUsize,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    last_success: Option<Duration>,
    report: LoadReport,
}

impl Site {
    fn is_over(&self) -> bool {
        self.told.load(Ordering::Relaxed) || self.began.elapsed() >= self.spec.at_most
    }

    fn note(&self, outcome: Result<Answer, String>) {
        let mut seen = self.seen.lock().unwrap();
        // Taken under the lock, so that times come in order.
        let at = self.began.elapsed();
        seen.report.requests += 1;
        let answer = outcome.and_then(|answer| match answer.status {
            500.. => Err(format!("status {}", answer.status)),
            _ => Ok(answer),
        });
        match answer {
            Ok(answer) => {
                let gap = at.saturating_sub(seen.last_success.unwrap_or(at));
                // The last answers come when most visitors have gone: that is no gap.
                if !self.is_over() {
                    seen.report.longest_gap = seen.report.longest_gap.max(gap);
                }
                seen.last_success = Some(at);
                seen.report.versions.extend(answer.version());
            }
            Err(cause) => {
                seen.report.failures += 1;
                if seen.report.failed.len() < KEPT {
                    seen.report.failed.push(Failure { at, cause });
                }
            }
        }
    }

    /// Reads `/stream` again and again for as long as the others ask.
    fn download(&self) -> Result<(), Failure> {
        while !self.is_over() {
            self.read_stream().map_err(|cause| Failure {
                at: self.began.elapsed(),
                cause,
            })?;
        }
        Ok(())
    }

    fn read_stream(&self) -> Result<(), String> {
        let mut stream = TcpStream::connect_timeout(&self.address, PATIENCE).map_err(told)?;
        stream.set_read_timeout(Some(LOOK)).map_err(told)?;
        let most = self.spec.at_most + Duration::from_secs(5);
        let seconds = self.spec.long_for.min(most).as_secs();
        let request = request(&self.address, &format!("/stream?seconds={seconds}"), true);
        stream.write_all(&request).map_err(told)?;
        let (mut head, mut last, mut chunk) = (Vec::new(), Instant::now(), [0; 4096]);
        let mut tail = Vec::new();
        loop {
            match stream.read(&mut chunk) {
                Ok(0) if tail == b"0\r\n\r\n" => return Ok(()),
                Ok(0) => return Err("closed before its end".to_owned()),
                Ok(count) => {
                    last = Instant::now();
                    head.extend_from_slice(&chunk[..count]);
                    head.truncate(12);
                    tail.extend_from_slice(&chunk[..count]);
                    tail.drain(..tail.len().saturating_sub(5));
                }
                Err(failure) if is_timeout(&failure) && last.elapsed() < PATIENCE => {}
                Err(failure) => return Err(told(failure)),
            }
            if head.len() == 12 && !head.starts_with(b"HTTP/1.1 200") {
                return Err(String::from_utf8_lossy(&head).replace("HTTP/1.1", "status"));
            }
            if self.is_over() {
                return Ok(());
            }
        }
    }
}

/// One of them.
struct Visitor<'a> {
    site: &'a Site,
    keeps: bool,
    /// Every so many requests a slow one; 0 = never.
    slow_every: usize,
    kept: Option<TcpStream>,
    /// Requests made.
    count: usize,
}

impl<'a> Visitor<'a> {
    fn new(site: &'a Site, number: usize) -> Self {
        Self {
            site,
            keeps: number < site.spec.keep_alive,
            kept: None,
            slow_every: if number.is_multiple_of(4) {
                site.spec.slow_every
            } else {
                0
            },
            count: 0,
        }
    }

    fn visit(mut self) {
        while !self.site.is_over() {
            let asked = self.site.asked.fetch_add(1, Ordering::Relaxed);
            if asked >= self.site.spec.at_most_requests {
                return;
            }
            self.count += 1;
            let is_slow = self.slow_every > 0 && self.count.is_multiple_of(self.slow_every);
            let path = if is_slow {
                "/slow?ms=300"
            } else {
                &self.site.path
            };
            let outcome = self.ask(path);
            self.site.note(outcome);
            thread::sleep(self.site.spec.pause);
        }
    }

    fn ask(&mut self, path: &str) -> Result<Answer, String> {
        let deadline = Instant::now() + PATIENCE;
        if let Some(kept) = self.kept.take() {
            match self.exchange(kept, path, deadline) {
                Err(Broke {
                    begun: false,
                    ended: true,
                    ..
                }) => self.site.seen.lock().unwrap().report.crossed += 1,
                outcome => return outcome.map_err(|broke| broke.cause),
            }
        }
        let connected = TcpStream::connect_timeout(&self.site.address, PATIENCE);
        let fresh = connected.map_err(told)?;
        self.exchange(fresh, path, deadline)
            .map_err(|broke| broke.cause)
    }

    /// Asks over one connection, and keeps it where both sides want that.
    fn exchange(
        &mut self,
        mut stream: TcpStream,
        path: &str,
        deadline: Instant,
    ) -> Result<Answer, Broke> {
        let before = |failure: io::Error| Broke::of(&failure, false);
        stream.set_nodelay(true).map_err(before)?;
        stream.set_write_timeout(Some(PATIENCE)).map_err(before)?;
        let request = request(&self.site.address, path, !self.keeps);
        stream.write_all(&request).map_err(before)?;
        let mut reading = Reading::default();
        while !reading.is_whole() {
            let begun = !reading.bytes.is_empty();
            let broke = |failure: io::Error| Broke::of(&failure, begun);
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || reading.bytes.len() > LONGEST_ANSWER {
                return Err(broke(io::ErrorKind::TimedOut.into()));
            }
            stream.set_read_timeout(Some(left)).map_err(broke)?;
            let mut chunk = [0; 16 * 1024];
            match stream.read(&mut chunk).map_err(broke)? {
                0 if reading.ends_with_connection() => break,
                0 => return Err(broke(io::ErrorKind::UnexpectedEof.into())),
                count => reading.bytes.extend_from_slice(&chunk[..count]),
            }
        }
        let answer = reading.answer();
        if self.keeps && !answer.closes {
            self.kept = Some(stream);
        }
        Ok(answer)
    }
}

/// A request whose answer did not come.
struct Broke {
    /// Whether a part of it came.
    begun: bool,
    /// Whether the other side has ended the connection.
    ended: bool,
    cause: String,
}

impl Broke {
    fn of(failure: &io::Error, begun: bool) -> Self {
        let ended = matches!(
            failure.kind(),
            io::ErrorKind::UnexpectedEof
                | io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
        );
        let cause = if failure.kind() == io::ErrorKind::UnexpectedEof && !begun {
            "closed without an answer".to_owned()
        } else if failure.kind() == io::ErrorKind::UnexpectedEof {
            "closed before the answer was whole".to_owned()
        } else if is_timeout(failure) {
            format!("no answer within {} s", PATIENCE.as_secs())
        } else {
            failure.kind().to_string()
        };
        Self {
            begun,
            ended,
            cause,
        }
    }
}

fn is_timeout(failure: &io::Error) -> bool {
    let kind = failure.kind();
    kind == io::ErrorKind::WouldBlock || kind == io::ErrorKind::TimedOut
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn told(failure: io::Error) -> String {
    Broke::of(&failure, false).cause
}

fn request(address: &SocketAddr, path: &str, closes: bool) -> Vec<u8> {
    let connection = if closes { "close" } else { "keep-alive" };
    format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: {connection}\r\n\r\n")
        .into_bytes()
}

/// A whole answer.
struct Answer {
    status: u16,
    closes: bool,
    body: String,
}

impl Answer {
    fn version(&self) -> Option<String> {
        let (_, rest) = self.body.split_once(r#""version":""#)?;
        rest.split_once('"').map(|(version, _)| version.to_owned())
    }
}

/// An answer as far as it has come.
#[derive(Default)]
struct Reading {
    bytes: Vec<u8>,
}

impl Reading {
    /// Returns the head in lower case and the body, once the head is whole.
    fn parts(&self) -> Option<(String, &[u8])> {
        let end = self.bytes.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8_lossy(&self.bytes[..end]).to_ascii_lowercase();
        Some((head, &self.bytes[end + 4..]))
    }

    fn is_whole(&self) -> bool {
        let Some((head, body)) = self.parts() else {
            return false;
        };
        if is_chunked(&head) {
            return body.ends_with(b"0\r\n\r\n");
        }
        length(&head).is_some_and(|length| body.len() >= length)
    }

    fn ends_with_connection(&self) -> bool {
        let parts = self.parts();
        parts.is_some_and(|(head, _)| !is_chunked(&head) && length(&head).is_none())
    }

    fn answer(&self) -> Answer {
        let (head, body) = self.parts().unwrap_or_default();
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let ends = length(&head).is_none() && !is_chunked(&head);
        Answer {
            // What is no HTTP is no success.
            status: status.unwrap_or(599),
            closes: ends || header(&head, "connection") == Some("close"),
            body: String::from_utf8_lossy(body).into_owned(),
        }
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut headers = head.lines().filter_map(|line| line.split_once(':'));
    let found = headers.find(|header| header.0 == name);
    found.map(|header| header.1.trim())
}

fn length(head: &str) -> Option<usize> {
    header(head, "content-length")?.parse().ok()
}

fn is_chunked(head: &str) -> bool {
    header(head, "transfer-encoding") == Some("chunked")
}
