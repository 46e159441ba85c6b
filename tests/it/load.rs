//! Visitors notice what a server does to them, and nothing that it doesn't.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::support::load::{Load, LoadReport, LoadSpec};

const FINE: &str = "HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{\"version\":\"v1\"}";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\
    10\r\n{\"version\":\"v2\"}\r\n0\r\n\r\n";
const BAD: &str = "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n";
const LATER: &str = "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n";
const HALF: &str = "HTTP/1.1 200 OK\r\nContent-Length: 16\r\n\r\n{\"ver";

/// What a server does with a request.
#[derive(Clone, Copy)]
enum Does {
    Answers(&'static str),
    /// The same, and ends the connection without having said so.
    AnswersAndEnds(&'static str),
    /// Ends the connection without having read the request.
    Resets,
    Nothing,
}

/// A server whose requests are answered by a function of the path and the time since its start.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(does: impl Fn(&str, Duration) -> Does + Send + Sync + 'static) -> Self {
        Self::listen(TcpListener::bind("127.0.0.1:0").unwrap(), does)
    }

    fn listen(
        listener: TcpListener,
        does: impl Fn(&str, Duration) -> Does + Send + Sync + 'static,
    ) -> Self {
        let address = listener.local_addr().unwrap();
        let (connections, over) = (Arc::<AtomicUsize>::default(), Arc::<AtomicBool>::default());
        let (count, told, does) = (Arc::clone(&connections), Arc::clone(&over), Arc::new(does));
        let thread = thread::spawn(move || {
            let began = Instant::now();
            for stream in listener.incoming() {
                if told.load(Ordering::Relaxed) {
                    return;
                }
                count.fetch_add(1, Ordering::Relaxed);
                let does = Arc::clone(&does);
                thread::spawn(move || converse(stream.unwrap(), &*does, began));
            }
        });
        Self {
            address,
            connections,
            over,
            thread: Some(thread),
        }
    }

    fn url(&self) -> String {
        format!("http://{}/", self.address)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        drop(TcpStream::connect(self.address));
        drop(self.thread.take().map(JoinHandle::join));
    }
}

fn converse(mut stream: TcpStream, does: &dyn Fn(&str, Duration) -> Does, began: Instant) {
    let mut request = [0; 2048];
    loop {
        if matches!(does("", began.elapsed()), Does::Resets) {
            // Bytes that nobody read make it a reset.
            thread::sleep(Duration::from_millis(20));
            return;
        }
        let count = stream.read(&mut request).unwrap_or(0);
        if count == 0 {
            return;
        }
        let text = String::from_utf8_lossy(&request[..count]);
        let path = text.split(' ').nth(1).unwrap().to_owned();
        if path.starts_with("/stream") {
            return stream_for_ever(stream, does, began);
        }
        match does(&path, began.elapsed()) {
            Does::Answers(answer) => stream.write_all(answer.as_bytes()).unwrap_or_default(),
            Does::AnswersAndEnds(answer) => {
                drop(stream.write_all(answer.as_bytes()));
                return;
            }
            Does::Resets => return,
            Does::Nothing => thread::sleep(Duration::from_secs(20)),
        }
    }
}

/// Goes on while `does` answers it.
fn stream_for_ever(mut stream: TcpStream, does: &dyn Fn(&str, Duration) -> Does, began: Instant) {
    let mut part = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    while let Does::Answers(_) = does("/stream", began.elapsed()) {
        if stream.write_all(part.as_bytes()).is_err() {
            return;
        }
        part = "1\r\n.\r\n";
        thread::sleep(Duration::from_millis(20));
    }
    if let Does::AnswersAndEnds(end) = does("/stream", began.elapsed()) {
        stream.write_all(end.as_bytes()).unwrap_or_default();
    }
}

fn few(connections: usize, keep_alive: usize) -> LoadSpec {
    LoadSpec {
        connections,
        keep_alive,
        ..LoadSpec::default()
    }
}

fn visit(server: &Server, spec: &LoadSpec, millis: u64) -> LoadReport {
    let load = Load::start(&server.url(), spec);
    thread::sleep(Duration::from_millis(millis));
    load.stop()
}

fn is_between(time: Duration, from: u64, to: u64) -> bool {
    (Duration::from_millis(from)..Duration::from_millis(to)).contains(&time)
}

#[test]
fn a_good_server_is_praised() {
    let slow = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&slow);
    let server = Server::start(move |path, at| match path {
        "/slow?ms=300" => {
            seen.fetch_add(1, Ordering::Relaxed);
            thread::sleep(Duration::from_millis(300));
            Does::Answers(LATER)
        }
        _ if at.as_millis() % 2 == 0 => Does::Answers(CHUNKED),
        _ => Does::Answers(FINE),
    });
    let load = Load::start(&server.url(), &LoadSpec::default());
    while load.answered() < 400 {
        thread::sleep(Duration::from_millis(1));
    }
    let report = load.stop();
    assert_eq!((report.failures, report.failed.len()), (0, 0), "{report:?}");
    assert_eq!(report.crossed, 0);
    assert!(report.requests >= 400 && report.long_ok, "{report:?}");
    // Slow answers of some leave no gap in those of the others.
    assert!(
        report.longest_gap < Duration::from_millis(200),
        "{report:?}"
    );
    assert!(report.versions.iter().eq(["v1", "v2"]), "{report:?}");
    assert!(slow.load(Ordering::Relaxed) > 0);
    // Half of the connections are kept: 4, and one for the download.
    let connections = server.connections.load(Ordering::Relaxed);
    assert!(
        connections > 100 && connections < report.requests,
        "{connections} for {report:?}"
    );
}

#[test]
fn errors_of_a_while_are_counted_and_their_gap_measured() {
    let server = Server::start(|path, at| match at.as_millis() {
        300..700 if path == "/" => Does::Answers(BAD),
        _ => Does::Answers(FINE),
    });
    let spec = LoadSpec {
        slow_every: 0,
        ..few(2, 1)
    };
    let report = visit(&server, &spec, 1000);
    assert!(report.failures > 10 && report.failed.len() == 10);
    assert!(report.requests > report.failures + 10, "{report:?}");
    assert_eq!(report.failed[0].cause, "status 502");
    assert!(is_between(report.failed[0].at, 290, 600), "{report:?}");
    assert!(is_between(report.longest_gap, 390, 650), "{report:?}");
    assert!(report.long_ok);
}

#[test]
fn half_answers_and_resets_are_failures() {
    for (does, causes) in [
        (
            Does::AnswersAndEnds(HALF),
            &["closed before the answer was whole"][..],
        ),
        (
            Does::Resets,
            &["connection reset", "closed before the answer was whole"],
        ),
        (Does::AnswersAndEnds("SMTP hello\r\n\r\n"), &["status 599"]),
    ] {
        let server = Server::start(move |path, _| match path {
            "/stream" => Does::Answers(FINE),
            _ => does,
        });
        let spec = LoadSpec {
            long: false,
            ..few(2, 1)
        };
        let report = visit(&server, &spec, 200);
        assert_eq!(report.failures, report.requests);
        assert!(report.failures > 2 && report.longest_gap.is_zero());
        for failure in report.failed {
            assert!(causes.contains(&failure.cause.as_str()), "{failure:?}");
        }
    }
}

#[test]
fn a_kept_connection_that_ends_between_two_requests_is_no_failure() {
    let server = Server::start(|path, _| match path {
        "/" => Does::AnswersAndEnds(FINE),
        _ => Does::Answers(FINE),
    });
    let report = visit(&server, &few(2, 2), 300);
    assert_eq!(report.failures, 0, "{report:?}");
    assert!(report.crossed > 10, "{report:?}");

    // Half an answer over it is one.
    let server = Server::start(|path, at| match at.as_millis() {
        100.. if path == "/" => Does::AnswersAndEnds(HALF),
        _ => Does::Answers(FINE),
    });
    let report = visit(&server, &few(1, 1), 300);
    assert!(report.failures > 1 && report.crossed == 0, "{report:?}");
}

#[test]
fn nobody_there_for_a_while() {
    let first = Server::start(|path, at| match path {
        // The connections that are there end with the server.
        _ if at.as_millis() > 300 => Does::Resets,
        _ => Does::Answers(FINE),
    });
    let address = first.address;
    let spec = LoadSpec {
        long: false,
        slow_every: 0,
        ..few(2, 1)
    };
    let load = Load::start(&first.url(), &spec);
    thread::sleep(Duration::from_millis(250));
    drop(first);
    thread::sleep(Duration::from_millis(500));
    let listener = TcpListener::bind(address).unwrap();
    let second = Server::listen(listener, |_, _| Does::Answers(CHUNKED));
    thread::sleep(Duration::from_millis(300));
    let report = load.stop();
    drop(second);
    let refused = report
        .failed
        .iter()
        .find(|failure| failure.cause == "connection refused");
    assert!(refused.is_some(), "{report:?}");
    assert!(is_between(report.longest_gap, 350, 900), "{report:?}");
    assert!(report.versions.iter().eq(["v1", "v2"]), "{report:?}");
}

#[test]
fn silence_is_a_failure_after_five_seconds() {
    let server = Server::start(|path, _| match path {
        "/" => Does::Nothing,
        _ => Does::Answers(FINE),
    });
    let report = visit(&server, &few(1, 0), 4000);
    assert_eq!((report.requests, report.failures), (1, 1));
    assert_eq!(report.failed[0].cause, "no answer within 5 s");
    assert!(is_between(report.failed[0].at, 5000, 6000), "{report:?}");
}

#[test]
fn a_download_that_is_cut_off_is_told() {
    let server = Server::start(|path, at| match path {
        "/stream" if at.as_millis() > 200 => Does::Nothing,
        _ => Does::Answers(FINE),
    });
    let report = visit(&server, &few(1, 1), 500);
    assert_eq!(report.failures, 0, "{report:?}");
    let cut = report.long_failed.expect("a cut");
    assert!(!report.long_ok && is_between(cut.at, 200, 450), "{cut:?}");
    assert_eq!(cut.cause, "closed before its end");
}

#[test]
fn after_a_whole_download_comes_the_next() {
    let server = Server::start(|path, _| match path {
        "/stream" => Does::AnswersAndEnds(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n.\r\n0\r\n\r\n",
        ),
        _ => Does::Answers(FINE),
    });
    let report = visit(&server, &few(1, 1), 300);
    assert!(report.long_ok, "{report:?}");
    assert!(server.connections.load(Ordering::Relaxed) > 3);
}

#[test]
fn they_go_by_themselves() {
    let server = Server::start(|_, _| Does::Answers(FINE));
    let short = LoadSpec {
        at_most: Duration::from_millis(200),
        ..few(2, 1)
    };
    let few_requests = LoadSpec {
        at_most_requests: 5,
        ..few(2, 1)
    };
    let loads = [&short, &few_requests].map(|spec| Load::start(&server.url(), spec));
    thread::sleep(Duration::from_millis(600));
    let answered = loads.each_ref().map(Load::answered);
    thread::sleep(Duration::from_millis(200));
    let [short, few_requests] = loads.map(Load::stop);
    assert_eq!([short.requests, few_requests.requests], answered);
    assert_eq!(few_requests.requests, 5);
    assert!(short.long_ok && few_requests.long_ok);
}

#[test]
#[should_panic(expected = "is not of this machine")]
fn nobody_else_is_visited() {
    drop(Load::start("http://192.0.2.1:80/", &LoadSpec::default()));
}
