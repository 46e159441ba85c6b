//! Failures on demand. Calls with an effect are counted from 1; reads are not.

use std::panic::resume_unwind;

use moored::engine::EngineError;

/// What a killed process unwinds with; see [`Faults::kill_before`].
pub(crate) struct Killed;

/// Which calls fail, and how.
#[derive(Default)]
pub(crate) struct Faults {
    made: usize,
    fail_call: Option<usize>,
    fail_on: Option<String>,
    die_after: Option<usize>,
    lose_answer: Option<usize>,
    kill_before: Option<usize>,
    kill_after: Option<usize>,
    kill_after_line: Option<String>,
}

impl Faults {
    /// None.
    pub(crate) fn none() -> Self {
        Self::default()
    }

    /// The `n`th call is refused without an effect.
    pub(crate) fn fail_call(n: usize) -> Self {
        Self {
            fail_call: Some(n),
            ..Self::default()
        }
    }

    /// Every call that begins with `what`, such as `start_container shop-web-1`, is refused.
    pub(crate) fn fail_on(what: &str) -> Self {
        Self {
            fail_on: Some(what.to_owned()),
            ..Self::default()
        }
    }

    /// The connection is cut after `n` calls: all later ones fail, reads too.
    pub(crate) fn die_after_call(n: usize) -> Self {
        Self {
            die_after: Some(n),
            ..Self::default()
        }
    }

    /// The `n`th call has its effect, and its answer is lost.
    pub(crate) fn lose_answer(n: usize) -> Self {
        Self {
            lose_answer: Some(n),
            ..Self::default()
        }
    }

    /// This process is killed before the `n`th call: it unwinds with [`Killed`].
    pub(crate) fn kill_before(n: usize) -> Self {
        Self {
            kill_before: Some(n),
            ..Self::default()
        }
    }

    /// This process is killed after the effect of the `n`th call.
    pub(crate) fn kill_after(n: usize) -> Self {
        Self {
            kill_after: Some(n),
            ..Self::default()
        }
    }

    /// This process is killed after the effect of the first call that is this line.
    pub(crate) fn kill_after_line(line: &str) -> Self {
        Self {
            kill_after_line: Some(line.to_owned()),
            ..Self::default()
        }
    }

    pub(super) fn reading(&self, doing: &str) -> Result<(), EngineError> {
        if self.die_after.is_some_and(|n| self.made >= n) {
            return Err(unavailable(doing));
        }
        Ok(())
    }

    pub(super) fn before(&mut self, call: &str) -> Result<After, EngineError> {
        if self.die_after.is_some_and(|n| self.made >= n) {
            return Err(unavailable(call));
        }
        self.made += 1;
        let now = Some(self.made);
        if self.kill_before == now {
            resume_unwind(Box::new(Killed));
        }
        let refused = self
            .fail_on
            .as_ref()
            .is_some_and(|what| call.starts_with(what));
        if refused || self.fail_call == now {
            return Err(EngineError::Refused {
                doing: call.to_owned(),
                cause: "it was told to fail".to_owned(),
            });
        }
        Ok(After {
            kill: self.kill_after == now || self.kill_after_line.as_deref() == Some(call),
            lose: self.lose_answer == now,
        })
    }
}

/// What happens after the effect of a call.
pub(super) struct After {
    kill: bool,
    lose: bool,
}

impl After {
    pub(super) fn then<T>(
        self,
        call: &str,
        answer: Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        if self.kill {
            resume_unwind(Box::new(Killed));
        }
        if self.lose {
            return Err(unavailable(call));
        }
        answer
    }
}

fn unavailable(doing: &str) -> EngineError {
    EngineError::Unavailable {
        endpoint: "fake".to_owned(),
        doing: doing.to_owned(),
        cause: "the connection broke".to_owned(),
    }
}
