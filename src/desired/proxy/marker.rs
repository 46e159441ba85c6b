//! Where a proxy is asked which configuration it has loaded.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use url::Url;

use super::{Marker, Proxy, ProxyPlace};
use crate::engine::model::ContainerSpec;

/// An address to ask a proxy at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MarkerAt {
    /// A whole address.
    Url(Url),
    /// A port of the proxy's container, on whatever address that has.
    Inside {
        /// Port inside the container.
        port: u16,
        /// Path, with its slash.
        path: String,
    },
}

/// Ports on which a proxy in a container usually listens, the likeliest first.
const USUAL: [u16; 3] = [80, 8080, 443];

/// The port of <https://www.rfc-editor.org/rfc/rfc9110#section-4.2.2>: what answers there speaks
/// TLS.
const HTTPS: u16 = 443;

impl Proxy {
    /// Returns where it is asked: the address that Git gives, or the path on the first address
    /// that its container publishes, or on the container's own.
    ///
    /// `container` is what its container is made from, if it runs in one.
    pub fn marker_at(&self, container: Option<&ContainerSpec>) -> MarkerAt {
        let path = match &self.marker {
            Marker::Url(url) => return MarkerAt::Url(url.clone()),
            Marker::Path(path) => path.clone(),
        };
        let published = match (&self.place, container) {
            (ProxyPlace::Host, _) => Some((80, SocketAddr::from((Ipv4Addr::LOCALHOST, 80)))),
            (ProxyPlace::Service(_) | ProxyPlace::Container(_), Some(spec)) => published(spec),
            (ProxyPlace::Service(_) | ProxyPlace::Container(_), None) => None,
        };
        let inside = || MarkerAt::Inside {
            port: 80,
            path: path.clone(),
        };
        let Some((target, address)) = published else {
            return inside();
        };
        let scheme = if target == HTTPS { "https" } else { "http" };
        // The loader has seen that the path is one.
        Url::parse(&format!("{scheme}://{address}{path}")).map_or_else(|_| inside(), MarkerAt::Url)
    }
}

/// Returns the usual port that a container publishes on a fixed port of the host, and where.
fn published(spec: &ContainerSpec) -> Option<(u16, SocketAddr)> {
    USUAL.iter().find_map(|usual| {
        let mut ports = spec.ports.iter();
        let port = ports.find(|port| port.target == *usual && port.protocol == "tcp")?;
        let published: u16 = port.published.parse().ok()?;
        let ip: IpAddr = port.host_ip.parse().unwrap_or(Ipv4Addr::LOCALHOST.into());
        let ip = if ip.is_unspecified() {
            Ipv4Addr::LOCALHOST.into()
        } else {
            ip
        };
        Some((*usual, SocketAddr::new(ip, published)))
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::desired::proxy::ProxyKind;
    use crate::engine::model::Port;

    fn at(place: ProxyPlace, marker: Marker, ports: &[(&str, &str, u16)]) -> String {
        let proxy = Proxy {
            kind: ProxyKind::Nginx,
            place,
            configs: BTreeMap::new(),
            marker,
            main: None,
            allow_shrink: false,
        };
        let mut spec = ContainerSpec::default();
        for (host_ip, published, target) in ports {
            spec.ports.insert(Port {
                target: *target,
                protocol: "tcp".to_owned(),
                host_ip: (*host_ip).to_owned(),
                published: (*published).to_owned(),
            });
        }
        match proxy.marker_at(Some(&spec)) {
            MarkerAt::Url(url) => url.to_string(),
            MarkerAt::Inside { port, path } => format!("inside:{port}{path}"),
        }
    }

    #[test]
    fn a_path_is_asked_for_where_visitors_come_in() {
        let path = || Marker::Path("/__moored".to_owned());
        let container = || ProxyPlace::Container("front".to_owned());
        assert_eq!(
            at(ProxyPlace::Host, path(), &[]),
            "http://127.0.0.1/__moored"
        );
        let ports = [
            ("", "8443", 443),
            ("0.0.0.0", "8081", 80),
            ("", "9000", 9000),
        ];
        assert_eq!(
            at(container(), path(), &ports),
            "http://127.0.0.1:8081/__moored"
        );
        let tls = [("10.0.0.5", "8443", 443)];
        assert_eq!(
            at(container(), path(), &tls),
            "https://10.0.0.5:8443/__moored"
        );
        for ports in [&[("", "", 80)][..], &[("", "8000-8010", 80)], &[]] {
            assert_eq!(at(container(), path(), ports), "inside:80/__moored");
        }
        let url = Marker::Url("https://shop.example/m".parse().unwrap());
        assert_eq!(at(container(), url, &ports), "https://shop.example/m");
    }
}
