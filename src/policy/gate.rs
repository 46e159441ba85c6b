//! Stands between the executor and the engine and files of the host, and lets nothing through that
//! is not permitted, whatever a plan or an undo asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use async_trait::async_trait;
use tokio::io::{AsyncRead, AsyncWrite};

use super::{Policy, RealPaths, Refusal, Seen, Who, device_of, sources_of};
use crate::engine::api::ApiVersion;
use crate::engine::model::{
    Container, ContainerSpec, ContainerSummary, CopiedFile, Endpoint, Ends, EngineInfo, Exec,
    Executed, Image, LogWish, Network, PullProgress, Volume,
};
use crate::engine::{Changes, EngineError, Logs, ReadEngine, WriteEngine};
use crate::labels;
use crate::permits::Touch;

/// An engine that is asked for nothing but what is permitted.
pub struct Gated {
    engine: Arc<dyn WriteEngine>,
    policy: RwLock<Arc<Policy>>,
}

impl Gated {
    /// Puts a policy before an engine.
    pub fn new(engine: Arc<dyn WriteEngine>, policy: Policy) -> Self {
        Self {
            engine,
            policy: RwLock::new(Arc::new(policy)),
        }
    }

    /// Puts another policy in the place of the one before, for everything from now on.
    pub fn follow(&self, policy: Policy) {
        let mut current = self.policy.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(policy);
    }

    /// Passes a file of the host that may be touched for a stack, as its links lead now; `key` is
    /// that of the manifest which names it.
    ///
    /// # Errors
    /// It may not be.
    pub fn file(
        &self,
        stack: &str,
        key: &'static str,
        (path, touch): (&Path, Touch),
    ) -> Result<(), Refusal> {
        // A name that is no text is none of a manifest.
        let real = RealPaths::of(path.to_str());
        let refused = self.policy().file(stack, key, (path, touch), &real);
        refused.map_or(Ok(()), Err)
    }

    /// Passes a stack that may configure the proxy of the host itself.
    ///
    /// # Errors
    /// It may not.
    pub fn host_proxy(&self, stack: &str) -> Result<(), Refusal> {
        self.policy().host_proxy(stack).map_or(Ok(()), Err)
    }

    fn policy(&self) -> Arc<Policy> {
        let current = self.policy.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&current)
    }

    /// Returns those of the containers that a request joins which are of the same stack, or which
    /// are not there: with these the engine starts nothing.
    async fn own(
        &self,
        who: Who<'_>,
        spec: &ContainerSpec,
    ) -> Result<BTreeSet<String>, EngineError> {
        let from = spec.volumes_from.iter();
        let from = from.filter_map(|from| from.split(':').next());
        let joined: BTreeSet<&str> = spec.joins().chain(from).collect();
        let mut own = BTreeSet::new();
        for name in joined {
            let container = self.engine.container(name).await?;
            let is_own = container.is_none_or(|one| {
                let project = one.spec.labels.get(labels::PROJECT);
                !who.stack.is_empty() && project.is_some_and(|project| project == who.stack)
            });
            if is_own {
                own.insert(name.to_owned());
            }
        }
        Ok(own)
    }

    /// Passes a command inside a container. Only one with all privileges has to be asked for, and
    /// nearly none has them.
    async fn pass_exec(&self, id: &str, exec: &Exec<'_>) -> Result<(), EngineError> {
        if !exec.privileged {
            return Ok(());
        }
        let container = self.engine.container(id).await?;
        let labels = container
            .map(|one| one.spec.labels.clone())
            .unwrap_or_default();
        let refusals = self.policy().exec(who(&labels), "privileged", exec);
        pass(&format!("run a command in container {id}"), &refusals)
    }

    /// Refuses a network by its id, or the beginning of one: it would pass by its name unseen.
    async fn refuse_ids(&self, doing: &str, spec: &ContainerSpec) -> Result<(), EngineError> {
        let is_hex = |name: &&str| name.bytes().all(|byte| byte.is_ascii_hexdigit());
        let names = spec.networks.keys().map(String::as_str);
        let names = names.chain([spec.network_mode.as_str()]);
        let names = names.filter(|name| !name.is_empty()).filter(is_hex);
        let names: BTreeSet<&str> = names.collect();
        if names.is_empty() {
            return Ok(());
        }
        let networks = self.engine.networks().await?;
        let known = |name: &str| networks.iter().any(|network| network.name == name);
        match names.into_iter().find(|name| !known(name)) {
            None => Ok(()),
            Some(name) => Err(EngineError::Refused {
                doing: doing.to_owned(),
                cause: format!("there is no network of the name {name}"),
            }),
        }
    }
}

/// Passes what is permitted.
fn pass(doing: &str, refusals: &[Refusal]) -> Result<(), EngineError> {
    if refusals.is_empty() {
        return Ok(());
    }
    let all: Vec<String> = refusals.iter().map(ToString::to_string).collect();
    Err(EngineError::Refused {
        doing: doing.to_owned(),
        cause: format!("the host's settings do not permit it: {}", all.join("; ")),
    })
}

/// Tells by its labels who asks for something.
fn who(labels: &BTreeMap<String, String>) -> Who<'_> {
    let stack = labels.get(labels::STACK);
    let stack = stack.or_else(|| labels.get(labels::PROJECT));
    Who {
        stack: stack.map_or("", String::as_str),
        service: labels.get(labels::SERVICE).map(String::as_str),
    }
}

#[async_trait]
impl ReadEngine for Gated {
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
        self.engine.container(id).await
    }

    async fn image(&self, reference: &str) -> Result<Option<Image>, EngineError> {
        self.engine.image(reference).await
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
        self.engine.networks().await
    }

    async fn volumes(&self) -> Result<Vec<Volume>, EngineError> {
        self.engine.volumes().await
    }

    async fn changes(&self) -> Result<Changes, EngineError> {
        self.engine.changes().await
    }
}

#[async_trait]
impl WriteEngine for Gated {
    async fn pull(
        &self,
        reference: &str,
        digest: &str,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<(), EngineError> {
        let refusals = self.policy().image("image", reference);
        pass(&format!("pull {reference}"), &refusals)?;
        self.engine.pull(reference, digest, progress).await
    }

    async fn create_container(
        &self,
        name: &str,
        spec: &ContainerSpec,
    ) -> Result<String, EngineError> {
        let doing = format!("create container {name}");
        let who = who(&spec.labels);
        let own = self.own(who, spec).await?;
        self.refuse_ids(&doing, spec).await?;
        let real = RealPaths::of(sources_of(spec));
        let seen = Seen {
            real: &real,
            own: &own,
        };
        pass(&doing, &self.policy().container(who, spec, seen))?;
        self.engine.create_container(name, spec).await
    }

    async fn start_container(&self, id: &str) -> Result<(), EngineError> {
        self.engine.start_container(id).await
    }

    async fn stop_container(&self, id: &str) -> Result<(), EngineError> {
        self.engine.stop_container(id).await
    }

    async fn kill_container(&self, id: &str) -> Result<(), EngineError> {
        self.engine.kill_container(id).await
    }

    async fn signal_container(&self, id: &str, signal: &str) -> Result<(), EngineError> {
        self.engine.signal_container(id, signal).await
    }

    async fn exec(
        &self,
        id: &str,
        exec: &Exec<'_>,
        input: Option<Box<dyn AsyncRead + Send + Unpin>>,
        output: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<Executed, EngineError> {
        self.pass_exec(id, exec).await?;
        self.engine.exec(id, exec, input, output).await
    }

    async fn talk(&self, id: &str, exec: &Exec<'_>, ends: Ends<'_>) -> Result<i64, EngineError> {
        self.pass_exec(id, exec).await?;
        self.engine.talk(id, exec, ends).await
    }

    async fn copy_into(
        &self,
        id: &str,
        files: &BTreeMap<String, CopiedFile>,
    ) -> Result<(), EngineError> {
        self.engine.copy_into(id, files).await
    }

    async fn restart_container(&self, id: &str) -> Result<(), EngineError> {
        self.engine.restart_container(id).await
    }

    async fn rename_container(&self, id: &str, name: &str) -> Result<(), EngineError> {
        self.engine.rename_container(id, name).await
    }

    async fn remove_container(&self, id: &str) -> Result<(), EngineError> {
        self.engine.remove_container(id).await
    }

    async fn connect(
        &self,
        container: &str,
        network: &str,
        place: &Endpoint,
    ) -> Result<(), EngineError> {
        // The engine has its own word about the host's network, so nobody needs a grant for it.
        let nobody = Who {
            stack: "",
            service: None,
        };
        let refusals = self.policy().place(nobody, network, place);
        pass(
            &format!("connect container {container} to network {network}"),
            &refusals,
        )?;
        self.engine.connect(container, network, place).await
    }

    async fn disconnect(&self, container: &str, network: &str) -> Result<(), EngineError> {
        self.engine.disconnect(container, network).await
    }

    async fn create_network(&self, network: &Network) -> Result<(), EngineError> {
        let refusals = self.policy().network(who(&network.labels), network);
        pass(&format!("create network {}", network.name), &refusals)?;
        self.engine.create_network(network).await
    }

    async fn remove_network(&self, id: &str) -> Result<(), EngineError> {
        self.engine.remove_network(id).await
    }

    async fn create_volume(&self, volume: &Volume) -> Result<(), EngineError> {
        let real = RealPaths::of(device_of(volume));
        let seen = Seen {
            real: &real,
            own: &BTreeSet::new(),
        };
        let refusals = self.policy().volume(who(&volume.labels), volume, seen);
        pass(&format!("create volume {}", volume.name), &refusals)?;
        self.engine.create_volume(volume).await
    }
}
