//! Says when and by whose word a stack is changed, as the settings and the manifest write it.
//!
//! A [`Window`] is open or [`Closed`]; an [`ApprovalRule`] names who may approve; a [`Suspension`]
//! leaves a stack alone. Pure: whoever asks brings the time. Modules: `window` over `hours` and
//! `moment`; `suspension`; `approval`. Why: `docs/decisions/0023-promotion.md`.

mod approval;
mod hours;
mod moment;
mod suspension;
#[cfg(test)]
mod tests;
mod window;

use std::collections::BTreeMap;

pub use approval::ApprovalRule;
pub use moment::Moment;
pub use suspension::{Suspend, Suspension};
pub use window::{Closed, Window};

/// Returns the rule for a stack, by the directory of its manifest or else by its name: that a commit
/// may change, and must not take the rule of another stack with it.
pub fn of<'a, T>(rules: &'a BTreeMap<String, T>, stack: &str, dir: &str) -> Option<&'a T> {
    rules.get(dir).or_else(|| rules.get(stack))
}
