//! Looks at the host: one snapshot of everything that planning needs, always possibly stale.

mod front;
mod owned;
mod registry;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use futures_util::stream::{StreamExt, TryStreamExt};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::backup;
use crate::desired::backups::{Backup, BackupName};
use crate::desired::{DesiredState, Pull, Wanted};
use crate::engine::api::ApiVersion;
use crate::engine::model::{Container, ContainerSummary, Image, Network, Volume};
use crate::engine::{EngineError, ReadEngine};
use crate::files::{self, Mode};
use crate::maintenance::{self, Flag, MaintenanceError};
use crate::policy::{self, RealPaths};
use crate::source::{LARGEST_FILE, RepoPath};

pub use front::{Loaded, ObservedProxy, certificate};
pub use owned::{Found, Ownership, containers};
pub use registry::{Answer, Asked, ask_registries};

/// What was found on the host, as far as one stack is concerned.
#[derive(Clone, Serialize, Deserialize)]
pub struct ObservedState {
    /// The version of its API that the engine speaks.
    pub api: ApiVersion,
    /// Containers with the stack's label, ours or of another installation, and those that were
    /// adopted: these have our labels here, whatever the engine says.
    pub containers: Vec<Container>,
    /// Containers that Docker Compose made for a project of the stack's name, and nobody adopted.
    pub candidates: Vec<Container>,
    /// All other containers of the host.
    pub others: Vec<ContainerSummary>,
    /// Images by the reference that Git names.
    pub images: BTreeMap<String, ImageState>,
    /// All networks of the host by name.
    pub networks: BTreeMap<String, Network>,
    /// All volumes of the host by name.
    pub volumes: BTreeMap<String, Volume>,
    /// Files below the project directory that Git or the last release names, with the SHA-256 of
    /// their content; a file that is not there is left out.
    pub files: BTreeMap<RepoPath, String>,
    /// Files at fixed places of the host that Git or the last release names, with the SHA-256 of
    /// their content; a file that is not there is left out.
    pub host_placed: BTreeMap<PathBuf, String>,
    /// The proxy in front of the stack, if Git names one.
    pub proxy: Option<ObservedProxy>,
    /// The maintenance page's flag, if it is there.
    pub maintenance: Option<Flag>,
    /// Backups whose data is there, as far as that can be seen in the file system.
    pub sources: BTreeSet<BackupName>,
    /// When the newest of each backup with a schedule was taken; one that was never is left out.
    pub taken: BTreeMap<BackupName, Timestamp>,
    /// Images that are here, and of which no registry says whether there is another one by now;
    /// with what stands in the way.
    pub unanswered: BTreeMap<String, String>,
    /// Tags that nobody wants to be pulled again and that stand for another image by now, with its
    /// digest.
    #[serde(default)]
    pub moved_tags: BTreeMap<String, String>,
    /// What registries said this time, as far as a later pass wants to know it.
    pub asked: BTreeMap<String, Asked>,
    /// Where the places of the host lead that containers and volumes of Git mount, and that the
    /// manifest names.
    pub real: RealPaths,
}

impl ObservedState {
    /// Returns a host with nothing on it but an engine that speaks this version of the API.
    pub fn bare(api: ApiVersion) -> Self {
        Self {
            api,
            containers: Vec::new(),
            candidates: Vec::new(),
            others: Vec::new(),
            images: BTreeMap::new(),
            networks: BTreeMap::new(),
            volumes: BTreeMap::new(),
            files: BTreeMap::new(),
            host_placed: BTreeMap::new(),
            proxy: None,
            maintenance: None,
            sources: BTreeSet::new(),
            taken: BTreeMap::new(),
            unanswered: BTreeMap::new(),
            moved_tags: BTreeMap::new(),
            asked: BTreeMap::new(),
            real: RealPaths::default(),
        }
    }
}

/// Where an image is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImageState {
    /// On the host.
    Here(Box<Image>),
    /// At the registry, under this digest.
    Remote {
        /// `sha256:…`; empty where nobody has asked.
        digest: String,
    },
    /// On the host, and by now the registry has another one under this digest, which Git wants.
    Moved {
        /// `sha256:…`.
        digest: String,
    },
    /// Not on the host, and Git says that it is not pulled.
    NotPulled,
    /// The registry has none of this name.
    Missing {
        /// What it says.
        cause: String,
    },
    /// The registry does not let us have it.
    Denied {
        /// What it says.
        cause: String,
    },
    /// Nobody can say for now.
    Unknown {
        /// What stands in the way.
        cause: String,
    },
}

/// Why the host could not be observed.
#[derive(Debug, thiserror::Error)]
pub enum ObserveError {
    /// The engine can't be asked.
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// The maintenance flag can't be looked at.
    #[error("{0}")]
    Maintenance(#[from] MaintenanceError),
}

/// What is known from before of what there is on the host.
#[derive(Clone, Copy)]
pub struct Recorded<'a> {
    /// Files that the last release had placed below the project directory, with their digests;
    /// `None` = there is no release.
    pub files: Option<&'a BTreeMap<RepoPath, String>>,
    /// Those at fixed places of the host.
    pub host_placed: Option<&'a BTreeMap<PathBuf, String>>,
    /// Ids of containers that were adopted.
    pub adopted: &'a BTreeSet<String>,
}

/// How many questions are put to the engine at once: more than a few gain nothing on a small
/// host, see `docs/performance.md`.
const AT_ONCE: usize = 8;

/// Observes the host for `desired`.
///
/// `recorded` is what is known from before, `instance` is this installation.
///
/// # Errors
/// The engine can't be asked, or the maintenance flag can't be looked at.
pub async fn observe<'a>(
    engine: &dyn ReadEngine,
    desired: &'a DesiredState,
    recorded: Recorded<'a>,
    instance: &str,
) -> Result<ObservedState, ObserveError> {
    let whose = Ownership {
        instance,
        adopted: recorded.adopted,
    };
    let (api, found, networks, volumes) = tokio::try_join!(
        engine.api_version(),
        containers(engine, &desired.stack, whose),
        engine.networks(),
        engine.volumes()
    )?;
    let images = images(engine, desired).await?;
    let proxy = front::look(engine, desired, &found).await?;
    Ok(ObservedState {
        containers: found.containers,
        candidates: found.candidates,
        others: found.others,
        images,
        networks: networks
            .into_iter()
            .map(|network| (network.name.clone(), network))
            .collect(),
        volumes: volumes
            .into_iter()
            .map(|volume| (volume.name.clone(), volume))
            .collect(),
        files: placed(desired, recorded.files),
        host_placed: host_placed(desired, recorded.host_placed, proxy.as_ref()),
        real: RealPaths::of(real_places(desired, recorded, proxy.as_ref())),
        proxy,
        maintenance: flag(desired, instance)?,
        sources: sources(desired),
        taken: taken(desired, instance),
        ..ObservedState::bare(api)
    })
}

async fn images(
    engine: &dyn ReadEngine,
    desired: &DesiredState,
) -> Result<BTreeMap<String, ImageState>, EngineError> {
    let references: BTreeSet<&str> = desired
        .services
        .values()
        .map(|service| service.spec.image.as_str())
        .collect();
    futures_util::stream::iter(references)
        .map(|reference| async move {
            let state = match engine.image(reference).await? {
                Some(image) => ImageState::Here(Box::new(image)),
                None if is_never_pulled(desired, reference) => ImageState::NotPulled,
                None => at_registry(engine, reference).await?,
            };
            Ok((reference.to_owned(), state))
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

/// Returns whether every service with this image says so.
fn is_never_pulled(desired: &DesiredState, reference: &str) -> bool {
    let mut services = desired.services.values();
    services.all(|service| service.spec.image != reference || service.pull == Pull::Never)
}

async fn at_registry(engine: &dyn ReadEngine, reference: &str) -> Result<ImageState, EngineError> {
    // An image that runs and lost its tag is not here either: no container could be made from it.
    match engine.registry_digest(reference).await {
        Ok(digest) => Ok(ImageState::Remote { digest }),
        Err(EngineError::NotFound { cause, .. } | EngineError::Refused { cause, .. }) => {
            Ok(ImageState::Missing { cause })
        }
        Err(EngineError::Denied { cause, .. }) => Ok(ImageState::Denied { cause }),
        Err(
            EngineError::Registry { cause, .. }
            | EngineError::TooMany { cause, .. }
            | EngineError::Conflict { cause, .. },
        ) => Ok(ImageState::Unknown { cause }),
        Err(error @ EngineError::TimedOut { .. }) => Ok(ImageState::Unknown {
            cause: error.to_string(),
        }),
        Err(error @ EngineError::Unavailable { .. }) => Err(error),
    }
}

/// Returns the places of the host of which it matters where their links lead.
fn real_places<'a>(
    desired: &'a DesiredState,
    recorded: Recorded<'a>,
    proxy: Option<&'a ObservedProxy>,
) -> impl Iterator<Item = &'a str> {
    let named = desired.named.places.iter().map(|named| &named.path);
    let gone = recorded.host_placed.into_iter().flat_map(BTreeMap::keys);
    let configs = proxy.into_iter().flat_map(|proxy| proxy.places.values());
    let files = named.chain(gone).chain(configs);
    mounted(desired, proxy).chain(files.filter_map(|path| path.to_str()))
}

/// Returns the places of the host that are mounted as Git says it, and by the proxy: its
/// configuration is tested in a container like it.
fn mounted<'a>(
    desired: &'a DesiredState,
    proxy: Option<&'a ObservedProxy>,
) -> impl Iterator<Item = &'a str> {
    let live = proxy.and_then(|proxy| proxy.container.as_ref());
    let specs = desired.services.values().map(|service| &service.spec);
    let specs = specs.chain(live.map(|container| container.spec.as_ref()));
    let volumes = desired.volumes.values().filter_map(|wanted| match wanted {
        Wanted::Own(volume) => policy::device_of(volume),
        Wanted::External(_) => None,
    });
    specs.flat_map(policy::sources_of).chain(volumes)
}

fn flag(desired: &DesiredState, instance: &str) -> Result<Option<Flag>, ObserveError> {
    let Some(maintenance) = &desired.maintenance else {
        return Ok(None);
    };
    let path = maintenance.flag.clone();
    maintenance::observe(&maintenance.flag, instance)
        .map_err(|source| ObserveError::Maintenance(MaintenanceError::Look { path, source }))
}

fn sources(desired: &DesiredState) -> BTreeSet<BackupName> {
    let is_there = |backup: &Backup| backup.source.paths().iter().any(|path| path.exists());
    let there = desired.backups.iter().filter(|(_, one)| is_there(one));
    there.map(|(name, _)| name.clone()).collect()
}

fn taken(desired: &DesiredState, instance: &str) -> BTreeMap<BackupName, Timestamp> {
    let scheduled = desired
        .backups
        .iter()
        .filter(|(_, one)| one.schedule.is_some());
    scheduled
        .filter_map(|(name, one)| {
            // A directory that can't be read is told by the next backup.
            let found = backup::catalogue(&one.to, instance, &desired.stack, name).ok()?;
            Some((name.clone(), found.newest()?.manifest.taken_at))
        })
        .collect()
}

fn placed<'a>(
    desired: &'a DesiredState,
    released: Option<&'a BTreeMap<RepoPath, String>>,
) -> BTreeMap<RepoPath, String> {
    let released = released.into_iter().flat_map(BTreeMap::keys);
    let paths: BTreeSet<&RepoPath> = desired.files.keys().chain(released).collect();
    let digest = |path: &RepoPath| digest_of(&desired.project_directory.join(path.as_str()));
    paths
        .into_iter()
        .filter_map(|path| Some((path.clone(), digest(path)?)))
        .collect()
}

fn host_placed<'a>(
    desired: &'a DesiredState,
    released: Option<&'a BTreeMap<PathBuf, String>>,
    proxy: Option<&ObservedProxy>,
) -> BTreeMap<PathBuf, String> {
    let released = released.into_iter().flat_map(BTreeMap::keys);
    let configs = proxy.into_iter().flat_map(|proxy| proxy.places.values());
    let paths = desired.host_placed.keys().chain(released).chain(configs);
    let paths: BTreeSet<&PathBuf> = paths.collect();
    paths
        .into_iter()
        .filter_map(|path| Some((path.clone(), digest_of(path)?)))
        .collect()
}

/// Returns the digest of a file of the host, if there is one that can be read.
fn digest_of(path: &Path) -> Option<String> {
    let (file, about) = files::open_regular(path).ok()??;
    if about.len() > LARGEST_FILE {
        // No file of a repository is.
        return Some(format!("larger than {LARGEST_FILE} bytes"));
    }
    let mode = Mode::of(about.permissions().mode());
    let mut content = Vec::new();
    file.take(LARGEST_FILE).read_to_end(&mut content).ok()?;
    Some(files::digest(&content, mode))
}
