//! Asks the engine: the half that changes nothing.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bollard::query_parameters::{
    InspectContainerOptions, ListNetworksOptions, ListVolumesOptions, LogsOptionsBuilder,
};
use futures_util::TryStreamExt;

use super::connection::{self, CALL_LIMIT, Docker};
use super::from_engine::{self, EngineDefaults};
use super::list;
use super::tail::Tail;
use crate::engine::api::ApiVersion;
use crate::engine::model::{
    Container, ContainerSummary, EngineInfo, Image, LogWish, Network, Volume,
};
use crate::engine::reference::Reference;
use crate::engine::{Changes, EngineError, Logs, ReadEngine};

/// Time for the name of a container that an error message should carry. Only the message gets
/// poorer without it.
const NAME_LIMIT: Duration = Duration::from_secs(2);

/// Time to read the end of a log.
const LOG_LIMIT: Duration = Duration::from_secs(30);

/// Lines of a log that are asked for first. The engine finds the last lines from the end of the
/// file, so what it costs depends on them only; it breaks lines after 16 KiB.
const FIRST_LINES: usize = 64;

/// How many times more lines are asked for when these were too short for what is wanted.
const MORE_LINES: usize = 8;

/// Digits of an id that are shown where the name can't be had, as the Docker CLI does.
const SHORT_ID: usize = 12;

#[async_trait]
impl ReadEngine for Docker {
    async fn info(&self) -> Result<EngineInfo, EngineError> {
        let info = self.about("ask the engine who it is").await?;
        Ok(EngineInfo {
            id: info.id.clone().unwrap_or_default(),
            version: info.server_version.clone().unwrap_or_default(),
        })
    }

    async fn api_version(&self) -> Result<ApiVersion, EngineError> {
        let client = self.client("ask the engine what it speaks").await?;
        Ok(connection::api_version(&client))
    }

    async fn containers(&self) -> Result<Vec<ContainerSummary>, EngineError> {
        list::containers(self).await
    }

    async fn container(&self, id: &str) -> Result<Option<Container>, EngineError> {
        let doing = format!("inspect container {}", short(id));
        let client = self.client(&doing).await?;
        let id = connection::in_path(&doing, id)?;
        let request = client.inspect_container(id, None::<InspectContainerOptions>);
        let Some(found) = present(self.call(&doing, CALL_LIMIT, request).await)? else {
            return Ok(None);
        };
        let ended = found
            .state
            .as_ref()
            .and_then(|state| state.finished_at.clone());
        let mut container = if from_engine::depends_on_defaults(&found) {
            from_engine::container(found, &self.defaults(&doing).await?)
        } else {
            from_engine::container(found, &EngineDefaults::default())
        };
        let spec = Arc::make_mut(&mut container.spec);
        self.name_neighbours(&doing, spec).await?;
        container.ended_by_itself = match ended {
            Some(ended) => self.has_ended_by_itself(&doing, &container, &ended).await,
            None => false,
        };
        Ok(Some(container))
    }

    async fn image(&self, reference: &str) -> Result<Option<Image>, EngineError> {
        let doing = format!("inspect image {reference}");
        let client = self.client(&doing).await?;
        let reference = connection::in_path(&doing, reference)?;
        let request = client.inspect_image(reference);
        let found = present(self.call(&doing, CALL_LIMIT, request).await)?;
        Ok(found.map(from_engine::image))
    }

    async fn registry_digest(&self, reference: &str) -> Result<String, EngineError> {
        let doing = format!("ask the registry for {reference}");
        let full = parse(&doing, reference)?.normalized();
        let client = self.client(&doing).await?;
        let visit = self.visit(&doing, &full).await?;
        let name = full.to_string();
        let request = client.inspect_registry_image(&name, visit.credentials());
        let answer = self.registry_call(&doing, &visit, request).await?;
        answer.descriptor.digest.ok_or(EngineError::Registry {
            doing,
            cause: "its answer names no digest".to_owned(),
        })
    }

    async fn output(&self, id: &str, at_most_bytes: usize) -> Result<String, EngineError> {
        let doing = format!("read the log of container {}", short(id));
        let client = self.client(&doing).await?;
        let id = connection::in_path(&doing, id)?;
        let mut lines = FIRST_LINES;
        loop {
            let last = self.call(
                &doing,
                LOG_LIMIT,
                last_lines(&client, id, lines, at_most_bytes),
            );
            let (read, tail) = last.await?;
            // A line has at least its end, so more lines than bytes are never needed.
            if read < lines || tail.is_cut() || lines > at_most_bytes {
                return Ok(tail.into_text());
            }
            lines = lines.saturating_mul(MORE_LINES);
        }
    }

    async fn logs(&self, id: &str, wish: LogWish) -> Result<Logs, EngineError> {
        self.pieces(id, wish).await
    }

    async fn read_file(
        &self,
        id: &str,
        path: &str,
        at_most_bytes: usize,
    ) -> Result<Option<Vec<u8>>, EngineError> {
        self.content(id, path, at_most_bytes).await
    }

    async fn networks(&self) -> Result<Vec<Network>, EngineError> {
        let doing = "list networks";
        let client = self.client(doing).await?;
        let request = client.list_networks(None::<ListNetworksOptions>);
        let list = self.call(doing, CALL_LIMIT, request).await?;
        Ok(list.into_iter().map(from_engine::network).collect())
    }

    async fn volumes(&self) -> Result<Vec<Volume>, EngineError> {
        let doing = "list volumes";
        let client = self.client(doing).await?;
        let request = client.list_volumes(None::<ListVolumesOptions>);
        let list = self.call(doing, CALL_LIMIT, request).await?;
        Ok(list
            .volumes
            .unwrap_or_default()
            .into_iter()
            .map(from_engine::volume)
            .collect())
    }

    async fn changes(&self) -> Result<Changes, EngineError> {
        self.follow().await
    }
}

impl Docker {
    /// Says what is being done to a container, with its name where it can be had. Only asked for
    /// when there is an error to report: it costs a call.
    pub(super) async fn doing(&self, verb: &str, id: &str) -> String {
        let name = match tokio::time::timeout(NAME_LIMIT, self.container(id)).await {
            Ok(Ok(Some(container))) => container.name,
            Ok(Ok(None) | Err(_)) | Err(_) => short(id).to_owned(),
        };
        format!("{verb} container {name}")
    }
}

/// Reads so many of the last lines of a log; returns how many there were, and their end.
async fn last_lines(
    client: &bollard::Docker,
    id: &str,
    lines: usize,
    at_most_bytes: usize,
) -> Result<(usize, Tail), bollard::errors::Error> {
    let options = LogsOptionsBuilder::default()
        .stdout(true)
        .stderr(true)
        .tail(&lines.to_string())
        .build();
    let mut log = client.logs(id, Some(options));
    let (mut read, mut tail) = (0, Tail::new(at_most_bytes));
    while let Some(line) = log.try_next().await? {
        read += 1;
        tail.push(line.as_ref());
    }
    Ok((read, tail))
}

/// Reads a reference; a bad one is refused before the engine sees it.
pub(super) fn parse(doing: &str, reference: &str) -> Result<Reference, EngineError> {
    Reference::parse(reference).map_err(|cause| EngineError::Refused {
        doing: doing.to_owned(),
        cause,
    })
}

/// Returns `None` for what does not exist.
pub(super) fn present<T>(answer: Result<T, EngineError>) -> Result<Option<T>, EngineError> {
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(EngineError::NotFound { .. }) => Ok(None),
        Err(other) => Err(other),
    }
}

/// Cuts a full id to the digits that people know; leaves a name as it is.
pub(super) fn short(id: &str) -> &str {
    let is_id = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_id {
        id.get(..SHORT_ID).unwrap_or(id)
    } else {
        id
    }
}
