//! Sees changes of a local repository and of files on the host at once, without polling.
//!
//! A change carries no data: it only says that a look is worth while. One that is missed is
//! found by the next poll.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

/// Calls back when a watched repository or file changes.
pub struct Watch {
    watcher: RecommendedWatcher,
    /// What is watched now, with the identity it had when the watch was set.
    watched: BTreeMap<PathBuf, (RecursiveMode, Identity)>,
    wanted: Arc<Mutex<Wanted>>,
}

/// Why something can't be watched; polling goes on without.
#[derive(Debug, thiserror::Error)]
pub enum WatchError {
    /// The system gives no watch at all.
    #[error("changes can't be watched on this system; they are found by polling")]
    Start(#[source] notify::Error),
    /// One path can't be watched.
    #[error(
        "{path} can't be watched; its changes are found by polling (if the limit of watches is \
         reached, raise fs.inotify.max_user_watches)",
        path = path.display()
    )]
    Path {
        /// What was to be watched.
        path: PathBuf,
        /// The system's reason.
        source: notify::Error,
    },
}

/// Device and inode: a directory that is replaced keeps its path and loses its watch.
type Identity = (u64, u64);

#[derive(Default)]
struct Wanted {
    files: BTreeSet<PathBuf>,
    directories: BTreeSet<PathBuf>,
}

impl Watch {
    /// Starts without watching anything. `on_change` is called on the watcher's thread, several
    /// times for one change; it should only raise a flag.
    pub fn new(on_change: impl Fn() + Send + 'static) -> Result<Self, WatchError> {
        let wanted = Arc::new(Mutex::new(Wanted::default()));
        let filter = Arc::clone(&wanted);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let relevant = match event {
                Ok(event) => filter
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .concerns(&event),
                // Something was lost; looking once too often is harmless.
                Err(_) => true,
            };
            if relevant {
                on_change();
            }
        })
        .map_err(WatchError::Start)?;
        Ok(Self {
            watcher,
            watched: BTreeMap::new(),
            wanted,
        })
    }

    /// Watches the branches of a local repository and these files of the host, and nothing else.
    ///
    /// Files need not exist yet. Cheap when nothing has changed: to be called at every pass, so
    /// that directories which were made or replaced meanwhile are followed. After an error
    /// everything that can be watched is.
    pub fn set_paths(
        &mut self,
        local_repository: Option<&Path>,
        host_files: &BTreeSet<PathBuf>,
    ) -> Result<(), WatchError> {
        let mut wanted = Wanted {
            files: host_files.clone(),
            directories: BTreeSet::new(),
        };
        if let Some(repository) = local_repository {
            wanted.add_repository(repository);
        }
        let targets = wanted.targets();
        *self.wanted.lock().unwrap_or_else(PoisonError::into_inner) = wanted;

        let stale: Vec<PathBuf> = self
            .watched
            .iter()
            .filter(|(path, now)| targets.get(*path) != Some(*now))
            .map(|(path, _)| path.clone())
            .collect();
        for path in stale {
            self.watched.remove(&path);
            // Fails when the directory is gone, and its watch with it.
            drop(self.watcher.unwatch(&path));
        }
        let mut first_error = None;
        for (path, target) in targets {
            if self.watched.contains_key(&path) {
                continue;
            }
            match self.watcher.watch(&path, target.0) {
                Ok(()) => {
                    self.watched.insert(path, target);
                }
                Err(source) => {
                    first_error.get_or_insert(WatchError::Path { path, source });
                }
            }
        }
        first_error.map_or(Ok(()), Err)
    }
}

impl Wanted {
    fn add_repository(&mut self, repository: &Path) {
        if let Some(git) = git_directory(repository) {
            self.directories.insert(git.join("refs/heads"));
            self.files.insert(git.join("packed-refs"));
            self.files.insert(git.join("HEAD"));
        } else {
            // Not there yet: whichever of the two forms appears is seen.
            self.files.insert(repository.join(".git"));
            self.files.insert(repository.join("HEAD"));
        }
    }

    /// Returns the directories to watch. What does not exist is seen by the nearest directory
    /// that does, so its coming is an event, after which the caller sets the paths again.
    fn targets(&self) -> BTreeMap<PathBuf, (RecursiveMode, Identity)> {
        let mut targets = BTreeMap::new();
        for file in &self.files {
            if let Some((path, identity)) = file.parent().and_then(nearest) {
                targets.insert(path, (RecursiveMode::NonRecursive, identity));
            }
        }
        for directory in &self.directories {
            if let Some((path, identity)) = nearest(directory) {
                let mode = if path == *directory {
                    RecursiveMode::Recursive
                } else {
                    RecursiveMode::NonRecursive
                };
                targets.insert(path, (mode, identity));
            }
        }
        targets
    }

    fn concerns(&self, event: &Event) -> bool {
        if event.need_rescan() || event.paths.is_empty() {
            return true;
        }
        // Closing is the last sign of a file that is written in place.
        let written = EventKind::Access(AccessKind::Close(AccessMode::Write));
        if event.kind.is_access() && event.kind != written {
            return false;
        }
        event.paths.iter().any(|path| self.concerns_path(path))
    }

    fn concerns_path(&self, path: &Path) -> bool {
        // Git writes every ref as x.lock and renames it; the rename is the change.
        let is_lock = path
            .extension()
            .is_some_and(|extension| extension == "lock");
        self.files.contains(path)
            || (!is_lock && self.directories.iter().any(|inside| path.starts_with(inside)))
            // A directory on the way to something wanted came or went.
            || self.files.iter().chain(&self.directories).any(|wanted| wanted.starts_with(path))
    }
}

/// Returns the directory with the refs of a repository: its own for a bare one, `.git` for one
/// with a work tree, the common one for a linked work tree (gitrepository-layout(5)).
fn git_directory(repository: &Path) -> Option<PathBuf> {
    let inner = repository.join(".git");
    if inner.is_dir() {
        return Some(inner);
    }
    if inner.is_file() {
        let git = repository.join(pointer(&inner, "gitdir: ")?);
        let common = pointer(&git.join("commondir"), "").map(|common| git.join(common));
        return Some(common.unwrap_or(git));
    }
    let bare = repository.join("HEAD").is_file() && repository.join("refs").is_dir();
    bare.then(|| repository.to_owned())
}

fn pointer(file: &Path, prefix: &str) -> Option<PathBuf> {
    let text = fs::read_to_string(file).ok()?;
    let path = text.lines().next()?.strip_prefix(prefix)?.trim();
    (!path.is_empty()).then(|| PathBuf::from(path))
}

fn nearest(path: &Path) -> Option<(PathBuf, Identity)> {
    path.ancestors().find_map(|path| {
        let meta = fs::metadata(path).ok().filter(fs::Metadata::is_dir)?;
        Some((path.to_owned(), (meta.dev(), meta.ino())))
    })
}
