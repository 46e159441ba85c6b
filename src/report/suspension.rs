//! The result of `moored suspend` and `moored resume`.

use serde::Serialize;

use super::Report;
use crate::desired::StackName;
use crate::gates::Suspension;

/// A stack that is suspended now, or is not any more.
#[derive(Serialize)]
pub struct SuspensionReport {
    /// Which stack.
    pub stack: StackName,
    /// Its suspension now.
    pub now: Option<Suspension>,
    /// What was lifted or replaced.
    pub before: Option<Suspension>,
}

impl Report for SuspensionReport {
    fn text(&self) -> String {
        let stack = &self.stack;
        match (&self.now, &self.before) {
            (Some(now), None) => format!(
                "{stack}  is {now}\n  next      nothing of it is changed, until: moored resume \
                 {stack}\n"
            ),
            (Some(now), Some(before)) => {
                format!("{stack}  is {now}\n  before    {before}\n")
            }
            (None, Some(before)) => {
                format!("{stack}  is not {before} any more: Git is followed again\n")
            }
            (None, None) => format!("{stack}  is not suspended on this host\n"),
        }
    }
}
