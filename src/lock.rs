//! Makes sure that only one controller acts: on a state directory, and on an engine.
//!
//! `flock` is released by the kernel when the process ends, however it ends, so a stale lock
//! can't be. The file's text is for people only: who holds it.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// Why a lock can't be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error(
        "another controller is at work on {what}: {holder} (lock {})\n  hint: stop it first, or \
         let it do the work", path.display()
    )]
    Taken {
        /// On what.
        what: String,
        /// What it says of itself.
        holder: String,
        /// The lock's file.
        path: PathBuf,
    },
    /// The file can't be used.
    #[error("failed to lock {what} with {}: {source}", path.display())]
    Io {
        /// What was to be locked.
        what: String,
        /// The lock's file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}

impl Lock {
    /// Takes the lock at `path` for `what`, leaving `holder` there for others to read.
    ///
    /// # Errors
    /// Another process holds it, or the file can't be used.
    pub fn take(path: &Path, what: &str, holder: &str) -> Result<Self, LockError> {
        let io = |source| LockError::Io {
            what: what.to_owned(),
            path: path.to_owned(),
            source,
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o644)
            // The directory may be open to all: a planted link must not lead us elsewhere.
            .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
            .open(path)
            .map_err(io)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::WouldBlock) => {
                let mut holder = String::new();
                // Who it is helps a person; that it is taken is known without.
                let read = Read::by_ref(&mut file)
                    .take(512)
                    .read_to_string(&mut holder);
                let holder = match read {
                    Ok(n) if n > 0 => holder.trim().to_owned(),
                    Ok(_) | Err(_) => "unknown process".to_owned(),
                };
                let (what, path) = (what.to_owned(), path.to_owned());
                return Err(LockError::Taken { what, holder, path });
            }
            Err(std::fs::TryLockError::Error(source)) => return Err(io(source)),
        }
        file.set_len(0).and_then(|()| file.rewind()).map_err(io)?;
        file.write_all(holder.as_bytes()).map_err(io)?;
        Ok(Self { _file: file })
    }
}

/// Where the lock of an engine is: open to all users, cleared by a reboot, and the same for every
/// controller on the machine whatever its state directory.
const LOCK_DIR: &str = "/run/lock";

/// The lock of an engine, which a controller takes before it first changes something there.
///
/// Looking needs none, and who the engine is takes it 10 ms to say: a pass without a change does
/// without both.
#[derive(Debug)]
pub struct EngineLock {
    /// What it says of itself; `None` = a person's command, kept apart by the lock of the stack.
    holder: Option<String>,
    held: Mutex<Option<Lock>>,
}

impl EngineLock {
    /// Returns the lock for one that says this of itself.
    pub fn of(holder: String) -> Self {
        let holder = Some(holder);
        let held = Mutex::default();
        Self { holder, held }
    }

    /// Returns the lock for a command beside a controller that may run: there is none.
    pub fn beside() -> Self {
        let (holder, held) = (None, Mutex::default());
        Self { holder, held }
    }

    /// Returns whether it has to be taken before something is changed.
    pub fn is_due(&self) -> bool {
        self.holder.is_some() && self.held().is_none()
    }

    /// Takes the lock of the engine that says this id of itself, if it is due.
    ///
    /// # Errors
    /// Another controller holds it, or the file can't be used.
    pub fn take(&self, engine: &str) -> Result<(), LockError> {
        let mut held = self.held();
        let Some(holder) = self.holder.as_ref().filter(|_| held.is_none()) else {
            return Ok(());
        };
        *held = Some(Lock::take(&path_of(engine), "this engine", holder)?);
        Ok(())
    }

    fn held(&self) -> MutexGuard<'_, Option<Lock>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn path_of(engine: &str) -> PathBuf {
    let name: String = engine
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    Path::new(LOCK_DIR).join(format!("moored-{name}.lock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_taker_is_told_who_the_first_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = Lock::take(&path, "this directory", "pid 1 on a").unwrap();
        let refused = Lock::take(&path, "this directory", "pid 2 on a")
            .unwrap_err()
            .to_string();
        assert!(refused.contains("pid 1 on a"), "{refused}");
        drop(first);
        Lock::take(&path, "this directory", "pid 3 on a").unwrap();
    }

    #[test]
    fn a_link_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        std::os::unix::fs::symlink(dir.path().join("elsewhere"), &path).unwrap();
        Lock::take(&path, "x", "y").unwrap_err();
        assert!(!dir.path().join("elsewhere").exists());
    }
}
