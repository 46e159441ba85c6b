//! Looks whether ports that a stack publishes are taken by somebody else.

use std::collections::BTreeSet;
use std::net::IpAddr;

use procfs::net::{TcpState, tcp, tcp6, udp, udp6};

use super::stack::Stack;
use super::{Area, Check, Diagnosis};
use crate::engine::model::Port;
use crate::host::View;

/// Where something listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Taken {
    protocol: &'static str,
    address: IpAddr,
    port: u16,
}

/// Looks at the ports of a stack.
pub(super) async fn check(view: &View, stack: &Stack, engine: bool, found: &mut Diagnosis) {
    let services = stack.desired.services.values();
    let wanted: BTreeSet<&Port> = services.flat_map(|service| &service.spec.ports).collect();
    let ours = ours(stack);
    let taken = listening();
    let mut free = 0;
    for port in wanted {
        let Ok(number) = port.published.parse::<u16>() else {
            // Any free one, or one of several.
            continue;
        };
        let is_ours = ours.iter().any(|one| one.published == port.published);
        let by_others = taken.iter().any(|one| one.is_in_the_way_of(port, number));
        if is_ours || !by_others {
            free += 1;
            continue;
        }
        let who = if engine {
            publisher(view, stack, port).await
        } else {
            None
        };
        let subject = format!("port {}/{}", port.host(), port.protocol);
        let check = Check::missing(Area::Stack, subject).of(&stack.name);
        found.add(match who {
            Some(name) => {
                let check = check.found(format!("is taken by container {name}"));
                check.mended_by(format!(
                    "docker inspect {name}   # whose is it? One of the two needs another port"
                ))
            }
            None => check
                .found("is taken by another program")
                .mended_by(format!(
                    "ss -lntup 'sport = :{number}'   # says which; stop it"
                )),
        });
    }
    if free > 0 {
        let check = Check::ok(Area::Stack, "ports").of(&stack.name);
        found.add(check.found(format!("{free} are free, or taken by the stack itself")));
    }
}

impl Taken {
    fn is_in_the_way_of(&self, port: &Port, number: u16) -> bool {
        let wanted = port.host_ip.parse::<IpAddr>().ok();
        // Where nobody names an address it is every one.
        let wanted = wanted.filter(|address| !address.is_unspecified());
        let meets = self.address.is_unspecified() || wanted.is_none_or(|one| one == self.address);
        self.port == number && self.protocol == port.protocol && meets
    }
}

/// Returns the ports that the stack's own containers have.
fn ours(stack: &Stack) -> BTreeSet<Port> {
    let observed = stack.looked.iter().map(|looked| &looked.observed);
    let containers = observed.flat_map(|seen| seen.containers.iter().chain(&seen.candidates));
    let running = containers.filter(|one| one.is_running());
    running.flat_map(|one| one.spec.ports.clone()).collect()
}

/// Returns the container of somebody else that publishes a port.
async fn publisher(view: &View, stack: &Stack, port: &Port) -> Option<String> {
    let looked = stack.looked.as_ref()?;
    for other in looked.observed.others.iter().filter(|one| one.running) {
        let Ok(Some(other)) = view.engine.container(&other.id).await else {
            continue;
        };
        let mut ports = other.spec.ports.iter();
        if ports.any(|one| one.published == port.published && one.protocol == port.protocol) {
            return Some(other.name);
        }
    }
    None
}

/// Returns where something listens on this host, as far as the kernel says so.
fn listening() -> BTreeSet<Taken> {
    let of_tcp = [tcp(), tcp6()].into_iter().flatten().flatten();
    let of_tcp = of_tcp.filter(|entry| entry.state == TcpState::Listen);
    let of_tcp = of_tcp.map(|entry| ("tcp", entry.local_address));
    let of_udp = [udp(), udp6()].into_iter().flatten().flatten();
    let of_udp = of_udp.map(|entry| ("udp", entry.local_address));
    let all = of_tcp.chain(of_udp);
    all.map(|(protocol, at)| Taken {
        protocol,
        address: at.ip(),
        port: at.port(),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_by_the_same_one_and_by_all() {
        let taken = |address: &str| Taken {
            protocol: "tcp",
            address: address.parse().unwrap(),
            port: 80,
        };
        let port = |host_ip: &str, protocol: &str| Port {
            target: 80,
            protocol: protocol.to_owned(),
            host_ip: host_ip.to_owned(),
            published: "80".to_owned(),
        };
        for (address, host_ip, protocol, expected) in [
            ("127.0.0.1", "127.0.0.1", "tcp", true),
            ("0.0.0.0", "127.0.0.1", "tcp", true),
            ("127.0.0.1", "", "tcp", true),
            ("127.0.0.1", "0.0.0.0", "tcp", true),
            ("10.0.0.1", "127.0.0.1", "tcp", false),
            ("127.0.0.1", "127.0.0.1", "udp", false),
        ] {
            let meets = taken(address).is_in_the_way_of(&port(host_ip, protocol), 80);
            assert_eq!(meets, expected, "{address} {host_ip} {protocol}");
        }
        assert!(!taken("0.0.0.0").is_in_the_way_of(&port("", "tcp"), 81));
    }

    #[test]
    fn a_listener_of_this_host_is_seen() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let seen = Taken {
            protocol: "tcp",
            address: at.ip(),
            port: at.port(),
        };
        assert!(listening().contains(&seen));
    }
}
