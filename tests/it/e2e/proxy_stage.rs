//! A stage with a proxy in front of it: what it is made of, and what visitors and the engine say.

use std::fs;
use std::path::Path;

use super::stage::{Ran, Stage};
use crate::support::docker_cli::{docker, eventually};
use crate::support::host_proxy::free_port;
use crate::support::http::get;
use crate::support::put;
use crate::support::vehicles::{CANARY, images};

/// A stack of a service `web`, and a proxy.
pub(super) struct Front {
    pub(super) stage: Stage,
    /// Image of `web`.
    pub(super) web: String,
    /// Port of the host that the proxy listens on.
    pub(super) port: u16,
    /// Lines of the manifest under `proxy:`, and after.
    proxy: String,
    /// Services beside `web`, and what comes after.
    services: String,
}

impl Front {
    /// Sets up a stack whose proxy is a service `front` with this image, these mounts and these
    /// lines of the manifest under `proxy.KIND`.
    pub(super) fn service(area: &str, kind: &str, mounts: &[&str], proxy: &str) -> Self {
        let stage = Stage::new(area);
        let port = free_port();
        let image = image(&stage, kind);
        let mounts = mounts.iter().map(|mount| format!("      - {mount}\n"));
        let mounts = mounts.collect::<Vec<_>>().concat();
        let services = format!(
            "  front:\n    image: {image}\n    ports: ['127.0.0.1:{port}:80']\n    \
             stop_grace_period: 1s\n    volumes:\n{mounts}"
        );
        let proxy = format!(
            "proxy:\n  {kind}:\n    service: front\n    marker: /__moored\n{}",
            indented(proxy)
        );
        Self::with(stage, port, &proxy, &services)
    }

    /// Sets up a stack whose proxy is not in it.
    pub(super) fn elsewhere(stage: Stage, port: u16, kind: &str, proxy: &str) -> Self {
        let proxy = format!("proxy:\n  {kind}:\n{}", indented(proxy));
        Self::with(stage, port, &proxy, "")
    }

    fn with(stage: Stage, port: u16, proxy: &str, services: &str) -> Self {
        let secrets = stage.path("secrets.env");
        put(&secrets, format!("API_TOKEN={CANARY}\n"));
        Self {
            web: stage.app("v1"),
            stage,
            port,
            proxy: proxy.to_owned(),
            services: services.to_owned(),
        }
    }

    /// Puts `web` in a network that another project has made.
    pub(super) fn in_network(&mut self, network: &str) {
        self.services = format!(
            "    networks: [edge]\nnetworks: {{edge: {{name: {network}, external: true}}}}\n"
        );
    }

    /// Publishes port 443 of the proxy, asks it there, and mounts these certificates.
    pub(super) fn show_tls(&mut self, port: u16, certs: &Path) {
        let plain = "    stop_grace_period: 1s\n    volumes:\n";
        assert!(self.services.contains(plain), "{}", self.services);
        let mounted = format!("{plain}      - {}:/certs:ro\n", certs.display());
        self.services = self.services.replace(plain, &mounted);
        let ports = format!("    ports: ['127.0.0.1:{port}:443', ");
        self.services = self.services.replace("    ports: [", &ports);
        let marker = format!("marker: https://127.0.0.1:{port}/__moored");
        self.proxy = self.proxy.replace("marker: /__moored", &marker);
    }

    /// Commits these files, with the manifest and the Compose file.
    pub(super) fn commit(&self, message: &str, files: &[(&str, &str)]) -> String {
        self.commit_with(message, "", "", files)
    }

    /// Commits with further keys under the proxy's kind, and of the manifest.
    pub(super) fn commit_with(
        &self,
        message: &str,
        proxy: &str,
        manifest: &str,
        files: &[(&str, &str)],
    ) -> String {
        let more = format!(
            "env: {{web: {{files: ['{}']}}}}\n{}{}{manifest}",
            self.stage.path("secrets.env").display(),
            self.proxy,
            indented(proxy),
        );
        let manifest = self.stage.manifest(&[("web", &self.web)], &more);
        let compose = self.stage.web(&self.services);
        let mut all = vec![
            ("moored.yaml", manifest.as_str()),
            ("compose.yaml", &compose),
        ];
        all.extend(files);
        self.stage.commit(message, &all)
    }

    /// Does one pass.
    pub(super) fn pass(&self) -> Ran {
        self.stage.moored(&["reconcile"])
    }

    /// Returns what the proxy answers; panics with what came instead.
    #[track_caller]
    pub(super) fn get(&self, path: &str) -> String {
        let answer = get(&format!("http://127.0.0.1:{}{path}", self.port)).unwrap();
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.body
    }

    /// Returns the id of the last release.
    pub(super) fn release(&self) -> String {
        let status = self.stage.moored(&["drift", "--format", "json"]).json();
        let release = &status[0]["release"];
        let revision = release["revision"].as_str().expect("a release");
        format!("{}-{}", release["attempt"], &revision[..7])
    }

    /// Checks that the proxy has loaded what was released last, and serves this and `web`.
    #[track_caller]
    pub(super) fn serves(&self, hello: &str) {
        assert_eq!(self.get("/hello"), hello);
        eventually("web answers through the proxy", || {
            let answer = get(&format!("http://127.0.0.1:{}/", self.port));
            answer.is_ok_and(|answer| answer.body.contains(r#""version":"v1""#))
        });
    }

    /// Checks that nothing is left to do, and that no secret got out.
    #[track_caller]
    pub(super) fn quiet(&self) {
        let plan = self.stage.moored(&["plan"]).exits(0);
        assert!(plan.out.contains("nothing to do"), "{}", plan.out);
        self.stage.moored(&["drift"]).exits(0);
        self.secret();
    }

    /// Checks that no secret is in what the program said or keeps.
    #[track_caller]
    pub(super) fn secret(&self) {
        let said = self.stage.said();
        assert!(!said.contains(CANARY), "a secret was said:\n{said}");
        unseen(&self.stage.path("moored"));
    }

    /// Returns ids and start times of the containers, by which a replaced or restarted one is
    /// told.
    pub(super) fn lives(&self) -> Vec<String> {
        let names = self.stage.names();
        let life = |name: &String| {
            docker(&[
                "inspect",
                "--format",
                "{{.Name}} {{.Id}} {{.State.StartedAt}}",
                name,
            ])
        };
        names.iter().map(life).collect()
    }

    /// Checks that a commit is refused before anything is touched: it fails and is held, what is
    /// live stays as it is, and the old configuration is served.
    #[track_caller]
    pub(super) fn refused(&self, live: &Path, says: &[&str]) -> Ran {
        let (before, lives) = (contents(live), self.lives());
        let (marker, hello) = (self.get("/__moored"), self.get("/hello"));
        let failed = self.pass().exits(1).says(says);
        let rows = self.stage.journal_rows();
        self.pass().exits(75).says(&["held"]);
        assert_eq!(self.stage.journal_rows(), rows, "it is tried once");
        assert_eq!(contents(live), before, "the live files");
        assert_eq!(self.lives(), lives, "the containers");
        assert_eq!(self.get("/__moored"), marker);
        assert_eq!(self.get("/hello"), hello);
        failed
    }

    /// Returns where a file of the project lies on the host.
    pub(super) fn project(&self, path: &str) -> std::path::PathBuf {
        let stack = &self.stage.stack;
        self.stage
            .path(&format!("moored/stacks/{stack}/project/{path}"))
    }

    /// Checks that `moored drift` tells a difference and changes nothing.
    #[track_caller]
    pub(super) fn told(&self, live: &Path, says: &[&str]) {
        let (before, engine) = (contents(live), self.stage.snapshot());
        self.stage.moored(&["drift"]).exits(2).says(says);
        assert_eq!(contents(live), before);
        self.stage.unchanged(&engine);
    }
}

/// Everything below a directory, and when it was changed.
pub(super) fn contents(path: &Path) -> impl PartialEq + std::fmt::Debug + use<> {
    crate::support::host_proxy::snapshot(path)
}

/// Returns a name for the image of a proxy, which is there then.
pub(super) fn image(stage: &Stage, kind: &str) -> String {
    let name = format!("{}:1", stage.sandbox.name(kind));
    match kind {
        "nginx" => images("proxy_image", &[&name]),
        _ => images("caddy_image", &[&name]),
    }
    name
}

/// Returns a site of nginx with its marker, this greeting and further lines in its server.
pub(super) fn site(hello: &str, more: &str) -> String {
    format!(
        "upstream web {{ server @moored.web:8080@; }}\nserver {{\n    listen 80;\n    \
         server_name shop.example;\n    location = /__moored {{ return 200 \
         \"@moored.marker@\"; }}\n    location = /hello {{ return 200 \"{hello}\"; }}\n    \
         location / {{ proxy_pass http://web; }}\n{more}}}\n"
    )
}

/// Returns a Caddyfile with its marker, this greeting and further lines.
pub(super) fn caddyfile(hello: &str, more: &str) -> String {
    format!(
        ":80 {{\n\trespond /__moored \"@moored.marker@\"\n\trespond /hello \"{hello}\"\n\t\
         reverse_proxy @moored.web:8080@\n}}\n{more}"
    )
}

fn indented(lines: &str) -> String {
    let lines = lines.lines().map(|line| format!("    {line}\n"));
    lines.collect::<Vec<_>>().concat()
}

fn unseen(dir: &Path) {
    for entry in fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        if entry.file_type().unwrap().is_dir() {
            unseen(&path);
            continue;
        }
        let bytes = fs::read(&path).unwrap_or_default();
        let found = bytes
            .windows(CANARY.len())
            .any(|it| it == CANARY.as_bytes());
        assert!(!found, "a secret is in {}", path.display());
    }
}
