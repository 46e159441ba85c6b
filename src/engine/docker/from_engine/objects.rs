//! Reads images, networks and volumes.

use bollard::models::{
    ImageInspect, Ipam as EngineIpam, IpamConfig, Network as EngineNetwork, Volume as EngineVolume,
};

use super::container::healthcheck;
use super::sorted;
use crate::engine::model::{Image, Ipam, IpamPool, Network, Volume};

/// Reads the answer of an image's inspect.
pub(in super::super) fn image(answer: ImageInspect) -> Image {
    let config = answer.config.unwrap_or_default();
    Image {
        id: answer.id.unwrap_or_default(),
        repo_digests: answer.repo_digests.unwrap_or_default(),
        command: config.cmd.unwrap_or_default(),
        entrypoint: config.entrypoint.unwrap_or_default(),
        env: config
            .env
            .unwrap_or_default()
            .iter()
            .map(|line| line.split_once('=').unwrap_or((line, "")))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        labels: sorted(config.labels),
        user: config.user.unwrap_or_default(),
        working_dir: config.working_dir.unwrap_or_default(),
        stop_signal: config.stop_signal.unwrap_or_default(),
        healthcheck: config.healthcheck.map(healthcheck),
        expose: config
            .exposed_ports
            .unwrap_or_default()
            .into_iter()
            .collect(),
        volumes: config.volumes.unwrap_or_default().into_iter().collect(),
    }
}

/// Reads one network of the list.
pub(in super::super) fn network(answer: EngineNetwork) -> Network {
    Network {
        name: answer.name.unwrap_or_default(),
        id: answer.id.unwrap_or_default(),
        driver: answer.driver.unwrap_or_default(),
        options: sorted(answer.options),
        internal: answer.internal.unwrap_or_default(),
        attachable: answer.attachable.unwrap_or_default(),
        enable_ipv4: answer.enable_ipv4,
        enable_ipv6: answer.enable_ipv6,
        ipam: answer.ipam.map(ipam).unwrap_or_default(),
        labels: sorted(answer.labels),
    }
}

/// Reads one volume.
pub(in super::super) fn volume(answer: EngineVolume) -> Volume {
    Volume {
        name: answer.name,
        driver: answer.driver,
        options: answer.options.into_iter().collect(),
        labels: answer.labels.into_iter().collect(),
    }
}

fn ipam(ipam: EngineIpam) -> Ipam {
    let driver = ipam.driver.unwrap_or_default();
    Ipam {
        driver: if driver == "default" {
            String::new()
        } else {
            driver
        },
        options: sorted(ipam.options),
        pools: ipam.config.into_iter().flatten().map(pool).collect(),
    }
}

fn pool(pool: IpamConfig) -> IpamPool {
    IpamPool {
        subnet: pool.subnet.unwrap_or_default(),
        ip_range: pool.ip_range.unwrap_or_default(),
        gateway: pool.gateway.unwrap_or_default(),
        aux_addresses: sorted(pool.auxiliary_addresses),
    }
}
