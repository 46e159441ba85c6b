//! The HTTP server: connections, heads, and the answers that every mode gives.

use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Component, Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::ledger::Ledger;
use crate::{end_when_told, millis, port, setting};

/// The server's settings and state.
struct App {
    started: Instant,
    ready_after: Option<Duration>,
    slow: Duration,
    content: Content,
}

/// What the server shows beside `/health`.
pub enum Content {
    Identity,
    Files(PathBuf),
    Ledger(Ledger),
}

/// A request as far as an answer depends on it.
pub struct Request<'a> {
    pub method: &'a str,
    pub path: &'a str,
    query: &'a str,
}

impl<'a> Request<'a> {
    /// Takes a request line apart.
    fn parse(line: &'a str) -> Self {
        let mut words = line.split_ascii_whitespace();
        let method = words.next().unwrap_or("GET");
        let target = words.next().unwrap_or("/");
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        Self {
            method,
            path,
            query,
        }
    }

    /// Returns a parameter of the query, decoded.
    pub fn parameter(&self, name: &str) -> Option<String> {
        let mut pairs = self.query.split('&').filter_map(|it| it.split_once('='));
        pairs.find(|pair| pair.0 == name).map(|pair| decode(pair.1))
    }

    /// Returns a parameter that is a number, at most so much.
    fn number(&self, name: &str, default: u64, at_most: u64) -> u64 {
        let number = self.parameter(name).and_then(|text| text.parse().ok());
        number.unwrap_or(default).min(at_most)
    }
}

/// Decodes `+` and `%20` of a query.
fn decode(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        let hex = after.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let coded = hex.and_then(|two| u8::from_str_radix(two, 16).ok());
        rest = after;
        match (first, coded) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            (b'+', _) => bytes.push(b' '),
            _ => bytes.push(*first),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// What is answered.
pub struct Answer {
    status: &'static str,
    kind: &'static str,
    body: Vec<u8>,
}

impl Answer {
    pub fn text(status: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self::new(status, "text/plain; charset=utf-8", body)
    }

    pub fn json(status: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self::new(status, "application/json", body)
    }

    fn new(status: &'static str, kind: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            kind,
            body: body.into(),
        }
    }
}

impl App {
    fn is_ready(&self) -> bool {
        self.ready_after
            .is_some_and(|after| self.started.elapsed() >= after)
    }
}

/// Serves for ever.
pub fn serve(content: Content) -> Result<(), String> {
    end_when_told();
    let never_ready = setting("NEVER_READY").is_some_and(|value| value == "1");
    let ready_after = millis("READY_AFTER_MS")?.unwrap_or_default();
    let app: &'static App = Box::leak(Box::new(App {
        started: Instant::now(),
        ready_after: (!never_ready).then_some(ready_after),
        slow: millis("SLOW_MS")?.unwrap_or_default(),
        content,
    }));
    let port = port()?;
    let listener =
        TcpListener::bind(("0.0.0.0", port)).map_err(|e| format!("listening on {port}: {e}"))?;
    let version = setting("APP_VERSION").unwrap_or_default();
    println!("standin {version} listens on port {port}");
    for stream in listener.incoming().flatten() {
        // A connection that breaks concerns its client only.
        thread::spawn(move || drop(converse(app, &stream)));
    }
    Ok(())
}

/// Answers the requests of one connection until the client wants no more.
fn converse(app: &App, stream: &TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream);
    loop {
        let mut request_line = String::new();
        if reader.read_line(&mut request_line)? == 0 {
            return Ok(());
        }
        let head = Head::read(&mut reader)?;
        io::copy(
            &mut reader.by_ref().take(head.content_length),
            &mut io::sink(),
        )?;
        thread::sleep(app.slow);
        let request = Request::parse(&request_line);
        if request.path == "/stream" && !matches!(app.content, Content::Files(_)) {
            return stream_parts(stream, request.number("seconds", 10, 3600));
        }
        let keep = request_line.trim_end().ends_with("HTTP/1.1") && !head.close;
        let Answer { status, kind, body } = answer(app, &request);
        let connection = if keep { "keep-alive" } else { "close" };
        let mut response = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
             Connection: {connection}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        if request.method != "HEAD" {
            response.extend_from_slice(&body);
        }
        (&*stream).write_all(&response)?;
        if !keep {
            return Ok(());
        }
    }
}

/// Sends a part every 100 ms for that long, and ends the connection.
fn stream_parts(mut stream: &TcpStream, seconds: u64) -> io::Result<()> {
    stream.write_all(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\
          Connection: close\r\n\r\n",
    )?;
    for tenth in 0..seconds * 10 {
        let part = format!("part {tenth}\n");
        write!(stream, "{:x}\r\n{part}\r\n", part.len())?;
        thread::sleep(Duration::from_millis(100));
    }
    stream.write_all(b"0\r\n\r\n")
}

/// What matters to us in the head of a request or a response.
#[derive(Default)]
pub struct Head {
    content_length: u64,
    close: bool,
}

impl Head {
    pub fn read(reader: &mut impl BufRead) -> io::Result<Self> {
        let mut head = Self::default();
        loop {
            let mut line = String::new();
            if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
                return Ok(head);
            }
            let (name, value) = line.split_once(':').unwrap_or((&line, ""));
            if name.eq_ignore_ascii_case("content-length") {
                head.content_length = value.trim().parse().unwrap_or(0);
            } else if name.eq_ignore_ascii_case("connection") {
                head.close = value.trim().eq_ignore_ascii_case("close");
            }
        }
    }
}

fn answer(app: &App, request: &Request<'_>) -> Answer {
    let nothing = || Answer::text("404 Not Found", "no such page\n");
    match (request.path, &app.content) {
        ("/health", _) if app.is_ready() => Answer::text("200 OK", "ok\n"),
        ("/health", _) => Answer::text("503 Service Unavailable", "not ready\n"),
        (path, Content::Files(root)) => match file_below(root, path).map(fs::read) {
            Some(Ok(content)) => Answer::new("200 OK", "application/octet-stream", content),
            Some(Err(_)) | None => Answer::text("404 Not Found", "no such file\n"),
        },
        ("/", _) => Answer::json("200 OK", identity()),
        ("/slow", _) => {
            let ms = request.number("ms", 300, 60_000);
            thread::sleep(Duration::from_millis(ms));
            Answer::text("200 OK", format!("that took {ms} ms\n"))
        }
        (_, Content::Ledger(ledger)) => {
            let answer = ledger.answer(request, app.is_ready());
            answer.unwrap_or_else(nothing)
        }
        (_, Content::Identity) => nothing(),
    }
}

/// Returns the path of a served file; none for a path that would leave `root` by its components.
fn file_below(root: &Path, path: &str) -> Option<PathBuf> {
    let relative = Path::new(path.trim_start_matches('/'));
    let is_plain = relative
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    is_plain.then(|| root.join(relative))
}

/// Tells who answers: one line of JSON.
fn identity() -> String {
    let hostname = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let mut text = format!(
        r#"{{"version":{},"greeting":{},"hostname":{}"#,
        json(setting("APP_VERSION").as_deref()),
        json(setting("GREETING").as_deref()),
        json(Some(hostname.trim())),
    );
    if let Some(names) = setting("PRINT_ENV") {
        let told: Vec<String> = names
            .split(',')
            .map(str::trim)
            .map(|name| {
                format!(
                    "{}:{}",
                    json(Some(name)),
                    json(std::env::var(name).ok().as_deref())
                )
            })
            .collect();
        let _ = write!(text, r#","env":{{{}}}"#, told.join(","));
    }
    text.push_str("}\n");
    text
}

/// Returns text as a JSON string, or null.
pub fn json(value: Option<&str>) -> String {
    let Some(value) = value else {
        return "null".to_owned();
    };
    let mut text = String::from('"');
    for c in value.chars() {
        match c {
            '"' | '\\' => text.extend(['\\', c]),
            c if c.is_control() => {
                let _ = write!(text, "\\u{:04x}", u32::from(c));
            }
            c => text.push(c),
        }
    }
    text.push('"');
    text
}
