//! Containers in the namespaces of others: known by id, joined at the start.

use std::sync::Arc;

use moored::engine::EngineError;
use moored::engine::model::{Container, ContainerSpec};

use super::world::{Answer, World, is_running};

impl World {
    /// Returns what was asked for with ids in the place of names, as the engine keeps it.
    pub(super) fn with_ids(&self, doing: &str, asked: &ContainerSpec) -> Answer<ContainerSpec> {
        let mut spec = asked.clone();
        for space in spaces(&mut spec) {
            let Some(name) = space.strip_prefix("container:") else {
                continue;
            };
            let found = self.find(name).ok_or_else(|| EngineError::NotFound {
                doing: doing.to_owned(),
                cause: format!("No such container: {name}"),
            })?;
            *space = format!("container:{}", found.shown.id);
        }
        Ok(spec)
    }

    /// Returns a container with names in the place of ids, as our engine shows it.
    pub(super) fn with_names(&self, mut shown: Container) -> Container {
        for space in spaces(Arc::make_mut(&mut shown.spec)) {
            let id = space.strip_prefix("container:");
            if let Some(found) = id.and_then(|id| self.find(id)) {
                *space = format!("container:{}", found.shown.name);
            }
        }
        shown
    }

    /// Joins the others that a container is to join.
    pub(super) fn join(&mut self, doing: &str, container: &Container) -> Answer {
        let mut joined = Vec::new();
        for id in others(container) {
            let other = self.find(&id).filter(|one| is_running(&one.shown.state));
            let other = other.ok_or_else(|| EngineError::Conflict {
                doing: doing.to_owned(),
                cause: format!("cannot join network of a non running container: {id}"),
            })?;
            joined.push((id, other.shown.started_at.clone()));
        }
        self.joined.insert(container.id.clone(), joined);
        Ok(())
    }

    /// Returns the containers that run in a namespace which nobody else is in any more.
    pub(crate) fn left_alone(&self) -> Vec<String> {
        let running = self
            .containers
            .values()
            .filter(|one| is_running(&one.shown.state));
        let alone = running.filter(|one| {
            let joined = self.joined.get(&one.shown.id).into_iter().flatten();
            joined.into_iter().any(|(id, started_at)| {
                let other = self.find(id).map(|other| &other.shown.started_at);
                other != Some(started_at)
            })
        });
        alone.map(|one| one.shown.name.clone()).collect()
    }
}

fn others(container: &Container) -> Vec<String> {
    let mut spec = container.spec.clone();
    let spaces = spaces(Arc::make_mut(&mut spec));
    let ids = spaces
        .iter()
        .filter_map(|space| space.strip_prefix("container:"));
    ids.map(str::to_owned).collect()
}

fn spaces(spec: &mut ContainerSpec) -> [&mut String; 3] {
    let spaces = &mut spec.namespaces;
    [&mut spec.network_mode, &mut spaces.ipc, &mut spaces.pid]
}
