//! Opens everything that a pass works with: settings, engine, record, key, locks.
//!
//! Two views of one host. [`View`] is for looking: its engine is a [`ReadEngine`], so that plan,
//! drift and status can't change anything is a fact of the types. [`Host`] adds the engine's
//! other half and the locks that make this the only controller.

use std::collections::BTreeSet;
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::tz::TimeZone;
use tokio::sync::watch;

use crate::clock::{Clock, SystemClock};
use crate::config::{Config, OwnFile};
use crate::engine::docker::Docker;
use crate::engine::{EngineError, ReadEngine, WriteEngine};
use crate::events::Events;
use crate::execute::Hands;
use crate::files;
use crate::lock::{EngineLock, Lock, LockError};
use crate::plan::Context;
use crate::policy::{Gated, Policy};
use crate::record::{Record, RecordError};
use crate::registries::Logins;
use crate::secret::{DigestKey, Redactor};
use crate::source;

/// What it takes to look at a host.
pub struct View {
    /// The host's settings.
    pub config: Config,
    /// The engine's reading half.
    pub engine: Arc<dyn ReadEngine>,
    /// The record; `None` before the first pass.
    pub record: Option<Record>,
    /// Key of digests; a throw-away one before the first pass.
    pub key: DigestKey,
    /// What every output passes through.
    pub redactor: Redactor,
    /// Where it is told what happens.
    pub events: Events,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Time zone of this host.
    pub time_zone: TimeZone,
    /// This program, to run the fetch in a child of its own.
    pub program: PathBuf,
    /// Files of the host that the stacks read, or would have read, when they were loaded last.
    pub host_files: Mutex<BTreeSet<PathBuf>>,
}

/// What it takes to change a host: the only controller of its state directory and engine.
pub struct Host {
    /// Everything that looking takes.
    pub view: View,
    /// Everything that doing takes.
    pub hands: Hands,
    _lock: Option<Lock>,
}

/// Why a host can't be worked on.
#[derive(Debug, thiserror::Error)]
pub enum HostError {
    /// The state directory can't be used.
    #[error("failed to use the state directory {}: {source}\n  hint: moored must own it, with mode 0700", path.display())]
    StateDir {
        /// Which one.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// Another controller is at work.
    #[error("{0}")]
    Lock(#[from] LockError),
    /// The record can't be used.
    #[error("{0}")]
    Record(#[from] RecordError),
    /// The engine can't be used.
    #[error("{0}")]
    Engine(#[from] EngineError),
}

impl View {
    /// Opens a host for looking.
    ///
    /// # Errors
    /// The record or the key is there and can't be read, or the engine's address makes no sense.
    pub fn open(config: Config, events: Events, redactor: Redactor) -> Result<Self, HostError> {
        // Even a look keeps a copy of the state repository there.
        make_private(&config.state_dir).map_err(state_dir_error(&config.state_dir))?;
        let record = Record::open_existing(&config.state_dir)?;
        let key = match read_key(&config.state_dir)? {
            Some(key) => key,
            None => new_key().map_err(state_dir_error(&config.state_dir))?,
        };
        let engine = Arc::new(docker(&config, &redactor)?);
        Self::new(config, engine, record, key, events, redactor)
    }

    fn new(
        config: Config,
        engine: Arc<dyn ReadEngine>,
        record: Option<Record>,
        key: DigestKey,
        events: Events,
        redactor: Redactor,
    ) -> Result<Self, HostError> {
        let program = this_program(&config.state_dir)?;
        let clock = Arc::new(SystemClock);
        Ok(Self {
            config,
            engine,
            record,
            key,
            redactor,
            events,
            clock,
            time_zone: TimeZone::system(),
            program,
            host_files: Mutex::default(),
        })
    }

    /// Notes that a stack reads a file of the host, whether or not it is there.
    pub fn saw_host_file(&self, path: &Path) {
        self.host_files().insert(path.to_owned());
    }

    /// Forgets which files of the host are read.
    pub fn forget_host_files(&self) {
        self.host_files().clear();
    }

    /// Returns the files of the host that are read.
    pub fn host_files(&self) -> MutexGuard<'_, BTreeSet<PathBuf>> {
        self.host_files
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the id of this installation; empty before its first pass.
    pub fn instance(&self) -> &str {
        self.record.as_ref().map_or("", Record::instance)
    }

    /// Returns what the settings permit, with links of the host as they lead now.
    pub fn policy(&self) -> Policy {
        policy_of(&self.config)
    }

    /// Returns what planning knows of this installation, at a time in seconds since 1970.
    pub fn context<'a>(&'a self, policy: &'a Policy, now: i64) -> Context<'a> {
        Context {
            instance: self.instance(),
            key: &self.key,
            now,
            policy,
        }
    }

    /// Returns where the copy of a branch of the state repository is.
    pub fn mirror(&self) -> PathBuf {
        self.config.state_dir.join("mirror.git")
    }

    /// Returns the directory where a stack's relative paths resolve unless it names its own.
    pub fn project_directory(&self, stack: &str) -> PathBuf {
        self.config
            .state_dir
            .join("stacks")
            .join(stack)
            .join("project")
    }
}

impl Host {
    /// Opens a host for doing: makes the state directory when there is none, and takes its lock.
    /// That of the engine is taken by the first pass that has something to do there.
    ///
    /// # Errors
    /// Another controller is at work, or something can't be used.
    pub fn open(
        config: Config,
        events: Events,
        redactor: Redactor,
        stop: watch::Receiver<bool>,
    ) -> Result<Self, HostError> {
        let dir = config.state_dir.clone();
        make_private(&dir).map_err(state_dir_error(&dir))?;
        let holder = holder(&dir);
        let lock = Lock::take(&dir.join("lock"), "this state directory", &holder)?;
        let mut host = Self::open_beside(config, events, redactor, stop)?;
        host.hands.engine_lock = EngineLock::of(holder);
        Ok(Self {
            _lock: Some(lock),
            ..host
        })
    }

    /// Takes the lock of the engine, unless it is held already.
    ///
    /// # Errors
    /// Another controller is at work, or the engine can't be asked who it is.
    pub async fn take_engine(&self) -> Result<(), HostError> {
        let id = self.view.engine.info().await?.id;
        Ok(self.hands.engine_lock.take(&id)?)
    }

    /// Opens a host for a person's command, beside a controller that may run: what they must not
    /// do at once is kept apart by the lock of the stack.
    ///
    /// # Errors
    /// Something can't be used.
    pub fn open_beside(
        config: Config,
        events: Events,
        redactor: Redactor,
        stop: watch::Receiver<bool>,
    ) -> Result<Self, HostError> {
        let dir = config.state_dir.clone();
        make_private(&dir).map_err(state_dir_error(&dir))?;
        let record = Record::open(&dir)?;
        let key = match read_key(&dir)? {
            Some(key) => key,
            None => store_new_key(&dir).map_err(state_dir_error(&dir))?,
        };
        let engine = Arc::new(docker(&config, &redactor)?);
        let behind = Arc::clone(&engine) as Arc<dyn WriteEngine>;
        let hands = Hands {
            gate: Arc::new(Gated::new(behind, policy_of(&config))),
            record: record.clone(),
            key: key.clone(),
            state_dir: dir.clone(),
            clock: Arc::new(SystemClock),
            events: events.clone(),
            redactor: redactor.clone(),
            program: this_program(&dir)?,
            stop,
            open: Arc::default(),
            host_proxy: tokio::sync::Mutex::default(),
            engine_lock: EngineLock::beside(),
        };
        let view = View::new(config, engine, Some(record), key, events, redactor)?;
        Ok(Self {
            view,
            hands,
            _lock: None,
        })
    }

    /// Takes other settings from now on; the state directory and the engine must be the same.
    pub fn take_settings(&mut self, config: Config) {
        self.hands.gate.follow(policy_of(&config));
        self.view.config = config;
    }
}

fn policy_of(config: &Config) -> Policy {
    let mut own = config.own_files();
    let program = files::this_program().ok();
    own.extend(program.as_deref().map(OwnFile::trusted));
    Policy::new(&config.policy, &config.state_dir, &config.engine).keeping(&own)
}

/// Returns the engine of the settings, which gets the logins of this host for its registries.
fn docker(config: &Config, redactor: &Redactor) -> Result<Docker, EngineError> {
    let file = config.registries.as_ref().map(|one| one.config.clone());
    let logins = Logins::new(file, redactor.clone());
    Ok(Docker::connect(&config.engine)?.with_logins(logins))
}

fn this_program(state_dir: &Path) -> Result<PathBuf, HostError> {
    std::env::current_exe().map_err(state_dir_error(state_dir))
}

fn state_dir_error(path: &Path) -> impl Fn(io::Error) -> HostError + use<> {
    let path = path.to_owned();
    move |source| HostError::StateDir {
        path: path.clone(),
        source,
    }
}

/// Makes the state directory private to us, or makes it. A directory of somebody else is refused:
/// taking the access to it away could break the host.
fn make_private(dir: &Path) -> io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true).mode(0o700).create(dir)?;
    let others = std::fs::metadata(dir)?.permissions().mode() & 0o077;
    if others == 0 {
        return Ok(());
    }
    let empty = std::fs::read_dir(dir)?.next().is_none();
    let ours = ["moored.db", "mirror.git", "lock", "mirror.lock"];
    if !empty && !ours.iter().any(|name| dir.join(name).exists()) {
        let message = "it exists, has something else in it, and others may read it";
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, message));
    }
    // It holds the key and old files.
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o700))
}

/// Returns the name of this machine.
pub fn name() -> String {
    let uname = rustix::system::uname();
    uname.nodename().to_string_lossy().into_owned()
}

/// Returns what this process says of itself to one that finds the lock taken.
fn holder(state_dir: &Path) -> String {
    let host = name();
    let started = SystemClock
        .now()
        .strftime("%Y-%m-%d %H:%M:%S UTC")
        .to_string();
    format!(
        "process {} on {host}, state directory {}, since {started}",
        std::process::id(),
        state_dir.display()
    )
}

fn key_path(state_dir: &Path) -> PathBuf {
    state_dir.join("key")
}

fn read_key(state_dir: &Path) -> Result<Option<DigestKey>, HostError> {
    match std::fs::read(key_path(state_dir)) {
        Ok(bytes) => Ok(Some(DigestKey::new(bytes))),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(state_dir_error(state_dir)(error)),
    }
}

fn new_key() -> io::Result<DigestKey> {
    files::random_bytes(32).map(DigestKey::new)
}

fn store_new_key(state_dir: &Path) -> io::Result<DigestKey> {
    let bytes = files::random_bytes(32)?;
    files::write_atomically(&key_path(state_dir), &bytes, 0o600)?;
    Ok(DigestKey::new(bytes))
}

/// Returns the local repository that the settings name, to be watched.
pub fn local_repository(config: &Config) -> Option<PathBuf> {
    source::local_path(&config.repository.url)
}
