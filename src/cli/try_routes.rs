//! `moored notify`: tries the routes of notifications.

use std::collections::BTreeSet;

use futures_util::future::join_all;

use super::Exit;
use super::context::{Cli, Failure};
use crate::alerts::{self, Message};
use crate::clock::{Clock, SystemClock};
use crate::host;
use crate::report::{NotifyReport, Tried};
use crate::routes::Route;

pub(super) async fn try_routes(cli: &Cli) -> Result<Exit, Failure> {
    let config = cli.config()?;
    let at = SystemClock.now();
    let message = |route: &Route| Message {
        event: "test".to_owned(),
        kinds: route.kinds.clone(),
        host: host::name(),
        stack: None,
        dir: None,
        text: format!("a test of moored; told by this route: {}", words(&route.on)),
        at,
        attempt: None,
    };
    let id = format!("test-{}", at.as_millisecond());
    let tried = join_all(config.notify.iter().map(async |route| {
        let message = message(route);
        let sent = alerts::send(route, &message, &id, &cli.redactor, &cli.events).await;
        Tried {
            route: route.name(),
            status: sent.as_ref().ok().copied(),
            error: sent.err(),
        }
    }));
    let report = NotifyReport::new(&config.notify, tried.await);
    cli.print(&report)?;
    Ok(if report.is_well() {
        Exit::Done
    } else {
        Exit::Failed
    })
}

fn words<T: ToString>(words: &BTreeSet<T>) -> String {
    let words: Vec<String> = words.iter().map(ToString::to_string).collect();
    words.join(", ")
}
