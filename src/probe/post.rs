//! Sends a document to a receiver that the host's settings name, once and without following it
//! anywhere.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Certificate, ClientBuilder};
use url::{Host, Url};

use super::{ProbeFailure, make, send, words};
use crate::desired::checks::WantedStatus;

/// A document on its way.
pub struct Letter<'a> {
    /// Where to. Its path may be a secret, and is in no failure.
    pub url: &'a Url,
    /// JSON.
    pub body: String,
    /// Further headers.
    pub headers: Vec<(&'static str, String)>,
    /// Authorities in PEM that may vouch for the receiver, in the place of this host's.
    pub authorities: Option<Vec<u8>>,
    /// Whether the receiver may be on this host or in a private network, and without TLS.
    pub private: bool,
}

/// Sends a letter once; returns the status of the answer, of which the rest is not read.
///
/// # Errors
/// It was not taken: no status from 200 to 299 came. At the latest after `limit`.
pub async fn post(letter: Letter<'_>, limit: Duration) -> Result<u16, ProbeFailure> {
    refuse_place(letter.url, letter.private)?;
    let unusable = |error: reqwest::Error| ProbeFailure::Client(words(&error.without_url()));
    let allowed = Allowed {
        private: letter.private,
    };
    let mut builder = ClientBuilder::new().dns_resolver(Arc::new(allowed));
    if let Some(pem) = &letter.authorities {
        let authorities = Certificate::from_pem_bundle(pem).map_err(unusable)?;
        builder = builder.tls_certs_only(authorities);
    }
    let client = make(builder).map_err(ProbeFailure::Client)?;
    let mut request = client.post(letter.url.clone()).body(letter.body);
    request = request.header("content-type", "application/json");
    for (name, value) in letter.headers {
        request = request.header(name, value);
    }
    let response = send(request, limit).await?;
    let (status, wanted) = (response.status().as_u16(), WantedStatus::Success);
    if wanted.accepts(status) {
        return Ok(status);
    }
    // Where it would lead to may be told only by somebody who knows that it is no secret.
    let location = None;
    Err(ProbeFailure::Status {
        status,
        location,
        wanted,
    })
}

/// Refuses an address that stands in the URL itself, and one without TLS. Names are refused when
/// they are looked up, so that what is connected to is what was looked at.
fn refuse_place(url: &Url, private: bool) -> Result<(), ProbeFailure> {
    let refuse = |why: &str| Err(ProbeFailure::Unreachable(why.to_owned()));
    match url.scheme() {
        "https" => {}
        "http" if private => {}
        "http" => return refuse("its address has no TLS (https), and private: true is not said"),
        _ => return refuse("its address is neither https nor http"),
    }
    let address = match url.host() {
        Some(Host::Ipv4(address)) => Some(IpAddr::V4(address)),
        Some(Host::Ipv6(address)) => Some(IpAddr::V6(address)),
        Some(Host::Domain(_)) => None,
        None => return refuse("its address names no host"),
    };
    match address.and_then(|address| refusal(address, private)) {
        Some(why) => refuse(why),
        None => Ok(()),
    }
}

/// Looks names up, and gives the addresses alone that may be sent to.
struct Allowed {
    private: bool,
}

impl Resolve for Allowed {
    fn resolve(&self, name: Name) -> Resolving {
        let private = self.private;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let mut refused = None;
            let mut allowed: Vec<SocketAddr> = Vec::new();
            for address in found {
                match refusal(address.ip(), private) {
                    Some(why) => refused = Some(why),
                    None => allowed.push(address),
                }
            }
            match refused {
                Some(why) if allowed.is_empty() => Err(why.into()),
                Some(_) | None => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}

/// Returns why nothing is sent to an address.
fn refusal(address: IpAddr, private: bool) -> Option<&'static str> {
    let (link_local, inside) = match address.to_canonical() {
        IpAddr::V4(address) => (address.is_link_local(), is_inside_v4(address)),
        IpAddr::V6(address) => (address.is_unicast_link_local(), is_inside_v6(address)),
    };
    if link_local {
        // Where clouds tell their machines secrets.
        return Some("its address is a link-local one, where nothing is sent to");
    }
    (inside && !private)
        .then_some("its address is on this host or private, and private: true is not said")
}

fn is_inside_v4(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    let shared = first == 100 && (64..128).contains(&second);
    address.is_loopback() || address.is_private() || address.is_unspecified() || shared
}

fn is_inside_v6(address: Ipv6Addr) -> bool {
    address.is_loopback() || address.is_unique_local() || address.is_unspecified()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(url: &str, private: bool) -> Option<String> {
        let refused = refuse_place(&Url::parse(url).unwrap(), private);
        refused.err().map(|error| error.to_string())
    }

    #[test]
    fn nothing_is_sent_inside_unless_that_is_said() {
        for url in [
            "https://127.0.0.1/x",
            "https://2130706433/x",
            "https://0x7f000001/",
            "https://10.1.2.3/",
            "https://[::1]/",
            "https://[::ffff:192.168.0.1]/",
            "https://[fd00::1]/",
            "https://100.64.0.1/",
            "https://0.0.0.0/",
        ] {
            assert!(refused(url, false).unwrap().contains("private"), "{url}");
            assert_eq!(refused(url, true), None, "{url}");
        }
        for url in [
            "https://169.254.169.254/",
            "https://[fe80::1]/",
            "https://[::ffff:a9fe:a9fe]/",
        ] {
            assert!(refused(url, true).unwrap().contains("link-local"), "{url}");
        }
        assert_eq!(refused("https://93.184.216.34/", false), None);
        assert_eq!(refused("https://hooks.example.org/", false), None);
        assert!(
            refused("http://hooks.example.org/", false)
                .unwrap()
                .contains("TLS")
        );
        assert_eq!(refused("http://hooks.example.org/", true), None);
        assert!(refused("ftp://hooks.example.org/", true).is_some());
    }

    #[tokio::test]
    async fn a_name_that_leads_inside_is_not_asked() {
        let url = Url::parse("https://localhost:1/SECRET").unwrap();
        let letter = Letter {
            url: &url,
            body: "{}".to_owned(),
            headers: Vec::new(),
            authorities: None,
            private: false,
        };
        let error = post(letter, Duration::from_secs(5)).await.unwrap_err();
        let error = error.to_string();
        assert!(error.contains("private: true is not said"), "{error}");
        assert!(!error.contains("SECRET"), "{error}");
    }
}
