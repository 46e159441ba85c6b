//! What has to wait for an approval, for its hours or for the end of a suspension, and what never
//! does. Real repositories, signatures that OpenSSH made, an engine in memory.

mod look;
mod nameless;
mod schedules;

use moored::gates::Suspension;
use moored::journal::Outcome;
use moored::pass::Passed;
use moored::plan::{Hold, Kind, Waits, Weight};
use moored::report::{self, Report as _};
use moored::source::Revision;

use crate::support::by_hand;
use crate::support::origin::oid;
use crate::support::signing::Signing;
use crate::support::town::{Town, named, run, shop};

/// A town with a release of `app:v1`, where ops (and nobody else) may approve; eve may sign too.
fn with_approvals() -> (Town, Signing) {
    let signing = Signing::new();
    signing.person("ops", "ed25519");
    signing.person("eve", "ed25519");
    signing.allow(&[("ops", ""), ("eve", "")]);
    let mut town = Town::new();
    town.release("app:v1");
    let file = signing.file().display().to_string();
    town.approvals = format!("shop: {{signers: [ops@example.org], allowed_signers: '{file}'}}");
    (town, signing)
}

/// Puts an empty commit on top that says who approves, signed by somebody.
fn approve(town: &Town, signing: &Signing, named: &str, by: &str) -> Revision {
    say(town, named);
    signing.sign(&town.origin, "main", by)
}

/// Puts an empty commit on top that says who approves.
fn say(town: &Town, named: &str) -> Revision {
    let head = town.head();
    let commit = town.origin.repository.find_commit(oid(&head)).unwrap();
    let message = format!("Approve\n\nApproved-by: Somebody <{named}@example.org>\n");
    town.origin
        .commit_tree("main", commit.tree_id(), &[oid(&head)], &message)
}

/// Does a pass that must change nothing; returns what the stack waits for.
#[track_caller]
fn waits(town: &Town) -> Waits {
    let before = town.bench.engine.world().calls.len();
    let mut passes = town.pass();
    let Passed { looked, outcome } = passes.pop_first().unwrap().1.unwrap();
    assert_eq!(outcome, None, "{}", looked.plan);
    assert_eq!(town.bench.engine.world().calls.len(), before);
    assert_eq!(looked.plan.weight(), Some(Weight::Blocking));
    let mut holds = looked.plan.holds.into_iter();
    let found = holds.find_map(|hold| {
        if let Hold::Waits(waits) = hold {
            Some(waits)
        } else {
            None
        }
    });
    let waits = found.expect("it waits for something");
    let status = run(report::status(&town.view(), None)).unwrap();
    let text = status.text();
    assert!(text.contains(&waits.to_string()), "{text}\n{waits}");
    waits
}

#[test]
fn what_is_new_waits_for_a_signed_approval() {
    let (town, signing) = with_approvals();
    let v2 = town.shop("app:v2");
    let text = waits(&town).to_string();
    insta::assert_snapshot!(named(&text, &[(&v2, "V2")]), @r#"V2 waits for approval by ops@example.org; one of them commits on top: git commit --allow-empty --gpg-sign -m Approve --trailer "Approved-by: NAME <ops@example.org>" --trailer "Approved-stacks: shop""#);
    // Text alone counts for nothing.
    say(&town, "ops");
    waits(&town);
    // Nor does the signature of somebody who may only sign.
    approve(&town, &signing, "ops", "eve");
    let text = waits(&town).to_string();
    assert!(
        text.contains("signed by eve@example.org, who may not approve"),
        "{text}"
    );
    approve(&town, &signing, "eve", "ops");
    let text = waits(&town).to_string();
    assert!(
        text.contains("for eve@example.org, and is signed by ops@example.org"),
        "{text}"
    );
    approve(&town, &signing, "ops", "ops");
    town.succeeds();
    assert_eq!(town.image("shop"), "app:v2");
}

#[test]
fn an_approval_is_of_content() {
    let (town, signing) = with_approvals();
    town.shop("app:v2");
    approve(&town, &signing, "ops", "ops");
    // Work on something else does not take it away.
    town.commit(&[("note", "of another stack")]);
    town.succeeds();
    assert_eq!(town.image("shop"), "app:v2");
    // One more change of this stack does.
    town.shop("app:v3");
    approve(&town, &signing, "ops", "ops");
    town.commit(&[("moored.yaml", "stack: shop\nsoak: 0s\nprune: true\n")]);
    waits(&town);
    assert_eq!(town.image("shop"), "app:v2");
    approve(&town, &signing, "ops", "ops");
    town.succeeds();
    assert_eq!(town.image("shop"), "app:v3");
}

#[test]
fn an_approval_may_be_for_some_stacks_alone() {
    let (town, signing) = with_approvals();
    let say = |stacks: &str| {
        let head = town.head();
        let commit = town.origin.repository.find_commit(oid(&head)).unwrap();
        let message =
            format!("Approve\n\nApproved-by: Ops <ops@example.org>\nApproved-stacks: {stacks}\n");
        let tree = commit.tree_id();
        town.origin
            .commit_tree("main", tree, &[oid(&head)], &message);
        signing.sign(&town.origin, "main", "ops");
    };
    town.shop("app:v2");
    say("board, shop-two");
    let text = waits(&town).to_string();
    assert!(text.contains("is for board, shop-two alone"), "{text}");
    say("board, shop");
    town.succeeds();
    assert_eq!(town.image("shop"), "app:v2");
}

#[test]
fn going_back_needs_no_approval() {
    let (town, signing) = with_approvals();
    town.shop("app:v2");
    approve(&town, &signing, "ops", "ops");
    town.succeeds();
    town.back().unwrap();
    town.succeeds();
    assert_eq!(town.image("shop"), "app:v1");
    // A new one that was never here does.
    town.shop("app:v3");
    waits(&town);
}

#[test]
fn without_keys_nobody_approves() {
    let (mut town, signing) = with_approvals();
    town.shop("app:v2");
    approve(&town, &signing, "ops", "ops");
    town.approvals = "shop: {signers: [ops@example.org]}".to_owned();
    let text = waits(&town).to_string();
    assert!(text.contains("nobody's keys are known"), "{text}");
    town.approvals = "shop: {signers: [ops@example.org], allowed_signers: /nowhere}".to_owned();
    let text = waits(&town).to_string();
    assert!(text.contains("/nowhere can't be read"), "{text}");
}

#[test]
fn the_first_release_needs_an_approval_of_the_head() {
    let (town, signing) = with_approvals();
    let mut new = Town::new();
    new.approvals.clone_from(&town.approvals);
    let status = |town: &Town| run(report::status(&town.view(), None)).unwrap().text();
    let nothing = "nothing has been released on this host yet\n";
    assert_eq!(status(&new), nothing);
    new.shop("app:v1");
    approve(&new, &signing, "ops", "ops");
    new.commit(&[("note", "later")]);
    let (_, passed) = new.pass().pop_first().unwrap();
    let passed = passed.unwrap();
    assert_eq!(passed.outcome, None);
    assert!(
        passed
            .looked
            .plan
            .to_string()
            .contains("waits for approval")
    );
    let said = status(&new);
    let head = new.head();
    assert_eq!(
        said.split(" by ").next(),
        Some(
            format!(
                "shop  release none\n  held          {} waits for approval",
                head.short()
            )
            .as_str()
        ),
        "{said}"
    );
    approve(&new, &signing, "ops", "ops");
    new.succeeds();
    assert_eq!(new.image("shop"), "app:v1");
}

#[test]
fn a_stack_that_git_suspends_before_its_first_release_is_in_the_status() {
    let town = Town::new();
    let suspended = "stack: shop\nsoak: 0s\nsuspend: {reason: fair}\n";
    let compose = "services: {web: {image: 'app:v1'}}\n";
    town.commit(&[("moored.yaml", suspended), ("compose.yaml", compose)]);
    town.pass();
    let status = run(report::status(&town.view(), Some("shop"))).unwrap();
    let said = status.text();
    assert!(
        said.starts_with("shop  release none\n  held          suspended (fair) in Git"),
        "{said}"
    );
    let other = run(report::status(&town.view(), Some("other"))).unwrap();
    assert!(other.0.is_empty());
}

/// The clock of the bench begins on 2026-01-01, a Thursday, at midnight.
const FRIDAYS: &str = "shop: {deploy: 'Fri 00:00-24:00', zone: UTC}";

#[test]
fn what_is_new_waits_for_its_hours_and_the_release_is_kept_meanwhile() {
    let mut town = Town::new();
    town.release("app:v1");
    town.windows = FRIDAYS.to_owned();
    town.shop("app:v2");
    let text = waits(&town).to_string();
    assert!(
        text.contains("the window opens at Fri 2026-01-02 00:00 UTC"),
        "{text}"
    );
    by_hand::apply(&mut town.bench, "stop web", &|_| panic!("no pass"));
    let (_, passed) = town.pass().pop_first().unwrap();
    let passed = passed.unwrap();
    assert_eq!(
        passed.outcome,
        Some(Outcome::Succeeded),
        "{}",
        passed.looked.plan
    );
    assert_eq!(passed.looked.plan.kind, Kind::Heal);
    assert_eq!(town.image("shop"), "app:v1");
    waits(&town);
    town.bench.clock.advance(24 * 3600);
    town.succeeds();
    assert_eq!(town.image("shop"), "app:v2");
}

#[test]
fn a_plan_says_when_what_it_waits_for_is_over() {
    let mut town = Town::new();
    town.release("app:v1");
    let changes_at = |town: &Town| {
        let (_, passed) = town.pass().pop_first().unwrap();
        let at = passed.unwrap().looked.plan.changes_at();
        at.map(|at| at.to_string())
    };
    town.shop("app:v2");
    town.approvals = "shop: {signers: [ops@example.org]}".to_owned();
    assert_eq!(
        changes_at(&town),
        None,
        "nobody knows when somebody approves"
    );
    town.windows = FRIDAYS.to_owned();
    assert_eq!(changes_at(&town).as_deref(), Some("2026-01-02T00:00:00Z"));
    let suspended = "stack: shop\nsoak: 0s\nsuspend: {reason: fair, until: 2026-01-01 18:00}\n";
    town.commit(&[("moored.yaml", suspended)]);
    assert_eq!(changes_at(&town).as_deref(), Some("2026-01-01T18:00:00Z"));
    town.bench.clock.advance(18 * 3600);
    assert_eq!(changes_at(&town).as_deref(), Some("2026-01-02T00:00:00Z"));
}

#[test]
fn going_back_waits_for_no_hours() {
    let mut town = Town::new();
    town.release("app:v1");
    town.release("app:v2");
    town.windows = FRIDAYS.to_owned();
    town.shop("app:v1");
    town.succeeds();
    assert_eq!(town.image("shop"), "app:v1");
}

#[test]
fn a_commit_that_is_not_about_the_stack_waits_for_nothing() {
    let (mut town, _signing) = with_approvals();
    town.windows = FRIDAYS.to_owned();
    town.commit(&[("note", "of another stack")]);
    town.succeeds();
}

#[test]
fn a_suspended_stack_is_left_alone_until_it_is_resumed() {
    let mut town = Town::new();
    town.release("app:v1");
    let record = town.bench.record();
    let now = jiff::Timestamp::from_second(town.bench.clock.seconds()).unwrap();
    let mut suspension = Suspension {
        reason: "disk".to_owned(),
        until: None,
        since: Some(now),
        by: Some("ada".to_owned()),
    };
    record.suspend(&shop(), &suspension).unwrap();
    assert_eq!(
        record.suspension(&shop()).unwrap().as_ref(),
        Some(&suspension)
    );
    town.shop("app:v2");
    by_hand::apply(&mut town.bench, "stop web", &|_| panic!("no pass"));
    let text = waits(&town).to_string();
    assert!(text.contains("moored resume shop"), "{text}");
    assert_eq!(record.resume(&shop()).unwrap().as_ref(), Some(&suspension));
    assert_eq!(record.resume(&shop()).unwrap(), None);
    town.succeeds();
    assert_eq!(town.image("shop"), "app:v2");
    // It ends by itself.
    suspension.until = Some(now + jiff::SignedDuration::from_hours(1));
    record.suspend(&shop(), &suspension).unwrap();
    town.shop("app:v3");
    waits(&town);
    town.bench.clock.advance(3600);
    town.succeeds();
    assert_eq!(town.image("shop"), "app:v3");
}

#[test]
fn git_suspends_a_stack_and_lets_it_go_again() {
    let town = Town::new();
    town.release("app:v1");
    let plain = "stack: shop\nsoak: 0s\n";
    let suspended = format!("{plain}suspend: {{reason: fair}}\n");
    let compose = "services: {web: {image: 'app:v2'}}\n";
    town.commit(&[("moored.yaml", &suspended), ("compose.yaml", compose)]);
    let text = waits(&town).to_string();
    assert!(text.starts_with("suspended (fair) in Git"), "{text}");
    town.commit(&[("moored.yaml", plain)]);
    town.succeeds();
    assert_eq!(town.image("shop"), "app:v2");
}
