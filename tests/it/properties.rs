//! What holds for any state: planning again after a pass is empty, only ours is removed, volumes
//! stay, steps are in order, and the journal survives anything.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Arc;

use moored::desired::{Condition, DesiredState};
use moored::journal::{Entry, Outcome, replay};
use moored::plan::{Action, Hold, Plan};
use proptest::prelude::*;

use crate::support::bench::{Bench, Files};
use crate::support::by_hand::HostYaml;
use crate::support::foreign::compose_up;

/// One service, in few dimensions that meet each other often.
#[derive(Clone, Debug)]
struct Made {
    image: &'static str,
    level: Option<u8>,
    port: bool,
    volume: Option<bool>,
    network: bool,
    restart: bool,
    depends_on: Vec<(usize, &'static str)>,
}

fn made(index: usize) -> impl Strategy<Value = Made> {
    let conditions = prop_oneof![
        Just("service_started"),
        Just("service_started, restart: true")
    ];
    (
        prop_oneof![Just("app:v1"), Just("app:v2"), Just("db:v1"), Just("db:v2")],
        prop::option::of(0..3_u8),
        any::<bool>(),
        prop::option::of(any::<bool>()),
        any::<bool>(),
        any::<bool>(),
        prop::collection::vec((0..index.max(1), conditions), 0..3),
    )
        .prop_map(
            move |(image, level, port, volume, network, restart, depends_on)| Made {
                image,
                level,
                port,
                volume,
                network,
                restart,
                depends_on: if index == 0 { Vec::new() } else { depends_on },
            },
        )
}

/// A stack of up to four services; a service may be left out.
fn stack() -> impl Strategy<Value = Vec<Option<Made>>> {
    let one = |index| prop::option::weighted(0.8, made(index));
    (one(0), one(1), one(2), one(3)).prop_map(|(a, b, c, d)| {
        let mut stack = vec![a, b, c, d];
        if stack.iter().all(Option::is_none) {
            stack[0] = Some(Made {
                image: "app:v1",
                level: None,
                port: false,
                volume: None,
                network: false,
                restart: false,
                depends_on: Vec::new(),
            });
        }
        stack
    })
}

const NAMES: [&str; 4] = ["aa", "bb", "cc", "dd"];

/// Writes a stack as a tree; `reversed` gives the same with its keys in another order.
fn tree(stack: &[Option<Made>], reversed: bool) -> Files {
    let mut services: Vec<String> = stack
        .iter()
        .enumerate()
        .filter_map(|(index, made)| Some(service(index, made.as_ref()?, stack, reversed)))
        .collect();
    if reversed {
        services.reverse();
    }
    let services = services.concat();
    let compose = if reversed {
        format!("volumes: {{data: }}\nnetworks: {{side: }}\nservices:\n{services}")
    } else {
        format!("services:\n{services}networks: {{side: }}\nvolumes: {{data: }}\n")
    };
    Files::from([
        (
            "moored.yaml".to_owned(),
            b"stack: shop\nprune: true\n".to_vec(),
        ),
        ("compose.yaml".to_owned(), compose.into_bytes()),
    ])
}

fn service(index: usize, made: &Made, stack: &[Option<Made>], reversed: bool) -> String {
    let mut lines = vec![format!("    image: {}\n", made.image)];
    if let Some(level) = made.level {
        let pairs = format!("LEVEL: '{level}', API_TOKEN: 's{level}'");
        let other = format!("API_TOKEN: 's{level}', LEVEL: '{level}'");
        let pairs = if reversed { other } else { pairs };
        lines.push(format!("    environment: {{{pairs}}}\n"));
    }
    if made.port {
        lines.push(format!("    ports: ['80{index}:80']\n"));
    }
    if let Some(named) = made.volume {
        let volume = if named { "data:/d" } else { "/d" };
        lines.push(format!("    volumes: ['{volume}']\n"));
    }
    if made.network {
        lines.push("    networks: {default: , side: {aliases: [x]}}\n".to_owned());
    }
    if made.restart {
        lines.push("    restart: always\n".to_owned());
    }
    let mut depends = String::new();
    let there = made.depends_on.iter().copied();
    let there: BTreeMap<usize, &str> = there.filter(|(on, _)| stack[*on].is_some()).collect();
    for (on, how) in there {
        writeln!(depends, "      {}: {{condition: {how}}}", NAMES[on]).unwrap();
    }
    if !depends.is_empty() {
        lines.push(format!("    depends_on:\n{depends}"));
    }
    if reversed {
        lines.reverse();
    }
    format!("  {}:\n{}", NAMES[index], lines.concat())
}

/// What somebody does by hand.
fn by_hand() -> impl Strategy<Value = Vec<(u8, usize)>> {
    prop::collection::vec((0..5_u8, 0..4_usize), 0..3)
}

fn meddle(bench: &Bench, acts: &[(u8, usize)]) {
    let mut world = bench.engine.world();
    for (act, index) in acts {
        let name = format!("shop-{}-1", NAMES[*index]);
        match act {
            0 => world.stop(&name),
            1 => world.remove(&name),
            2 => world.disconnect(&name, "shop_default"),
            3 => {
                if let Some(kept) = world.find_mut(&name) {
                    Arc::make_mut(&mut kept.shown.spec).resources.memory = 1 << 26;
                }
            }
            _ => {
                if let Some(kept) = world.find_mut(&name) {
                    Arc::make_mut(&mut kept.shown.spec)
                        .env
                        .insert("BY_HAND".to_owned(), None);
                }
            }
        }
    }
}

fn host() -> Bench {
    let bench = Bench::new();
    HostYaml::default().stock(&bench);
    bench
}

/// The numbers of a plan are an order in which its steps can be done, and dependencies come
/// before their dependents.
fn check_order(plan: &Plan, desired: &DesiredState) {
    let numbers: Vec<u32> = plan.steps.iter().map(|step| step.number).collect();
    let count = u32::try_from(numbers.len()).unwrap();
    assert_eq!(numbers, (1..=count).collect::<Vec<_>>(), "{plan}");
    let mut before: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
    let mut step_of = BTreeMap::new();
    for step in &plan.steps {
        assert!(
            step.after.iter().all(|after| *after < step.number),
            "{plan}"
        );
        let all = step.after.iter().flat_map(|after| {
            let further = before[after].iter().copied();
            further.chain([*after]).collect::<Vec<_>>()
        });
        let all = all.collect();
        before.insert(step.number, all);
        if let Action::Create { service, .. }
        | Action::Replace { service, .. }
        | Action::Start { service, .. }
        | Action::Restart { service, .. } = &step.action
        {
            step_of.insert(service.clone(), step.number);
        }
    }
    for (name, service) in &desired.services {
        for (on, dependency) in &service.depends_on {
            assert_eq!(dependency.condition, Condition::Started);
            if let (Some(mine), Some(theirs)) = (step_of.get(name), step_of.get(on)) {
                assert!(before[mine].contains(theirs), "{name} before {on}:\n{plan}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn a_pass_from_anywhere_ends_where_nothing_is_left_to_do(
        first in stack(), second in stack(), acts in by_hand()
    ) {
        let bench = host();
        bench.engine.world().create("theirs", &moored::engine::model::ContainerSpec {
            image: "app:v1".to_owned(), ..Default::default()
        }).unwrap();
        let first = bench.load(&tree(&first, false), '1').unwrap();
        prop_assert_eq!(bench.pass(&first).unwrap().outcome, Some(Outcome::Succeeded));
        prop_assert!(bench.look(&first).plan.is_empty());
        meddle(&bench, &acts);
        let volumes: Vec<String> = bench.engine.world().volumes.keys().cloned().collect();
        let desired = bench.load(&tree(&second, false), '2').unwrap();
        let same = bench.load(&tree(&second, true), '2').unwrap();
        let (plan, again) = (bench.look(&desired).plan, bench.look(&same).plan);
        prop_assert_eq!(plan.to_string(), again.to_string(), "the order of keys");
        let digests = |plan: &Plan| -> Vec<String> {
            let mut digests = Vec::new();
            for step in &plan.steps {
                if let Action::Create { spec, .. } | Action::Replace { spec, .. } = &step.action {
                    digests.push(spec.labels[moored::labels::DIGEST].clone());
                }
            }
            digests
        };
        prop_assert_eq!(digests(&plan), digests(&again), "the order of keys, in the digest");
        check_order(&plan, &desired);
        remove_what_is_too_much(&bench, &plan);
        let passed = bench.pass(&desired).unwrap();
        let good = matches!(passed.outcome, None | Some(Outcome::Succeeded));
        prop_assert!(good, "{:?}\n{}", passed.outcome, passed.looked.plan);
        let second = bench.look(&desired).plan;
        prop_assert!(second.is_empty(), "after\n{}\nstill\n{second}", passed.looked.plan);
        let instance = bench.record().instance().to_owned();
        let world = bench.engine.world();
        for call in &world.calls {
            prop_assert!(call.instances.iter().all(|one| *one == instance), "{}", call.line);
        }
        prop_assert!(volumes.iter().all(|name| world.volumes.contains_key(name)));
        prop_assert!(world.find("theirs").is_some());
    }
}

/// Does what the hold asks a person for: a pass does not remove most of a stack.
fn remove_what_is_too_much(bench: &Bench, plan: &Plan) {
    for hold in &plan.holds {
        if let Hold::PrunesTooMuch { containers, .. } = hold {
            let mut world = bench.engine.world();
            for name in containers {
                world.remove(name);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, ..ProptestConfig::default() })]

    #[test]
    fn what_docker_compose_runs_is_touched_only_after_a_word(
        runs in stack(), wanted in stack(), acts in by_hand()
    ) {
        let bench = host();
        let runs = bench.load(&tree(&runs, false), '1').unwrap();
        compose_up(&bench, &runs, &[]);
        meddle(&bench, &acts);
        let desired = bench.load(&tree(&wanted, false), '2').unwrap();
        let removed: BTreeSet<String> = acts
            .iter()
            .filter(|(act, _)| *act == 1)
            .map(|(_, index)| format!("shop-{}-1", NAMES[*index]))
            .collect();
        let theirs: BTreeSet<String> = bench.engine.world().containers.keys().cloned().collect();
        bench.engine.world().calls.clear();
        let passed = bench.pass(&desired).unwrap();
        let touched = |bench: &Bench| {
            let world = bench.engine.world();
            let calls = world.calls.iter().filter(|call| call.instances.iter().any(|one| theirs.contains(one)));
            calls.map(|call| call.line.clone()).collect::<Vec<_>>()
        };
        prop_assert_eq!(touched(&bench), Vec::<String>::new(), "{}", passed.looked.plan);
        let held = passed.looked.plan.holds.iter().any(|hold| matches!(hold, Hold::NotAdopted { .. }));
        let good = if held { None } else { Some(Outcome::Succeeded) };
        prop_assert_eq!(&passed.outcome, &good, "{}", passed.looked.plan);
        prop_assert_eq!(held, !passed.looked.plan.held_back.is_empty());
        if held {
            bench.adopt(&desired);
            let passed = bench.pass(&desired).unwrap();
            let good = matches!(passed.outcome, None | Some(Outcome::Succeeded));
            prop_assert!(good, "{:?}\n{}", passed.outcome, passed.looked.plan);
        }
        let second = bench.look(&desired).plan;
        prop_assert!(second.is_empty(), "after\n{}\nstill\n{second}", passed.looked.plan);
        // What Git does not name stays, though it says prune: true.
        let world = bench.engine.world();
        for name in runs.services.keys().filter(|name| !desired.services.contains_key(name)) {
            let name = format!("shop-{name}-1");
            prop_assert!(removed.contains(&name) || world.find(&name).is_some(), "{name}");
        }
    }
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        Just(Outcome::Succeeded),
        Just(Outcome::Stopped),
        Just(Outcome::Interrupted),
        any::<String>().prop_map(|error| Outcome::RolledBack { error }),
        any::<String>().prop_map(|error| Outcome::Failed { error }),
        any::<String>().prop_map(|error| Outcome::Unsettled { error }),
    ]
}

fn entry() -> impl Strategy<Value = Entry> {
    let step = || prop_oneof![0..6_u32, any::<u32>()];
    prop_oneof![
        step().prop_map(|steps| Entry::Began { steps }),
        step().prop_map(|step| Entry::Intent { step }),
        step().prop_map(|step| Entry::Done { step }),
        (step(), any::<String>()).prop_map(|(step, error)| Entry::Failed { step, error }),
        step().prop_map(|step| Entry::UndoIntent { step }),
        step().prop_map(|step| Entry::Undone { step }),
        outcome().prop_map(|outcome| Entry::Ended { outcome }),
        Just(Entry::Forgiven),
    ]
}

proptest! {
    #[test]
    fn any_entries_replay_or_are_refused(entries in prop::collection::vec(entry(), 0..40)) {
        if let Ok(status) = replay(&entries) {
            prop_assert!(status.done.is_disjoint(&status.in_doubt));
            // A prefix of a journal is a journal: that is what a torn one is.
            for cut in 0..entries.len() {
                prop_assert!(replay(&entries[..cut]).is_ok());
            }
        }
        for entry in &entries {
            let text = serde_json::to_string(entry).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Entry>(&text).unwrap(), entry);
        }
    }
}
