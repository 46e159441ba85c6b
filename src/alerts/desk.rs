//! Compares what is so with what was told, and writes what is new into the outbox.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::attempts;
use super::conditions::{self, Condition, Manner, Seen};
use super::heard::{BETWEEN_PASSES, Heard, News};
use super::message::{Message, cut};
use crate::desired::StackName;
use crate::host::{self, View};
use crate::pass::{ByStack, PassError, Passed, passed};
use crate::record::{Change, Record, RecordError};
use crate::routes::{Kind, Route, Topic};

/// Decides what is told: everything once.
pub struct Alerts {
    record: Record,
    heard: Heard,
    /// What is so, by scope (the directory of a stack; empty = the host) and key.
    so: BTreeMap<(String, String), Told>,
    /// Up to which attempt it was told what came of it.
    told: BTreeMap<StackName, u64>,
}

/// Something that is so, as the record keeps it.
#[derive(Clone, Serialize, Deserialize)]
struct Told {
    topic: Topic,
    kinds: BTreeSet<Kind>,
    stack: Option<String>,
    text: String,
    print: String,
    since: Timestamp,
    /// Whether somebody was told of it; what has not lasted yet is not.
    is_known: bool,
    /// Whether somebody is told that it is over.
    ends: bool,
}

/// How long what passes by itself must last before somebody is told of it: longer than a restart of
/// the engine, of a remote or of this host.
const PATIENCE: SignedDuration = SignedDuration::from_mins(10);

/// Longest text with which it is told what is over, in characters.
const LONGEST_END: usize = 160;

/// A pass's work: what changes, and what it changes in memory once it is written.
struct Draft<'a> {
    view: &'a View,
    now: Timestamp,
    change: Change,
}

/// What something is told about.
#[derive(Clone, Copy)]
struct About<'a> {
    stack: Option<&'a str>,
    dir: &'a str,
}

impl Alerts {
    /// Reads what was told before; what is told between passes comes from `heard`.
    ///
    /// # Errors
    /// The record can't be read.
    pub fn open(record: Record, heard: Heard) -> Result<Self, RecordError> {
        let read = record.conditions()?.into_iter();
        let known = read.filter_map(|(scope, key, text)| {
            // Of another version: it is told again.
            Some(((scope, key), serde_json::from_str(&text).ok()?))
        });
        Ok(Self {
            so: known.collect(),
            told: record.told()?,
            record,
            heard,
        })
    }

    /// Notes what a pass came to; `whole` says that it was over all stacks. Returns whether there is
    /// something to be sent.
    ///
    /// # Errors
    /// The record can't be read or written; nothing is noted then, and the next pass finds it.
    pub fn note(
        &mut self,
        view: &View,
        result: &Result<ByStack<Passed>, PassError>,
        whole: bool,
    ) -> Result<bool, RecordError> {
        let mut draft = Draft::new(view);
        match result {
            Err(error) => self.compare(&mut draft, "", conditions::of_error(error)),
            Ok(stacks) => {
                let nothing = Seen {
                    is_all: true,
                    ..Seen::default()
                };
                self.compare(&mut draft, "", nothing);
                for (dir, result) in stacks {
                    self.attempts(&mut draft, dir, result)?;
                    self.compare(&mut draft, dir, conditions::of_stack(result));
                }
                if whole {
                    self.forget_others(&mut draft, stacks);
                }
            }
        }
        self.write(draft)
    }

    /// Notes what came of backups and drills since it was asked last. Returns whether there is
    /// something to be sent.
    ///
    /// # Errors
    /// As [`Alerts::note`].
    pub fn note_backups(
        &mut self,
        view: &View,
        result: &Result<ByStack<Passed>, PassError>,
    ) -> Result<bool, RecordError> {
        let mut draft = Draft::new(view);
        for news in self.heard.take() {
            let stacks = result.iter().flatten();
            let mut dirs = stacks.filter_map(|(dir, one)| {
                let stack = &passed(one)?.looked.desired.stack;
                (*stack == news.stack).then_some(dir)
            });
            if let Some(dir) = dirs.next() {
                self.backup(&mut draft, dir, news);
            }
        }
        self.write(draft)
    }

    fn backup(&self, draft: &mut Draft<'_>, dir: &str, news: News) {
        let stack = news.stack.to_string();
        let about = About {
            stack: Some(&stack),
            dir,
        };
        let before = self.so.get(&(dir.to_owned(), news.key.clone()));
        let Some(error) = news.error else {
            if let Some(before) = before {
                draft.change.over.push((dir.to_owned(), news.key));
                draft.recovered(about, &[before]);
            }
            return;
        };
        let what = news.key.replacen(':', " ", 1);
        let condition = Condition {
            topic: Topic::BackupFailed,
            kinds: [Kind::Infrastructure].into(),
            text: format!("{what} failed: {error}; those that there are stay"),
            print: String::new(),
            manner: Manner::Plain,
        };
        draft.found(about, news.key, condition, before);
    }

    /// Tells what came of the attempts of a stack.
    fn attempts(
        &self,
        draft: &mut Draft<'_>,
        dir: &str,
        result: &Result<Passed, PassError>,
    ) -> Result<(), RecordError> {
        let Some(passed) = passed(result) else {
            return Ok(());
        };
        let (looked, stack) = (&passed.looked, &passed.looked.desired.stack);
        let told = self.told.get(stack).copied().unwrap_or(0);
        // The number that is next, and that of the attempt which this pass was.
        let nothing_new = looked.history.next_attempt <= told + 1 && passed.outcome.is_none();
        if nothing_new {
            return Ok(());
        }
        let (came, last) = attempts::since(&self.record, stack, told, looked)?;
        for one in came {
            let about = About {
                stack: Some(stack.as_str()),
                dir,
            };
            let mut message = draft.message(about, one.topic, one.kinds, one.text);
            message.attempt = Some(one.attempt);
            draft.send(about, one.topic, message);
        }
        if last != told {
            draft.change.told.insert(stack.clone(), last);
        }
        Ok(())
    }

    /// Compares what was found of a scope with what was told.
    fn compare(&self, draft: &mut Draft<'_>, dir: &str, seen: Seen) {
        let about = About {
            stack: seen.stack.as_deref(),
            dir,
        };
        if seen.is_all {
            let of_scope = self.so.iter().filter(|((scope, _), _)| scope == dir);
            let over = of_scope.filter(|((_, key), _)| {
                let between = BETWEEN_PASSES.iter().any(|word| key.starts_with(word));
                let stays = between && seen.backups.contains(key);
                !stays && !seen.conditions.contains_key(key)
            });
            let over: Vec<_> = over.collect();
            let keys = over.iter().map(|(key, _)| (*key).clone());
            draft.change.over.extend(keys);
            let ended: Vec<&Told> = over.into_iter().map(|(_, told)| told).collect();
            draft.recovered(about, &ended);
        }
        for (key, condition) in seen.conditions {
            let before = self.so.get(&(dir.to_owned(), key.clone()));
            draft.found(about, key, condition, before);
        }
    }

    /// Forgets what was so of stacks that are not of this host any more.
    fn forget_others(&self, draft: &mut Draft<'_>, stacks: &ByStack<Passed>) {
        let gone = self.so.keys().filter(|(scope, _)| {
            let is_host = scope.is_empty();
            !is_host && !stacks.contains_key(scope)
        });
        draft.change.over.extend(gone.cloned());
    }

    fn write(&mut self, draft: Draft<'_>) -> Result<bool, RecordError> {
        let Draft { now, change, .. } = draft;
        if change.is_empty() {
            return Ok(false);
        }
        self.record.tell(&change, now)?;
        for key in &change.over {
            self.so.remove(key);
        }
        for (scope, key, text) in change.begun {
            if let Ok(told) = serde_json::from_str(&text) {
                self.so.insert((scope, key), told);
            }
        }
        self.told.extend(change.told);
        Ok(!change.messages.is_empty())
    }
}

impl<'a> Draft<'a> {
    fn new(view: &'a View) -> Self {
        Self {
            view,
            now: view.clock.now(),
            change: Change::default(),
        }
    }

    /// Notes that something is so, and tells it unless it was told.
    fn found(&mut self, about: About<'_>, key: String, found: Condition, before: Option<&Told>) {
        let lasts = |since: Timestamp| self.now.duration_since(since) >= PATIENCE;
        let since = before.map_or(self.now, |before| before.since);
        let was_told = before.is_some_and(|before| before.is_known);
        let is_patient = found.manner == Manner::Patient;
        // As it is kept: with a secret in it, it would be another one at each pass.
        let print = self.view.redactor.clean(&found.print);
        let is_other = before.is_some_and(|before| before.print != print) && !is_patient;
        let is_due = !is_patient || lasts(since);
        let is_told = was_told || is_due;
        if before.is_some() && !is_other && was_told == is_told {
            return;
        }
        let told = Told {
            topic: found.topic,
            kinds: found.kinds.clone(),
            stack: about.stack.map(str::to_owned),
            text: cut(&self.view.redactor.clean(&found.text), LONGEST_END),
            print,
            since,
            is_known: is_told,
            ends: found.manner != Manner::Once,
        };
        let text = serde_json::to_string(&told).unwrap_or_default();
        self.change.begun.push((about.dir.to_owned(), key, text));
        if is_told && found.manner != Manner::Silent {
            let message = self.message(about, found.topic, found.kinds, found.text);
            self.send(about, found.topic, message);
        }
    }

    /// Tells everybody who was told of something that it is over.
    fn recovered(&mut self, about: About<'_>, ended: &[&Told]) {
        let ended: Vec<&Told> = ended
            .iter()
            .copied()
            .filter(|one| one.is_known && one.ends)
            .collect();
        let mut found: BTreeMap<String, String> = BTreeMap::new();
        for route in &self.view.config.notify {
            let wanted = ended.iter().filter(|one| {
                let (stack, dir) = (one.stack.as_deref().or(about.stack), about.dir());
                route.on.contains(&Topic::Recovered)
                    && route.wants(one.topic, &one.kinds)
                    && route.concerns(stack, dir)
            });
            let wanted: Vec<&&Told> = wanted.collect();
            if wanted.is_empty() {
                continue;
            }
            let texts: Vec<&str> = wanted.iter().map(|one| first_line(&one.text)).collect();
            let kinds = wanted
                .iter()
                .flat_map(|one| one.kinds.iter().copied())
                .collect();
            let text = format!("well again; over is: {}", texts.join("; "));
            let message = self.message(about, Topic::Recovered, kinds, text);
            let message = message.cleaned(&self.view.redactor);
            let message = serde_json::to_string(&message).unwrap_or_default();
            found.entry(route.name()).or_insert(message);
        }
        self.change.messages.extend(found);
    }

    fn message(
        &self,
        about: About<'_>,
        topic: Topic,
        kinds: BTreeSet<Kind>,
        text: String,
    ) -> Message {
        Message {
            event: topic.to_string(),
            kinds,
            host: host::name(),
            stack: about.stack.map(str::to_owned),
            dir: about.dir().map(str::to_owned),
            text,
            at: self.now,
            attempt: None,
        }
    }

    /// Puts a message into the outbox, for every route that wants it.
    fn send(&mut self, about: About<'_>, topic: Topic, message: Message) {
        let routes = self.view.config.notify.iter().filter(|route| {
            route.wants(topic, &message.kinds) && route.concerns(about.stack, about.dir())
        });
        // Two routes may lead to one receiver.
        let names: BTreeSet<String> = routes.map(Route::name).collect();
        if names.is_empty() {
            return;
        }
        let message = message.cleaned(&self.view.redactor);
        let text = serde_json::to_string(&message).unwrap_or_default();
        let messages = names.into_iter().map(|name| (name, text.clone()));
        self.change.messages.extend(messages);
    }
}

impl<'a> About<'a> {
    /// Returns the directory; `None` = it is about the host.
    fn dir(&self) -> Option<&'a str> {
        (!self.dir.is_empty()).then_some(self.dir)
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}
