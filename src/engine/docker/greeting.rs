//! Asks an engine for the version of its API, in one exchange.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};

/// Header bytes of an answer that we are willing to read.
const MAX_HEADER: usize = 8 * 1024;

/// Returns the version that whoever listens at the other end of a stream speaks.
pub(super) async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
) -> io::Result<(usize, usize)> {
    stream
        .write_all(b"GET /_ping HTTP/1.1\r\nHost: docker\r\nConnection: close\r\n\r\n")
        .await?;
    let mut answer = Vec::new();
    while answer.len() < MAX_HEADER && !ends_header(&answer) {
        let mut chunk = [0_u8; 1024];
        let read = stream.read(&mut chunk).await?;
        if read == 0 {
            break;
        }
        answer.extend(chunk.iter().take(read));
    }
    read_version(&String::from_utf8_lossy(&answer)).ok_or_else(|| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            "what listens there does not answer like a container engine",
        )
    })
}

fn ends_header(bytes: &[u8]) -> bool {
    bytes.windows(4).any(|window| window == b"\r\n\r\n")
}

fn read_version(header: &str) -> Option<(usize, usize)> {
    header.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let (major, minor) = value.trim().split_once('.')?;
        name.eq_ignore_ascii_case("api-version")
            .then(|| Some((major.parse().ok()?, minor.parse().ok()?)))?
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_comes_from_the_header() {
        let header = "HTTP/1.1 200 OK\r\napi-Version: 1.41\r\nDocker-Experimental: false\r\n\r\n";
        assert_eq!(read_version(header), Some((1, 41)));
        assert_eq!(
            read_version("HTTP/1.1 200 OK\r\nServer: nginx/1.22\r\n\r\n"),
            None
        );
        assert_eq!(
            read_version("HTTP/1.1 200 OK\r\nApi-Version: x.y\r\n\r\n"),
            None
        );
        assert_eq!(read_version(""), None);
    }
}
