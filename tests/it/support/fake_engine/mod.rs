//! An engine in memory: the real one's semantics as far as Moored relies on them, and failures on
//! demand. Where `tests/it/engine` pins what the real one does, this does the same.
//!
//! [`FakeEngine`] is both halves of the engine; clones share one host. [`World`] is that host, for
//! tests to look at and to change by hand. [`Faults`] says which calls fail, and how. Every call
//! with an effect is recorded in [`World::calls`].

mod commands;
mod fate;
mod faults;
mod front;
mod inspect;
mod ledger;
mod neighbours;
mod networks;
mod world;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use moored::engine::api::{self, ApiVersion};
use moored::engine::model::{
    Container, ContainerSpec, ContainerSummary, CopiedFile, Endpoint, Ends, EngineInfo, Exec,
    Executed, Image, LogPiece, LogStream, LogWish, Network, PullProgress, Volume,
};
use moored::engine::{Changes, EngineError, Logs, ReadEngine, WriteEngine};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

pub(crate) use commands::Said;
pub(crate) use fate::{End, Fate};
pub(crate) use faults::{Faults, Killed};
pub(crate) use ledger::{HALF, Ledger, MIGRATE, Work};
pub(crate) use world::World;

/// A handle on a host in memory.
#[derive(Clone, Default)]
pub(crate) struct FakeEngine {
    world: Arc<Mutex<World>>,
    faults: Arc<Mutex<Faults>>,
}

impl FakeEngine {
    /// The host, to look at and to change by hand.
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        // A killed process leaves the engine as it was.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What fails from now on, counted from now on.
    pub(crate) fn faults(&self, faults: Faults) {
        *self.faults.lock().unwrap_or_else(PoisonError::into_inner) = faults;
    }

    fn plan_fault(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call without an effect.
    fn read<T>(&self, doing: &str, look: impl FnOnce(&mut World) -> T) -> Result<T, EngineError> {
        self.plan_fault().reading(doing)?;
        Ok(look(&mut self.world()))
    }

    /// A call with an effect on what is called `subject`.
    fn write<T>(
        &self,
        verb: &str,
        subject: &str,
        effect: impl FnOnce(&mut World) -> Result<T, EngineError>,
    ) -> Result<T, EngineError> {
        let call = self.world().describe(verb, subject);
        let after = self.plan_fault().before(&call.line)?;
        self.world().calls.push(call.clone());
        let answer = effect(&mut self.world());
        self.world().serve_visitors(&call.line);
        self.world().watch_traffic(&call.line);
        after.then(&call.line, answer)
    }
}

#[async_trait]
impl ReadEngine for FakeEngine {
    async fn info(&self) -> Result<EngineInfo, EngineError> {
        self.read("ask the engine who it is", |_| EngineInfo {
            id: "fake".to_owned(),
            version: "20.10.24".to_owned(),
        })
    }

    async fn api_version(&self) -> Result<ApiVersion, EngineError> {
        self.read("ask the engine what it speaks", |world| world.api())
    }

    async fn containers(&self) -> Result<Vec<ContainerSummary>, EngineError> {
        self.read("list containers", |world| world.summaries())
    }

    async fn container(&self, id: &str) -> Result<Option<Container>, EngineError> {
        self.read("inspect container", |world| world.inspect(id))
    }

    async fn image(&self, reference: &str) -> Result<Option<Image>, EngineError> {
        self.read("inspect image", |world| world.image(reference).cloned())
    }

    async fn registry_digest(&self, reference: &str) -> Result<String, EngineError> {
        self.read("ask the registry", |world| world.digest_of(reference))?
    }

    async fn output(&self, id: &str, at_most_bytes: usize) -> Result<String, EngineError> {
        self.read("read the log", |world| world.output(id, at_most_bytes))?
    }

    /// What it wrote at its end; nothing is followed.
    async fn logs(&self, id: &str, _wish: LogWish) -> Result<Logs, EngineError> {
        let written = self.output(id, usize::MAX).await?;
        let pieces: Vec<_> = written
            .split_inclusive('\n')
            .map(|line| {
                Ok(LogPiece {
                    stream: LogStream::Stdout,
                    at: None,
                    bytes: line.into(),
                })
            })
            .collect();
        Ok(Box::pin(futures_util::stream::iter(pieces)))
    }

    async fn read_file(
        &self,
        id: &str,
        path: &str,
        at_most_bytes: usize,
    ) -> Result<Option<Vec<u8>>, EngineError> {
        self.read("read a file", |world| {
            world.read_file(id, path, at_most_bytes)
        })?
    }

    async fn networks(&self) -> Result<Vec<Network>, EngineError> {
        self.read("list networks", |world| {
            world.networks.values().cloned().collect()
        })
    }

    async fn volumes(&self) -> Result<Vec<Volume>, EngineError> {
        self.read("list volumes", |world| {
            world.volumes.values().cloned().collect()
        })
    }

    async fn changes(&self) -> Result<Changes, EngineError> {
        Ok(Box::pin(futures_util::stream::pending()))
    }
}

#[async_trait]
impl WriteEngine for FakeEngine {
    async fn pull(
        &self,
        reference: &str,
        digest: &str,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<(), EngineError> {
        progress(PullProgress { done: 1, total: 1 });
        self.write("pull", reference, |world| world.pull(reference, digest))
    }

    async fn create_container(
        &self,
        name: &str,
        spec: &ContainerSpec,
    ) -> Result<String, EngineError> {
        self.write("create_container", name, |world| {
            world::refuse(&api::too_old_for_container(spec, world.api()))?;
            world.create(name, spec)
        })
    }

    async fn start_container(&self, id: &str) -> Result<(), EngineError> {
        self.write("start_container", id, |world| world.start(id))
    }

    async fn stop_container(&self, id: &str) -> Result<(), EngineError> {
        self.write("stop_container", id, |world| {
            world.stop(id);
            Ok(())
        })
    }

    async fn kill_container(&self, id: &str) -> Result<(), EngineError> {
        self.write("kill_container", id, |world| {
            world.kill(id);
            Ok(())
        })
    }

    async fn signal_container(&self, id: &str, signal: &str) -> Result<(), EngineError> {
        let verb = format!("signal {signal} to");
        self.write(&verb, id, |world| world.signal(id, signal))
    }

    /// A container's own health check that goes by its fate is no call with an effect: how often
    /// it is made depends on time.
    async fn exec(
        &self,
        id: &str,
        exec: &Exec<'_>,
        input: Option<Box<dyn AsyncRead + Send + Unpin>>,
        output: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<Executed, EngineError> {
        let word = exec.command.first().cloned().unwrap_or_default();
        let verb = format!("exec {word} in");
        let mut fed = Vec::new();
        if let Some(mut input) = input {
            input.read_to_end(&mut fed).await.expect("input");
        }
        let run = |world: &mut World| {
            let name = world.find(id).map(|kept| kept.shown.name.clone());
            let said = world.exec(id, exec.command)?;
            world.fed.push(((name.unwrap_or_default(), word), fed));
            Ok(said)
        };
        let is_check = self.world().is_check(id, exec.command);
        let said = if is_check {
            self.read(&verb, |world| world.exec(id, exec.command))??
        } else {
            self.write(&verb, id, run)?
        };
        output.write_all(&said.stdout).await.expect("output");
        if said.hangs {
            std::future::pending::<()>().await;
        }
        Ok(Executed {
            code: said.code,
            errors: said.stderr,
        })
    }

    async fn talk(&self, id: &str, exec: &Exec<'_>, ends: Ends<'_>) -> Result<i64, EngineError> {
        let Ends { input, output, .. } = ends;
        Ok(self.exec(id, exec, Some(input), output).await?.code)
    }

    async fn restart_container(&self, id: &str) -> Result<(), EngineError> {
        self.write("restart_container", id, |world| world.restart(id))
    }

    async fn rename_container(&self, id: &str, name: &str) -> Result<(), EngineError> {
        self.write("rename_container", id, |world| world.rename(id, name))
    }

    async fn remove_container(&self, id: &str) -> Result<(), EngineError> {
        self.write("remove_container", id, |world| {
            world.remove(id);
            Ok(())
        })
    }

    async fn copy_into(
        &self,
        id: &str,
        files: &BTreeMap<String, CopiedFile>,
    ) -> Result<(), EngineError> {
        self.write("copy_into", id, |world| world.copy_into(id, files))
    }

    async fn connect(
        &self,
        container: &str,
        network: &str,
        place: &Endpoint,
    ) -> Result<(), EngineError> {
        self.write("connect", container, |world| {
            world.connect(container, network, place)
        })
    }

    async fn disconnect(&self, container: &str, network: &str) -> Result<(), EngineError> {
        self.write("disconnect", container, |world| {
            world.disconnect(container, network);
            Ok(())
        })
    }

    async fn create_network(&self, network: &Network) -> Result<(), EngineError> {
        self.write("create_network", &network.name, |world| {
            world::refuse(&api::too_old_for_network(network, world.api()))?;
            world.make_network(network)
        })
    }

    async fn remove_network(&self, id: &str) -> Result<(), EngineError> {
        let name = self.world().network_name(id);
        self.write("remove_network", &name, |world| world.remove_network(id))
    }

    async fn create_volume(&self, volume: &Volume) -> Result<(), EngineError> {
        self.write("create_volume", &volume.name, |world| {
            world.make_volume(volume)
        })
    }
}
