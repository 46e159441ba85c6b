//! Restarts the container of a proxy where a reload can't do: it would go on with what it has.

use std::path::{Path, PathBuf};

use super::StepError;
use super::around::around_of;
use super::scene::Scene;
use crate::engine::EngineError;
use crate::engine::model::{Container, ContainerSpec, MountSource};
use crate::labels;
use crate::plan::Switch;

/// Larger than any configuration.
const LARGEST_FILE: usize = 4 * 1024 * 1024;

/// Restarts the container of a proxy that does not see the files that were placed just now; returns
/// whether it was.
///
/// A mount goes on with the file or directory that was there when the container was started, also
/// when another one has taken its place on the host since: an editor saves so, and `git checkout`.
/// As long as both have the same content, nothing tells.
pub(super) async fn show_what_is_placed(
    draft: &Switch,
    scene: &Scene<'_>,
    tell: &(dyn Fn(String) + Send + Sync),
) -> Result<bool, StepError> {
    let Some(name) = &draft.container else {
        return Ok(false);
    };
    let engine = scene.hands.engine();
    let container = engine.container(name).await?;
    let Some(container) = container.filter(Container::is_running) else {
        return Ok(false);
    };
    let Some(path) = unseen(draft, scene, &container).await? else {
        return Ok(false);
    };
    let what = format!(
        "{} was replaced on the host since {name} started",
        path.display()
    );
    restart(draft, scene, &container, what, tell).await?;
    Ok(true)
}

/// Restarts the container of a proxy if it is one of this stack; somebody else's is named.
pub(super) async fn restart(
    draft: &Switch,
    scene: &Scene<'_>,
    container: &Container,
    why: String,
    tell: &(dyn Fn(String) + Send + Sync),
) -> Result<(), StepError> {
    let of = container.spec.labels.get(labels::PROJECT);
    if of.is_none_or(|of| of != scene.plan.stack.as_str()) {
        return Err(StepError::Config {
            proxy: draft.kind,
            why: format!("{why}; restart it: docker restart {}", container.name),
            lasting: true,
        });
    }
    tell(format!("{why}; it is restarted"));
    let engine = scene.hands.engine();
    match around_of(container, scene) {
        Some(whose) => whose.restart(engine, &container.id).await,
        None => Ok(engine.restart_container(&container.id).await?),
    }
}

/// Returns the first file of which the container sees another one.
async fn unseen(
    draft: &Switch,
    scene: &Scene<'_>,
    container: &Container,
) -> Result<Option<PathBuf>, EngineError> {
    let engine = scene.hands.engine();
    for (root, placements) in &draft.files {
        for placement in placements {
            let path = root.join(placement.path.as_str());
            let (Some(file), Some(inside)) = (&placement.file, inside(&container.spec, &path))
            else {
                continue;
            };
            let inside = inside.display().to_string();
            let seen = engine.read_file(&container.id, &inside, LARGEST_FILE).await;
            match seen {
                Ok(Some(seen)) if seen == file.content => {}
                Ok(_) => return Ok(Some(path)),
                Err(error @ EngineError::Unavailable { .. }) => return Err(error),
                // The proof will tell.
                Err(_) => {}
            }
        }
    }
    Ok(None)
}

/// Returns where a container sees a file of the host, if a mount leads there and no other mount is
/// over it.
fn inside(spec: &ContainerSpec, path: &Path) -> Option<PathBuf> {
    let mounts = || spec.mounts.iter();
    let places = mounts().filter_map(|(target, mount)| {
        let MountSource::Bind { path: source, .. } = &mount.source else {
            return None;
        };
        let below = path.strip_prefix(source).ok()?;
        let target = Path::new(target);
        let inside = if below.as_os_str().is_empty() {
            target.to_owned()
        } else {
            target.join(below)
        };
        Some((target, inside))
    });
    let mut shown = places.filter(|(target, inside)| {
        let over = mounts().map(|(other, _)| Path::new(other));
        let mut over = over.filter(|other| inside.starts_with(other));
        !over.any(|other| other.starts_with(target) && other != *target)
    });
    shown.next().map(|(_, inside)| inside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::model::{LongMount, Mount};

    fn seen(mounts: &[(&str, &str)], path: &str) -> Option<String> {
        let mut spec = ContainerSpec::default();
        for (source, target) in mounts {
            let mount = Mount {
                source: MountSource::Bind {
                    path: (*source).to_owned(),
                    create: false,
                },
                read_only: false,
                options: Vec::new(),
                long: LongMount::default(),
            };
            spec.mounts.insert((*target).to_owned(), mount);
        }
        inside(&spec, Path::new(path)).map(|path| path.display().to_string())
    }

    #[test]
    fn a_file_of_the_host_is_seen_where_its_mount_leads() {
        let file = [("/p/site.conf", "/etc/nginx/conf.d/site.conf")];
        assert_eq!(
            seen(&file, "/p/site.conf").as_deref(),
            Some("/etc/nginx/conf.d/site.conf")
        );
        let dir = [("/p", "/etc/nginx")];
        assert_eq!(
            seen(&dir, "/p/conf.d/a").as_deref(),
            Some("/etc/nginx/conf.d/a")
        );
        assert_eq!(seen(&dir, "/elsewhere/a"), None);
        let covered = [("/p", "/etc/nginx"), ("/q", "/etc/nginx/conf.d")];
        assert_eq!(
            seen(&covered, "/p/conf.d/a"),
            None,
            "the other mount is over it"
        );
        assert_eq!(seen(&covered, "/p/b").as_deref(), Some("/etc/nginx/b"));
    }
}
