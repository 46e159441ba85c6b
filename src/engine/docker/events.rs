//! Follows what the engine tells of its own changes.

use std::collections::HashMap;

use bollard::models::{EventMessage, EventMessageTypeEnum};
use bollard::query_parameters::EventsOptions;
use futures_util::stream::{self, StreamExt};

use super::connection::Docker;
use crate::clock::{Clock, SystemClock};
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
