//! Lists the containers of the host.
//!
//! One container that somebody else has made in an odd way must not hide all the others: the client
//! library refuses the whole list for a word in it that it does not know (an exposed port without a
//! number is listed as of protocol `0`). So no more is read than is used.

use std::collections::{BTreeMap, BTreeSet};

use bollard::errors::Error;
use futures_util::TryStreamExt as _;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::connection::{self, CALL_LIMIT, Docker};
use super::error;
use crate::engine::EngineError;
use crate::engine::model::ContainerSummary;

/// Bytes of a list that we are willing to read: a container takes some two thousand.
const MAX_LIST: usize = 64 * 1024 * 1024;

/// States in which there is a process.
const WITH_A_PROCESS: [&str; 3] = ["running", "paused", "stopping"];

/// A line of the list, see the engine's API, `ContainerSummary`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Line {
    id: String,
    names: Option<Vec<String>>,
    image: Option<String>,
    labels: Option<BTreeMap<String, String>>,
    state: Option<String>,
    network_settings: Option<NetworkSettings>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
#[expect(
    clippy::zero_sized_map_values,
    reason = "an object of JSON, of which only the keys are read"
)]
struct NetworkSettings {
    networks: Option<BTreeMap<String, IgnoredAny>>,
}

/// Returns all containers, running or not.
pub(super) async fn containers(docker: &Docker) -> Result<Vec<ContainerSummary>, EngineError> {
    let doing = "list containers";
    let client = docker.client(doing).await?;
    let client = connection::with_path(&client, "/containers/json?all=true");
    // Of the questions whose answer the library hands on unread.
    let answer = client.export_container("all");
    let answer = answer.try_fold(Vec::new(), |mut read, chunk| async move {
        if read.len().saturating_add(chunk.len()) > MAX_LIST {
            let error = "the list is larger than 64 MiB".to_owned();
            return Err(Error::DockerStreamError { error });
        }
        read.extend_from_slice(&chunk);
        Ok(read)
    });
    let answer = docker.call(doing, CALL_LIMIT, answer).await?;
    let lines: Vec<Line> = serde_json::from_slice(&answer).map_err(|err| {
        error::translate(&docker.address(), doing, &Error::JsonSerdeError { err })
    })?;
    Ok(lines.into_iter().map(summary).collect())
}

fn summary(line: Line) -> ContainerSummary {
    let names = line.names.unwrap_or_default();
    let mut names = names.iter().map(|name| name.trim_start_matches('/'));
    let networks = line.network_settings.and_then(|shown| shown.networks);
    ContainerSummary {
        id: line.id,
        // A linked container is listed under further names of the form `/other/alias`.
        name: names
            .find(|name| !name.contains('/'))
            .unwrap_or_default()
            .to_owned(),
        image: line.image.unwrap_or_default(),
        labels: line.labels.unwrap_or_default(),
        running: line
            .state
            .is_some_and(|state| WITH_A_PROCESS.contains(&state.as_str())),
        networks: networks
            .map(|networks| networks.into_keys().collect::<BTreeSet<_>>())
            .unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::scripted;
    use super::*;

    async fn listed(body: &'static str) -> Result<Vec<ContainerSummary>, EngineError> {
        let answers = vec![scripted::GREETING, (Some("200 OK"), body)];
        let (endpoint, server) = scripted::serve("1.41", answers).await;
        let list = containers(&Docker::connect(&endpoint).unwrap()).await;
        let asked = server.await.unwrap();
        assert_eq!(asked[1], "GET /v1.41/containers/json?all=true");
        list
    }

    #[tokio::test]
    async fn what_is_odd_about_one_container_does_not_hide_the_others() {
        let list = listed(
            r#"[{"Id": "1", "Names": ["/odd"], "State": "running",
                 "Ports": [{"PrivatePort": 0, "Type": "0"}]},
                {"Id": "2", "Names": ["/next"], "State": "a new one", "Ports": []}]"#,
        );
        let list = list.await.unwrap();
        let told = list.iter().map(|one| (one.name.as_str(), one.running));
        assert_eq!(told.collect::<Vec<_>>(), [("odd", true), ("next", false)]);
    }

    #[tokio::test]
    async fn a_linked_container_keeps_its_own_name() {
        let list = listed(
            r#"[{"Id": "1", "Names": ["/web/db", "/db-1"], "Image": "x", "State": "paused",
                 "Labels": {"a": "b"}, "NetworkSettings": {"Networks": {"front": {}}}}]"#,
        );
        let expected = ContainerSummary {
            id: "1".to_owned(),
            name: "db-1".to_owned(),
            image: "x".to_owned(),
            labels: [("a".to_owned(), "b".to_owned())].into(),
            running: true,
            networks: ["front".to_owned()].into(),
        };
        assert_eq!(list.await, Ok(vec![expected]));
    }

    #[tokio::test]
    async fn a_list_that_breaks_off_is_an_engine_that_is_away() {
        let cut = listed(r#"[{"Id": "1""#).await.unwrap_err();
        assert!(matches!(cut, EngineError::Unavailable { .. }), "{cut}");
        let other = listed("{}").await.unwrap_err();
        assert!(matches!(other, EngineError::Refused { .. }), "{other}");
    }
}
