//! Pins the host keys of an ssh remote.
//!
//! The check itself is libssh2's, on the pinned file and no other: it knows plain and hashed
//! entries, and which kinds of key to ask the server for. It looks for `[host]:port` and then
//! for the bare host, as OpenSSH does. Patterns with `*` match nothing.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;

use git2::cert::CertHostkey;

use super::error::SourceError;
use super::url::Address;

/// Longest file of pinned keys, in bytes: thousands of entries.
const LONGEST: u64 = 1024 * 1024;

/// Puts the pinned keys where libgit2 looks for them: in the child's home.
pub(super) fn pin(known_hosts: &Path, home: &Path, host: &Address) -> Result<(), SourceError> {
    let unusable = |message: String| SourceError::AuthFile {
        what: "the file of known hosts".to_owned(),
        path: known_hosts.to_owned(),
        message,
    };
    let text = read(known_hosts).map_err(|e| unusable(e.to_string()))?;
    // libssh2 takes the marker for a host name, so a revoked key would be forgotten.
    if text.lines().any(|line| line.trim_start().starts_with('@')) {
        return Err(unusable(format!(
            "it has a line with @revoked or @cert-authority, which is not understood; keep only \
             the keys of {} in it",
            host.known_hosts_name()
        )));
    }
    let ssh = home.join(".ssh");
    fs::create_dir(&ssh)
        .and_then(|()| File::create(ssh.join("known_hosts")))
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|e| SourceError::Mirror {
            path: ssh,
            message: e.to_string(),
        })
}

/// Says why a host key was refused: its host has another key here, or none.
///
/// A hashed entry does not show its host, so a change behind one is reported as an unknown key.
pub(super) fn refusal(known_hosts: &Path, host: &Address, fingerprint: String) -> SourceError {
    let text = read(known_hosts).unwrap_or_default();
    let name = host.known_hosts_name();
    let known_hosts = known_hosts.to_owned();
    if names(&text, &name) {
        SourceError::HostKeyChanged {
            host: name,
            fingerprint,
            known_hosts,
        }
    } else {
        SourceError::HostKeyUnknown {
            host: name,
            fingerprint,
            known_hosts,
        }
    }
}

/// Returns the fingerprint of a host key as OpenSSH prints it.
pub(super) fn fingerprint(key: &CertHostkey<'_>) -> Option<String> {
    key.hash_sha256()
        .map(|hash| format!("SHA256:{}", base64(hash)))
}

fn names(text: &str, host: &str) -> bool {
    text.lines()
        .filter_map(|line| line.split_whitespace().next())
        .flat_map(|hosts| hosts.split(','))
        .any(|name| name.eq_ignore_ascii_case(host))
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(LONGEST).read_to_string(&mut text)?;
    Ok(text)
}

/// Base64 without padding (RFC 4648), as fingerprints are written.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for chunk in bytes.chunks(3) {
        let group = chunk
            .iter()
            .chain(std::iter::repeat(&0))
            .take(3)
            .fold(0_usize, |group, &byte| group << 8 | usize::from(byte));
        for digit in 0..=chunk.len() {
            let index = group >> (18 - 6 * digit) & 63;
            out.extend(DIGITS.get(index).copied().map(char::from));
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_base64_without_padding() {
        for (bytes, text) in [
            ("", ""),
            ("f", "Zg"),
            ("fo", "Zm8"),
            ("foo", "Zm9v"),
            ("foob", "Zm9vYg"),
            ("\u{fb}\u{ff}", "w7vDvw"),
        ] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn finds_plain_names_only() {
        let text = "# mine\n[git.example]:2222,10.0.0.1 ssh-ed25519 AAAA\n|1|c2FsdA==|aGFzaA== ssh-rsa AAAA\n";
        assert!(names(text, "[git.example]:2222"));
        assert!(names(text, "10.0.0.1"));
        assert!(!names(text, "git.example"));
    }
}
