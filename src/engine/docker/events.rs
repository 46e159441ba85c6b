//! Follows what the engine tells of its own changes.

use std::collections::HashMap;

use bollard::models::{EventMessage, EventMessageTypeEnum};
use bollard::query_parameters::EventsOptions;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use jiff::Timestamp;

use super::connection::{CALL_LIMIT, Docker};
use crate::clock::{Clock, SystemClock};
use crate::engine::model::{Container, ContainerState};
use crate::engine::{Change, Changes, EngineError};

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
        let changes = read.filter_map(|message| std::future::ready(message.ok().and_then(change)));
        let at_end = stream::once(self.end_of_session()).filter_map(async |()| None);
        Ok(Box::pin(changes.chain(at_end)))
    }

    /// Returns whether a container has ended with success and nobody had told it to, as far as the
    /// engine remembers: it keeps its last 256 events, until it is restarted itself.
    pub(super) async fn has_ended_by_itself(&self, doing: &str, container: &Container) -> bool {
        let may_be_a_job = container.spec.restart.leaves_success_alone()
            && matches!(container.state, ContainerState::Exited { code: 0, .. });
        let started = container.started_at.parse::<Timestamp>();
        let (true, Ok(started), Ok(client)) = (may_be_a_job, started, self.client(doing).await)
        else {
            return false;
        };
        let now = SystemClock.now();
        let options = EventsOptions {
            since: Some(started.as_second().to_string()),
            until: Some(format!(
                "{}.{:09}",
                now.as_second(),
                now.subsec_nanosecond()
            )),
            filters: Some(HashMap::from([(
                "container".to_owned(),
                vec![container.id.clone()],
            )])),
        };
        let told = self.call(
            doing,
            CALL_LIMIT,
            client.events(Some(options)).try_collect(),
        );
        let told: Vec<EventMessage> = told.await.unwrap_or_default();
        let said = |what: &str| {
            let mut actions = told.iter().filter_map(|event| event.action.as_deref());
            actions.any(|action| action == what)
        };
        said("die") && !said("kill")
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
