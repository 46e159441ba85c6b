//! Certificates from the disk: renewed behind Git's back, by halves, and in peace.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use super::proxy_stage::{Front, caddyfile, contents, site};
use crate::support::docker_cli::eventually;
use crate::support::host_proxy::{certificate, free_port};

/// Returns the serial number of the certificate that a port of this host shows.
fn serial(port: u16) -> String {
    let shown = Command::new("openssl")
        .args(["s_client", "-connect", &format!("127.0.0.1:{port}")])
        .args(["-servername", "shop.example"])
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let mut read = Command::new("openssl")
        .args(["x509", "-noout", "-serial"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut input = read.stdin.take().unwrap();
    std::io::Write::write_all(&mut input, &shown.stdout).unwrap();
    drop(input);
    let serial = String::from_utf8(read.wait_with_output().unwrap().stdout).unwrap();
    if serial.is_empty() {
        return format!("none: {}", String::from_utf8_lossy(&shown.stderr));
    }
    serial
}

/// Puts the files of another certificate in the place of these.
fn renew(certs: &Path, files: &[&str]) {
    let new = tempfile::tempdir().unwrap();
    certificate(new.path());
    for file in files {
        fs::copy(new.path().join(file), certs.join(file)).unwrap();
    }
}

/// Renews the certificate of a proxy, by halves too.
#[track_caller]
fn renewed(front: &Front, port: u16, certs: &Path, config: &Path) {
    front.serves("one");
    front.quiet();
    let (lives, first) = (front.lives(), serial(port));
    assert!(first.starts_with("serial="), "{first}");
    let released = front.release();

    renew(certs, &["cert", "key"]);
    assert_eq!(serial(port), first, "nobody has read it yet");
    front.told(config, &["certificate", "/certs/cert"]);
    front.stage.reconcile();
    eventually("the renewed one is shown", || {
        let shown = serial(port);
        shown.starts_with("serial=") && shown != first
    });
    let second = serial(port);
    assert_eq!(front.lives(), lives, "no container was touched");
    assert_ne!(front.release(), released);
    front.quiet();

    // Half written: the key is another's.
    let new = tempfile::tempdir().unwrap();
    certificate(new.path());
    fs::copy(new.path().join("cert"), certs.join("cert")).unwrap();
    let before = contents(config);
    for _ in 0..2 {
        let ran = front.pass();
        assert_ne!(ran.code, Some(0), "{}", ran.out);
        assert!(!ran.out.contains("held"), "{}", ran.out);
        assert_eq!(serial(port), second, "the old one is still served");
    }
    assert_eq!(contents(config), before);
    assert_eq!(front.lives(), lives);
    fs::copy(new.path().join("key"), certs.join("key")).unwrap();
    front.stage.reconcile();
    eventually("the whole one is shown", || {
        let shown = serial(port);
        shown.starts_with("serial=") && shown != second
    });
    assert_eq!(front.lives(), lives);
    front.quiet();
}

/// Sets up a proxy that shows a certificate of the host at a port of its own.
fn with_tls(
    area: &str,
    kind: &str,
    mount: &str,
    configs: &str,
) -> (Front, u16, std::path::PathBuf) {
    let port = free_port();
    let mut front = Front::service(area, kind, &[mount], configs);
    let certs = front.stage.path("certs");
    fs::create_dir(&certs).unwrap();
    certificate(&certs);
    front.show_tls(port, &certs);
    (front, port, certs)
}

#[test]
fn a_renewed_certificate_is_noticed_by_nginx() {
    let (front, port, certs) = with_tls(
        "tls",
        "nginx",
        "./nginx/site.conf:/etc/nginx/conf.d/site.conf:ro",
        "configs: {nginx/site.conf: /etc/nginx/conf.d/site.conf}",
    );
    let tls = "    listen 443 ssl;\n    ssl_certificate /certs/cert;\n    \
               ssl_certificate_key /certs/key;\n";
    front.commit("one", &[("nginx/site.conf", &site("one", tls))]);
    front.stage.reconcile();
    renewed(&front, port, &certs, &front.project("nginx"));

    // A commit that names a certificate which is not there is another matter.
    let missing = site("two", &tls.replace("/certs/cert", "/certs/none"));
    front.stage.commit("two", &[("nginx/site.conf", &missing)]);
    front.refused(&front.project("nginx"), &["/certs/none"]);
}

#[test]
fn a_renewed_certificate_is_noticed_by_caddy() {
    let (front, port, certs) = with_tls(
        "tlscaddy",
        "caddy",
        "./Caddyfile:/etc/caddy/Caddyfile:ro",
        "configs: {Caddyfile: /etc/caddy/Caddyfile}",
    );
    let tls = ":443 {\n\ttls /certs/cert /certs/key\n\trespond /__moored \"@moored.marker@\"\n}\n";
    front.commit("one", &[("Caddyfile", &caddyfile("one", tls))]);
    front.stage.reconcile();
    renewed(
        &front,
        port,
        &certs,
        &front.project("Caddyfile").with_file_name(""),
    );
}
