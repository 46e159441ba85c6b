//! Commands at the turns of a container's life, made by hand.

use std::collections::BTreeMap;

use moored::desired::Hook;

/// A command without anything special.
pub(crate) fn hook(command: &[&str]) -> Hook {
    Hook {
        command: command.iter().map(|&word| word.to_owned()).collect(),
        user: None,
        privileged: false,
        working_dir: None,
        env: BTreeMap::new(),
    }
}
