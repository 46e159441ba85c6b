//! Names everything that a host still lacks, with the command that mends it, in one go.
//!
//! [`examine`] goes from the settings over the engine, the repository and the registries to each
//! stack, and on as far as it can: what is missing does not keep it from looking for the next. It
//! asks what a plan asks, and changes nothing. [`Check`] is what it finds. Modules: `own` (the
//! settings and their files), `engine`, `repository`, `registries`, `stack`, and of a stack `files`,
//! `ports`, `front`, `holds`; `mend` (commands), `told` (the printed form).

mod engine;
mod files;
mod front;
mod holds;
mod mend;
mod own;
mod ports;
mod registries;
mod repository;
mod stack;
mod told;

use std::path::Path;

use serde::Serialize;
use tempfile::TempDir;

use crate::config::Config;
use crate::events::Events;
use crate::host::View;
use crate::secret::Redactor;

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// What part of the host it belongs to.
    pub area: Area,
    /// The stack, for what is of one.
    pub stack: Option<String>,
    /// What was looked at: a path, an address, a service.
    pub subject: String,
    /// What comes of it.
    pub verdict: Verdict,
    /// What was found; empty where there is nothing to say.
    pub found: String,
    /// What mends it: a command, or what to write where.
    pub remedy: Option<String>,
}

/// What part of the host a check belongs to, in the order of the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Area {
    /// The host's settings, and the files that they rest on.
    Settings,
    /// Where Moored keeps its own.
    State,
    /// The Docker Engine.
    Engine,
    /// Where the desired state comes from.
    Repository,
    /// Where images come from.
    Registries,
    /// A stack.
    Stack,
}

/// What comes of a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is as it should be.
    Ok,
    /// It works, and is worth a look.
    Warn,
    /// Something has to be done before it works.
    Missing,
}

/// Everything that was looked at, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// The checks.
    pub checks: Vec<Check>,
}

impl Diagnosis {
    /// Returns whether nothing is missing.
    pub fn is_well(&self) -> bool {
        let mut checks = self.checks.iter();
        checks.all(|check| check.verdict != Verdict::Missing)
    }

    fn add(&mut self, check: Check) {
        // Several services may want the same of the host.
        if !self.checks.contains(&check) {
            self.checks.push(check);
        }
    }
}

impl Check {
    fn new(area: Area, subject: impl Into<String>, verdict: Verdict) -> Self {
        Self {
            area,
            stack: None,
            subject: subject.into(),
            verdict,
            found: String::new(),
            remedy: None,
        }
    }

    fn ok(area: Area, subject: impl Into<String>) -> Self {
        Self::new(area, subject, Verdict::Ok)
    }

    fn warn(area: Area, subject: impl Into<String>) -> Self {
        Self::new(area, subject, Verdict::Warn)
    }

    fn missing(area: Area, subject: impl Into<String>) -> Self {
        Self::new(area, subject, Verdict::Missing)
    }

    fn of(mut self, stack: &str) -> Self {
        self.stack = Some(stack.to_owned());
        self
    }

    fn found(mut self, found: impl Into<String>) -> Self {
        self.found = found.into();
        self
    }

    fn mended_by(mut self, remedy: impl Into<String>) -> Self {
        self.remedy = Some(remedy.into());
        self
    }
}

/// Looks at everything, from the settings at this path on; `only` names one stack.
pub async fn examine(path: &Path, only: Option<&str>, redactor: &Redactor) -> Diagnosis {
    let mut found = Diagnosis::default();
    let Some(config) = own::settings(path, &mut found) else {
        // As far as what is usual goes.
        if let Some(config) = own::usual() {
            own::state(&config, &mut found);
            if let Some(looking) = Looking::begin(config, redactor, &mut found) {
                engine::check(&looking.view, &mut found).await;
            }
        }
        return found;
    };
    own::files(&config, &mut found);
    own::state(&config, &mut found);
    let Some(looking) = Looking::begin(config, redactor, &mut found) else {
        return found;
    };
    let view = &looking.view;
    let is_there = engine::check(view, &mut found).await;
    let trees = repository::check(view, &mut found).await;
    let stacks = stack::load(view, &trees, only, &mut found).await;
    registries::check(view, &stacks, is_there, &mut found).await;
    for stack in &stacks {
        stack::check(view, stack, is_there, &mut found).await;
    }
    let place = |check: &Check| (check.area, check.stack.clone());
    found.checks.sort_by_key(place);
    found
}

/// A host that is looked at, with a state directory that goes away where it has none.
struct Looking {
    view: View,
    _scratch: Option<TempDir>,
}

impl Looking {
    /// Opens a host for looking without making its state directory.
    fn begin(config: Config, redactor: &Redactor, found: &mut Diagnosis) -> Option<Self> {
        let (events, redactor) = (Events::none(), redactor.clone());
        if config.state_dir.is_dir() {
            match View::open(config.clone(), events.clone(), redactor.clone()) {
                Ok(view) => {
                    return Some(Self {
                        view,
                        _scratch: None,
                    });
                }
                Err(error) => {
                    let subject = config.state_dir.display().to_string();
                    found.add(Check::missing(Area::State, subject).found(error.to_string()));
                }
            }
        }
        let failed =
            |error: String| Check::missing(Area::State, "a scratch directory").found(error);
        let scratch = match tempfile::tempdir() {
            Ok(scratch) => scratch,
            Err(error) => {
                found.add(failed(error.to_string()));
                return None;
            }
        };
        let config = Config {
            state_dir: scratch.path().join("state"),
            ..config
        };
        match View::open(config, events, redactor) {
            Ok(view) => Some(Self {
                view,
                _scratch: Some(scratch),
            }),
            Err(error) => {
                found.add(failed(error.to_string()));
                None
            }
        }
    }
}
