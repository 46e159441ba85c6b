//! The stage of one test: a state repository, a state directory, a stack, and eyes on the engine.

use std::cell::{OnceCell, RefCell};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::canary::Canary;
use super::running::Running;
use super::standin::standin;
use super::turn;
use crate::support::docker_cli::{ENDPOINT, Sandbox, docker, eventually};
use crate::support::git_http::GitHttp;
use crate::support::put;
use crate::support::registry::free_port;

/// The program under test.
pub(crate) const MOORED: &str = env!("CARGO_BIN_EXE_moored");

/// Everything that one test needs; taken down when it is dropped, also after a panic.
pub(crate) struct Stage {
    pub(crate) sandbox: Sandbox,
    pub(crate) stack: String,
    pub(crate) port: u16,
    pub(crate) dir: TempDir,
    /// What the program said so far.
    said: RefCell<String>,
    pub(super) canary: Canary,
    /// Where it is pushed to, once it is published.
    remote: OnceCell<GitHttp>,
    _turn: Arc<File>,
}

/// What the settings permit where everything that can be asked for is tried.
pub(crate) const EVERYTHING: &str = "docker_socket: true, privileged: true, host_network: true, host_namespaces: true, \
     other_containers: true, devices: true, security_opt: true, sysctls: true, \
     cgroup_parent: true, runtime: true, annotations: true, volume_options: true, \
     capabilities: {NET_ADMIN: true, SYS_TIME: true}";

/// How a command of ours ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    /// Checks the exit code.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n--\n{}", self.out, self.err);
        self
    }

    /// Checks that stdout or stderr has all these texts.
    #[track_caller]
    pub(crate) fn says(self, texts: &[&str]) -> Self {
        for text in texts {
            let said = self.out.contains(text) || self.err.contains(text);
            assert!(said, "no {text:?} in\n{}\n--\n{}", self.out, self.err);
        }
        self
    }

    /// Returns stdout as JSON.
    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("{error}: {}\n--\n{}", self.out, self.err))
    }
}

impl Stage {
    /// Waits for its turn and sets up an empty repository.
    pub(crate) fn new(area: &str) -> Self {
        let turn = turn::wait();
        let sandbox = Sandbox::new(&format!("e2e-{area}"));
        let dir = tempfile::tempdir().unwrap();
        let stage = Self {
            stack: sandbox.name("s"),
            sandbox,
            port: free_port(),
            canary: Canary::plant(dir.path()),
            dir,
            said: RefCell::default(),
            remote: OnceCell::new(),
            _turn: turn,
        };
        std::fs::create_dir(stage.path("state")).unwrap();
        std::fs::create_dir(stage.path("home")).unwrap();
        // Whoever reads it waits until the test has taken too long: no settings of a person for Git
        // have a say.
        let settings = stage.path("home/.gitconfig");
        let made = Command::new("mkfifo").arg(settings).status().unwrap();
        assert!(made.success(), "mkfifo");
        stage.git(&["init", "--quiet", "--initial-branch=main"]);
        let url = stage.path("state").display().to_string();
        stage.configure(&url, "30s", "");
        stage
    }

    /// Returns a path in the directory of this test.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes the host's settings.
    pub(crate) fn configure(&self, url: &str, poll: &str, more: &str) {
        let state_dir = self.path("moored").display().to_string();
        let text = format!(
            "repository: {{url: '{url}', poll: {poll}}}\nstate_dir: {state_dir}\n\
             engine: {ENDPOINT}\npolicy: {{bind_roots: ['{}', /srv], host_proxy: true}}\n{more}",
            self.dir.path().display()
        );
        put(self.path("config.yaml"), text);
    }

    /// Serves the repository over HTTP and follows it there: every commit is pushed from now on.
    pub(crate) fn publish(&self) {
        let bare = ["init", "--quiet", "--bare", "--initial-branch=main"];
        self.git(&[&bare[..], &["../remote.git"]].concat());
        let server = GitHttp::serve(self.dir.path());
        server.take_pushes();
        self.git(&["remote", "add", "origin", &server.url("remote.git")]);
        assert!(self.remote.set(server).is_ok(), "it was published before");
        self.follow("30s", "");
    }

    /// Writes the host's settings for the repository that was published.
    pub(crate) fn follow(&self, poll: &str, more: &str) {
        self.configure(&self.remote().url("remote.git"), poll, more);
    }

    /// Returns the server of a repository that was published.
    pub(crate) fn remote(&self) -> &GitHttp {
        self.remote.get().expect("it is published")
    }

    /// Permits more of the engine than mounts of this test's directory.
    pub(crate) fn permit(&self, more: &str) {
        let path = self.path("config.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        put(
            path,
            text.replacen("policy: {", &format!("policy: {{{more}, "), 1),
        );
    }

    pub(crate) fn allow_force_push(&self) {
        let path = self.path("config.yaml");
        let text = std::fs::read_to_string(&path).unwrap();
        put(
            path,
            text.replacen(", poll", ", allow_force_push: true, poll", 1),
        );
    }

    // --- the repository ---

    /// Runs Git in the state repository, without anybody's own settings.
    #[track_caller]
    pub(crate) fn git(&self, arguments: &[&str]) -> String {
        let output = Command::new("git")
            .current_dir(self.path("state"))
            .args(["-c", "user.name=Ada", "-c", "user.email=ada@example.org"])
            .args(arguments)
            .env("GIT_CONFIG_GLOBAL", "/dev/null")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .expect("git can be run");
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "git {arguments:?}: {error}");
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }

    /// Commits files; returns the commit.
    pub(crate) fn commit(&self, message: &str, files: &[(&str, &str)]) -> String {
        for (path, text) in files {
            let path = self.path("state").join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            put(path, text);
        }
        self.git(&["add", "--all"]);
        self.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
        self.push()
    }

    /// Commits the undoing of the last commit; returns the new one.
    pub(crate) fn revert(&self) -> String {
        self.git(&["revert", "--no-edit", "HEAD"]);
        self.push()
    }

    /// Pushes what is published; returns the head.
    pub(crate) fn push(&self) -> String {
        if self.remote.get().is_some() {
            self.git(&["push", "--quiet", "origin", "main"]);
        }
        self.git(&["rev-parse", "HEAD"])
    }

    /// Brings the work tree to where the remote is; returns the head.
    pub(crate) fn pull(&self) -> String {
        self.git(&["pull", "--quiet", "--ff-only", "origin", "main"]);
        self.git(&["rev-parse", "HEAD"])
    }

    /// Returns a manifest with these images, whose first service has the stage's secret; `more`
    /// are further lines, those of `env` instead of that.
    pub(crate) fn manifest(&self, images: &[(&str, &str)], more: &str) -> String {
        let first = images.first().filter(|_| !more.contains("env:"));
        let secret = first.map(|(service, _)| self.canary.given_to(service));
        let secret = secret.unwrap_or_default();
        let images: Vec<String> = images
            .iter()
            .map(|(service, image)| format!("  {service}: {image}\n"))
            .collect();
        let images = images.concat();
        format!(
            "stack: {}\nsoak: 200ms\n{secret}images:\n{images}{more}",
            self.stack
        )
    }

    /// Returns the text of a service `web` that is published and has a health check.
    pub(crate) fn web(&self, more: &str) -> String {
        format!(
            "services:\n  web:\n    image: app\n    ports: ['127.0.0.1:{}:8080']\n    \
             stop_grace_period: 1s\n    healthcheck: {{test: [CMD, /standin, check], \
             interval: 300ms, timeout: 2s, retries: 2}}\n{more}",
            self.port
        )
    }

    /// Commits a stack of one service `web` with this image.
    pub(crate) fn commit_web(&self, message: &str, image: &str, more: &str) -> String {
        let manifest = self.manifest(&[("web", image)], "");
        let files = [
            ("moored.yaml", manifest.as_str()),
            ("compose.yaml", &self.web(more)),
        ];
        self.commit(message, &files)
    }

    // --- the images ---

    /// Imports the stand-in application under a version; returns the image's name.
    pub(crate) fn app(&self, version: &str) -> String {
        self.app_with(version, &[])
    }

    /// Imports it with further instructions, such as `ENV NEVER_READY=1`.
    pub(crate) fn app_with(&self, version: &str, instructions: &[&str]) -> String {
        let reference = format!("{}:{version}", self.sandbox.name("app"));
        let root = tempfile::tempdir().unwrap();
        std::fs::copy(standin(), root.path().join("standin")).unwrap();
        // No layer in common with another test's image.
        put(root.path().join("image"), &reference);
        let archive = root.path().join("archive.tar");
        let packed = Command::new("tar")
            .args(["--create", "--owner=0", "--group=0", "--directory"])
            .arg(root.path())
            .arg("--file")
            .arg(&archive)
            .args(["standin", "image"])
            .status()
            .unwrap();
        assert!(packed.success());
        let version = format!("ENV APP_VERSION={version}");
        let mut arguments = vec!["import", "--change", "ENTRYPOINT [\"/standin\"]"];
        arguments.extend(["--change", &version]);
        for instruction in instructions {
            arguments.extend(["--change", instruction]);
        }
        let archive = archive.display().to_string();
        arguments.extend([archive.as_str(), &reference]);
        docker(&arguments);
        reference
    }

    // --- the program ---

    /// Runs a subcommand to its end.
    pub(crate) fn moored(&self, arguments: &[&str]) -> Ran {
        let config = self.path("config.yaml").display().to_string();
        self.moored_with(&config, arguments)
    }

    /// Runs a subcommand with another settings file.
    pub(crate) fn moored_with(&self, config: &str, arguments: &[&str]) -> Ran {
        let deadline = Instant::now() + Duration::from_secs(120);
        loop {
            let output = Command::new("timeout")
                .args(["--kill-after=5", "100", MOORED, "--config", config])
                .args(arguments)
                .envs(self.programs())
                .env("HOME", self.path("home"))
                .stdin(Stdio::null())
                .output()
                .unwrap();
            let ran = Ran {
                code: output.status.code(),
                out: String::from_utf8(output.stdout).unwrap(),
                err: String::from_utf8(output.stderr).unwrap(),
            };
            self.said.borrow_mut().extend([ran.out.as_str(), &ran.err]);
            let own = self.dir.path().display().to_string();
            // Somebody else's demonstration on the shared engine: let it end.
            let stranger = ran.err.contains("another controller") && !ran.err.contains(&own);
            if !stranger || Instant::now() > deadline {
                return ran;
            }
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// Returns where programs are found when the test has put some into the directory `bin`.
    fn programs(&self) -> Option<(&'static str, String)> {
        const USUAL: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
        let own = self.path("bin");
        let path = || ("PATH", format!("{}:{USUAL}", own.display()));
        own.is_dir().then(path)
    }

    /// Returns everything that the program said when it was run to its end.
    pub(crate) fn said(&self) -> String {
        self.said.borrow().clone()
    }

    /// Does one pass that must succeed.
    #[track_caller]
    pub(crate) fn reconcile(&self) -> Ran {
        self.moored(&["reconcile"]).exits(0)
    }

    /// Starts a subcommand and leaves it running.
    pub(crate) fn start(&self, arguments: &[&str]) -> Running {
        let log = self.path("log");
        let child = Command::new(MOORED)
            .arg("--config")
            .arg(self.path("config.yaml"))
            .args(arguments)
            .env("HOME", self.path("home"))
            .stdin(Stdio::null())
            .stdout(File::create(&log).unwrap())
            .stderr(File::options().append(true).open(&log).unwrap())
            .spawn()
            .unwrap();
        Running { child, log }
    }

    // --- the engine ---

    /// Returns the name of a service's container.
    pub(crate) fn container(&self, service: &str) -> String {
        format!("{}-{service}-1", self.stack)
    }

    /// Returns a field of a service's container, by the CLI's template.
    #[track_caller]
    pub(crate) fn inspect(&self, service: &str, template: &str) -> String {
        docker(&["inspect", "--format", template, &self.container(service)])
    }

    /// Returns the id of a service's container.
    #[track_caller]
    pub(crate) fn id(&self, service: &str) -> String {
        self.inspect(service, "{{.Id}}")
    }

    /// Returns the image that a service's container was made from, as it was named.
    #[track_caller]
    pub(crate) fn image(&self, service: &str) -> String {
        self.inspect(service, "{{.Config.Image}}")
    }

    /// Returns the names of all containers of this test, running or not.
    pub(crate) fn names(&self) -> Vec<String> {
        let ours = format!("name={}", self.sandbox.name(""));
        let listed = docker(&["ps", "--all", "--filter", &ours, "--format", "{{.Names}}"]);
        let mut names: Vec<String> = listed.lines().map(str::to_owned).collect();
        names.sort();
        names
    }

    /// Returns everything that the engine knows of this test's containers, networks and volumes,
    /// but for what health checks change by themselves: every value by its path.
    pub(crate) fn snapshot(&self) -> Snapshot {
        let ours = format!("name={}", self.sandbox.name(""));
        let mut all = BTreeMap::new();
        for (kind, list) in [
            ("container", ["container", "ls", "-aq"].as_slice()),
            ("network", &["network", "ls", "-q"]),
            ("volume", &["volume", "ls", "-q"]),
        ] {
            let ids = docker(&[list, &["--filter", &ours]].concat());
            for id in ids.lines() {
                let text = docker(&[kind, "inspect", id]);
                let mut value: Value = serde_json::from_str(&text).unwrap();
                if kind == "container" {
                    value[0]["State"]["Health"] = Value::Null;
                    value[0]["ExecIDs"] = Value::Null;
                    if let Some(mounts) = value[0]["Mounts"].as_array_mut() {
                        // The engine has no order for them.
                        mounts.sort_by_key(ToString::to_string);
                    }
                }
                flatten(&format!("{kind} {id}"), &value[0], &mut all);
            }
        }
        all
    }

    /// Checks that nothing has changed since a snapshot, and names what has.
    #[track_caller]
    pub(crate) fn unchanged(&self, before: &Snapshot) {
        let now = self.snapshot();
        let paths = before.keys().chain(now.keys());
        let changed: BTreeMap<_, _> = paths
            .filter(|path| before.get(*path) != now.get(*path))
            .map(|path| (path, (before.get(path), now.get(path))))
            .collect();
        assert!(changed.is_empty(), "{changed:#?}");
    }

    /// Returns the port of the host that this test may publish.
    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Asks the published port who answers.
    pub(crate) fn answer(&self) -> Option<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(2))).ok()?;
        stream.write_all(b"GET / HTTP/1.0\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        serde_json::from_str(text.split_once("\r\n\r\n")?.1).ok()
    }

    /// Waits until the published port answers with this version.
    pub(crate) fn serves(&self, version: &str) {
        eventually(&format!("{version} answers"), || {
            self.answer().is_some_and(|it| it["version"] == version)
        });
    }

    /// Returns how many attempts and journal entries are recorded.
    pub(crate) fn journal_rows(&self) -> (u64, u64) {
        let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY;
        let path = self.path("moored/moored.db");
        let database = rusqlite::Connection::open_with_flags(path, flags).unwrap();
        let count = |table: &str| {
            let query = format!("SELECT count(*) FROM {table}");
            database.query_row(&query, [], |row| row.get(0)).unwrap()
        };
        (count("attempts"), count("entries"))
    }
}

/// What the engine knows, by path.
pub(crate) type Snapshot = BTreeMap<String, String>;

fn flatten(path: &str, value: &Value, into: &mut Snapshot) {
    let Some(fields) = value.as_object() else {
        into.insert(path.to_owned(), value.to_string());
        return;
    };
    for (name, value) in fields {
        flatten(&format!("{path}.{name}"), value, into);
    }
}
