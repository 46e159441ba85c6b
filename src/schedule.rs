//! Does what schedules want: backups, and drills that prove them.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::backup;
use crate::by_hand::{ByHandError, Stack};
use crate::desired::backups::{Backup, BackupName};
use crate::desired::{DesiredState, Schedule, StackName};
use crate::events::Event;
use crate::host::Host;

/// Time until what failed is tried again: long enough not to fill a log, short enough for a night.
const AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// What schedules want, and what of it failed a short while ago.
#[derive(Default)]
pub struct Schedules {
    failed: BTreeMap<(StackName, BackupName, What), Timestamp>,
}

/// What a schedule is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Backup,
    Drill,
}

impl What {
    fn schedule(self, backup: &Backup) -> Option<&Schedule> {
        match self {
            Self::Backup => backup.schedule.as_ref(),
            Self::Drill => backup.drill.as_ref()?.schedule.as_ref(),
        }
    }
}

impl Schedules {
    /// Takes the backups and does the drills of a stack that are due.
    ///
    /// A failure is told as an event and tried again later; it never evicts a good backup.
    pub async fn work(&mut self, host: &Host, desired: &DesiredState) {
        for (name, backup) in &desired.backups {
            for what in [What::Backup, What::Drill] {
                let now = host.hands.clock.now();
                let key = (desired.stack.clone(), name.clone(), what);
                let waits = self
                    .failed
                    .get(&key)
                    .is_some_and(|failed| now < *failed + AGAIN_AFTER);
                if waits || !is_due(host, desired, (name, backup), what, now) {
                    continue;
                }
                match run(host, desired, (name, backup), what).await {
                    Ok(event) => {
                        self.failed.remove(&key);
                        host.hands.events.tell(event);
                    }
                    Err(error) => {
                        self.failed.insert(key, now);
                        let error = host.hands.redactor.clean(&error.to_string());
                        let (stack, name) = (desired.stack.clone(), name.clone());
                        host.hands.events.tell(match what {
                            What::Backup => Event::BackupFailed { stack, name, error },
                            What::Drill => Event::DrillFailed { stack, name, error },
                        });
                    }
                }
            }
        }
    }
}

/// Returns the time until the next thing that a schedule of these stacks wants.
pub fn next<'a>(
    stacks: impl Iterator<Item = &'a DesiredState>,
    now: Timestamp,
) -> Option<Duration> {
    let times = stacks.flat_map(|desired| {
        let backups = desired.backups.values();
        let schedules = backups.flat_map(|backup| {
            let both = [What::Backup, What::Drill].into_iter();
            both.filter_map(|what| what.schedule(backup))
        });
        schedules.filter_map(|schedule| schedule.after(now, &desired.time_zone))
    });
    let next = times.min()?;
    Some(Duration::try_from(next.duration_since(now)).unwrap_or(Duration::ZERO))
}

fn is_due(
    host: &Host,
    desired: &DesiredState,
    (name, backup): (&BackupName, &Backup),
    what: What,
    now: Timestamp,
) -> bool {
    let Some(schedule) = what.schedule(backup) else {
        return false;
    };
    let (instance, stack) = (host.view.instance(), &desired.stack);
    // What can't be looked up is due: the attempt then says what is wrong.
    let found = backup::catalogue(&backup.to, instance, stack, name).unwrap_or_default();
    let newest = found.newest();
    let last = match what {
        What::Backup => newest.map(|newest| newest.manifest.taken_at),
        // There is nothing to prove yet.
        What::Drill if newest.is_none() => return false,
        What::Drill => {
            let last = host.hands.record.last_drill(stack, name.as_str());
            last.unwrap_or_default()
        }
    };
    schedule.is_due(&desired.time_zone, last, now)
}

async fn run(
    host: &Host,
    desired: &DesiredState,
    (name, backup): (&BackupName, &Backup),
    what: What,
) -> Result<Event, ByHandError> {
    let stack = Stack::of(host, desired.clone()).locked().await?;
    match what {
        What::Backup => {
            let taken = stack.back_up(name, backup).await?;
            Ok(Event::BackedUp {
                stack: desired.stack.clone(),
                name: name.clone(),
                file: taken.file,
                size: taken.size,
            })
        }
        What::Drill => {
            let listed = stack.newest(name, backup)?;
            let drilled = stack.drill(name, backup, &listed).await?;
            Ok(Event::Drilled {
                stack: desired.stack.clone(),
                name: name.clone(),
                file: drilled.file,
            })
        }
    }
}
