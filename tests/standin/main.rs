//! A stand-in for a real application: one static program that becomes a one-file image with
//! `docker import`, so that the demonstration and the tests need no image registry.
//!
//! Built by plain `rustc` (see `scripts/lib/standin.sh`), std only, no cargo. It is also its own
//! health check, client and one-off command:
//!
//! | command | does |
//! |---|---|
//! | `standin` | serves HTTP: `/` tells version and greeting as JSON, `/health` tells readiness, `/slow?ms=300` takes that long, `/stream?seconds=10` sends a part every 100 ms |
//! | `standin serve-file DIR` | serves the files below `DIR`, and `/health` |
//! | `standin check [PATH]` | GETs `PATH` (default `/health`) from itself: exit 0 on 200, else 1 |
//! | `standin get URL` | prints the body of `http://host[:port]/path`: exit 0 on 2xx, else 1 |
//! | `standin ledger` | serves the ledger, whose data is in a real database: see `ledger.rs` |
//! | `standin migrate [MISHAP]` | brings the database to `APP_SCHEMA` in one transaction |
//! | `standin schema` | prints the version of the database's schema, and `dirty` if half-way |
//! | `standin writer [URL]` | inserts numbered rows for ever, by itself or through a ledger |
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
//!
//! | variable | effect on the ledger's commands |
//! |---|---|
//! | `DATABASE` | `sqlite:/data/prod.db` (with `sqlite3`) or `postgres://user:password@host/db` (with `psql`) |
//! | `APP_SCHEMA` | the version of the schema that this version of the application expects, 1 |
//! | `APP_SCHEMA_MAX` | the newest that it works with, `APP_SCHEMA` |
//! | `MIGRATE` | the mishap: `fail-before`, `half`, `hang`, `slow:SECONDS`, `noisy`, `tell`, `kill-self`, `fail-after`; see `migrate.rs` |
//! | `MIGRATE_AT_START=1` | the ledger migrates before it serves |
//! | `NOISY_MB` | how much `noisy` prints, 8 |
//! | `INTEGRITY=broken` | `verify-integrity` says no |
//! | `WRITER_NAME`, `WRITER_PAUSE_MS` | what the writer's rows begin with, `writer`; time between them, 20 |

mod client;
mod database;
mod ledger;
mod migrate;
mod server;
mod writer;

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use ledger::Ledger;
use server::{Content, serve};

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
        [] | ["serve"] => serve(Content::Identity).map(|()| 0),
        ["serve-file", dir] => serve(Content::Files(PathBuf::from(dir))).map(|()| 0),
        ["ledger"] => {
            if setting("MIGRATE_AT_START").is_some_and(|value| value == "1") {
                migrate::migrate(None)?;
            }
            serve(Content::Ledger(Ledger::from_settings()?)).map(|()| 0)
        }
        ["migrate"] => migrate::migrate(None),
        ["migrate", mishap] => migrate::migrate(Some(mishap)),
        ["schema"] => migrate::print_schema(),
        ["writer"] => writer::write(None),
        ["writer", url] => writer::write(Some(url)),
        ["check"] => client::check("/health"),
        ["check", path] => client::check(path),
        ["get", url] => client::get(url),
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
const SIGKILL: i32 = 9;
const SIGPIPE: i32 = 13;
const SIGTERM: i32 = 15;
const SIG_IGN: usize = 1;

unsafe extern "C" {
    fn signal(signum: i32, handler: usize) -> usize;
    fn raise(signum: i32) -> i32;
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

/// From now on SIGTERM does nothing.
fn ignore_term() {
    // SAFETY: SIG_IGN is a valid disposition.
    unsafe { signal(SIGTERM, SIG_IGN) };
}

/// Ends the process by a signal: SIGKILL, from which the kernel protects PID 1 of a container, or
/// else the one of a process that aborts.
fn die_by_signal() -> ! {
    // SAFETY: `raise` takes any number.
    unsafe { raise(SIGKILL) };
    std::process::abort()
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
