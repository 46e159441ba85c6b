//! The two places of a blue-green service: what tells its two containers apart while both run.

use std::borrow::Cow;
use std::fmt;

use super::examined::Examined;
use super::services::Input;
use crate::desired::proxy::{ProxyPlace, Upstream, fixed_ports};
use crate::desired::strategy::{BlueGreen, Strategy};
use crate::desired::{Service, ServiceName, StackName};
use crate::engine::model::{Container, ContainerSpec, Port};
use crate::labels;

/// One of the two places of a blue-green service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// The first: it has the port that the Compose file publishes.
    Blue,
    /// The second: it has the second port, if there is a fixed one.
    Green,
}

impl Slot {
    /// Returns the place of a container; `None` = it was made before its service was blue-green.
    pub(super) fn of(container: &Container) -> Option<Self> {
        match container.spec.labels.get(labels::SLOT)?.as_str() {
            "blue" => Some(Self::Blue),
            "green" => Some(Self::Green),
            _ => None,
        }
    }

    /// Returns the place beside this one. What has none has the first one's port.
    pub(super) fn beside(this: Option<Self>) -> Self {
        match this {
            None | Some(Self::Blue) => Self::Green,
            Some(Self::Green) => Self::Blue,
        }
    }
}

impl fmt::Display for Slot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Blue => "blue",
            Self::Green => "green",
        })
    }
}

impl Service {
    /// Returns how it changes over, if it does so without a gap.
    pub(super) fn blue_green(&self) -> Option<BlueGreen> {
        match self.strategy {
            Strategy::Recreate => None,
            Strategy::BlueGreen(how) => Some(how),
        }
    }
}

/// Returns what the container of a service is made from in a slot.
pub(super) fn in_slot<'a>(
    stack: &StackName,
    name: &ServiceName,
    service: &'a Service,
    slot: Option<Slot>,
) -> Cow<'a, ContainerSpec> {
    let (Some(how), Some(slot)) = (service.blue_green(), slot) else {
        return Cow::Borrowed(&service.spec);
    };
    let mut spec = service.spec.clone();
    for endpoint in spec.networks.values_mut() {
        endpoint.aliases.insert(alias(stack, name, slot));
    }
    if let (Slot::Green, Some(second)) = (slot, how.second_port) {
        let fixed = fixed_ports(&spec.ports).map(|(port, _)| port.clone());
        for port in fixed.collect::<Vec<_>>() {
            spec.ports.remove(&port);
            spec.ports.insert(Port {
                published: second.to_string(),
                ..port
            });
        }
    }
    let slot = (labels::SLOT.to_owned(), slot.to_string());
    spec.labels.extend([slot]);
    Cow::Owned(spec)
}

fn alias(stack: &StackName, name: &ServiceName, slot: Slot) -> String {
    format!("{stack}-{name}-{slot}")
}

impl Input<'_> {
    /// Returns the address under which the proxy reaches a service in a slot.
    pub(super) fn address(
        &self,
        place: &ProxyPlace,
        upstream: &Upstream,
        one: &Examined<'_>,
        slot: Option<Slot>,
    ) -> String {
        let Upstream { service, port } = upstream;
        let stack = &self.desired.stack;
        match place {
            ProxyPlace::Host => {
                let spec = in_slot(stack, service, one.service, slot);
                // The loader has seen that there is one.
                let published = upstream.host_port(&spec.ports).unwrap_or_default();
                format!("127.0.0.1:{published}")
            }
            ProxyPlace::Service(_) | ProxyPlace::Container(_) => {
                match (one.service.blue_green(), slot) {
                    (Some(_), Some(slot)) => format!("{}:{port}", alias(stack, service, slot)),
                    // The service's own name is the other one's too, once that is started.
                    (Some(_), None) => format!("{}:{port}", one.container_name),
                    (None, _) => format!("{service}:{port}"),
                }
            }
        }
    }
}
