//! Runs a container's own health command right after its start and then often, because the
//! engine's first verdict takes its whole interval.
//!
//! Only success counts: that a service is unhealthy the engine says alone. There is never more
//! than one try at a time, so a command that takes too long, which goes on in the container, is
//! not tried again. Where no try is possible the engine's verdict is waited for.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::Instant;

use crate::engine::WriteEngine;
use crate::engine::model::{Container, ContainerState, Exec, Executed, Health, Healthcheck};

/// Pause after the first try; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The longest pause, for checks with a long interval.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// The engine's own interval and timeout for a check that has none
/// (<https://docs.docker.com/reference/dockerfile/#healthcheck>).
const DEFAULT: Duration = Duration::from_secs(30);

/// The engine's own shell for `CMD-SHELL`. An image can name another, which we don't know; our
/// tries then fail where the engine's do not.
const SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// The tries of one wait for one container.
pub(super) struct Tries<'a> {
    engine: &'a dyn WriteEngine,
    under_way: Option<Pin<Box<dyn Future<Output = Tried> + Send + 'a>>>,
    began: Instant,
    next: Instant,
    pause: Duration,
    stage: Stage,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    Trying,
    Passed,
    /// No further try.
    Over,
}

enum Tried {
    Passed,
    Failed,
    Impossible,
}

impl<'a> Tries<'a> {
    /// Begins without a try.
    pub(super) fn new(engine: &'a dyn WriteEngine) -> Self {
        let now = Instant::now();
        Self {
            engine,
            under_way: None,
            began: now,
            next: now,
            pause: FIRST_PAUSE,
            stage: Stage::Trying,
        }
    }

    /// Returns whether a try has passed.
    pub(super) fn have_passed(&self) -> bool {
        self.stage == Stage::Passed
    }

    /// Begins a try if it is time for one and the engine has no verdict yet.
    pub(super) fn begin_if_due(&mut self, container: &Container) {
        let no_verdict = container.state == ContainerState::Running
            && container.health == Some(Health::Starting);
        let due = self.under_way.is_none() && Instant::now() >= self.next;
        if self.stage != Stage::Trying || !no_verdict || !due {
            return;
        }
        let check = container.spec.healthcheck.as_ref();
        let Some((check, command)) = check.and_then(|check| Some((check, command(check)?))) else {
            self.stage = Stage::Over;
            return;
        };
        let longest = LONGEST_PAUSE.min(duration(check.interval));
        self.pause = self.pause.min(longest);
        self.began = Instant::now();
        let (id, timeout) = (container.id.clone(), duration(check.timeout));
        self.under_way = Some(Box::pin(attempt(self.engine, id, command, timeout)));
    }

    /// Waits until then, or shorter if a try passes meanwhile.
    pub(super) async fn go_on_until(&mut self, then: Instant) {
        while let Some(under_way) = &mut self.under_way {
            let tried = tokio::select! {
                () = tokio::time::sleep_until(then) => return,
                tried = under_way => tried,
            };
            self.under_way = None;
            match tried {
                Tried::Passed => {
                    self.stage = Stage::Passed;
                    return;
                }
                Tried::Impossible => self.stage = Stage::Over,
                Tried::Failed => {
                    // A check that takes its time must not take all of the service's.
                    let now = Instant::now();
                    self.next = now + self.pause.max(now - self.began);
                    self.pause = self.pause.saturating_mul(2);
                }
            }
        }
        tokio::time::sleep_until(then).await;
    }
}

async fn attempt(
    engine: &dyn WriteEngine,
    id: String,
    command: Vec<String>,
    timeout: Duration,
) -> Tried {
    let env = BTreeMap::new();
    let exec = Exec {
        command: &command,
        env: &env,
        user: None,
        working_dir: None,
        privileged: false,
    };
    let mut nowhere = tokio::io::sink();
    let run = engine.exec(&id, &exec, None, &mut nowhere);
    match tokio::time::timeout(timeout, run).await {
        Ok(Ok(Executed { code: 0, .. })) => Tried::Passed,
        Ok(Ok(Executed { .. })) => Tried::Failed,
        Ok(Err(failure)) => {
            tracing::debug!(%failure, "the health check can't be tried");
            Tried::Impossible
        }
        Err(_) => Tried::Impossible,
    }
}

/// Returns the command of a check; `None` for one that has none.
fn command(check: &Healthcheck) -> Option<Vec<String>> {
    let (kind, words) = check.test.split_first()?;
    let shell: &[&str] = match kind.as_str() {
        "CMD" => &[],
        "CMD-SHELL" => &SHELL,
        _ => return None,
    };
    let shell = shell.iter().map(|word| (*word).to_owned());
    (!words.is_empty()).then(|| shell.chain(words.iter().cloned()).collect())
}

/// Reads a time of a check; the engine takes 0 for its default.
fn duration(nanoseconds: i64) -> Duration {
    match u64::try_from(nanoseconds) {
        Ok(0) | Err(_) => DEFAULT,
        Ok(nanoseconds) => Duration::from_nanos(nanoseconds),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_forms_of_a_check() {
        let command = |test: &[&str]| {
            let test = test.iter().map(|word| (*word).to_owned()).collect();
            let words = command(&Healthcheck {
                test,
                ..Healthcheck::default()
            });
            words.map(|words| words.join("|"))
        };
        assert_eq!(command(&["CMD", "a", "b c"]).as_deref(), Some("a|b c"));
        assert_eq!(
            command(&["CMD-SHELL", "a || b"]).as_deref(),
            Some("/bin/sh|-c|a || b")
        );
        for none in [&["NONE"][..], &[], &["CMD"], &["OTHER", "a"]] {
            assert_eq!(command(none), None, "{none:?}");
        }
    }

    #[test]
    fn times_that_are_left_out_are_the_engines() {
        assert_eq!(duration(0), DEFAULT);
        assert_eq!(duration(-1), DEFAULT);
        assert_eq!(duration(1_500_000_000), Duration::from_millis(1500));
    }
}
