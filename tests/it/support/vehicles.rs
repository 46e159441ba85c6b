//! The two systems that carry the tests of the deploy transaction: the examples `moltfund` and
//! `v-edfinance` on a host of their own, with real nginx, `SQLite` and `PostgreSQL`.
//!
//! **Needs** what `scripts/lib/images.sh` needs: Debian's packages, once; they stay in `target/`.
//!
//! ```ignore
//! let system = Vehicle::moltfund(&stage.sandbox, &stage.stack, stage.dir.path());
//! system.image("api", "v1.2.0", &["APP_SCHEMA=1"]);
//! system.image("web", "v1.2.0", &[]);
//! stage.commit("first", &as_pairs(&system.files()));
//! let prober = Prober::start(&system.url("/"));
//! // …
//! assert_eq!(prober.stop().statuses(), [200, 503, 200]);
//! ```

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags};

use super::docker_cli::{Sandbox, docker};
use super::http::{Response, get, post};
use super::own_images::OwnImages;
use super::put;
use super::registry::free_port;

/// A value that no output may have; it is in the secrets of both systems.
pub(crate) const CANARY: &str = "canary-8f1c6e0b57";

/// One of the two systems.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum System {
    /// Two images with one tag, `SQLite`, nginx in a container, a maintenance page.
    Moltfund,
    /// An API with `PostgreSQL`.
    VEdfinance,
}

/// A system on a host of its own: paths, ports and names are those of one test.
pub(crate) struct Vehicle {
    pub(crate) system: System,
    /// What stands for `/opt/moltfund` or `/opt/v-edfinance`.
    pub(crate) root: PathBuf,
    /// The port of the proxy (moltfund only) and of the API on this host.
    pub(crate) proxy_port: u16,
    pub(crate) api_port: u16,
    /// Its own images.
    pub(crate) own: OwnImages,
    stack: String,
}

impl Vehicle {
    /// Sets up the host of moltfund below `dir`.
    pub(crate) fn moltfund(sandbox: &Sandbox, stack: &str, dir: &Path) -> Self {
        let vehicle = Self::new(System::Moltfund, sandbox, stack, dir);
        for dir in ["data/uploads", "backups", "maintenance"] {
            fs::create_dir_all(vehicle.root.join(dir)).unwrap();
        }
        put(vehicle.root.join("data/uploads/picture.png"), "a picture");
        let secrets = format!("JWT_SECRET={CANARY}-jwt\nMAIL=off\nSMTP_PASSWORD=\n");
        vehicle.secret(".env", &secrets);
        images("proxy_image", &[&sandbox.name("nginx:1.22")]);
        vehicle
    }

    /// Sets up the host of v-edfinance below `dir`.
    pub(crate) fn v_edfinance(sandbox: &Sandbox, stack: &str, dir: &Path) -> Self {
        let vehicle = Self::new(System::VEdfinance, sandbox, stack, dir);
        for dir in ["env", "backups/postgres"] {
            fs::create_dir_all(vehicle.root.join(dir)).unwrap();
        }
        let api = format!(
            "DATABASE=postgres://edfinance:{CANARY}-db@postgres:5432/edfinance\n\
             JWT_SECRET={CANARY}-jwt\n"
        );
        vehicle.secret("env/api.env", &api);
        let postgres = format!("POSTGRES_PASSWORD={CANARY}-db\n");
        vehicle.secret("env/postgres.env", &postgres);
        images("database_image", &[&sandbox.name("postgres:15")]);
        vehicle
    }

    fn new(system: System, sandbox: &Sandbox, stack: &str, dir: &Path) -> Self {
        Self {
            system,
            root: dir.join("opt"),
            proxy_port: free_port(),
            api_port: free_port(),
            own: OwnImages::new(sandbox),
            stack: stack.to_owned(),
        }
    }

    fn secret(&self, path: &str, text: &str) {
        secret(&self.root.join(path), text);
    }

    fn name(&self) -> &'static str {
        match self.system {
            System::Moltfund => "moltfund",
            System::VEdfinance => "v-edfinance",
        }
    }

    /// Makes an image of `api` or `web`; returns its name. `settings` are the ledger's, such as
    /// `APP_SCHEMA=2` or `MIGRATE=half`: see `tests/standin/main.rs`.
    pub(crate) fn image(&self, service: &str, tag: &str, settings: &[&str]) -> String {
        let name = format!("{service}:{tag}");
        match service {
            "api" => self.own.make("ledger_image", &name, settings),
            "web" => self.own.make("standin_image", &name, &[]),
            _ => panic!("no image of {service}"),
        }
    }

    // --- the state repository ---

    /// Returns the files of the example, with this test's paths, ports and names in them. The
    /// soak time is short.
    pub(crate) fn files(&self) -> Vec<(String, String)> {
        let example = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("desired-state-examples")
            .join(self.name());
        let mut files = Vec::new();
        read_below(&example, "", &mut files);
        let rules = self.rules();
        let mut unused: BTreeSet<&str> = rules.iter().map(|rule| rule.0.as_str()).collect();
        let ours = |path: &str| ["moored.yaml", "compose.yaml"].contains(&path);
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

    /// Returns one of these files.
    pub(crate) fn file(&self, path: &str) -> String {
        let found = self.files().into_iter().find(|file| file.0 == path);
        found.unwrap_or_else(|| panic!("no {path}")).1
    }

    /// Returns the manifest with this tag.
    pub(crate) fn manifest(&self, tag: &str) -> String {
        with_tag(&self.file("moored.yaml"), tag)
    }

    /// Returns what has to be replaced by what.
    fn rules(&self) -> Vec<(String, String)> {
        let name = self.name();
        let (proxy, api) = (self.proxy_port, self.api_port);
        let mut rules = vec![
            (format!("stack: {name}"), format!("stack: {}", self.stack)),
            (format!("/opt/{name}"), self.root.display().to_string()),
            (format!("registry.example/{name}/"), self.own.base()),
            ("127.0.0.1:4000".to_owned(), format!("127.0.0.1:{api}")),
            ("soak: 10s".to_owned(), "soak: 300ms".to_owned()),
            ("interval: 2s".to_owned(), "interval: 500ms".to_owned()),
            (
                "start_period: 20s".to_owned(),
                "start_period: 1s".to_owned(),
            ),
            ("timeout: 60s".to_owned(), "timeout: 10s".to_owned()),
            (
                "json: {/ok: true}}".to_owned(),
                "json: {/ok: true}, timeout: 3s}".to_owned(),
            ),
        ];
        match self.system {
            System::Moltfund => rules.extend([
                ("\"80:80\"".to_owned(), format!("\"127.0.0.1:{proxy}:80\"")),
                (
                    "http://127.0.0.1/".to_owned(),
                    format!("http://127.0.0.1:{proxy}/"),
                ),
                (
                    "nginx:1.22".to_owned(),
                    format!("{}nginx:1.22", self.own.beside()),
                ),
                ("moltfundme-nginx-proxy".to_owned(), self.proxy()),
            ]),
            System::VEdfinance => rules.push((
                "postgres:15".to_owned(),
                format!("{}postgres:15", self.own.beside()),
            )),
        }
        rules
    }

    // --- what a visitor sees ---

    /// Returns an address as visitors have it: through the proxy if there is one.
    pub(crate) fn url(&self, path: &str) -> String {
        let port = match self.system {
            System::Moltfund => self.proxy_port,
            System::VEdfinance => self.api_port,
        };
        format!("http://127.0.0.1:{port}{path}")
    }

    /// Returns an address of the API itself, past the proxy and its maintenance page.
    pub(crate) fn api_url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.api_port)
    }

    /// GETs a page as a visitor; none if nobody answers.
    pub(crate) fn get(&self, path: &str) -> Option<Response> {
        get(&self.url(path)).ok()
    }

    /// Inserts a row as a visitor; the text may have letters, digits and `-`.
    pub(crate) fn insert(&self, text: &str) -> Option<Response> {
        post(&self.url(&format!("/api/entries?text={text}"))).ok()
    }

    /// Returns which version of the API answers, if one does and is healthy.
    pub(crate) fn version(&self) -> Option<String> {
        let health = get(&self.api_url("/api/health")).ok()?;
        let version = health.json()?["version"].as_str()?.to_owned();
        (health.status == 200).then_some(version)
    }

    // --- the data, past the application ---

    /// Returns the texts of all rows in the order of their insertion.
    pub(crate) fn rows(&self) -> Vec<String> {
        let texts = self.query("SELECT text FROM entries ORDER BY id");
        texts.lines().map(str::to_owned).collect()
    }

    /// Returns the version of the schema.
    pub(crate) fn schema(&self) -> u32 {
        let version = self.query("SELECT version FROM schema_version");
        version.parse().unwrap_or_else(|_| panic!("{version:?}"))
    }

    /// Asks the database itself; returns the rows, a line each, with `|` between the columns.
    pub(crate) fn query(&self, sql: &str) -> String {
        match self.system {
            System::Moltfund => {
                let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
                let database = Connection::open_with_flags(self.database(), flags).unwrap();
                database.busy_timeout(Duration::from_secs(5)).unwrap();
                let mut statement = database.prepare(sql).unwrap();
                let columns = statement.column_count();
                let mut rows = statement.query([]).unwrap();
                let mut lines = Vec::new();
                while let Some(row) = rows.next().unwrap() {
                    let cells = (0..columns).map(|at| match row.get_ref_unwrap(at) {
                        ValueRef::Null => String::new(),
                        ValueRef::Integer(number) => number.to_string(),
                        ValueRef::Real(number) => number.to_string(),
                        value @ (ValueRef::Text(_) | ValueRef::Blob(_)) => {
                            value.as_str().unwrap().to_owned()
                        }
                    });
                    lines.push(cells.collect::<Vec<_>>().join("|"));
                }
                lines.join("\n")
            }
            System::VEdfinance => {
                let container = self.container("postgres");
                let psql = [
                    "exec",
                    &container,
                    "psql",
                    "-U",
                    "edfinance",
                    "-d",
                    "edfinance",
                ];
                docker(&[psql.as_slice(), &["-X", "-A", "-t", "-c", sql]].concat())
            }
        }
    }

    /// Returns the file of the database (moltfund only).
    pub(crate) fn database(&self) -> PathBuf {
        self.root.join("data/prod.db")
    }

    // --- the host ---

    /// Returns the path of the maintenance flag (moltfund only).
    pub(crate) fn flag(&self) -> PathBuf {
        self.root.join("maintenance/MAINTENANCE_ON")
    }

    /// Returns the name of a service's container.
    pub(crate) fn container(&self, service: &str) -> String {
        match service {
            "nginx-proxy" => self.proxy(),
            _ => format!("{}-{service}-1", self.stack),
        }
    }

    fn proxy(&self) -> String {
        format!("{}moltfundme-nginx-proxy", self.own.beside())
    }
}

/// Returns a manifest with another tag.
pub(crate) fn with_tag(manifest: &str, tag: &str) -> String {
    let (before, line) = manifest.split_once("IMAGE_TAG: ").expect("it has a tag");
    let (_, after) = line.split_once('\n').expect("more than a tag");
    format!("{before}IMAGE_TAG: {tag}\n{after}")
}

/// Returns the files as a commit takes them.
pub(crate) fn as_pairs(files: &[(String, String)]) -> Vec<(&str, &str)> {
    let pairs = files.iter();
    pairs
        .map(|(path, text)| (path.as_str(), text.as_str()))
        .collect()
}

/// Writes a file that nobody else may read.
pub(super) fn secret(path: &Path, text: &str) {
    put(path, text);
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Calls a function of `scripts/lib/images.sh`.
#[track_caller]
pub(crate) fn images(function: &str, arguments: &[&str]) {
    let output = Command::new("bash")
        .args(["-euo", "pipefail", "-c"])
        .arg("for part in talk setup standin images; do . \"$root/scripts/lib/$part.sh\"; done; \"$@\"")
        .args(["images", function])
        .args(arguments)
        .env("root", env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("bash can be run");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{function} {arguments:?}: {error}");
}

pub(super) fn read_below(dir: &Path, prefix: &str, files: &mut Vec<(String, String)>) {
    for entry in fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        let path = format!("{prefix}{}", entry.file_name().to_str().unwrap());
        if entry.file_type().unwrap().is_dir() {
            read_below(&entry.path(), &format!("{path}/"), files);
        } else {
            files.push((path, fs::read_to_string(entry.path()).unwrap()));
        }
    }
}
