//! A head that does not go on from what was released.

use moored::plan::Hold;
use moored::report::{self, Report as _};

use super::held;
use crate::support::origin::oid;
use crate::support::town::{Town, named, run};

fn rewritten(hold: &Hold) -> String {
    assert!(matches!(hold, Hold::HistoryRewritten { .. }), "{hold}");
    hold.to_string()
}

#[test]
fn a_branch_that_is_set_back_is_held_and_told_everywhere() {
    let town = Town::new();
    let v1 = town.release("app:v1");
    let v2 = town.release("app:v2");
    town.origin.point("main", oid(&v1));
    let said = rewritten(&held(&town));
    insta::assert_snapshot!(named(&said, &[(&v1, "V1"), (&v2, "V2")]), @"the history of branch main was rewritten: V2..V1 does not go on from what was released; push a commit that descends from V2, or say allow_force_push: true in the host's settings");
    assert_eq!(town.image("shop"), "app:v2");
    let status = run(report::status(&town.view(), None)).unwrap();
    assert!(status.text().contains(&said), "{}", status.text());

    // Forward again, and nothing is to be said.
    town.origin.point("main", oid(&v2));
    town.succeeds();
    let status = run(report::status(&town.view(), None)).unwrap();
    assert!(!status.text().contains("held"), "{}", status.text());
}

#[test]
fn unrelated_history_is_held_even_with_a_new_mirror() {
    let town = Town::new();
    town.release("app:v1");
    let v2 = town.release("app:v2");
    let tree = town.origin.repository.find_commit(oid(&v2)).unwrap();
    let orphan = (town.origin).commit_tree("main", tree.tree_id(), &[], "from scratch");
    let said = rewritten(&held(&town));
    assert!(said.contains(orphan.short()), "{said}");
    std::fs::remove_dir_all(town.view().mirror()).unwrap();
    // What was released is not there any more to stay at; nothing is changed all the same.
    let before = town.bench.engine.world().calls.len();
    let passes = town.pass();
    let error = passes.into_values().next().unwrap().map(drop).unwrap_err();
    assert!(error.to_string().contains("was rewritten"), "{error}");
    assert_eq!(town.bench.engine.world().calls.len(), before);
    let status = run(report::status(&town.view(), None)).unwrap();
    assert!(status.text().contains("was rewritten"), "{}", status.text());
}

#[test]
fn the_settings_can_allow_it_and_the_release_goes_on_from_there() {
    let mut town = Town::new();
    let v1 = town.release("app:v1");
    town.release("app:v2");
    town.origin.point("main", oid(&v1));
    rewritten(&held(&town));
    town.allow_force_push = true;
    town.succeeds();
    assert_eq!(town.image("shop"), "app:v1");
    town.allow_force_push = false;
    town.succeeds();
    town.release("app:v3");

    // The same files in another commit: nothing to do, and yet the history goes on from it.
    let head = town.head();
    let commit = town.origin.repository.find_commit(oid(&head)).unwrap();
    (town.origin).commit_tree("main", commit.tree_id(), &[oid(&v1)], "said better");
    rewritten(&held(&town));
    town.allow_force_push = true;
    town.succeeds();
    town.allow_force_push = false;
    town.succeeds();
    town.release("app:v1");
}

#[test]
fn a_commit_that_brings_both_together_ends_it() {
    let town = Town::new();
    let v1 = town.release("app:v1");
    let v2 = town.release("app:v2");
    town.origin.point("main", oid(&v1));
    let other = town.shop("app:v3");
    rewritten(&held(&town));
    let tree = town.origin.repository.find_commit(oid(&other)).unwrap();
    let parents = [oid(&other), oid(&v2)];
    (town.origin).commit_tree("main", tree.tree_id(), &parents, "merge");
    town.succeeds();
    assert_eq!(town.image("shop"), "app:v3");
}

#[test]
fn a_failed_revision_may_be_taken_out_of_the_history() {
    let town = Town::new();
    let v1 = town.release("app:v1");
    town.shop("bad:v1");
    town.pass();
    town.origin.point("main", oid(&v1));
    town.succeeds();
    town.release("app:v2");
}

#[test]
fn what_was_changed_by_hand_stays_and_a_broken_state_is_its_own_finding() {
    let town = Town::new();
    let v1 = town.release("app:v1");
    town.release("app:v2");
    town.origin.point("main", oid(&v1));
    town.commit(&[("compose.yaml", "services: {web: [\n")]);
    let error = town.pass().into_values().next().unwrap().map(drop);
    assert!(error.unwrap_err().to_string().contains("compose.yaml"));
    assert_eq!(town.image("shop"), "app:v2");
}

#[test]
fn stacks_on_branches_of_one_repository_are_held_one_by_one() {
    let mut town = Town::new();
    town.stacks = "[production, {dir: staging, branch: staging}]";
    let stack = |name: &str, image: &str| {
        (
            format!("stack: {name}\nsoak: 0s\n"),
            format!("services: {{web: {{image: '{image}'}}}}\n"),
        )
    };
    let put = |branch: &str, dir: &str, image: &str| {
        let (manifest, compose) = stack(dir, image);
        let files = [
            (format!("{dir}/moored.yaml"), manifest),
            (format!("{dir}/compose.yaml"), compose),
        ];
        let files = files
            .each_ref()
            .map(|(path, text)| (path.as_str(), text.as_str()));
        town.commit_to(branch, &files)
    };
    put("main", "production", "app:v1");
    let first = put("staging", "staging", "app:v1");
    town.succeeds();
    put("staging", "staging", "app:v2");
    town.succeeds();
    assert_eq!(town.image("staging"), "app:v2");
    assert_eq!(town.image("production"), "app:v1");

    town.origin.point("staging", oid(&first));
    put("main", "production", "app:v2");
    let mut passes = town.pass();
    let staging = passes.remove("staging").unwrap().unwrap();
    assert!(
        matches!(staging.looked.plan.holds[0], Hold::HistoryRewritten { .. }),
        "{}",
        staging.looked.plan
    );
    assert_eq!(town.image("staging"), "app:v2");
    assert_eq!(town.image("production"), "app:v2");
    let kept = std::fs::read_dir(town.bench.state_dir()).unwrap();
    let kept = kept.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut mirrors: Vec<String> = kept.filter(|name| name.starts_with("mirror.git")).collect();
    mirrors.sort();
    assert_eq!(mirrors, ["mirror.git", "mirror.git.home"], "one for all");

    town.stacks = "[production, {dir: staging, branch: staging, allow_force_push: true}]";
    town.succeeds();
    assert_eq!(town.image("staging"), "app:v1");
}
