//! A stand-in for a real application: one static program that becomes a one-file image with
//! `docker import`, so that the demonstration and the tests need no image registry.
//!
//! Built by plain `rustc` (see `scripts/lib/standin.sh`), std only, no cargo. It is also its own
//! health check, client and one-off command:
//!
//! | command | does |
//! |---|---|
//! | `standin` | serves HTTP: `/` tells version and greeting as JSON, `/health` tells readiness |
//! | `standin serve-file DIR` | serves the files below `DIR`, and `/health` |
//! | `standin check [PATH]` | GETs `PATH` (default `/health`) from itself: exit 0 on 200, else 1 |
//! | `standin get URL` | prints the body of `http://host[:port]/path`: exit 0 on 2xx, else 1 |
//! | `standin sleep SECONDS` | waits, then exits 0 |
//! | `standin exit CODE` | exits with that code |
//! | `standin print TEXT…` | prints its arguments |
//! | `standin cat FILE…` | prints files |
//!
//! | variable | effect on serving (and on `sleep` for the last two) |
//! |---|---|
//! | `PORT` | port to listen on and to check, 8080 |
//! | `APP_VERSION`, `GREETING` | told by `/` |
//! | `PRINT_ENV` | names of further variables that `/` tells, separated by commas |
//! | `READY_AFTER_MS` | `/health` answers 503 for that long after the start |
//! | `NEVER_READY=1` | `/health` answers 503 for ever |
//! | `SLOW_MS` | time that each request takes |
//! | `EXIT_AFTER_MS`, `EXIT_CODE` | the process ends by itself after that time, with that code (1) |
//! | `IGNORE_TERM=1` | SIGTERM does nothing; otherwise it ends the process at once with code 0 |

use std::fmt::Write as _;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

/// How long a client waits for a server or a name server.
const PATIENCE: Duration = Duration::from_secs(5);

fn main() -> ExitCode {
    obey_signals();
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    match run(&args) {
        Ok(code) => ExitCode::from(code),
        Err(problem) => {
            eprintln!("standin: {problem}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[&str]) -> Result<u8, String> {
    match args {
        [] | ["serve"] => serve(None).map(|()| 0),
        ["serve-file", dir] => serve(Some(PathBuf::from(dir))).map(|()| 0),
        ["check"] => check("/health"),
        ["check", path] => check(path),
        ["get", url] => get(url),
        ["sleep", seconds] => {
            end_when_told();
            let seconds: f64 = number("SECONDS", seconds)?;
            thread::sleep(Duration::try_from_secs_f64(seconds).map_err(|e| e.to_string())?);
            Ok(0)
        }
        ["exit", code] => number("CODE", code),
        ["print", text @ ..] => print(format!("{}\n", text.join(" ")).as_bytes()),
        ["cat", files @ ..] => {
            for file in files {
                print(&fs::read(file).map_err(|e| format!("{file}: {e}"))?)?;
            }
            Ok(0)
        }
        _ => Err(format!("unknown command {args:?}")),
    }
}

fn print(bytes: &[u8]) -> Result<u8, String> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .map_err(|e| e.to_string())?;
    Ok(0)
}

// --- settings ---

fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn number<T: FromStr>(name: &str, text: &str) -> Result<T, String> {
    text.parse()
        .map_err(|_| format!("{name} is not a number that fits: {text}"))
}

fn numeric_setting<T: FromStr>(name: &str) -> Result<Option<T>, String> {
    setting(name).map(|text| number(name, &text)).transpose()
}

fn millis(name: &str) -> Result<Option<Duration>, String> {
    Ok(numeric_setting(name)?.map(Duration::from_millis))
}

fn port() -> Result<u16, String> {
    Ok(numeric_setting("PORT")?.unwrap_or(8080))
}

// --- signals and the end ---

const SIGINT: i32 = 2;
const SIGPIPE: i32 = 13;
const SIGTERM: i32 = 15;
const SIG_IGN: usize = 1;

unsafe extern "C" {
    fn signal(signum: i32, handler: usize) -> usize;
    fn _exit(code: i32) -> !;
}

extern "C" fn leave(_signum: i32) {
    // SAFETY: `_exit` is async-signal-safe and takes any code.
    unsafe { _exit(0) }
}

/// Sets what signals do. The kernel ignores a signal without a handler for PID 1, so a container
/// that is to stop at once needs one.
fn obey_signals() {
    let ignores_term = setting("IGNORE_TERM").is_some_and(|value| value == "1");
    let leave = leave as extern "C" fn(i32) as usize;
    // SAFETY: the handlers are SIG_IGN or a function with C's calling convention that only
    // calls `_exit`; no other thread runs yet.
    unsafe {
        signal(SIGTERM, if ignores_term { SIG_IGN } else { leave });
        signal(SIGINT, leave);
        signal(SIGPIPE, SIG_IGN);
    }
}

/// Ends the process after `EXIT_AFTER_MS`, from a thread of its own. A malformed value ends it
/// at once: a test that mistypes it should notice.
fn end_when_told() {
    let (after, code) = match (millis("EXIT_AFTER_MS"), numeric_setting("EXIT_CODE")) {
        (Ok(None), Ok(_)) => return,
        (Ok(Some(after)), Ok(code)) => (after, code.unwrap_or(1)),
        (Err(problem), _) | (_, Err(problem)) => {
            eprintln!("standin: {problem}");
            std::process::exit(2)
        }
    };
    thread::spawn(move || {
        thread::sleep(after);
        std::process::exit(code)
    });
}

// --- the server ---

struct App {
    started: Instant,
    ready_after: Option<Duration>,
    slow: Duration,
    files: Option<PathBuf>,
}

impl App {
    fn is_ready(&self) -> bool {
        self.ready_after
            .is_some_and(|after| self.started.elapsed() >= after)
    }
}

fn serve(files: Option<PathBuf>) -> Result<(), String> {
    end_when_told();
    let never_ready = setting("NEVER_READY").is_some_and(|value| value == "1");
    let ready_after = millis("READY_AFTER_MS")?.unwrap_or_default();
    let app: &'static App = Box::leak(Box::new(App {
        started: Instant::now(),
        ready_after: (!never_ready).then_some(ready_after),
        slow: millis("SLOW_MS")?.unwrap_or_default(),
        files,
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
        let target = request_line.split_ascii_whitespace().nth(1).unwrap_or("/");
        let path = target.split('?').next().unwrap_or("/");
        let keep = request_line.trim_end().ends_with("HTTP/1.1") && !head.close;
        let is_head = request_line.starts_with("HEAD ");
        let (status, kind, body) = answer(app, path);
        let connection = if keep { "keep-alive" } else { "close" };
        let mut response = format!(
            "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
             Connection: {connection}\r\n\r\n",
            body.len()
        )
        .into_bytes();
        if !is_head {
            response.extend_from_slice(&body);
        }
        (&*stream).write_all(&response)?;
        if !keep {
            return Ok(());
        }
    }
}

/// What matters to us in the head of a request or a response.
#[derive(Default)]
struct Head {
    content_length: u64,
    close: bool,
}

impl Head {
    fn read(reader: &mut impl BufRead) -> io::Result<Self> {
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

fn answer(app: &App, path: &str) -> (&'static str, &'static str, Vec<u8>) {
    const TEXT: &str = "text/plain; charset=utf-8";
    match (path, &app.files) {
        ("/health", _) if app.is_ready() => ("200 OK", TEXT, b"ok\n".to_vec()),
        ("/health", _) => ("503 Service Unavailable", TEXT, b"not ready\n".to_vec()),
        ("/", None) => ("200 OK", "application/json", identity().into_bytes()),
        (_, Some(root)) => match file_below(root, path).map(fs::read) {
            Some(Ok(content)) => ("200 OK", "application/octet-stream", content),
            Some(Err(_)) | None => ("404 Not Found", TEXT, b"no such file\n".to_vec()),
        },
        (_, None) => ("404 Not Found", TEXT, b"no such page\n".to_vec()),
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

fn json(value: Option<&str>) -> String {
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

// --- the client ---

fn check(path: &str) -> Result<u8, String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port()?));
    let (status, _) = fetch(address, "localhost", path)?;
    Ok(u8::from(status != 200))
}

fn get(url: &str) -> Result<u8, String> {
    let rest = url
        .strip_prefix("http://")
        .ok_or("only http:// is understood")?;
    let (authority, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, "/"),
    };
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, number("port", port)?),
        None => (authority, 80),
    };
    let (status, body) = fetch(SocketAddr::from((resolve(host)?, port)), authority, path)?;
    print(&body)?;
    Ok(u8::from(!(200..300).contains(&status)))
}

fn fetch(address: SocketAddr, host: &str, path: &str) -> Result<(u16, Vec<u8>), String> {
    let ask = || -> io::Result<(u16, Vec<u8>)> {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
        )?;
        let mut reader = BufReader::new(stream);
        let mut status_line = String::new();
        reader.read_line(&mut status_line)?;
        let status = status_line
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| io::Error::other("no HTTP response"))?;
        Head::read(&mut reader)?;
        let mut body = Vec::new();
        reader.read_to_end(&mut body)?;
        Ok((status, body))
    };
    ask().map_err(|e| format!("GET http://{address}{path}: {e}"))
}

// --- names ---
// glibc's resolver loads the system's libraries at run time, and a one-file image has none.

fn resolve(host: &str) -> Result<Ipv4Addr, String> {
    if let Ok(address) = host.parse() {
        return Ok(address);
    }
    let hosts = fs::read_to_string("/etc/hosts").unwrap_or_default();
    let known = hosts.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let address = words.next()?.parse().ok()?;
        words.any(|name| name == host).then_some(address)
    });
    if let Some(address) = known {
        return Ok(address);
    }
    let conf = fs::read_to_string("/etc/resolv.conf").map_err(|e| format!("resolv.conf: {e}"))?;
    let server: Ipv4Addr = conf
        .lines()
        .filter_map(|line| line.strip_prefix("nameserver"))
        .find_map(|rest| rest.trim().parse().ok())
        .ok_or("resolv.conf names no IPv4 name server")?;
    let ask = || -> io::Result<Vec<u8>> {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.connect((server, 53))?;
        socket.send(&question(host))?;
        let mut reply = vec![0; 1500];
        let length = socket.recv(&mut reply)?;
        reply.truncate(length);
        Ok(reply)
    };
    let reply = ask().map_err(|e| format!("asking {server} for {host}: {e}"))?;
    first_address(&reply).ok_or_else(|| format!("{server} knows no address of {host}"))
}

/// Returns a DNS query (RFC 1035, section 4) for the IPv4 address of a name.
fn question(host: &str) -> Vec<u8> {
    // Id, recursion desired, one question, no other records.
    let mut packet = vec![0x4d, 0x52, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in host.trim_end_matches('.').split('.') {
        let label = &label.as_bytes()[..label.len().min(63)];
        packet.push(label.len() as u8);
        packet.extend_from_slice(label);
    }
    packet.extend_from_slice(&[0, 0, 1, 0, 1]); // end of name, type A, class IN
    packet
}

/// Returns the first A record of a DNS reply.
fn first_address(reply: &[u8]) -> Option<Ipv4Addr> {
    let u16_at = |at: usize| Some(u16::from_be_bytes([*reply.get(at)?, *reply.get(at + 1)?]));
    let end_of_name = |mut at: usize| loop {
        match *reply.get(at)? {
            0 => return Some(at + 1),
            length if length & 0xc0 == 0xc0 => return Some(at + 2), // a pointer ends a name
            length => at += 1 + usize::from(length),
        }
    };
    let mut at = 12;
    for _ in 0..u16_at(4)? {
        at = end_of_name(at)? + 4;
    }
    for _ in 0..u16_at(6)? {
        at = end_of_name(at)?;
        let length = usize::from(u16_at(at + 8)?);
        let data = reply.get(at + 10..at + 10 + length)?;
        if (u16_at(at)?, u16_at(at + 2)?) == (1, 1) {
            return <[u8; 4]>::try_from(data).ok().map(Ipv4Addr::from);
        }
        at += 10 + length;
    }
    None
}
