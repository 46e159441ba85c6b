//! Says when and by whose word a stack is changed, as the settings and the manifest write it.
//!
//! A [`Window`] is open or [`Closed`]; an [`ApprovalRule`] names who may approve; a [`Suspension`]
//! leaves a stack alone; a rule is [`Nameless`] when it is for no stack. Pure: whoever asks brings
//! the time. Modules: `window` over `hours` and `moment`; `suspension`; `approval`; `nameless`. Why: `docs/decisions/0023-promotion.md`.

mod approval;
mod hours;
mod moment;
mod nameless;
mod suspension;
#[cfg(test)]
mod tests;
mod window;

use std::collections::BTreeMap;

pub use approval::ApprovalRule;
pub use moment::Moment;
pub use nameless::Nameless;
pub use suspension::{Suspend, Suspension};
pub use window::{Closed, Window};

/// Returns the rule for a stack, by the directory of its manifest or else by its name: that a commit
/// may change, and must not take the rule of another stack with it.
pub fn of<'a, T>(rules: &'a BTreeMap<String, T>, stack: &str, dir: &str) -> Option<&'a T> {
    let find = |wanted: &str| rules.iter().find(|(name, _)| plain(name) == plain(wanted));
    find(dir).or_else(|| find(stack)).map(|(_, rule)| rule)
}

/// Returns a name or directory without what people write around it: `./shop/` is `shop`.
pub fn plain(name: &str) -> &str {
    let mut plain = name.trim_matches('/');
    while let Some(rest) = plain.strip_prefix("./") {
        plain = rest.trim_start_matches('/');
    }
    if plain.is_empty() { "." } else { plain }
}
