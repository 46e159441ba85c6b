//! The floor of the engine jobs that `scripts/bench` measures: the same calls by a bare client
//! that keeps its connections to the engine's socket open, in a process that runs already. No
//! start-up, no YAML, no image check, no comparison.
//!
//! Built by plain `rustc -O`, std only: `scripts/bench` needs no second build of the package.
//!
//! | job | calls |
//! |---|---|
//! | `up PROJECT IMAGE COUNT` | `POST networks/create`; then for each service `POST containers/create`, `POST containers/ID/start`, four services at a time |
//! | `quiet PROJECT` | `GET containers/json`, `GET networks`, both of the project only |
//! | `look PROJECT COUNT` | those of `quiet`; then for each service `GET containers/ID/json`, four at a time |
//! | `bounce PROJECT` | for `service-1`: `POST containers/ID/stop`, `POST containers/ID/start` |
//! | `tag PROJECT IMAGE` | for `service-1`: `POST containers/ID/stop`, `DELETE containers/ID`, `POST containers/create`, `POST containers/ID/start` |
//!
//! Prints the milliseconds from the first call to the last answer. Each connection has carried one
//! `GET _ping` before. Four at a time because more gain little and leave networks behind that
//! the engine can't remove (moby/moby#42119).

use std::error::Error;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

const SOCKET: &str = "/var/run/docker.sock";
const WORKERS: usize = 4;
const PROJECT: &str = "com.docker.compose.project";
const SERVICE: &str = "com.docker.compose.service";

fn main() -> Outcome<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let elapsed = match *args.as_slice() {
        ["up", project, image, count] => up(project, image, count.parse()?)?,
        ["quiet", project] => quiet(project)?,
        ["look", project, count] => look(project, count.parse()?)?,
        ["bounce", project] => bounce(project)?,
        ["tag", project, image] => tag(project, image)?,
        _ => {
            return Err(
                "usage: floor up PROJECT IMAGE COUNT | quiet PROJECT | look PROJECT COUNT | bounce PROJECT | tag PROJECT IMAGE".into(),
            );
        }
    };
    writeln!(io::stdout(), "{:.3}", elapsed.as_secs_f64() * 1000.0)?;
    Ok(())
}

fn up(project: &str, image: &str, count: usize) -> Outcome<Duration> {
    let mut connections = connections(count)?;
    let began = Instant::now();
    if let Some(first) = connections.first_mut() {
        let body = format!(
            r#"{{"Name":"{}","CheckDuplicate":true,"Labels":{{"{PROJECT}":"{project}"}}}}"#,
            network(project)
        );
        first.call("POST", "/networks/create", &body)?;
    }
    for_each_service(connections, count, |connection, number| {
        connection.create_and_start(project, number, image)
    })?;
    Ok(began.elapsed())
}

fn connections(count: usize) -> Outcome<Vec<Connection>> {
    (0..WORKERS.min(count))
        .map(|_| Connection::open())
        .collect()
}

/// Does something for each service, over all connections at a time.
fn for_each_service(
    connections: Vec<Connection>,
    count: usize,
    one: impl Fn(&mut Connection, usize) -> Outcome<()> + Sync,
) -> Outcome<()> {
    let next = AtomicUsize::new(1);
    let work = |mut connection: Connection| -> Outcome<()> {
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number > count {
                return Ok(());
            }
            one(&mut connection, number)?;
        }
    };
    thread::scope(|scope| {
        let workers: Vec<_> = connections
            .into_iter()
            .map(|connection| scope.spawn(|| work(connection)))
            .collect();
        workers.into_iter().try_for_each(|worker| {
            worker
                .join()
                .unwrap_or_else(|_| Err("a worker panicked".into()))
        })
    })
}

fn quiet(project: &str) -> Outcome<Duration> {
    let mut connection = Connection::open()?;
    let began = Instant::now();
    connection.list(project)?;
    Ok(began.elapsed())
}

fn look(project: &str, count: usize) -> Outcome<Duration> {
    let mut connections = connections(count)?;
    let began = Instant::now();
    if let Some(first) = connections.first_mut() {
        first.list(project)?;
    }
    for_each_service(connections, count, |connection, number| {
        let name = container(project, number);
        connection.call("GET", &format!("/containers/{name}/json"), "")?;
        Ok(())
    })?;
    Ok(began.elapsed())
}

fn bounce(project: &str) -> Outcome<Duration> {
    let mut connection = Connection::open()?;
    let name = container(project, 1);
    let began = Instant::now();
    connection.call("POST", &format!("/containers/{name}/stop"), "")?;
    connection.call("POST", &format!("/containers/{name}/start"), "")?;
    Ok(began.elapsed())
}

fn tag(project: &str, image: &str) -> Outcome<Duration> {
    let mut connection = Connection::open()?;
    let name = container(project, 1);
    let began = Instant::now();
    connection.call("POST", &format!("/containers/{name}/stop"), "")?;
    connection.call("DELETE", &format!("/containers/{name}"), "")?;
    connection.create_and_start(project, 1, image)?;
    Ok(began.elapsed())
}

fn network(project: &str) -> String {
    format!("{project}_default")
}

fn container(project: &str, number: usize) -> String {
    format!("{project}-service-{number}-1")
}

/// A kept connection to the engine.
struct Connection {
    reader: BufReader<UnixStream>,
}

impl Connection {
    fn open() -> Outcome<Self> {
        let mut connection = Self {
            reader: BufReader::new(UnixStream::connect(SOCKET)?),
        };
        connection.call("GET", "/_ping", "")?;
        Ok(connection)
    }

    fn list(&mut self, project: &str) -> Outcome<()> {
        // The filter {"label":["com.docker.compose.project=PROJECT"]}, percent-encoded.
        let filter =
            format!("%7B%22label%22%3A%5B%22com.docker.compose.project%3D{project}%22%5D%7D");
        let containers = format!("/containers/json?all=1&filters={filter}");
        self.call("GET", &containers, "")?;
        self.call("GET", &format!("/networks?filters={filter}"), "")?;
        Ok(())
    }

    fn create_and_start(&mut self, project: &str, number: usize, image: &str) -> Outcome<()> {
        let service = format!("service-{number}");
        let network = network(project);
        let body = format!(
            r#"{{"Image":"{image}","Labels":{{"{PROJECT}":"{project}","{SERVICE}":"{service}"}},
                "HostConfig":{{"NetworkMode":"{network}"}},
                "NetworkingConfig":{{"EndpointsConfig":{{"{network}":{{"Aliases":["{service}"]}}}}}}}}"#
        );
        let name = container(project, number);
        let answer = self.call("POST", &format!("/containers/create?name={name}"), &body)?;
        let answer = String::from_utf8(answer)?;
        let id = answer
            .split_once(r#""Id":""#)
            .and_then(|(_, rest)| rest.split_once('"'))
            .map(|(id, _)| id)
            .ok_or("the engine names no new container")?;
        self.call("POST", &format!("/containers/{id}/start"), "")?;
        Ok(())
    }

    /// Sends one request and returns the body of the answer; an error for a status above 299.
    fn call(&mut self, method: &str, path: &str, body: &str) -> Outcome<Vec<u8>> {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: engine\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        self.reader.get_mut().write_all(request.as_bytes())?;
        let status_line = self.line()?;
        let status: u16 = status_line.split(' ').nth(1).unwrap_or_default().parse()?;
        let mut length = 0;
        let mut chunked = false;
        loop {
            let line = self.line()?.to_ascii_lowercase();
            match line.split_once(": ") {
                Some(("content-length", value)) => length = value.parse()?,
                Some(("transfer-encoding", value)) => chunked = value == "chunked",
                Some(_) => {}
                None => break,
            }
        }
        let body = if chunked {
            self.chunks()?
        } else {
            self.bytes(length)?
        };
        if status > 299 {
            return Err(format!(
                "{method} {path}: {status} {}",
                String::from_utf8_lossy(&body)
            )
            .into());
        }
        Ok(body)
    }

    fn line(&mut self) -> Outcome<String> {
        let mut line = String::new();
        if self.reader.read_line(&mut line)? == 0 {
            return Err("the engine closed the connection".into());
        }
        Ok(line.trim_end().to_owned())
    }

    fn bytes(&mut self, length: usize) -> Outcome<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    fn chunks(&mut self) -> Outcome<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let length = usize::from_str_radix(&self.line()?, 16)?;
            body.append(&mut self.bytes(length)?);
            self.line()?;
            if length == 0 {
                return Ok(body);
            }
        }
    }
}
