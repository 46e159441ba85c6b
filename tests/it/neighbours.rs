//! Services in the namespaces of others, or with their volumes: whatever happens to the other one,
//! they end where it is.

use std::collections::BTreeMap;

use moored::desired::{Condition, Dependency, DesiredState, ServiceName};
use moored::journal::Outcome;
use moored::plan::{Action, Plan, Weight};

use crate::support::bench::{Bench, Files};
use crate::support::by_hand::HostYaml;
use crate::support::fake_engine::{Faults, Said};
use crate::support::hooks::hook;

fn name(text: &str) -> ServiceName {
    text.to_owned().try_into().unwrap()
}

/// A stack in which `web` is in the network of `vpn`, `spy` sees its processes, and `copy` has its
/// volumes.
fn stack(bench: &Bench, vpn: &str, digit: char) -> DesiredState {
    let compose = format!(
        "services:\n  vpn: {{{vpn}}}\n  web: {{image: app:v1, depends_on: [vpn]}}\n  \
         spy: {{image: app:v1, depends_on: [vpn]}}\n  copy: {{image: app:v1, depends_on: [vpn]}}\n  \
         other: {{image: app:v1}}\n"
    );
    let files = Files::from([
        ("moored.yaml".to_owned(), b"stack: shop\n".to_vec()),
        ("compose.yaml".to_owned(), compose.into_bytes()),
    ]);
    let mut desired = bench.load(&files, digit).unwrap();
    let vpn = "container:shop-vpn-1".to_owned();
    let implied = |restart| Dependency {
        condition: Condition::Started,
        restart,
        required: true,
    };
    let services = &mut desired.services;
    let web = services.get_mut(&name("web")).unwrap();
    web.spec.network_mode.clone_from(&vpn);
    web.spec.networks = BTreeMap::new();
    web.depends_on.insert(name("vpn"), implied(true));
    let spy = services.get_mut(&name("spy")).unwrap();
    spy.spec.namespaces.pid = vpn;
    spy.depends_on.insert(name("vpn"), implied(true));
    let copy = services.get_mut(&name("copy")).unwrap();
    copy.spec.volumes_from.insert("shop-vpn-1:ro".to_owned());
    copy.depends_on.insert(name("vpn"), implied(false));
    desired
}

fn released() -> Bench {
    let bench = Bench::new();
    let stock: HostYaml = serde_yaml::from_str("images: {'bad:v1': {exits: 1}}").unwrap();
    stock.stock(&bench);
    let passed = bench.pass(&stack(&bench, "image: app:v1", '1')).unwrap();
    assert_eq!(
        passed.outcome,
        Some(Outcome::Succeeded),
        "{}",
        passed.looked.plan
    );
    let again = bench.look(&stack(&bench, "image: app:v1", '1'));
    assert!(again.plan.is_empty(), "{}", again.plan);
    bench
}

/// Returns what is done to containers, as `verb service`, without looks and what is tidied up.
fn verbs(plan: &Plan) -> Vec<String> {
    let done = plan.steps.iter().filter(|step| {
        matches!(
            step.action,
            Action::Create { .. }
                | Action::Replace { .. }
                | Action::Restart { .. }
                | Action::Start { .. }
        )
    });
    done.map(|step| format!("{} {}", step.action.verb(), step.action.subject()))
        .collect()
}

#[test]
fn who_joins_another_follows_it() {
    type ByHand = fn(&Bench);
    let nothing: ByHand = |_| {};
    let table: [(&str, ByHand, &[&str]); 6] = [
        ("image: app:v1", nothing, &[]),
        (
            "image: app:v2",
            nothing,
            &["replace vpn", "replace copy", "replace spy", "replace web"],
        ),
        // Its mounts stay as they are.
        (
            "image: app:v1, environment: {A: b}",
            nothing,
            &["replace vpn", "replace spy", "replace web"],
        ),
        (
            "image: app:v1, volumes: [/data]",
            nothing,
            &["replace vpn", "replace copy", "replace spy", "replace web"],
        ),
        (
            "image: app:v1",
            |bench| bench.engine.world().stop("shop-vpn-1"),
            &["start vpn", "restart spy", "restart web"],
        ),
        (
            "image: app:v1",
            |bench| bench.engine.world().remove("shop-vpn-1"),
            &["create vpn", "replace copy", "replace spy", "replace web"],
        ),
    ];
    for (vpn, by_hand, expected) in table {
        let bench = released();
        by_hand(&bench);
        let desired = stack(&bench, vpn, '2');
        let passed = bench.pass(&desired).unwrap();
        let plan = &passed.looked.plan;
        assert_eq!(verbs(plan), expected, "{vpn}: {plan}");
        assert_eq!(
            bench.engine.world().left_alone(),
            Vec::<String>::new(),
            "{vpn}: {plan}"
        );
        let again = bench.look(&desired).plan;
        assert!(again.is_empty(), "{vpn}: {again}");
    }
}

#[test]
fn who_joins_another_goes_back_with_it() {
    // The other one is not up; and one that follows it fails.
    for (vpn, fault) in [
        ("image: bad:v1", None),
        ("image: app:v2", Some("create_container shop-web-1.new")),
        ("image: app:v2", Some("start_container shop-web-1")),
        ("image: app:v2", Some("start_container shop-spy-1")),
    ] {
        let bench = released();
        let desired = stack(&bench, vpn, '2');
        bench
            .engine
            .faults(fault.map(Faults::fail_on).unwrap_or_default());
        let passed = bench.pass(&desired).unwrap();
        bench.engine.faults(Faults::none());
        let outcome = passed.outcome;
        let back = matches!(outcome, Some(Outcome::RolledBack { .. }));
        assert!(back, "{vpn} {fault:?}: {outcome:?}");
        let world = bench.engine.world();
        assert_eq!(world.left_alone(), Vec::<String>::new(), "{vpn} {fault:?}");
        drop(world);
        let before = bench.look(&stack(&bench, "image: app:v1", '1')).plan;
        assert_eq!(
            verbs(&before),
            Vec::<String>::new(),
            "{vpn} {fault:?}: {before}"
        );
    }
}

#[test]
fn who_was_to_follow_and_was_not_put_down_follows_when_that_is_taken_back() {
    let bench = Bench::new();
    HostYaml::default().stock(&bench);
    let with_hook = |digit: char| {
        let mut desired = stack(&bench, "image: app:v1", digit);
        let web = desired.services.get_mut(&name("web")).unwrap();
        web.pre_stop = vec![hook(&["leave"])];
        desired
    };
    bench.pass(&with_hook('1')).unwrap();
    let failed = Said {
        code: 3,
        ..Said::default()
    };
    bench.engine.world().says("app:v1", "leave", failed);
    bench.engine.world().stop("shop-vpn-1");
    bench.engine.world().calls.clear();
    let passed = bench.pass(&with_hook('2')).unwrap();
    let plan = &passed.looked.plan;
    let expected = ["start vpn", "restart spy", "restart web"];
    assert_eq!(verbs(plan), expected, "{plan}");
    let outcome = passed.outcome;
    let back = matches!(outcome, Some(Outcome::RolledBack { .. }));
    assert!(back, "{outcome:?}");
    let world = bench.engine.world();
    assert_eq!(world.left_alone(), Vec::<String>::new());
    let line = "restart_container shop-web-1";
    let restarts = world.calls.iter().filter(|call| call.line == line);
    assert_eq!(restarts.count(), 1, "only to take it back");
}

#[test]
fn who_goes_back_with_another_has_its_own_commands() {
    let bench = Bench::new();
    HostYaml::default().stock(&bench);
    let with_hooks = |vpn: &str, digit: char| {
        let mut desired = stack(&bench, vpn, digit);
        for (service, wanted) in &mut desired.services {
            wanted.post_start = vec![hook(&[&format!("warm-{service}")])];
        }
        desired
    };
    bench.pass(&with_hooks("image: app:v1", '1')).unwrap();
    let failed = Said {
        code: 3,
        ..Said::default()
    };
    bench.engine.world().says("app:v2", "warm-vpn", failed);
    bench.engine.world().calls.clear();
    let passed = bench.pass(&with_hooks("image: app:v2", '2')).unwrap();
    let outcome = passed.outcome;
    let back = matches!(outcome, Some(Outcome::RolledBack { .. }));
    assert!(back, "{outcome:?}");
    let world = bench.engine.world();
    assert_eq!(world.left_alone(), Vec::<String>::new());
    let ran = world.calls.iter().filter_map(|call| {
        let line = call.line.strip_prefix("exec ")?;
        Some(line.to_owned())
    });
    let ran: Vec<String> = ran.collect();
    assert_eq!(
        ran,
        [
            "warm-vpn in shop-vpn-1",
            "warm-vpn in shop-vpn-1",
            "warm-spy in shop-spy-1",
            "warm-web in shop-web-1"
        ]
    );
}

#[test]
fn who_goes_back_to_one_that_is_gone_is_made_again() {
    let bench = released();
    bench.engine.world().remove("shop-vpn-1");
    let mut desired = stack(&bench, "image: app:v1", '2');
    let web = desired.services.get_mut(&name("web")).unwrap();
    web.spec.image = "bad:v1".to_owned();
    let passed = bench.pass(&desired).unwrap();
    let plan = &passed.looked.plan;
    let expected = ["create vpn", "replace copy", "replace spy", "replace web"];
    assert_eq!(verbs(plan), expected, "{plan}");
    let outcome = passed.outcome;
    let back = matches!(outcome, Some(Outcome::RolledBack { .. }));
    assert!(back, "{outcome:?}");
    let world = bench.engine.world();
    assert_eq!(world.left_alone(), Vec::<String>::new());
    let there = world.containers.values().map(|kept| {
        let one = &kept.shown;
        format!("{} {} {}", one.name, one.spec.image, one.state)
    });
    let mut there: Vec<String> = there.collect();
    there.sort();
    let expected = ["copy", "other", "spy", "vpn", "web"];
    let expected = expected.map(|service| format!("shop-{service}-1 app:v1 running"));
    assert_eq!(there, expected);
    drop(world);
    let before = bench.look(&stack(&bench, "image: app:v1", '1')).plan;
    assert_eq!(verbs(&before), Vec::<String>::new(), "{before}");
}

#[test]
fn a_job_that_is_done_does_not_follow() {
    type ByHand = fn(&Bench);
    let stack = |bench: &Bench, vpn: &str, job: &str, digit: char| {
        let compose = format!(
            "services:\n  vpn: {{{vpn}}}\n  job: {{image: '{job}', depends_on: [vpn]}}\n  \
             web: {{image: app:v1, depends_on: {{job: \
             {{condition: service_completed_successfully}}}}}}\n"
        );
        let files = Files::from([
            ("moored.yaml".to_owned(), b"stack: shop\n".to_vec()),
            ("compose.yaml".to_owned(), compose.into_bytes()),
        ]);
        let mut desired = bench.load(&files, digit).unwrap();
        let job = desired.services.get_mut(&name("job")).unwrap();
        job.spec.network_mode = "container:shop-vpn-1".to_owned();
        job.spec.networks = BTreeMap::new();
        job.spec.volumes_from.insert("shop-vpn-1:ro".to_owned());
        let dependency = job.depends_on.get_mut(&name("vpn")).unwrap();
        dependency.restart = true;
        desired
    };
    let nothing: ByHand = |_| {};
    let table: [(&str, ByHand, &[&str]); 4] = [
        ("image: app:v2", nothing, &["replace vpn"]),
        ("image: app:v1, volumes: [/data]", nothing, &["replace vpn"]),
        (
            "image: app:v1",
            |bench| bench.engine.world().stop("shop-vpn-1"),
            &["start vpn"],
        ),
        (
            "image: app:v1",
            |bench| bench.engine.world().remove("shop-vpn-1"),
            &["create vpn"],
        ),
    ];
    for (vpn, by_hand, expected) in table {
        let bench = Bench::new();
        HostYaml::default().stock(&bench);
        let first = stack(&bench, "image: app:v1", "job:v1", '1');
        let passed = bench.pass(&first).unwrap();
        assert_eq!(passed.outcome, Some(Outcome::Succeeded));
        by_hand(&bench);
        let desired = stack(&bench, vpn, "job:v1", '2');
        let passed = bench.pass(&desired).unwrap();
        let plan = &passed.looked.plan;
        assert_eq!(verbs(plan), expected, "{vpn}: {plan}");
        assert_eq!(passed.outcome, Some(Outcome::Succeeded), "{vpn}: {plan}");
        let again = bench.look(&desired).plan;
        assert!(again.is_empty(), "{vpn}: {again}");
        // Another job is run, with the others as they are now.
        let desired = stack(&bench, vpn, "job:v2", '3');
        let passed = bench.pass(&desired).unwrap();
        assert_eq!(verbs(&passed.looked.plan), ["replace job"], "{vpn}");
        assert_eq!(passed.outcome, Some(Outcome::Succeeded), "{vpn}");
    }
}

#[test]
fn a_kill_leaves_nobody_where_nobody_else_is() {
    let calls = {
        let bench = released();
        bench.engine.world().calls.clear();
        bench.pass(&stack(&bench, "image: app:v2", '2')).unwrap();
        let world = bench.engine.world();
        world.calls.len()
    };
    assert!(calls > 10, "{calls}");
    for call in 1..=calls {
        let bench = released();
        let desired = stack(&bench, "image: app:v2", '2');
        bench.engine.faults(Faults::kill_after(call));
        if let Some(passed) = bench.pass_or_die(&desired) {
            let passed = passed.map(|passed| passed.looked.plan.to_string());
            let calls = &bench.engine.world().calls;
            panic!("not killed after {call}: {passed:?}, {calls:?}");
        }
        bench.engine.faults(Faults::none());
        for _ in 0..2 {
            bench.pass(&desired).unwrap();
        }
        let plan = bench.look(&desired).plan;
        assert!(plan.is_empty(), "killed after {call}: {plan}");
        let alone = bench.engine.world().left_alone();
        assert_eq!(alone, Vec::<String>::new(), "killed after {call}");
    }
}

#[test]
fn a_stack_that_loses_all_its_services_is_refused() {
    let bench = released();
    let mut desired = stack(&bench, "image: app:v1", '2');
    desired.services.clear();
    for prune in [false, true] {
        desired.prune = prune;
        let plan = bench.look(&desired).plan;
        assert!(plan.is_empty(), "{plan}");
        assert_eq!(plan.weight(), Some(Weight::Blocking), "{plan}");
    }
}
