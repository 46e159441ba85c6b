//! Keeps what is told between passes until it is written down: backups and drills.

use std::sync::{Arc, Mutex, PoisonError};

use crate::desired::StackName;
use crate::events::{Event, Events};

/// What was told since it was asked last. Cloning is cheap.
#[derive(Clone, Default)]
pub struct Heard(Arc<Mutex<Vec<News>>>);

/// What came of a backup or drill that a schedule wants.
pub(super) struct News {
    /// Of which stack.
    pub(super) stack: StackName,
    /// What, as a key: `backup:NAME` or `drill:NAME`.
    pub(super) key: String,
    /// What it failed with; `None` = it was well.
    pub(super) error: Option<String>,
}

/// Words with which the keys of backups and drills begin: what is so of them is not found by passes.
pub(super) const BETWEEN_PASSES: [&str; 2] = ["backup:", "drill:"];

impl Heard {
    /// Returns events that are told as before, and heard as well.
    pub fn hear(&self, events: Events) -> Events {
        let heard = self.clone();
        Events::new(move |event| {
            if let Some(news) = News::of(&event) {
                heard.lock().push(news);
            }
            events.tell(event);
        })
    }

    /// Returns what was told, and forgets it.
    pub(super) fn take(&self) -> Vec<News> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<News>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl News {
    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "everything else is found by passes, or is for the console"
    )]
    fn of(event: &Event) -> Option<Self> {
        let news = |stack: &StackName, key: String, error: Option<&String>| Self {
            stack: stack.clone(),
            key,
            error: error.cloned(),
        };
        match event {
            Event::BackupFailed { stack, name, error } => {
                Some(news(stack, format!("backup:{name}"), Some(error)))
            }
            Event::BackedUp { stack, name, .. } => {
                Some(news(stack, format!("backup:{name}"), None))
            }
            Event::DrillFailed { stack, name, error } => {
                Some(news(stack, format!("drill:{name}"), Some(error)))
            }
            Event::Drilled { stack, name, .. } => Some(news(stack, format!("drill:{name}"), None)),
            _ => None,
        }
    }
}
