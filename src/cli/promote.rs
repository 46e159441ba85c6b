//! `moored bump` and `moored promote`: write images into a manifest, by a commit.
//!
//! They hold no lock but the mirror's, so that they work beside a controller.

use super::context::{Cli, Failure};
use super::{Exit, exit};
use crate::config;
use crate::promote::{self, Ask, Done, PromoteError, Way};
use crate::reconcile;
use crate::report::PromotionReport;

pub(super) fn ask(push: bool) -> Ask {
    let by = config::person();
    Ask { push, by }
}

pub(super) async fn bump(
    cli: &Cli,
    stack: Option<&str>,
    what: (&str, &str),
    ask: &Ask,
) -> Result<Exit, Failure> {
    let view = cli.view()?;
    tell(cli, promote::bump(&view, stack, what, ask).await)
}

pub(super) async fn promote(cli: &Cli, from: &str, to: &str, ask: &Ask) -> Result<Exit, Failure> {
    let view = cli.view()?;
    let looked = reconcile::look(&view, Some(from)).await;
    let failure = |error: &crate::pass::PassError| (exit::of_error(error), error.to_string());
    let looked = looked.map_err(|error| failure(&error))?;
    // One was asked for by its name, so there is one.
    let Some(from) = looked.into_values().next() else {
        let error = format!("there is no stack \"{}\"", from.escape_default());
        return Err((Exit::Usage, error));
    };
    let from = from.map_err(|error| failure(&error))?;
    tell(cli, promote::promote(&view, &from, to, ask).await)
}

fn tell(cli: &Cli, done: Result<Done, PromoteError>) -> Result<Exit, Failure> {
    let done = done.map_err(|error| (exit::of_promotion(&error), error.to_string()))?;
    let exit = match done.way {
        Way::Already | Way::Pushed(_) | Way::NotPushed => Exit::Done,
        Way::Refused(_) => Exit::Unavailable,
    };
    cli.print(&PromotionReport::new(done, &cli.config()?))?;
    Ok(exit)
}
