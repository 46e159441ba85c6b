//! Goes on with what containers write from now on, also with those that come in their place.

use std::collections::BTreeSet;
use std::pin::Pin;
use std::time::Duration;

use futures_util::stream::{SelectAll, Stream, StreamExt as _};
use jiff::Timestamp;
use tokio::time::Instant;

use super::find::{self, Source};
use super::line::{Line, Lines};
use super::read::Reader;
use super::{LogsError, More};
use crate::engine::model::{LogPiece, LogWish};
use crate::engine::{Change, Changes, EngineError, Logs};

/// Time after a change of a container before the list is looked at: a replace is several changes.
const A_MOMENT: Duration = Duration::from_millis(200);

/// What comes from the logs that are followed.
enum Coming {
    /// A piece of a container's log.
    Piece(String, LogPiece),
    /// A container's log has ended: it stopped.
    Ended(String),
    /// A container's log can't be read at all.
    Unreadable(String, String),
    /// A log can't be read on.
    Broke(EngineError),
}

/// The logs that are followed.
#[derive(Default)]
struct Followed {
    coming: SelectAll<Pin<Box<dyn Stream<Item = Coming> + Send>>>,
    containers: Vec<Open>,
}

/// A log that is read.
struct Open {
    source: Source,
    lines: Lines,
    /// Until when it was shown before it was opened. It does not move with what comes: the engine
    /// gives all pieces of a long line one time, and those of two streams in any order.
    shown: Option<Timestamp>,
}

impl Reader {
    /// Follows all logs until nobody reads any longer.
    pub(super) async fn follow(
        &mut self,
        mut changes: Changes,
        to: &mut impl FnMut(Line) -> More,
    ) -> Result<(), LogsError> {
        let mut followed = Followed::default();
        let known: BTreeSet<String> = self.sources.iter().map(|one| one.id.clone()).collect();
        self.look(&mut followed, &known).await?;
        let mut look_at: Option<Instant> = None;
        loop {
            let due = look_at.unwrap_or_else(Instant::now);
            tokio::select! {
                came = followed.coming.next(), if !followed.coming.is_empty() => {
                    let more = match came {
                        Some(Coming::Piece(id, piece)) => self.take(&mut followed, &id, piece, to),
                        Some(Coming::Ended(id)) => {
                            look_at.get_or_insert(Instant::now() + A_MOMENT);
                            self.end(&mut followed, &id, to)
                        }
                        Some(Coming::Unreadable(id, cause)) => {
                            self.leave_out(&followed, &id, &cause, to)
                        }
                        Some(Coming::Broke(error)) => return Err(error.into()),
                        None => More::Wanted,
                    };
                    if more == More::Enough {
                        return Ok(());
                    }
                }
                change = changes.next() => match change {
                    Some(Change::Container(_)) => {
                        look_at.get_or_insert(Instant::now() + A_MOMENT);
                    }
                    Some(
                        Change::Network { .. } | Change::Volume | Change::Image | Change::Drift(_),
                    ) => {}
                    // Asking says why.
                    None => changes = self.engine.changes().await?,
                },
                () = tokio::time::sleep_until(due), if look_at.is_some() => {
                    look_at = None;
                    self.look(&mut followed, &BTreeSet::new()).await?;
                }
            }
        }
    }

    /// Begins with the containers that run and are not followed yet. Of those that are `known` what
    /// there was has been shown.
    async fn look(
        &mut self,
        followed: &mut Followed,
        known: &BTreeSet<String>,
    ) -> Result<(), LogsError> {
        let there = find::sources(self.engine.as_ref(), &self.stack).await?;
        let there = self.wanted(there);
        self.last
            .retain(|id, _| there.iter().any(|source| source.id == *id));
        for source in there {
            let is_followed = followed
                .containers
                .iter()
                .any(|open| open.source.id == source.id);
            let is_unreadable = self.unreadable.contains(&source.id);
            if !source.running || is_followed || is_unreadable {
                continue;
            }
            find::hide_its_secrets(self.engine.as_ref(), &self.redactor, &source.id).await?;
            let last = self.last.get(&source.id).copied();
            let nothing_before = known.contains(&source.id) && self.wish.tail == Some(0);
            let wish = LogWish {
                tail: (last.is_none() && nothing_before).then_some(0),
                since: last.or(self.wish.since).map(Timestamp::as_second),
                follow: true,
            };
            match self.engine.logs(&source.id, wish).await {
                Ok(log) => followed.add(source, last.or(self.wish.since), log),
                Err(EngineError::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn take(
        &mut self,
        followed: &mut Followed,
        id: &str,
        piece: LogPiece,
        to: &mut impl FnMut(Line) -> More,
    ) -> More {
        let mut containers = followed.containers.iter_mut();
        let Some(open) = containers.find(|open| open.source.id == id) else {
            return More::Wanted;
        };
        // The engine knows whole seconds only, so some of what was shown comes again.
        if piece.at.is_some() && piece.at <= open.shown {
            return More::Wanted;
        }
        let last = self.last.get(id).copied();
        if let Some(at) = piece.at.max(last) {
            self.last.insert(id.to_owned(), at);
        }
        open.lines
            .take(piece, &open.source, &self.redactor)
            .map_or(More::Wanted, to)
    }

    /// Says that a log can't be read, and does not ask for it again.
    fn leave_out(
        &mut self,
        followed: &Followed,
        id: &str,
        cause: &str,
        to: &mut impl FnMut(Line) -> More,
    ) -> More {
        self.unreadable.insert(id.to_owned());
        let mut containers = followed.containers.iter();
        match containers.find(|open| open.source.id == id) {
            Some(open) => to(Lines::unreadable(cause, &open.source, &self.redactor)),
            None => More::Wanted,
        }
    }

    fn end(
        &mut self,
        followed: &mut Followed,
        id: &str,
        to: &mut impl FnMut(Line) -> More,
    ) -> More {
        let mut containers = followed.containers.iter();
        let Some(at) = containers.position(|open| open.source.id == id) else {
            return More::Wanted;
        };
        let open = followed.containers.swap_remove(at);
        let mut rest = open.lines.rest(&open.source, &self.redactor);
        match rest.find(|line| to(line.clone()) == More::Enough) {
            Some(_) => More::Enough,
            None => More::Wanted,
        }
    }
}

impl Followed {
    fn add(&mut self, source: Source, shown: Option<Timestamp>, log: Logs) {
        let id = source.id.clone();
        let ended = futures_util::stream::iter([Coming::Ended(id.clone())]);
        let coming = log.map(move |piece| match piece {
            Ok(piece) => Coming::Piece(id.clone(), piece),
            Err(EngineError::NotFound { .. }) => Coming::Ended(id.clone()),
            Err(EngineError::Refused { cause, .. }) => Coming::Unreadable(id.clone(), cause),
            Err(error) => Coming::Broke(error),
        });
        self.coming.push(Box::pin(coming.chain(ended)));
        self.containers.push(Open {
            source,
            lines: Lines::default(),
            shown,
        });
    }
}
