//! Decides whether a backup holds enough to count as one: a check of its integrity passes an
//! empty database too.

use super::{BackupError, Content, Manifest};
use crate::desired::backups::Floors;

/// Checks a backup against what the manifest asks for, and against the verified one before.
pub(super) fn check(
    floors: &Floors,
    content: &Content,
    size: u64,
    before: Option<&Manifest>,
) -> Result<(), BackupError> {
    if size == 0 {
        let what = "it is empty".to_owned();
        return Err(too_little(what, "look at what the source says"));
    }
    if let Some(rows) = content.rows() {
        let tables = count(rows.len());
        if tables < floors.tables {
            let what = format!(
                "{tables} tables, and at least {} are asked for",
                floors.tables
            );
            return Err(too_little(what, "check that this is the right database"));
        }
        for (table, least) in &floors.rows {
            let Some(found) = rows.get(table) else {
                let what = format!("there is no table {table}");
                return Err(too_little(what, "check floors.rows in the manifest"));
            };
            if found < least {
                let what =
                    format!("table {table} has {found} rows, and at least {least} are asked for");
                return Err(too_little(what, "check that this is the right database"));
            }
        }
    }
    let Some(before) = before.filter(|before| before.content.kind() == content.kind()) else {
        return Ok(());
    };
    let mut pairs = vec![("bytes", before.size, size)];
    if let (Some(old), Some(new)) = (before.content.rows(), content.rows()) {
        pairs.push(("tables", count(old.len()), count(new.len())));
        pairs.push(("rows in all", sum(old.values()), sum(new.values())));
    }
    for (what, old, new) in pairs {
        if shrank(old, new, floors.shrink) {
            return Err(too_little(
                format!(
                    "{new} {what}, and {} had {old}: more than {}% less",
                    before.file, floors.shrink
                ),
                "if that is right, raise floors.shrink in the manifest (100% allows everything)",
            ));
        }
    }
    Ok(())
}

fn count(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

fn sum<'a>(rows: impl Iterator<Item = &'a u64>) -> u64 {
    rows.fold(0, |sum, rows| sum.saturating_add(*rows))
}

fn shrank(old: u64, new: u64, hundredths: u8) -> bool {
    let least = u128::from(old) * u128::from(100 - hundredths.min(100));
    u128::from(new) * 100 < least
}

fn too_little(what: String, hint: &str) -> BackupError {
    BackupError::TooLittle {
        what,
        hint: hint.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_it_may_go() {
        assert!(!shrank(100, 50, 50));
        assert!(shrank(100, 49, 50));
        assert!(shrank(1, 0, 50));
        assert!(!shrank(100, 0, 100));
        assert!(!shrank(0, 0, 0));
        assert!(shrank(u64::MAX, 1, 50));
    }
}
