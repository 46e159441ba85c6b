//! Reads the short form of a port as Docker does (`nat` of go-connections).

use std::net::IpAddr;

use crate::desired::compose::refusal::Refusal;
use crate::engine::model::Port;

/// Reads `[[IP:]PUBLISHED:]TARGET[/PROTOCOL]`, where a port may be a range.
///
/// Two ranges of one length give a port each, in the order of their text as Compose has it (`10`
/// before `9`); a range on the host for one port in the container stays a range, of which the
/// engine takes a free one.
pub fn parse_ports(text: &str) -> Result<Vec<Port>, Refusal> {
    let (front, target) = match text.rsplit_once(':') {
        Some((front, target)) => (Some(front), target),
        None => (None, text),
    };
    let (host_ip, published) =
        match front.map(|front| front.rsplit_once(':').unwrap_or(("", front))) {
            Some((ip, published)) => (host_ip(ip)?, published),
            None => ("", ""),
        };
    let (target, protocol) = match target.split_once('/') {
        Some((target, protocol)) => (target, protocol),
        None => (target, ""),
    };
    if target.is_empty() {
        return refused("there is no port for the container");
    }
    let Some((first, last)) = range(target) else {
        return refused("the port in the container is not a port or range");
    };
    // Compose drops a zero, and then misses the port.
    if first == 0 {
        return refused("the port in the container is 0");
    }
    let published = if published.is_empty() {
        None
    } else {
        match range(published) {
            Some(published) => Some(published),
            None => return refused("the port on the host is not a port or range"),
        }
    };
    let protocol = match protocol.to_ascii_lowercase() {
        protocol if protocol.is_empty() => "tcp".to_owned(),
        protocol if ["tcp", "udp", "sctp"].contains(&protocol.as_str()) => protocol,
        _ => return refused("the protocol is not tcp, udp or sctp"),
    };
    if published.is_some_and(|(from, to)| first != last && to - from != last - first) {
        return refused("the two ranges differ in length");
    }
    let mut ports: Vec<Port> = (first..=last)
        .map(|target| Port {
            target,
            protocol: protocol.clone(),
            host_ip: host_ip.to_owned(),
            published: match published {
                None => String::new(),
                Some((from, to)) if first == last && from != to => format!("{from}-{to}"),
                Some((from, _)) => (u32::from(from) + u32::from(target - first)).to_string(),
            },
        })
        .collect();
    ports.sort_by_cached_key(|port| format!("{}/", port.target));
    Ok(ports)
}

fn refused<T>(what: &str) -> Result<T, Refusal> {
    let hint = "write TARGET, PUBLISHED:TARGET or IP:PUBLISHED:TARGET, such as 8080:80 or \
                127.0.0.1:53:53/udp";
    Err(Refusal::new(what, hint))
}

/// Reads an address; an IPv6 address may stand in brackets.
fn host_ip(text: &str) -> Result<&str, Refusal> {
    let bare = match text.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']'),
        None => Some(text),
    };
    match bare {
        Some(ip) if ip.is_empty() || ip.parse::<IpAddr>().is_ok() => Ok(ip),
        Some(_) | None => refused("the address on the host is not an IP address"),
    }
}

/// Reads a port, or two that make a range.
fn range(text: &str) -> Option<(u16, u16)> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |text: &str| {
        // `parse` takes a sign.
        let digits = text.bytes().all(|byte| byte.is_ascii_digit());
        digits.then(|| text.parse::<u16>().ok()).flatten()
    };
    let (first, last) = (port(first)?, port(last)?);
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn reads() {
        for (text, expected) in [
            ("80", "80/tcp"),
            ("080", "80/tcp"),
            ("8080:80", "8080:80/tcp"),
            ("08080:80", "8080:80/tcp"),
            (":80", "80/tcp"),
            ("53:53/udp", "53:53/udp"),
            ("53:53/UDP", "53:53/udp"),
            ("53:53/", "53:53/tcp"),
            ("127.0.0.1:80:80", "127.0.0.1:80:80/tcp"),
            ("127.0.0.1::70", "127.0.0.1:70/tcp"),
            ("[::1]:71:71", "[::1]:71:71/tcp"),
            ("[127.0.0.1]:71:71", "127.0.0.1:71:71/tcp"),
            ("[]:71:71", "71:71/tcp"),
            ("::1:71:71", "[::1]:71:71/tcp"),
            ("100-101", "100/tcp 101/tcp"),
            ("8000-8001:80-81", "8000:80/tcp 8001:81/tcp"),
            ("9-10:9-10/udp", "10:10/udp 9:9/udp"),
            ("9000-9005:90", "9000-9005:90/tcp"),
            ("9000-9000:90", "9000:90/tcp"),
            ("[::1]:9000-9005:90", "[::1]:9000-9005:90/tcp"),
            ("65535:65535", "65535:65535/tcp"),
        ] {
            let ports = parse_ports(text).map(|ports| {
                let ports: Vec<String> = ports.iter().map(ToString::to_string).collect();
                ports.join(" ")
            });
            assert_eq!(ports, Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn refuses() {
        for (text, expected) in [
            ("", "there is no port for the container"),
            ("80:", "there is no port for the container"),
            ("/tcp", "there is no port for the container"),
            ("x", "the port in the container is not a port or range"),
            ("1.5", "the port in the container is not a port or range"),
            ("65536", "the port in the container is not a port or range"),
            ("+80", "the port in the container is not a port or range"),
            ("81-80", "the port in the container is not a port or range"),
            ("x:80", "the port on the host is not a port or range"),
            ("-1:80", "the port on the host is not a port or range"),
            ("9/sctp/x", "the protocol is not tcp, udp or sctp"),
            ("80:80/icmp", "the protocol is not tcp, udp or sctp"),
            ("1-3:80-81", "the two ranges differ in length"),
            ("1:80-81", "the two ranges differ in length"),
            (
                "localhost:80:80",
                "the address on the host is not an IP address",
            ),
            (
                "1.2.3:80:80",
                "the address on the host is not an IP address",
            ),
            ("[::1:80:80", "the address on the host is not an IP address"),
        ] {
            let message = parse_ports(text).unwrap_err();
            assert_eq!(message.why, expected, "{text}");
            assert!(message.hint.contains("such as 8080:80"), "{text}");
        }
    }

    proptest! {
        #[test]
        fn never_panics(text in "[0-9:/.\\[\\]a-f-]{0,24}") {
            let _ports = parse_ports(&text);
        }

        #[test]
        fn what_is_printed_reads_back(published in 1..=u16::MAX, target in 1..=u16::MAX) {
            let ports = parse_ports(&format!("{published}:{target}")).unwrap();
            let again = parse_ports(&ports[0].to_string()).unwrap();
            prop_assert_eq!(ports, again);
        }
    }
}
