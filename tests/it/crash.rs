//! Kills, cut connections and failures at every point of a pass whose plan has every kind of
//! action. Whatever happens, the next passes end where an undisturbed one does, or everything is
//! as before and the revision is held.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use moored::desired::DesiredState;
use moored::journal::Outcome;
use moored::labels;
use moored::pass::Passed;
use moored::plan::Hold;
use moored::source::RepoPath;

use crate::support::bench::{Bench, Files, files_below};
use crate::support::by_hand::HostYaml;
use crate::support::fake_engine::Faults;
use crate::support::foreign::compose_up;

const BEFORE: &str = "
services:
  bumped: {image: app:v1, volumes: [/cache]}
  stopped: {image: app:v1}
  mounting: {image: app:v1, volumes: ['./conf:/conf']}
  named: {image: app:v1, networks: {front: {aliases: [one]}}}
  db: {image: db:v1}
  asking: {image: app:v1, depends_on: {db: {condition: service_healthy, restart: true}}}
  interrupted: {image: app:v1}
  gone: {image: app:v1}
networks: {front: }
";

const AFTER: &str = "
services:
  bumped: {image: reg.example/app:v4, volumes: [/cache]}
  stopped: {image: app:v1}
  mounting: {image: app:v1, volumes: ['./conf:/conf']}
  named: {image: app:v1, networks: {front: {aliases: [two]}}}
  db: {image: db:v2}
  asking: {image: app:v1, depends_on: {db: {condition: service_healthy, restart: true}}}
  interrupted: {image: app:v1}
  new: {image: app:v1, networks: [back], volumes: ['fresh:/fresh']}
  theirs: {image: app:v1, networks: [front]}
  taken: {image: app:v2, networks: [front]}
networks: {front: , back: }
volumes: {fresh: }
";

fn tree(compose: &str, conf: &[(&str, &str)]) -> Files {
    let mut files = Files::from([
        (
            "moored.yaml".to_owned(),
            b"stack: shop\nprune: true\n".to_vec(),
        ),
        ("compose.yaml".to_owned(), compose.into()),
    ]);
    for (path, text) in conf {
        files.insert((*path).to_owned(), text.as_bytes().to_vec());
    }
    files
}

fn before(bench: &Bench) -> DesiredState {
    let conf = [("conf/a", "one\n"), ("conf/gone", "one\n")];
    bench.load(&tree(BEFORE, &conf), '1').unwrap()
}

fn after(bench: &Bench) -> DesiredState {
    let conf = [("conf/a", "two\n"), ("conf/new", "two\n")];
    bench.load(&tree(AFTER, &conf), '2').unwrap()
}

/// What Docker Compose runs beside `BEFORE`: one service as `AFTER` says, and one that differs
/// and that a person has adopted.
fn compose_up_and_adopt(bench: &Bench) {
    let taken = BEFORE.replace(
        "  gone:",
        "  taken: {image: app:v1, networks: [front]}\n  gone:",
    );
    let conf = [("conf/a", "one\n"), ("conf/gone", "one\n")];
    let taken = bench.load(&tree(&taken, &conf), '3').unwrap();
    compose_up(bench, &taken, &["taken"]);
    bench.adopt(&taken);
    compose_up(bench, &after(bench), &["theirs"]);
}

/// A host at `BEFORE`, with work for every kind of action.
fn host() -> Bench {
    let bench = Bench::new();
    let stock: HostYaml = serde_yaml::from_str("registry: {'reg.example/app:v4': {}}").unwrap();
    stock.stock(&bench);
    let passed = bench.pass(&before(&bench)).unwrap();
    assert_eq!(passed.outcome, Some(Outcome::Succeeded));
    compose_up_and_adopt(&bench);
    let mut world = bench.engine.world();
    world.stop("shop-stopped-1");
    world.stop("shop-interrupted-1");
    world
        .rename("shop-interrupted-1", "shop-interrupted-1.old")
        .unwrap();
    world.calls.clear();
    drop(world);
    bench
}

/// Everything that must be the same however one got there.
fn end_state(bench: &Bench) -> String {
    let world = bench.engine.world();
    let mut containers = BTreeMap::new();
    for kept in world.containers.values() {
        let one = &kept.shown;
        let spec = &one.spec;
        let line = format!(
            "{} {} {:?} {:?}",
            spec.image, one.state, spec.networks, one.image_id
        );
        containers.insert(one.name.clone(), line);
    }
    let mut text = String::new();
    for (name, line) in containers {
        writeln!(text, "{name}: {line}").unwrap();
    }
    for (path, content) in files_below(&bench.project()) {
        writeln!(text, "{path}: {}", String::from_utf8_lossy(&content)).unwrap();
    }
    writeln!(text, "networks {:?}", world.networks.keys()).unwrap();
    writeln!(text, "volumes {}", world.volumes.len()).unwrap();
    text
}

/// Passes until there is nothing to do; at most three.
fn settle(bench: &Bench, desired: &DesiredState, case: &str) -> Vec<Passed> {
    bench.engine.faults(Faults::none());
    bench.clock.kill_in(0);
    let mut done = Vec::new();
    for _ in 0..3 {
        let passed = bench.pass(desired).unwrap();
        let empty = passed.looked.plan.is_empty();
        done.push(passed);
        if empty {
            return done;
        }
    }
    panic!("{case}: still at it:\n{}", done[2].looked.plan);
}

/// Checks the invariants of a host where everything is settled.
fn check(bench: &Bench, case: &str, volumes_before: &[String]) {
    let history = bench.record();
    let stack = "shop".to_owned().try_into().unwrap();
    let world = bench.engine.world();
    let adopted = history.adopted(&stack).unwrap();
    let theirs = world.find("shop-theirs-1").unwrap();
    assert!(
        !world
            .calls
            .iter()
            .any(|call| call.line.ends_with("shop-theirs-1")),
        "{case}: {} is touched",
        theirs.shown.id
    );
    for call in &world.calls {
        let ours = |one: &String| one == history.instance() || adopted.contains(one);
        let ours = call.instances.iter().all(ours);
        assert!(ours, "{case}: touches what is not ours: {}", call.line);
    }
    for volume in volumes_before {
        assert!(
            world.volumes.contains_key(volume),
            "{case}: {volume} is gone"
        );
    }
    let mut of_service: BTreeMap<&str, usize> = BTreeMap::new();
    for kept in world.containers.values() {
        let name = &kept.shown.name;
        assert!(
            !name.contains(".old") && !name.contains(".new"),
            "{case}: {name} is left"
        );
        *of_service
            .entry(&kept.shown.spec.labels[labels::SERVICE])
            .or_default() += 1;
    }
    assert!(
        of_service.values().all(|n| *n == 1),
        "{case}: {of_service:?}"
    );
    for attempt in history.attempts(&stack, 100).unwrap() {
        assert!(
            attempt.status.outcome.is_some(),
            "{case}: an attempt is open"
        );
    }
    let left: Vec<String> = files_below(&bench.project())
        .into_keys()
        .filter(|path| path.contains(".moored-"))
        .collect();
    assert!(
        left.is_empty(),
        "{case}: temporary files are left: {left:?}"
    );
    let recorded = history.last_release(&stack).unwrap().unwrap();
    for (path, digest) in &recorded.files {
        let path: &RepoPath = path;
        let content = std::fs::read(bench.project().join(path.as_str())).unwrap();
        assert_eq!(
            &moored::files::digest(&content, moored::files::Mode::Plain),
            digest,
            "{case}: {path}"
        );
    }
}

fn volumes(bench: &Bench) -> Vec<String> {
    bench.engine.world().volumes.keys().cloned().collect()
}

/// An undisturbed pass: the end state, and how many calls and looks at the clock it takes.
fn undisturbed() -> (String, usize, i64) {
    let bench = host();
    let desired = after(&bench);
    let plan = bench.look(&desired).plan;
    let verbs: BTreeSet<&str> = plan.steps.iter().map(|step| step.action.verb()).collect();
    let every = "adopt connect create disconnect place pull ready record remove rename replace restart start";
    assert_eq!(
        verbs,
        every.split(' ').collect(),
        "every kind but waits for jobs:\n{plan}"
    );
    let began = bench.clock.seconds();
    let passed = bench.pass(&desired).unwrap();
    assert_eq!(passed.outcome, Some(Outcome::Succeeded));
    let ticks = bench.clock.seconds() - began;
    let calls = bench.engine.world().calls.len();
    settle(&bench, &desired, "undisturbed");
    (end_state(&bench), calls, ticks)
}

/// Disturbs a pass, lets the next ones settle, and compares with the undisturbed end.
fn ends_as_undisturbed(case: &str, expected: &str, disturb: impl Fn(&Bench)) {
    let disturbed = ends_the_same(case, expected, disturb);
    assert!(disturbed, "{case}: not disturbed");
}

/// The same; returns whether the pass was disturbed at all.
fn ends_the_same(case: &str, expected: &str, disturb: impl Fn(&Bench)) -> bool {
    let bench = host();
    let (desired, volumes) = (after(&bench), volumes(&bench));
    disturb(&bench);
    let passed = bench.pass_or_die(&desired);
    // A killed process says nothing; one that lost the engine says that it was interrupted.
    let outcome = passed.map(|passed| passed.map(|passed| passed.outcome));
    let disturbed = matches!(
        outcome,
        None | Some(Err(_) | Ok(Some(Outcome::Postponed { .. })))
    );
    settle(&bench, &desired, case);
    check(&bench, case, &volumes);
    assert_eq!(end_state(&bench), expected, "{case}");
    disturbed
}

#[test]
fn killed_between_any_two_journal_entries() {
    let (expected, _, ticks) = undisturbed();
    assert!(ticks > 30, "{ticks}");
    for n in 1..=ticks {
        let case = format!("killed at look {n} at the clock");
        ends_as_undisturbed(&case, &expected, |bench| bench.clock.kill_in(n));
    }
}

#[test]
fn killed_before_and_after_every_call() {
    let (expected, calls, _) = undisturbed();
    for n in 1..=calls {
        let case = format!("killed before call {n}");
        ends_as_undisturbed(&case, &expected, |bench| {
            bench.engine.faults(Faults::kill_before(n));
        });
        let case = format!("killed after call {n}");
        ends_as_undisturbed(&case, &expected, |bench| {
            bench.engine.faults(Faults::kill_after(n));
        });
    }
}

#[test]
fn the_engine_goes_away_after_every_call() {
    let (expected, calls, _) = undisturbed();
    for n in 0..calls {
        let case = format!("cut after call {n}");
        ends_as_undisturbed(&case, &expected, |bench| {
            bench.engine.faults(Faults::die_after_call(n));
        });
    }
}

#[test]
fn the_answer_to_every_call_is_lost() {
    let (expected, calls, _) = undisturbed();
    for n in 1..=calls {
        let case = format!("answer {n} lost");
        ends_as_undisturbed(&case, &expected, |bench| {
            bench.engine.faults(Faults::lose_answer(n));
        });
    }
}

#[test]
fn killed_twice() {
    let (expected, calls, _) = undisturbed();
    for n in (1..=calls).step_by(3) {
        for again in [1, 2, 4, 7] {
            let case = format!("killed after call {n}, then after {again}");
            // The second time the work may be over before.
            ends_the_same(&case, &expected, |bench| {
                bench.engine.faults(Faults::kill_after(n));
                drop(bench.pass_or_die(&after(bench)));
                bench.engine.faults(Faults::kill_after(again));
            });
        }
    }
}

/// Names with image and state: what serves.
fn serving(bench: &Bench) -> BTreeMap<String, String> {
    let world = bench.engine.world();
    let line = |kept: &moored::engine::model::Container| {
        (
            kept.name.clone(),
            format!("{} {}", kept.spec.image, kept.state),
        )
    };
    world
        .containers
        .values()
        .map(|kept| line(&kept.shown))
        .collect()
}

#[test]
fn every_call_fails_once() {
    let (expected, calls, _) = undisturbed();
    for n in 1..=calls {
        let case = format!("call {n} fails");
        let bench = host();
        let (desired, volumes) = (after(&bench), volumes(&bench));
        bench.engine.faults(Faults::fail_call(n));
        let passed = bench.pass(&desired).unwrap();
        bench.engine.faults(Faults::none());
        match passed.outcome.unwrap() {
            Outcome::RolledBack { .. } | Outcome::Failed { .. } => {
                old_release_serves(&bench, &case);
                let held = bench.pass(&desired).unwrap();
                assert!(held.outcome.is_none(), "{case}: tried again");
                let holds = &held.looked.plan.holds;
                let failed = |hold: &Hold| matches!(hold, Hold::FailedRevision { .. });
                assert!(holds.iter().any(failed), "{case}: not held");
                // The way out: the commit before, and a person who asks for another try.
                settle(&bench, &before(&bench), &format!("{case}, reverted"));
                old_release_serves(&bench, &format!("{case}, reverted"));
                check(&bench, &case, &volumes);
                let stack = desired.stack.clone();
                let now = jiff::Timestamp::from_second(bench.clock.seconds()).unwrap();
                bench.record().forgive(&stack, now).unwrap();
            }
            Outcome::Unsettled { .. } => {}
            other @ (Outcome::Succeeded
            | Outcome::Held { .. }
            | Outcome::Stuck { .. }
            | Outcome::Postponed { .. }
            | Outcome::Stopped
            | Outcome::Interrupted) => panic!("{case}: {other:?}"),
        }
        settle(&bench, &desired, &case);
        check(&bench, &case, &volumes);
        assert_eq!(end_state(&bench), expected, "{case}");
    }
}

/// What ran before runs under its name, from its image; files are as they were.
fn old_release_serves(bench: &Bench, case: &str) {
    let serving = serving(bench);
    for (name, image) in [
        ("shop-bumped-1", "app:v1"),
        ("shop-db-1", "db:v1"),
        ("shop-mounting-1", "app:v1"),
        ("shop-named-1", "app:v1"),
        ("shop-asking-1", "app:v1"),
    ] {
        let line = serving.get(name).map(String::as_str);
        let wanted = format!("{image} running");
        assert_eq!(line, Some(wanted.as_str()), "{case}: {name}");
    }
    let world = bench.engine.world();
    let named = &world.find("shop-named-1").unwrap().shown.spec.networks;
    let aliases = named
        .get("shop_front")
        .map(|place| place.aliases.contains("one"));
    assert_eq!(aliases, Some(true), "{case}: its network");
    drop(world);
    let left = serving.keys().find(|name| moored::plan::is_incoming(name));
    assert_eq!(left, None, "{case}");
    let conf = std::fs::read_to_string(bench.project().join("conf/a")).unwrap();
    assert_eq!(conf, "one\n", "{case}");
}
