//! Asks the engine to do something: the half with effects. What can be repeated is told in
//! [`WriteEngine`]; here is how "it already is so" is recognised.

use std::collections::BTreeMap;
use std::future::Future;
use std::time::Duration;

use async_trait::async_trait;
use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, KillContainerOptions, KillContainerOptionsBuilder,
    RemoveContainerOptionsBuilder, RenameContainerOptionsBuilder, RestartContainerOptions,
    StartContainerOptions, StopContainerOptions,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::connection::{self, CALL_LIMIT, Docker};
use super::read::short;
use super::{error, to_engine};
use crate::engine::api::{self, TooOld};
use crate::engine::model::{
    Container, ContainerSpec, CopiedFile, Endpoint, Ends, Exec, Executed, Network, PullProgress,
    Volume,
};
use crate::engine::{EngineError, ReadEngine, WriteEngine};

/// Time for a start. It takes 340 ms on an idle engine, but starts queue behind each other and
/// wait for network and storage drivers.
pub(super) const START_LIMIT: Duration = Duration::from_secs(120);

/// The engine's own stop timeout for a container that has none, in seconds.
const DEFAULT_STOP_TIMEOUT: i64 = 10;

/// What a stop may take beyond the stop timeout: the kill, and taking down network and mounts.
const STOP_MARGIN: Duration = Duration::from_secs(30);

/// A negative stop timeout lets the engine wait for ever. We don't: somebody waits for us.
const ENDLESS_STOP: Duration = Duration::from_secs(60 * 60);

/// Time between two looks whether a container that is being removed is gone. Removals take
/// milliseconds; those that don't hang on a busy mount for seconds.
const GONE_POLL: Duration = Duration::from_millis(100);

#[async_trait]
impl WriteEngine for Docker {
    async fn pull(
        &self,
        reference: &str,
        digest: &str,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<(), EngineError> {
        self.pull_pinned(reference, digest, progress).await
    }

    async fn create_container(
        &self,
        name: &str,
        spec: &ContainerSpec,
    ) -> Result<String, EngineError> {
        let doing = format!("create container {name}");
        let client = self.client(&doing).await?;
        let spoken = connection::api_version(&client);
        refuse_too_old(&doing, &api::too_old_for_container(spec, spoken))?;
        let spec = self.with_ids(&doing, spec).await?;
        let creation =
            to_engine::creation(&spec, spoken).map_err(|cause| EngineError::Refused {
                doing: doing.clone(),
                cause,
            })?;
        let mut options = CreateContainerOptionsBuilder::default().name(name);
        if let Some(platform) = &spec.platform {
            options = options.platform(platform);
        }
        let client = match creation.mac_address {
            Some(address) => {
                let body = with_mac_address(&creation.body, address);
                connection::with_body(&client, body)
            }
            None => client,
        };
        let request = client.create_container(Some(options.build()), creation.body);
        let made = self.call(&doing, CALL_LIMIT, request).await?;
        for warning in made.warnings {
            tracing::warn!(container = name, "the engine warns: {warning}");
        }
        let id = made.id;
        for (network, place) in creation.then_connect {
            let joined = self.join(&id, name, network, place).await;
            if let Err(failure) = joined {
                // Best effort: what stays behind carries our labels, so the next pass finds it.
                // The reason why the container is not whole is the error worth telling.
                drop(self.remove_container(&id).await);
                return Err(failure);
            }
        }
        Ok(id)
    }

    async fn start_container(&self, id: &str) -> Result<(), EngineError> {
        let (client, id) = self.reach("start", id).await?;
        let request = client.start_container(id, None::<StartContainerOptions>);
        self.on_container("start", id, START_LIMIT, request).await
    }

    async fn stop_container(&self, id: &str) -> Result<(), EngineError> {
        let Some(container) = self.container(id).await? else {
            return Ok(());
        };
        let doing = format!("stop container {}", container.name);
        let client = self.client(&doing).await?;
        // Without a time in the request the engine takes the container's own.
        let request = client.stop_container(&container.id, None::<StopContainerOptions>);
        let limit = stop_limit(&container);
        gone_is_success(self.call(&doing, limit, request).await)
    }

    async fn kill_container(&self, id: &str) -> Result<(), EngineError> {
        let (client, id) = self.reach("kill", id).await?;
        let request = client.kill_container(id, None::<KillContainerOptions>);
        match gone_is_success(self.on_container("kill", id, CALL_LIMIT, request).await) {
            Err(failure) if error::says_not_running(&failure) => Ok(()),
            answer => answer,
        }
    }

    async fn signal_container(&self, id: &str, signal: &str) -> Result<(), EngineError> {
        let verb = format!("send {signal} to");
        let (client, id) = self.reach(&verb, id).await?;
        let options = KillContainerOptionsBuilder::default()
            .signal(signal)
            .build();
        let request = client.kill_container(id, Some(options));
        self.on_container(&verb, id, CALL_LIMIT, request).await
    }

    async fn exec(
        &self,
        id: &str,
        exec: &Exec<'_>,
        input: Option<Box<dyn AsyncRead + Send + Unpin>>,
        output: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<Executed, EngineError> {
        self.run_inside(id, exec, input, output).await
    }

    async fn talk(&self, id: &str, exec: &Exec<'_>, ends: Ends<'_>) -> Result<i64, EngineError> {
        self.talk_inside(id, exec, ends).await
    }

    async fn restart_container(&self, id: &str) -> Result<(), EngineError> {
        let doing = format!("restart container {}", short(id));
        let Some(container) = self.container(id).await? else {
            return Err(EngineError::NotFound {
                doing,
                cause: "there is no such container".to_owned(),
            });
        };
        let doing = format!("restart container {}", container.name);
        let client = self.client(&doing).await?;
        let request = client.restart_container(&container.id, None::<RestartContainerOptions>);
        let limit = stop_limit(&container).saturating_add(START_LIMIT);
        self.call(&doing, limit, request).await
    }

    async fn rename_container(&self, id: &str, name: &str) -> Result<(), EngineError> {
        let (client, id) = self.reach("rename", id).await?;
        let options = RenameContainerOptionsBuilder::default().name(name).build();
        let request = client.rename_container(id, options);
        self.on_container("rename", id, CALL_LIMIT, request).await
    }

    async fn remove_container(&self, id: &str) -> Result<(), EngineError> {
        let (client, id) = self.reach("remove", id).await?;
        let options = RemoveContainerOptionsBuilder::default()
            .v(false)
            .force(true)
            .build();
        let request = client.remove_container(id, Some(options));
        match gone_is_success(self.on_container("remove", id, CALL_LIMIT, request).await) {
            Err(failure) if error::says_removal_in_progress(&failure) => {
                self.wait_until_gone(id).await
            }
            answer => answer,
        }
    }

    async fn copy_into(
        &self,
        id: &str,
        files: &BTreeMap<String, CopiedFile>,
    ) -> Result<(), EngineError> {
        self.put(id, files).await
    }

    async fn connect(
        &self,
        container: &str,
        network: &str,
        place: &Endpoint,
    ) -> Result<(), EngineError> {
        match self.join(container, short(container), network, place).await {
            Ok(()) => Ok(()),
            Err(failure) => {
                let doing = self.doing("connect", container).await;
                Err(error::renamed(
                    failure,
                    format!("{doing} to network {network}"),
                ))
            }
        }
    }

    async fn disconnect(&self, container: &str, network: &str) -> Result<(), EngineError> {
        self.leave(container, network).await
    }

    async fn create_network(&self, network: &Network) -> Result<(), EngineError> {
        self.make_network(network).await
    }

    async fn remove_network(&self, id: &str) -> Result<(), EngineError> {
        self.unmake_network(id).await
    }

    async fn create_volume(&self, volume: &Volume) -> Result<(), EngineError> {
        let doing = format!("create volume {}", volume.name);
        let client = self.client(&doing).await?;
        let request = client.create_volume(to_engine::volume(volume));
        let made = self.call(&doing, CALL_LIMIT, request).await?;
        // For a name that is taken the engine answers with the volume that has it, whatever it is.
        if made.labels.into_iter().collect::<BTreeMap<_, _>>() == volume.labels {
            Ok(())
        } else {
            Err(EngineError::Conflict {
                doing,
                cause: format!(
                    "a volume {} exists already and has other labels; it may belong to somebody \
                     else",
                    volume.name
                ),
            })
        }
    }
}

impl Docker {
    /// Returns the client, and the id if it can stand in a path.
    pub(super) async fn reach<'a>(
        &self,
        verb: &str,
        id: &'a str,
    ) -> Result<(bollard::Docker, &'a str), EngineError> {
        let doing = format!("{verb} container {}", short(id));
        Ok((self.client(&doing).await?, connection::in_path(&doing, id)?))
    }

    /// Runs a request about a container; its error calls the container by name.
    pub(super) async fn on_container<T>(
        &self,
        verb: &str,
        id: &str,
        limit: Duration,
        request: impl Future<Output = Result<T, bollard::errors::Error>>,
    ) -> Result<T, EngineError> {
        let doing = format!("{verb} container {}", short(id));
        match self.call(&doing, limit, request).await {
            Ok(value) => Ok(value),
            Err(failure) => Err(error::renamed(failure, self.doing(verb, id).await)),
        }
    }

    async fn wait_until_gone(&self, id: &str) -> Result<(), EngineError> {
        let deadline = Instant::now() + CALL_LIMIT;
        while let Some(container) = self.container(id).await? {
            if Instant::now() >= deadline {
                return Err(EngineError::TimedOut {
                    doing: format!("remove container {}", container.name),
                    limit: CALL_LIMIT,
                });
            }
            tokio::time::sleep(GONE_POLL).await;
        }
        Ok(())
    }
}

/// Refuses what the engine's API is too old for.
pub(super) fn refuse_too_old(doing: &str, too_old: &[TooOld]) -> Result<(), EngineError> {
    if too_old.is_empty() {
        return Ok(());
    }
    let causes: Vec<String> = too_old.iter().map(ToString::to_string).collect();
    Err(EngineError::Refused {
        doing: doing.to_owned(),
        cause: causes.join("; "),
    })
}

/// Writes a body with the hardware address that engines before API 1.44 take there.
fn with_mac_address(body: &ContainerCreateBody, address: &str) -> Vec<u8> {
    let mut body = serde_json::to_value(body).unwrap_or_default();
    if let Some(keys) = body.as_object_mut() {
        keys.insert("MacAddress".to_owned(), address.into());
    }
    body.to_string().into_bytes()
}

fn stop_limit(container: &Container) -> Duration {
    let timeout = container.spec.stop_timeout.unwrap_or(DEFAULT_STOP_TIMEOUT);
    match u64::try_from(timeout) {
        Ok(seconds) => Duration::from_secs(seconds).saturating_add(STOP_MARGIN),
        Err(_) => ENDLESS_STOP,
    }
}

fn gone_is_success(answer: Result<(), EngineError>) -> Result<(), EngineError> {
    match answer {
        Err(EngineError::NotFound { .. }) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::scripted;
    use super::*;
    use crate::engine::model::ContainerState;

    #[test]
    fn a_stop_has_its_own_timeout_and_some() {
        let mut container = Container {
            id: String::new(),
            name: String::new(),
            image_id: String::new(),
            spec: Arc::default(),
            state: ContainerState::Running,
            health: None,
            pid: None,
            restart_count: 0,
            started_at: String::new(),
            oom_killed: false,
            ended_by_itself: false,
            addresses: std::collections::BTreeMap::new(),
        };
        for (timeout, seconds) in [(None, 40), (Some(0), 30), (Some(90), 120), (Some(-1), 3600)] {
            Arc::make_mut(&mut container.spec).stop_timeout = timeout;
            assert_eq!(
                stop_limit(&container),
                Duration::from_secs(seconds),
                "{timeout:?}"
            );
        }
        Arc::make_mut(&mut container.spec).stop_timeout = Some(i64::MAX);
        assert!(stop_limit(&container) > ENDLESS_STOP, "no overflow");
    }

    #[tokio::test]
    async fn a_removal_under_way_is_waited_for() {
        let here = (Some("200 OK"), r#"{"Id": "1", "Name": "/web-1"}"#);
        let gone = (
            Some("404 Not Found"),
            r#"{"message": "No such container: web-1"}"#,
        );
        let busy = r#"{"message": "removal of container web-1 is already in progress"}"#;
        // After the refusal: its name for the message, then three looks.
        let answers = vec![
            scripted::GREETING,
            (Some("409 Conflict"), busy),
            here,
            here,
            here,
            gone,
        ];
        let (endpoint, server) = scripted::serve("1.41", answers).await;
        Docker::connect(&endpoint)
            .unwrap()
            .remove_container("web-1")
            .await
            .unwrap();
        let lines = server.await.unwrap();
        assert_eq!(
            lines[1],
            "DELETE /v1.41/containers/web-1?v=false&force=true&link=false"
        );
        assert_eq!(lines.len(), 6);
    }

    #[tokio::test]
    async fn another_conflict_is_not_waited_out() {
        let here = (Some("200 OK"), r#"{"Id": "1", "Name": "/web-1"}"#);
        let other = (Some("409 Conflict"), r#"{"message": "it is in use"}"#);
        let (endpoint, server) =
            scripted::serve("1.41", vec![scripted::GREETING, other, here]).await;
        let error = Docker::connect(&endpoint)
            .unwrap()
            .remove_container("1")
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "failed to remove container web-1: it is in use"
        );
        server.await.unwrap();
    }

    #[tokio::test]
    async fn a_connection_that_breaks_leaves_the_effect_unknown() {
        let answers = vec![scripted::GREETING, (None, ""), (None, "")];
        let (endpoint, server) = scripted::serve("1.41", answers).await;
        let docker = Docker::connect(&endpoint).unwrap();
        let error = docker.start_container("web-1").await.unwrap_err();
        assert!(matches!(error, EngineError::Unavailable { .. }), "{error}");
        assert!(
            error.to_string().contains("start container web-1"),
            "{error}"
        );
        drop(server);
    }

    #[tokio::test]
    async fn one_call_joins_all_networks_from_api_1_44_on() {
        let made = (Some("201 Created"), r#"{"Id": "1", "Warnings": []}"#);
        let (endpoint, server) = scripted::serve("1.44", vec![scripted::GREETING, made]).await;
        let spec = ContainerSpec {
            networks: ["a", "b"]
                .map(|name| (name.to_owned(), Endpoint::default()))
                .into(),
            network_mode: "a".to_owned(),
            ..ContainerSpec::default()
        };
        let docker = Docker::connect(&endpoint).unwrap();
        assert_eq!(
            docker.create_container("web-1", &spec).await.as_deref(),
            Ok("1")
        );
        assert_eq!(server.await.unwrap().len(), 2);
    }

    #[tokio::test]
    async fn the_platform_goes_where_the_engine_looks_for_it() {
        let made = (
            Some("201 Created"),
            r#"{"Id": "1", "Warnings": ["discarded"]}"#,
        );
        let (endpoint, server) = scripted::serve("1.41", vec![scripted::GREETING, made]).await;
        let spec = ContainerSpec {
            platform: Some("linux/arm64".to_owned()),
            ..ContainerSpec::default()
        };
        let docker = Docker::connect(&endpoint).unwrap();
        docker.create_container("web-1", &spec).await.unwrap();
        let lines = server.await.unwrap();
        assert_eq!(
            lines[1],
            "POST /v1.41/containers/create?name=web-1&platform=linux%2Farm64"
        );
    }

    #[tokio::test]
    async fn what_the_engine_lacks_is_refused_before_anything_is_asked() {
        let (endpoint, server) = scripted::serve("1.40", vec![scripted::GREETING]).await;
        let spec = ContainerSpec {
            platform: Some("linux/arm64".to_owned()),
            ..ContainerSpec::default()
        };
        let docker = Docker::connect(&endpoint).unwrap();
        let error = docker.create_container("web-1", &spec).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "failed to create container web-1: platform needs Docker Engine 20.10 (API 1.41) or \
             later, and this one speaks API 1.40"
        );
        assert_eq!(server.await.unwrap().len(), 1);
    }
}
