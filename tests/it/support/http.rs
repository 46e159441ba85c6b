//! Small HTTP clients: one request, a prober that never stops looking, and a writer whose rows have
//! no gap.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

/// Longest that a server may take for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Time between two requests of the prober.
const PACE: Duration = Duration::from_millis(50);

/// What a server answered.
#[derive(Clone, Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Response {
    /// Returns the value of a header.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.head.lines().filter_map(|line| line.split_once(':'));
        let found = headers.find(|header| header.0.eq_ignore_ascii_case(name));
        found.map(|header| header.1.trim())
    }

    /// Returns the body as JSON.
    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_str(&self.body).ok()
    }
}

/// GETs `http://host:port/path`.
pub(crate) fn get(url: &str) -> io::Result<Response> {
    request("GET", url)
}

/// POSTs nothing to `http://host:port/path`.
pub(crate) fn post(url: &str) -> io::Result<Response> {
    request("POST", url)
}

fn request(method: &str, url: &str) -> io::Result<Response> {
    let rest = url.strip_prefix("http://").expect("only http:// is spoken");
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut stream = TcpStream::connect(authority)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    // HTTP/1.0: the body comes in one piece.
    write!(
        stream,
        "{method} /{path} HTTP/1.0\r\nHost: {authority}\r\nContent-Length: 0\r\n\r\n"
    )?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let broken = || io::Error::other("half an answer");
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(broken)?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    Ok(Response {
        status: status.ok_or_else(broken)?,
        head: head.to_owned(),
        body: body.to_owned(),
    })
}

// --- the prober ---

/// Asks for an address every 50 ms, from its start until it is stopped or dropped.
pub(crate) struct Prober {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Vec<Seen>>>,
}

/// One look.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// The status; 0 if nobody answered.
    pub(crate) status: u16,
    /// `version` of the answer, if that is JSON and has one.
    pub(crate) version: Option<String>,
}

/// Everything that a prober has seen.
#[derive(Debug)]
pub(crate) struct Record(pub(crate) Vec<Seen>);

impl Prober {
    pub(crate) fn start(url: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (told, url) = (Arc::clone(&stop), url.to_owned());
        let thread = std::thread::spawn(move || {
            let mut seen = Vec::new();
            while !told.load(Ordering::Relaxed) {
                let began = Instant::now();
                let answer = get(&url).ok();
                let version = answer.as_ref().and_then(|answer| {
                    let json = answer.json()?;
                    Some(json["version"].as_str()?.to_owned())
                });
                seen.push(Seen {
                    status: answer.map_or(0, |answer| answer.status),
                    version,
                });
                std::thread::sleep(PACE.saturating_sub(began.elapsed()));
            }
            seen
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }

    /// Ends it; returns what it has seen.
    pub(crate) fn stop(mut self) -> Record {
        self.stop.store(true, Ordering::Relaxed);
        Record(self.thread.take().unwrap().join().unwrap())
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // One that panicked has failed its test by itself.
        drop(self.thread.take().map(JoinHandle::join));
    }
}

impl Record {
    /// Returns the statuses in order, each run of the same one once.
    pub(crate) fn statuses(&self) -> Vec<u16> {
        let mut statuses: Vec<u16> = self.0.iter().map(|seen| seen.status).collect();
        statuses.dedup();
        statuses
    }

    /// Returns the versions in order, each run of the same one once; looks without one are left
    /// out.
    pub(crate) fn versions(&self) -> Vec<String> {
        let versions = self.0.iter().filter_map(|seen| seen.version.clone());
        let mut versions: Vec<String> = versions.collect();
        versions.dedup();
        versions
    }

    /// Returns how often a status was seen.
    pub(crate) fn count(&self, status: u16) -> usize {
        self.0.iter().filter(|seen| seen.status == status).count()
    }
}

// --- the writer ---

/// Inserts `writer-1`, `writer-2`, … through HTTP, from its start until it is stopped or dropped. A
/// row whose answer was lost or was no is asked for and tried again, so each is there once.
pub(crate) struct Writer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Vec<String>>>,
}

impl Writer {
    /// Starts it at an address such as `http://host:port/api/entries`.
    pub(crate) fn start(entries: &str) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (told, entries) = (Arc::clone(&stop), entries.to_owned());
        let thread = std::thread::spawn(move || {
            let mut stored = Vec::new();
            while !told.load(Ordering::Relaxed) {
                let text = format!("writer-{}", stored.len() + 1);
                if store(&format!("{entries}?text={text}")) == Some(true) {
                    stored.push(text);
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            stored
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }

    /// Ends it; returns the texts whose insertion was confirmed. One more row may be there.
    pub(crate) fn stop(mut self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn store(url: &str) -> Option<bool> {
    let there = get(url).ok()?;
    match there.json()?["entries"].as_u64()? {
        0 => Some(post(url).ok()?.status == 201),
        _ => Some(there.status == 200),
    }
}

/// Returns the rows of `stored` that are not in `rows` exactly once.
pub(crate) fn lost_or_doubled<'a>(stored: &'a [String], rows: &[String]) -> Vec<&'a String> {
    let times = |text: &String| rows.iter().filter(|row| *row == text).count();
    stored.iter().filter(|text| times(text) != 1).collect()
}
