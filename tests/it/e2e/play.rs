//! A play of one of the two systems: its deploys, what visitors and the database say, and what
//! must be true after whatever happened.

use std::fs;
use std::path::{Path, PathBuf};

use super::stage::{Ran, Stage};
use crate::support::docker_cli::{docker, eventually};
use crate::support::registry::Registry;
use crate::support::vehicles::{CANARY, System, Vehicle, as_pairs};

/// A system on a stage.
pub(crate) struct Play {
    pub(crate) stage: Stage,
    pub(crate) system: Vehicle,
}

/// What is replaced by what in a manifest or a Compose file.
pub(crate) type Edit<'a> = (&'a str, &'a str);

impl Play {
    /// Sets up moltfund.
    pub(crate) fn moltfund(area: &str) -> Self {
        let stage = Stage::new(area);
        let system = Vehicle::moltfund(&stage.sandbox, &stage.stack, stage.dir.path());
        Self { stage, system }
    }

    /// Sets up v-edfinance.
    pub(crate) fn v_edfinance(area: &str) -> Self {
        let stage = Stage::new(area);
        let system = Vehicle::v_edfinance(&stage.sandbox, &stage.stack, stage.dir.path());
        Self { stage, system }
    }

    /// Makes the images of a version; `settings` are those of the API.
    pub(crate) fn images(&self, tag: &str, settings: &[&str]) {
        self.system.image("api", tag, settings);
        if self.system.system == System::Moltfund {
            self.system.image("web", tag, &[]);
        }
    }

    /// Serves the state repository over HTTP, and the images that are made from now on at a
    /// registry.
    pub(crate) fn published(mut self) -> Self {
        self.stage.publish();
        self.system.own.registry = Some(Registry::start());
        self
    }

    /// Commits a version, with changes to the manifest or the Compose file; returns the commit.
    pub(crate) fn commit(&self, tag: &str, edits: &[Edit<'_>]) -> String {
        self.commit_as(tag, tag, edits)
    }

    /// Commits a version with a message of its own.
    pub(crate) fn commit_as(&self, message: &str, tag: &str, edits: &[Edit<'_>]) -> String {
        let mut files = self.system.files();
        files.retain(|file| file.0 != "moored.yaml");
        files.push(("moored.yaml".to_owned(), self.system.manifest(tag)));
        for (from, to) in edits {
            let mut edited = false;
            for (path, text) in &mut files {
                if ["moored.yaml", "compose.yaml"].contains(&path.as_str()) && text.contains(from) {
                    *text = text.replace(from, to);
                    edited = true;
                }
            }
            assert!(edited, "nothing has {from:?}");
        }
        self.stage.commit(message, &as_pairs(&files))
    }

    /// Makes, commits and deploys the first version, with one row in its data.
    pub(crate) fn first(&self, tag: &str, edits: &[Edit<'_>]) {
        self.images(tag, &["APP_SCHEMA=1"]);
        self.commit(tag, edits);
        self.stage.reconcile();
        self.serves(tag);
        eventually("the first row is stored", || {
            let stored = self.system.insert("first");
            stored.is_some_and(|answer| answer.status == 201)
        });
    }

    /// Does a pass.
    pub(crate) fn pass(&self) -> Ran {
        self.stage.moored(&["reconcile"])
    }

    /// Does a pass that fails, and another one that holds; returns the first.
    #[track_caller]
    pub(crate) fn fails(&self, says: &[&str]) -> Ran {
        let ran = self.pass().exits(1).says(says);
        let attempts = self.stage.journal_rows();
        self.pass().exits(75);
        assert_eq!(self.stage.journal_rows(), attempts, "tried once");
        self.stage.moored(&["status"]);
        ran
    }

    /// Runs the restore command that a text tells people to run; returns it.
    #[track_caller]
    pub(crate) fn restores_as_told(&self, told: &Ran) -> Ran {
        let text = format!("{}{}", told.out, told.err);
        let start = text.find("moored backup restore").expect(&text);
        let command = text[start..].lines().next().unwrap();
        let command = command.split([';', ')']).next().unwrap();
        let words: Vec<&str> = command.split_whitespace().skip(1).collect();
        self.stage.moored(&words)
    }

    /// Waits until visitors get this version.
    #[track_caller]
    pub(crate) fn serves(&self, tag: &str) {
        eventually(&format!("{tag} serves"), || {
            let health = self.system.get("/api/health");
            health.is_some_and(|it| {
                it.status == 200 && it.json().is_some_and(|json| json["version"] == tag)
            })
        });
    }

    /// Returns the files of a backup, oldest first.
    pub(crate) fn backups(&self) -> Vec<String> {
        let dir = self.backup_dir();
        let Ok(entries) = fs::read_dir(dir) else {
            return Vec::new();
        };
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let end = match self.system.system {
            System::Moltfund => ".db",
            System::VEdfinance => ".dump",
        };
        let mut names: Vec<String> = names.filter(|name| name.ends_with(end)).collect();
        names.sort();
        names
    }

    /// Returns the directory of the database's backups.
    pub(crate) fn backup_dir(&self) -> PathBuf {
        let name = match self.system.system {
            System::Moltfund => "backups/database",
            System::VEdfinance => "backups/postgres",
        };
        self.system.root.join(name)
    }

    /// Checks that there is nothing left to do: plan and drift are empty, one container a service
    /// and nothing half-made, no page, nothing unfinished.
    #[track_caller]
    pub(crate) fn quiet(&self) {
        self.stage
            .moored(&["plan"])
            .exits(0)
            .says(&["nothing to do"]);
        self.stage.moored(&["drift"]).exits(0);
        self.whole();
        assert!(!self.system.flag().exists(), "the page is on");
    }

    /// Checks that each service has one container and nothing else is there, nothing is left
    /// half-made, and no secret got out.
    #[track_caller]
    pub(crate) fn whole(&self) {
        let services: &[&str] = match self.system.system {
            System::Moltfund => &["api", "web", "nginx-proxy"],
            System::VEdfinance => &["api", "postgres"],
        };
        let mut names: Vec<String> = services
            .iter()
            .map(|it| self.system.container(it))
            .collect();
        names.sort();
        assert_eq!(self.stage.names(), names);
        let image_of = |service: &str| {
            let name = self.system.container(service);
            docker(&["inspect", "--format", "{{.State.Status}}", &name])
        };
        for service in services {
            assert_eq!(image_of(service), "running", "{service}");
        }
        self.tidy();
        self.secret();
    }

    /// Checks that no unfinished file is left.
    #[track_caller]
    pub(crate) fn tidy(&self) {
        let mut left = below(&self.system.root);
        left.retain(|path| path.to_string_lossy().ends_with(".partial"));
        assert!(left.is_empty(), "{left:?}");
    }

    /// Checks that no secret is in what the program said or keeps.
    #[track_caller]
    pub(crate) fn secret(&self) {
        let said = self.stage.said();
        assert!(!said.contains(CANARY), "a secret was said:\n{said}");
        for path in below(&self.stage.path("moored")) {
            let bytes = fs::read(&path).unwrap_or_default();
            let found = bytes
                .windows(CANARY.len())
                .any(|it| it == CANARY.as_bytes());
            assert!(!found, "a secret is in {}", path.display());
        }
    }
}

fn below(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let Ok(entries) = fs::read_dir(dir) else {
        return found;
    };
    for entry in entries.flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => found.extend(below(&entry.path())),
            _ => found.push(entry.path()),
        }
    }
    found
}
