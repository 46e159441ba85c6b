//! Addresses that can be tried.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

/// An address to listen on.
pub(super) enum Address {
    Tcp(SocketAddr),
    Udp(SocketAddr),
}

impl Address {
    /// Reads a listener as a [`super::Shape`] writes it; `None` = it is none that can be tried.
    ///
    /// All addresses of IPv6 can't be: whether IPv4 belongs to them is up to the proxy.
    pub(super) fn of(listen: &str) -> Option<Self> {
        let udp = listen
            .strip_suffix("/udp")
            .or_else(|| listen.strip_prefix("udp/"));
        let text = udp.unwrap_or(listen);
        let text = text.strip_prefix(':').unwrap_or(text);
        let at = match text.parse::<u16>() {
            Ok(port) => SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port),
            Err(_) => text.parse::<SocketAddr>().ok()?,
        };
        if at.is_ipv6() && at.ip().is_unspecified() {
            return None;
        }
        Some(match udp {
            Some(_) => Self::Udp(at),
            None => Self::Tcp(at),
        })
    }

    pub(super) fn at(&self) -> SocketAddr {
        match self {
            Self::Tcp(at) | Self::Udp(at) => *at,
        }
    }

    /// Returns whether somebody listens there, by listening for an instant.
    pub(super) fn is_taken(&self) -> bool {
        let tried = match self {
            Self::Tcp(at) => TcpListener::bind(at).map(drop),
            Self::Udp(at) => UdpSocket::bind(at).map(drop),
        };
        tried.is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listeners_are_read() {
        let shown = |listen| {
            let address = Address::of(listen)?;
            let kind = match address {
                Address::Tcp(_) => "tcp",
                Address::Udp(_) => "udp",
            };
            Some(format!("{kind} {}", address.at()))
        };
        for (listen, expected) in [
            ("80", Some("tcp 0.0.0.0:80")),
            ("53/udp", Some("udp 0.0.0.0:53")),
            ("udp/:53", Some("udp 0.0.0.0:53")),
            ("127.0.0.1:8080", Some("tcp 127.0.0.1:8080")),
            ("127.0.0.1:53/udp", Some("udp 127.0.0.1:53")),
            ("[::1]:443", Some("tcp [::1]:443")),
            ("[::]:443", None),
            ("unix:/run/x.sock", None),
            ("localhost:80", None),
            ("8080-8090", None),
            ("", None),
        ] {
            assert_eq!(shown(listen).as_deref(), expected, "{listen}");
        }
    }

    #[test]
    fn somebody_who_listens_is_noticed() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = tcp.local_addr().unwrap();
        assert!(Address::Tcp(at).is_taken());
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert!(Address::Udp(udp.local_addr().unwrap()).is_taken());
        drop(tcp);
        assert!(!Address::Tcp(at).is_taken());
    }
}
