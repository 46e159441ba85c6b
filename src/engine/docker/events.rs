//! Follows what the engine tells of its own changes.

use std::collections::HashMap;

use bollard::models::{EventMessage, EventMessageTypeEnum};
use bollard::query_parameters::EventsOptions;
use futures_util::stream::{self, StreamExt};

use super::connection::Docker;
use crate::clock::{Clock, SystemClock};
use crate::engine::{Change, Changes, EngineError};
use crate::labels;

/// How far before now the events begin, seconds: what happens until the engine has read the request
/// is among them, also where its clock is a little slow.
const OVERLAP: i64 = 5;

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
}

/// Returns everything that an event means.
fn told(event: EventMessage) -> impl Iterator<Item = Change> + Send {
    let drift = drifts(&event).then_some(Change::Drift);
    [change(event), drift].into_iter().flatten()
}

/// Returns whether a look may find after this that something differs from what Git wants.
///
/// Starts are left out, and connections to networks: what matters of them comes with an end. So
/// are containers that no project keeps, and those that run one command.
fn drifts(event: &EventMessage) -> bool {
    const OF_CONTAINERS: [&str; 6] = ["destroy", "die", "pause", "rename", "unpause", "update"];
    let action = event.action.as_deref().unwrap_or_default();
    match event.typ {
        Some(EventMessageTypeEnum::CONTAINER) => {
            let attributes = event.actor.as_ref().and_then(|one| one.attributes.as_ref());
            let label = |name: &str| attributes.and_then(|all| all.get(name));
            let of_a_service = label(labels::PROJECT).is_some()
                && label(labels::ONEOFF).is_none_or(|value| value != "True");
            of_a_service && OF_CONTAINERS.contains(&action)
        }
        Some(EventMessageTypeEnum::NETWORK | EventMessageTypeEnum::VOLUME) => action == "destroy",
        Some(
            EventMessageTypeEnum::EMPTY
            | EventMessageTypeEnum::BUILDER
            | EventMessageTypeEnum::CONFIG
            | EventMessageTypeEnum::DAEMON
            | EventMessageTypeEnum::IMAGE
            | EventMessageTypeEnum::NODE
            | EventMessageTypeEnum::PLUGIN
            | EventMessageTypeEnum::SECRET
            | EventMessageTypeEnum::SERVICE,
        )
        | None => false,
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

    fn rings(kind: EventMessageTypeEnum, action: &str, labels: &[(&str, &str)]) -> bool {
        told(event(kind, action, labels)).any(|change| change == Change::Drift)
    }

    #[test]
    fn what_may_differ_from_git_is_drift_and_what_a_look_does_is_not() {
        use EventMessageTypeEnum::{CONTAINER, IMAGE, NETWORK, VOLUME};
        let ours = [(labels::PROJECT, "shop"), (labels::ONEOFF, "False")];
        for action in ["die", "destroy", "update", "rename", "pause", "unpause"] {
            assert!(rings(CONTAINER, action, &ours), "{action}");
            assert!(!rings(CONTAINER, action, &[]), "{action} of a stranger");
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
            assert!(!rings(CONTAINER, action, &ours), "{action}");
        }
        let once = [(labels::PROJECT, "shop"), (labels::ONEOFF, "True")];
        assert!(!rings(CONTAINER, "die", &once));
        assert!(rings(NETWORK, "destroy", &[]) && rings(VOLUME, "destroy", &[]));
        assert!(!rings(NETWORK, "disconnect", &[]) && !rings(VOLUME, "unmount", &[]));
        assert!(!rings(IMAGE, "pull", &[]));
    }

    #[test]
    fn drift_is_told_after_the_change_itself() {
        let died = event(
            EventMessageTypeEnum::CONTAINER,
            "die",
            &[(labels::PROJECT, "shop")],
        );
        let told: Vec<Change> = told(died).collect();
        assert_eq!(told, [Change::Container("4711".to_owned()), Change::Drift]);
    }
}
