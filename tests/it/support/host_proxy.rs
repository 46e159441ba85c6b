//! A real nginx or Caddy on the host, on ports and in a directory of its own.
//!
//! In every text that is given, `@DIR@` stands for the directory, `@PORT@` for a port of
//! 127.0.0.1 that nobody else has, and `@OTHER@` for a second one.

use std::collections::BTreeMap;
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime};

use moored::desired::proxy::ProxyKind;
use moored::proxy::HostProxy;
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;

use super::docker_cli::eventually;
use super::put;

/// A running nginx. It ends with this value.
pub(crate) struct HostNginx {
    pub(crate) port: u16,
    /// A second port, free at first.
    pub(crate) other: u16,
    /// Its main file: `nginx.conf` in the directory.
    pub(crate) main: PathBuf,
    dir: TempDir,
    process: Process,
}

/// A running Caddy. It ends with this value.
pub(crate) struct HostCaddy {
    pub(crate) port: u16,
    /// A second port, free at first.
    pub(crate) other: u16,
    /// Its main file: `Caddyfile` in the directory.
    pub(crate) main: PathBuf,
    dir: TempDir,
    process: Process,
    /// Where it keeps what it was last told.
    home: TempDir,
}

impl HostNginx {
    /// Starts one with this main file, and these other files by their path in the directory.
    ///
    /// What nginx needs to run in a directory of its own stands before `main`; a server must
    /// listen on `@PORT@`.
    pub(crate) fn start(main: &str, files: &[(&str, &str)]) -> Self {
        let dir = directory();
        let (port, other) = (free_port(), free_port());
        let begin = "daemon off; user root; worker_processes 2;\n\
             pid @DIR@/nginx.pid; error_log @DIR@/error.log;\n";
        let main_text = format!("{begin}{main}");
        let main = dir.path().join("nginx.conf");
        let fill = |text: &str| filled(text, dir.path(), port, other);
        put(&main, fill(&main_text));
        lay(dir.path(), files, fill);
        let mut command = Command::new("nginx");
        command.arg("-c").arg(&main);
        let process = Process::start(command, port);
        Self {
            port,
            other,
            main,
            dir,
            process,
        }
    }

    /// Starts one whose main file includes `conf.d/*.conf`, which has these files.
    pub(crate) fn with_sites(sites: &[(&str, &str)]) -> Self {
        let main = "events {}\nhttp { access_log off; include @DIR@/conf.d/*.conf; }\n";
        let sites: Vec<(String, &str)> = sites
            .iter()
            .map(|(name, text)| (format!("conf.d/{name}"), *text))
            .collect();
        let files: Vec<(&str, &str)> = sites
            .iter()
            .map(|(name, text)| (name.as_str(), *text))
            .collect();
        Self::start(main, &files)
    }

    pub(crate) fn proxy(&self) -> HostProxy {
        HostProxy {
            kind: ProxyKind::Nginx,
            program: "nginx".into(),
            main: Some(self.main.clone()),
        }
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// Writes a file of the live configuration.
    pub(crate) fn put(&self, path: &str, text: &str) {
        put(self.path(path), self.fill(text));
    }

    pub(crate) fn fill(&self, text: &str) -> String {
        filled(text, self.dir.path(), self.port, self.other)
    }

    /// Reloads it as a person does, and says whether nginx says that all is well.
    pub(crate) fn reload(&self) -> bool {
        let mut command = Command::new("nginx");
        command.args(["-s", "reload", "-c"]).arg(&self.main);
        output(command).status.success()
    }

    /// Ends it; what it had open is closed.
    pub(crate) fn stop(&mut self) {
        self.process.stop();
        // Only a master that ends by itself removes it.
        drop(fs::remove_file(self.path("nginx.pid")));
    }

    pub(crate) fn error_log(&self) -> String {
        fs::read_to_string(self.path("error.log")).unwrap()
    }
}

impl HostCaddy {
    /// Starts one with these sites after its global options, and these other files.
    pub(crate) fn start(sites: &str, files: &[(&str, &str)]) -> Self {
        let dir = directory();
        let home = tempfile::tempdir().unwrap();
        let (port, other, admin) = (free_port(), free_port(), free_port());
        let main = dir.path().join("Caddyfile");
        let fill = |text: &str| filled(text, dir.path(), port, other);
        let options = format!(
            "{{\n\tadmin 127.0.0.1:{admin}\n\tauto_https disable_redirects\n\tskip_install_trust\n}}\n"
        );
        put(dir.path().join("options"), &options);
        put(&main, fill(&(options + sites)));
        lay(dir.path(), files, fill);
        let process = Self::run(&main, home.path(), port);
        Self {
            port,
            other,
            main,
            dir,
            process,
            home,
        }
    }

    pub(crate) fn proxy(&self) -> HostProxy {
        HostProxy {
            kind: ProxyKind::Caddy,
            program: "caddy".into(),
            main: Some(self.main.clone()),
        }
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    /// Returns a whole main file with these sites.
    pub(crate) fn with_sites(&self, sites: &str) -> String {
        let options = fs::read_to_string(self.path("options")).unwrap();
        options + &filled(sites, self.dir.path(), self.port, self.other)
    }

    pub(crate) fn stop(&mut self) {
        self.process.stop();
    }

    /// Starts it afresh, with its main file as it is now.
    pub(crate) fn restart(&mut self) {
        self.process.stop();
        self.process = Self::run(&self.main, self.home.path(), self.port);
    }

    fn run(main: &Path, home: &Path, port: u16) -> Process {
        let mut command = Command::new("caddy");
        command
            .args(["run", "--adapter", "caddyfile", "--config"])
            .arg(main)
            .env("HOME", home)
            .env("XDG_CONFIG_HOME", home)
            .env("XDG_DATA_HOME", home);
        Process::start(command, port)
    }
}

/// Returns a port of 127.0.0.1 that nobody has, and that no other call in this process gets.
///
/// Below those that the system hands out by itself.
pub(crate) fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let n = NEXT.fetch_add(1, Ordering::SeqCst);
        let port = 10_000 + std::process::id().wrapping_mul(61).wrapping_add(n) % 20_000;
        let port = u16::try_from(port).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// Everything below a directory: content or link, and when it was changed.
pub(crate) fn snapshot(dir: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let mut found = BTreeMap::new();
    let mut open = vec![dir.to_owned()];
    while let Some(dir) = open.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            let content = if meta.is_dir() {
                open.push(path.clone());
                Vec::new()
            } else if meta.is_symlink() {
                let target = fs::read_link(&path).unwrap();
                target.into_os_string().into_encoded_bytes()
            } else if meta.is_file() {
                fs::read(&path).unwrap()
            } else {
                continue;
            };
            found.insert(path, (content, meta.modified().unwrap()));
        }
    }
    found
}

/// Makes a certificate that nobody has signed: `cert` and `key` in the directory.
pub(crate) fn certificate(dir: &Path) {
    let mut command = Command::new("openssl");
    command
        .current_dir(dir)
        .args([
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1",
        ])
        .args([
            "-subj",
            "/CN=shop.example",
            "-keyout",
            "key",
            "-out",
            "cert",
        ]);
    assert!(output(command).status.success());
}

fn filled(text: &str, dir: &Path, port: u16, other: u16) -> String {
    text.replace("@DIR@", dir.to_str().unwrap())
        .replace("@PORT@", &port.to_string())
        .replace("@OTHER@", &other.to_string())
}

fn lay(dir: &Path, files: &[(&str, &str)], fill: impl Fn(&str) -> String) {
    for (path, text) in files {
        let path = dir.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        put(path, fill(text));
    }
}

fn output(mut command: Command) -> Output {
    command.stdin(Stdio::null()).output().unwrap()
}

/// A process with its children, in a group of its own.
struct Process(Option<Child>);

impl Process {
    fn start(mut command: Command, port: u16) -> Self {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut process = Self(Some(child));
        eventually("the proxy listens", || {
            let child = process.0.as_mut().unwrap();
            assert!(child.try_wait().unwrap().is_none(), "it has ended");
            let address = ([127, 0, 0, 1], port).into();
            TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
        });
        process
    }

    fn stop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let id = Pid::from_child(&child);
            // Nobody may be left in it.
            let _ = kill_process_group(id, Signal::KILL);
            child.wait().unwrap();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Makes a directory for a proxy where the settings of tests let manifests name files.
fn directory() -> tempfile::TempDir {
    tempfile::Builder::new()
        .prefix("mooredtest-")
        .tempdir_in("/srv")
        .unwrap()
}
