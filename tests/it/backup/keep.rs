//! Properties of retention.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use moored::backup::{Content, Manifest, Origin, to_remove};
use moored::desired::StackName;
use moored::desired::backups::{BackupName, Keep};
use proptest::prelude::*;

fn manifest(sequence: u64, taken_at: Timestamp) -> Manifest {
    Manifest {
        format: 1,
        instance: "here".to_owned(),
        stack: StackName::try_from("shop".to_owned()).unwrap(),
        name: BackupName::try_from("db".to_owned()).unwrap(),
        sequence,
        file: format!("f{sequence}"),
        sha256: String::new(),
        size: 1,
        content: Content::Command {},
        tools: BTreeMap::new(),
        taken_at,
        origin: Origin::default(),
    }
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn berlin() -> TimeZone {
    TimeZone::get("Europe/Berlin").unwrap()
}

/// What is kept, newest first, of backups in the order in which they were taken.
fn kept(taken: &[Timestamp], keep: Keep, protected: &[&str]) -> Vec<Timestamp> {
    let made: Vec<Manifest> = (1_u64..)
        .zip(taken)
        .map(|(n, at)| manifest(n, *at))
        .collect();
    let newest_first: Vec<&Manifest> = made.iter().rev().collect();
    let protected = protected.iter().map(|&file| file.to_owned()).collect();
    let removed: BTreeSet<&str> = to_remove(&newest_first, &keep, &protected, &berlin())
        .into_iter()
        .map(|one| one.file.as_str())
        .collect();
    newest_first
        .into_iter()
        .filter(|one| !removed.contains(one.file.as_str()))
        .map(|one| one.taken_at)
        .collect()
}

fn days(times: &[Timestamp]) -> Vec<String> {
    let day = |time: &Timestamp| time.to_zoned(berlin()).strftime("%Y-%m-%d").to_string();
    times.iter().map(day).collect()
}

#[test]
fn a_year_of_nights_leaves_days_weeks_and_months() {
    let first = at("2025-01-01T01:00:00Z").to_zoned(berlin());
    let taken: Vec<Timestamp> = (0..365)
        .map(|n| first.checked_add(n.days()).unwrap().timestamp())
        .collect();
    let found = days(&kept(&taken, Keep::default(), &[]));
    insta::assert_snapshot!(found.join(" "), @"2025-12-31 2025-12-30 2025-12-29 2025-12-28 2025-12-27 2025-12-26 2025-12-25 2025-12-21 2025-12-14 2025-11-30 2025-10-31 2025-09-30 2025-08-31 2025-07-31");
}

#[test]
fn the_day_is_that_of_the_zone() {
    let keep = Keep {
        last: 1,
        daily: 2,
        weekly: 0,
        monthly: 0,
    };
    // 23:30 and 00:30 in Berlin, the same day in UTC.
    let taken = [at("2026-06-01T21:30:00Z"), at("2026-06-01T22:30:00Z")];
    assert_eq!(kept(&taken, keep, &[]).len(), 2);
    let taken = [at("2026-06-01T22:30:00Z"), at("2026-06-02T21:30:00Z")];
    assert_eq!(kept(&taken, keep, &[]), [taken[1]]);
}

/// Backups that a wrong clock put ten years ahead don't hold the places of days for ever, and
/// don't push out what was taken after them.
#[test]
fn a_clock_that_jumps_evicts_nothing_that_is_newer() {
    let keep = Keep {
        last: 2,
        daily: 3,
        weekly: 0,
        monthly: 0,
    };
    let mut taken: Vec<Timestamp> = (1..=9)
        .map(|day| at(&format!("2036-06-0{day}T00:00:00Z")))
        .collect();
    taken.extend((1..=9).map(|day| at(&format!("2026-06-0{day}T00:00:00Z"))));
    assert_eq!(
        days(&kept(&taken, keep, &[])),
        ["2026-06-09", "2026-06-08", "2026-06-07"]
    );
    taken.truncate(10);
    assert_eq!(
        days(&kept(&taken, keep, &[])),
        ["2026-06-01", "2036-06-09", "2036-06-08"]
    );
}

prop_compose! {
    fn keeps()(last in 0_u32..5, daily in 0_u32..9, weekly in 0_u32..6, monthly in 0_u32..9) -> Keep {
        Keep { last, daily, weekly, monthly }
    }
}

fn times() -> impl Strategy<Value = Vec<Timestamp>> {
    // Four years around now, in hours, in any order.
    let hours = 1_700_000_000_i64 / 3600..1_830_000_000 / 3600;
    let time = hours.prop_map(|hour| Timestamp::from_second(hour * 3600).unwrap());
    prop::collection::vec(time, 0..60)
}

proptest! {
    #[test]
    fn the_newest_and_the_protected_always_stay(
        taken in times(), keep in keeps(), protected in prop::collection::btree_set(1_usize..60, 0..4),
    ) {
        let names: Vec<String> = protected.iter().map(|n| format!("f{n}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let found = kept(&taken, keep, &names);
        let last = usize::try_from(keep.last.max(1)).unwrap();
        for newest in taken.iter().rev().take(last) {
            prop_assert!(found.contains(newest));
        }
        for n in protected {
            if let Some(time) = taken.get(n - 1) {
                prop_assert!(found.contains(time));
            }
        }
        let most = keep.last.max(1) + keep.daily + keep.weekly + keep.monthly;
        prop_assert!(found.len() <= usize::try_from(most).unwrap() + names.len());
    }

    /// Removing again removes nothing, and what one more backup pushes out is what was kept.
    #[test]
    fn it_settles(taken in times(), keep in keeps()) {
        let mut once = kept(&taken, keep, &[]);
        once.reverse();
        let mut twice = kept(&once, keep, &[]);
        twice.reverse();
        prop_assert_eq!(once, twice);
    }

    /// With a clock that only goes on, each of the last days that have a backup keeps its newest.
    #[test]
    fn each_day_keeps_its_newest(mut taken in times(), keep in keeps()) {
        taken.sort();
        let found = kept(&taken, keep, &[]);
        let mut newest: BTreeMap<String, Timestamp> = BTreeMap::new();
        for (day, time) in days(&taken).into_iter().zip(&taken) {
            newest.insert(day, *time);
        }
        for time in newest.values().rev().take(usize::try_from(keep.daily).unwrap()) {
            prop_assert!(found.contains(time));
        }
    }

    /// Never fewer than before is kept when more may be.
    #[test]
    fn more_kept_is_never_less(taken in times(), keep in keeps()) {
        let more = Keep { daily: keep.daily + 1, monthly: keep.monthly + 1, ..keep };
        let (few, many) = (kept(&taken, keep, &[]), kept(&taken, more, &[]));
        prop_assert!(few.iter().all(|time| many.contains(time)));
    }
}
