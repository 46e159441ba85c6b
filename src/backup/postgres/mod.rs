//! Dumps, verifies and restores databases of Postgres with the tools in a container.
//!
//! A dump is in the custom format of `pg_dump`. It is verified by reading all of it: a listing
//! takes a dump that was cut off for whole. Names and the connection are handed over in the
//! environment, where no list of processes shows them. Needs the tools of version 12 or newer.

mod client;
mod connection;
mod header;
mod restore;
mod rows;
mod swap;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::Path;

pub use client::{Client, client};
pub(super) use connection::Connection;
pub(super) use header::Header;
pub(super) use restore::{Dump, Owners, drill, restore};

use super::blocking::Deadline;
use super::error::io;
use super::transfer::{Call, Programs};
use super::{BackupError, Work};
use crate::desired::backups::Postgres;
use rows::CopyRows;

/// The tools, and the database they are for.
pub(super) struct Tools<'a> {
    programs: Programs<'a>,
    connection: Connection,
}

/// What reading a dump has shown.
pub(super) struct Examined {
    pub(super) header: Header,
    pub(super) rows: BTreeMap<String, u64>,
}

impl<'a> Tools<'a> {
    /// Reads how the database is reached.
    pub(super) fn new(
        work: &'a Work<'a>,
        postgres: &'a Postgres,
        deadline: Deadline,
    ) -> Result<Self, BackupError> {
        let connection = Connection::new(&postgres.target)?;
        let programs = Programs::new(work, &postgres.service, deadline)?;
        programs.hide(connection.secrets().iter().cloned());
        Ok(Self {
            programs,
            connection,
        })
    }

    /// Dumps the database into `file` at `path`.
    pub(super) async fn dump(&self, path: &Path, file: File) -> Result<(), BackupError> {
        // A lock that somebody holds for ever ends the dump, not the patience of a deploy.
        let command = words(&[
            "pg_dump",
            "--format=custom",
            "--no-password",
            "--lock-wait-timeout=60s",
        ]);
        let call = Call {
            doing: "dump the database",
            command: &command,
            env: &self.connection.env(),
        };
        self.programs.write(&call, path, file).await
    }

    /// Reads a dump to its end, and checks that it is of the database that was asked for.
    pub(super) async fn examine(&self, path: &Path, name: &str) -> Result<Examined, BackupError> {
        let header = header(path, name)?;
        if header.database != self.connection.database() {
            return Err(BackupError::WrongDatabase {
                asked: self.connection.database().to_owned(),
                found: header.database,
            });
        }
        let command = words(&["pg_restore", "--data-only", "--file=-"]);
        let call = Call {
            doing: "verify the dump",
            command: &command,
            // It connects to nothing.
            env: &BTreeMap::new(),
        };
        let mut rows = CopyRows::default();
        let read = self.programs.feed(&call, path, &mut rows).await;
        match read {
            Ok(()) => {}
            Err(BackupError::Program { said, .. }) => {
                return Err(unsound(name, format!("pg_restore can't read it: {said}")));
            }
            Err(other) => return Err(other),
        }
        let rows = rows
            .finish()
            .ok_or_else(|| unsound(name, "it ends in the middle of a table".to_owned()))?;
        Ok(Examined { header, rows })
    }
}

/// A header is a few hundred bytes; names and versions are at most some more.
const HEADER: u64 = 4096;

fn header(path: &Path, name: &str) -> Result<Header, BackupError> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(HEADER).read_to_end(&mut bytes))
        .map_err(io("read", path))?;
    Header::read(&bytes).ok_or_else(|| {
        unsound(
            name,
            "it is no dump of PostgreSQL in the custom format".to_owned(),
        )
    })
}

fn unsound(file: &str, what: String) -> BackupError {
    BackupError::Unsound {
        file: file.to_owned(),
        what,
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
