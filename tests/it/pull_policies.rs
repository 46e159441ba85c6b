//! When an image is pulled: what registries are asked, how often, and what follows.

use std::time::Duration;

use moored::desired::{DesiredState, Pull};
use moored::engine::model::Image;
use moored::journal::Outcome;

use crate::support::bench::{Bench, Files};
use crate::support::by_hand::HostYaml;
use crate::support::fake_engine::Fate;

const HOUR: i64 = 3600;

/// A host on which `app:v1` is what the registry has under that tag.
fn bench() -> Bench {
    let bench = Bench::new();
    let stock: HostYaml = serde_yaml::from_str("{}").unwrap();
    stock.stock(&bench);
    let mut world = bench.engine.world();
    let (image, _) = world.images.get_mut("app:v1").unwrap();
    image.repo_digests = vec!["app@sha256:one".to_owned()];
    world
        .registry
        .tags
        .insert("app:v1".to_owned(), "sha256:one".to_owned());
    drop(world);
    bench
}

#[test]
fn a_refresh_is_what_docker_compose_takes_it_for() {
    let bench = bench();
    let loaded = |policy: &str| {
        let compose = format!("services: {{web: {{image: 'app:v1', pull_policy: {policy}}}}}\n");
        let files = Files::from([
            ("moored.yaml".to_owned(), b"stack: shop\n".to_vec()),
            ("compose.yaml".to_owned(), compose.into_bytes()),
        ]);
        let desired = bench.load(&files, '1').unwrap();
        let pull = desired.services.values().next().unwrap().pull;
        (pull, desired.warnings.len())
    };
    let every = Pull::Every(Duration::from_hours(2));
    assert_eq!(loaded("every_2h"), (every, 0));
    assert_eq!(
        loaded("refresh, pull_refresh_after: 12h"),
        (Pull::Missing, 1)
    );
}

/// Somebody pushes another image under the same tag.
fn push(bench: &Bench, digest: &str) {
    let mut world = bench.engine.world();
    let image = Image {
        id: format!("sha256:id-of-{digest}"),
        repo_digests: vec![format!("app@{digest}")],
        command: vec!["serve".to_owned()],
        ..Image::default()
    };
    let runs = Fate::Runs { healthy_after: 0 };
    world
        .registry
        .images
        .insert(digest.to_owned(), (image, runs));
    world
        .registry
        .tags
        .insert("app:v1".to_owned(), digest.to_owned());
}

fn load(bench: &Bench, web: Pull, worker: Pull) -> DesiredState {
    let compose = "services: {web: {image: 'app:v1'}, worker: {image: 'app:v1'}}\n";
    let files = Files::from([
        ("moored.yaml".to_owned(), b"stack: shop\n".to_vec()),
        ("compose.yaml".to_owned(), compose.into()),
    ]);
    let mut desired = bench.load(&files, '1').unwrap();
    let mut services = desired.services.values_mut();
    services.next().unwrap().pull = web;
    services.next().unwrap().pull = worker;
    drop(services);
    desired
}

/// Passes; returns the calls, and that planning again finds nothing.
#[track_caller]
fn calls(bench: &Bench, desired: &DesiredState) -> Vec<String> {
    bench.engine.world().calls.clear();
    let passed = bench.pass(desired).unwrap();
    assert!(
        matches!(passed.outcome, None | Some(Outcome::Succeeded)),
        "{:?}\n{}",
        passed.outcome,
        passed.looked.plan
    );
    let calls = bench.engine.world().calls.clone();
    let second = bench.look(desired).plan;
    assert!(second.is_empty(), "{second}");
    calls.into_iter().map(|call| call.line).collect()
}

fn replaces(calls: &[String]) -> bool {
    let replaced = |name: &str| calls.contains(&format!("create_container shop-{name}-1.new"));
    let both = replaced("web") && replaced("worker");
    assert_eq!(both, replaced("web") || replaced("worker"), "{calls:#?}");
    both
}

fn holds(bench: &Bench, desired: &DesiredState) -> String {
    let holds = bench.look(desired).plan.holds;
    let holds: Vec<String> = holds.iter().map(ToString::to_string).collect();
    holds.join("\n")
}

#[test]
fn always_follows_the_tag_and_missing_does_not() {
    for (web, worker, follows) in [
        (Pull::Always, Pull::Missing, true),
        (Pull::Always, Pull::Never, true),
        (Pull::Missing, Pull::Missing, false),
        (Pull::Missing, Pull::Never, false),
    ] {
        let bench = bench();
        let desired = load(&bench, web, worker);
        assert_eq!(calls(&bench, &desired).len(), 5, "both are made");
        assert_eq!(calls(&bench, &desired).len(), 0);
        push(&bench, "sha256:two");
        let plan = bench.look(&desired).plan.to_string();
        assert_eq!(plan.contains("image id"), follows, "{plan}");
        let calls_then = calls(&bench, &desired);
        assert_eq!(replaces(&calls_then), follows, "{web:?} {worker:?}");
        assert_eq!(calls_then.contains(&"pull app:v1".to_owned()), follows);
        let world = bench.engine.world();
        let id = &world.find("shop-web-1").unwrap().shown.image_id;
        assert_eq!(id == "sha256:id-of-sha256:two", follows, "{id}");
    }
}

#[test]
fn a_tag_that_moved_is_told_once_a_day_where_nobody_wants_it_pulled() {
    let bench = bench();
    let desired = load(&bench, Pull::Missing, Pull::Missing);
    calls(&bench, &desired);
    push(&bench, "sha256:two");
    assert_eq!(holds(&bench, &desired), "", "it was asked today");
    bench.clock.advance(24 * HOUR);
    assert_eq!(calls(&bench, &desired).len(), 0, "what runs stays");
    let said = holds(&bench, &desired);
    let moved = "image app:v1: its tag stands for another image by now (two)";
    assert!(said.contains(moved), "{said}");
    // An answer that nobody waits for is not missed.
    bench.engine.world().registry.down = true;
    bench.clock.advance(24 * HOUR);
    assert_eq!(calls(&bench, &desired).len(), 0);
    assert_eq!(holds(&bench, &desired), "");
}

#[test]
fn a_registry_is_asked_when_the_time_has_come() {
    let bench = bench();
    let day = Pull::Every(Duration::from_secs(24 * 3600));
    let desired = load(&bench, day, Pull::Missing);
    calls(&bench, &desired);
    push(&bench, "sha256:two");
    bench.clock.advance(23 * HOUR);
    assert_eq!(calls(&bench, &desired).len(), 0, "not before a day is over");
    bench.clock.advance(HOUR);
    assert!(replaces(&calls(&bench, &desired)));
    // Looking asks as well, and does not spend the day's question.
    push(&bench, "sha256:three");
    bench.clock.advance(24 * HOUR);
    for _ in 0..2 {
        let plan = bench.look(&desired).plan;
        assert!(!plan.is_empty(), "{plan}");
    }
    assert!(replaces(&calls(&bench, &desired)));
}

#[test]
fn what_it_said_is_remembered_by_another_process() {
    let bench = bench();
    let hour = Pull::Every(Duration::from_secs(3600));
    let desired = load(&bench, hour, hour);
    calls(&bench, &desired);
    let asked = bench.record().asked().unwrap();
    assert_eq!(asked.len(), 1, "{asked:?}");
    push(&bench, "sha256:two");
    // Every pass of a bench is a process of its own.
    assert_eq!(calls(&bench, &desired).len(), 0);
    bench.clock.advance(HOUR);
    assert!(replaces(&calls(&bench, &desired)));
}

#[test]
fn a_registry_that_is_away_stops_nothing_and_is_left_in_peace() {
    let bench = bench();
    let desired = load(&bench, Pull::Always, Pull::Always);
    calls(&bench, &desired);
    bench.engine.world().registry.down = true;
    assert_eq!(calls(&bench, &desired).len(), 0);
    let said = holds(&bench, &desired);
    assert!(said.contains("the one that is here stays"), "{said}");
    assert!(said.contains("connection refused"), "{said}");
    bench.engine.world().registry.down = false;
    push(&bench, "sha256:two");
    bench.clock.advance(60);
    assert_eq!(calls(&bench, &desired).len(), 0, "asked again at once");
    bench.clock.advance(120);
    assert!(replaces(&calls(&bench, &desired)));
    assert_eq!(holds(&bench, &desired), "");
}

#[test]
fn an_image_that_no_registry_knows_stays() {
    let bench = bench();
    bench.engine.world().registry.tags.clear();
    let desired = load(&bench, Pull::Always, Pull::Always);
    assert_eq!(calls(&bench, &desired).len(), 5);
    let said = holds(&bench, &desired);
    assert!(said.contains("manifest unknown"), "{said}");
}

#[test]
fn never_is_never() {
    let bench = bench();
    let untagged = bench.engine.world().images.remove("app:v1").unwrap();
    let desired = load(&bench, Pull::Never, Pull::Never);
    let passed = bench.pass(&desired).unwrap();
    assert_eq!(passed.outcome, None);
    assert_eq!(bench.engine.world().calls.len(), 0);
    let said = holds(&bench, &desired);
    assert!(said.contains("pull_policy: never"), "{said}");
    bench
        .engine
        .world()
        .images
        .insert("app:v1".to_owned(), untagged);
    assert_eq!(calls(&bench, &desired).len(), 5);
    // Gone from the host, it matters to nothing that runs.
    bench.engine.world().images.remove("app:v1");
    assert_eq!(calls(&bench, &desired).len(), 0);
}

#[test]
fn a_bad_image_under_the_same_tag_is_taken_back_and_held() {
    let bench = bench();
    let desired = load(&bench, Pull::Always, Pull::Always);
    calls(&bench, &desired);
    push(&bench, "sha256:two");
    let end = crate::support::fake_engine::End::code(1);
    let mut world = bench.engine.world();
    world.registry.images.get_mut("sha256:two").unwrap().1 = Fate::Ends(end);
    drop(world);
    let passed = bench.pass(&desired).unwrap();
    let outcome = passed.outcome.unwrap();
    assert!(matches!(outcome, Outcome::RolledBack { .. }), "{outcome:?}");
    let world = bench.engine.world();
    let web = &world.find("shop-web-1").unwrap().shown;
    assert!(web.is_running() && web.image_id != "sha256:id-of-sha256:two");
    drop(world);
    assert_eq!(bench.pass(&desired).unwrap().outcome, None, "tried again");
}

#[test]
fn a_pull_that_is_denied_is_not_the_fault_of_the_revision() {
    let bench = bench();
    let desired = load(&bench, Pull::Always, Pull::Always);
    calls(&bench, &desired);
    push(&bench, "sha256:two");
    bench.engine.world().registry.denies_pulls = true;
    for _ in 0..2 {
        bench.engine.world().calls.clear();
        let outcome = bench.pass(&desired).unwrap().outcome.unwrap();
        assert!(matches!(outcome, Outcome::Postponed { .. }), "{outcome:?}");
        let calls = bench.engine.world().calls.clone();
        let touched = calls.iter().find(|call| call.line != "pull app:v1");
        assert!(touched.is_none(), "{:?}", touched.map(|call| &call.line));
    }
    // No retry is needed once somebody has logged in.
    bench.engine.world().registry.denies_pulls = false;
    assert!(replaces(&calls(&bench, &desired)));
}
