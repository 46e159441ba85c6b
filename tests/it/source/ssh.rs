//! Fetching over ssh, with pinned host keys.

use std::path::{Path, PathBuf};
use std::process::Command;

use moored::config::Auth;
use moored::source::SourceError;

use super::{Host, answer};
use crate::support::origin::Origin;
use crate::support::put;
use crate::support::sshd::Sshd;

fn pinned(host: &Host, text: &str) -> PathBuf {
    let path = host.directory.path().join("known_hosts");
    put(&path, text);
    path
}

fn auth(key: PathBuf, known_hosts: &Path) -> Auth {
    Auth::SshKey {
        ssh_key: key,
        known_hosts: known_hosts.to_owned(),
    }
}

#[tokio::test]
async fn takes_pinned_keys_plain_and_hashed() {
    let (origin, first) = Origin::with_main(&[("a", "1")]);
    let server = Sshd::start();
    let (host, url) = (Host::new(), server.url(&origin.path()));
    let (name, key) = (server.name(), server.public("host"));
    let comments = format!("# ours\n\nother.example {}\n", server.public("stranger"));
    for line in [
        format!("{name} {key}\n"),
        format!("git.example,{name} {key} a comment\n"),
        // The server prefers another kind of key than the only one that is pinned.
        format!("{name} {}\n", server.public("host_ecdsa")),
        format!("127.0.0.1 {key}\n"),
    ] {
        let known_hosts = pinned(&host, &format!("{comments}{line}"));
        let auth = auth(server.key("user"), &known_hosts);
        let fetched = host.fetch_as(&url, "main", auth).await;
        assert_eq!(fetched, Ok(answer(&first)), "{line}");
    }
    let known_hosts = pinned(&host, &format!("{name} {key}\n"));
    let hashed = Command::new("ssh-keygen")
        .args(["-q", "-H", "-f"])
        .arg(&known_hosts)
        .output();
    assert!(hashed.unwrap().status.success());
    let text = std::fs::read_to_string(&known_hosts).unwrap();
    assert!(text.starts_with("|1|"), "{text}");
    let auth = auth(server.key("user"), &known_hosts);
    assert_eq!(
        host.fetch_as(&url, "main", auth).await,
        Ok(answer(&first)),
        "hashed"
    );
    assert_eq!(host.read(&first, "a"), "1");
}

#[tokio::test]
async fn refuses_unknown_and_changed_host_keys() {
    let (origin, _) = Origin::with_main(&[("a", "1")]);
    let server = Sshd::start();
    let (host, url) = (Host::new(), server.url(&origin.path()));
    let (name, key, other) = (
        server.name(),
        server.public("host"),
        server.public("stranger"),
    );
    for text in [
        String::new(),
        format!("[127.0.0.1]:1 {key}\n"),
        format!("other.example {key}\n"),
        format!("* {key}\n"),
    ] {
        let auth = auth(server.key("user"), &pinned(&host, &text));
        let error = host.fetch_as(&url, "main", auth).await.unwrap_err();
        assert!(
            matches!(&error, SourceError::HostKeyUnknown { host, .. } if *host == name),
            "{text}: {error}"
        );
        assert!(error.to_string().contains("SHA256:"), "{error}");
    }
    let auth = auth(
        server.key("user"),
        &pinned(&host, &format!("{name} {other}\n")),
    );
    let error = host.fetch_as(&url, "main", auth).await.unwrap_err();
    let printed = Command::new("ssh-keygen")
        .args(["-l", "-f"])
        .arg(server.key("host").with_extension("pub"))
        .output()
        .unwrap();
    let printed = String::from_utf8(printed.stdout).unwrap();
    let ours = printed.split(' ').nth(1).unwrap();
    assert!(
        matches!(&error, SourceError::HostKeyChanged { fingerprint, .. } if fingerprint == ours),
        "{error} {ours}"
    );
}

#[tokio::test]
async fn reports_keys_that_are_refused_or_missing() {
    let (origin, _) = Origin::with_main(&[("a", "1")]);
    let server = Sshd::start();
    let (host, url) = (Host::new(), server.url(&origin.path()));
    let known_hosts = pinned(
        &host,
        &format!("{} {}\n", server.name(), server.public("host")),
    );
    let stranger = auth(server.key("stranger"), &known_hosts);
    for auth in [stranger, Auth::None] {
        let error = host.fetch_as(&url, "main", auth).await.unwrap_err();
        assert!(matches!(error, SourceError::AuthFailed { .. }), "{error}");
    }
    let missing = auth(server.key("nowhere"), &known_hosts);
    let unpinned = auth(server.key("user"), &server.key("nowhere"));
    put(
        host.directory.path().join("revoked"),
        format!("@revoked * {}\n", server.public("host")),
    );
    let revoked = auth(server.key("user"), &host.directory.path().join("revoked"));
    for auth in [missing, unpinned, revoked] {
        let error = host.fetch_as(&url, "main", auth).await.unwrap_err();
        assert!(matches!(error, SourceError::AuthFile { .. }), "{error}");
    }
    let missing = server.url(&origin.path().with_extension("nowhere"));
    let auth = auth(server.key("user"), &known_hosts);
    let error = host.fetch_as(&missing, "main", auth).await.unwrap_err();
    assert!(
        matches!(error, SourceError::NotARepository { .. }),
        "{error}"
    );
}
