//! A host to plan for and to work on, without an engine and without Git: a [`FakeEngine`], a real
//! record in a directory of its own, files of the host in memory, and a clock that ticks a second
//! whenever somebody looks at it.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::FutureExt as _;
use jiff::Timestamp;
use moored::clock::Clock;
use moored::config::{Auth, Config, Repository};
use moored::desired::{self, DesiredState, HostFiles, Place};
use moored::diagnostic::Diagnostics;
use moored::events::Events;
use moored::execute::{self, Hands};
use moored::host::View;
use moored::journal::Outcome;
use moored::lock::EngineLock;
use moored::pass::{Looked, PassError, Passed};
use moored::permits::{Grant, Permits};
use moored::plan::{self, Context};
use moored::policy::{Gated, Policy};
use moored::reconcile;
use moored::record::Record;
use moored::secret::{DigestKey, Redactor};
use moored::source::{CommitInfo, RepoPath, Tree};
use tokio::sync::watch;

use super::fake_engine::{FakeEngine, Killed};

/// Files of a tree by their path.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// A host in memory and in one temporary directory.
pub(crate) struct Bench {
    pub(crate) engine: FakeEngine,
    pub(crate) host: Hosted,
    pub(crate) clock: Arc<Ticks>,
    /// What was told, as text.
    pub(crate) told: Arc<Mutex<Vec<String>>>,
    pub(crate) redactor: Redactor,
    /// What the host's settings permit: by default everything that is so, and to mount `/bench`.
    pub(crate) permits: Permits,
    /// What asks for the page at `http://SITE/` in a tree's files is answered here.
    site: std::net::TcpListener,
    /// What asks `http://FRONT/` which configuration is loaded is answered here by the proxy of
    /// the engine's world.
    front: std::net::TcpListener,
    dir: tempfile::TempDir,
}

/// Files of the host, by absolute path.
#[derive(Clone, Default)]
pub(crate) struct Hosted(pub(crate) BTreeMap<PathBuf, Vec<u8>>);

impl HostFiles for Hosted {
    fn read(&self, path: &Path) -> Result<Option<Vec<u8>>, String> {
        match self.0.get(path) {
            Some(content) if content == b"(a directory)" => Err("is not a regular file".to_owned()),
            content => Ok(content.cloned()),
        }
    }

    fn age_identity(&self) -> Option<&Path> {
        let path = Path::new("/etc/moored/age.key");
        self.0.contains_key(path).then_some(path)
    }
}

/// A clock that ticks when it is looked at. Every journal entry looks at it once, so that it is
/// also the place to kill a process between two entries.
pub(crate) struct Ticks {
    now: AtomicI64,
    kill_in: AtomicI64,
}

impl Ticks {
    /// Kills the process at the `n`th look from now, counted from 1; 0 = never.
    pub(crate) fn kill_in(&self, n: i64) {
        self.kill_in.store(n, Ordering::SeqCst);
    }

    /// What it shows, without a tick: seconds since 1970.
    pub(crate) fn seconds(&self) -> i64 {
        self.now.load(Ordering::SeqCst)
    }

    /// Lets time go by.
    pub(crate) fn advance(&self, seconds: i64) {
        self.now.fetch_add(seconds, Ordering::SeqCst);
    }
}

impl Clock for Ticks {
    fn now(&self) -> Timestamp {
        if self.kill_in.load(Ordering::SeqCst) > 0
            && self.kill_in.fetch_sub(1, Ordering::SeqCst) == 1
        {
            resume_unwind(Box::new(Killed));
        }
        Timestamp::from_second(self.now.fetch_add(1, Ordering::SeqCst)).unwrap()
    }
}

impl Bench {
    pub(crate) fn new() -> Self {
        // Memory where there is some: a journal entry is an fsync.
        let memory = Path::new("/dev/shm");
        let in_memory = || tempfile::tempdir_in(memory);
        let dir = in_memory().or_else(|_| tempfile::tempdir()).unwrap();
        for part in ["state", "project", "closed", "bench/data", "bench/site"] {
            std::fs::create_dir_all(dir.path().join(part)).unwrap();
        }
        let engine = FakeEngine::default();
        engine.world().root = dir.path().join("project");
        let listener = || {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.set_nonblocking(true).unwrap();
            listener
        };
        Self {
            site: listener(),
            front: listener(),
            engine,
            host: Hosted::default(),
            clock: Arc::new(Ticks {
                now: AtomicI64::new(1_767_225_600),
                kill_in: AtomicI64::new(0),
            }),
            told: Arc::default(),
            redactor: Redactor::default(),
            permits: permits(dir.path()),
            dir,
        }
    }

    /// The project directory.
    pub(crate) fn project(&self) -> PathBuf {
        self.dir.path().join("project")
    }

    /// What files of a tree call `/bench`: a directory of the host for data, backups and the
    /// proxy's files.
    pub(crate) fn place(&self, path: &str) -> PathBuf {
        self.dir.path().join("bench").join(path)
    }

    /// The state directory.
    pub(crate) fn state_dir(&self) -> PathBuf {
        self.dir.path().join("state")
    }

    pub(crate) fn record(&self) -> Record {
        Record::open(&self.state_dir()).unwrap()
    }

    fn events(&self) -> Events {
        let told = Arc::clone(&self.told);
        Events::new(move |event| {
            use moored::events::Event;
            #[expect(
                clippy::wildcard_enum_match_arm,
                reason = "only what tests ask for is kept"
            )]
            let line = match event {
                Event::StepStarted { step, .. } => {
                    let action = &step.action;
                    format!(
                        "begin {} {} {:?}",
                        action.verb(),
                        action.subject(),
                        step.reasons
                    )
                }
                Event::StepFailed { error, .. } => format!("failed {error}"),
                Event::Waiting { what, .. } => format!("waiting {what}"),
                Event::Undoing { step, .. } => format!("undo {step}"),
                Event::Warning { warning, .. } => format!("warning {warning}"),
                Event::NotKept { dir, error } => format!("not kept {dir} {error}"),
                // For the console alone.
                _ => return,
            };
            told.lock().unwrap().push(line);
        })
    }

    /// What looking takes, as a process that has just started has it.
    pub(crate) fn view(&self) -> View {
        View {
            host_files: std::sync::Mutex::default(),
            config: Config {
                file: Some(self.settings_file()),
                repository: Repository {
                    url: "/nowhere".to_owned(),
                    branch: "main".to_owned(),
                    poll: Duration::from_secs(30),
                    auth: Auth::None,
                    push: true,
                    ca_file: None,
                    allow_force_push: false,
                    verify: None,
                },
                stacks: None,
                state_dir: self.state_dir(),
                age_identity: None,
                listen: None,
                listen_names: BTreeSet::new(),
                webhook: None,
                windows: BTreeMap::new(),
                approvals: BTreeMap::new(),
                registries: None,
                notify: Vec::new(),
                engine: "fake".to_owned(),
                policy: self.permits.clone(),
            },
            engine: Arc::new(self.engine.clone()),
            record: Some(self.record()),
            key: key(),
            redactor: self.redactor.clone(),
            events: self.events(),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            time_zone: jiff::tz::TimeZone::UTC,
            program: PathBuf::new(),
        }
    }

    pub(crate) fn policy(&self) -> Policy {
        self.view().policy()
    }

    /// The file of the host's settings: in a directory that nobody opens.
    pub(crate) fn settings_file(&self) -> PathBuf {
        self.dir.path().join("closed/config.yaml")
    }

    /// What doing takes; `stop` turns true when no new step should begin.
    pub(crate) fn hands(&self, stop: watch::Receiver<bool>) -> Hands {
        Hands {
            gate: Arc::new(Gated::new(Arc::new(self.engine.clone()), self.policy())),
            record: self.record(),
            key: key(),
            state_dir: self.state_dir(),
            clock: Arc::clone(&self.clock) as Arc<dyn Clock>,
            events: self.events(),
            redactor: self.redactor.clone(),
            program: PathBuf::new(),
            stop,
            open: Arc::default(),
            host_proxy: tokio::sync::Mutex::default(),
            engine_lock: EngineLock::beside(),
        }
    }

    /// Loads the stack of a tree, at a commit whose id is made of `digit`.
    pub(crate) fn load(&self, files: &Files, digit: char) -> Result<DesiredState, Diagnostics> {
        self.load_with(files, digit, &self.host)
    }

    /// Loads it with other files of the host than those of the bench.
    pub(crate) fn load_with(
        &self,
        files: &Files,
        digit: char,
        host: &dyn HostFiles,
    ) -> Result<DesiredState, Diagnostics> {
        let project = self.project();
        let bench = self.dir.path().join("bench").display().to_string();
        let mut files = files.clone();
        for content in files.values_mut() {
            if let Ok(text) = std::str::from_utf8(content) {
                let site = self.site.local_addr().unwrap().to_string();
                let front = self.front.local_addr().unwrap().to_string();
                let text = text.replace("/bench", &bench);
                let text = text.replace("SITE", &site).replace("FRONT", &front);
                *content = text.into_bytes();
            }
        }
        load(&files, digit, host, &|_| project.clone())
    }

    /// Does one pass, as a process that has just started.
    pub(crate) fn pass(&self, desired: &DesiredState) -> Result<Passed, PassError> {
        let (_keep, stop) = watch::channel(false);
        let (view, hands) = (self.view(), self.hands(stop));
        // A program that another test starts holds every lock between fork and exec, and time is
        // at a standstill here.
        for _ in 0..100 {
            let passed = run(async {
                self.open();
                reconcile::pass(&view, &hands, desired.clone()).await
            });
            match passed {
                Err(PassError::Busy(_)) => std::thread::sleep(Duration::from_millis(10)),
                passed => return passed,
            }
        }
        panic!("the lock of the stack stays taken");
    }

    /// Does one pass that may be killed; `None` = it was.
    pub(crate) fn pass_or_die(&self, desired: &DesiredState) -> Option<Result<Passed, PassError>> {
        let (_keep, stop) = watch::channel(false);
        let (view, hands) = (self.view(), self.hands(stop));
        // As above: a pass that gets no lock has done nothing.
        for _ in 0..100 {
            let pass = AssertUnwindSafe(reconcile::pass(&view, &hands, desired.clone()));
            let passed = run(async {
                self.open();
                pass.catch_unwind().await
            });
            match passed {
                Ok(Err(PassError::Busy(_))) => std::thread::sleep(Duration::from_millis(10)),
                Ok(passed) => return Some(passed),
                Err(panic) if panic.is::<Killed>() => return None,
                Err(panic) => resume_unwind(panic),
            }
        }
        panic!("the lock of the stack stays taken");
    }

    /// Answers as proxies do while the runtime goes on: 503 while the flag is there, and which
    /// configuration is loaded.
    fn open(&self) {
        let flag = self.place("site/ON");
        let later = "HTTP/1.1 503 Later\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        serve(&self.site, move || {
            let closed = flag.exists().then(|| later.to_owned());
            Some(closed.unwrap_or_else(|| ok("")))
        });
        let engine = self.engine.clone();
        serve(&self.front, move || engine.world().marker().map(ok));
    }

    /// Takes over what Docker Compose runs, as a person asks for.
    pub(crate) fn adopt(&self, desired: &DesiredState) {
        let looked = self.look(desired);
        let (_keep, stop) = watch::channel(false);
        let hands = self.hands(stop);
        let instance = hands.record.instance().to_owned();
        let context = Context {
            instance: &instance,
            key: &hands.key,
            now: self.clock.seconds(),
            policy: &self.policy(),
        };
        let plan = plan::adopt(desired, &looked.observed, &looked.history, &context);
        let outcome = run(async { execute::execute(&plan, &hands).await });
        assert_eq!(outcome.unwrap(), Outcome::Succeeded);
    }

    /// Looks and changes nothing.
    pub(crate) fn look(&self, desired: &DesiredState) -> Looked {
        let view = self.view();
        let looked = run(async {
            self.open();
            reconcile::look_at(&view, desired.clone()).await
        });
        looked.unwrap()
    }

    /// Returns a text with everything taken out that differs from run to run.
    pub(crate) fn stable(&self, text: &str) -> String {
        let stable = text
            .replace(&self.project().display().to_string(), "/project")
            .replace(&self.site.local_addr().unwrap().to_string(), "SITE")
            .replace(&self.front.local_addr().unwrap().to_string(), "FRONT")
            .replace(&self.place("").display().to_string(), "/bench/")
            .replace(&self.state_dir().display().to_string(), "/state")
            .replace(self.record().instance(), "INSTANCE");
        if stable.len() == text.len() {
            return stable;
        }
        last_column_aligned(&stable)
    }
}

fn ok(body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}")
}

/// Answers everybody who comes while the runtime goes on; `None` = nobody is behind it.
fn serve(listener: &std::net::TcpListener, answer: impl Fn() -> Option<String> + Send + 'static) {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let listener = tokio::net::TcpListener::from_std(listener.try_clone().unwrap()).unwrap();
    tokio::spawn(async move {
        while let Ok((mut visitor, _)) = listener.accept().await {
            let mut asked = [0; 4096];
            drop(visitor.read(&mut asked).await);
            if let Some(answer) = answer() {
                drop(visitor.write_all(answer.as_bytes()).await);
            }
        }
    });
}

/// Aligns the last column of a plan anew: paths before it had another length.
fn last_column_aligned(text: &str) -> String {
    let cut = |line: &str| -> Option<(String, String)> {
        let (before, after) = line.rsplit_once("  after ")?;
        let numbers = after
            .chars()
            .all(|c| c.is_ascii_digit() || ", ".contains(c));
        numbers.then(|| (before.trim_end().to_owned(), format!("after {after}")))
    };
    let lines = text.lines();
    let width = lines
        .clone()
        .filter_map(|line| Some(cut(line)?.0.chars().count()))
        .max()
        .unwrap_or_default();
    let aligned = lines.map(|line| match cut(line) {
        Some((before, after)) => format!("{before:width$}  {after}"),
        None => line.to_owned(),
    });
    aligned.collect::<Vec<_>>().join("\n") + "\n"
}

/// Loads the stack at the root of a tree, at a commit whose id is made of `digit`.
pub(crate) fn load(
    files: &Files,
    digit: char,
    host: &dyn HostFiles,
    directory: &dyn Fn(&str) -> PathBuf,
) -> Result<DesiredState, Diagnostics> {
    let tree = Tree::from_files(files.clone()).unwrap();
    let commit = CommitInfo {
        revision: digit.to_string().repeat(40).parse().unwrap(),
        subject: format!("state {digit}"),
        author_name: "A".to_owned(),
        author_email: "a@example.org".to_owned(),
        committed_at: 0,
    };
    let place = Place {
        dir: &RepoPath::root(),
        commit: &commit,
        default_directory: directory,
        time_zone: &jiff::tz::TimeZone::UTC,
    };
    desired::load(&tree, &place, host)
}

/// The key of every bench: digests are then the same in every run.
pub(crate) fn key() -> DigestKey {
    DigestKey::new(vec![7; 32])
}

/// Runs a future to its end; time goes by at once.
pub(crate) fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
        .block_on(future)
}

/// Reads all files below a directory, by their path there.
pub(crate) fn files_below(dir: &Path) -> Files {
    fn walk(root: &Path, dir: &Path, files: &mut Files) {
        for entry in std::fs::read_dir(dir).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, files);
            } else {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                files.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    let mut files = Files::new();
    walk(dir, dir, &mut files);
    files
}

/// What is permitted by default, and places of the test's own, and its proxy.
fn permits(dir: &Path) -> Permits {
    let mut permits = Permits {
        host_proxy: Grant::Everybody,
        file_roots: vec!["/etc/shop".into()],
        ..Permits::default()
    };
    let own = ["project", "bench"].map(|part| dir.join(part));
    permits.bind_roots.extend(own);
    permits
}
