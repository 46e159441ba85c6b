//! A small HTTP server in front of `git http-backend`, with basic authentication.
//!
//! Takes no pushes until it is told to, as `git http-backend` itself.
//!
//! Speaks just enough HTTP/1.1 for Git clients: one request a connection, bodies with a length
//! or in chunks, `Expect: 100-continue`.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

/// What the server does with a request.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    /// Lets Git answer.
    Git,
    /// Answers with a status and nothing else.
    Status(u16),
    /// Redirects to another base address.
    Redirect(String),
    /// Begins the response and never ends it: one byte each 50 ms.
    Drip,
}

/// One request as it came in.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

/// The server; its threads end with the test process.
pub(crate) struct GitHttp {
    port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    root: PathBuf,
    state: Mutex<State>,
}

struct State {
    answer: Answer,
    authorization: Option<String>,
    takes_pushes: bool,
    requests: Vec<Request>,
}

impl GitHttp {
    /// Serves the repositories beneath `root` to everybody.
    pub(crate) fn serve(root: &Path) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            root: root.to_owned(),
            state: Mutex::new(State {
                answer: Answer::Git,
                authorization: None,
                takes_pushes: false,
                requests: Vec::new(),
            }),
        });
        let serving = Arc::clone(&shared);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&serving);
                // A client that hangs up is no fault of the server.
                std::thread::spawn(move || shared.answer(stream).ok());
            }
        });
        Self { port, shared }
    }

    /// Returns the address of a repository beneath the root.
    pub(crate) fn url(&self, repository: &str) -> String {
        format!("http://127.0.0.1:{}/{repository}", self.port)
    }

    /// Demands `Authorization: Basic` with the given base64 text from now on.
    pub(crate) fn demand(&self, basic: &str) {
        self.shared.state.lock().unwrap().authorization = Some(format!("Basic {basic}"));
    }

    /// Takes pushes from now on.
    pub(crate) fn take_pushes(&self) {
        self.shared.state.lock().unwrap().takes_pushes = true;
    }

    /// Answers every request like this from now on.
    pub(crate) fn set_answer(&self, answer: Answer) {
        self.shared.state.lock().unwrap().answer = answer;
    }

    /// Returns the requests so far and forgets them.
    pub(crate) fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut self.shared.state.lock().unwrap().requests)
    }
}

impl Shared {
    fn answer(&self, stream: TcpStream) -> std::io::Result<()> {
        let mut reader = BufReader::new(stream.try_clone()?);
        let mut stream = stream;
        let request = read_request(&mut reader, &mut stream)?;
        let (answer, demanded) = {
            let mut state = self.state.lock().unwrap();
            state.requests.push(request.clone());
            (state.answer.clone(), state.authorization.clone())
        };
        if demanded.is_some() && request.headers.get("authorization") != demanded.as_ref() {
            let head = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"git\"\r\n";
            write!(
                stream,
                "{head}Content-Length: 0\r\nConnection: close\r\n\r\n"
            )?;
            return stream.flush();
        }
        match answer {
            Answer::Git => self.run_backend(&request, &mut stream)?,
            Answer::Status(status) => write!(
                stream,
                "HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )?,
            Answer::Redirect(base) => write!(
                stream,
                "HTTP/1.1 302 Found\r\nLocation: {base}{}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                request.target
            )?,
            Answer::Drip => {
                write!(stream, "HTTP/1.1 200 OK\r\nX-Slow: ")?;
                loop {
                    stream.write_all(b"x")?;
                    stream.flush()?;
                    std::thread::sleep(std::time::Duration::from_millis(50));
                }
            }
        }
        stream.flush()
    }

    fn run_backend(&self, request: &Request, stream: &mut TcpStream) -> std::io::Result<()> {
        let (path, query) = request
            .target
            .split_once('?')
            .unwrap_or((&request.target, ""));
        let header = |name: &str| request.headers.get(name).map_or("", String::as_str);
        let takes_pushes = self.state.lock().unwrap().takes_pushes;
        let mut backend = Command::new("git")
            .args(["-c", "safe.directory=*", "-c"])
            .arg(format!("http.receivepack={takes_pushes}"))
            .arg("http-backend")
            .env("GIT_PROJECT_ROOT", &self.root)
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("HOME", &self.root)
            .env("PATH_INFO", path)
            .env("QUERY_STRING", query)
            .env("REQUEST_METHOD", &request.method)
            .env("CONTENT_TYPE", header("content-type"))
            .env("CONTENT_LENGTH", request.body.len().to_string())
            .env("HTTP_CONTENT_ENCODING", header("content-encoding"))
            .env("GIT_PROTOCOL", header("git-protocol"))
            .env("REMOTE_ADDR", "127.0.0.1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let mut stdin = backend.stdin.take().unwrap();
        let body = request.body.clone();
        let feeding = std::thread::spawn(move || stdin.write_all(&body));
        let output = backend.wait_with_output()?.stdout;
        feeding.join().unwrap().ok();

        let end = output.windows(4).position(|four| four == b"\r\n\r\n");
        let (head, content) = output.split_at(end.map_or(output.len(), |end| end + 4));
        let head = String::from_utf8_lossy(head);
        let status = head
            .lines()
            .find_map(|line| line.strip_prefix("Status: "))
            .unwrap_or("200 OK");
        write!(stream, "HTTP/1.1 {status}\r\n")?;
        for line in head
            .lines()
            .filter(|line| !line.is_empty() && !line.starts_with("Status:"))
        {
            write!(stream, "{line}\r\n")?;
        }
        write!(
            stream,
            "Content-Length: {}\r\nConnection: close\r\n\r\n",
            content.len()
        )?;
        stream.write_all(content)
    }
}

fn read_request(
    reader: &mut BufReader<TcpStream>,
    stream: &mut TcpStream,
) -> std::io::Result<Request> {
    let first = read_line(reader)?;
    let mut words = first.split(' ');
    let mut next = || words.next().unwrap_or_default().to_owned();
    let (method, target) = (next(), next());
    let mut headers = BTreeMap::new();
    loop {
        let line = read_line(reader)?;
        let Some((name, value)) = line.split_once(':') else {
            break;
        };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    if headers.contains_key("expect") {
        stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n")?;
    }
    let mut body = Vec::new();
    if let Some(length) = headers.get("content-length") {
        body.resize(length.parse().unwrap_or(0), 0);
        reader.read_exact(&mut body)?;
    } else if headers
        .get("transfer-encoding")
        .is_some_and(|how| how == "chunked")
    {
        loop {
            let size = usize::from_str_radix(&read_line(reader)?, 16).unwrap_or(0);
            let start = body.len();
            body.resize(start + size, 0);
            reader.read_exact(&mut body[start..])?;
            read_line(reader)?;
            if size == 0 {
                break;
            }
        }
    }
    Ok(Request {
        method,
        target,
        headers,
        body,
    })
}

fn read_line(reader: &mut BufReader<TcpStream>) -> std::io::Result<String> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}
