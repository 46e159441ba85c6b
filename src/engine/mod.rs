//! Talks to the container engine through a narrow seam in our own words.
//!
//! The seam has two halves. [`ReadEngine`] can't change anything: drift, plan and status hold
//! nothing else. [`WriteEngine`] adds the calls with an effect; only the executor holds it.
//! [`docker::Docker`] is the one implementation that ships, and the only place that knows the
//! client library.

pub mod api;
pub mod cached;
pub mod docker;
pub mod model;
pub mod reference;

use std::collections::BTreeMap;
use std::pin::Pin;
use std::time::Duration;

use api::ApiVersion;
use async_trait::async_trait;
use futures_util::Stream;
use model::{
    Container, ContainerSpec, ContainerSummary, CopiedFile, Endpoint, Ends, EngineInfo, Exec,
    Executed, Image, LogPiece, LogWish, Network, PullProgress, Volume,
};
use tokio::io::{AsyncRead, AsyncWrite};

/// Why a call to the engine failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The engine can't be reached, or the connection broke before the answer: whether the call
    /// had its effect is unknown.
    #[error("the engine at {endpoint} can't be reached while trying to {doing}: {cause}")]
    Unavailable {
        /// Where we tried.
        endpoint: String,
        /// What was being attempted: `start container web`.
        doing: String,
        /// The library's message.
        cause: String,
    },
    /// What was asked for does not exist.
    #[error("failed to {doing}: {cause}")]
    NotFound {
        /// What was being attempted.
        doing: String,
        /// The engine's message.
        cause: String,
    },
    /// The engine refuses because something is in the way (a name or a port is taken, a removal
    /// is under way).
    #[error("failed to {doing}: {cause}")]
    Conflict {
        /// What was being attempted.
        doing: String,
        /// The engine's message.
        cause: String,
    },
    /// A registry could not be asked, or refused for now; trying later may help.
    #[error("failed to {doing}: {cause}")]
    Registry {
        /// What was being attempted.
        doing: String,
        /// The engine's message.
        cause: String,
    },
    /// A registry does not let us have it: the login is missing, wrong, or not enough.
    #[error("failed to {doing}: {cause}")]
    Denied {
        /// What was being attempted.
        doing: String,
        /// The engine's message, and with which login the registry was asked.
        cause: String,
    },
    /// A registry was asked too often, and is left in peace for some time.
    #[error("failed to {doing}: {cause}")]
    TooMany {
        /// What was being attempted.
        doing: String,
        /// The engine's message, and for how long the registry is not asked.
        cause: String,
        /// How long it is not asked again.
        again: Duration,
    },
    /// The engine answered with another error.
    #[error("failed to {doing}: {cause}")]
    Refused {
        /// What was being attempted.
        doing: String,
        /// The engine's message.
        cause: String,
    },
    /// No answer within the time that the call may take.
    #[error("failed to {doing}: no answer within {} s", limit.as_secs())]
    TimedOut {
        /// What was being attempted.
        doing: String,
        /// The time it had.
        limit: Duration,
    },
}

/// The half of the engine that changes nothing.
#[async_trait]
pub trait ReadEngine: Send + Sync {
    /// Returns who the engine is.
    async fn info(&self) -> Result<EngineInfo, EngineError>;

    /// Returns the version of its API that both sides speak. Asked once a connection.
    async fn api_version(&self) -> Result<ApiVersion, EngineError>;

    /// Lists all containers of the host, stopped ones too, ours or not.
    async fn containers(&self) -> Result<Vec<ContainerSummary>, EngineError>;

    /// Shows one container; `None` when it does not exist (any more).
    async fn container(&self, id: &str) -> Result<Option<Container>, EngineError>;

    /// Shows an image that is on the host, by reference or id; `None` when it is not here.
    async fn image(&self, reference: &str) -> Result<Option<Image>, EngineError>;

    /// Asks the registry which digest (`sha256:…`) a reference stands for now.
    ///
    /// [`EngineError::NotFound`] means that the registry answered and has no such image;
    /// [`EngineError::Denied`] that it does not say without another login,
    /// [`EngineError::TooMany`] that it is left in peace for now, [`EngineError::Registry`] that
    /// it could not be asked, or that how to log in there is not known.
    async fn registry_digest(&self, reference: &str) -> Result<String, EngineError>;

    /// Returns the end of what a container wrote to both its streams, in the order in which the
    /// engine got it: at most so many bytes, whole lines where one of them fits.
    ///
    /// However much it wrote, little of it is read. Not every logging driver can be read, which
    /// is [`EngineError::Refused`].
    async fn output(&self, id: &str, at_most_bytes: usize) -> Result<String, EngineError>;

    /// Returns what a container has written, oldest first, and where that is wished what it writes
    /// from now on. The stream ends with the log, or when the container stops.
    ///
    /// Nothing of it is gathered. Not every logging driver can be read, which is
    /// [`EngineError::Refused`], here or in the stream.
    async fn logs(&self, id: &str, wish: LogWish) -> Result<Logs, EngineError>;

    /// Returns the content of one file as the container sees it, running or not; `None` when
    /// there is no such file or no such container. `path` is absolute, and links on the way are
    /// followed inside the container.
    ///
    /// A directory, or more than so many bytes, is [`EngineError::Refused`].
    async fn read_file(
        &self,
        id: &str,
        path: &str,
        at_most_bytes: usize,
    ) -> Result<Option<Vec<u8>>, EngineError>;

    /// Lists all networks of the host.
    async fn networks(&self) -> Result<Vec<Network>, EngineError>;

    /// Lists all volumes of the host.
    async fn volumes(&self) -> Result<Vec<Volume>, EngineError>;

    /// Tells what changes on the engine from now on. The stream ends with the connection.
    async fn changes(&self) -> Result<Changes, EngineError>;
}

/// What changes on an engine, as it happens.
pub type Changes = Pin<Box<dyn Stream<Item = Change> + Send>>;

/// What a container has written, as it is read.
pub type Logs = Pin<Box<dyn Stream<Item = Result<LogPiece, EngineError>> + Send>>;

/// Something that may now be otherwise than it was last shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// A container, by its full id.
    Container(String),
    /// Networks, and the place of a container in one.
    Network {
        /// Full id of the container that was connected or disconnected.
        container: Option<String>,
    },
    /// Volumes.
    Volume,
    /// Images, or what their names stand for.
    Image,
    /// What is there may differ from what Git wants: beside the change itself it is told that a
    /// look is worth while. Never told of what a look does.
    Drift(Origin),
}

/// Where drift may be.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// In a container of this Compose project.
    Project(String),
    /// In a network, by its name.
    Network(String),
    /// In a volume, by its name.
    Volume(String),
}

/// The half of the engine with effects. Every call can be repeated without harm where its
/// comment says so.
#[async_trait]
pub trait WriteEngine: ReadEngine {
    /// Pulls `repository@digest` and gives it the tag of `reference`. Repeatable.
    async fn pull(
        &self,
        reference: &str,
        digest: &str,
        progress: &(dyn Fn(PullProgress) + Send + Sync),
    ) -> Result<(), EngineError>;

    /// Makes a container and connects it to its networks without starting it; returns its id.
    ///
    /// The name being taken is [`EngineError::Conflict`].
    async fn create_container(
        &self,
        name: &str,
        spec: &ContainerSpec,
    ) -> Result<String, EngineError>;

    /// Starts a container. Repeatable: a running one is success.
    async fn start_container(&self, id: &str) -> Result<(), EngineError>;

    /// Stops a container, killing it after its own stop timeout. Repeatable: a stopped or
    /// missing one is success.
    async fn stop_container(&self, id: &str) -> Result<(), EngineError>;

    /// Kills a container and waits for its end. Repeatable: a stopped or missing one is success.
    async fn kill_container(&self, id: &str) -> Result<(), EngineError>;

    /// Sends a signal such as `SIGHUP` to a container's first process and does not wait for what
    /// comes of it. A container that does not run is [`EngineError::Conflict`].
    async fn signal_container(&self, id: &str, signal: &str) -> Result<(), EngineError>;

    /// Runs a command in a running container until it ends: `input` goes to its standard input,
    /// which is closed at the end of `input`, and its standard output goes to `output`. Both are
    /// streamed, with memory for a few MiB.
    ///
    /// There is no deadline: the caller has it. Dropping the future closes the connection and
    /// does not end the process; a program that still reads sees the end of its input there,
    /// and can't tell it from the real one.
    ///
    /// A connection that breaks before the exit code is known is [`EngineError::Unavailable`],
    /// and so is a command that says success though it can't have seen all of `input`. An
    /// `input` or `output` that fails, and a program that can't be run, are
    /// [`EngineError::Refused`]; a container that does not run is [`EngineError::Conflict`].
    async fn exec(
        &self,
        id: &str,
        exec: &Exec<'_>,
        input: Option<Box<dyn AsyncRead + Send + Unpin>>,
        output: &mut (dyn AsyncWrite + Send + Unpin),
    ) -> Result<Executed, EngineError>;

    /// Runs a command in a running container for a person, to its end; returns its exit code.
    ///
    /// Like [`WriteEngine::exec`], but that what the command writes is passed on as it comes, and
    /// that it need not read all of its input.
    async fn talk(&self, id: &str, exec: &Exec<'_>, ends: Ends<'_>) -> Result<i64, EngineError>;

    /// Writes files into a container, running or not, by their path in it; directories that are
    /// missing on the way are made. Repeatable: what is there is overwritten.
    ///
    /// A container with a read-only root file system is [`EngineError::Refused`], also where a
    /// volume is mounted at the place.
    async fn copy_into(
        &self,
        id: &str,
        files: &BTreeMap<String, CopiedFile>,
    ) -> Result<(), EngineError>;

    /// Restarts a container, with its own stop timeout.
    async fn restart_container(&self, id: &str) -> Result<(), EngineError>;

    /// Gives a container another name.
    async fn rename_container(&self, id: &str, name: &str) -> Result<(), EngineError>;

    /// Removes a container, killing it if it runs, and keeping all its volumes. Repeatable: a
    /// missing one is success, and one that is being removed is waited for.
    async fn remove_container(&self, id: &str) -> Result<(), EngineError>;

    /// Connects a container to a network, where it gets this place. Repeatable: being there
    /// already under these aliases is success.
    async fn connect(
        &self,
        container: &str,
        network: &str,
        place: &Endpoint,
    ) -> Result<(), EngineError>;

    /// Disconnects a container from a network. Repeatable.
    async fn disconnect(&self, container: &str, network: &str) -> Result<(), EngineError>;

    /// Makes a network. Repeatable: one of this name with the same labels is success.
    async fn create_network(&self, network: &Network) -> Result<(), EngineError>;

    /// Removes a network by its id. Repeatable: a missing one is success. One that a running
    /// container is in is [`EngineError::Conflict`] or [`EngineError::Refused`].
    async fn remove_network(&self, id: &str) -> Result<(), EngineError>;

    /// Makes a volume. Repeatable.
    async fn create_volume(&self, volume: &Volume) -> Result<(), EngineError>;
}
