//! Writes networks, places in them, and volumes.

use bollard::models::{
    EndpointIpamConfig, EndpointSettings, Ipam as EngineIpam, IpamConfig, NetworkCreateRequest,
    VolumeCreateRequest,
};

use super::{filled, filled_map, text, unsorted};
use crate::engine::api::ApiVersion;
use crate::engine::model::{Endpoint, Ipam, IpamPool, Network, Volume};

/// The first version that takes [`Network::enable_ipv4`] and [`Endpoint::gw_priority`].
const WAYS_OUT: ApiVersion = ApiVersion {
    major: 1,
    minor: 48,
};

/// The option by which the engine takes the name of an interface.
pub(in super::super) const INTERFACE: &str = "com.docker.network.endpoint.ifname";

/// Writes a container's place in a network. The default bridge refuses any list of aliases, even
/// an empty one.
pub(in super::super) fn endpoint(place: &Endpoint, spoken: ApiVersion) -> EndpointSettings {
    let addresses = EndpointIpamConfig {
        ipv4_address: text(&place.ipv4_address),
        ipv6_address: text(&place.ipv6_address),
        link_local_ips: filled(place.link_local_ips.iter().cloned().collect()),
    };
    let mut driver_opts = place.driver_opts.clone();
    if !place.interface_name.is_empty() {
        let name = place.interface_name.clone();
        driver_opts.entry(INTERFACE.to_owned()).or_insert(name);
    }
    let priority = (place.gw_priority != 0).then_some(place.gw_priority);
    EndpointSettings {
        aliases: filled(place.aliases.iter().cloned().collect()),
        links: filled(place.links.iter().cloned().collect()),
        ipam_config: (addresses != EndpointIpamConfig::default()).then_some(addresses),
        // An engine before API 1.44 only shows it, until the container is started.
        mac_address: text(&place.mac_address),
        driver_opts: filled_map(&driver_opts),
        gw_priority: priority.filter(|_| spoken >= WAYS_OUT),
        ..EndpointSettings::default()
    }
}

/// Writes the request for a network.
pub(in super::super) fn network(network: &Network, spoken: ApiVersion) -> NetworkCreateRequest {
    NetworkCreateRequest {
        name: network.name.clone(),
        driver: text(&network.driver),
        internal: Some(network.internal),
        attachable: network.attachable.then_some(true),
        ipam: (network.ipam != Ipam::default()).then(|| ipam(&network.ipam)),
        enable_ipv4: network.enable_ipv4.filter(|_| spoken >= WAYS_OUT),
        enable_ipv6: network.enable_ipv6,
        options: Some(unsorted(&network.options)),
        labels: Some(unsorted(&network.labels)),
        ..NetworkCreateRequest::default()
    }
}

/// Writes the request for a volume.
pub(in super::super) fn volume(volume: &Volume) -> VolumeCreateRequest {
    VolumeCreateRequest {
        name: Some(volume.name.clone()),
        driver: text(&volume.driver),
        driver_opts: Some(unsorted(&volume.options)),
        labels: Some(unsorted(&volume.labels)),
        ..VolumeCreateRequest::default()
    }
}

fn ipam(ipam: &Ipam) -> EngineIpam {
    EngineIpam {
        driver: text(&ipam.driver),
        config: filled(ipam.pools.iter().map(pool).collect()),
        options: filled_map(&ipam.options),
    }
}

fn pool(pool: &IpamPool) -> IpamConfig {
    IpamConfig {
        subnet: text(&pool.subnet),
        ip_range: text(&pool.ip_range),
        gateway: text(&pool.gateway),
        auxiliary_addresses: filled_map(&pool.aux_addresses),
    }
}
