//! Lets a person into a container or a database of a stack.
//!
//! What is done there is that person's own: no plan has it, no lock is taken, and nothing of it
//! is in the journal.

use std::path::PathBuf;

use super::{ByHandError, Stack};
use crate::backup::{self, Access, Console};
use crate::desired::ServiceName;
use crate::desired::backups::{Backup, BackupName, Postgres, Source};
use crate::engine::model::{ContainerSummary, Ends, Exec};
use crate::engine::{EngineError, ReadEngine};
use crate::{labels, plan};

/// Shells that are looked for in a container: the one that people like to type in first.
const SHELLS: [&str; 3] = ["/bin/bash", "/usr/bin/bash", "/bin/sh"];

/// What a name stands for.
pub enum Room<'a> {
    /// The container of a service.
    Service(String),
    /// A Postgres database, by the tools in the container of a service.
    Postgres(&'a BackupName, &'a Backup, &'a Postgres),
    /// A database of `SQLite`.
    Sqlite(&'a BackupName, &'a Backup, PathBuf),
}

/// What is run inside a container.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inside<'a> {
    /// Program and arguments; for a database more arguments of its client. Empty = a shell.
    pub words: &'a [String],
    /// User and group; `None` = the container's own.
    pub user: Option<&'a str>,
    /// The kind of the person's terminal, where there is one.
    pub terminal: Option<&'a str>,
}

impl Stack<'_> {
    /// Finds out what a name stands for: a service goes before a database of the same name, unless
    /// it is to be a database.
    ///
    /// # Errors
    /// There is neither.
    pub fn room(&self, name: &str, is_database: bool) -> Result<Room<'_>, ByHandError> {
        let desired = &self.desired;
        let mut services = desired.services.keys().chain(&desired.at_rest);
        if !is_database && services.any(|one| one.service() == name) {
            return Ok(Room::Service(name.to_owned()));
        }
        let databases = || desired.backups.iter().filter_map(room_of);
        let found = databases().find(|(known, _)| known.as_str() == name);
        found.map(|(_, room)| room).ok_or_else(|| {
            let services: std::collections::BTreeSet<&str> =
                desired.services.keys().map(ServiceName::service).collect();
            let services: Vec<&str> = services.into_iter().collect();
            let databases: Vec<&str> = databases().map(|(known, _)| known.as_str()).collect();
            ByHandError::Refused(format!(
                "{} has no {} \"{}\"; its services: {}; its databases (backups with sqlite or \
                 postgres): {}",
                desired.stack,
                if is_database {
                    "database"
                } else {
                    "service or database"
                },
                name.escape_default(),
                listed(&services),
                listed(&databases),
            ))
        })
    }

    /// Runs a shell, a command or the client of a database in the running container of a service,
    /// and returns its exit code.
    ///
    /// # Errors
    /// No container of it runs, or the command can't be run there.
    pub async fn talk(
        &self,
        room: &Room<'_>,
        inside: Inside<'_>,
        ends: Ends<'_>,
    ) -> Result<i64, ByHandError> {
        let hands = &self.host.hands;
        let mut env = std::collections::BTreeMap::new();
        let (service, command) = match room {
            Room::Service(service) => (service.as_str(), inside.words.to_vec()),
            Room::Postgres(_, backup, postgres) => {
                hands.pass_backup(&self.desired.stack, backup)?;
                let client = backup::client(postgres)?;
                hands.redactor.learn(client.secrets);
                env = client.env;
                let words = inside.words.iter().cloned();
                let command = std::iter::once(client.program.to_owned()).chain(words);
                (postgres.service.service(), command.collect())
            }
            Room::Sqlite(name, ..) => {
                let refused = format!("{name} is a file of the host, and no container has it");
                return Err(ByHandError::Refused(refused));
            }
        };
        let id = self.running(service).await?;
        let command = if command.is_empty() {
            vec![self.shell_in(&id, service).await?]
        } else {
            command
        };
        if let Some(terminal) = inside.terminal {
            env.insert("TERM".to_owned(), crate::secret::Sensitive::new(terminal));
        }
        let exec = Exec {
            command: &command,
            env: &env,
            user: inside.user,
            working_dir: None,
            privileged: false,
        };
        Ok(hands.engine().talk(&id, &exec, ends).await?)
    }

    /// Opens a database of `SQLite`.
    ///
    /// # Errors
    /// It may not be touched, is not there, or can't be opened.
    pub fn console(&self, backup: &Backup, access: Access) -> Result<Console, ByHandError> {
        let stack = &self.desired.stack;
        self.host.hands.pass_backup(stack, backup)?;
        let path = backup.source.paths().first();
        let path = path.ok_or_else(|| ByHandError::Refused("it is no file".to_owned()))?;
        Ok(Console::open(path, access)?)
    }

    /// Returns the id of the container of a service that runs; of several the one that serves, with
    /// the lowest number.
    async fn running(&self, service: &str) -> Result<String, ByHandError> {
        let engine: &dyn ReadEngine = self.host.view.engine.as_ref();
        let stack = self.desired.stack.as_str();
        let all = engine.containers().await?.into_iter();
        let runs = all.filter(|one| one.running && is_of(one, stack, service));
        let first = runs.min_by_key(|one| {
            let beside = plan::is_incoming(&one.name) || plan::is_aside(&one.name);
            let number = one.labels.get(labels::NUMBER);
            let number: Option<u32> = number.and_then(|number| number.parse().ok());
            (beside, number, one.name.clone())
        });
        first
            .map(|one| one.id)
            .ok_or_else(|| ByHandError::NotRunning {
                stack: stack.to_owned(),
                service: service.to_owned(),
            })
    }

    /// Returns a shell that a container has.
    async fn shell_in(&self, id: &str, service: &str) -> Result<String, ByHandError> {
        let engine: &dyn ReadEngine = self.host.view.engine.as_ref();
        for shell in SHELLS {
            match engine.read_file(id, shell, 0).await {
                // It is there, and larger than nothing.
                Ok(Some(_)) | Err(EngineError::Refused { .. }) => return Ok(shell.to_owned()),
                Ok(None) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(ByHandError::Refused(format!(
            "the container of {service} has no shell; name a program that it has: moored shell \
             {service} -- PROGRAM"
        )))
    }
}

fn room_of<'a>((name, backup): (&'a BackupName, &'a Backup)) -> Option<(&'a BackupName, Room<'a>)> {
    let room = match &backup.source {
        Source::Postgres(postgres) => Room::Postgres(name, backup, postgres),
        Source::Sqlite(path) => Room::Sqlite(name, backup, path.clone()),
        Source::Files(_) | Source::Command(_) => return None,
    };
    Some((name, room))
}

fn is_of(one: &ContainerSummary, stack: &str, service: &str) -> bool {
    labels::service_in(&one.labels, stack) == Some(service)
}

fn listed(names: &[&str]) -> String {
    if names.is_empty() {
        "none".to_owned()
    } else {
        names.join(", ")
    }
}
