//! Says what the settings have a change of a stack wait for, as data.

use std::fmt;

use serde::Serialize;

use super::approval::FOR_STACKS;
use crate::gates::{Closed, Nameless};
use crate::source::Revision;

/// What the settings have a change of a stack wait for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gate {
    /// What Git says, beside what was released.
    pub arrival: Arrival,
    /// That changes are not let in now; `None` = they are.
    pub closed: Option<Closed>,
    /// That nobody who must has approved it.
    pub unapproved: Option<Unapproved>,
    /// Rules that may be meant for it and name no stack.
    pub nameless: Vec<Nameless>,
}

/// What Git says of a stack, beside what was released of it. Looked at only where the settings have
/// something to wait for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Arrival {
    /// Something new.
    #[default]
    New,
    /// The same as at the last release.
    Released,
    /// The same as at an earlier release.
    GoesBack,
}

/// Something new that waits for approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unapproved {
    /// Which stack.
    pub stack: String,
    /// The commit that says it.
    pub head: Revision,
    /// Who may approve.
    pub signers: Vec<String>,
    /// The trailer that says it.
    pub trailer: String,
    /// What stands in the way, where somebody has tried.
    pub why: Option<String>,
}

impl fmt::Display for Unapproved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (head, signers) = (self.head.short(), self.signers.join(" or "));
        write!(f, "{head} waits for approval by {signers}")?;
        if let Some(why) = &self.why {
            write!(f, " ({why})")?;
        }
        write!(
            f,
            "; one of them commits on top: git commit --allow-empty --gpg-sign -m Approve --trailer \
             \"{}: NAME <{}>\" --trailer \"{FOR_STACKS}: {}\"",
            self.trailer,
            self.signers.first().map_or("ADDRESS", String::as_str),
            self.stack,
        )
    }
}
