//! A stack whose lifetime is over goes, however the passes that take it away are disturbed.

use moored::desired::DesiredState;
use moored::journal::Outcome;
use moored::maintenance::{self, Flag, Owner};
use moored::permits::Grant;
use moored::plan::Plan;

use crate::support::bench::{Bench, Files};
use crate::support::by_hand::{HostYaml, apply};
use crate::support::fake_engine::Faults;

const COMPOSE: &str = "services:\n  db: {image: 'db:v1', volumes: ['rows:/var/lib/db']}\n  \
     web: {image: 'app:v1', depends_on: [db], networks: [default, edge]}\n\
     volumes: {rows: {}}\nnetworks: {edge: {external: true}}\n";

const MANIFEST: &str = "stack: shop\nexpires: 2026-01-01T00:30:00Z\n\
     maintenance: {flag: /bench/site/ON, probe: 'http://SITE/'}\nproxy:\n  nginx:\n    container: edge\n    \
     configs: {nginx/site.conf: /etc/nginx/conf.d/site.conf}\n    marker: http://FRONT/__moored\n";

const SITE: &str = "server {\n  listen 80;\n  location = /__moored { return 200 \"@moored.marker@\"; }\n\
     \x20 location / { proxy_pass http://web; }\n}\n";

fn load(bench: &Bench) -> DesiredState {
    let files = Files::from([
        ("moored.yaml".to_owned(), MANIFEST.into()),
        ("compose.yaml".to_owned(), COMPOSE.into()),
        ("nginx/site.conf".to_owned(), SITE.into()),
    ]);
    bench.load(&files, '1').unwrap()
}

/// A host on which the stack was released, an hour later.
fn over() -> (Bench, DesiredState) {
    let mut bench = Bench::new();
    HostYaml::default().stock(&bench);
    bench.permits.expires = Grant::Everybody;
    for line in [
        "make-network edge",
        "put front/site.conf ''",
        "proxy edge front",
        "run theirs app:v1",
    ] {
        apply(&mut bench, line, &|bench| Ok(load(bench)));
    }
    let desired = load(&bench);
    let released = bench.pass(&desired).unwrap();
    assert_eq!(
        released.outcome,
        Some(Outcome::Succeeded),
        "{}",
        released.looked.plan
    );
    bench.clock.advance(3600);
    (bench, desired)
}

#[test]
fn a_head_without_the_proxy_of_the_release_does_not_end_it() {
    let (bench, _) = over();
    let (manifest, _) = MANIFEST.split_once("proxy:\n").unwrap();
    let files = Files::from([
        ("moored.yaml".to_owned(), manifest.into()),
        ("compose.yaml".to_owned(), COMPOSE.into()),
    ]);
    let head = bench.load(&files, '2').unwrap();
    let passed = bench.look(&head);
    assert!(!passed.plan.is_over(), "{}", passed.plan);
    assert!(
        !passed.plan.to_string().contains("remove"),
        "{}",
        passed.plan
    );
}

/// Lets passes go on until there is nothing to do; checks what is left then.
fn goes(bench: &Bench, desired: &DesiredState, case: &str) {
    let mut plan: Option<Plan> = None;
    for _ in 0..6 {
        let passed = bench.pass(desired).unwrap();
        let done = passed.looked.plan.is_empty();
        plan = Some(passed.looked.plan);
        if done {
            break;
        }
    }
    let plan = plan.unwrap();
    assert!(plan.is_empty() && plan.is_over(), "{case}: {plan}");
    let world = bench.engine.world();
    let mut names: Vec<&str> = world
        .containers
        .values()
        .map(|one| one.shown.name.as_str())
        .collect();
    names.sort_unstable();
    assert_eq!(names, ["edge", "theirs"], "{case}");
    assert!(world.networks.contains_key("edge"), "{case}");
    assert!(!world.networks.contains_key("shop_default"), "{case}");
    assert!(world.volumes.contains_key("shop_rows"), "{case}");
    assert_eq!(world.marker(), Some(""), "{case}");
    drop(world);
    assert!(!bench.place("front/site.conf").exists(), "{case}");
}

#[test]
fn it_goes_however_often_the_controller_is_killed() {
    let mut calls = 1;
    loop {
        let (bench, desired) = over();
        bench.engine.faults(Faults::kill_after(calls));
        let whole = bench.pass_or_die(&desired).is_some();
        bench.engine.faults(Faults::none());
        goes(&bench, &desired, &format!("killed after call {calls}"));
        if whole {
            break;
        }
        calls += 1;
    }
    assert!(calls > 5, "only {calls} calls");
    for looks in 1.. {
        let (bench, desired) = over();
        bench.clock.kill_in(looks);
        let whole = bench.pass_or_die(&desired).is_some();
        bench.clock.kill_in(0);
        goes(&bench, &desired, &format!("killed at look {looks}"));
        if whole {
            break;
        }
    }
}

#[test]
fn what_could_not_be_removed_is_removed_by_the_next_pass() {
    for call in [
        "stop_container shop-web-1",
        "remove_container shop-db-1",
        "remove_network shop_default",
        "exec nginx in edge",
    ] {
        let (bench, desired) = over();
        bench.engine.faults(Faults::fail_on(call));
        let passed = bench.pass(&desired).unwrap();
        assert!(
            matches!(passed.outcome, Some(Outcome::Unsettled { .. })),
            "{call}: {:?}",
            passed.outcome
        );
        bench.engine.faults(Faults::none());
        goes(&bench, &desired, call);
    }
}

#[test]
fn our_page_goes_too_and_that_of_a_person_stays() {
    for ours in [true, false] {
        let (bench, desired) = over();
        let stack = desired.stack.clone();
        let instance = bench.record().instance().to_owned();
        let owner = if ours {
            Owner::Attempt {
                stack,
                instance: instance.clone(),
                attempt: 1,
            }
        } else {
            let who = "ada".to_owned();
            Owner::Person { who }
        };
        let flag = Flag {
            owner,
            reason: "x".to_owned(),
            since: None,
        };
        let path = bench.place("site/ON");
        maintenance::switch_on(&path, None, &flag, &instance).unwrap();
        goes(&bench, &desired, "a page");
        assert_eq!(path.exists(), !ours);
    }
}
