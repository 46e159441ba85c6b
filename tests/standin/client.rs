//! The HTTP client, and names without the C library's resolver.

use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};

use crate::server::Head;
use crate::{PATIENCE, number, port, print};

/// GETs a path of the server in this container: 0 if it answers 200.
pub fn check(path: &str) -> Result<u8, String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port()?));
    let (status, _) = fetch(Method::Get, address, "localhost", path)?;
    Ok(u8::from(status != 200))
}

/// GETs a URL and prints the body: 0 if the status is 2xx.
pub fn get(url: &str) -> Result<u8, String> {
    let (status, body) = request(Method::Get, url)?;
    print(&body)?;
    Ok(u8::from(!(200..300).contains(&status)))
}

/// The methods that this client has.
#[derive(Clone, Copy)]
pub enum Method {
    Get,
    Post,
}

/// Asks a server for a URL; returns status and body.
pub fn request(method: Method, url: &str) -> Result<(u16, Vec<u8>), String> {
    let rest = url
        .strip_prefix("http://")
        .ok_or("only http:// is understood")?;
    let (authority, path) = match rest.find('/') {
        Some(slash) => rest.split_at(slash),
        None => (rest, "/"),
    };
    let (host, port) = match authority.split_once(':') {
        Some((host, port)) => (host, number("port", port)?),
        None => (authority, 80),
    };
    let address = SocketAddr::from((resolve(host)?, port));
    fetch(method, address, authority, path)
}

fn fetch(
    method: Method,
    address: SocketAddr,
    host: &str,
    path: &str,
) -> Result<(u16, Vec<u8>), String> {
    let method = match method {
        Method::Get => "GET",
        Method::Post => "POST",
    };
    let ask = || -> io::Result<(u16, Vec<u8>)> {
        let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(
            stream,
            "{method} {path} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\
             Connection: close\r\n\r\n"
        )?;
        let mut reader = BufReader::new(stream);
        let mut status_line = String::new();
        reader.read_line(&mut status_line)?;
        let status = status_line
            .split(' ')
            .nth(1)
            .and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| io::Error::other("no HTTP response"))?;
        Head::read(&mut reader)?;
        let mut body = Vec::new();
        reader.read_to_end(&mut body)?;
        Ok((status, body))
    };
    ask().map_err(|e| format!("{method} http://{address}{path}: {e}"))
}

// --- names ---
// glibc's resolver loads the system's libraries at run time, and a one-file image has none.

fn resolve(host: &str) -> Result<Ipv4Addr, String> {
    if let Ok(address) = host.parse() {
        return Ok(address);
    }
    let hosts = fs::read_to_string("/etc/hosts").unwrap_or_default();
    let known = hosts.lines().find_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let address = words.next()?.parse().ok()?;
        words.any(|name| name == host).then_some(address)
    });
    if let Some(address) = known {
        return Ok(address);
    }
    let conf = fs::read_to_string("/etc/resolv.conf").map_err(|e| format!("resolv.conf: {e}"))?;
    let server: Ipv4Addr = conf
        .lines()
        .filter_map(|line| line.strip_prefix("nameserver"))
        .find_map(|rest| rest.trim().parse().ok())
        .ok_or("resolv.conf names no IPv4 name server")?;
    let ask = || -> io::Result<Vec<u8>> {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.connect((server, 53))?;
        socket.send(&question(host))?;
        let mut reply = vec![0; 1500];
        let length = socket.recv(&mut reply)?;
        reply.truncate(length);
        Ok(reply)
    };
    let reply = ask().map_err(|e| format!("asking {server} for {host}: {e}"))?;
    first_address(&reply).ok_or_else(|| format!("{server} knows no address of {host}"))
}

/// Returns a DNS query (RFC 1035, section 4) for the IPv4 address of a name.
fn question(host: &str) -> Vec<u8> {
    // Id, recursion desired, one question, no other records.
    let mut packet = vec![0x4d, 0x52, 0x01, 0x00, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in host.trim_end_matches('.').split('.') {
        let label = &label.as_bytes()[..label.len().min(63)];
        packet.push(label.len() as u8);
        packet.extend_from_slice(label);
    }
    packet.extend_from_slice(&[0, 0, 1, 0, 1]); // end of name, type A, class IN
    packet
}

/// Returns the first A record of a DNS reply.
fn first_address(reply: &[u8]) -> Option<Ipv4Addr> {
    let u16_at = |at: usize| Some(u16::from_be_bytes([*reply.get(at)?, *reply.get(at + 1)?]));
    let end_of_name = |mut at: usize| loop {
        match *reply.get(at)? {
            0 => return Some(at + 1),
            length if length & 0xc0 == 0xc0 => return Some(at + 2), // a pointer ends a name
            length => at += 1 + usize::from(length),
        }
    };
    let mut at = 12;
    for _ in 0..u16_at(4)? {
        at = end_of_name(at)? + 4;
    }
    for _ in 0..u16_at(6)? {
        at = end_of_name(at)?;
        let length = usize::from(u16_at(at + 8)?);
        let data = reply.get(at + 10..at + 10 + length)?;
        if (u16_at(at)?, u16_at(at + 2)?) == (1, 1) {
            return <[u8; 4]>::try_from(data).ok().map(Ipv4Addr::from);
        }
        at += 10 + length;
    }
    None
}
