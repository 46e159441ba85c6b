//! Tells of refused webhooks: of the first one at once, and then of how many there were, however
//! many come.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::events::{Event, Events};

/// Time between two tellings.
const EVERY: Duration = Duration::from_secs(60);

/// Counts refusals. Cloning is cheap, and clones count together.
#[derive(Clone)]
pub(super) struct Refusals {
    /// Those since the last telling; `None` = nobody is waiting to tell.
    untold: Arc<Mutex<Option<u64>>>,
    every: Duration,
    events: Events,
}

impl Refusals {
    pub(super) fn new(events: Events) -> Self {
        Self {
            untold: Arc::default(),
            every: EVERY,
            events,
        }
    }

    /// Counts one, and tells it when it is the first for a while.
    pub(super) fn count(&self) {
        let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(times) = untold.as_mut() {
            *times = times.saturating_add(1);
            return;
        }
        *untold = Some(0);
        drop(untold);
        self.events.tell(Event::WebhooksRefused { times: 1 });
        tokio::spawn(self.clone().tell_later());
    }

    async fn tell_later(self) {
        loop {
            tokio::time::sleep(self.every).await;
            let Some(times) = self.take() else { return };
            self.events.tell(Event::WebhooksRefused { times });
        }
    }

    /// Takes those that came meanwhile; `None` = none did, and the next one is a first one again.
    fn take(&self) -> Option<u64> {
        let mut untold = self.untold.lock().unwrap_or_else(PoisonError::into_inner);
        let times = untold.take().filter(|times| *times > 0)?;
        *untold = Some(0);
        Some(times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_flood_is_told_now_and_then() {
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let events = Events::new(move |event| {
            assert!(matches!(event, Event::WebhooksRefused { .. }));
            if let Event::WebhooksRefused { times } = event {
                tell.send(times).unwrap();
            }
        });
        let mut refusals = Refusals::new(events);
        refusals.every = Duration::from_millis(50);
        for _ in 0..10_000 {
            refusals.count();
        }
        assert_eq!(told.recv().await, Some(1));
        assert_eq!(told.recv().await, Some(9_999));
        // And one that comes after a rest is told at once.
        while refusals.untold.lock().unwrap().is_some() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert!(told.try_recv().is_err());
        refusals.count();
        assert_eq!(told.try_recv(), Ok(1));
    }
}
