//! Fetching over HTTPS from a server whose authority only the settings know.

use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use moored::config::{Auth, Repository};
use moored::source::{self, SourceError};

use super::http::free_port;
use super::{Host, answer, program, settings};
use crate::support::git_http::GitHttp;
use crate::support::origin::Origin;
use crate::support::put;

/// nginx in front of a Git server; ends when dropped.
struct Tls {
    process: Child,
    port: u16,
    directory: tempfile::TempDir,
}

impl Tls {
    /// Starts one whose certificate, by an authority of its own, is for `name`.
    fn start(server: &GitHttp, name: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).display().to_string();
        for authority in ["ca", "other"] {
            openssl(&[
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-subj",
                &format!("/CN={authority}"),
                "-keyout",
                &path(&format!("{authority}.key")),
                "-out",
                &path(&format!("{authority}.pem")),
            ]);
        }
        openssl(&[
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            "/CN=git",
            "-keyout",
            &path("key"),
            "-out",
            &path("csr"),
        ]);
        put(path("names"), format!("subjectAltName={name}"));
        openssl(&[
            "x509",
            "-req",
            "-in",
            &path("csr"),
            "-CA",
            &path("ca.pem"),
            "-CAkey",
            &path("ca.key"),
            "-set_serial",
            "1",
            "-days",
            "1",
            "-extfile",
            &path("names"),
            "-out",
            &path("cert"),
        ]);
        let port = free_port();
        let dir = path("");
        let behind = server.url("");
        let kinds = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary = kinds.map(|kind| format!("{kind}_temp_path {dir}{kind};"));
        let temporary = temporary.join("\n");
        put(
            path("conf"),
            format!(
                "daemon off; master_process off; pid {dir}pid; error_log {dir}error.log;\n\
                 events {{}}\nhttp {{ access_log off; {temporary}\n\
                 server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {dir}cert;\n\
                 ssl_certificate_key {dir}key; location / {{ proxy_pass {behind}; }} }} }}\n"
            ),
        );
        let process = Command::new("nginx")
            .args(["-c", &path("conf"), "-p", &dir, "-e", &path("error.log")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("nginx is not installed");
        let started = (0..250).any(|_| {
            std::thread::sleep(Duration::from_millis(20));
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        assert!(started, "{:?}", std::fs::read_to_string(path("error.log")));
        Self {
            process,
            port,
            directory,
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Fetches with an authority.
    async fn fetch(
        &self,
        host: &Host,
        ca_file: Option<&Path>,
    ) -> Result<source::FetchAnswer, SourceError> {
        let url = format!("https://127.0.0.1:{}/state.git", self.port);
        let settings = Repository {
            ca_file: ca_file.map(Path::to_owned),
            ..settings(&url, "main", Auth::None)
        };
        source::fetch(&settings, &host.mirror(), program()).await
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn openssl(arguments: &[&str]) {
    let made = Command::new("openssl").args(arguments).output().unwrap();
    assert!(made.status.success(), "{made:?}");
}

#[tokio::test]
async fn takes_a_private_authority_from_the_settings_and_no_other() {
    let (origin, first) = Origin::with_main(&[("a", "1")]);
    let server = GitHttp::serve(origin.directory.path());
    let tls = Tls::start(&server, "IP:127.0.0.1");
    let host = Host::new();
    for untrusted in [None, Some(tls.file("other.pem"))] {
        let fetched = tls.fetch(&host, untrusted.as_deref()).await;
        assert!(
            matches!(fetched, Err(SourceError::Certificate { .. })),
            "{fetched:?}"
        );
    }
    assert!(server.take_requests().is_empty(), "nothing was asked");
    let fetched = tls.fetch(&host, Some(&tls.file("ca.pem"))).await;
    assert_eq!(fetched, Ok(answer(&first)));
    assert_eq!(host.read(&first, "a"), "1");
    for unusable in ["key", "missing", ""] {
        let error = tls
            .fetch(&host, Some(&tls.file(unusable)))
            .await
            .unwrap_err();
        assert!(matches!(error, SourceError::AuthFile { .. }), "{error}");
    }
}

#[tokio::test]
async fn refuses_a_certificate_for_another_name() {
    let (origin, _) = Origin::with_main(&[("a", "1")]);
    let server = GitHttp::serve(origin.directory.path());
    let tls = Tls::start(&server, "IP:127.0.0.2,DNS:git.example.org");
    let fetched = tls.fetch(&Host::new(), Some(&tls.file("ca.pem"))).await;
    assert!(
        matches!(fetched, Err(SourceError::Certificate { .. })),
        "{fetched:?}"
    );
}
