//! Decides when a pass runs. The only loop.
//!
//! A trigger (the timer, the end of what a stack waits for, a changed file, an event of the engine, a
//! webhook, a signal) carries no data; it only makes the next pass happen earlier, and many triggers make one pass. A failed pass
//! never ends the loop. See `docs/decisions/0024-triggers.md`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, watch};

use crate::alerts::{Alerts, Courier, Heard, Office};
use crate::bell::{Bell, Pace};
use crate::config::Config;
use crate::desired::DesiredState;
use crate::engine::cached::Cached;
use crate::engine::{Origin, ReadEngine};
use crate::events::Event;
use crate::host::{Host, local_repository};
use crate::journal::Outcome;
use crate::pass::{ByStack, PassError, Passed, passed};
use crate::plan::Weight;
use crate::reconcile::reconcile;
use crate::record::RecordError;
use crate::schedule::{self, Schedules};
use crate::source::Watch;
use crate::stacks::LoadError;
use crate::web::{self, Web};

/// The host's settings, with what else had to be read for them.
pub struct Settings {
    /// The settings themselves.
    pub config: Config,
    /// What is listened to.
    pub web: web::Settings,
}

/// What a person at the host asks of the controller, and what it hears of its own work.
pub struct Signals {
    /// Turns true when the controller should end.
    pub stop: watch::Receiver<bool>,
    /// Asks for the settings to be read again.
    pub reload: Arc<Notify>,
    /// What the host's events tell.
    pub heard: Heard,
}

/// Files change in bursts (an editor writes, renames, sets times): one pass for all of it.
const BURST: Duration = Duration::from_millis(50);

/// Who may write those files is trusted with more than with keeping us busy.
const FILES: Pace = Pace {
    settle: BURST,
    shortest: Duration::ZERO,
    longest: Duration::ZERO,
};

/// One push is several webhooks on some servers, and whoever has seen one can send it again.
const HOOKS: Pace = Pace {
    settle: BURST,
    shortest: Duration::from_secs(1),
    longest: Duration::from_secs(10),
};

/// A container that ends is often started again within the second, by Docker or by a person. One
/// that restarts in a loop does so for ever.
const DRIFT: Pace = Pace {
    settle: Duration::from_secs(1),
    shortest: Duration::from_secs(2),
    longest: LONGEST_PAUSE,
};

/// The first time between two looks for an engine that is away.
const SHORTEST_PAUSE: Duration = Duration::from_millis(500);

/// The longest time between two tries of what keeps failing: long enough to spare a remote that
/// is down, short enough that nobody waits for us when it is back.
const LONGEST_PAUSE: Duration = Duration::from_secs(2 * 60);

/// Runs passes until it is asked to stop. `load` reads the settings again; `report` is told the
/// result of each pass.
pub async fn run(
    mut host: Host,
    web: &web::Settings,
    mut signals: Signals,
    load: impl Fn() -> Result<Settings, String>,
    report: impl Fn(&Result<ByStack<Passed>, PassError>),
) {
    let drift = Drift::new();
    let engine = follow_engine(&mut host, drift.clone());
    // Before the first pass: a commit that comes while it runs must not wait for the poll.
    let mut outside = Outside::new(&host, drift);
    outside.listen(&host, web).await;
    let mut in_a_row = 0;
    let mut schedules = Schedules::default();
    let mut telling = Telling::of(&host, &signals.heard);
    loop {
        let result = tokio::select! {
            result = reconcile(&host, None) => result,
            // Nothing has begun yet when the fetch is what takes long.
            () = stopped_while_idle(&host, &mut signals.stop) => return,
        };
        report(&result);
        telling.note(&host, &result);
        if has_acted(&result) {
            // What was changed by us may not have been told to us yet.
            engine.forget();
        }
        for desired in wanted(&result) {
            tokio::select! {
                () = schedules.work(&host, desired) => {}
                _stopped = signals.stop.wait_for(|stop| *stop) => return,
            }
        }
        telling.note_backups(&host, &result);
        outside.watch(&host, &result);
        let trouble = trouble(&result);
        in_a_row = if trouble == Trouble::None {
            0
        } else {
            in_a_row + 1
        };
        let pause = pause(host.view.config.repository.poll, trouble, in_a_row);
        let now = host.hands.clock.now();
        let next = [schedule::next(wanted(&result), now), waits(&result, now)];
        let pause = next.into_iter().flatten().fold(pause, Duration::min);
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = outside.rings() => {}
            () = signals.reload.notified() => reload(&mut host, &mut outside, &load).await,
            _stopped = signals.stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Lets looks be answered by what the engine has shown before, and rings where it tells of drift.
fn follow_engine(host: &mut Host, drift: Drift) -> Arc<Cached> {
    let engine = Arc::clone(&host.view.engine);
    let engine = Arc::new(Cached::follow(engine, move |origin| drift.told(origin)));
    host.view.engine = Arc::clone(&engine) as Arc<dyn ReadEngine>;
    engine
}

/// Returns whether a pass may have changed anything.
fn has_acted(result: &Result<ByStack<Passed>, PassError>) -> bool {
    let mut stacks = result.iter().flat_map(|stacks| stacks.values());
    stacks.any(|passed| passed.as_ref().map_or(true, |one| one.outcome.is_some()))
}

/// Returns the stacks whose schedules are carried out.
fn wanted(result: &Result<ByStack<Passed>, PassError>) -> impl Iterator<Item = &DesiredState> {
    let stacks = result.iter().flat_map(|stacks| stacks.values());
    stacks.filter_map(|one| passed(one)?.looked.scheduled())
}

/// Returns the time until the next window opens, freeze is over or suspension ends that a stack waits
/// for, or until the lifetime of a stack is over.
fn waits(result: &Result<ByStack<Passed>, PassError>, now: Timestamp) -> Option<Duration> {
    let stacks = result.iter().flat_map(|stacks| stacks.values());
    let passed = stacks.filter_map(passed);
    let next = passed.flat_map(|one| {
        let ends = one.looked.desired.expires.filter(|ends| *ends > now);
        ends.into_iter().chain(one.looked.plan.changes_at())
    });
    let left = next.min()?.duration_since(now);
    // It may have ended while the pass was at work.
    Some(Duration::try_from(left).unwrap_or_default().max(BURST))
}

/// Returns when a stop is asked for and no attempt is open: an open one ends its steps first.
pub(crate) async fn stopped_while_idle(host: &Host, stop: &mut watch::Receiver<bool>) {
    let asked = stop.wait_for(|stop| *stop).await.is_ok();
    while !asked || host.hands.is_at_work() {
        tokio::time::sleep(BURST).await;
    }
}

async fn reload(
    host: &mut Host,
    outside: &mut Outside,
    load: &impl Fn() -> Result<Settings, String>,
) {
    let refused = match load() {
        Ok(Settings { config, web }) => {
            let old = &host.view.config;
            let stays = config.state_dir == old.state_dir
                && config.engine == old.engine
                && config.registries == old.registries;
            if stays {
                host.take_settings(config);
                outside.listen(host, &web).await;
                host.view.events.tell(Event::Reloaded);
                return;
            }
            "state_dir, engine and registries can only be changed by a restart".to_owned()
        }
        Err(error) => error,
    };
    host.view
        .events
        .tell(Event::ReloadRefused { error: refused });
}

/// What keeps a pass from being the last word until Git moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    /// Nothing: the next look is at the next poll.
    None,
    /// A remote (Git, a registry) did not do its part: it is asked less and less often.
    Remote,
    /// The engine was away: it is this host's own, and everybody waits for it.
    Engine,
}

fn trouble(result: &Result<ByStack<Passed>, PassError>) -> Trouble {
    let of_stack = |passed: &Result<Passed, PassError>| match passed {
        Err(error) => of_error(error),
        Ok(passed) => of_pass(passed),
    };
    match result {
        Err(error) => of_error(error),
        Ok(stacks) => stacks.values().map(of_stack).max().unwrap_or(Trouble::None),
    }
}

fn of_error(error: &PassError) -> Trouble {
    match error {
        PassError::Load(LoadError::Source(_) | LoadError::Mirror(_)) => Trouble::Remote,
        // Only a commit mends these, or a person at the host.
        PassError::Load(
            LoadError::State(_)
            | LoadError::Read(_)
            | LoadError::Refused(_)
            | LoadError::Record(_)
            | LoadError::Pinned { .. },
        )
        | PassError::Record(_)
        | PassError::Maintenance(_) => Trouble::None,
        // And this as well; what is kept may have trouble of its own.
        PassError::Kept { passed, .. } => of_pass(passed),
        PassError::Load(LoadError::Engine(_)) | PassError::Engine(_) | PassError::Busy(_) => {
            Trouble::Engine
        }
    }
}

fn of_pass(passed: &Passed) -> Trouble {
    if passed.looked.plan.weight() == Some(Weight::Passing) {
        return Trouble::Remote;
    }
    match &passed.outcome {
        Some(Outcome::Postponed { .. }) => Trouble::Engine,
        Some(Outcome::Unsettled { .. }) => Trouble::Remote,
        None
        | Some(
            Outcome::Succeeded
            | Outcome::RolledBack { .. }
            | Outcome::Failed { .. }
            | Outcome::Held { .. }
            | Outcome::Stuck { .. }
            | Outcome::Stopped
            | Outcome::Interrupted,
        ) => Trouble::None,
    }
}

/// Returns the time until the next pass after so many troubled ones in a row, give or take a
/// tenth so that many hosts do not ask at the same instant.
fn pause(poll: Duration, trouble: Trouble, in_a_row: u32) -> Duration {
    let doubled = |first: Duration| first.saturating_mul(2_u32.saturating_pow(in_a_row.min(16)));
    let pause = match trouble {
        Trouble::None => poll,
        Trouble::Remote => doubled(poll).min(LONGEST_PAUSE.max(poll)),
        Trouble::Engine => doubled(SHORTEST_PAUSE).min(poll),
    };
    pause.mul_f64(0.9 + 0.2 * fastrand::f64())
}

/// Tells people what passes come to, beside them.
struct Telling {
    alerts: Option<Alerts>,
    courier: Courier,
}

impl Telling {
    fn of(host: &Host, heard: &Heard) -> Self {
        let record = &host.hands.record;
        let alerts = Alerts::open(record.clone(), heard.clone());
        Self {
            alerts: told(host, alerts),
            courier: Courier::start(Office::of(&host.view, record.clone())),
        }
    }

    fn note(&mut self, host: &Host, result: &Result<ByStack<Passed>, PassError>) {
        self.courier.follow(&host.view.config.notify);
        let alerts = self.alerts.as_mut();
        let noted = alerts.map(|alerts| alerts.note(&host.view, result, true));
        self.send(host, noted);
    }

    fn note_backups(&mut self, host: &Host, result: &Result<ByStack<Passed>, PassError>) {
        let alerts = self.alerts.as_mut();
        let noted = alerts.map(|alerts| alerts.note_backups(&host.view, result));
        self.send(host, noted);
    }

    fn send(&self, host: &Host, noted: Option<Result<bool, RecordError>>) {
        if noted.and_then(|noted| told(host, noted)) == Some(true) {
            self.courier.ring();
        }
    }
}

/// Returns what could be done, and tells what could not: nobody being told stops no pass.
fn told<T>(host: &Host, result: Result<T, RecordError>) -> Option<T> {
    let tell = |error: RecordError| {
        let (route, error) = ("the outbox".to_owned(), error.to_string());
        host.view.events.tell(Event::NotNotified { route, error });
    };
    result.map_err(tell).ok()
}

/// What wakes the controller beside its timer and its signals.
struct Outside {
    files: Bell,
    drift: Drift,
    hooks: Bell,
    watched: Watched,
    web: Web,
}

impl Outside {
    fn new(host: &Host, drift: Drift) -> Self {
        let (files, hooks) = (Bell::new(FILES), Bell::new(HOOKS));
        let mut watched = Watched::new(host, files.clone());
        watched.follow(host);
        Self {
            watched,
            web: Web::new(hooks.clone(), host.view.events.clone()),
            files,
            drift,
            hooks,
        }
    }

    /// Listens as the settings say from now on.
    async fn listen(&mut self, host: &Host, settings: &web::Settings) {
        host.view.redactor.learn(settings.to_hide());
        self.web.follow(settings).await;
    }

    /// Watches what a pass has read.
    fn watch(&mut self, host: &Host, result: &Result<ByStack<Passed>, PassError>) {
        self.drift.watch_over(result);
        if result.is_ok() {
            // A pass that could not even fetch has read none.
            self.watched.files.clone_from(&host.view.host_files());
        }
        self.watched.follow(host);
    }

    /// Waits for any of the bells. The others may forget a ring then; the pass answers them all.
    async fn rings(&self) {
        tokio::select! {
            () = self.files.due() => {}
            () = self.drift.bell.due() => {}
            () = self.hooks.due() => {}
        }
    }
}

/// Hears of drift, and rings where it may be one of a stack of this host: what others do on the
/// engine, again and again even, must not make us slow to see what happens to ours.
#[derive(Clone)]
struct Drift {
    bell: Bell,
    /// Where it may be; `None` = that is not known, so anywhere.
    ours: Arc<Mutex<Option<BTreeSet<Origin>>>>,
}

impl Drift {
    fn new() -> Self {
        Self {
            bell: Bell::new(DRIFT),
            ours: Arc::default(),
        }
    }

    /// Is told of drift; `None` = anywhere.
    fn told(&self, origin: Option<&Origin>) {
        let ours = self.ours.lock().unwrap_or_else(PoisonError::into_inner);
        if origin
            .zip(ours.as_ref())
            .is_none_or(|(origin, ours)| ours.contains(origin))
        {
            self.bell.ring();
        }
    }

    /// Keeps to what the stacks of a pass have. When one of them can't be read it may be anything.
    fn watch_over(&self, result: &Result<ByStack<Passed>, PassError>) {
        let all_known = result
            .as_ref()
            .is_ok_and(|all| all.values().all(Result::is_ok));
        let ours = all_known.then(|| {
            let stacks = result.iter().flat_map(|stacks| stacks.values()).flatten();
            stacks
                .flat_map(|one| origins(&one.looked.desired))
                .collect()
        });
        *self.ours.lock().unwrap_or_else(PoisonError::into_inner) = ours;
    }
}

/// Returns where a stack can drift on the engine.
fn origins(desired: &DesiredState) -> impl Iterator<Item = Origin> {
    let networks = desired.networks.keys().cloned().map(Origin::Network);
    let volumes = desired.volumes.keys().cloned().map(Origin::Volume);
    let project = Origin::Project(desired.stack.to_string());
    networks.chain(volumes).chain([project])
}

/// The files whose change is a reason to look: the local repository's refs, and files of the
/// host that a stack reads.
struct Watched {
    watch: Option<Watch>,
    files: BTreeSet<PathBuf>,
}

impl Watched {
    fn new(host: &Host, bell: Bell) -> Self {
        let watch = match Watch::new(move || bell.ring()) {
            Ok(watch) => Some(watch),
            Err(error) => {
                host.view.events.tell(Event::NotWatching {
                    error: error.to_string(),
                });
                None
            }
        };
        Self {
            watch,
            files: BTreeSet::new(),
        }
    }

    fn follow(&mut self, host: &Host) {
        let Some(watch) = &mut self.watch else {
            return;
        };
        let repository = local_repository(&host.view.config);
        if let Err(error) = watch.set_paths(repository.as_deref(), &self.files) {
            host.view.events.tell(Event::NotWatching {
                error: error.to_string(),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_with_trouble_and_have_an_end() {
        let poll = Duration::from_secs(30);
        let within = |trouble: Trouble, in_a_row: u32, seconds: f64| {
            let pause = pause(poll, trouble, in_a_row).as_secs_f64();
            let range = 0.89 * seconds..1.11 * seconds;
            assert!(range.contains(&pause), "{trouble:?} {in_a_row}: {pause}");
        };
        within(Trouble::None, 0, 30.0);
        within(Trouble::Remote, 1, 60.0);
        within(Trouble::Remote, 60, 120.0);
        within(Trouble::Engine, 1, 1.0);
        within(Trouble::Engine, 60, 30.0);
    }
}
