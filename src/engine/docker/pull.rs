//! Pulls an image by digest, watching that the bytes keep coming.

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use bollard::errors::Error;
use bollard::models::CreateImageInfo;
use bollard::query_parameters::{CreateImageOptionsBuilder, TagImageOptionsBuilder};
use futures_util::{Stream, StreamExt as _};

use super::connection::{CALL_LIMIT, Docker};
use super::read::parse;
use crate::engine::model::PullProgress;
use crate::engine::reference::is_digest;
use crate::engine::{EngineError, ReadEngine as _};

/// Time without a word from the engine after which a pull counts as stuck. A pull as a whole may
/// take as long as it needs. While bytes arrive or are unpacked the engine reports many times a
/// second; it is silent while it verifies a layer, which takes a slow disk a minute for 5 GB.
const STALL_LIMIT: Duration = Duration::from_secs(120);

impl Docker {
    /// Pulls `repository@digest`, makes sure that it came, and tags it as `reference` says.
    pub(super) async fn pull_pinned(
        &self,
        reference: &str,
        digest: &str,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<(), EngineError> {
        let doing = format!("pull {reference}");
        let wanted = parse(&doing, reference)?.normalized();
        if !is_digest(digest)
            || wanted
                .digest
                .as_deref()
                .is_some_and(|named| named != digest)
        {
            return Err(EngineError::Refused {
                doing,
                cause: format!("{digest:?} is not the digest of this image"),
            });
        }
        let client = self.client(&doing).await?;
        let options = CreateImageOptionsBuilder::default()
            .from_image(&wanted.repository)
            .tag(digest)
            .build();
        let visit = self.visit(&doing, &wanted).await?;
        let stream = client.create_image(Some(options), None, visit.credentials());
        match watch(stream, STALL_LIMIT, progress).await {
            Ok(()) => self.was_answered(&visit),
            Err(Interrupted::Stalled) => {
                return Err(EngineError::TimedOut {
                    doing,
                    limit: STALL_LIMIT,
                });
            }
            Err(Interrupted::Failed(failure)) => {
                return Err(self.refused(&doing, &visit, &failure));
            }
        }
        // A stream that broke off cleanly looks like one that is done.
        let pinned = format!("{}@{digest}", wanted.repository);
        if self.image(&pinned).await?.is_none() {
            return Err(EngineError::Registry {
                doing,
                cause: "the engine ended the pull, and the image is not here".to_owned(),
            });
        }
        if let (None, Some(tag)) = (&wanted.digest, &wanted.tag) {
            let doing = format!("tag the pulled image as {reference}");
            let options = TagImageOptionsBuilder::default()
                .repo(&wanted.repository)
                .tag(tag)
                .build();
            self.call(&doing, CALL_LIMIT, client.tag_image(&pinned, Some(options)))
                .await?;
        }
        Ok(())
    }
}

/// Why watching a pull ended early.
#[derive(Debug)]
enum Interrupted {
    Stalled,
    Failed(Error),
}

async fn watch(
    stream: impl Stream<Item = Result<CreateImageInfo, Error>>,
    limit: Duration,
    progress: &(dyn Fn(PullProgress) + Send + Sync),
) -> Result<(), Interrupted> {
    let mut stream = pin!(stream);
    let mut layers = Layers::default();
    while let Some(event) = tokio::time::timeout(limit, stream.next())
        .await
        .map_err(|_| Interrupted::Stalled)?
    {
        let event = event.map_err(Interrupted::Failed)?;
        if let Some(sum) = layers.take(&event) {
            progress(sum);
        }
    }
    Ok(())
}

/// Bytes of one layer.
#[derive(Clone, Copy, Default)]
struct Layer {
    done: u64,
    total: u64,
}

/// Adds up what the engine says of each layer. Neither number ever goes down, though a layer that
/// is fetched again starts from nothing.
#[derive(Default)]
struct Layers {
    layers: BTreeMap<String, Layer>,
    last: Option<PullProgress>,
}

impl Layers {
    /// Takes note of an event; returns the sums if they have changed.
    fn take(&mut self, event: &CreateImageInfo) -> Option<PullProgress> {
        let layer = self.layers.entry(event.id.clone()?).or_default();
        match event.status.as_deref() {
            Some("Downloading") => {
                let detail = event.progress_detail.as_ref()?;
                let bytes =
                    |count: Option<i64>| u64::try_from(count.unwrap_or_default()).unwrap_or(0);
                layer.done = layer.done.max(bytes(detail.current));
                layer.total = layer.total.max(bytes(detail.total)).max(layer.done);
            }
            Some("Verifying Checksum" | "Download complete" | "Pull complete") => {
                layer.done = layer.total;
            }
            _ => return None,
        }
        let sum = PullProgress {
            done: self.layers.values().map(|layer| layer.done).sum(),
            total: self.layers.values().map(|layer| layer.total).sum(),
        };
        (self.last.replace(sum) != Some(sum) && sum.total > 0).then_some(sum)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use bollard::models::ProgressDetail;
    use futures_util::stream;

    use super::*;

    fn event(id: &str, status: &str, current: i64, total: i64) -> CreateImageInfo {
        CreateImageInfo {
            id: Some(id.to_owned()),
            status: Some(status.to_owned()),
            progress_detail: Some(ProgressDetail {
                current: Some(current),
                total: Some(total),
            }),
            ..CreateImageInfo::default()
        }
    }

    #[tokio::test]
    async fn bytes_of_all_layers_only_grow() {
        let events = [
            event("a", "Pulling fs layer", 0, 0),
            event("a", "Downloading", 10, 100),
            event("b", "Downloading", 5, 50),
            event("a", "Downloading", 60, 100),
            // The engine begins this layer again.
            event("a", "Downloading", 0, 100),
            event("c", "Already exists", 0, 0),
            event("b", "Download complete", 0, 0),
            event("a", "Downloading", 90, 100),
            event("a", "Verifying Checksum", 0, 0),
            event("a", "Extracting", 1, 100),
            event("a", "Pull complete", 0, 0),
        ];
        let seen = Mutex::new(Vec::new());
        watch(
            stream::iter(events.map(Ok)),
            STALL_LIMIT,
            &|sum: PullProgress| {
                seen.lock().unwrap().push((sum.done, sum.total));
            },
        )
        .await
        .unwrap();
        let seen = seen.into_inner().unwrap();
        assert_eq!(
            seen,
            [
                (10, 100),
                (15, 150),
                (65, 150),
                (110, 150),
                (140, 150),
                (150, 150)
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn silence_ends_a_pull_and_slowness_does_not() {
        let slow = stream::unfold(0_i64, |at| async move {
            tokio::time::sleep(STALL_LIMIT.mul_f64(0.99)).await;
            (at < 20).then(|| (Ok(event("a", "Downloading", at, 20)), at + 1))
        });
        assert!(watch(slow, STALL_LIMIT, &|_| {}).await.is_ok());
        let stuck = stream::iter([Ok(event("a", "Downloading", 1, 20))]).chain(stream::pending());
        let ended = watch(stuck, STALL_LIMIT, &|_| {}).await;
        assert!(matches!(ended, Err(Interrupted::Stalled)));
    }

    #[tokio::test]
    async fn an_error_in_the_stream_is_an_error() {
        let events = [
            Ok(event("a", "Downloading", 1, 20)),
            Err(Error::DockerStreamError {
                error: "unexpected EOF".to_owned(),
            }),
            Ok(event("a", "Pull complete", 0, 0)),
        ];
        let ended = watch(stream::iter(events), STALL_LIMIT, &|_| {}).await;
        assert!(matches!(ended, Err(Interrupted::Failed(_))));
    }
}
