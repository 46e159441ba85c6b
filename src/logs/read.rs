//! Reads what there is: the logs of several containers as one, in the order of time.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use futures_util::StreamExt as _;
use jiff::Timestamp;

use super::find::{self, Source};
use super::line::{Line, Lines};
use super::{LogsError, More, Wish};
use crate::desired::DesiredState;
use crate::engine::model::LogWish;
use crate::engine::{EngineError, Logs, ReadEngine};
use crate::secret::Redactor;

/// The logs of a stack.
pub struct Reader {
    pub(super) engine: Arc<dyn ReadEngine>,
    pub(super) redactor: Redactor,
    pub(super) stack: String,
    pub(super) wish: Wish,
    pub(super) sources: Vec<Source>,
    /// When the last line of each container was written, by its id.
    pub(super) last: BTreeMap<String, Timestamp>,
    /// Ids of containers whose log can't be read.
    pub(super) unreadable: BTreeSet<String>,
}

impl Reader {
    /// Finds the containers of a stack whose logs are wanted, running or not.
    ///
    /// # Errors
    /// There is no such service, or the engine can't be asked.
    pub async fn open(
        engine: Arc<dyn ReadEngine>,
        redactor: Redactor,
        desired: &DesiredState,
        wish: Wish,
    ) -> Result<Self, LogsError> {
        redactor.learn(desired.secrets.iter().cloned());
        let stack = desired.stack.to_string();
        let there = find::sources(engine.as_ref(), &stack).await?;
        find::check(desired, &wish, &there)?;
        let mut reader = Self {
            engine,
            redactor,
            stack,
            wish,
            sources: Vec::new(),
            last: BTreeMap::new(),
            unreadable: BTreeSet::new(),
        };
        reader.sources = reader.wanted(there);
        Ok(reader)
    }

    /// Returns what stands before the lines of each container.
    pub fn labels(&self) -> impl Iterator<Item = &str> {
        self.sources.iter().map(|source| source.label.as_str())
    }

    /// Hands on the lines that there are, and those that come where that is wished: then it ends
    /// when nobody reads any longer, or the engine goes away.
    ///
    /// # Errors
    /// The engine can't be asked, or a log not be read.
    pub async fn show(&mut self, mut to: impl FnMut(Line) -> More) -> Result<(), LogsError> {
        let changes = if self.wish.follow {
            // Before the first look: nothing that happens in between is missed.
            Some(self.engine.changes().await?)
        } else {
            None
        };
        if self.show_what_there_is(&mut to).await? == More::Enough {
            return Ok(());
        }
        match changes {
            None => Ok(()),
            Some(changes) => self.follow(changes, &mut to).await,
        }
    }

    /// Returns those of the containers whose logs are wanted.
    pub(super) fn wanted(&self, there: Vec<Source>) -> Vec<Source> {
        let services = &self.wish.services;
        let is_wanted = |one: &Source| services.is_empty() || services.contains(&one.service);
        there.into_iter().filter(is_wanted).collect()
    }

    async fn show_what_there_is(
        &mut self,
        to: &mut impl FnMut(Line) -> More,
    ) -> Result<More, LogsError> {
        let wish = LogWish {
            tail: self.wish.tail,
            since: self.wish.since.map(Timestamp::as_second),
            follow: false,
        };
        let mut logs = Vec::new();
        for source in &self.sources {
            find::hide_its_secrets(self.engine.as_ref(), &self.redactor, &source.id).await?;
            match self.engine.logs(&source.id, wish).await {
                Ok(log) => logs.push(Log::new(source.clone(), log)),
                Err(EngineError::NotFound { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        for log in &mut logs {
            log.fill(&self.redactor).await?;
        }
        loop {
            let first = logs.iter_mut().filter(|log| !log.ready.is_empty());
            let Some(log) = first.min_by_key(|log| log.ready.front().and_then(|line| line.time))
            else {
                return Ok(More::Wanted);
            };
            let Some(line) = log.ready.pop_front() else {
                return Ok(More::Wanted);
            };
            log.fill(&self.redactor).await?;
            if log.is_unreadable {
                self.unreadable.insert(log.source.id.clone());
            }
            if let Some(latest) = log.latest {
                self.last.insert(log.source.id.clone(), latest);
            }
            let since = self.wish.since.filter(|_| line.time.is_some());
            if since.is_some_and(|since| line.time < Some(since)) {
                continue;
            }
            if to(line) == More::Enough {
                return Ok(More::Enough);
            }
        }
    }
}

/// The log of one container, as far as it was read.
struct Log {
    source: Source,
    pieces: Option<Logs>,
    lines: Lines,
    /// When the last piece was written.
    latest: Option<Timestamp>,
    is_unreadable: bool,
    ready: VecDeque<Line>,
}

impl Log {
    fn new(source: Source, pieces: Logs) -> Self {
        Self {
            source,
            pieces: Some(pieces),
            lines: Lines::default(),
            latest: None,
            is_unreadable: false,
            ready: VecDeque::new(),
        }
    }

    /// Reads on until there is a line, or the log has ended.
    async fn fill(&mut self, redactor: &Redactor) -> Result<(), EngineError> {
        while self.ready.is_empty()
            && let Some(pieces) = &mut self.pieces
        {
            match pieces.next().await {
                Some(Ok(piece)) => {
                    self.latest = piece.at.or(self.latest);
                    self.ready
                        .extend(self.lines.take(piece, &self.source, redactor));
                }
                // It was removed meanwhile.
                None | Some(Err(EngineError::NotFound { .. })) => {
                    self.pieces = None;
                    let lines = std::mem::take(&mut self.lines);
                    self.ready.extend(lines.rest(&self.source, redactor));
                }
                // A logging driver that keeps nothing, say; others may be readable.
                Some(Err(EngineError::Refused { cause, .. })) => {
                    self.pieces = None;
                    self.is_unreadable = true;
                    let line = Lines::unreadable(&cause, &self.source, redactor);
                    self.ready.push_back(line);
                }
                Some(Err(error)) => return Err(error),
            }
        }
        Ok(())
    }
}
