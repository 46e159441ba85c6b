//! Decides which backups are no longer kept.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use super::Manifest;
use crate::desired::backups::Keep;

/// Returns what is no longer kept of these backups, which must be verified and newest first by
/// their sequence.
///
/// The newest `last` and those in `protected` are always kept. Of days, weeks and months the
/// newest backup of each of the newest so many that have one is kept, where "newest" is the
/// sequence too: a clock that jumps can put a backup on a wrong day and can't age it.
pub fn to_remove<'a>(
    newest_first: &[&'a Manifest],
    keep: &Keep,
    protected: &BTreeSet<String>,
    zone: &TimeZone,
) -> Vec<&'a Manifest> {
    let mut kept = vec![false; newest_first.len()];
    // Whatever the manifest says: the newest is the way back.
    let last = usize::try_from(keep.last.max(1)).unwrap_or(usize::MAX);
    for one in kept.iter_mut().take(last) {
        *one = true;
    }
    for (count, period) in [
        (keep.daily, day as fn(&Zoned) -> (i16, u16)),
        (keep.weekly, week),
        (keep.monthly, month),
    ] {
        let mut seen = BTreeSet::new();
        for (one, manifest) in kept.iter_mut().zip(newest_first) {
            if seen.len() >= usize::try_from(count).unwrap_or(usize::MAX) {
                break;
            }
            if seen.insert(period(&local(manifest.taken_at, zone))) {
                *one = true;
            }
        }
    }
    newest_first
        .iter()
        .zip(kept)
        .filter(|(manifest, kept)| !kept && !protected.contains(&manifest.file))
        .map(|(manifest, _)| *manifest)
        .collect()
}

fn local(time: Timestamp, zone: &TimeZone) -> Zoned {
    time.to_zoned(zone.clone())
}

fn day(time: &Zoned) -> (i16, u16) {
    (time.year(), time.day_of_year().unsigned_abs())
}

fn week(time: &Zoned) -> (i16, u16) {
    let week = time.date().iso_week_date();
    (week.year(), u16::from(week.week().unsigned_abs()))
}

fn month(time: &Zoned) -> (i16, u16) {
    (time.year(), u16::from(time.month().unsigned_abs()))
}
