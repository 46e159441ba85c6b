//! Plans the maintenance page: when visitors see it, whose it is, and when it has been forgotten.

use jiff::Timestamp;

use super::Hold;
use super::drafts::{Lower, Raise};
use super::order::Planner;
use super::services::Input;
use crate::desired::StackName;
use crate::desired::maintenance::{During, Maintenance};
use crate::maintenance::Owner;

impl Planner<'_> {
    /// Returns how the maintenance page is switched on, if it is to be; `visited` says whether
    /// something runs that there are visitors of.
    pub(super) fn raise(&mut self, deploys: bool, visited: bool) -> Option<Raise> {
        let Input {
            desired,
            observed,
            history,
            context,
        } = self.input;
        let maintenance = desired.maintenance.as_ref()?;
        let flag = observed.maintenance.as_ref();
        self.tell_of_flag(maintenance);
        let owner_there = flag.map(|flag| &flag.owner);
        let ours = owner_there.filter(|owner| is_ours(owner, &desired.stack, context.instance));
        let (stack, instance) = (desired.stack.clone(), context.instance.to_owned());
        let (owner, reason) = match &maintenance.on {
            Some(_) if flag.is_some() => return None,
            Some(reason) => (Owner::Git { stack, instance }, reason.clone()),
            None => {
                let during = match maintenance.during {
                    During::Deploy => deploys,
                    During::Migrate => !self.due.is_empty(),
                    During::Never => false,
                };
                if !during || !visited {
                    return None;
                }
                let attempt = history.next_attempt;
                let new = Owner::Attempt {
                    stack,
                    instance,
                    attempt,
                };
                // One that a killed attempt left is taken on, and proved again.
                let owner = ours.cloned().unwrap_or(new);
                let revision = desired.commit.revision.short();
                (owner, format!("deploy of {revision}"))
            }
        };
        // A person's page is proved as well, and stays theirs.
        self.raised = (flag.is_none() || ours.is_some()).then(|| owner.clone());
        Some(Raise {
            maintenance: maintenance.clone(),
            page: desired.maintenance_page.clone(),
            owner,
            reason,
        })
    }

    fn tell_of_flag(&mut self, maintenance: &Maintenance) {
        let Input {
            desired,
            observed,
            context,
            ..
        } = self.input;
        let Some(flag) = &observed.maintenance else {
            return;
        };
        let since = flag.since.map_or(context.now, Timestamp::as_second);
        let age = u64::try_from(context.now.saturating_sub(since)).unwrap_or(0);
        if !is_ours(&flag.owner, &desired.stack, context.instance) {
            self.holds.push(Hold::MaintenanceByHand {
                flag: maintenance.flag.display().to_string(),
                by: flag.owner.to_string(),
            });
        }
        if age > maintenance.alarm_after.as_secs() {
            self.holds.push(Hold::MaintenanceForgotten {
                flag: maintenance.flag.display().to_string(),
                by: flag.owner.to_string(),
                minutes: age / 60,
            });
        }
    }

    /// Returns how the maintenance page is switched off, if it is on and ours and nobody wants it.
    pub(super) fn lower(&self) -> Option<Lower> {
        let Input {
            desired,
            observed,
            context,
            ..
        } = self.input;
        let maintenance = desired.maintenance.as_ref()?;
        if maintenance.on.is_some() {
            return None;
        }
        let there = observed.maintenance.as_ref().map(|flag| &flag.owner);
        let there = there.filter(|owner| is_ours(owner, &desired.stack, context.instance));
        let owner = self.raised.as_ref().or(there)?;
        Some(Lower {
            maintenance: maintenance.clone(),
            owner: owner.clone(),
        })
    }
}

/// Returns whether this installation has switched the page on for this stack.
pub(super) fn is_ours(owner: &Owner, stack: &StackName, instance: &str) -> bool {
    match owner {
        Owner::Attempt {
            stack: of,
            instance: by,
            ..
        }
        | Owner::Git {
            stack: of,
            instance: by,
        } => of == stack && by == instance,
        Owner::Person { .. } | Owner::Unknown => false,
    }
}
