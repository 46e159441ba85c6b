//! Settles what a killed process left: open attempts, and half-written backups.

use super::Hands;
use crate::backup;
use crate::desired::DesiredState;
use crate::record::RecordError;

/// Ends the attempts that a killed process left open, and takes away what it left half-written.
/// The lock of the stack must be held: nobody is at work on it then.
///
/// # Errors
/// The record could not be read or written.
pub fn settle_leftovers(hands: &Hands, desired: &DesiredState) -> Result<(), RecordError> {
    let stack = &desired.stack;
    hands.record.end_interrupted(stack, hands.clock.now())?;
    let backups = desired.backups.values();
    let passed = backups.filter(|one| hands.pass_backup(stack, one).is_ok());
    for place in passed.flat_map(backup::places) {
        // What can't be taken away now is another time; the next backup says what is wrong.
        let swept = backup::sweep(&place, hands.record.instance(), stack);
        tracing::debug!(place = %place.display(), swept = swept.is_ok(), "half-written backups");
    }
    // Copies of configuration, keys maybe among them. The next test makes its own.
    std::fs::remove_dir_all(hands.staging_of(stack)).unwrap_or_default();
    Ok(())
}
