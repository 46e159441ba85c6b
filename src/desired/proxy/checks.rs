//! Checks that a proxy can read its configuration, and reach what that names.

use std::collections::BTreeSet;
use std::path::Path;

use super::{DesiredProxy, Marker, ProxyConfig, ProxyKind, ProxyPlace, Upstream};
use crate::desired::findings::{Findings, Surroundings};
use crate::desired::placed::{ONE_PURPOSE, Taken};
use crate::desired::{Service, ServiceName, default_container_name};
use crate::diagnostic::Diagnostic;
use crate::engine::model::{MountSource, Port};

/// Checks that nothing else is where the proxy reads its files, and that it reaches what they
/// name.
pub(super) fn place(
    resolved: &DesiredProxy,
    around: &Surroundings<'_>,
    taken: &mut Taken,
    findings: &mut Findings<'_>,
) {
    let proxy = &resolved.proxy;
    match &proxy.place {
        ProxyPlace::Service(name) => service(name, resolved, around, findings),
        ProxyPlace::Host => {
            for (name, target) in &proxy.configs {
                if let Err(why) = taken.take(target, "is placed there as a file of the proxy") {
                    let message = format!("{} {why}", target.display());
                    findings.refuse(&proxy.path(&["configs", name]), message, ONE_PURPOSE);
                }
            }
            upstreams(resolved, around, findings, &unpublished);
        }
        ProxyPlace::Container(container) => {
            if let Some(name) = service_of(container, around) {
                let message = format!("{container} is the container of a service of this stack");
                let hint = format!("write service: {name}");
                findings.refuse(&proxy.path(&["container"]), message, &hint);
            }
            // Which networks it is in only the engine knows.
            upstreams(resolved, around, findings, &|_, _| None);
        }
    }
}

/// Checks that the configuration tells which one it is.
pub(super) fn marker(resolved: &DesiredProxy, findings: &mut Findings<'_>) {
    let mut configs = resolved.configs.values();
    if configs.any(|config| config.template.has_marker) {
        return;
    }
    let proxy = &resolved.proxy;
    let path = match &proxy.marker {
        Marker::Path(path) => path.as_str(),
        Marker::Url(url) => url.path(),
    };
    let hint = match proxy.kind {
        ProxyKind::Nginx => format!(
            "add to a server block: location = {path} {{ return 200 \"@moored.marker@\"; }}"
        ),
        ProxyKind::Caddy => format!("add to a site: respond {path} \"@moored.marker@\""),
    };
    findings.refuse(
        &proxy.path(&["configs"]),
        "no file has @moored.marker@ in it, so that nothing would prove which configuration is \
         loaded",
        &hint,
    );
}

/// Returns the ports of the host that a container must have to itself, because a second one can't
/// have the same.
pub fn fixed_ports(ports: &BTreeSet<Port>) -> impl Iterator<Item = (&Port, u16)> {
    // The engine picks a free one of a range, and for 0.
    let ports = ports.iter();
    let ports = ports.filter_map(|port| Some((port, port.published.parse().ok()?)));
    ports.filter(|(_, published)| *published != 0)
}

impl Upstream {
    /// Returns the fixed port of 127.0.0.1 under which a program of the host reaches it, of those
    /// that its container publishes.
    pub fn host_port(&self, ports: &BTreeSet<Port>) -> Option<u16> {
        const HERE: [&str; 3] = ["", "0.0.0.0", "127.0.0.1"];
        let reached = |port: &Port| {
            port.target == self.port
                && port.protocol == "tcp"
                && HERE.contains(&port.host_ip.as_str())
        };
        let mut fixed = fixed_ports(ports).filter(|(port, _)| reached(port));
        fixed.next().map(|(_, published)| published)
    }
}

/// What is wrong, and what to do.
type Wrong = (String, String);

/// Checks the container of this stack that is the proxy.
fn service(
    name: &ServiceName,
    resolved: &DesiredProxy,
    around: &Surroundings<'_>,
    findings: &mut Findings<'_>,
) {
    let Some(own) = around.services.get(name) else {
        let (message, hint) = around.no_container(name);
        findings.refuse(&resolved.proxy.path(&["service"]), message, &hint);
        return;
    };
    mounts(name, own, resolved, around, findings);
    upstreams(resolved, around, findings, &|upstream, other| {
        if shares_a_network(own, other) {
            return None;
        }
        let other = &upstream.service;
        let message = format!("{name} can't reach {other}: they have no network in common");
        let hint = "give both the same network under networks: in the Compose file";
        Some((message, hint.to_owned()))
    });
}

/// Checks each service that the configuration names.
fn upstreams(
    resolved: &DesiredProxy,
    around: &Surroundings<'_>,
    findings: &mut Findings<'_>,
    unreachable: &dyn Fn(&Upstream, &Service) -> Option<Wrong>,
) {
    for config in resolved.configs.values() {
        for upstream in &config.template.upstreams {
            let wrong = match around.services.get(&upstream.service) {
                Some(service) => unreachable(upstream, service),
                None => Some(around.no_container(&upstream.service)),
            };
            if let Some((message, hint)) = wrong {
                findings.add(at(config, upstream, message).hint(hint));
            }
        }
    }
}

fn at(config: &ProxyConfig, upstream: &Upstream, message: String) -> Diagnostic {
    let file = config.source.as_str();
    match config.template.place_of(upstream) {
        Some(position) => Diagnostic::at(file, position, message),
        None => Diagnostic::file(file, message),
    }
}

/// Says why a program of the host can't reach a service.
fn unpublished(upstream: &Upstream, service: &Service) -> Option<Wrong> {
    if upstream.host_port(&service.spec.ports).is_some() {
        return None;
    }
    let Upstream { service, port } = upstream;
    let message = format!(
        "a proxy on the host can't reach {service}: it does not publish port {port} on a fixed \
         port of 127.0.0.1"
    );
    let hint =
        format!("add to {service} in the Compose file: ports: [\"127.0.0.1:{port}:{port}\"]");
    Some((message, hint))
}

fn shares_a_network(one: &Service, other: &Service) -> bool {
    let networks = &other.spec.networks;
    one.spec
        .networks
        .keys()
        .any(|name| networks.contains_key(name))
}

fn service_of<'a>(container: &str, around: &'a Surroundings<'_>) -> Option<&'a ServiceName> {
    let stack = &around.manifest.stack;
    let services = around.services.iter();
    let mut named = services.map(|(name, service)| {
        let own = service.container_name.clone();
        (
            name,
            own.unwrap_or_else(|| default_container_name(stack, name)),
        )
    });
    named
        .find(|(_, own)| own == container)
        .map(|(name, _)| name)
}

/// Checks that the container of the proxy has each file where it is said to read it.
fn mounts(
    name: &ServiceName,
    service: &Service,
    resolved: &DesiredProxy,
    around: &Surroundings<'_>,
    findings: &mut Findings<'_>,
) {
    let proxy = &resolved.proxy;
    for (source, target) in &proxy.configs {
        let Some(config) = resolved.configs.get(target) else {
            continue;
        };
        let path = proxy.path(&["configs", source]);
        let Some(project_path) = &config.project_path else {
            let message = format!(
                "{} is in the repository, above the Compose file, where no service can mount it \
                 by a relative path",
                config.source
            );
            findings.refuse(&path, message, "move it beside the Compose file or below");
            continue;
        };
        let host_path = around.project_directory.join(project_path.as_str());
        let is_mounted =
            mounted_at(service, target, &host_path) && service.mounted_files.contains(project_path);
        if !is_mounted {
            let target = target.display();
            let message = format!("{name} does not mount {} at {target}", config.source);
            let hint = format!(
                "add to the volumes of {name} in the Compose file: - ./{project_path}:{target}:ro"
            );
            findings.refuse(&path, message, &hint);
        }
    }
}

/// Returns whether a container has a file of the host at a path: by itself or in a directory. The
/// innermost mount is the one that shows.
fn mounted_at(service: &Service, target: &Path, host_path: &Path) -> bool {
    let mounts = service.spec.mounts.iter();
    let over = mounts.filter(|(at, _)| target.starts_with(at));
    let innermost = over.max_by_key(|(at, _)| Path::new(at.as_str()).components().count());
    let Some((at, mount)) = innermost else {
        return false;
    };
    let MountSource::Bind { path, .. } = &mount.source else {
        return false;
    };
    let below = target.strip_prefix(at).unwrap_or(target);
    Path::new(path).join(below) == host_path
}
