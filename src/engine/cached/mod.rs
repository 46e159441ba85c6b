//! Keeps what the engine showed until it tells that something changed.
//!
//! A controller looks at the same containers every few seconds. [`Cached`] asks for the list each
//! time and for everything else once, and follows the engine's events ([`ReadEngine::changes`]) to
//! know what to ask for again. Where it can't follow, it keeps nothing.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::StreamExt;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::api::ApiVersion;
use super::model::{Container, ContainerSummary, EngineInfo, Image, LogWish, Network, Volume};
use super::{Change, Changes, EngineError, Logs, Origin, ReadEngine};

/// How long an answer is believed at most: events can be lost, and nobody would notice.
const BELIEVED: Duration = Duration::from_secs(10 * 60);

/// Time before the events are asked for again after they broke off.
const PAUSE: Duration = Duration::from_secs(1);

/// The reading half of an engine, with what it answered before.
pub struct Cached {
    engine: Arc<dyn ReadEngine>,
    kept: Arc<Mutex<Kept>>,
    follower: JoinHandle<()>,
}

/// Answers, and whether the engine tells when they no longer hold.
#[derive(Default)]
struct Kept {
    /// Since when it tells; `None` = it does not, and nothing may be kept.
    since: Option<Instant>,
    /// Counts what it told: an answer to a question from before is not kept.
    told: u64,
    containers: BTreeMap<String, Container>,
    images: BTreeMap<String, Image>,
    networks: Option<Vec<Network>>,
    volumes: Option<Vec<Volume>>,
}

impl Cached {
    /// Follows an engine, in a task of its own that ends with this value. `on_drift` is called
    /// when a look is worth while: at [`Change::Drift`], and with `None` when the engine tells
    /// again after it did not for a while. It should only raise a flag.
    pub fn follow(
        engine: Arc<dyn ReadEngine>,
        on_drift: impl Fn(Option<&Origin>) + Send + 'static,
    ) -> Self {
        let kept = Arc::new(Mutex::new(Kept::default()));
        let follower = follow(Arc::clone(&engine), Arc::clone(&kept), on_drift);
        let follower = tokio::spawn(follower);
        Self {
            engine,
            kept,
            follower,
        }
    }

    /// Forgets everything: what was changed by us may not have been told yet.
    pub fn forget(&self) {
        lock(&self.kept).forget();
    }

    /// Answers out of what is kept, or asks and keeps the answer.
    async fn kept<T>(
        &self,
        get: impl Fn(&Kept) -> Option<T>,
        ask: impl Future<Output = Result<T, EngineError>>,
        keep: impl FnOnce(&mut Kept, &T),
    ) -> Result<T, EngineError> {
        let told = {
            let mut kept = lock(&self.kept);
            kept.doubt();
            if let Some(answer) = get(&kept) {
                return Ok(answer);
            }
            kept.told
        };
        let answer = ask.await?;
        let mut kept = lock(&self.kept);
        if kept.since.is_some() && kept.told == told {
            keep(&mut kept, &answer);
        }
        Ok(answer)
    }
}

impl Drop for Cached {
    fn drop(&mut self) {
        self.follower.abort();
    }
}

impl Kept {
    fn forget(&mut self) {
        *self = Self {
            since: self.since.map(|_| Instant::now()),
            told: self.told + 1,
            ..Self::default()
        };
    }

    /// Forgets what was believed for long enough.
    fn doubt(&mut self) {
        if self.since.is_some_and(|since| since.elapsed() > BELIEVED) {
            self.forget();
        }
    }

    fn take_in(&mut self, change: &Change) {
        self.told += 1;
        match change {
            Change::Container(id) => {
                self.containers.remove(id);
                // What is shown of these has the names of others in it.
                self.containers
                    .retain(|_, one| !one.spec.is_joiner() && one.spec.volumes_from.is_empty());
            }
            Change::Network { container } => {
                self.networks = None;
                if let Some(id) = container {
                    self.containers.remove(id);
                }
            }
            Change::Volume => self.volumes = None,
            Change::Image => self.images.clear(),
            Change::Drift(_) => {}
        }
    }
}

/// Follows the changes of an engine for ever.
async fn follow(
    engine: Arc<dyn ReadEngine>,
    kept: Arc<Mutex<Kept>>,
    on_drift: impl Fn(Option<&Origin>),
) {
    let mut missed_some = false;
    loop {
        if let Ok(mut changes) = engine.changes().await {
            lock(&kept).since = Some(Instant::now());
            if missed_some {
                on_drift(None);
            }
            while let Some(change) = changes.next().await {
                lock(&kept).take_in(&change);
                if let Change::Drift(origin) = &change {
                    on_drift(Some(origin));
                }
            }
            let mut kept = lock(&kept);
            kept.since = None;
            kept.forget();
        }
        missed_some = true;
        tokio::time::sleep(PAUSE).await;
    }
}

fn lock(kept: &Mutex<Kept>) -> MutexGuard<'_, Kept> {
    kept.lock().unwrap_or_else(PoisonError::into_inner)
}

#[async_trait]
impl ReadEngine for Cached {
    async fn info(&self) -> Result<EngineInfo, EngineError> {
        self.engine.info().await
    }

    async fn api_version(&self) -> Result<ApiVersion, EngineError> {
        self.engine.api_version().await
    }

    async fn containers(&self) -> Result<Vec<ContainerSummary>, EngineError> {
        self.engine.containers().await
    }

    async fn container(&self, id: &str) -> Result<Option<Container>, EngineError> {
        // Kept by its full id, which is how the list names it: a name may move to another one.
        let get = |kept: &Kept| kept.containers.get(id).cloned().map(Some);
        let keep = |kept: &mut Kept, answer: &Option<Container>| {
            if let Some(container) = answer.as_ref().filter(|one| one.id == id) {
                kept.containers.insert(id.to_owned(), container.clone());
            }
        };
        self.kept(get, self.engine.container(id), keep).await
    }

    async fn image(&self, reference: &str) -> Result<Option<Image>, EngineError> {
        let get = |kept: &Kept| kept.images.get(reference).cloned().map(Some);
        let keep = |kept: &mut Kept, answer: &Option<Image>| {
            if let Some(image) = answer {
                kept.images.insert(reference.to_owned(), image.clone());
            }
        };
        self.kept(get, self.engine.image(reference), keep).await
    }

    async fn registry_digest(&self, reference: &str) -> Result<String, EngineError> {
        self.engine.registry_digest(reference).await
    }

    async fn output(&self, id: &str, at_most_bytes: usize) -> Result<String, EngineError> {
        self.engine.output(id, at_most_bytes).await
    }

    async fn logs(&self, id: &str, wish: LogWish) -> Result<Logs, EngineError> {
        self.engine.logs(id, wish).await
    }

    async fn read_file(
        &self,
        id: &str,
        path: &str,
        at_most_bytes: usize,
    ) -> Result<Option<Vec<u8>>, EngineError> {
        self.engine.read_file(id, path, at_most_bytes).await
    }

    async fn networks(&self) -> Result<Vec<Network>, EngineError> {
        let get = |kept: &Kept| kept.networks.clone();
        let keep = |kept: &mut Kept, answer: &Vec<Network>| kept.networks = Some(answer.clone());
        self.kept(get, self.engine.networks(), keep).await
    }

    async fn volumes(&self) -> Result<Vec<Volume>, EngineError> {
        let get = |kept: &Kept| kept.volumes.clone();
        let keep = |kept: &mut Kept, answer: &Vec<Volume>| kept.volumes = Some(answer.clone());
        self.kept(get, self.engine.volumes(), keep).await
    }

    async fn changes(&self) -> Result<Changes, EngineError> {
        self.engine.changes().await
    }
}

#[cfg(test)]
mod tests;
