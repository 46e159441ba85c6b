//! Tests a proxy's configuration before anything is touched, and has it loaded: written, reloaded,
//! and proved by what the proxy answers. That a test and a reload succeed proves nothing: nginx
//! says so too where it goes on with the old configuration.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::sync::{MutexGuard, watch};
use url::Url;

use super::files::Guard;
use super::inside::exec;
use super::one_off::{self, OneOff, OneOffError};
use super::scene::Scene;
use super::{StepError, afresh, files};
use crate::desired::proxy::{MarkerAt, ProxyKind};
use crate::engine::WriteEngine;
use crate::engine::model::{ContainerSpec, MountSource};
use crate::files::Mode;
use crate::permits::Touch;
use crate::plan::{self, Placement, ProxyTest, Switch, TestPlace};
use crate::proxy::{self, HostProxy, ProxyError, Shape};

/// Bytes of a test's output that are read: the whole configuration stands there.
const LARGEST_DUMP: usize = 4 * 1024 * 1024;

/// Time for the proxy to answer with its new marker.
const PROVED_WITHIN: Duration = Duration::from_secs(15);

/// Time to see whether it has loaded its files all the same.
const GLANCE: Duration = Duration::from_secs(1);

/// What one directory or file of the host is to have: content by path below it, `None` = gone.
type Changes = BTreeMap<PathBuf, Option<(Vec<u8>, Mode)>>;

/// Tests a configuration where the proxy would read it, with nothing of that touched.
pub(super) async fn test(
    draft: &ProxyTest,
    scene: &Scene<'_>,
    given_up: watch::Receiver<bool>,
    tell: &(dyn Fn(String) + Send + Sync),
) -> Result<(), StepError> {
    let on_host = matches!(draft.place, TestPlace::Host);
    let _alone = alone(on_host, scene).await;
    let staging = scene.hands.staging_of(&scene.plan.stack);
    let guard = guard(on_host, scene)?;
    for (root, placements) in &draft.files {
        guard.pass(root, placements)?;
    }
    clear(&staging)?;
    make(&staging)?;
    refuse_links(draft)?;
    let tested = match &draft.place {
        TestPlace::Host => test_on_host(draft, &staging, scene).await,
        TestPlace::Containers { one_offs, live } => {
            let place = (one_offs.as_slice(), live.as_deref());
            test_in_containers(draft, place, &staging, scene, given_up, tell).await
        }
    };
    clear(&staging)?;
    let (before, after) = tested.map_err(|error| error.about_config(draft.kind, draft.pending))?;
    compare(draft, before.as_ref(), &after)
}

async fn test_in_containers(
    draft: &ProxyTest,
    (one_offs, live): (&[plan::OneOff], Option<&str>),
    staging: &Path,
    scene: &Scene<'_>,
    given_up: watch::Receiver<bool>,
    tell: &(dyn Fn(String) + Send + Sync),
) -> Result<(Option<Shape>, Shape), StepError> {
    let before = match live {
        Some(live) => shape_of(scene.hands.engine(), live, draft).await?,
        None => None,
    };
    let mut dump = Vec::new();
    for (index, one) in one_offs.iter().enumerate() {
        let mut spec = one.spec.clone();
        stage_mounts(&mut spec, draft, &staging.join(index.to_string()))?;
        let one = OneOff {
            name: &one.name,
            spec: &spec,
            within: one.within,
        };
        dump = run(&one, draft.kind, scene, given_up.clone(), tell).await?;
    }
    Ok((before, Shape::read(draft.kind, &dump)?))
}

/// Waits until no other stack works on the host's own proxy: two would take each other's half
/// loaded files, and each other's look at free addresses, for somebody else's.
async fn alone<'a>(on_host: bool, scene: &'a Scene<'_>) -> Option<MutexGuard<'a, ()>> {
    if on_host {
        Some(scene.hands.host_proxy.lock().await)
    } else {
        None
    }
}

/// Returns who is asked before a proxy's files are touched; the host's own acts on them as root,
/// and not every stack may have it do so.
fn guard<'a>(on_host: bool, scene: &'a Scene<'_>) -> Result<Guard<'a>, StepError> {
    if on_host {
        scene.hands.gate.host_proxy(scene.plan.stack.as_str())?;
    }
    Ok(scene.guard(if on_host {
        Touch::Configure
    } else {
        Touch::Write
    }))
}

/// A link is not written through, and would not be one any more if it were replaced.
fn refuse_links(draft: &ProxyTest) -> Result<(), StepError> {
    let files = draft.files.iter();
    let mut paths = files
        .flat_map(|(root, placements)| placements.iter().map(|one| root.join(one.path.as_str())));
    match paths.find(|path| path.is_symlink()) {
        None => Ok(()),
        Some(path) => Err(StepError::Config {
            proxy: draft.kind,
            why: format!(
                "{} is a link: name the file that it leads to, in moored.yaml",
                path.display()
            ),
            lasting: true,
        }),
    }
}

fn compare(draft: &ProxyTest, before: Option<&Shape>, after: &Shape) -> Result<(), StepError> {
    let refuse = |why: String| {
        Err(StepError::Config {
            proxy: draft.kind,
            why,
            lasting: true,
        })
    };
    if after.is_empty() {
        return refuse(
            "it would serve nothing: there is no server in it; is a directory of its includes \
             empty?"
                .to_owned(),
        );
    }
    if !draft.pending {
        // It was accepted before. What is there now is what somebody made of it by hand.
        return Ok(());
    }
    if let (TestPlace::Host, Some(before)) = (&draft.place, before) {
        let taken = before.taken_in(after);
        if !taken.is_empty() {
            return refuse(format!(
                "another program of this host has {}",
                taken.join(", ")
            ));
        }
    }
    let lost = before.map_or_else(Vec::new, |before| before.lost_in(after));
    if lost.is_empty() || draft.allow_shrink {
        return Ok(());
    }
    refuse(format!(
        "it would no longer serve {}\n  hint: if that is meant, say so in moored.yaml, for this \
         commit: proxy.{}.allow_shrink: true",
        lost.join(", "),
        draft.kind
    ))
}

async fn test_on_host(
    draft: &ProxyTest,
    staging: &Path,
    scene: &Scene<'_>,
) -> Result<(Option<Shape>, Shape), StepError> {
    let proxy = on_host(draft.kind, draft.main.as_ref());
    // A configuration that is broken already has no shape to lose.
    let before = proxy.dump().await.ok();
    let mut staged = BTreeMap::new();
    for (index, (root, placements)) in draft.files.iter().enumerate() {
        let to = staging.join(index.to_string());
        // Nothing can be put over a directory that is not there; an empty one harms nobody.
        make(root)?;
        match proxy::stage(root, &changes(placements, Path::new("")), &to) {
            // It is tested without what it hardly reads, as long as that is no part of it.
            Err(ProxyError::StageTooLarge { .. }) if !holds_configs(draft, root) => continue,
            staged => staged?,
        }
        staged.insert(root.clone(), to);
    }
    let after = proxy.test(&scene.hands.program, &staged).await?;
    Ok((before, after))
}

/// Returns the proxy of the host itself.
fn on_host(kind: ProxyKind, main: Option<&PathBuf>) -> HostProxy {
    HostProxy {
        kind,
        program: PathBuf::from(kind.program()),
        main: main.cloned(),
    }
}

/// Returns what is to become of files, by their path below `beneath`.
fn changes(placements: &[Placement], beneath: &Path) -> Changes {
    let change = |placement: &Placement| {
        let path = beneath.join(placement.path.as_str());
        let file = placement.file.as_ref();
        (path, file.map(|file| (file.content.clone(), file.mode)))
    };
    placements.iter().map(change).collect()
}

/// Returns whether a part of the proxy's configuration lies in or at a path of the host.
fn holds_configs(draft: &ProxyTest, path: &Path) -> bool {
    draft.configs.iter().any(|config| config.starts_with(path))
}

/// Puts copies in the place of everything that a container mounts and that is about to change.
fn stage_mounts(
    spec: &mut ContainerSpec,
    draft: &ProxyTest,
    staging: &Path,
) -> Result<(), StepError> {
    let all: Changes = draft
        .files
        .iter()
        .flat_map(|(root, placements)| changes(placements, root))
        .collect();
    make(staging)?;
    for (index, mount) in spec.mounts.values_mut().enumerate() {
        let MountSource::Bind { path, create } = &mut mount.source else {
            continue;
        };
        let below = all.iter().filter_map(|(file, change)| {
            let below = file.strip_prefix(&*path).ok()?;
            Some((below.to_owned(), change.clone()))
        });
        let below: Changes = below.collect();
        if below.is_empty() {
            continue;
        }
        let to = staging.join(index.to_string());
        match proxy::stage(Path::new(path), &below, &to) {
            Err(ProxyError::StageTooLarge { .. }) if !holds_configs(draft, Path::new(path)) => {
                continue;
            }
            staged => staged?,
        }
        (*path, *create) = (to.display().to_string(), false);
    }
    Ok(())
}

/// Runs one command of a test to its end and returns what it wrote.
async fn run(
    one: &OneOff<'_>,
    kind: ProxyKind,
    scene: &Scene<'_>,
    given_up: watch::Receiver<bool>,
    tell: &(dyn Fn(String) + Send + Sync),
) -> Result<Vec<u8>, StepError> {
    let engine = scene.hands.engine();
    let ended = one_off::run(engine, one, given_up, tell).await;
    let dump = match &ended {
        Ok(_) => engine.output(one.name, LARGEST_DUMP).await,
        Err(_) => Ok(String::new()),
    };
    let removed = one_off::remove(engine, one.name, one.spec).await;
    let refused = |complaint: String| ProxyError::Invalid { complaint };
    match ended {
        Ok(ended) if ended.code == 0 => {
            removed?;
            Ok(dump?.into_bytes())
        }
        Ok(ended) => Err(refused(proxy::complaint(kind, &ended.output)).into()),
        Err(OneOffError::GivenUp) => Err(StepError::GivenUp),
        Err(OneOffError::NotStarted(error) | OneOffError::Engine(error)) => Err(error.into()),
        Err(OneOffError::Deadline { within, .. }) => Err(StepError::Proxy(ProxyError::Timeout {
            command: one.name.to_owned(),
            within,
        })),
    }
}

/// Returns what the running container serves; `None` where that can't be told.
async fn shape_of(
    engine: &dyn WriteEngine,
    container: &str,
    draft: &ProxyTest,
) -> Result<Option<Shape>, StepError> {
    let program = draft.kind.program();
    let mut commands = proxy::test_commands(program, draft.kind, draft.main.as_deref());
    let Some(command) = commands.pop() else {
        return Ok(None);
    };
    let mut dump = Vec::new();
    match exec(engine, container, &command, &mut dump).await {
        Ok((0, _)) => Ok(Shape::read(draft.kind, &dump).ok()),
        Err(error) if error.is_loss_of_engine() => Err(error),
        Ok(_) | Err(_) => Ok(None),
    }
}

/// Puts a configuration in place, has it loaded, and proves that it is. Repeatable.
pub(super) async fn switch(
    draft: &Switch,
    scene: &Scene<'_>,
    tell: &(dyn Fn(String) + Send + Sync),
) -> Result<(), StepError> {
    let _alone = alone(draft.container.is_none(), scene).await;
    let store = scene.hands.configs_of(&scene.plan.stack);
    let guard = guard(draft.container.is_none(), scene)?;
    for (root, placements) in &draft.files {
        files::place(root, placements, &store, guard)?;
        // What is proved now is what is gone back to some day.
        files::keep_all(root, placements, &store, guard)?;
    }
    files::forget_others(draft.files.values().flatten(), &store);
    if draft.takes_out {
        return taken_out(draft, scene, tell).await;
    }
    if afresh::show_what_is_placed(draft, scene, tell).await? {
        // It has read them.
        let url = address(draft, scene).await?;
        return Ok(proxy::prove(&url, &draft.marker, PROVED_WITHIN, tell).await?);
    }
    load(draft, &draft.marker, scene, tell).await
}

/// Has a proxy load its files without those that were taken out, and proves that they are gone.
async fn taken_out(
    draft: &Switch,
    scene: &Scene<'_>,
    tell: &(dyn Fn(String) + Send + Sync),
) -> Result<(), StepError> {
    if !runs(draft, scene).await? {
        return Ok(());
    }
    match reload(draft, scene).await {
        // It reads them when somebody starts it.
        Err(StepError::Proxy(ProxyError::NotRunning { .. })) => return Ok(()),
        other => other?,
    }
    let url = address(draft, scene).await?;
    Ok(proxy::prove_gone(&url, &draft.marker, PROVED_WITHIN, tell).await?)
}

/// Puts the configuration of before back, has it loaded, and proves that it is. Repeatable.
///
/// A proxy that does not run reads it when it is started.
pub(super) async fn back(
    draft: &Switch,
    scene: &Scene<'_>,
    tell: &(dyn Fn(String) + Send + Sync),
) -> Result<(), StepError> {
    let _alone = alone(draft.container.is_none(), scene).await;
    let store = scene.hands.configs_of(&scene.plan.stack);
    let guard = guard(draft.container.is_none(), scene)?;
    for (root, placements) in &draft.files {
        files::put_back(root, placements, &store, guard)?;
    }
    if !runs(draft, scene).await? {
        return Ok(());
    }
    match &draft.before {
        Some(marker) => match load(draft, marker, scene, tell).await {
            Err(StepError::Proxy(error @ ProxyError::NotProved { .. })) => {
                start_afresh(draft, marker, error, scene, tell).await
            }
            // It reads them when somebody starts it.
            Err(StepError::Proxy(ProxyError::NotRunning { .. })) => Ok(()),
            other => other,
        },
        // What was there before Moored may not even be valid.
        None => match reload(draft, scene).await {
            Err(StepError::Proxy(_)) | Ok(()) => Ok(()),
            Err(error) => Err(error),
        },
    }
}

/// Has the proxy look addresses up again, if it runs. Repeatable.
pub(super) async fn look_up(draft: &Switch, scene: &Scene<'_>) -> Result<(), StepError> {
    if !runs(draft, scene).await? {
        return Ok(());
    }
    match reload(draft, scene).await {
        // It looks them up when it starts.
        Err(StepError::Proxy(ProxyError::NotRunning { .. })) => Ok(()),
        other => other,
    }
}

/// Returns whether the container of a proxy runs, if it has one.
async fn runs(draft: &Switch, scene: &Scene<'_>) -> Result<bool, StepError> {
    let Some(name) = &draft.container else {
        return Ok(true);
    };
    let container = scene.hands.engine().container(name).await?;
    Ok(container.is_some_and(|container| container.is_running()))
}

/// Ends what a Caddy of this stack has half loaded: after a reload that failed half way it answers
/// with two configurations in turn (<https://github.com/caddyserver/caddy/issues/7175>), until it
/// is restarted.
async fn start_afresh(
    draft: &Switch,
    marker: &str,
    error: ProxyError,
    scene: &Scene<'_>,
    tell: &(dyn Fn(String) + Send + Sync),
) -> Result<(), StepError> {
    let (ProxyKind::Caddy, Some(name)) = (draft.kind, &draft.container) else {
        return Err(error.into());
    };
    let Some(container) = scene.hands.engine().container(name).await? else {
        return Err(error.into());
    };
    afresh::restart(draft, scene, &container, error.to_string(), tell).await?;
    let url = address(draft, scene).await?;
    Ok(proxy::prove(&url, marker, PROVED_WITHIN, tell).await?)
}

async fn load(
    draft: &Switch,
    marker: &str,
    scene: &Scene<'_>,
    tell: &(dyn Fn(String) + Send + Sync),
) -> Result<(), StepError> {
    let reloaded = reload(draft, scene).await;
    let url = address(draft, scene).await?;
    match reloaded {
        Ok(()) => Ok(proxy::prove(&url, marker, PROVED_WITHIN, tell).await?),
        // One that was started just now can't be told yet, and has read its files.
        Err(error) => match proxy::prove(&url, marker, GLANCE, tell).await {
            Ok(()) => Ok(()),
            Err(_) => Err(error),
        },
    }
}

async fn reload(draft: &Switch, scene: &Scene<'_>) -> Result<(), StepError> {
    let Some(container) = &draft.container else {
        let proxy = on_host(draft.kind, draft.main.as_ref());
        return Ok(proxy.reload().await?);
    };
    let command = proxy::reload_command(draft.kind.program(), draft.kind, draft.main.as_deref());
    let engine = scene.hands.engine();
    let (code, errors) = exec(engine, container, &command, &mut Vec::new()).await?;
    if code == 0 {
        return Ok(());
    }
    let (kind, complaint) = (draft.kind, proxy::complaint(draft.kind, &errors));
    Err(StepError::Proxy(
        if proxy::says_not_running(kind, &errors) {
            ProxyError::NotRunning { kind, complaint }
        } else {
            ProxyError::Invalid { complaint }
        },
    ))
}

/// Returns where the proxy is asked now.
async fn address(draft: &Switch, scene: &Scene<'_>) -> Result<Url, StepError> {
    let (port, path) = match &draft.at {
        MarkerAt::Url(url) => return Ok(url.clone()),
        MarkerAt::Inside { port, path } => (port, path),
    };
    let name = draft.container.as_deref().unwrap_or_default();
    let container = scene.hands.engine().container(name).await?;
    let address = container.and_then(|one| one.addresses.into_values().next());
    let url = address.and_then(|ip| Url::parse(&format!("http://{ip}:{port}{path}")).ok());
    url.ok_or_else(|| StepError::Config {
        proxy: draft.kind,
        why: format!("its container {name} has no address to be asked at; does it run?"),
        lasting: true,
    })
}

fn make(directory: &Path) -> Result<(), StepError> {
    std::fs::create_dir_all(directory).map_err(|source| StepError::Place {
        path: directory.to_owned(),
        source,
    })
}

fn clear(staging: &Path) -> Result<(), StepError> {
    match std::fs::remove_dir_all(staging) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => Err(StepError::Place {
            path: staging.to_owned(),
            source,
        }),
        Ok(()) | Err(_) => Ok(()),
    }
}
