//! Makes networks and moves containers in and out of them, where the engine's answers need
//! reading: it allows two networks of one name, and says "already so" in several ways.

use std::collections::HashMap;

use bollard::models::{NetworkConnectRequest, NetworkDisconnectRequest};
use bollard::query_parameters::ListNetworksOptionsBuilder;

use super::connection::{self, CALL_LIMIT, Docker};
use super::read::short;
use super::write::refuse_too_old;
use super::{error, from_engine, to_engine};
use crate::engine::api;
use crate::engine::model::{Endpoint, Network};
use crate::engine::{EngineError, ReadEngine as _};

impl Docker {
    /// Connects a container, shown as `name` in errors. Already being there under these aliases
    /// is success.
    pub(super) async fn join(
        &self,
        container: &str,
        name: &str,
        network: &str,
        place: &Endpoint,
    ) -> Result<(), EngineError> {
        let doing = format!("connect container {name} to network {network}");
        let client = self.client(&doing).await?;
        let path = connection::in_path(&doing, network)?;
        let body = NetworkConnectRequest {
            container: container.to_owned(),
            endpoint_config: Some(to_engine::endpoint(place, connection::api_version(&client))),
        };
        let answer = self
            .call(&doing, CALL_LIMIT, client.connect_network(path, body))
            .await;
        match answer {
            Err(failure) if error::says_already_connected(&failure) => {
                let live = self.container(container).await?;
                let endpoint = live
                    .as_ref()
                    .and_then(|live| live.spec.networks.get(network));
                // Without its place in our view it is in a built-in network, where nobody has
                // aliases.
                let known = endpoint.map(|endpoint| &endpoint.aliases);
                if known.is_none_or(|known| place.aliases.is_subset(known)) {
                    Ok(())
                } else {
                    Err(EngineError::Conflict {
                        doing,
                        cause: "it is there already, under other aliases".to_owned(),
                    })
                }
            }
            other => other,
        }
    }

    /// Disconnects a container. Not being there is success, and so is that the container or the
    /// network is gone.
    pub(super) async fn leave(&self, container: &str, network: &str) -> Result<(), EngineError> {
        let doing = format!("disconnect a container from network {network}");
        let client = self.client(&doing).await?;
        let path = connection::in_path(&doing, network)?;
        let body = NetworkDisconnectRequest {
            container: container.to_owned(),
            force: Some(false),
        };
        let answer = self
            .call(&doing, CALL_LIMIT, client.disconnect_network(path, body))
            .await;
        match answer {
            Ok(()) | Err(EngineError::NotFound { .. }) => Ok(()),
            Err(failure) if error::says_not_connected(&failure) => Ok(()),
            Err(failure) => {
                let doing = self.doing("disconnect", container).await;
                Err(error::renamed(
                    failure,
                    format!("{doing} from network {network}"),
                ))
            }
        }
    }

    /// Makes a network unless one with this name and these labels exists.
    ///
    /// Before API 1.44 the engine makes a second network of the same name without a word, and
    /// then knows neither by its name. So the name is looked up before, one call of this process
    /// at a time, and after: who then sees a second network takes its own away. The other one may
    /// be in use already, and the order in which they appear is not that of their time stamps.
    pub(super) async fn make_network(&self, network: &Network) -> Result<(), EngineError> {
        let doing = format!("create network {}", network.name);
        let _alone = self.making_network.lock().await;
        let before = self.networks_named(&doing, &network.name).await?;
        if !before.is_empty() {
            return same_owner(doing, network, &before);
        }
        let client = self.client(&doing).await?;
        let spoken = connection::api_version(&client);
        refuse_too_old(&doing, &api::too_old_for_network(network, spoken))?;
        let request = client.create_network(to_engine::network(network, spoken));
        let made = match self.call(&doing, CALL_LIMIT, request).await {
            Ok(answer) => Some(answer.id),
            Err(EngineError::Conflict { .. }) => None,
            Err(other) => return Err(other),
        };
        let mut after = self.networks_named(&doing, &network.name).await?;
        if let Some(made) = made.filter(|_| after.len() > 1) {
            self.call(&doing, CALL_LIMIT, client.remove_network(&made))
                .await?;
            after.retain(|seen| seen.id != made);
        }
        same_owner(doing, network, &after)
    }

    /// Removes a network. Its being gone already is success.
    pub(super) async fn unmake_network(&self, id: &str) -> Result<(), EngineError> {
        let doing = format!("remove network {}", short(id));
        let client = self.client(&doing).await?;
        let path = connection::in_path(&doing, id)?;
        let answer = self.call(&doing, CALL_LIMIT, client.remove_network(path));
        match answer.await {
            Err(EngineError::NotFound { .. }) => Ok(()),
            other => other,
        }
    }

    /// Lists the networks of exactly this name.
    async fn networks_named(&self, doing: &str, name: &str) -> Result<Vec<Network>, EngineError> {
        let client = self.client(doing).await?;
        // The engine's filter also finds names that contain this one.
        let filters = HashMap::from([("name", vec![name])]);
        let options = ListNetworksOptionsBuilder::default()
            .filters(&filters)
            .build();
        let list = self
            .call(doing, CALL_LIMIT, client.list_networks(Some(options)))
            .await?;
        let named = list
            .into_iter()
            .filter(|network| network.name.as_deref() == Some(name));
        Ok(named.map(from_engine::network).collect())
    }
}

fn same_owner(doing: String, wanted: &Network, existing: &[Network]) -> Result<(), EngineError> {
    let cause = match existing {
        [one] if one.labels == wanted.labels => return Ok(()),
        [one] => {
            let owner = match one.labels.get("com.docker.compose.project") {
                Some(project) => format!("belongs to the Compose project {project}"),
                None => "has other labels".to_owned(),
            };
            format!(
                "a network {} ({}) exists already and {owner}; remove it or choose another name",
                one.name,
                short(&one.id)
            )
        }
        [] => "somebody else was making it at the same time; try again".to_owned(),
        several => {
            let ids: Vec<&str> = several.iter().map(|network| short(&network.id)).collect();
            format!(
                "several networks have this name ({}); remove all but one by their ids",
                ids.join(", ")
            )
        }
    };
    Err(EngineError::Conflict { doing, cause })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_somebody_else_is_named() {
        let network = |id: &str, project: &str| Network {
            name: "web".to_owned(),
            id: id.to_owned(),
            labels: [("com.docker.compose.project".to_owned(), project.to_owned())].into(),
            ..Network::default()
        };
        let answer = |existing: &[Network]| {
            same_owner(
                "create network web".to_owned(),
                &network("", "shop"),
                existing,
            )
        };
        assert_eq!(answer(&[network("1", "shop")]), Ok(()));
        for (existing, expected) in [
            (vec![network("1", "blog")], "the Compose project blog"),
            (vec![network("1", "shop"), network("2", "shop")], "(1, 2)"),
            (vec![], "try again"),
        ] {
            let error = answer(&existing).unwrap_err();
            assert!(matches!(error, EngineError::Conflict { .. }));
            assert!(error.to_string().contains(expected), "{error}");
        }
    }
}
