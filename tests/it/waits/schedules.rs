//! What schedules are carried out of while a commit waits, is held or can't be loaded.

use moored::desired::DesiredState;
use moored::journal::Outcome;
use moored::pass::{self, PassError, Passed};
use moored::plan::{Hold, Waits};
use moored::{reconcile, stacks};
use tokio::sync::watch;

use super::{FRIDAYS, approve, waits, with_approvals};
use crate::support::town::{Town, run, shop};

/// Puts a manifest on the branch whose backup keeps the newest so many; 0 = it has none.
fn keeping(town: &Town, last: u32) {
    let backups = format!(
        "backups:\n  db:\n    command: {{service: web, run: [dump]}}\n    to: /srv/kept\n    \
         schedule: '* * * * *'\n    keep: {{last: {last}}}\n"
    );
    let backups = if last == 0 { "" } else { &backups };
    let manifest = format!("stack: shop\nsoak: 0s\n{backups}");
    town.commit(&[("moored.yaml", &manifest)]);
}

/// Does a pass as the controller does it.
fn pass(town: &Town) -> Result<Passed, PassError> {
    let (_keep, stop) = watch::channel(false);
    let (view, hands) = (town.view(), town.bench.hands(stop));
    let loaded = run(stacks::load(&view, None)).unwrap();
    let (dir, desired) = loaded.into_iter().next().unwrap();
    run(reconcile::pass_loaded(&view, &hands, &dir, desired))
}

/// Returns how many backups are kept by what schedules are carried out of after a pass; `None` =
/// nothing is scheduled.
#[track_caller]
fn scheduled(town: &Town) -> Option<u32> {
    let passed = pass(town);
    kept(pass::passed(&passed)?.looked.scheduled()?)
}

fn kept(desired: &DesiredState) -> Option<u32> {
    let backup = desired.backups.values().next()?;
    Some(backup.keep.last)
}

#[test]
fn a_backup_that_nobody_has_approved_is_not_taken() {
    let (town, signing) = with_approvals();
    keeping(&town, 5);
    let Waits::Approval(_) = waits(&town) else {
        panic!("it waits for something else");
    };
    assert_eq!(scheduled(&town), None);
    approve(&town, &signing, "ops", "ops");
    assert_eq!(scheduled(&town), Some(5));
    // How much is kept waits as well, and what was approved goes on.
    keeping(&town, 1);
    waits(&town);
    assert_eq!(scheduled(&town), Some(5));
}

#[test]
fn what_was_let_in_before_a_freeze_goes_on_in_it() {
    let mut town = Town::new();
    town.release("app:v1");
    keeping(&town, 5);
    town.succeeds();
    assert!(pass(&town).unwrap().outcome.is_none());
    town.windows = FRIDAYS.to_owned();
    town.succeeds();
    assert_eq!(scheduled(&town), Some(5));
    for last in [1, 2] {
        keeping(&town, last);
        waits(&town);
        assert_eq!(scheduled(&town), Some(5));
    }
}

#[test]
fn what_is_held_changes_no_schedule() {
    let town = Town::new();
    town.release("app:v1");
    keeping(&town, 5);
    town.succeeds();
    keeping(&town, 1);
    let compose = "services: {web: {image: 'app:v2', privileged: true}}\n";
    town.commit(&[("compose.yaml", compose)]);
    assert_eq!(scheduled(&town), Some(5));
    let compose = "services: {web: {image: 'bad:v1'}}\n";
    town.commit(&[("compose.yaml", compose)]);
    let failed = pass(&town).unwrap().outcome;
    assert!(
        matches!(failed, Some(Outcome::RolledBack { .. })),
        "{failed:?}"
    );
    assert_eq!(scheduled(&town), Some(5));
    let fresh = Town::new();
    fresh.commit(&[("compose.yaml", "services: {web: {image: 'nowhere:v1'}}\n")]);
    keeping(&fresh, 1);
    let passed = pass(&fresh).unwrap();
    let missing = |hold: &Hold| matches!(hold, Hold::ImageMissing { .. });
    assert!(passed.looked.plan.holds.iter().any(missing));
    assert_eq!(scheduled(&fresh), None);
}

#[test]
fn backups_go_on_while_the_head_can_not_be_loaded() {
    let town = Town::new();
    town.release("app:v1");
    keeping(&town, 5);
    town.succeeds();
    town.commit(&[("compose.yaml", "services: {web: {imagge: 'app:v2'}}\n")]);
    let passed = pass(&town);
    assert!(
        matches!(&passed, Err(PassError::Kept { .. })),
        "{:?}",
        passed.err()
    );
    assert_eq!(scheduled(&town), Some(5));
    // What comes of keeping the release is told where it can't be kept.
    let (_keep, stop) = watch::channel(false);
    let hands = town.bench.hands(stop);
    let lock = run(hands.lock_stack(&shop(), std::time::Duration::ZERO)).unwrap();
    assert!(matches!(pass(&town), Err(PassError::Load(_))));
    drop(lock);
    let told = town.bench.told.lock().unwrap();
    let told = told.iter().filter(|line| line.starts_with("not kept ."));
    assert_eq!(told.count(), 1);
}
