//! Kills, cut connections and failures at every point of a pass that makes a network again, with
//! services that run commands after their start and before their stop, and that have files copied
//! in. Whatever happens, the next passes end where an undisturbed one does, or everything is as
//! before and the revision is held; and after its last start each service has had its commands.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use moored::desired::DesiredState;
use moored::engine::model::CopiedFile;
use moored::journal::Outcome;
use moored::plan::Hold;
use moored::secret::Sensitive;

use crate::support::bench::{Bench, Files};
use crate::support::by_hand::HostYaml;
use crate::support::fake_engine::Faults;
use crate::support::hooks::hook;

const BEFORE: &str = "
services:
  db: {image: db:v1, networks: [back]}
  api: {image: app:v1, networks: {back: {aliases: [api-one]}}, depends_on: {db: {condition: service_healthy}}}
  web: {image: app:v1, networks: [back, front], depends_on: [api]}
  apart: {image: app:v1, networks: [front]}
networks: {front: , back: }
";

fn load(bench: &Bench, digit: char) -> DesiredState {
    let old = digit == '1';
    let compose = if old {
        BEFORE.to_owned()
    } else {
        BEFORE
            .replace("back: }", "back: {internal: true}}")
            .replace("web: {image: app:v1", "web: {image: app:v2")
    };
    let files = Files::from([
        ("moored.yaml".to_owned(), b"stack: shop\n".to_vec()),
        ("compose.yaml".to_owned(), compose.into()),
    ]);
    let mut desired = bench.load(&files, digit).unwrap();
    for (name, service) in &mut desired.services {
        match name.as_str() {
            "db" => {
                service.post_start = vec![hook(&["warm"])];
                service.pre_stop = vec![hook(&["flush"])];
            }
            "web" => service.post_start = vec![hook(&["one"]), hook(&["two"])],
            // Only what runs after its start changes.
            "apart" if old => service.post_start = vec![hook(&["first"])],
            "apart" => service.post_start = vec![hook(&["second"])],
            _ => {
                let content = if old { "old" } else { "new" };
                let file = CopiedFile {
                    content: Sensitive::new(content),
                    uid: 0,
                    gid: 0,
                    mode: 0o444,
                };
                service.spec.copied.insert("/run/settings".to_owned(), file);
            }
        }
    }
    desired
}

/// What goes wrong at the `n`th call.
type Fault = fn(usize) -> Faults;

fn host() -> Bench {
    let bench = Bench::new();
    let stock: HostYaml = serde_yaml::from_str("{}").unwrap();
    stock.stock(&bench);
    let passed = bench.pass(&load(&bench, '1')).unwrap();
    assert_eq!(passed.outcome, Some(Outcome::Succeeded));
    bench.engine.world().calls.clear();
    bench
}

/// Everything that must be the same however one got there.
fn end_state(bench: &Bench) -> String {
    let world = bench.engine.world();
    let mut lines = BTreeMap::new();
    for kept in world.containers.values() {
        let one = &kept.shown;
        let file = ("/run/settings".to_owned(), one.id.clone());
        let copied = world.files_in.get(&(file.1, file.0));
        let line = format!(
            "{} {} {:?} {:?}",
            one.spec.image,
            one.state,
            one.spec.networks,
            copied.map(|content| String::from_utf8_lossy(content).into_owned())
        );
        lines.insert(one.name.clone(), line);
        for (name, id) in &kept.joined {
            assert_eq!(*id, world.networks[name].id, "{}: {name}", one.name);
        }
    }
    let mut text = String::new();
    for (name, line) in lines {
        writeln!(text, "{name}: {line}").unwrap();
    }
    for network in world.networks.values() {
        writeln!(text, "{} internal {}", network.name, network.internal).unwrap();
    }
    text
}

/// Checks that each service has had its commands after its last start.
fn hooks_ran(bench: &Bench, case: &str, apart: &str) {
    let world = bench.engine.world();
    let calls: Vec<&str> = world.calls.iter().map(|call| call.line.as_str()).collect();
    for (container, hooks) in [
        ("shop-db-1", vec!["warm"]),
        ("shop-web-1", vec!["one", "two"]),
        ("shop-apart-1", vec![apart]),
    ] {
        let starts = ["start_container", "restart_container"];
        let starts = starts.map(|verb| format!("{verb} {container}"));
        let last = calls
            .iter()
            .rposition(|call| starts.contains(&(*call).to_owned()));
        // One that was not touched at all had them before.
        let Some(last) = last else { continue };
        for hook in hooks {
            let wanted = format!("exec {hook} in {container}");
            let ran = calls[last..].contains(&wanted.as_str());
            assert!(ran, "{case}: no {wanted} after its start:\n{calls:#?}");
        }
    }
}

/// Passes until there is nothing to do; at most three.
fn settle(bench: &Bench, desired: &DesiredState, case: &str) {
    bench.engine.faults(Faults::none());
    bench.clock.kill_in(0);
    for _ in 0..3 {
        let passed = bench.pass(desired).unwrap();
        if passed.looked.plan.is_empty() {
            return;
        }
    }
    let plan = bench.look(desired).plan;
    assert!(plan.is_empty(), "{case}: still at it:\n{plan}");
}

/// An undisturbed pass: the end, and how many calls and looks at the clock it takes.
fn undisturbed() -> (String, usize, i64) {
    let bench = host();
    let began = bench.clock.seconds();
    let desired = load(&bench, '2');
    let passed = bench.pass(&desired).unwrap();
    assert_eq!(passed.outcome, Some(Outcome::Succeeded));
    let ticks = bench.clock.seconds() - began;
    hooks_ran(&bench, "undisturbed", "second");
    let calls = bench.engine.world().calls.len();
    settle(&bench, &desired, "undisturbed");
    assert_eq!(bench.engine.world().calls.len(), calls, "nothing is left");
    (end_state(&bench), calls, ticks)
}

fn ends_as_undisturbed(case: &str, expected: &str, disturb: impl Fn(&Bench)) {
    let bench = host();
    let desired = load(&bench, '2');
    disturb(&bench);
    let passed = bench.pass_or_die(&desired);
    let outcome = passed.map(|passed| passed.map(|passed| passed.outcome));
    let disturbed = matches!(
        outcome,
        None | Some(Err(_) | Ok(Some(Outcome::Postponed { .. })))
    );
    assert!(disturbed, "{case}: not disturbed");
    settle(&bench, &desired, case);
    assert_eq!(end_state(&bench), expected, "{case}");
    hooks_ran(&bench, case, "second");
}

#[test]
fn killed_between_any_two_journal_entries() {
    let (expected, _, ticks) = undisturbed();
    for n in 1..=ticks {
        let case = format!("killed at look {n} at the clock");
        ends_as_undisturbed(&case, &expected, |bench| bench.clock.kill_in(n));
    }
}

#[test]
fn killed_before_and_after_every_call() {
    let (expected, calls, _) = undisturbed();
    for n in 1..=calls {
        let faults: [(&str, Fault); 4] = [
            ("killed before", Faults::kill_before),
            ("killed after", Faults::kill_after),
            ("lost the answer of", Faults::lose_answer),
            ("cut before", |n| Faults::die_after_call(n - 1)),
        ];
        for (what, fault) in faults {
            let case = format!("{what} call {n}");
            ends_as_undisturbed(&case, &expected, |bench| bench.engine.faults(fault(n)));
        }
    }
}

#[test]
fn every_call_fails_once() {
    let (expected, calls, _) = undisturbed();
    let before = end_state(&host());
    for n in 1..=calls {
        let case = format!("call {n} fails");
        let bench = host();
        let desired = load(&bench, '2');
        bench.engine.faults(Faults::fail_call(n));
        let passed = bench.pass(&desired).unwrap();
        bench.engine.faults(Faults::none());
        match passed.outcome.unwrap() {
            Outcome::RolledBack { .. } | Outcome::Failed { .. } => {
                assert_eq!(end_state(&bench), before, "{case}");
                let held = bench.pass(&desired).unwrap();
                assert!(held.outcome.is_none(), "{case}: tried again");
                let failed = |hold: &Hold| matches!(hold, Hold::FailedRevision { .. });
                assert!(
                    held.looked.plan.holds.iter().any(failed),
                    "{case}: not held"
                );
                settle(&bench, &load(&bench, '1'), &format!("{case}, reverted"));
                assert_eq!(end_state(&bench), before, "{case}, reverted");
                let now = jiff::Timestamp::from_second(bench.clock.seconds()).unwrap();
                bench.record().forgive(&desired.stack, now).unwrap();
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
        assert_eq!(end_state(&bench), expected, "{case}");
        hooks_ran(&bench, &case, "second");
    }
}
