//! What else is on the host: images, networks, volumes.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Healthcheck;

/// An image on the host: its identity and the defaults that a container takes from it.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Image {
    /// `sha256:…` of its configuration.
    pub id: String,
    /// Registry digests known for it, as `repository@sha256:…`.
    pub repo_digests: Vec<String>,
    /// Default arguments.
    pub command: Vec<String>,
    /// Default program.
    pub entrypoint: Vec<String>,
    /// Default environment.
    pub env: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
    /// Default user.
    pub user: String,
    /// Default working directory.
    pub working_dir: String,
    /// Default stop signal; empty = the engine's.
    pub stop_signal: String,
    /// Default health check.
    pub healthcheck: Option<Healthcheck>,
    /// Exposed ports as `80/tcp`.
    pub expose: BTreeSet<String>,
    /// Declared volume targets.
    pub volumes: BTreeSet<String>,
}

/// A network to make, or as the engine shows it.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Network {
    /// Name on the engine.
    pub name: String,
    /// Id; empty in a request.
    pub id: String,
    /// Driver; `bridge` unless said otherwise.
    pub driver: String,
    /// Driver options.
    pub options: BTreeMap<String, String>,
    /// Whether it has no way out.
    pub internal: bool,
    /// Whether containers of elsewhere may join it (Swarm).
    pub attachable: bool,
    /// Whether its containers get IPv4 addresses; `None` = as the engine is configured. API 1.48.
    pub enable_ipv4: Option<bool>,
    /// Whether its containers get IPv6 addresses; `None` = as the engine is configured.
    pub enable_ipv6: Option<bool>,
    /// Who gives the addresses.
    pub ipam: Ipam,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}

/// Who gives the addresses of a network, and which.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ipam {
    /// Driver; empty = `default`.
    pub driver: String,
    /// Options of the driver.
    pub options: BTreeMap<String, String>,
    /// Pools of addresses; empty = the engine's choice.
    pub pools: Vec<IpamPool>,
}

/// A pool of addresses; what is empty is the engine's choice.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct IpamPool {
    /// Range of the network, `10.1.0.0/16`.
    pub subnet: String,
    /// Range in it that containers get.
    pub ip_range: String,
    /// Address of the gateway.
    pub gateway: String,
    /// Addresses that are taken, by what for.
    pub aux_addresses: BTreeMap<String, String>,
}

/// A volume to make, or as the engine shows it.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Volume {
    /// Name on the engine.
    pub name: String,
    /// Driver; `local` unless said otherwise.
    pub driver: String,
    /// Driver options.
    pub options: BTreeMap<String, String>,
    /// Labels.
    pub labels: BTreeMap<String, String>,
}
