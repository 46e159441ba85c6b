//! The one printed form of a plan.
//!
//! ```text
//! shop  4f2a9c1 → 9f31c2e  promote web
//!   prepare   1  pull     web     shop@sha256:77aa…   image shop:v1 → shop:v2
//!   converge  2  replace  web     image shop:v1 → shop:v2                       after 1
//!   verify    3  ready    web     healthy ≤ 1m                                  after 2
//!   settle    4  record   release                                               after 3
//!             5  remove   shop-web-1.old  the one before                        after 4
//!   holds     —  volume shop_data: driver options differ; data would be lost
//! ```

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use serde::ser::SerializeStruct;

use super::action::{Action, Await, Phase, Placement, RemoveReason, Step, is_aside};
use super::around::programs;
use super::drafts::OneOff;
use super::drafts::TestPlace;
use super::facts::Field;
use super::{Plan, Reason};
use crate::desired::backups::{Source, Target};
use crate::desired::manifest::Reload;
use crate::desired::proxy::MarkerAt;
use crate::table;

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Prepare => "prepare",
            Self::Guard => "guard",
            Self::Migrate => "migrate",
            Self::Converge => "converge",
            Self::Verify => "verify",
            Self::Switch => "switch",
            Self::Settle => "settle",
        })
    }
}

impl Action {
    /// Returns the verb of the printed form.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Pull { .. } => "pull",
            Self::CreateNetwork(_) | Self::CreateVolume(_) | Self::Create { .. } => "create",
            Self::Place { .. } => "place",
            Self::RemakeNetwork(_) => "remake",
            Self::Rename { .. } => "rename",
            Self::Replace { .. } => "replace",
            Self::Start { .. } | Self::StartBeside { .. } => "start",
            Self::TestProxy(_) => "test",
            Self::Switch(_) => "switch",
            Self::SwitchBack(_) => "switch-back",
            Self::Drain { .. } => "drain",
            Self::HandOver { .. } => "hand-over",
            Self::Reload { .. } => "reload",
            Self::Restart { .. } => "restart",
            Self::Connect { .. } => "connect",
            Self::Disconnect { .. } => "disconnect",
            Self::Await {
                until: Await::Ready { .. } | Await::Running { .. } | Await::Healthy { .. },
                ..
            }
            | Self::Ready(_) => "ready",
            Self::Await {
                until: Await::Completed,
                ..
            } => "wait",
            Self::Measure(_) => "measure",
            Self::MaintainOn(_) | Self::MaintainOff(_) => "maintain",
            Self::Stop { .. } => "stop",
            Self::Backup(_) => "backup",
            Self::Migrate(_) | Self::Job(_) => "run",
            Self::Restore(_) => "restore",
            Self::PutBack { .. } => "put-back",
            Self::Soak { .. } => "soak",
            Self::Smoke(_) => "smoke",
            Self::Remove { .. } | Self::RemoveNetwork { .. } => "remove",
            Self::Adopt { .. } => "adopt",
            Self::Record(_) => "record",
        }
    }

    /// Returns what the verb is done to.
    pub fn subject(&self) -> String {
        match self {
            Self::Pull { services, .. } => names(services.iter()),
            Self::CreateNetwork(_) | Self::RemakeNetwork(_) | Self::RemoveNetwork { .. } => {
                "network".to_owned()
            }
            Self::CreateVolume(_) => "volume".to_owned(),
            Self::Place { .. } => "files".to_owned(),
            Self::Rename { container, .. } | Self::Remove { container, .. } => {
                container.name.clone()
            }
            Self::Create { service, .. }
            | Self::Replace { service, .. }
            | Self::Start { service, .. }
            | Self::Restart { service, .. }
            | Self::Connect { service, .. }
            | Self::Disconnect { service, .. }
            | Self::Stop { service, .. }
            | Self::PutBack { service, .. }
            | Self::StartBeside { service, .. }
            | Self::Drain { service, .. }
            | Self::HandOver { service, .. }
            | Self::Reload { service, .. }
            | Self::Await { service, .. } => service.to_string(),
            Self::TestProxy(draft) => draft.kind.to_string(),
            Self::Switch(draft) | Self::SwitchBack(draft) => draft.kind.to_string(),
            Self::Measure(_) | Self::Smoke(_) => "stack".to_owned(),
            Self::MaintainOn(_) => "on".to_owned(),
            Self::MaintainOff(_) => "off".to_owned(),
            Self::Backup(draft) => draft.name.to_string(),
            Self::Restore(draft) => draft.name.to_string(),
            Self::Migrate(draft) => draft.one_off.service.to_string(),
            Self::Job(draft) => draft.one_off.service.to_string(),
            Self::Ready(draft) => draft.ready.service.to_string(),
            Self::Soak { containers, .. } => names(containers.iter().map(|(one, _)| one)),
            Self::Adopt { containers } => names(containers.iter().map(|(one, _)| one)),
            Self::Record(_) => "release".to_owned(),
        }
    }

    /// Returns the rest of the line, without the reasons.
    fn detail(&self) -> String {
        match self {
            Self::Pull { image, digest, .. } => by_digest(image, digest),
            Self::CreateNetwork(network) => network.name.clone(),
            Self::RemakeNetwork(draft) => draft.before.name.clone(),
            Self::CreateVolume(volume) => volume.name.clone(),
            Self::RemoveNetwork { name, .. } => name.clone(),
            Self::Place { files, .. } => files.iter().map(placement).collect::<Vec<_>>().join(", "),
            Self::Rename { container, name } if is_aside(&container.name) => {
                format!("back to {name}")
            }
            Self::Rename { name, .. } => format!("to {name}"),
            Self::Create { spec, .. } => spec.image.clone(),
            Self::Await { until, within, .. } => {
                let soak = |soak: &Duration| {
                    if soak.is_zero() {
                        return "running".to_owned();
                    }
                    format!("running for {}", humantime::format_duration(*soak))
                };
                let what = match until {
                    Await::Ready { soak: time } => format!("healthy or {}", soak(time)),
                    Await::Running { soak: time } => soak(time),
                    Await::Healthy { .. } => "healthy".to_owned(),
                    Await::Completed => "completed".to_owned(),
                };
                format!("{what}, ≤ {}", humantime::format_duration(*within))
            }
            Self::Remove { why, .. } => why_removed(*why).to_owned(),
            Self::Measure(draft) | Self::Smoke(draft) => draft.smoke.to_string(),
            Self::MaintainOn(raise) => {
                let flag = raise.maintenance.flag.display().to_string();
                match &raise.maintenance.probe {
                    Some(probe) => format!("{flag}; {probe} answers 503"),
                    None => flag,
                }
            }
            Self::MaintainOff(lower) => match &lower.maintenance.probe {
                Some(probe) => format!("{probe} answers"),
                None => String::new(),
            },
            Self::Backup(draft) => {
                let (source, to) = (&draft.backup.source, &draft.backup.to);
                format!("{} → {}", source_text(source), to.display())
            }
            Self::Migrate(draft) => one_off(&draft.one_off),
            Self::Job(draft) => format!("{}: {}", draft.name, one_off(&draft.one_off)),
            Self::Restore(draft) => {
                format!("{} → {}", draft.file, source_text(&draft.backup.source))
            }
            Self::PutBack { .. } => "the one before comes back".to_owned(),
            Self::Ready(draft) => draft.ready.to_string(),
            Self::Soak { during, .. } => {
                format!("no restart for {}", humantime::format_duration(*during))
            }
            Self::StartBeside { name, there, .. } => match there {
                Some(_) => format!("{name} goes on"),
                None => format!("{name} beside it"),
            },
            Self::TestProxy(draft) => match &draft.place {
                TestPlace::Host => "on the host".to_owned(),
                TestPlace::Containers { .. } => "in a container like it".to_owned(),
            },
            Self::Switch(draft) if draft.takes_out => {
                format!(
                    "{} does not answer {} any more",
                    asked_at(&draft.at),
                    draft.marker
                )
            }
            Self::Switch(draft) => format!("{} answers {}", asked_at(&draft.at), draft.marker),
            Self::SwitchBack(draft) => match &draft.before {
                Some(marker) => format!("{} answers {marker}", asked_at(&draft.at)),
                None => String::new(),
            },
            Self::Drain {
                container,
                draining,
                ..
            } => {
                let within = humantime::format_duration(draining.within);
                format!("{}, ≤ {within}", container.name)
            }
            Self::HandOver { beside, name, .. } => format!("{beside} becomes {name}"),
            Self::Adopt { containers } => names(containers.iter().map(|(_, one)| &one.name)),
            Self::Reload { how, .. } => match how {
                Reload::Signal(signal) => signal.clone(),
                Reload::Run(run) => shell_words::join(run),
            },
            Self::Replace { .. }
            | Self::Start { .. }
            | Self::Stop { .. }
            | Self::Restart { .. }
            | Self::Connect { .. }
            | Self::Disconnect { .. }
            | Self::Record(_) => String::new(),
        }
    }
}

fn why_removed(why: RemoveReason) -> &'static str {
    match why {
        RemoveReason::Replaced => "the one before",
        RemoveReason::HalfMade => "left by an interrupted pass",
        RemoveReason::Orphan => "its service is gone",
        RemoveReason::Surplus => "its service has fewer containers now",
        RemoveReason::Expired => "its stack has expired",
    }
}

fn names(all: impl Iterator<Item = impl ToString>) -> String {
    let all: Vec<String> = all.map(|one| one.to_string()).collect();
    all.join(", ")
}

fn source_text(source: &Source) -> String {
    let what = match source {
        Source::Sqlite(path) => path.display().to_string(),
        Source::Postgres(postgres) => match &postgres.target {
            Target::Local { database, .. } => format!("{database} in {}", postgres.service),
            Target::UrlFile(file) => format!("of {} in {}", file.display(), postgres.service),
        },
        Source::Files(paths) => paths
            .iter()
            .map(|path| path.display().to_string())
            .collect::<Vec<_>>()
            .join(", "),
        Source::Command(command) => {
            format!("{} in {}", shell_words::join(&command.run), command.service)
        }
    };
    format!("{} {what}", source.kind())
}

fn one_off(one_off: &OneOff) -> String {
    let run = shell_words::join(&one_off.run);
    format!("{run} ≤ {}", humantime::format_duration(one_off.within))
}

fn asked_at(at: &MarkerAt) -> String {
    match at {
        MarkerAt::Url(url) => url.to_string(),
        MarkerAt::Inside { port, path } => format!("its port {port}{path}"),
    }
}

fn placement(placement: &Placement) -> String {
    match placement.file {
        Some(_) => placement.path.to_string(),
        None => format!("remove {}", placement.path),
    }
}

/// Returns `repository@sha256:0123456789ab…`: enough of the digest to tell two apart.
fn by_digest(image: &str, digest: &str) -> String {
    if digest.is_empty() {
        return image.to_owned();
    }
    let repository = match image.rsplit_once(':') {
        Some((repository, tag)) if !tag.contains('/') => repository,
        Some(_) | None => image,
    };
    let repository = repository.split('@').next().unwrap_or(repository);
    format!("{repository}@{}…", digest.get(..19).unwrap_or(digest))
}

impl Step {
    fn why(&self) -> String {
        let detail = self.action.detail();
        let reasons = match &self.action {
            // That there is none says the verb.
            Action::Create { .. } => String::new(),
            Action::Start { .. } | Action::Restart { .. } => joined(
                self.reasons
                    .iter()
                    .filter(|reason| !matches!(reason.field, Field::Network(_))),
            ),
            Action::Pull { .. }
            | Action::CreateNetwork(_)
            | Action::RemakeNetwork(_)
            | Action::CreateVolume(_)
            | Action::RemoveNetwork { .. }
            | Action::Place { .. }
            | Action::Rename { .. }
            | Action::Replace { .. }
            | Action::StartBeside { .. }
            | Action::TestProxy(_)
            | Action::Switch(_)
            | Action::SwitchBack(_)
            | Action::Drain { .. }
            | Action::HandOver { .. }
            | Action::Reload { .. }
            | Action::Connect { .. }
            | Action::Disconnect { .. }
            | Action::Await { .. }
            | Action::Measure(_)
            | Action::MaintainOn(_)
            | Action::MaintainOff(_)
            | Action::Stop { .. }
            | Action::Backup(_)
            | Action::Migrate(_)
            | Action::Job(_)
            | Action::Restore(_)
            | Action::PutBack { .. }
            | Action::Ready(_)
            | Action::Soak { .. }
            | Action::Smoke(_)
            | Action::Remove { .. }
            | Action::Adopt { .. }
            | Action::Record(_) => joined(self.reasons.iter()),
        };
        match (detail.is_empty(), reasons.is_empty()) {
            (true, _) => reasons,
            (false, true) => detail,
            (false, false) => format!("{detail}  {reasons}"),
        }
    }
}

fn joined<'a>(reasons: impl Iterator<Item = &'a Reason>) -> String {
    reasons
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let to = self.commit.revision.short();
        let subject = &self.commit.subject;
        match &self.from {
            Some(from) if *from != self.commit.revision => {
                writeln!(f, "{}  {} → {to}  {subject}", self.stack, from.short())?;
            }
            Some(_) | None => writeln!(f, "{}  {to}  {subject}", self.stack)?,
        }
        let mut phase = None;
        let shown = self.steps.iter().chain(&self.held_back);
        let rows = shown.map(|step| {
            let label = if phase == Some(step.phase) {
                String::new()
            } else {
                step.phase.to_string()
            };
            phase = Some(step.phase);
            [
                format!("  {label}"),
                format!("{:>2}", step.number),
                step.action.verb().to_owned(),
                step.action.subject(),
                step.why() + &programs(step, &self.around),
                after(&step.after),
            ]
        });
        f.write_str(&table::aligned(rows))?;
        for hold in &self.holds {
            writeln!(f, "  holds     —  {hold}")?;
        }
        if self.steps.is_empty() && self.holds.is_empty() {
            writeln!(f, "  nothing to do")?;
        }
        Ok(())
    }
}

/// Returns `after 1, 3–5`; nothing for a step that waits for none.
fn after(steps: &[u32]) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for &step in steps {
        match ranges.last_mut() {
            Some((_, last)) if *last + 1 == step => *last = step,
            Some(_) | None => ranges.push((step, step)),
        }
    }
    let text: Vec<String> = ranges
        .into_iter()
        .map(|(first, last)| match last - first {
            0 => first.to_string(),
            1 => format!("{first}, {last}"),
            _ => format!("{first}–{last}"),
        })
        .collect();
    if text.is_empty() {
        String::new()
    } else {
        format!("after {}", text.join(", "))
    }
}

impl Serialize for Step {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut step = serializer.serialize_struct("Step", 7)?;
        step.serialize_field("number", &self.number)?;
        step.serialize_field("phase", &self.phase)?;
        step.serialize_field("verb", self.action.verb())?;
        step.serialize_field("subject", &self.action.subject())?;
        step.serialize_field("detail", &self.action.detail())?;
        step.serialize_field("reasons", &self.reasons)?;
        step.serialize_field("after", &self.after)?;
        step.end()
    }
}

impl Serialize for Plan {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut plan = serializer.serialize_struct("Plan", 6)?;
        plan.serialize_field("stack", &self.stack)?;
        plan.serialize_field("commit", &self.commit)?;
        plan.serialize_field("from", &self.from)?;
        plan.serialize_field("steps", &self.steps)?;
        plan.serialize_field("holds", &self.holds)?;
        plan.serialize_field("held_back", &self.held_back)?;
        plan.end()
    }
}
