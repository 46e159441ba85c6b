//! Takes, verifies, lists, retains, restores and drills backups.
//!
//! [`take()`] writes a backup and, once it is verified, its [`Manifest`] beside it. The manifests
//! in a directory are the [`Catalogue`]: there is no other list, so that it survives the loss of
//! our own state. [`retain`] removes what is no longer kept, [`verify()`], [`restore()`] and [`drill()`]
//! take a [`Listed`] one. [`sweep`] takes away what a killed process left.
//!
//! [`Console`] and [`client()`] let a person ask a database by hand. Kinds: `sqlite`, `postgres`, `files` (over `pack`, `unpack`), `command`. Pure: `keep`, `floors`. Below them: `partial` (files that are not finished), `blocking` (threads with a
//! deadline), `transfer` (streams).

mod blocking;
mod catalogue;
mod command;
mod console;
mod drill;
mod error;
mod files;
mod floors;
mod keep;
mod manifest;
mod pack;
mod partial;
mod postgres;
mod restore;
mod sqlite;
mod take;
mod transfer;
mod unpack;
mod verify;

use jiff::Timestamp;
use jiff::tz::TimeZone;

pub use catalogue::{Catalogue, Listed, catalogue, retain};
pub use console::{Access, Answer, Console, is_complete};
pub use drill::{Drilled, drill};
pub use error::BackupError;
pub use keep::to_remove;
pub use manifest::{Content, Manifest, Origin, Owner};
pub use partial::{places, sweep};
pub use postgres::{Client, client};
pub use restore::{Restored, restore};
pub use take::{room, take};
pub use verify::verify;

use crate::desired::StackName;
use crate::desired::backups::{Backup, BackupName};
use crate::engine::WriteEngine;

/// One backup of one stack, and what working on it needs.
#[derive(Clone, Copy)]
pub struct Work<'a> {
    /// The engine.
    pub engine: &'a dyn WriteEngine,
    /// Id of a running container of the service that the source names, if it names one.
    pub container: Option<&'a str>,
    /// Id of this installation.
    pub instance: &'a str,
    /// Which stack.
    pub stack: &'a StackName,
    /// Which of its backups.
    pub name: &'a BackupName,
    /// What Git says about it.
    pub backup: &'a Backup,
    /// Time zone of the stack, for names and for what a day is.
    pub zone: &'a TimeZone,
    /// Now, for names and records.
    pub now: Timestamp,
    /// Told how far it is.
    pub progress: &'a (dyn Fn(Progress) + Send + Sync),
}

/// How far a piece of work is, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Bytes done.
    pub done: u64,
    /// Bytes in all, where that is known.
    pub total: Option<u64>,
}
