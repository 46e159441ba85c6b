//! Tells a person on stderr what is going on, as it goes on.
//!
//! On a terminal running steps are live lines; without one there is a plain line for each step
//! and, for long ones, one every few seconds.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{IsTerminal, Write};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::status::took;
use crate::desired::StackName;
use crate::desired::backups::BackupName;
use crate::engine::model::PullProgress;
use crate::events::Event;
use crate::files::megabytes;
use crate::plan::Step;
use crate::secret::Redactor;

/// Tells events to a person.
pub struct Console {
    redactor: Redactor,
    lines: Option<MultiProgress>,
    running: Mutex<BTreeMap<(StackName, u32), Running>>,
    /// Warnings that were said: the controller finds them again at every pass.
    warned: Mutex<BTreeSet<String>>,
    /// When it was told how far a backup is.
    backing_up: Mutex<Option<Instant>>,
}

struct Running {
    summary: String,
    began: Instant,
    told: Instant,
    bar: Option<ProgressBar>,
}

/// Time between two plain lines about one step.
const BETWEEN_LINES: Duration = Duration::from_secs(2);

impl Console {
    /// Makes a console on stderr.
    pub fn new(redactor: Redactor) -> Self {
        let lines = std::io::stderr().is_terminal().then(MultiProgress::new);
        Self {
            redactor,
            lines,
            running: Mutex::default(),
            warned: Mutex::default(),
            backing_up: Mutex::default(),
        }
    }

    /// Tells one event.
    pub fn tell(&self, event: Event) {
        match event {
            Event::Warning { stack, warning } => {
                self.warn_once(&format!("{stack}  warning  {warning}"));
            }
            Event::Reloaded => self.say("the settings were read again"),
            Event::ReloadRefused { error } => {
                self.say(&format!(
                    "the settings could not be read again, the old ones stay: {error}"
                ));
            }
            Event::NotWatching { error } => self.warn_once(&format!("warning  {error}")),
            Event::Listening { address } => self.say(&format!("listens on http://{address}")),
            Event::NotListening { address, error } => self.warn_once(&format!(
                "warning  can't listen on {address}, which is tried again: {error}"
            )),
            Event::ListensToOthers { address } => self.warn_once(&format!(
                "warning  others reach {address}, and there is no TLS on it: listen on 127.0.0.1, \
                 behind a proxy"
            )),
            Event::WebhooksRefused { times } => self.say(&webhooks_refused(times)),
            Event::Rewound { branch, revision } => self.say(&format!(
                "warning  the history of branch {branch} was rewritten; it is at {} now",
                revision.short()
            )),
            Event::Planned { plan } => self.say(plan.to_string().trim_end()),
            Event::StepStarted { stack, step } => self.start(stack, &step),
            Event::Pulling {
                stack,
                step,
                image,
                progress,
            } => {
                self.go_on(&(stack, step), &pulled(&image, progress));
            }
            Event::Waiting { stack, step, what } => self.go_on(&(stack, step), &what),
            Event::WaitingForOther { stack, holder } => {
                self.say(&format!(
                    "{stack}  waits for {holder}, which is at work on it"
                ));
            }
            Event::BackingUp {
                stack,
                name,
                done,
                total,
            } => self.backing_up(&stack, &name, done, total),
            Event::BackedUp {
                stack,
                name,
                file,
                size,
            } => {
                let size = megabytes(size);
                self.say(&format!("{stack}  backup {name}  {file}, {size}, verified"));
            }
            Event::BackupFailed { stack, name, error } => {
                self.say(&format!("{stack}  backup {name}  failed: {error}"));
            }
            Event::DrillFailed { stack, name, error } => {
                self.say(&format!("{stack}  drill of {name}  failed: {error}"));
            }
            Event::NotNotified { route, error } => {
                self.warn_once(&format!("warning  notification by {route}: {error}"));
            }
            Event::RouteOpen { path } => self.warn_once(&format!(
                "warning  {path} has the address of a receiver in it, and others may read it: chmod \
                 600 {path}"
            )),
            Event::NotKept { dir, error } => {
                self.say(&format!(
                    "{dir}  what was released can't be kept as it was: {error}"
                ));
            }
            Event::Drilled { stack, name, file } => {
                self.say(&format!("{stack}  drill of {name}  {file} can be restored"));
            }
            Event::StepDone { stack, step } => self.end(&(stack, step), "done"),
            Event::StepFailed { stack, step, error } => {
                self.end(&(stack, step), &format!("failed: {error}"));
            }
            Event::Undoing { stack, step } => {
                self.say(&format!("{stack}  step {step}  is taken back"));
            }
        }
    }

    /// Tells how far a backup outside a plan is, every few seconds.
    fn backing_up(&self, stack: &StackName, name: &BackupName, done: u64, total: Option<u64>) {
        let mut last = self
            .backing_up
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if last.is_some_and(|last| now.duration_since(last) < BETWEEN_LINES) {
            return;
        }
        // The first word comes when it takes longer than that.
        if last.replace(now).is_some() {
            let done = megabytes(done);
            let of = total.map_or_else(String::new, |total| format!(" of {}", megabytes(total)));
            self.say(&format!("{stack}  backup {name}  {done}{of}"));
        }
    }

    fn warn_once(&self, text: &str) {
        /// More different warnings than anybody reads; the memory of them must have an end.
        const MOST: usize = 1000;
        let mut warned = self.warned.lock().unwrap_or_else(PoisonError::into_inner);
        if warned.len() < MOST && warned.insert(text.to_owned()) {
            self.say(text);
        }
    }

    fn say(&self, text: &str) {
        let text = self.redactor.clean(text);
        match &self.lines {
            Some(lines) => lines.suspend(|| print(&text)),
            None => print(&text),
        }
    }

    fn start(&self, stack: StackName, step: &Step) {
        let (verb, subject) = (step.action.verb(), step.action.subject());
        let summary = format!("{stack}  step {:>2}  {verb:<10}  {subject}", step.number);
        let bar = self.lines.as_ref().map(|lines| {
            let bar = lines.add(ProgressBar::new_spinner());
            bar.set_style(
                ProgressStyle::with_template("{spinner} {msg}")
                    .unwrap_or_else(|_| ProgressStyle::default_spinner()),
            );
            bar.enable_steady_tick(Duration::from_millis(120));
            bar.set_message(self.redactor.clean(&summary));
            bar
        });
        let now = Instant::now();
        let running = Running {
            summary,
            began: now,
            told: now,
            bar,
        };
        self.running().insert((stack, step.number), running);
    }

    fn go_on(&self, key: &(StackName, u32), what: &str) {
        let mut running = self.running();
        let Some(step) = running.get_mut(key) else {
            return;
        };
        let text = self.redactor.clean(&format!("{}  {what}", step.summary));
        match &step.bar {
            Some(bar) => bar.set_message(text),
            None if step.told.elapsed() >= BETWEEN_LINES => {
                step.told = Instant::now();
                print(&text);
            }
            None => {}
        }
    }

    fn end(&self, key: &(StackName, u32), how: &str) {
        let Some(step) = self.running().remove(key) else {
            return;
        };
        if let Some(bar) = &step.bar {
            bar.finish_and_clear();
        }
        let milliseconds = i64::try_from(step.began.elapsed().as_millis()).unwrap_or(i64::MAX);
        self.say(&format!("{}  {how}  {}", step.summary, took(milliseconds)));
    }

    fn running(&self) -> std::sync::MutexGuard<'_, BTreeMap<(StackName, u32), Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn print(text: &str) {
    // Nobody reads stderr any more: that must not stop a deploy.
    writeln!(std::io::stderr(), "{text}").unwrap_or_default();
}

fn webhooks_refused(times: u64) -> String {
    let which = match times {
        1 => "a webhook was refused: it is".to_owned(),
        times => format!("{times} webhooks were refused in the last minute: they are"),
    };
    format!("warning  {which} not signed with the secret of webhook.secret_file")
}

fn pulled(image: &str, progress: PullProgress) -> String {
    let (done, total) = (megabytes(progress.done), megabytes(progress.total));
    format!("{image}  {done} of {total}")
}
