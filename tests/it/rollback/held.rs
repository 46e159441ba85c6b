//! What becomes of the last release while a newer revision is held.

use std::panic::{AssertUnwindSafe, catch_unwind};

use moored::journal::Outcome;
use moored::plan::{Hold, Kind, Weight};

use super::{Town, run, shop};
use crate::support::fake_engine::Faults;

/// A town whose head failed and was taken back.
fn held() -> Town {
    let town = Town::new();
    town.release("app:v1");
    town.shop("bad:v1");
    let outcome = town.pass().remove(".").unwrap().unwrap().outcome;
    assert!(
        matches!(outcome, Some(Outcome::RolledBack { .. })),
        "{outcome:?}"
    );
    town
}

/// Does a pass of the one stack; returns how it ended.
#[track_caller]
fn pass(town: &Town) -> Option<Outcome> {
    let passed = town.pass().remove(".").unwrap().unwrap();
    let plan = &passed.looked.plan;
    assert_eq!(plan.weight(), Some(Weight::Blocking), "{plan}");
    let failed = |hold: &Hold| matches!(hold, Hold::FailedRevision { attempt: 2, .. });
    assert!(
        plan.holds.iter().any(failed),
        "the failed revision stays held:\n{plan}"
    );
    passed.outcome
}

fn states(town: &Town) -> Vec<String> {
    let world = town.bench.engine.world();
    let shown = world.containers.values().map(|kept| &kept.shown);
    shown
        .map(|one| format!("{} {} {}", one.name, one.spec.image, one.state))
        .collect()
}

#[test]
fn the_last_release_is_mended_and_the_failed_revision_not_tried_again() {
    let town = held();
    assert_eq!(pass(&town), None, "there is nothing to mend");
    for _ in 0..2 {
        town.bench.engine.world().remove("shop-web-1");
        assert_eq!(pass(&town), Some(Outcome::Succeeded));
        assert_eq!(states(&town), ["shop-web-1 app:v1 running"]);
        assert_eq!(pass(&town), None);
    }
    town.bench.engine.world().stop("shop-web-1");
    assert_eq!(pass(&town), Some(Outcome::Succeeded));
    assert_eq!(states(&town), ["shop-web-1 app:v1 running"]);
    assert_eq!(pass(&town), None);
    // What comes next is deployed as ever.
    town.release("app:v2");
    assert_eq!(states(&town), ["shop-web-1 app:v2 running"]);
}

#[test]
fn a_release_that_can_not_be_mended_is_not_tried_again_and_again() {
    let town = held();
    town.bench.engine.world().remove("shop-web-1");
    town.bench
        .engine
        .faults(Faults::fail_on("create_container shop-web-1"));
    let outcome = pass(&town);
    assert!(
        matches!(outcome, Some(Outcome::Failed { .. })),
        "{outcome:?}"
    );
    town.bench.engine.faults(Faults::none());
    assert_eq!(pass(&town), None);
    assert_eq!(states(&town), [""; 0]);
    // A person asks, and Git's revision is tried as well: it fails, and the release is mended.
    let now = town.bench.clock.seconds();
    let now = jiff::Timestamp::from_second(now).unwrap();
    assert!(town.bench.record().forgive(&shop(), now).unwrap());
    let _passed = town.pass();
    let _mended = town.pass();
    assert_eq!(states(&town), ["shop-web-1 app:v1 running"]);
}

#[test]
fn what_was_changed_by_hand_is_only_told_where_the_release_says_so() {
    let town = Town::new();
    let manifest = "stack: shop\nsoak: 0s\ndrift: report\n";
    let compose = |image: &str| format!("services: {{web: {{image: '{image}'}}}}\n");
    town.commit(&[
        ("moored.yaml", manifest),
        ("compose.yaml", &compose("app:v1")),
    ]);
    town.succeeds();
    town.commit(&[("compose.yaml", &compose("bad:v1"))]);
    let _failed = town.pass();
    town.bench.engine.world().stop("shop-web-1");
    assert_eq!(pass(&town), None);
    assert_eq!(states(&town), ["shop-web-1 app:v1 exited (0)"]);
    let view = town.view();
    let drift = run(moored::reconcile::look(&view, None)).unwrap();
    assert!(!drift["."].as_ref().unwrap().plan.differences.is_empty());
}

#[test]
fn what_keeps_the_last_release_from_being_mended_is_told() {
    let town = held();
    let mut world = town.bench.engine.world();
    world.remove("shop-web-1");
    let image = world.images.remove("app:v1").unwrap();
    drop(world);
    let passed = town.pass().remove(".").unwrap().unwrap();
    let plan = &passed.looked.plan;
    assert_eq!((&passed.outcome, plan.kind), (&None, Kind::Heal), "{plan}");
    let failed = |hold: &Hold| matches!(hold, Hold::FailedRevision { .. });
    let (failed, others): (Vec<_>, Vec<_>) = plan.holds.iter().partition(|hold| failed(hold));
    assert_eq!(failed.len(), 1, "{plan}");
    assert_eq!(others.len(), 1, "{plan}");
    assert!(others[0].to_string().contains("app:v1"), "{plan}");
    assert_eq!(states(&town), [""; 0]);
    let mut world = town.bench.engine.world();
    world.images.insert("app:v1".to_owned(), image);
    drop(world);
    assert_eq!(pass(&town), Some(Outcome::Succeeded));
    assert_eq!(states(&town), ["shop-web-1 app:v1 running"]);
}

#[test]
fn a_release_whose_mending_crashes_is_left_alone_and_that_is_told() {
    let town = held();
    town.bench.engine.world().remove("shop-web-1");
    for crash in 1..=3 {
        town.bench.engine.faults(Faults::kill_before(1));
        let passed = catch_unwind(AssertUnwindSafe(|| town.pass()));
        assert!(passed.is_err(), "crash {crash}");
    }
    town.bench.engine.faults(Faults::none());
    let passed = town.pass().remove(".").unwrap().unwrap();
    let plan = &passed.looked.plan;
    assert_eq!((&passed.outcome, plan.kind), (&None, Kind::Heal), "{plan}");
    let crashes = |hold: &Hold| matches!(hold, Hold::Crashes { .. });
    assert!(plan.holds.iter().any(crashes), "{plan}");
    assert_eq!(states(&town), [""; 0]);
}
