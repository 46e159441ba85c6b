//! Follows what the engine tells of its own changes.

use std::collections::HashMap;

use bollard::models::{EventMessage, EventMessageTypeEnum};
use bollard::query_parameters::EventsOptions;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;

use super::connection::{CALL_LIMIT, Docker};
use crate::clock::{Clock, SystemClock};
use crate::engine::model::{Container, ContainerState};
use crate::engine::{Change, Changes, EngineError, Origin};
use crate::labels;

/// How far before now the events begin, seconds: what happens until the engine has read the request
/// is among them, also where its clock is a little slow.
const OVERLAP: i64 = 5;

/// Seconds after now within which the engine tells of an end that it shows, and how much slower than
/// ours its clock may be.
const TOLD_WITHIN: i64 = 2;

/// Kinds of things whose changes are followed.
const KINDS: [&str; 4] = ["container", "image", "network", "volume"];

impl Docker {
    /// Opens the stream of events. It ends when the connection does, and the session with it:
    /// other connections break without a word while nobody asks.
    pub(super) async fn follow(&self) -> Result<Changes, EngineError> {
        let client = self.client("follow the engine's events").await?;
        let kinds = KINDS.map(str::to_owned).into();
        let since = SystemClock.now().as_second() - OVERLAP;
        let options = EventsOptions {
            since: Some(since.to_string()),
            filters: Some(HashMap::from([("type".to_owned(), kinds)])),
            ..EventsOptions::default()
        };
        let messages = client.events(Some(options)).boxed();
        // What can't be read may have been anything: the stream ends there.
        let read = messages.take_while(|message| std::future::ready(message.is_ok()));
        let read = read.filter_map(|message| std::future::ready(message.ok()));
        let changes = read.flat_map(|event| stream::iter(told(event)));
        let at_end = stream::once(self.end_of_session()).filter_map(async |()| None);
        Ok(Box::pin(changes.chain(at_end)))
    }

    /// Returns whether a container, which ended at `ended`, has done so with success and nobody had
    /// told it to, as far as the engine remembers: it keeps its last 256 events, until it is
    /// restarted itself.
    ///
    /// All times are those that the engine gave: its clock may be another one than ours.
    pub(super) async fn has_ended_by_itself(
        &self,
        doing: &str,
        container: &Container,
        ended: &str,
    ) -> bool {
        let may_be_a_job = container.spec.restart.leaves_success_alone()
            && matches!(container.state, ContainerState::Exited { code: 0, .. });
        let times = [container.started_at.as_str(), ended].map(str::parse::<Timestamp>);
        let (true, [Ok(started), Ok(ended)], Ok(client)) =
            (may_be_a_job, times, self.client(doing).await)
        else {
            return false;
        };
        // It may tell late. Where it has told of the end it is not waited for what comes after.
        let until = SystemClock.now().max(ended).as_second();
        let options = EventsOptions {
            since: Some(started.as_second().to_string()),
            until: Some(until.saturating_add(TOLD_WITHIN).to_string()),
            filters: Some(HashMap::from([(
                "container".to_owned(),
                vec![container.id.clone()],
            )])),
        };
        let mut told = client.events(Some(options)).boxed();
        let look = async {
            let mut was_told = false;
            while let Some(event) = told.try_next().await? {
                let is_end = event.time.is_some_and(|time| time >= ended.as_second());
                match event.action.as_deref() {
                    Some("start") => was_told = false,
                    Some("kill" | "stop") => was_told = true,
                    Some("die") if is_end => return Ok(!was_told),
                    Some(_) | None => {}
                }
            }
            Ok(false)
        };
        self.call(doing, CALL_LIMIT, look).await.unwrap_or(false)
    }
}

/// Returns everything that an event means.
fn told(event: EventMessage) -> impl Iterator<Item = Change> + Send {
    let drift = drift(&event).map(Change::Drift);
    [change(event), drift].into_iter().flatten()
}

/// Returns where a look may find after this that something differs from what Git wants.
///
/// Starts are left out, and connections to networks: what matters of them comes with an end. So
/// are containers that no project keeps, and those that run one command.
fn drift(event: &EventMessage) -> Option<Origin> {
    const OF_CONTAINERS: [&str; 6] = ["destroy", "die", "pause", "rename", "unpause", "update"];
    let action = event.action.as_deref()?;
    let actor = event.actor.as_ref()?;
    let attributes = actor.attributes.as_ref();
    let attribute = |name: &str| attributes.and_then(|all| all.get(name)).cloned();
    match event.typ? {
        EventMessageTypeEnum::CONTAINER => {
            let runs_once = attribute(labels::ONEOFF).is_some_and(|value| value == "True");
            let counts = !runs_once && OF_CONTAINERS.contains(&action);
            let project = attribute(labels::PROJECT).filter(|_| counts);
            project.map(Origin::Project)
        }
        EventMessageTypeEnum::NETWORK if action == "destroy" => {
            attribute("name").map(Origin::Network)
        }
        // Volumes have no other id than their name.
        EventMessageTypeEnum::VOLUME if action == "destroy" => actor.id.clone().map(Origin::Volume),
        EventMessageTypeEnum::EMPTY
        | EventMessageTypeEnum::BUILDER
        | EventMessageTypeEnum::CONFIG
        | EventMessageTypeEnum::DAEMON
        | EventMessageTypeEnum::IMAGE
        | EventMessageTypeEnum::NETWORK
        | EventMessageTypeEnum::NODE
        | EventMessageTypeEnum::PLUGIN
        | EventMessageTypeEnum::SECRET
        | EventMessageTypeEnum::SERVICE
        | EventMessageTypeEnum::VOLUME => None,
    }
}

/// Returns what an event means for what was seen before; `None` = nothing.
fn change(event: EventMessage) -> Option<Change> {
    let action = event.action.unwrap_or_default();
    let actor = event.actor.unwrap_or_default();
    match event.typ? {
        EventMessageTypeEnum::CONTAINER => {
            // Every run of a health check tells of three commands.
            let of_a_command = action.starts_with("exec_");
            (!of_a_command).then_some(Change::Container(actor.id?))
        }
        EventMessageTypeEnum::IMAGE => Some(Change::Image),
        EventMessageTypeEnum::NETWORK => Some(Change::Network {
            container: actor.attributes.and_then(|mut one| one.remove("container")),
        }),
        EventMessageTypeEnum::VOLUME => {
            let of_its_use = action == "mount" || action == "unmount";
            (!of_its_use).then_some(Change::Volume)
        }
        EventMessageTypeEnum::EMPTY
        | EventMessageTypeEnum::BUILDER
        | EventMessageTypeEnum::CONFIG
        | EventMessageTypeEnum::DAEMON
        | EventMessageTypeEnum::NODE
        | EventMessageTypeEnum::PLUGIN
        | EventMessageTypeEnum::SECRET
        | EventMessageTypeEnum::SERVICE => None,
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::EventActor;

    use super::*;

    fn event(kind: EventMessageTypeEnum, action: &str, labels: &[(&str, &str)]) -> EventMessage {
        let pairs = labels.iter().map(|(name, value)| (*name, *value));
        let attributes = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        EventMessage {
            typ: Some(kind),
            action: Some(action.to_owned()),
            actor: Some(EventActor {
                id: Some("4711".to_owned()),
                attributes: Some(attributes.collect()),
            }),
            ..EventMessage::default()
        }
    }

    /// Returns where an event tells of drift.
    fn drift(
        kind: EventMessageTypeEnum,
        action: &str,
        attributes: &[(&str, &str)],
    ) -> Option<Origin> {
        let mut told = told(event(kind, action, attributes));
        told.find_map(|change| match change {
            Change::Drift(origin) => Some(origin),
            Change::Container(_) | Change::Network { .. } | Change::Volume | Change::Image => None,
        })
    }

    #[test]
    fn what_may_differ_from_git_is_drift_and_what_a_look_does_is_not() {
        use EventMessageTypeEnum::{CONTAINER, IMAGE, NETWORK, VOLUME};
        let ours = [(labels::PROJECT, "shop"), (labels::ONEOFF, "False")];
        for action in ["die", "destroy", "update", "rename", "pause", "unpause"] {
            let project = Some(Origin::Project("shop".to_owned()));
            assert_eq!(drift(CONTAINER, action, &ours), project, "{action}");
            assert_eq!(
                drift(CONTAINER, action, &[]),
                None,
                "{action} of a stranger"
            );
        }
        for action in [
            "create",
            "start",
            "attach",
            "top",
            "archive-path",
            "extract-to-dir",
            "exec_create: /check",
            "exec_start: /check",
            "exec_die",
            "health_status: healthy",
        ] {
            assert_eq!(drift(CONTAINER, action, &ours), None, "{action}");
        }
        let once = [(labels::PROJECT, "shop"), (labels::ONEOFF, "True")];
        assert_eq!(drift(CONTAINER, "die", &once), None);
        let named = [("name", "shop_default")];
        let network = Some(Origin::Network("shop_default".to_owned()));
        assert_eq!(drift(NETWORK, "destroy", &named), network);
        assert_eq!(drift(NETWORK, "disconnect", &named), None);
        let volume = Some(Origin::Volume("4711".to_owned()));
        assert_eq!(drift(VOLUME, "destroy", &[]), volume);
        assert_eq!(drift(VOLUME, "unmount", &[]), None);
        assert_eq!(drift(IMAGE, "pull", &[]), None);
    }

    #[test]
    fn drift_is_told_after_the_change_itself() {
        let died = event(
            EventMessageTypeEnum::CONTAINER,
            "die",
            &[(labels::PROJECT, "shop")],
        );
        let told: Vec<Change> = told(died).collect();
        let drift = Change::Drift(Origin::Project("shop".to_owned()));
        assert_eq!(told, [Change::Container("4711".to_owned()), drift]);
    }
}
