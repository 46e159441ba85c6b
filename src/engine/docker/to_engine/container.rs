//! Writes the request for a container.

use std::collections::{BTreeSet, HashMap};

use bollard::models::{ContainerCreateBody, HealthConfig, NetworkingConfig};

use super::host_config::host_config;
use super::objects::endpoint;
use super::{filled, limit, unsorted};
use crate::engine::api::ApiVersion;
use crate::engine::model::{ContainerSpec, Endpoint, Healthcheck, Port};

/// The first version in which one create call connects to several networks, and says the hardware
/// address in each.
const MANY_NETWORKS: ApiVersion = ApiVersion {
    major: 1,
    minor: 44,
};

/// A request for a container, and the networks to connect it to afterwards.
pub(in super::super) struct Creation<'a> {
    /// The body of the create call.
    pub(in super::super) body: ContainerCreateBody,
    /// The hardware address, where it is a key of the body that the library does not know: before
    /// API 1.44.
    pub(in super::super) mac_address: Option<&'a str>,
    /// What the create call can't say.
    pub(in super::super) then_connect: Vec<(&'a str, &'a Endpoint)>,
}

/// Writes the request for a container; the error says what can't be asked for.
pub(in super::super) fn creation(
    spec: &ContainerSpec,
    spoken: ApiVersion,
) -> Result<Creation<'_>, String> {
    let many = spoken >= MANY_NETWORKS;
    let (at_create, then_connect): (Vec<_>, Vec<_>) = spec
        .networks
        .iter()
        .map(|(name, endpoint)| (name.as_str(), endpoint))
        .partition(|(name, _)| many || *name == spec.network_mode);
    let own_address = at_create
        .iter()
        .map(|(_, place)| place.mac_address.as_str())
        .find(|address| !many && !address.is_empty());
    let endpoints = at_create
        .into_iter()
        .map(|(name, place)| (name.to_owned(), endpoint(place, spoken)))
        .collect::<HashMap<_, _>>();
    let exposed: BTreeSet<String> = spec
        .expose
        .iter()
        .cloned()
        .chain(spec.ports.iter().map(container_side))
        .collect();
    let body = ContainerCreateBody {
        image: Some(spec.image.clone()),
        hostname: spec.hostname.clone(),
        domainname: spec.domainname.clone(),
        cmd: spec.command.clone(),
        entrypoint: spec.entrypoint.clone(),
        env: filled(spec.env.iter().map(variable).collect()),
        labels: Some(unsorted(&spec.labels)),
        user: spec.user.clone(),
        working_dir: spec.working_dir.clone(),
        tty: Some(spec.tty),
        open_stdin: Some(spec.stdin_open),
        attach_stdout: Some(true),
        attach_stderr: Some(true),
        stop_signal: spec.stop_signal.clone(),
        stop_timeout: spec.stop_timeout,
        healthcheck: spec.healthcheck.as_ref().map(healthcheck),
        exposed_ports: filled(exposed.into_iter().collect()),
        host_config: Some(host_config(spec, spoken)?),
        networking_config: (!endpoints.is_empty()).then_some(NetworkingConfig {
            endpoints_config: Some(endpoints),
        }),
        ..ContainerCreateBody::default()
    };
    Ok(Creation {
        body,
        mac_address: own_address,
        then_connect,
    })
}

fn variable((name, value): (&String, &Option<crate::secret::Sensitive>)) -> String {
    match value {
        Some(value) => format!("{name}={}", value.expose()),
        None => name.clone(),
    }
}

fn healthcheck(check: &Healthcheck) -> HealthConfig {
    HealthConfig {
        test: filled(check.test.clone()),
        interval: limit(check.interval),
        timeout: limit(check.timeout),
        start_period: limit(check.start_period),
        start_interval: limit(check.start_interval),
        retries: limit(check.retries),
    }
}

pub(super) fn container_side(port: &Port) -> String {
    format!("{}/{}", port.target, port.protocol)
}
