//! Judges what stacks ask of the engine, and of files of the host, by the host's settings:
//! [`Policy`] says what is not permitted, and [`Gated`] lets nothing of that be done.
//!
//! The judgement is pure and takes every field of what is asked for: a new one does not compile
//! before it is said whether it is harmless. Where links of the host lead is looked up before
//! ([`RealPaths`]). The table of fields is in `docs/policy.md`, the reasons are in
//! `docs/decisions/0022-policy.md` and `0027-places.md`. Modules: `container`, `objects`, `files`
//! (that Moored itself reads and writes), `places`, `links`, `images`, `gate`, `refusal`.

mod container;
mod files;
mod gate;
mod images;
mod links;
mod objects;
mod places;
mod refusal;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use gate::Gated;
pub use images::warning_of;
pub use links::RealPaths;
pub use places::{device_of, sources_of};
pub use refusal::{Refusal, Setting};

use crate::config::OwnFile;
use crate::permits::{Budget, Permits, Strictness};
use places::Places;

/// What stacks may ask of the engine on this host.
#[derive(Clone, Serialize, Deserialize)]
pub struct Policy {
    permits: Permits,
    places: Places,
}

/// Who asks for something.
#[derive(Clone, Copy, Debug)]
pub struct Who<'a> {
    /// Name of the stack; empty where nobody knows.
    pub stack: &'a str,
    /// The service, without a number.
    pub service: Option<&'a str>,
}

/// What was looked up before something is judged.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    /// Where places of the host lead.
    pub real: &'a RealPaths,
    /// Names and ids of containers of the same stack.
    pub own: &'a BTreeSet<String>,
}

impl Policy {
    /// Takes the settings: what is permitted, our state directory, and the engine's address.
    /// Follows the links of the directories that may be mounted.
    pub fn new(permits: &Permits, state_dir: &Path, engine: &str) -> Self {
        let socket = engine.strip_prefix("unix://").map(PathBuf::from);
        Self {
            permits: permits.clone(),
            places: Places::new(
                &permits.bind_roots,
                &permits.file_roots,
                state_dir,
                socket.as_deref(),
            ),
        }
    }

    /// Closes the files that the settings rest on, whatever they permit.
    #[must_use]
    pub fn keeping(mut self, own: &[OwnFile]) -> Self {
        for file in own {
            self.places.keep(&file.path, file.is_secret);
        }
        self
    }

    /// Returns how many services of a stack may lose their containers at once.
    pub fn deletion_budget(&self) -> Budget {
        self.permits.deletion_budget
    }

    /// Returns what comes of two stacks that read the same file of secrets.
    pub fn shared_secrets(&self) -> Strictness {
        self.permits.shared_secrets
    }
}
