//! arsvent: staging and production on one host, behind the nginx of the host.

mod front;
mod promotion;
mod releases;
mod windows;

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use crate::e2e::stage::Stage;
use crate::support::arsvent::{Arsvent, FIRST, Side};
use crate::support::registry::Registry;
use crate::support::vehicles::{CANARY, as_pairs};

/// Its stacks on a stage, with a state repository and a registry.
struct Site {
    stage: Stage,
    system: Arsvent,
    /// The directories of the stacks that the host has.
    dirs: &'static [&'static str],
}

impl Site {
    /// Sets up both stacks and releases the first version of each.
    fn both(area: &str) -> Self {
        Self::new(area, &["production", "staging"])
    }

    /// Sets up production alone: what is looked at has nothing to do with the other.
    fn production(area: &str) -> Self {
        Self::new(area, &["production"])
    }

    fn new(area: &str, dirs: &'static [&'static str]) -> Self {
        let stage = Stage::new(&format!("a-{area}"));
        let mut system = Arsvent::new(&stage.sandbox, &stage.stack, stage.dir.path());
        stage.publish();
        system.own.registry = Some(Registry::start());
        let site = Self {
            stage,
            system,
            dirs,
        };
        site.follow("30s", "");
        site.system.images(FIRST, &["APP_SCHEMA=1"]);
        let files = site.system.files();
        site.stage.commit("the first", &as_pairs(&files));
        site.stage.reconcile();
        for side in site.sides() {
            side.serves(FIRST);
            assert_eq!(side.insert("first").status, 201);
        }
        site.quiet();
        site
    }

    fn sides(&self) -> Vec<&Side> {
        let sides = [&self.system.production, &self.system.staging];
        let ours = sides.into_iter().filter(|it| self.dirs.contains(&it.dir));
        ours.collect()
    }

    /// Writes the host's settings.
    fn follow(&self, poll: &str, more: &str) {
        let stacks = format!("stacks: [{}]\n{more}", self.dirs.join(", "));
        self.stage.follow(poll, &stacks);
    }

    /// Returns a file of the state repository as it is.
    fn file(&self, path: &str) -> String {
        fs::read_to_string(self.stage.path("state").join(path)).unwrap()
    }

    /// Commits and pushes a file with changes; all of them must have what is changed.
    #[track_caller]
    fn edit(&self, message: &str, path: &str, edits: &[(&str, &str)]) -> String {
        let mut text = self.file(path);
        for (from, to) in edits {
            assert!(text.contains(from), "no {from:?} in {path}");
            text = text.replace(from, to);
        }
        self.stage.commit(message, &[(path, &text)])
    }

    /// Commits and pushes another tag of a stack, with other changes to its manifest.
    #[track_caller]
    fn bump(&self, side: &Side, from: &str, to: &str, more: &[(&str, &str)]) -> String {
        let edits = [&[(from, to)], more].concat();
        self.edit(&format!("{}: {to}", side.dir), &side.manifest(), &edits)
    }

    /// Returns the texts of all rows of a stack's database, and the version of its schema.
    fn data(&self, side: &Side) -> (Vec<String>, u32) {
        let database = Connection::open(self.system.database(side)).unwrap();
        let mut rows = database
            .prepare("SELECT text FROM entries ORDER BY id")
            .unwrap();
        let rows = rows.query_map([], |row| row.get(0)).unwrap();
        let rows: Result<Vec<String>, _> = rows.collect();
        let schema = "SELECT version FROM schema_version";
        let schema = database.query_row(schema, [], |row| row.get(0));
        (rows.unwrap(), schema.unwrap())
    }

    /// Returns the files of a stack's backups, oldest first.
    fn backups(&self, side: &Side) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.system.backups(side)) else {
            return Vec::new();
        };
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let ours = |name: &String| Path::new(name).extension() == Some("db".as_ref());
        let mut names: Vec<String> = names.filter(ours).collect();
        names.sort();
        names
    }

    /// Returns one of the files that each release writes for scripts.
    fn release_file(&self, side: &Side, name: &str) -> String {
        let path = format!("moored/stacks/{}/{name}", side.stack);
        fs::read_to_string(self.stage.path(&path)).unwrap_or_default()
    }

    /// Does a pass that fails, and another one that holds; returns what the first said.
    #[track_caller]
    fn fails(&self, says: &[&str]) -> String {
        let ran = self.stage.moored(&["reconcile"]).exits(1).says(says);
        let attempts = self.stage.journal_rows();
        let held = self.stage.moored(&["reconcile"]).exits(75);
        assert_eq!(self.stage.journal_rows(), attempts, "tried once: {held:?}");
        self.stage.moored(&["status"]).exits(0).says(&["held"]);
        format!("{}{}", ran.out, ran.err)
    }

    /// Checks that nothing is left to do, for any stack, and nothing half-made.
    #[track_caller]
    fn quiet(&self) {
        let planned = self.stage.moored(&["plan"]).exits(0);
        planned.says(&["nothing to do"]);
        self.stage.moored(&["drift"]).exits(0);
        self.whole();
    }

    /// Checks that each service has one container and nothing is half-made, no page is on, and no
    /// secret was said.
    #[track_caller]
    fn whole(&self) {
        for side in self.sides() {
            let there = side.containers();
            let names: Vec<&str> = there.iter().filter_map(|it| it.split(' ').next()).collect();
            let wanted =
                ["backend", "frontend", "redis"].map(|it| format!("{}-{it}-1", side.stack));
            assert_eq!(names, wanted);
            assert!(there.iter().all(|it| it.ends_with(" running")), "{there:?}");
            assert!(!self.system.flag(side).exists(), "the page is on");
        }
        assert!(!self.stage.said().contains(CANARY), "a secret was said");
    }
}
