//! Going back by a pin: this host alone, without Git.

use moored::journal::Outcome;
use moored::plan::Weight;
use moored::report::{self, Report as _};
use moored::rollback::{Ask, RollbackError, Way};
use moored::stacks::{self, LoadError};

use super::{Town, is_pinned, named, plain, run, shop};

#[test]
fn a_pin_keeps_the_host_at_a_release_without_git() {
    let mut town = Town::new();
    let v1 = town.release("app:v1");
    let v2 = town.release("app:v2");
    let there = std::mem::replace(&mut town.url, "/nowhere/at/all".into());
    let done = town.hold().unwrap();
    assert!(matches!(&done.way, Way::Pinned(pin) if pin.release.revision == v1));
    insta::assert_snapshot!(named(&town.printed(done), &[(&v1, "V1")]), @"
    shop  is kept at 1-V1 (change) on this host
      next      the controller's next pass deploys it; moored reconcile does it now
      held      pinned to 1-V1 since 2026-01-01 00:00 UTC by ada: Git is not followed; lift with: moored retry --stack shop
    ");
    // The fetch fails, and the pinned stack is deployed all the same.
    let mut all = town.pass();
    let error = all.remove("branch main").unwrap().map(|_| ()).unwrap_err();
    assert!(matches!(error, LoadError::Source(_)), "{error}");
    let passed = all.remove(".").unwrap().unwrap();
    assert!(all.is_empty());
    assert_eq!(passed.outcome, Some(Outcome::Succeeded));
    assert_eq!(passed.looked.plan.weight(), Some(Weight::Notice));
    assert!(is_pinned(&passed.looked.plan.holds));
    assert_eq!(town.image("shop"), "app:v1");
    // Named alone, Git is not asked at all.
    for only in ["shop", "."] {
        let one = town.try_pass(Some(only)).unwrap();
        assert!(
            one["."].as_ref().is_ok_and(|one| one.outcome.is_none()),
            "{only}"
        );
    }
    // Said everywhere.
    let view = town.view();
    let looked = run(moored::reconcile::look(&view, Some("shop"))).unwrap();
    let plan = looked["."].as_ref().unwrap().plan.to_string();
    let status = run(report::status(&view, None)).unwrap();
    let history = report::history(&view, None, 5).unwrap();
    for text in [plan, status.text(), history.text()] {
        let pinned = format!(
            "pinned to 1-{} since 2026-01-01 00:00 UTC by ada",
            v1.short()
        );
        assert!(text.contains(&pinned), "{text}");
        assert!(
            text.contains("lift with: moored retry --stack shop"),
            "{text}"
        );
    }
    let json = serde_json::to_value(&status).unwrap();
    assert_eq!(json[0]["pinned"]["release"]["attempt"], 1);
    let json = serde_json::to_value(&history).unwrap();
    assert!(json["shop"].is_array(), "as it always was: {json}");
    // Git is back and has moved on; the pin still counts.
    town.url = there;
    town.shop("app:v3");
    let passed = town.pass().remove(".").unwrap().unwrap();
    assert!(passed.outcome.is_none() && is_pinned(&passed.looked.plan.holds));
    assert_eq!(town.image("shop"), "app:v1");
    let pin = town.bench.record().lift_pin(&shop()).unwrap();
    assert_eq!(pin.unwrap().release.revision, v1);
    town.succeeds();
    assert_eq!(town.image("shop"), "app:v3");
    assert_ne!(town.head(), v2);
}

#[test]
fn a_pinned_stack_is_found_whatever_became_of_it_in_git() {
    for (name, text) in [
        ("moored.yaml", "stack: ["),
        ("moored.yaml", ""),
        ("compose.yaml", "services: 3\n"),
    ] {
        let town = Town::new();
        town.release("app:v1");
        town.release("app:v2");
        town.commit(&[(name, text)]);
        // With a broken commit in Git, what runs is the last healthy release.
        run(stacks::load(&town.view(), None)).ok();
        let done = town.hold().unwrap();
        assert_eq!(done.release.attempt, 2, "{name} {text}");
        let done = town
            .ask(&Ask {
                to: Some("v1"),
                hold: true,
                ..plain()
            })
            .unwrap();
        assert_eq!(done.release.attempt, 1);
        let passed = town.pass().remove(".").unwrap().unwrap();
        assert_eq!(passed.outcome, Some(Outcome::Succeeded));
        assert_eq!(town.image("shop"), "app:v1");
    }
}

#[test]
fn other_stacks_go_on_beside_a_pinned_one() {
    let town = Town::new();
    let compose = |image: &str| format!("services: {{web: {{image: '{image}'}}}}\n");
    let both = |image: &str| {
        town.commit(&[
            ("a/moored.yaml", "stack: shop\nsoak: 0s\n"),
            ("a/compose.yaml", &compose(image)),
            ("b/moored.yaml", "stack: other\nsoak: 0s\n"),
            ("b/compose.yaml", &compose(image)),
        ]);
    };
    both("app:v1");
    town.succeeds();
    both("app:v2");
    town.succeeds();
    let ask = Ask {
        stack: Some("shop"),
        hold: true,
        ..plain()
    };
    town.ask(&ask).unwrap();
    both("app:v3");
    let all = town.pass();
    assert!(all.values().all(Result::is_ok));
    assert_eq!(
        (town.image("shop"), town.image("other")),
        ("app:v1".into(), "app:v3".into())
    );
    // Even when it has moved in Git.
    town.commit(&[
        ("a/moored.yaml", ""),
        ("a/compose.yaml", ""),
        ("c/moored.yaml", "stack: shop\nsoak: 0s\n"),
        ("c/compose.yaml", &compose("app:v3")),
    ]);
    let all = town.pass();
    assert_eq!(all.keys().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(town.image("shop"), "app:v1");
}

#[test]
fn a_pin_goes_where_a_commit_would() {
    let mut town = Town::new();
    let v1 = town.release("app:v1");
    let v2 = town.release("app:v2");
    town.release("app:v3");
    assert_eq!(town.hold().unwrap().release.revision, v2);
    assert_eq!(
        town.hold().unwrap().release.revision,
        v2,
        "asked twice in a hurry"
    );
    town.pass();
    assert_eq!(
        town.hold().unwrap().release.revision,
        v1,
        "v2 runs and is bad too"
    );
    town.pass();
    // Git says v3, somebody went back from it: the commit is for what runs.
    let done = town.back().unwrap();
    assert_eq!(done.release.revision, v1);
    let text = town.printed(done);
    assert!(
        text.contains("pinned to 1-"),
        "it is said that Git is not followed: {text}"
    );
    assert_eq!(town.files(&town.head()), town.files(&v1));
    town.bench.record().lift_pin(&shop()).unwrap();
    town.succeeds();
    assert_eq!(town.image("shop"), "app:v1");
    // What failed: the pin is for what the host went back to.
    town.shop("bad:v1");
    town.pass();
    town.url = "/nowhere/at/all".into();
    assert_eq!(
        town.hold().unwrap().release.revision,
        town.bench
            .record()
            .last_release(&shop())
            .unwrap()
            .unwrap()
            .id
            .revision
    );
}

#[test]
fn a_pinned_commit_that_is_gone_changes_nothing() {
    let town = Town::new();
    town.release("app:v1");
    let v2 = town.release("app:v2");
    town.hold().unwrap();
    let before = town.bench.engine.world().calls.len();
    // Git's history is rewritten, and the mirror is another one.
    let tree = town
        .origin
        .repository
        .find_commit(git2::Oid::from_str(v2.as_str()).unwrap());
    let tree = tree.unwrap().tree_id();
    town.origin.commit_tree("main", tree, &[], "the only one");
    std::fs::remove_dir_all(town.view().mirror()).unwrap();
    let refused = town.pass().remove("shop").unwrap().map(|_| ()).unwrap_err();
    assert!(matches!(refused, LoadError::Pinned { .. }), "{refused}");
    let text = refused.to_string();
    assert!(text.contains("stack shop is pinned to 1-"), "{text}");
    assert!(
        text.contains("moored retry --stack shop lifts the pin"),
        "{text}"
    );
    assert_eq!(town.image("shop"), "app:v2");
    assert_eq!(town.bench.engine.world().calls.len(), before);
    let refused = town
        .ask(&Ask {
            to: Some("v1"),
            hold: true,
            ..plain()
        })
        .unwrap_err();
    assert!(
        matches!(refused, RollbackError::Unreadable { .. }),
        "{refused}"
    );
}

#[test]
fn a_pin_frees_what_failed_at_its_own_commit() {
    let town = Town::new();
    let v1 = town.release("app:v1");
    town.release("app:v2");
    town.hold().unwrap();
    // It can not be put in place just now.
    let fault = crate::support::fake_engine::Faults::fail_on("create_container shop-web-1");
    town.bench.engine.faults(fault);
    let passed = town.pass().remove(".").unwrap().unwrap();
    assert!(
        matches!(
            passed.outcome,
            Some(Outcome::RolledBack { .. } | Outcome::Failed { .. })
        ),
        "{:?}",
        passed.outcome
    );
    town.bench
        .engine
        .faults(crate::support::fake_engine::Faults::none());
    let passed = town.pass().remove(".").unwrap().unwrap();
    assert_eq!(passed.looked.plan.weight(), Some(Weight::Blocking));
    town.ask(&Ask {
        to: Some("v1"),
        hold: true,
        ..plain()
    })
    .unwrap();
    let passed = town.pass().remove(".").unwrap().unwrap();
    assert_eq!(passed.outcome, Some(Outcome::Succeeded));
    assert_eq!(passed.looked.desired.commit.revision, v1);
}
