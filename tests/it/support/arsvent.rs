//! The example `arsvent` on a host of its own: staging and production behind a real nginx of the
//! host, which is the test's own.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::docker_cli::{Sandbox, docker, eventually};
use super::host_proxy::{HostNginx, certificate, free_port};
use super::http::{Response, get, post};
use super::own_images::OwnImages;
use super::put;
use super::vehicles::{CANARY, images, read_below, secret};

/// The tag that the example has.
pub(crate) const FIRST: &str = "sha-9f31c2e";

/// What the example is taken for.
pub(crate) struct Arsvent {
    pub(crate) nginx: HostNginx,
    /// What stands for `/opt/arsvent`.
    pub(crate) root: PathBuf,
    pub(crate) production: Side,
    pub(crate) staging: Side,
    /// Ports of nginx that both share: plain, and with TLS.
    plain: u16,
    tls: u16,
    /// Its own images.
    pub(crate) own: OwnImages,
}

/// One of its two stacks.
pub(crate) struct Side {
    /// Its directory in the repository.
    pub(crate) dir: &'static str,
    pub(crate) stack: String,
    /// What stands after `arsvent` in names and paths.
    suffix: &'static str,
    /// Port of nginx for this stack alone.
    own: u16,
    backend: [u16; 2],
    frontend: [u16; 2],
}

impl Arsvent {
    /// Sets up the host below `dir`, with an nginx that has no site yet.
    pub(crate) fn new(sandbox: &Sandbox, stack: &str, dir: &Path) -> Self {
        let main = "events {}\nhttp {\n    access_log off;\n    types { text/html html; }\n    \
                    include @DIR@/conf.d/*.conf;\n    \
                    server { listen 127.0.0.1:@PORT@; return 200 host; }\n}\n";
        let files = [
            ("conf.d/.keep", ""),
            ("certs/.keep", ""),
            ("cache/.keep", ""),
        ];
        let nginx = HostNginx::start(main, &files);
        for host in ["arsvent.example", "staging.arsvent.example"] {
            let made = nginx.path("certs").join(host);
            fs::create_dir(&made).unwrap();
            renew(&made);
        }
        let root = dir.join("opt");
        for path in ["env", "backups", "data"] {
            fs::create_dir_all(root.join(path)).unwrap();
        }
        for name in ["backend", "backend.staging"] {
            let text = format!("SESSION_SECRET={CANARY}-{name}\n");
            secret(&root.join(format!("env/{name}.env")), &text);
        }
        for name in ["frontend", "frontend.staging"] {
            put(root.join(format!("env/{name}.env")), "");
        }
        images("redis_image", &[&sandbox.name("redis:7-alpine")]);
        Self {
            nginx,
            root,
            production: Side::new("production", "", stack),
            staging: Side::new("staging", "-staging", stack),
            plain: free_port(),
            tls: free_port(),
            own: OwnImages::new(sandbox),
        }
    }

    /// Makes the images of a commit of the application; `settings` are the backend's.
    pub(crate) fn images(&self, tag: &str, settings: &[&str]) {
        let backend = format!("backend:{tag}");
        self.own.make("ledger_image", &backend, settings);
        let frontend = format!("frontend:{tag}");
        self.own.make("standin_image", &frontend, &[]);
    }

    /// Returns the files of the example, with this test's paths, ports and names in them.
    pub(crate) fn files(&self) -> Vec<(String, String)> {
        let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("desired-state-examples/arsvent");
        let mut files = Vec::new();
        read_below(&example, "", &mut files);
        let rules = self.rules();
        let mut unused: BTreeSet<&str> = rules.iter().map(|rule| rule.0.as_str()).collect();
        let ours = |path: &str| {
            let end = Path::new(path).extension().unwrap_or_default();
            path != "config.example.yaml" && (end == "yaml" || end == "conf")
        };
        for (_, text) in files.iter_mut().filter(|file| ours(&file.0)) {
            for (from, to) in &rules {
                if text.contains(from) {
                    unused.remove(from.as_str());
                    *text = text.replace(from, to);
                }
            }
        }
        assert!(unused.is_empty(), "the example has no {unused:?}");
        files
    }

    fn rules(&self) -> Vec<(String, String)> {
        let path = |name: &str| self.nginx.path(name).display().to_string();
        let main = format!("host: true\n    main: {}", self.nginx.main.display());
        let mut rules = vec![
            ("/opt/arsvent".to_owned(), self.root.display().to_string()),
            ("registry.example/arsvent/".to_owned(), self.own.base()),
            (
                "redis:7-alpine".to_owned(),
                format!("{}redis:7-alpine", self.own.beside()),
            ),
            ("host: true".to_owned(), main),
            ("/etc/nginx/conf.d".to_owned(), path("conf.d")),
            ("/var/cache/".to_owned(), path("cache/")),
            ("/etc/letsencrypt/live".to_owned(), path("certs")),
            (
                "listen 80;".to_owned(),
                format!("listen 127.0.0.1:{};", self.plain),
            ),
            (
                "listen 443 ssl;".to_owned(),
                format!("listen 127.0.0.1:{} ssl;", self.tls),
            ),
            ("soak: 10s".to_owned(), "soak: 300ms".to_owned()),
            ("interval: 2s".to_owned(), "interval: 500ms".to_owned()),
            (
                "start_period: 20s".to_owned(),
                "start_period: 1s".to_owned(),
            ),
            ("timeout: 60s".to_owned(), "timeout: 10s".to_owned()),
            ("drain: 30s".to_owned(), "drain: 15s".to_owned()),
        ];
        for (side, ports) in [
            (&self.production, [4000, 4001, 4173, 4174, 4080]),
            (&self.staging, [4100, 4101, 4273, 4274, 4180]),
        ] {
            let [backend, second_backend, frontend, second_frontend, own] = ports;
            let mut rule = |key: &str, from: u16, to: u16| {
                rules.push((format!("{key}{from}"), format!("{key}{to}")));
            };
            rule("BACKEND_PORT: ", backend, side.backend[0]);
            rule("second_port: ", second_backend, side.backend[1]);
            rule("FRONTEND_PORT: ", frontend, side.frontend[0]);
            rule("second_port: ", second_frontend, side.frontend[1]);
            rule("127.0.0.1:", own, side.own);
            let stack = format!("stack: {}", side.stack);
            rules.push((format!("stack: arsvent-{}", side.dir), stack));
        }
        rules
    }

    /// Asks nginx over TLS by a server's name, as a browser does; returns the body.
    pub(crate) fn over_tls(&self, host: &str, path: &str) -> String {
        let at = format!("{host}:{}:127.0.0.1", self.tls);
        let url = format!("https://{host}:{}{path}", self.tls);
        let output = Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                "--fail",
                "--insecure",
                "--resolve",
                &at,
                &url,
            ])
            .output()
            .expect("curl can be run");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{url}: {error}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Puts another certificate in the place of a server's, as a tool that renews it does.
    pub(crate) fn renew(&self, host: &str) {
        renew(&self.nginx.path("certs").join(host));
    }

    /// Returns whether nginx shows a server's certificate as it is on the disk.
    pub(crate) fn shows_certificate(&self, host: &str) -> bool {
        let shown = shown_certificate(self.tls, host);
        let file = self.nginx.path("certs").join(host).join("fullchain.pem");
        shown.contains(fs::read_to_string(file).unwrap().trim())
    }

    /// Returns the path of a stack's maintenance flag.
    pub(crate) fn flag(&self, side: &Side) -> PathBuf {
        let directory = format!("maintenance{}", side.suffix);
        self.root.join(directory).join("MAINTENANCE_ON")
    }

    /// Returns the file of a stack's proxy configuration, as nginx reads it.
    pub(crate) fn config(&self, side: &Side) -> PathBuf {
        self.nginx
            .path(&format!("conf.d/arsvent{}.conf", side.suffix))
    }

    /// Returns the directory of a stack's backups.
    pub(crate) fn backups(&self, side: &Side) -> PathBuf {
        let directory = format!("backups/backend-db{}", side.suffix);
        self.root.join(directory)
    }

    /// Returns the file of a stack's database.
    pub(crate) fn database(&self, side: &Side) -> PathBuf {
        self.root
            .join(format!("data/backend{}/prod.db", side.suffix))
    }
}

impl Side {
    fn new(dir: &'static str, suffix: &'static str, stack: &str) -> Self {
        Self {
            dir,
            stack: format!("{stack}-{dir}"),
            suffix,
            own: free_port(),
            backend: [free_port(), free_port()],
            frontend: [free_port(), free_port()],
        }
    }

    /// Returns the ports of its backend: the first, and that of a new version beside it.
    pub(crate) fn backend(&self) -> [u16; 2] {
        self.backend
    }

    /// Returns the path in the repository of its proxy's file.
    pub(crate) fn source(&self) -> String {
        format!("{}/nginx/arsvent{}.conf", self.dir, self.suffix)
    }

    /// Returns the path in the repository of its manifest.
    pub(crate) fn manifest(&self) -> String {
        format!("{}/moored.yaml", self.dir)
    }

    /// Returns an address as visitors have it, through nginx.
    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.own)
    }

    /// GETs a page through nginx.
    pub(crate) fn get(&self, path: &str) -> Response {
        get(&self.url(path)).unwrap()
    }

    /// Inserts a row as a visitor.
    pub(crate) fn insert(&self, text: &str) -> Response {
        post(&self.url(&format!("/api/entries?text={text}"))).unwrap()
    }

    /// Returns which versions of the backend and of the frontend answer.
    pub(crate) fn versions(&self) -> [String; 2] {
        ["/api/health", "/"].map(|path| {
            let answer = self.get(path);
            let json = answer.json().unwrap_or_else(|| panic!("{answer:?}"));
            json["version"].as_str().unwrap().to_owned()
        })
    }

    /// Waits until both answer with this version.
    #[track_caller]
    pub(crate) fn serves(&self, tag: &str) {
        eventually(&format!("{tag} serves"), || {
            ["/api/health", "/"].into_iter().all(|path| {
                let json = self.get(path).json();
                json.is_some_and(|json| json["version"] == tag)
            })
        });
    }

    /// Returns the name of a service's container.
    pub(crate) fn container(&self, service: &str) -> String {
        format!("{}-{service}-1", self.stack)
    }

    /// Returns which release nginx says that it has loaded of this stack's file.
    pub(crate) fn marker(&self) -> String {
        let answer = self.get("/__moored");
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    }

    /// Returns names and ids of its containers, running or not.
    pub(crate) fn containers(&self) -> Vec<String> {
        let ours = format!("label=com.docker.compose.project={}", self.stack);
        let format = "{{.Names}} {{.ID}} {{.State}}";
        let listed = docker(&["ps", "--all", "--filter", &ours, "--format", format]);
        let mut all: Vec<String> = listed.lines().map(str::to_owned).collect();
        all.sort();
        all
    }
}

/// Returns what a server on this port shows of its certificate.
pub(crate) fn shown_certificate(port: u16, host: &str) -> String {
    let at = format!("127.0.0.1:{port}");
    let shown = Command::new("openssl")
        .args(["s_client", "-connect", &at, "-servername", host])
        .stdin(Stdio::null())
        .output()
        .expect("openssl can be run");
    let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
    assert!(shown.contains("BEGIN CERTIFICATE"), "{shown}");
    shown
}

fn renew(dir: &Path) {
    certificate(dir);
    fs::rename(dir.join("cert"), dir.join("fullchain.pem")).unwrap();
    fs::rename(dir.join("key"), dir.join("privkey.pem")).unwrap();
}
