//! The `strategy:` part of a manifest: how a container is replaced.

use std::collections::BTreeMap;
use std::num::NonZeroU16;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use super::findings::{Findings, Surroundings};
use super::manifest::DEFAULT;
use super::proxy::{self, DesiredProxy, ProxyPlace};
use super::{Service, ServiceName, StackName, default_container_name};
use crate::document::{self, WordOr};

/// How a service's container is replaced.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "WordOr<RawStrategy>")]
pub enum Strategy {
    /// The old one is stopped, the new one started.
    #[default]
    Recreate,
    /// The new one is started beside the old one, and the proxy moved over.
    BlueGreen(BlueGreen),
}

/// How a service changes over without a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlueGreen {
    /// Port of the host for every other container, where the Compose file publishes one fixed
    /// port: two containers can't have the same.
    pub second_port: Option<u16>,
    /// Longest time for the old container's connections to end, after the proxy has moved over.
    pub drain: Duration,
}

/// A strategy in long form, as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawStrategy {
    kind: String,
    second_port: Option<NonZeroU16>,
    #[serde(default, deserialize_with = "drain")]
    drain: Option<Duration>,
}

/// Long enough for a slow request, short enough that a deploy does not look stuck.
const DEFAULT_DRAIN: Duration = Duration::from_secs(30);

/// Above an hour the next deploy would rather wait than be surprised.
const LONGEST_DRAIN: Duration = Duration::from_secs(60 * 60);

impl TryFrom<WordOr<RawStrategy>> for Strategy {
    type Error = String;

    fn try_from(raw: WordOr<RawStrategy>) -> Result<Self, String> {
        let raw = match raw {
            WordOr::Mapping(raw) => raw,
            WordOr::Word(kind) => RawStrategy {
                kind,
                second_port: None,
                drain: None,
            },
        };
        match raw.kind.as_str() {
            "blue-green" => Ok(Self::BlueGreen(BlueGreen {
                second_port: raw.second_port.map(NonZeroU16::get),
                drain: raw.drain.unwrap_or(DEFAULT_DRAIN),
            })),
            "recreate" if raw.second_port.is_some() || raw.drain.is_some() => {
                Err("second_port and drain belong to kind: blue-green".to_owned())
            }
            "recreate" => Ok(Self::Recreate),
            other => Err(format!(
                "\"{}\" is not a strategy: write recreate or blue-green",
                other.escape_default()
            )),
        }
    }
}

fn drain<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let drain = document::duration(deserializer)?;
    if drain <= LONGEST_DRAIN {
        return Ok(Some(drain));
    }
    let drain = humantime::format_duration(drain);
    Err(serde::de::Error::custom(format!(
        "a drain of {drain} is longer than 1h"
    )))
}

/// Checks that what is to change over without a gap can; what is wrong goes to `findings`.
pub(super) fn check(
    around: &Surroundings<'_>,
    proxy: Option<&DesiredProxy>,
    findings: &mut Findings<'_>,
) {
    let strategies = &around.manifest.strategy;
    if let Some(Strategy::BlueGreen(_)) = strategies.get(DEFAULT) {
        findings.refuse(
            &["strategy", DEFAULT],
            "default can't be blue-green: a database that runs twice loses data",
            "write default: recreate, and name the services that may run twice",
        );
    }
    let mut second_ports = BTreeMap::new();
    for (name, service) in around.services {
        let named = strategies.contains_key(name.as_str());
        let Strategy::BlueGreen(blue_green) = service.strategy else {
            continue;
        };
        if !named {
            continue;
        }
        moved_by_proxy(name, service, proxy, findings);
        ports(name, service, blue_green, around, findings);
        let stack = &around.manifest.stack;
        if let Some(other) = joined_by(stack, name, service, around.services) {
            let message = format!(
                "{name} can't be blue-green: {other} is in its network or sees its processes, and \
                 can only be in those of one container"
            );
            let hint = "write recreate, or give the other one a network of its own";
            findings.refuse(&["strategy", name.as_str()], message, hint);
        }
        if let Some(port) = blue_green.second_port
            && let Some(other) = second_ports.insert(port, name)
        {
            let message = format!("second_port {port} is that of service {other} already");
            findings.refuse(
                &["strategy", name.as_str(), "second_port"],
                message,
                "give each a port of its own",
            );
        }
    }
}

/// Returns a service that joins the namespaces of another one.
pub(super) fn joined_by<'a>(
    stack: &StackName,
    name: &ServiceName,
    service: &Service,
    services: &'a BTreeMap<ServiceName, Service>,
) -> Option<&'a ServiceName> {
    let default = default_container_name(stack, name);
    let container = service.container_name.as_ref().unwrap_or(&default);
    let joins = |other: &Service| other.spec.joins().any(|joined| joined == container);
    let mut services = services.iter();
    services
        .find(|(_, other)| joins(other))
        .map(|(name, _)| name)
}

/// Checks that the proxy is the way to a service, so that it can be moved.
fn moved_by_proxy(
    name: &ServiceName,
    service: &Service,
    proxy: Option<&DesiredProxy>,
    findings: &mut Findings<'_>,
) {
    let path = ["strategy", name.as_str()];
    let Some(proxy) = proxy else {
        let message = format!("{name} can't be blue-green: nothing would move visitors over");
        let hint = "name the nginx or Caddy in front of it under proxy, or write recreate";
        findings.refuse(&path, message, hint);
        return;
    };
    if proxy.proxy.place == ProxyPlace::Service(name.clone()) {
        let message =
            format!("{name} can't be blue-green: it is the proxy, which moves the others");
        findings.refuse(&path, message, "write recreate, or take the line out");
        return;
    }
    let mut configs = proxy.configs.values();
    if configs.any(|config| config.template.names(name)) {
        return;
    }
    let inside = service.spec.ports.first().map(|port| port.target);
    let exposed = || service.spec.expose.first()?.split('/').next()?.parse().ok();
    let port: u16 = inside.or_else(exposed).unwrap_or(80);
    let written = match proxy.proxy.kind {
        proxy::ProxyKind::Nginx => format!("server @moored.{name}:{port}@; in its upstream block"),
        proxy::ProxyKind::Caddy => format!("reverse_proxy @moored.{name}:{port}@"),
    };
    let files: Vec<&str> = proxy.proxy.configs.keys().map(String::as_str).collect();
    let message = format!(
        "{name} can't be blue-green: no file of the proxy's configs has its address as a \
         placeholder"
    );
    let hint = format!("write in {}: {written}", files.join(" or "));
    findings.refuse(&path, message, &hint);
}

/// Checks that both containers of a service find a port of the host.
fn ports(
    name: &ServiceName,
    service: &Service,
    blue_green: BlueGreen,
    around: &Surroundings<'_>,
    findings: &mut Findings<'_>,
) {
    let path = ["strategy", name.as_str()];
    let fixed: Vec<_> = proxy::fixed_ports(&service.spec.ports).collect();
    let second = match (fixed.as_slice(), blue_green.second_port) {
        ([], None) => return,
        ([], Some(_)) => {
            let message =
                format!("{name} publishes no fixed port of the host, and needs no second");
            findings.refuse(&[path[0], path[1], "second_port"], message, "take it out");
            return;
        }
        ([(port, _)], None) => {
            let message = format!(
                "{name} publishes port {} of the host, which its second container can't have too",
                port.host()
            );
            let hint = format!(
                "name another for every other container, as in {name}: {{kind: blue-green, \
                 second_port: 4001}}, or don't publish it"
            );
            findings.refuse(&path, message, &hint);
            return;
        }
        ([_], Some(second)) => second,
        (_, _) => {
            let message = format!(
                "{name} publishes {} fixed ports of the host; blue-green can do with one",
                fixed.len()
            );
            let hint = "publish the one that the proxy is sent to, and reach the others otherwise";
            findings.refuse(&path, message, hint);
            return;
        }
    };
    let mut services = around.services.iter();
    let owner = services.find(|(_, service)| {
        proxy::fixed_ports(&service.spec.ports).any(|(_, published)| published == second)
    });
    if let Some((owner, _)) = owner {
        let message = format!("port {second} of the host is that of service {owner} already");
        findings.refuse(
            &[path[0], path[1], "second_port"],
            message,
            "name a free one",
        );
    }
}
