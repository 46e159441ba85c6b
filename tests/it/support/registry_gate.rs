//! A gate in front of a registry: it wants a login or limits how often it is asked, passes on what
//! may pass, and remembers what it was asked, and with which login.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::registry::Registry;

/// Longest that a client or the registry may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the gate's token service hands out.
const TOKEN: &str = "a-token-of-the-gate";

/// What opens the gate.
#[derive(Clone, Debug)]
pub(crate) enum Wants {
    /// Nothing.
    Nothing,
    /// A user name and a password, at the registry.
    Password(String, String),
    /// A token from the service of the gate, which wants a user name and a password.
    Token(String, String),
    /// A token from the service of the gate, which wants an identity token.
    IdentityToken(String),
}

/// A request that came to the gate.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// `GET /v2/app/manifests/v1`.
    pub(crate) line: String,
    /// The header of this name.
    pub(crate) authorization: Option<String>,
    /// What was sent with it.
    pub(crate) body: String,
}

/// A gate on a port of 127.0.0.1. Closed when dropped.
pub(crate) struct Gate {
    inside: Arc<Inside>,
}

struct Inside {
    port: u16,
    registry: String,
    closed: AtomicBool,
    state: Mutex<State>,
}

struct State {
    wants: Wants,
    /// What those hear who ask for images at all, with status 429.
    limit: Option<String>,
    /// Whether other bytes come than those that are asked for.
    spoils: bool,
    seen: Vec<Seen>,
}

impl Gate {
    /// Opens a gate that wants nothing.
    pub(crate) fn before(registry: &Registry) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let inside = Arc::new(Inside {
            port: listener.local_addr().unwrap().port(),
            registry: registry.host(),
            closed: AtomicBool::new(false),
            state: Mutex::new(State {
                wants: Wants::Nothing,
                limit: None,
                spoils: false,
                seen: Vec::new(),
            }),
        });
        let keeper = Arc::clone(&inside);
        std::thread::spawn(move || {
            while let Ok((client, _)) = listener.accept() {
                if keeper.closed.load(Ordering::Relaxed) {
                    return;
                }
                let keeper = Arc::clone(&keeper);
                // A client that goes away early has its reasons.
                std::thread::spawn(move || drop(keeper.serve(client)));
            }
        });
        Self { inside }
    }

    /// Returns the name of the registry behind the gate: `127.0.0.1:port`.
    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.inside.port)
    }

    /// Returns the reference of something behind the gate.
    pub(crate) fn reference(&self, name: &str) -> String {
        format!("{}/{name}", self.host())
    }

    /// Changes what opens it.
    pub(crate) fn wants(&self, wants: Wants) {
        self.inside.state().wants = wants;
    }

    /// Answers with status 429 and this text from now on, or no longer.
    pub(crate) fn limit(&self, text: Option<&str>) {
        self.inside.state().limit = text.map(str::to_owned);
    }

    /// Gives other bytes than those that are asked for from now on, or no longer.
    pub(crate) fn spoil(&self, spoils: bool) {
        self.inside.state().spoils = spoils;
    }

    /// Returns all requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.inside.state().seen.clone()
    }

    /// Returns how often it was asked for a manifest.
    pub(crate) fn asked(&self) -> usize {
        let seen = self.seen();
        let manifests = seen.iter().filter(|seen| seen.line.contains("/manifests/"));
        manifests.count()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.inside.closed.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(("127.0.0.1", self.inside.port)));
    }
}

/// Returns what stands in the header `Authorization` for a user and a password.
pub(crate) fn basic(user: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))
}

/// What is answered instead of what the registry would say.
struct Answer {
    status: &'static str,
    header: String,
    body: String,
}

impl Answer {
    fn new(status: &'static str, header: &str, body: &serde_json::Value) -> Self {
        Self {
            status,
            header: header.to_owned(),
            body: body.to_string(),
        }
    }

    fn error(status: &'static str, header: &str, code: &str, message: &str) -> Self {
        let errors = serde_json::json!({"errors": [{"code": code, "message": message}]});
        Self::new(status, header, &errors)
    }
}

impl Inside {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, mut client: TcpStream) -> io::Result<()> {
        client.set_read_timeout(Some(PATIENCE))?;
        let Some((head, body)) = read_request(&mut client)? else {
            // Engines try TLS first.
            return client.write_all(b"HTTP/1.0 400 Bad Request\r\n\r\n");
        };
        let line = head.lines().next().unwrap_or_default();
        let line = line.rsplit_once(' ').map_or(line, |(line, _)| line);
        let seen = Seen {
            line: line.to_owned(),
            authorization: header(&head, "authorization").map(str::to_owned),
            body,
        };
        let answer = self.answer(&seen);
        self.state().seen.push(seen);
        match answer {
            None => self.pass_on(&head, &mut client),
            Some(answer) => {
                let body = if line.starts_with("HEAD ") {
                    ""
                } else {
                    answer.body.as_str()
                };
                write!(
                    client,
                    "HTTP/1.1 {}\r\n{}Docker-Distribution-Api-Version: registry/2.0\r\n\
                     Content-Type: application/json\r\nContent-Length: {}\r\n\
                     Connection: close\r\n\r\n{body}",
                    answer.status,
                    answer.header,
                    body.len()
                )
            }
        }
    }

    /// Returns what is said to a request; `None` = it may pass.
    fn answer(&self, seen: &Seen) -> Option<Answer> {
        let state = self.state();
        let path = seen.line.split(' ').nth(1).unwrap_or_default();
        if path.starts_with("/token") {
            return Some(token_for(&state.wants, seen));
        }
        if let Some(text) = state.limit.as_deref().filter(|_| path != "/v2/") {
            let (status, header) = ("429 Too Many Requests", "Retry-After: 1\r\n");
            return Some(Answer::error(status, header, "TOOMANYREQUESTS", text));
        }
        if state.spoils && path.contains("/blobs/") {
            return Some(Answer::new("200 OK", "", &serde_json::json!("spoiled")));
        }
        let (wanted, challenge) = match &state.wants {
            Wants::Nothing => return None,
            Wants::Password(user, password) => {
                (basic(user, password), "Basic realm=\"test\"".to_owned())
            }
            Wants::Token(..) | Wants::IdentityToken(_) => {
                let service = format!("realm=\"http://127.0.0.1:{}/token\"", self.port);
                let challenge = format!("Bearer {service},service=\"test\"");
                (format!("Bearer {TOKEN}"), challenge)
            }
        };
        if seen.authorization.as_deref() == Some(wanted.as_str()) {
            return None;
        }
        let header = format!("WWW-Authenticate: {challenge}\r\n");
        let (status, message) = ("401 Unauthorized", "authentication required");
        Some(Answer::error(status, &header, "UNAUTHORIZED", message))
    }

    fn pass_on(&self, head: &str, client: &mut TcpStream) -> io::Result<()> {
        let mut registry = TcpStream::connect(&self.registry)?;
        registry.set_read_timeout(Some(PATIENCE))?;
        let not_for_it = |line: &str| {
            let line = line.to_ascii_lowercase();
            line.starts_with("authorization:") || line.starts_with("connection:")
        };
        let lines = head.lines().filter(|line| !line.is_empty());
        let lines: Vec<&str> = lines.filter(|line| !not_for_it(line)).collect();
        let head = lines.join("\r\n");
        write!(registry, "{head}\r\nConnection: close\r\n\r\n")?;
        io::copy(&mut registry, client)?;
        Ok(())
    }
}

/// Returns what the token service says.
fn token_for(wants: &Wants, seen: &Seen) -> Answer {
    let granted = match wants {
        Wants::Nothing | Wants::Password(..) => false,
        Wants::Token(user, password) => {
            seen.authorization.as_deref() == Some(basic(user, password).as_str())
        }
        Wants::IdentityToken(token) => {
            let fields = url::form_urlencoded::parse(seen.body.as_bytes());
            let mut sent = fields.filter(|(name, _)| name == "refresh_token");
            sent.any(|(_, value)| value == token.as_str())
        }
    };
    if granted {
        let token = serde_json::json!({"token": TOKEN, "access_token": TOKEN});
        Answer::new("200 OK", "", &token)
    } else {
        let (status, message) = ("401 Unauthorized", "incorrect username or password");
        Answer::error(status, "", "UNAUTHORIZED", message)
    }
}

/// Reads the head and the body of a request; `None` for what is not HTTP.
fn read_request(client: &mut TcpStream) -> io::Result<Option<(String, String)>> {
    let mut bytes = Vec::new();
    let end = loop {
        read_more(client, &mut bytes)?;
        if !bytes[0].is_ascii_uppercase() {
            return Ok(None);
        }
        let blank = bytes.windows(4).position(|window| window == b"\r\n\r\n");
        if let Some(blank) = blank {
            break blank + 4;
        }
    };
    let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
    let length = header(&head, "content-length").and_then(|text| text.parse::<usize>().ok());
    while bytes.len() < end + length.unwrap_or(0) {
        read_more(client, &mut bytes)?;
    }
    let body = String::from_utf8_lossy(&bytes[end..]).into_owned();
    Ok(Some((head, body)))
}

fn read_more(client: &mut TcpStream, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut chunk = [0; 4096];
    match client.read(&mut chunk)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        read => {
            bytes.extend_from_slice(&chunk[..read]);
            Ok(())
        }
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut headers = head.lines().filter_map(|line| line.split_once(':'));
    let found = headers.find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, value)| value.trim())
}
