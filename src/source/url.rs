//! Reads the address of the remote and lets through only what is understood.
//!
//! libgit2 gets an address put together from the parts read here, never the text as written:
//! what is checked and what is connected to are then the same thing.

use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::error::SourceError;

/// The address of a remote, without credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Remote {
    /// `http://` or `https://`.
    Http(Address),
    /// `ssh://`, with the user to log in as.
    Ssh { user: String, address: Address },
    /// A repository on this host: `file://` or an absolute path.
    Local(PathBuf),
}

/// Scheme, host, port and path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    scheme: Scheme,
    host: String,
    port: Option<u16>,
    path: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scheme {
    Http,
    Https,
    Ssh,
}

impl Scheme {
    fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Https => "https",
            Self::Ssh => "ssh",
        }
    }

    fn port(self) -> u16 {
        match self {
            Self::Http => 80,
            Self::Https => 443,
            Self::Ssh => 22,
        }
    }
}

impl Remote {
    /// Reads an address; refuses transports other than http, https, ssh and local paths, and
    /// credentials inside the address.
    pub(super) fn parse(text: &str) -> Result<Self, SourceError> {
        let refuse = |reason: &str| SourceError::Unsupported {
            url: without_userinfo(text),
            reason: reason.to_owned(),
        };
        if text.chars().any(|c| c.is_control() || c == '\\') {
            return Err(refuse("it has a control character or a backslash"));
        }
        if text.starts_with('/') {
            return Ok(Self::Local(PathBuf::from(text)));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(refuse(
                "write it as https://, http://, ssh://, file:// or an absolute path \
                 (for user@host:path that is ssh://user@host/path)",
            ));
        };
        let (authority, path) = match rest.find('/') {
            Some(slash) => rest.split_at(slash),
            None => (rest, ""),
        };
        let scheme = match scheme.to_ascii_lowercase().as_str() {
            "file" => return file_path(authority, path).map(Self::Local).map_err(refuse),
            "http" => Scheme::Http,
            "https" => Scheme::Https,
            "ssh" => Scheme::Ssh,
            other => {
                return Err(refuse(&format!(
                    "the transport \"{other}\" is not used; write https://, http://, ssh://, \
                     file:// or an absolute path"
                )));
            }
        };
        let (userinfo, host_port) = match authority.rsplit_once('@') {
            Some((userinfo, host_port)) => (Some(userinfo), host_port),
            None => (None, authority),
        };
        let credentials = match scheme {
            Scheme::Http | Scheme::Https => userinfo.is_some(),
            Scheme::Ssh => userinfo.is_some_and(|userinfo| userinfo.contains(':')),
        };
        if credentials {
            let url = without_userinfo(text);
            return Err(SourceError::CredentialsInUrl { url });
        }
        let address = address(scheme, host_port, path).map_err(refuse)?;
        match scheme {
            Scheme::Http | Scheme::Https => Ok(Self::Http(address)),
            Scheme::Ssh => {
                // "git" is the user of every forge, and of `git init --bare` on one's own server.
                let user = userinfo.unwrap_or("git").to_owned();
                if !is_word(&user) {
                    return Err(refuse("its user name is not a plain word"));
                }
                Ok(Self::Ssh { user, address })
            }
        }
    }

    /// Returns whether talking to it needs the certificates of this host.
    pub(super) fn uses_tls(&self) -> bool {
        match self {
            Self::Http(address) => address.scheme == Scheme::Https,
            Self::Ssh { .. } | Self::Local(_) => false,
        }
    }

    /// Returns the address in libgit2's form.
    pub(super) fn for_libgit2(&self) -> String {
        match self {
            Self::Http(address) => address.to_string(),
            Self::Ssh { user, address } => {
                let Address { host, path, .. } = address;
                format!("ssh://{user}@{host}:{}{path}", address.port())
            }
            // Always as a URL: a plain path with a colon is taken for host:path by libgit2.
            Self::Local(path) => format!("file://{}", percent_encode(path)),
        }
    }
}

impl fmt::Display for Remote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Http(address) | Self::Ssh { address, .. } => address.fmt(f),
            Self::Local(path) => path.display().fmt(f),
        }
    }
}

impl Address {
    /// Returns whether `url` leads to the same scheme, host and port.
    pub(super) fn same_origin(&self, url: &str) -> bool {
        match Remote::parse(url) {
            Ok(Remote::Http(other) | Remote::Ssh { address: other, .. }) => {
                self.scheme == other.scheme
                    && self.host == other.host
                    && self.port() == other.port()
            }
            Ok(Remote::Local(_)) | Err(_) => false,
        }
    }

    /// Returns the host as OpenSSH writes it in `known_hosts`: with brackets and port unless it
    /// is the usual one.
    pub(super) fn known_hosts_name(&self) -> String {
        if self.port() == Scheme::Ssh.port() {
            self.host.clone()
        } else {
            format!("[{}]:{}", self.host, self.port())
        }
    }

    /// Returns what a credential helper is asked: git-credential(1), "INPUT/OUTPUT FORMAT".
    pub(super) fn credential_question(&self) -> String {
        let port = self
            .port
            .map_or_else(String::new, |port| format!(":{port}"));
        let (protocol, host, path) = (self.scheme.name(), &self.host, &self.path);
        let path = path.trim_start_matches('/');
        format!("protocol={protocol}\nhost={host}{port}\npath={path}\n\n")
    }

    fn port(&self) -> u16 {
        self.port.unwrap_or(self.scheme.port())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme.name(), self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        f.write_str(&self.path)
    }
}

/// Returns the path of a repository on this host; none for a remote elsewhere.
pub fn local_path(url: &str) -> Option<PathBuf> {
    match Remote::parse(url) {
        Ok(Remote::Local(path)) => Some(path),
        Ok(Remote::Http(_) | Remote::Ssh { .. }) | Err(_) => None,
    }
}

fn address(scheme: Scheme, host_port: &str, path: &str) -> Result<Address, &'static str> {
    let (host, port) = split_port(host_port)?;
    let plain = is_word(host);
    let bracketed = host
        .strip_prefix('[')
        .and_then(|inner| inner.strip_suffix(']'))
        .is_some_and(|inner| inner.parse::<std::net::Ipv6Addr>().is_ok());
    if !plain && !bracketed {
        return Err(
            "its host is not a name of letters, digits, dots and hyphens (write an \
                    internationalised name in its xn-- form)",
        );
    }
    let known = |c: char| c.is_ascii_alphanumeric() || "/._-~+%@:=,".contains(c);
    if path.len() < 2 || !path.chars().all(known) {
        return Err("its path is missing or has a character that is not understood");
    }
    Ok(Address {
        scheme,
        host: host.to_ascii_lowercase(),
        port,
        path: path.to_owned(),
    })
}

fn split_port(host_port: &str) -> Result<(&str, Option<u16>), &'static str> {
    // The colons of an IPv6 address stand inside brackets.
    let colon = host_port
        .rfind(':')
        .filter(|&at| host_port.rfind(']').is_none_or(|bracket| at > bracket));
    let Some(colon) = colon else {
        return Ok((host_port, None));
    };
    let (host, port) = host_port.split_at(colon);
    match port.trim_start_matches(':').parse::<u16>() {
        Ok(port) if port > 0 => Ok((host, Some(port))),
        Ok(_) | Err(_) => Err("its port is not a number between 1 and 65535"),
    }
}

/// A word that can't be taken for an option or for syntax.
fn is_word(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(['-', '.'])
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "._-".contains(c))
}

fn file_path(authority: &str, path: &str) -> Result<PathBuf, &'static str> {
    if !authority.is_empty() && authority != "localhost" {
        return Err("a file:// address has three slashes and no host");
    }
    let mut bytes = Vec::with_capacity(path.len());
    let mut rest = path.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let decoded = rest
            .split_at_checked(2)
            .and_then(|(digits, tail)| Some((*hex::decode(digits).ok()?.first()?, tail)));
        let Some((decoded, tail)) = decoded.filter(|(byte, _)| *byte != 0) else {
            return Err("it has a percent sign without two hexadecimal digits");
        };
        bytes.push(decoded);
        rest = tail;
    }
    if bytes.is_empty() {
        return Err("its path is missing");
    }
    Ok(PathBuf::from(OsStr::from_bytes(&bytes)))
}

fn percent_encode(path: &Path) -> String {
    let mut out = String::new();
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/._-~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            out.push_str(&hex::encode_upper([byte]));
        }
    }
    out
}

/// Returns an address that could not be read, fit to be printed: nothing that may be a
/// credential is left in it.
fn without_userinfo(text: &str) -> String {
    let (scheme, rest) = match text.split_once("://") {
        Some((scheme, rest)) => (format!("{scheme}://"), rest),
        None => (String::new(), text),
    };
    // Up to the last "@" of the whole: a password may contain a slash. A query may be a token.
    let rest = rest.rsplit_once('@').map_or(rest, |(_, rest)| rest);
    let rest = rest.split(['?', '#']).next().unwrap_or_default();
    let short: String = rest.chars().take(200).collect();
    crate::secret::escape_control(&format!("{scheme}{short}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        Remote::parse(text).unwrap_err().to_string()
    }

    #[test]
    fn takes_the_transports_that_are_used() {
        for (text, for_libgit2) in [
            (
                "https://git.example/ops/state.git",
                "https://git.example/ops/state.git",
            ),
            ("http://[::1]:8080/state", "http://[::1]:8080/state"),
            (
                "ssh://git.example/ops/state",
                "ssh://git@git.example:22/ops/state",
            ),
            (
                "ssh://me@git.example:2222/~/state",
                "ssh://me@git.example:2222/~/state",
            ),
            ("file:///srv/a%20b.git", "file:///srv/a%20b.git"),
            ("/srv/a:b c.git", "file:///srv/a%3Ab%20c.git"),
        ] {
            assert_eq!(
                Remote::parse(text).unwrap().for_libgit2(),
                for_libgit2,
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_every_other_transport_by_name() {
        for (text, word) in [
            ("ext::sh -c 'touch /tmp/x'", "absolute path"),
            ("fd::3", "absolute path"),
            ("git://git.example/state", "\"git\""),
            ("ftp://git.example/state", "\"ftp\""),
            ("git@git.example:ops/state", "ssh://user@host/path"),
            ("state.git", "absolute path"),
            ("", "absolute path"),
        ] {
            let message = refused(text);
            assert!(message.contains(word), "{text}: {message}");
        }
    }

    #[test]
    fn refuses_hosts_and_paths_that_mean_something_else() {
        for text in [
            "ssh://-oProxyCommand=x/state",
            "ssh://-l@git.example/state",
            "https:///evil",
            "https://git.example",
            "https://git.example:0/state",
            "https://git.example:x/state",
            "https://b\u{fc}cher.example/state",
            "https://git.example/state?token=abc",
            "https://git.example/a'b",
            "https://git.example\\@evil.example/state",
            "https://git.example/a\r\nHost: x",
            "file://elsewhere/srv/state",
            "file:///srv/%zz",
            "file:///srv/%00",
        ] {
            assert!(
                matches!(Remote::parse(text), Err(SourceError::Unsupported { .. })),
                "{text}"
            );
        }
    }

    #[test]
    fn refuses_credentials_and_does_not_print_them() {
        for text in [
            "https://user:hunter2@git.example/state",
            "https://hunter2@git.example/state",
            "ssh://git:hunter2@git.example/state",
            "https://user:hunter2/@git.example/state",
        ] {
            let error = Remote::parse(text).unwrap_err();
            assert!(
                !error.to_string().contains("hunter2") && !format!("{error:?}").contains("hunter2"),
                "{error}"
            );
        }
        assert!(!refused("git://user:hunter2@git.example/x").contains("hunter2"));
    }

    #[test]
    fn binds_credentials_to_scheme_host_and_port() {
        let Remote::Http(address) = Remote::parse("https://git.example/state").unwrap() else {
            unreachable!()
        };
        assert!(address.same_origin("https://GIT.example:443/other"));
        for other in [
            "http://git.example/state",
            "https://git.example.evil.example/state",
            "https://git.example:8443/state",
        ] {
            assert!(!address.same_origin(other), "{other}");
        }
    }

    #[test]
    fn knows_local_paths() {
        assert_eq!(
            local_path("file:///srv/a%20b"),
            Some(PathBuf::from("/srv/a b"))
        );
        assert_eq!(local_path("/srv/state"), Some(PathBuf::from("/srv/state")));
        assert_eq!(local_path("https://git.example/state"), None);
    }
}
