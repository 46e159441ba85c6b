//! Sends what lies in the outbox, beside the passes.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use url::Url;

use super::Message;
use crate::clock::Clock;
use crate::events::{Event, Events};
use crate::files;
use crate::host::View;
use crate::probe::{self, Letter};
use crate::record::{Record, RecordError, Waiting};
use crate::routes::Route;
use crate::secret::{Redactor, Sensitive};
use crate::web::Secret;

/// What it takes to send.
#[derive(Clone)]
pub struct Office {
    record: Record,
    redactor: Redactor,
    clock: Arc<dyn Clock>,
    events: Events,
    routes: Arc<Mutex<Vec<Route>>>,
}

/// Sends beside the passes, until it is dropped.
pub struct Courier {
    office: Office,
    bell: Arc<Notify>,
    _task: JoinSet<()>,
}

/// Longest time for one message to be taken.
const DEADLINE: Duration = Duration::from_secs(10);

/// Time until what could not be sent is tried again; twice as long after every try.
const FIRST_PAUSE: SignedDuration = SignedDuration::from_secs(5);
const LONGEST_PAUSE: SignedDuration = SignedDuration::from_mins(10);

/// Age at which a message is given up: nobody wants yesterday's news.
const TOO_OLD: SignedDuration = SignedDuration::from_hours(24);

/// Longest time without a look into the outbox, in case the record could not be asked.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// Permissions of everybody but the owner.
const OTHERS: u32 = 0o077;

impl Office {
    /// Takes what it needs of a host.
    pub fn of(view: &View, record: Record) -> Self {
        Self {
            record,
            redactor: view.redactor.clone(),
            clock: Arc::clone(&view.clock),
            events: view.events.clone(),
            routes: Arc::new(Mutex::new(view.config.notify.clone())),
        }
    }

    /// Sends what is due, to all receivers side by side; returns after `limit` at the latest. What is
    /// not sent by then stays in the outbox.
    pub async fn deliver(&self, limit: Duration) {
        let cut_short = tokio::time::timeout(limit, self.deliver_due()).await;
        if cut_short.is_err() {
            tracing::debug!("not everything was sent in time");
        }
    }

    async fn deliver_due(&self) {
        match self.record.routes_with_messages() {
            Ok(names) => {
                join_all(names.iter().map(|name| self.deliver_to(name))).await;
            }
            Err(error) => self.failed("the outbox", &error.to_string()),
        }
    }

    /// Sends what is due for one receiver in its order, up to the first that it does not take.
    async fn deliver_to(&self, name: &str) {
        let route = self.routes().iter().find(|one| one.name() == name).cloned();
        let sent = async {
            for waiting in self.record.waiting_for(name)? {
                let now = self.clock.now();
                let Some(route) = &route else {
                    // The settings name it no more.
                    self.record.take_out(waiting.id)?;
                    continue;
                };
                if waiting.due_at > now || !self.deliver_one(route, &waiting, now).await? {
                    break;
                }
            }
            Ok::<(), RecordError>(())
        };
        if let Err(error) = sent.await {
            self.failed(name, &error.to_string());
        }
    }

    /// Tries to send one message; returns whether the next one is tried.
    async fn deliver_one(
        &self,
        route: &Route,
        waiting: &Waiting,
        now: Timestamp,
    ) -> Result<bool, RecordError> {
        let id = format!("{}-{}", self.record.instance(), waiting.id);
        let sent = match serde_json::from_str::<Message>(&waiting.message) {
            Ok(message) => send(route, &message, &id, &self.redactor, &self.events).await,
            // Of another version.
            Err(_) => Ok(0),
        };
        let Err(error) = sent else {
            self.record.take_out(waiting.id)?;
            return Ok(true);
        };
        if now.duration_since(waiting.made_at) >= TOO_OLD {
            self.record.take_out(waiting.id)?;
            self.failed(&route.name(), &format!("{error}; a message was given up"));
            return Ok(true);
        }
        self.record
            .put_off(waiting.id, now + pause(waiting.tries))?;
        self.failed(&route.name(), &format!("{error}; it is tried again"));
        Ok(false)
    }

    fn failed(&self, route: &str, error: &str) {
        let (route, error) = (route.to_owned(), self.redactor.clean(error));
        self.events.tell(Event::NotNotified { route, error });
    }

    fn routes(&self) -> std::sync::MutexGuard<'_, Vec<Route>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the time until the next message is due.
    fn sleep(&self) -> Duration {
        let due = match self.record.next_due() {
            Ok(None) => return Duration::MAX,
            Ok(Some(due)) => due,
            Err(_) => return LONGEST_SLEEP,
        };
        let left = due.duration_since(self.clock.now());
        // Not at once again, in case the record can't be written.
        let left = Duration::try_from(left).unwrap_or_default();
        left.clamp(Duration::from_secs(1), LONGEST_SLEEP)
    }
}

impl Courier {
    /// Begins to send: first what an earlier controller left.
    pub fn start(office: Office) -> Self {
        let bell = Arc::new(Notify::new());
        let mut task = JoinSet::new();
        let (sender, rings) = (office.clone(), Arc::clone(&bell));
        task.spawn(async move {
            loop {
                sender.deliver_due().await;
                tokio::select! {
                    () = tokio::time::sleep(sender.sleep()) => {}
                    () = rings.notified() => {}
                }
            }
        });
        Self {
            office,
            bell,
            _task: task,
        }
    }

    /// Sends to the receivers of these settings from now on.
    pub fn follow(&self, routes: &[Route]) {
        routes.clone_into(&mut self.office.routes());
    }

    /// Says that there is something to be sent.
    pub fn ring(&self) {
        self.bell.notify_one();
    }
}

/// Returns the time until a message is tried again that was tried so often before.
fn pause(tries: u32) -> SignedDuration {
    let factor = 2_i32.saturating_pow(tries.min(16));
    FIRST_PAUSE.saturating_mul(factor).min(LONGEST_PAUSE)
}

/// Sends a message to a receiver, once; returns the status of the answer. `id` is the same whenever
/// it is sent again.
///
/// # Errors
/// Why it was not taken, without its address.
pub async fn send(
    route: &Route,
    message: &Message,
    id: &str,
    redactor: &Redactor,
    events: &Events,
) -> Result<u16, String> {
    let (line, mode) = files::first_line(&route.url_file)
        .map_err(|error| format!("failed to read notify.url_file {}: {error}", route.name()))?;
    // Hidden before anything can go wrong with it.
    redactor.learn([Sensitive::new(line.as_str())]);
    if mode & OTHERS != 0 {
        let path = route.name();
        events.tell(Event::RouteOpen { path });
    }
    let url = Url::parse(&line)
        .map_err(|error| format!("the first line of {} is no address: {error}", route.name()))?;
    let behind = [url.path(), url.query().unwrap_or_default()];
    redactor.learn(behind.map(Sensitive::new));
    let body = message.body(route.kind, id);
    let secret = route.secret_file.as_deref();
    let secret = secret.map(|path| Secret::read("notify.secret_file", path));
    let secret = secret.transpose().map_err(|error| error.to_string())?;
    let headers = secret.map(|secret| secret.sign(body.as_bytes()));
    let authorities = route.ca_file.as_ref().map(std::fs::read).transpose();
    let authorities =
        authorities.map_err(|error| format!("failed to read notify.ca_file: {error}"))?;
    let letter = Letter {
        url: &url,
        body,
        headers: headers.into_iter().collect(),
        authorities,
        private: route.private,
    };
    let sent = probe::post(letter, DEADLINE).await;
    sent.map_err(|error| redactor.clean(&error.to_string()))
}
