//! Plans for files that no branch of the host has: they say what would have to wait.

use std::collections::BTreeMap;
use std::path::Path;

use moored::pass::{ByStack, Looked};
use moored::plan::{Hold, Waits};
use moored::snapshot::{self, Compared, Snapshot};
use moored::source::{Revision, Tree};
use moored::{reconcile, stacks};
use tempfile::TempDir;

use super::{FRIDAYS, approve, with_approvals};
use crate::support::town::{Town, run};
use crate::support::{by_hand, put};

/// Returns a directory with a stack `shop` that has this image.
fn shop(image: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    put(dir.path().join("moored.yaml"), "stack: shop\nsoak: 0s\n");
    let compose = format!("services: {{web: {{image: '{image}'}}}}\n");
    put(dir.path().join("compose.yaml"), compose);
    dir
}

/// Looks at files as `plan --from` and `--revision` do.
fn look(town: &Town, tree: &Tree) -> ByStack<Looked> {
    let view = town.view();
    let loaded = stacks::of_tree(&view, tree, None).unwrap();
    run(reconcile::look_at_all(&view, loaded))
}

fn look_in(town: &Town, dir: &Path) -> ByStack<Looked> {
    look(town, &Tree::in_directory(dir).unwrap())
}

fn look_at(town: &Town, revision: &Revision) -> ByStack<Looked> {
    let tree = Tree::at_commit(&town.view().mirror(), revision).unwrap();
    look(town, &tree)
}

/// Returns what the stack at the root waits for.
#[track_caller]
fn waits(looked: ByStack<Looked>) -> Vec<Waits> {
    let looked = BTreeMap::into_values(looked).next().unwrap().unwrap();
    let holds = looked.plan.holds.into_iter();
    let waits = holds.filter_map(|hold| {
        if let Hold::Waits(waits) = hold {
            Some(waits)
        } else {
            None
        }
    });
    waits.collect()
}

#[test]
fn files_that_are_not_committed_wait_for_their_hours() {
    let mut town = Town::new();
    town.release("app:v1");
    town.release("app:v2");
    town.windows = FRIDAYS.to_owned();
    let new = look_in(&town, shop("app:v3").path());
    assert!(!new["."].as_ref().unwrap().plan.held_back.is_empty());
    let new = waits(new);
    assert!(matches!(new[..], [Waits::Window(_)]), "{new:?}");
    // What is released, and drift from it, and what goes back.
    assert_eq!(waits(look_in(&town, shop("app:v2").path())), []);
    by_hand::apply(&mut town.bench, "stop web", &|_| panic!("no pass"));
    assert_eq!(waits(look_in(&town, shop("app:v2").path())), []);
    assert_eq!(waits(look_in(&town, shop("app:v1").path())), []);
    town.bench.clock.advance(24 * 3600);
    assert_eq!(waits(look_in(&town, shop("app:v3").path())), []);
}

#[test]
fn files_that_are_not_committed_are_approved_by_nobody() {
    let (town, _signing) = with_approvals();
    let waits = waits(look_in(&town, shop("app:v2").path()));
    let text = waits[0].to_string();
    assert!(
        text.contains("waits for approval by ops@example.org (these files are in no commit"),
        "{text}"
    );
}

#[test]
fn a_commit_is_approved_or_not() {
    let (town, signing) = with_approvals();
    let v2 = town.shop("app:v2");
    let approved = approve(&town, &signing, "ops", "ops");
    // Fetched, and not passed over.
    run(stacks::load(&town.view(), None)).unwrap();
    let waits_for = waits(look_at(&town, &v2));
    assert!(
        matches!(waits_for[..], [Waits::Approval(_)]),
        "{waits_for:?}"
    );
    assert_eq!(waits(look_at(&town, &approved)), []);
}

#[test]
fn a_rule_for_a_stack_that_a_change_renames_is_told() {
    let mut town = Town::new();
    town.release("app:v1");
    town.windows = FRIDAYS.to_owned();
    let dir = shop("app:v1");
    put(dir.path().join("moored.yaml"), "stack: shop-two\n");
    let looked = look_in(&town, dir.path());
    let error = looked["windows.shop"].as_ref().err().unwrap().to_string();
    assert!(error.contains("names \"shop\""), "{error}");
}

/// Takes a snapshot of the town, and plans files against it.
fn compare(town: &Town, dir: &Path) -> Compared {
    let view = town.view();
    let looked = run(reconcile::look(&view, None)).unwrap();
    let taken = snapshot::take(&view, &looked);
    let json = serde_json::to_string(&taken).unwrap();
    let taken = Snapshot::parse(json.as_bytes()).unwrap();
    let tree = Tree::in_directory(dir).unwrap();
    snapshot::plan(&taken, &tree, None, None).unwrap()
}

#[test]
fn a_change_waits_away_from_the_host_too() {
    let (mut town, _signing) = with_approvals();
    town.windows = FRIDAYS.to_owned();
    let compared = compare(&town, shop("app:v2").path());
    let approval = "shop (by ops@example.org)".to_owned();
    assert_eq!(compared.unapproved, [approval].into());
    let plan = compared.looked["."].as_ref().unwrap().plan.to_string();
    assert!(
        plan.contains("the window opens at Fri 2026-01-02"),
        "{plan}"
    );
    // What is in place waits for nothing.
    let compared = compare(&town, shop("app:v1").path());
    assert_eq!(compared.unapproved, [].into());
    assert_eq!(waits(compared.looked), []);
    town.bench.clock.advance(24 * 3600);
    let compared = compare(&town, shop("app:v2").path());
    assert_eq!(waits(compared.looked), []);
}
