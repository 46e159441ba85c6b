//! Looks at the proxy in front of a stack: what it has loaded, what it sees of its files, and
//! which certificates are there.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use url::Url;

use super::{AT_ONCE, Found, digest_of};
use crate::desired::DesiredState;
use crate::desired::proxy::{DesiredProxy, MarkerAt, ProxyPlace};
use crate::engine::model::{Container, MountSource};
use crate::engine::{EngineError, ReadEngine};
use crate::files::{Mode, digest};
use crate::proxy;
use futures_util::stream::{StreamExt, TryStreamExt};

/// What was found of the proxy in front of a stack.
#[derive(Clone, Default, Serialize, Deserialize)]
pub struct ObservedProxy {
    /// Which configuration it says that it has loaded.
    pub loaded: Loaded,
    /// The container that it runs in, if it does.
    pub container: Option<Container>,
    /// Where each of its configuration files lies on the host, by where the proxy reads it; one
    /// that no mount leads to is left out.
    pub places: BTreeMap<PathBuf, PathBuf>,
    /// Digests of its configuration files as its container sees them, by where it reads them; one
    /// that is not there is left out.
    pub seen: BTreeMap<PathBuf, String>,
    /// Digests of the certificates and keys that its configuration names, by where it reads them;
    /// one that is not there is left out.
    pub certificates: BTreeMap<PathBuf, String>,
}

/// Which configuration a proxy says that it has loaded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loaded {
    /// Nobody was there to be asked.
    #[default]
    Unasked,
    /// This one.
    Marker(String),
    /// It gave no marker.
    No {
        /// What came instead.
        cause: String,
    },
}

/// Time for one answer. Every pass asks.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// Larger than any configuration or certificate.
const LARGEST_FILE: usize = 4 * 1024 * 1024;

/// Looks at the proxy of a stack, if it has one; `of_stack` are its containers.
pub(super) async fn look(
    engine: &dyn ReadEngine,
    desired: &DesiredState,
    of_stack: &Found,
) -> Result<Option<ObservedProxy>, EngineError> {
    let Some(front) = &desired.proxy else {
        return Ok(None);
    };
    let container = match &front.proxy.place {
        ProxyPlace::Host => None,
        ProxyPlace::Service(service) => {
            let wanted = desired.services.get(service);
            let default = crate::desired::default_container_name(&desired.stack, service);
            let own = wanted.and_then(|wanted| wanted.container_name.as_ref());
            let name = own.unwrap_or(&default);
            let mut theirs = of_stack.containers.iter().chain(&of_stack.candidates);
            theirs.find(|one| one.name == *name).cloned()
        }
        ProxyPlace::Container(name) => engine.container(name).await?,
    };
    let mut found = ObservedProxy {
        places: places(front, desired, container.as_ref()),
        ..ObservedProxy::default()
    };
    let runs = container.as_ref().is_none_or(Container::is_running);
    if let Some(url) = address(front, container.as_ref()).filter(|_| runs) {
        found.loaded = match proxy::loaded(&url, ANSWER_WITHIN).await {
            Ok(marker) => Loaded::Marker(marker),
            Err(failure) => Loaded::No {
                cause: format!("GET {url}: {failure}"),
            },
        };
    }
    if let (ProxyPlace::Container(name), Some(container), false) =
        (&front.proxy.place, &container, runs)
    {
        found.loaded = Loaded::No {
            cause: format!("its container {name} is {}", container.state),
        };
    }
    if let Some(container) = container.as_ref().filter(|_| runs) {
        found.seen = seen(engine, front, container).await?;
    }
    found.certificates = certificates(engine, front, container.as_ref()).await?;
    found.container = container;
    Ok(Some(found))
}

/// Returns where a proxy is asked, as long as somebody is there.
fn address(front: &DesiredProxy, container: Option<&Container>) -> Option<Url> {
    let spec = container.map(|container| container.spec.as_ref());
    match front.proxy.marker_at(spec) {
        MarkerAt::Url(url) => Some(url),
        MarkerAt::Inside { port, path } => {
            let address = container?.addresses.values().next()?;
            Url::parse(&format!("http://{address}:{port}{path}")).ok()
        }
    }
}

fn places(
    front: &DesiredProxy,
    desired: &DesiredState,
    container: Option<&Container>,
) -> BTreeMap<PathBuf, PathBuf> {
    let place = |(path, config): (&PathBuf, &crate::desired::proxy::ProxyConfig)| {
        let on_host = match &front.proxy.place {
            ProxyPlace::Host => Some(path.clone()),
            ProxyPlace::Service(_) => {
                let below = config.project_path.as_ref()?;
                Some(desired.project_directory.join(below.as_str()))
            }
            ProxyPlace::Container(_) => on_host(container?, path),
        };
        Some((path.clone(), on_host?))
    };
    front.configs.iter().filter_map(place).collect()
}

/// Returns where a path inside a container lies on the host, if a mount leads there.
fn on_host(container: &Container, inside: &Path) -> Option<PathBuf> {
    let mounts = container.spec.mounts.iter();
    let covering = mounts.filter(|(target, _)| inside.starts_with(target));
    let (target, mount) = covering.max_by_key(|(target, _)| target.len())?;
    let MountSource::Bind { path, .. } = &mount.source else {
        return None;
    };
    let below = inside.strip_prefix(target).ok()?;
    Some(if below.as_os_str().is_empty() {
        PathBuf::from(path)
    } else {
        Path::new(path).join(below)
    })
}

async fn seen(
    engine: &dyn ReadEngine,
    front: &DesiredProxy,
    container: &Container,
) -> Result<BTreeMap<PathBuf, String>, EngineError> {
    futures_util::stream::iter(&front.configs)
        .map(|(path, config)| async move {
            let content = read_inside(engine, &container.id, path).await?;
            Ok(content.map(|content| (path.clone(), digest(&content, config.mode))))
        })
        .buffer_unordered(AT_ONCE)
        .try_filter_map(|found| async move { Ok(found) })
        .try_collect()
        .await
}

/// Reads a file as a container sees it. One that can't be read is as good as not there: the proxy
/// can't read it either.
async fn read_inside(
    engine: &dyn ReadEngine,
    container: &str,
    path: &Path,
) -> Result<Option<Vec<u8>>, EngineError> {
    let path = path.display().to_string();
    match engine.read_file(container, &path, LARGEST_FILE).await {
        Ok(content) => Ok(content),
        Err(error @ EngineError::Unavailable { .. }) => Err(error),
        Err(
            EngineError::NotFound { .. }
            | EngineError::Conflict { .. }
            | EngineError::Registry { .. }
            | EngineError::Denied { .. }
            | EngineError::TooMany { .. }
            | EngineError::Refused { .. }
            | EngineError::TimedOut { .. },
        ) => Ok(None),
    }
}

/// Returns the digest of a certificate or key as a container sees it, or of one of the host.
///
/// # Errors
/// The engine can't be asked.
pub async fn certificate(
    engine: &dyn ReadEngine,
    container: Option<&str>,
    path: &Path,
) -> Result<Option<String>, EngineError> {
    let Some(container) = container else {
        return Ok(digest_of(path));
    };
    let content = read_inside(engine, container, path).await?;
    Ok(content.map(|content| digest(&content, Mode::Plain)))
}

async fn certificates(
    engine: &dyn ReadEngine,
    front: &DesiredProxy,
    container: Option<&Container>,
) -> Result<BTreeMap<PathBuf, String>, EngineError> {
    let kind = front.proxy.kind;
    let texts = front.configs.values().map(|config| &config.template.text);
    let named: BTreeSet<PathBuf> = texts
        .flat_map(|text| proxy::certificates(kind, text))
        .collect();
    let mut found = BTreeMap::new();
    for path in named {
        let digest = match (&front.proxy.place, container) {
            (ProxyPlace::Host, _) => certificate(engine, None, &path).await?,
            (ProxyPlace::Service(_) | ProxyPlace::Container(_), Some(container)) => {
                certificate(engine, Some(&container.id), &path).await?
            }
            (ProxyPlace::Service(_) | ProxyPlace::Container(_), None) => None,
        };
        found.extend(digest.map(|digest| (path, digest)));
    }
    Ok(found)
}
