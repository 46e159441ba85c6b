//! Status and history: what runs, what was released, what is held. Neither asks the remote.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::Report;
use super::history::AttemptLine;
use crate::desired::StackName;
use crate::engine::model::{Container, ContainerState, Health};
use crate::host::View;
use crate::journal::Outcome;
use crate::observe::Ownership;
use crate::pass::PassError;
use crate::plan::{Crashed, Pin, ReleaseId, Waits, is_aside, is_incoming};
use crate::record::Record;
use crate::stacks::LoadError;
use crate::trust::{Refusal, Standing};
use crate::{labels, observe, stacks, table};

/// The status of all stacks.
#[derive(Serialize)]
#[serde(transparent)]
pub struct StatusReport(pub Vec<StackStatus>);

/// The status of one stack.
#[derive(Serialize)]
pub struct StackStatus {
    /// Name of the stack.
    pub stack: String,
    /// The last release; `None` before the first.
    pub release: Option<ReleaseId>,
    /// Its services, with what their containers do now.
    pub services: BTreeMap<String, ServiceStatus>,
    /// The last attempt, unless it became the release.
    pub last_attempt: Option<AttemptLine>,
    /// Whether the last attempt's revision is held.
    pub held: bool,
    /// How often in a row moored was killed while it put that revision in place, where it is held
    /// for that.
    pub crashes: Option<usize>,
    /// When its lifetime is over, as it was released.
    pub expires: Option<Timestamp>,
    /// Whether it is.
    pub expired: bool,
    /// The release that it is kept at, whatever Git says.
    pub pinned: Option<Pin>,
    /// The head of its branch, as the last fetch found it, and why it is not followed.
    pub refused: Option<Refusal>,
    /// What it, or what is new at that head, waits for.
    pub waits: Vec<Waits>,
}

/// What the container of a service does now.
#[derive(Serialize)]
pub struct ServiceStatus {
    /// Name of its container.
    pub container: Option<String>,
    /// Its image.
    pub image: Option<String>,
    /// What it is doing; `missing` without a container.
    pub state: String,
    /// What its health check says; `None` without one.
    pub health: Option<Health>,
    /// When it was started last.
    pub started_at: Option<String>,
}

/// Looks at every stack that was tried here, or at the one that is named; and at those that wait for
/// something before their first release, or can't be loaded.
///
/// # Errors
/// The engine or the record can't be asked.
pub async fn status(view: &View, only: Option<&str>) -> Result<StatusReport, PassError> {
    let Some(record) = &view.record else {
        return Ok(StatusReport(Vec::new()));
    };
    let mut stacks = Vec::new();
    for stack in stacks_of(record, only)? {
        stacks.push(stack_status(view, record, &stack).await?);
    }
    for stack in untried(view, record, only)? {
        let status = stack_status(view, record, &stack).await?;
        let is_held = !status.waits.is_empty() || status.refused.is_some();
        stacks.extend(Some(status).filter(|_| is_held));
    }
    stacks.sort_by(|a, b| a.stack.cmp(&b.stack));
    Ok(StatusReport(stacks))
}

pub(super) fn stacks_of(record: &Record, only: Option<&str>) -> Result<Vec<StackName>, PassError> {
    let stacks = record.stacks()?.into_iter();
    Ok(stacks
        .filter(|stack| only.is_none_or(|only| stack.as_str() == only))
        .collect())
}

/// Returns the stacks of Git that no attempt was made for.
fn untried(view: &View, record: &Record, only: Option<&str>) -> Result<Vec<StackName>, PassError> {
    let in_git = match stacks::in_git(view) {
        Ok(in_git) => in_git,
        // A mirror that is gone or damaged is made again by the next pass.
        Err(LoadError::Read(_)) => return Ok(Vec::new()),
        Err(error) => return Err(error.into()),
    };
    let tried = record.stacks()?;
    let untried = in_git.into_keys().filter(|stack| !tried.contains(stack));
    let wanted = untried.filter(|stack| only.is_none_or(|only| stack.as_str() == only));
    Ok(wanted.collect())
}

async fn stack_status(
    view: &View,
    record: &Record,
    stack: &StackName,
) -> Result<StackStatus, PassError> {
    let history = record.history(stack)?;
    let whose = Ownership {
        instance: record.instance(),
        adopted: &history.adopted,
    };
    let engine = view.engine.as_ref();
    let containers = observe::containers(engine, stack, whose).await?.containers;
    let mut services = BTreeMap::new();
    for service in history
        .release
        .iter()
        .flat_map(|release| release.services.keys())
    {
        services.insert(service.to_string(), ServiceStatus::missing());
    }
    for container in &containers {
        let ours = container
            .spec
            .labels
            .get(labels::INSTANCE)
            .map(String::as_str);
        let service = container.spec.labels.get(labels::SERVICE);
        let kept_aside = is_aside(&container.name) || is_incoming(&container.name);
        if let (Some(service), true, false) = (service, ours == Some(record.instance()), kept_aside)
        {
            services.insert(service.clone(), ServiceStatus::from(container));
        }
    }
    let safe_mode = history
        .crashed
        .as_ref()
        .filter(|one| Crashed::is_too_often(one));
    let last = record.attempts(stack, 1)?.into_iter().next();
    let became = last.as_ref().map(|last| last.number)
        == history.release.as_ref().map(|release| release.id.attempt);
    let release = history.release.as_ref();
    let expires = release.and_then(|release| release.expires);
    Ok(StackStatus {
        stack: stack.to_string(),
        release: history.release.as_ref().map(|release| release.id.clone()),
        services,
        last_attempt: last
            .filter(|_| !became)
            .map(|last| AttemptLine::new(stack, last, record))
            .transpose()?,
        expires,
        expired: expires.is_some_and(|at| at <= view.clock.now()),
        held: history.failed.is_some() || safe_mode.is_some(),
        crashes: safe_mode.map(|crashed| crashed.times),
        refused: match &history.pin {
            // Git has no say in it.
            Some(_) => None,
            None => refused(view, stack)?,
        },
        waits: stacks::waiting(view, stack)?,
        pinned: history.pin.clone(),
    })
}

fn refused(view: &View, stack: &StackName) -> Result<Option<Refusal>, PassError> {
    let refused = match stacks::standing(view, stack) {
        Ok(Standing::Refused(refusal)) => Ok(Some(refusal)),
        Ok(Standing::Followed | Standing::Rewritten) => stacks::unloadable(view, stack),
        Err(error) => Err(error),
    };
    match refused {
        // A mirror that is gone or damaged is made again by the next pass.
        Err(LoadError::Read(_)) => Ok(None),
        refused => Ok(refused?),
    }
}

impl ServiceStatus {
    fn missing() -> Self {
        Self {
            container: None,
            image: None,
            state: "missing".to_owned(),
            health: None,
            started_at: None,
        }
    }
}

impl From<&Container> for ServiceStatus {
    fn from(container: &Container) -> Self {
        let started = container.state != ContainerState::Created;
        Self {
            container: Some(container.name.clone()),
            image: Some(container.spec.image.clone()),
            state: container.state.to_string(),
            health: container.health,
            started_at: started.then(|| container.started_at.clone()),
        }
    }
}

impl Report for StatusReport {
    fn text(&self) -> String {
        if self.0.is_empty() {
            return "nothing has been released on this host yet\n".to_owned();
        }
        let texts: Vec<String> = self.0.iter().map(StackStatus::text).collect();
        texts.join("\n")
    }
}

impl StackStatus {
    fn text(&self) -> String {
        let release = self
            .release
            .as_ref()
            .map_or_else(|| "none".to_owned(), ToString::to_string);
        let mut text = format!("{}  release {release}\n", self.stack);
        let header = ["  service", "state", "health", "image", "started"].map(str::to_owned);
        let rows = self.services.iter().map(|(service, status)| {
            [
                format!("  {service}"),
                status.state.clone(),
                health(status.health).to_owned(),
                status.image.clone().unwrap_or_else(|| "—".to_owned()),
                status
                    .started_at
                    .as_deref()
                    .map_or_else(|| "—".to_owned(), short_time),
            ]
        });
        if !self.services.is_empty() {
            text.push_str(&table::aligned(std::iter::once(header).chain(rows)));
        }
        if let Some(at) = self.expires {
            let word = if self.expired { "expired" } else { "expires" };
            text = format!("{text}  {word:<12}  {}\n", display_time(at));
        }
        if let Some(last) = &self.last_attempt {
            let outcome = last.outcome.as_ref().map_or("at work", Outcome::word);
            let (attempt, revision) = (last.attempt, last.revision.short());
            text = format!("{text}  last attempt  {attempt} of {revision} {outcome}\n");
            if let Some(error) = last.outcome.as_ref().and_then(Outcome::error) {
                text = format!("{text}    {}\n", error.replace('\n', "\n    "));
            }
        }
        if let Some(times) = self.crashes {
            text =
                format!("{text}  safe mode     killed {times} times in a row at this revision\n");
        }
        if self.held {
            text.push_str("  held          until a new commit, a revert, or: moored retry\n");
        }
        if let Some(refusal) = &self.refused {
            text = format!("{text}  held          {refusal}\n");
        }
        for waits in &self.waits {
            text = format!("{text}  held          {waits}\n");
        }
        if let Some(pin) = &self.pinned {
            text = format!("{text}  held          {}\n", pin.notice(&self.stack));
        }
        text
    }
}

fn health(health: Option<Health>) -> &'static str {
    match health {
        None => "—",
        Some(Health::Starting) => "starting",
        Some(Health::Healthy) => "healthy",
        Some(Health::Unhealthy) => "unhealthy",
    }
}

/// Returns a time of the engine to the second.
fn short_time(text: &str) -> String {
    text.parse::<Timestamp>()
        .map_or_else(|_| text.to_owned(), display_time)
}

pub(super) fn display_time(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// Returns a duration to a tenth of a second.
pub(super) fn took(milliseconds: i64) -> String {
    let tenths = (milliseconds + 50) / 100;
    format!("{}.{} s", tenths / 10, tenths % 10)
}

/// The stacks whose held revision may be tried again, or whose pin was lifted.
#[derive(Default, Serialize)]
#[serde(transparent)]
pub struct RetryReport {
    freed: Vec<String>,
    /// What they were pinned to.
    #[serde(skip)]
    pins: BTreeMap<String, Pin>,
}

impl RetryReport {
    /// Adds a stack, with the pin that was lifted.
    pub fn add(&mut self, stack: &StackName, pin: Option<Pin>) {
        self.freed.push(stack.to_string());
        self.pins.extend(pin.map(|pin| (stack.to_string(), pin)));
    }
}

impl Report for RetryReport {
    fn text(&self) -> String {
        if self.freed.is_empty() {
            return "nothing is held\n".to_owned();
        }
        let line = |stack: &String| match self.pins.get(stack) {
            Some(pin) => {
                format!("{stack}  is not {pin} any more: Git is followed again at the next pass\n")
            }
            None => format!("{stack}  is tried again at the next pass\n"),
        };
        self.freed.iter().map(line).collect()
    }
}
