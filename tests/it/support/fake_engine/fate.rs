//! What becomes of a container after its start.

use moored::engine::model::{Container, ContainerState, Health, Restart};

/// What becomes of a container after its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It runs; its health check passes after so many looks at it.
    Runs { healthy_after: usize },
    /// It runs; its health check never says anything.
    Silent,
    /// It runs; its health check fails after so many looks.
    Unhealthy { after: usize },
    /// It ends at the second look.
    Ends(End),
    /// It works for so many looks, and ends at the next. Ours come every 100 ms.
    Works { looks: usize, end: End },
}

/// How a process ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) code: i64,
    pub(crate) oom_killed: bool,
}

impl End {
    /// By itself, with this code.
    pub(crate) fn code(code: i64) -> Self {
        Self {
            code,
            oom_killed: false,
        }
    }
}

/// A container with what only the engine knows.
#[derive(Clone)]
pub(crate) struct Kept {
    pub(crate) shown: Container,
    pub(crate) fate: Fate,
    pub(crate) looks: usize,
    /// What it prints at every start.
    pub(super) prints: String,
    pub(super) printed: String,
    /// What it does to a database when it ends.
    pub(super) work: Option<super::ledger::Work>,
    /// Ids of the networks that it has been in, by name.
    pub(crate) joined: std::collections::BTreeMap<String, String>,
}

impl Kept {
    /// Its process is gone.
    pub(super) fn end(&mut self, state: ContainerState) {
        self.shown.state = state;
        self.shown.pid = None;
        self.shown.addresses.clear();
    }

    /// Returns whether its health check would pass now.
    pub(super) fn is_well(&self) -> bool {
        matches!(self.fate, Fate::Runs { healthy_after } if self.looks > healthy_after)
    }

    pub(super) fn has_check(&self) -> bool {
        let check = self.shown.spec.healthcheck.as_ref();
        check.is_some_and(|check| check.test.first().is_some_and(|kind| kind != "NONE"))
    }

    /// Lets its fate take its course: time is counted in looks.
    pub(super) fn live(&mut self) {
        if self.shown.state != ContainerState::Running {
            return;
        }
        let verdict = match &self.fate {
            Fate::Ends(_) if self.looks < 2 => None,
            Fate::Works { looks, .. } if self.looks <= *looks => None,
            Fate::Ends(end) | Fate::Works { end, .. } => {
                let again = match self.shown.spec.restart {
                    Restart::No => false,
                    Restart::Always | Restart::UnlessStopped => true,
                    Restart::OnFailure(_) => end.code != 0,
                };
                let state = if again {
                    self.shown.restart_count += 1;
                    ContainerState::Restarting
                } else {
                    ContainerState::Exited {
                        code: end.code,
                        oom_killed: end.oom_killed,
                    }
                };
                self.shown.oom_killed = end.oom_killed;
                self.shown.health = None;
                self.shown.ended_by_itself = state == exited(0);
                self.end(state);
                return;
            }
            Fate::Runs { healthy_after } if self.looks > *healthy_after => Some(Health::Healthy),
            Fate::Unhealthy { after } if self.looks > *after => Some(Health::Unhealthy),
            Fate::Runs { .. } | Fate::Silent | Fate::Unhealthy { .. } => None,
        };
        if let Some(health) = verdict.filter(|_| self.has_check()) {
            self.shown.health = Some(health);
        }
    }
}

pub(super) fn exited(code: i64) -> ContainerState {
    ContainerState::Exited {
        code,
        oom_killed: false,
    }
}
