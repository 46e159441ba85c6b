//! Makes ids of the names of other containers whose namespaces or volumes a container has, and
//! names of the ids.
//!
//! The engine takes both, and keeps what it was given. As Compose does, we give it the id: once
//! the other container has been made anew, the id is nobody's, so that the one that shares its
//! network is seen to be in the network of a container that is gone, and not in the new one's.

use std::borrow::Cow;
use std::collections::BTreeMap;

use bollard::query_parameters::InspectContainerOptions;

use super::connection::{self, CALL_LIMIT, Docker};
use super::read::{present, short};
use crate::engine::EngineError;
use crate::engine::model::{ContainerSpec, joined, joining};

impl Docker {
    /// Returns a spec with the ids of other containers in the place of their names.
    pub(super) async fn with_ids<'a>(
        &self,
        doing: &str,
        spec: &'a ContainerSpec,
    ) -> Result<Cow<'a, ContainerSpec>, EngineError> {
        let names = neighbours(spec);
        if names.is_empty() {
            return Ok(Cow::Borrowed(spec));
        }
        let mut ids = BTreeMap::new();
        for name in names {
            let Some((id, _)) = self.identity(doing, &name).await? else {
                return Err(EngineError::NotFound {
                    doing: doing.to_owned(),
                    cause: format!(
                        "there is no container {}, whose namespace or volumes it is to share",
                        short(&name)
                    ),
                });
            };
            ids.insert(name, id);
        }
        let mut spec = spec.clone();
        rename(&mut spec, &ids);
        Ok(Cow::Owned(spec))
    }

    /// Puts names in the place of the ids of other containers; the id of one that is gone stays.
    pub(super) async fn name_neighbours(
        &self,
        doing: &str,
        spec: &mut ContainerSpec,
    ) -> Result<(), EngineError> {
        let mut names = BTreeMap::new();
        for id in neighbours(spec) {
            // A name was given as a name.
            if short(&id) == id {
                continue;
            }
            if let Some((_, name)) = self.identity(doing, &id).await? {
                names.insert(id, name);
            }
        }
        rename(spec, &names);
        Ok(())
    }

    /// Returns id and name of a container.
    async fn identity(
        &self,
        doing: &str,
        id_or_name: &str,
    ) -> Result<Option<(String, String)>, EngineError> {
        let client = self.client(doing).await?;
        let path = connection::in_path(doing, id_or_name)?;
        let request = client.inspect_container(path, None::<InspectContainerOptions>);
        let found = present(self.call(doing, CALL_LIMIT, request).await)?;
        Ok(found.map(|found| {
            let name = found.name.unwrap_or_default();
            let name = name.trim_start_matches('/').to_owned();
            (found.id.unwrap_or_default(), name)
        }))
    }
}

/// Returns the other containers of a spec, by what it calls them.
fn neighbours(spec: &ContainerSpec) -> Vec<String> {
    let others = spec.joins().chain(spec.has_volumes_of());
    let mut all: Vec<String> = others.map(str::to_owned).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn rename(spec: &mut ContainerSpec, calls: &BTreeMap<String, String>) {
    let spaces = &mut spec.namespaces;
    for space in [&mut spec.network_mode, &mut spaces.ipc, &mut spaces.pid] {
        if let Some(known) = joined(space).and_then(|name| calls.get(name)) {
            *space = joining(known);
        }
    }
    let renamed = spec.volumes_from.iter().map(|from| {
        let (name, mode) = split(from);
        format!("{}{mode}", calls.get(name).map_or(name, String::as_str))
    });
    spec.volumes_from = renamed.collect();
}

/// Splits `NAME:ro` into the name and the rest, which may be empty.
fn split(from: &str) -> (&str, &str) {
    from.find(':').map_or((from, ""), |at| from.split_at(at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::model::Namespaces;

    #[test]
    fn every_neighbour_is_renamed_in_its_place() {
        let mut spec = ContainerSpec {
            network_mode: "container:net".to_owned(),
            namespaces: Namespaces {
                ipc: "container:net".to_owned(),
                pid: "host".to_owned(),
                ..Namespaces::default()
            },
            volumes_from: ["data:ro".to_owned(), "more".to_owned()].into(),
            ..ContainerSpec::default()
        };
        assert_eq!(neighbours(&spec), ["data", "more", "net"]);
        let calls = [("net", "1"), ("data", "2")];
        let calls = calls.map(|(name, id)| (name.to_owned(), id.to_owned()));
        rename(&mut spec, &calls.into());
        assert_eq!(spec.network_mode, "container:1");
        assert_eq!(spec.namespaces.ipc, "container:1");
        assert_eq!(spec.namespaces.pid, "host");
        let volumes: Vec<&String> = spec.volumes_from.iter().collect();
        assert_eq!(volumes, ["2:ro", "more"]);
    }
}
