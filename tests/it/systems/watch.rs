//! Writes down when things happen on a host, with nothing of ours but the clock.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tempfile::TempDir;

use crate::support::docker_cli::{ENDPOINT, docker, eventually};
use crate::support::http::get;

/// A watch over one stack; ends when it is stopped or dropped.
pub(super) struct Watch {
    engine: Child,
    events: PathBuf,
    stack: String,
    stop: Arc<AtomicBool>,
    host: Option<JoinHandle<Seen>>,
    _dir: TempDir,
}

/// When what was seen first, in nanoseconds since 1970; 0 = never.
#[derive(Debug, Default)]
pub(super) struct Seen {
    pub(super) page_on: i128,
    /// When the page was last taken off.
    pub(super) page_off: i128,
    /// When a backup that was not there before had its name.
    pub(super) backup: i128,
    /// When the new version said that it is ready.
    pub(super) ready: i128,
    /// What the engine told: when, what, and of which container.
    events: Vec<(i128, String, String)>,
}

impl Watch {
    /// Watches the containers whose names begin with `stack`, a flag, a directory of backups, and
    /// `/readyz` at a port where nobody answers yet.
    pub(super) fn start(stack: &str, flag: &Path, backups: &Path, port: u16) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let events = dir.path().join("events");
        let format = "{{.TimeNano}} {{.Action}} {{.Actor.Attributes.name}}";
        let engine = Command::new("docker")
            .args(["--host", ENDPOINT, "events", "--filter", "type=container"])
            .args(["--format", format])
            .stdin(Stdio::null())
            .stdout(File::create(&events).unwrap())
            .spawn()
            .unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let host = std::thread::spawn({
            let (stop, flag, backups) = (Arc::clone(&stop), flag.to_owned(), backups.to_owned());
            move || look(&stop, &flag, &backups, port)
        });
        let watch = Self {
            engine,
            events,
            stack: stack.to_owned(),
            stop,
            host: Some(host),
            _dir: dir,
        };
        // From now on: what is done to a container that is there already is told.
        eventually("the engine tells what happens", || {
            let first = format!("{stack}-backend-1");
            docker(&["exec", &first, "/bin/true"]);
            !fs::read(&watch.events).unwrap().is_empty()
        });
        watch
    }

    /// Ends it; returns what it has seen.
    pub(super) fn stop(mut self) -> Seen {
        self.stop.store(true, Ordering::Relaxed);
        let mut seen = self.host.take().unwrap().join().unwrap();
        let told = fs::read_to_string(&self.events).unwrap();
        let events = told.lines().filter_map(event);
        let ours = events.filter(|event| event.2.starts_with(&self.stack));
        seen.events = ours.collect();
        seen
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // It runs for ever; this fails only for one that has ended.
        drop(self.engine.kill());
        drop(self.engine.wait());
    }
}

impl Seen {
    /// Returns when the engine told this first of such a container.
    #[track_caller]
    pub(super) fn first(&self, action: &str, is: impl Fn(&str) -> bool) -> i128 {
        let mut events = self.events.iter();
        let found = events.find(|event| event.1 == action && is(&event.2));
        found.unwrap_or_else(|| panic!("no {action} in {self:?}")).0
    }
}

fn event(line: &str) -> Option<(i128, String, String)> {
    let mut words = line.split(' ');
    let at = words.next()?.parse().ok()?;
    Some((at, words.next()?.to_owned(), words.next_back()?.to_owned()))
}

fn now() -> i128 {
    jiff::Timestamp::now().as_nanosecond()
}

fn names(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths
        .filter(|path| path.extension() == Some("db".as_ref()))
        .collect()
}

/// Looks at the host every two milliseconds.
fn look(stop: &AtomicBool, flag: &Path, backups: &Path, port: u16) -> Seen {
    let before = names(backups).len();
    let mut seen = Seen::default();
    let mut was_on = false;
    let set = |at: &mut i128, is: bool| {
        if *at == 0 && is {
            *at = now();
        }
    };
    while !stop.load(Ordering::Relaxed) {
        let on = flag.exists();
        set(&mut seen.page_on, on);
        if was_on && !on {
            seen.page_off = now();
        }
        was_on = on;
        let taken = seen.page_on > 0 && names(backups).len() > before;
        set(&mut seen.backup, taken);
        let asked = seen.backup > 0 && seen.ready == 0;
        let url = format!("http://127.0.0.1:{port}/readyz");
        let ready = asked && get(&url).is_ok_and(|answer| answer.status == 200);
        set(&mut seen.ready, ready);
        std::thread::sleep(Duration::from_millis(2));
    }
    seen
}
