//! Runs every directory of `tests/scenarios` as one test. A directory is an obligation:
//!
//! | entry | what it is |
//! |---|---|
//! | `state/` | the files of the state repository at the commit that is planned |
//! | `before/` | the files at the commit that was released before; left out = a new host |
//! | `between/` | the files that passes asked for by `host.yaml` see; left out = `state/` |
//! | `host.yaml` | what else is on the host, and what happened there by hand |
//! | `host/` | files of the host: `host/etc/web.env` is `/etc/web.env` |
//! | `plan.snap` | the plan as it is printed |
//! | `drift.snap` | the drift report |
//! | `after.snap` | how the pass ended, and what is on the host then |
//! | `error.snap` | instead of these: why the state is refused |
//! | `elsewhere.snap` | the plan away from the host, against a snapshot; only where it is another one |
//!
//! Every scenario also proves that the same input gives the same bytes, that planning again after
//! the pass finds nothing to do, that nothing of others was touched, that no volume went away,
//! and that the canary in the host's files is in no output. Snapshots are updated with
//! `cargo insta review`.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use moored::check::Elsewhere;
use moored::desired::DesiredState;
use moored::journal::Outcome;
use moored::maintenance;
use moored::pass::{ByStack, Looked, Passed};
use moored::plan::{Plan, Weight};
use moored::report::{DriftReport, Report as _};
use moored::snapshot::{self, HIDDEN, Snapshot};

use crate::support::bench::{Bench, files_below};
use crate::support::by_hand::{self, HostYaml};
use crate::support::fake_engine::{Faults, World};

/// A value that stands in files of the host; whatever it is in shows secrets.
const CANARY: &str = "canary-5ecret";

#[test]
fn every_scenario_is_as_its_name_says() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios");
    let mut dirs: Vec<PathBuf> = std::fs::read_dir(root)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    dirs.sort();
    assert!(dirs.len() >= 30, "where have they gone?");
    let failed: Vec<&PathBuf> = dirs
        .iter()
        .filter(|dir| catch_unwind(AssertUnwindSafe(|| Scenario::new(dir).run())).is_err())
        .collect();
    assert!(failed.is_empty(), "these fail, see above: {failed:#?}");
}

struct Scenario<'a> {
    dir: &'a Path,
    host: HostYaml,
    bench: Bench,
}

impl<'a> Scenario<'a> {
    fn new(dir: &'a Path) -> Self {
        let mut bench = Bench::new();
        for (path, content) in files_below(&dir.join("host")) {
            bench.host.0.insert(Path::new("/").join(path), content);
        }
        let text = std::fs::read_to_string(dir.join("host.yaml")).unwrap_or_default();
        let host: HostYaml = if text.is_empty() {
            HostYaml::default()
        } else {
            serde_yaml::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", dir.display()))
        };
        host.stock(&bench);
        if let Some(permits) = &host.policy {
            let roots = std::mem::take(&mut bench.permits.bind_roots);
            bench.permits = permits.clone();
            bench.permits.bind_roots.extend(roots);
        }
        Self { dir, host, bench }
    }

    fn run(mut self) {
        for line in self.host.before.clone() {
            by_hand::apply(&mut self.bench, &line, &|_| panic!("no pass comes first"));
        }
        let before = files_below(&self.dir.join("before"));
        if !before.is_empty() {
            let before = self.bench.load(&before, '1').unwrap();
            let passed = self.bench.pass(&before).unwrap();
            let outcome = passed.outcome;
            assert_eq!(outcome, Some(Outcome::Succeeded), "{}", passed.looked.plan);
            self.bench.clock.advance(60);
        }
        let state = files_below(&self.dir.join("state"));
        let gate = self.host.gate.clone();
        let load = |bench: &Bench| {
            let desired = bench.load(&state, '2');
            desired.map(|desired| gate.before(desired, bench.clock.seconds()))
        };
        let between = files_below(&self.dir.join("between"));
        for line in self.host.by_hand.clone() {
            by_hand::apply(&mut self.bench, &line, &|bench| {
                if between.is_empty() {
                    load(bench)
                } else {
                    bench.load(&between, '3')
                }
            });
        }
        match load(&self.bench) {
            Ok(desired) => self.plan_and_pass(&desired),
            Err(error) => self.snapshot("error", &error.to_string()),
        }
    }

    fn plan_and_pass(&self, desired: &DesiredState) {
        let looked = self.bench.look(desired);
        let again = self.bench.look(desired);
        assert_eq!(bytes(&looked.plan), bytes(&again.plan), "the same input");
        self.snapshot("plan", &looked.plan.to_string());
        let again = ByStack::from([("shop".to_owned(), Ok(again))]);
        self.snapshot("drift", &DriftReport::new(&again).text());

        let volumes = self.volumes();
        let adopted = self.bench.record().adopted(&desired.stack).unwrap();
        let mut world = self.bench.engine.world();
        world.calls.clear();
        world.gaps.clear();
        drop(world);
        let fails = self.host.fails.as_deref().map(Faults::fail_on);
        self.bench.engine.faults(fails.unwrap_or_default());
        let passed = self.bench.pass(desired).unwrap();
        self.bench.engine.faults(Faults::none());
        self.snapshot("after", &self.after(&passed));
        assert!(volumes.iter().all(|name| self.volumes().contains(name)));
        let instance = self.bench.record().instance().to_owned();
        for call in &self.bench.engine.world().calls {
            let ours = |one: &String| *one == instance || adopted.contains(one);
            let ours = call.instances.iter().all(ours);
            // A proxy of somebody else is told to read its files, and no more.
            let ours = ours || call.line.starts_with("exec nginx in ");
            assert!(ours, "touches a container that is not ours: {}", call.line);
        }
        let alone = self.bench.engine.world().left_alone();
        assert_eq!(
            alone,
            Vec::<String>::new(),
            "who joins another is where it is"
        );
        self.nothing_left_to_do(desired, &passed);
        self.no_canary(&[&looked, &self.bench.look(desired)]);
        self.plan_elsewhere(&again, &looked.plan.to_string());
    }

    /// The plan against a snapshot, without the files of the host, is the same or what
    /// `elsewhere.snap` says.
    fn plan_elsewhere(&self, looked: &ByStack<Looked>, on_host: &str) {
        let state = files_below(&self.dir.join("state"));
        let taken = snapshot::take(&self.bench.view(), looked);
        let json = serde_json::to_string(&taken).unwrap();
        assert!(!json.contains(CANARY), "the canary is in:\n{json}");
        let taken = Snapshot::parse(json.as_bytes()).unwrap();
        let host = Elsewhere::new(None, Some(HIDDEN)).unwrap();
        let plan = match self.bench.load_with(&state, '2', &host) {
            Ok(desired) => {
                let sees_all = host.into_unseen().is_empty();
                let kept = taken.stacks.values().next().unwrap();
                let looked = snapshot::look_at(&taken, kept, &desired, sees_all).unwrap();
                looked.plan.to_string()
            }
            Err(found) => format!("can't be loaded elsewhere: {found}"),
        };
        let differs = self.dir.join("elsewhere.snap");
        if plan == on_host {
            assert!(!differs.exists(), "{} is the same", differs.display());
        } else {
            self.snapshot("elsewhere", &plan);
        }
    }

    /// Planning again after the pass is empty, unless something else is what the scenario shows.
    fn nothing_left_to_do(&self, desired: &DesiredState, passed: &Passed) {
        let second = self.bench.look(desired).plan;
        let later = matches!(passed.outcome, Some(Outcome::Postponed { .. }));
        let empty = second.is_empty() || later;
        assert!(empty, "the second plan is not empty:\n{second}");
        let release = self.bench.record().last_release(&desired.stack).unwrap();
        let recorded = release
            .and_then(|release| release.proxy)
            .map(|proxy| proxy.marker);
        let world = self.bench.engine.world();
        if passed.outcome == Some(Outcome::Succeeded) && recorded.is_some() {
            assert_eq!(
                world.marker(),
                recorded.as_deref(),
                "what is loaded and recorded"
            );
        }
        drop(world);
        let held = passed.outcome.is_none() && !passed.looked.plan.holds.is_empty();
        let held = held && passed.looked.plan.weight() > Some(Weight::Notice);
        let seen = match (&passed.outcome, held) {
            (None, true) => "held",
            (None, false) => "nothing to do",
            (Some(outcome), _) => outcome.word(),
        };
        assert_eq!(seen, self.host.expect, "how the pass ends");
    }

    fn no_canary(&self, looks: &[&Looked]) {
        let mut outputs = self.bench.told.lock().unwrap().clone();
        for looked in looks {
            outputs.push(looked.plan.to_string());
            outputs.push(serde_json::to_string(&looked.plan).unwrap());
            outputs.push(serde_json::to_string(&looked.plan.differences).unwrap());
        }
        for name in ["moored.db", "moored.db-wal"] {
            let bytes = std::fs::read(self.bench.state_dir().join(name)).unwrap_or_default();
            outputs.push(String::from_utf8_lossy(&bytes).into_owned());
        }
        for output in outputs {
            assert!(!output.contains(CANARY), "the canary is in:\n{output}");
        }
    }

    fn volumes(&self) -> Vec<String> {
        self.bench.engine.world().volumes.keys().cloned().collect()
    }

    fn after(&self, passed: &Passed) -> String {
        let outcome = passed.outcome.as_ref();
        let mut text = outcome.map_or("no attempt", Outcome::word).to_owned();
        if let Some(error) = outcome.and_then(Outcome::error) {
            text = format!("{text}: {error}");
        }
        if let Some(Outcome::Held { way_out, .. }) = outcome {
            text = format!("{text}\nway out: {way_out}");
        }
        let world = self.bench.engine.world();
        let mut lines: Vec<String> = world
            .containers
            .values()
            .map(|kept| {
                let one = &kept.shown;
                format!("{}  {}  {}", one.name, one.spec.image, one.state)
            })
            .collect();
        lines.sort();
        lines.extend(self.guarded(&world));
        lines.extend(world.fronts());
        lines.extend(world.gaps.iter().cloned());
        for call in &world.calls {
            lines.push(format!("  {}", call.line));
        }
        format!("{text}\n{}\n", lines.join("\n"))
    }

    /// Says what visitors and data see, where the scenario has a page and data.
    fn guarded(&self, world: &World) -> Vec<String> {
        let mut lines = Vec::new();
        let flag = self.bench.place("site/ON");
        let instance = self.bench.record().instance().to_owned();
        if let Some(page) = maintenance::observe(&flag, &instance).unwrap() {
            lines.push(format!(
                "maintenance page, by {}: {}",
                page.owner, page.reason
            ));
        }
        if let Some(ledger) = &world.ledger {
            assert_eq!(ledger.wrongs, Vec::<String>::new());
            assert_eq!(ledger.lost(), Vec::<i64>::new(), "rows are lost");
            let version = match ledger.version() {
                0 => "half migrated".to_owned(),
                version => format!("of version {version}"),
            };
            lines.push(format!("data {version}"));
        }
        lines
    }

    fn snapshot(&self, name: &str, text: &str) {
        let text = self.bench.stable(text);
        let mut settings = insta::Settings::clone_current();
        settings.set_snapshot_path(self.dir);
        settings.set_prepend_module_to_snapshot(false);
        settings.set_omit_expression(true);
        settings.bind(|| insta::assert_snapshot!(name, text));
    }
}

fn bytes(plan: &Plan) -> String {
    format!("{plan}\n{}", serde_json::to_string(plan).unwrap())
}
