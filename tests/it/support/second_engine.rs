//! A second engine on the machine's own network, which may be killed: `dockerd` with everything in a
//! directory.
//!
//! It leaves the firewall of the machine alone, because another engine's rules are there: its
//! containers are reached through ports on the loopback address.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::docker_cli::{ENDPOINT, try_docker_at};

/// Time for it to come up, or to end when it is asked to.
const PATIENCE: Duration = Duration::from_secs(60);

/// Its bridge: without one of its own an engine takes `docker0`, which is another one's, away. One
/// that has address pools of its own does so too when it comes back from a kill.
const BRIDGE: &str = "mooredtest0";

/// An engine that ends with the test; its containers and networks go before.
pub(crate) struct SecondEngine {
    dir: TempDir,
    daemon: Child,
}

impl SecondEngine {
    /// Starts one without images.
    pub(crate) fn start() -> Self {
        // A socket's path has room for some hundred characters.
        let dir = tempfile::Builder::new()
            .prefix("mooredtest-engine-")
            .tempdir();
        let dir = dir.unwrap();
        // One that a killed test left is as good.
        let _there = ip(&["link", "add", "name", BRIDGE, "type", "bridge"]);
        let _has_it = ip(&["address", "add", "10.224.0.1/24", "dev", BRIDGE]);
        assert!(ip(&["link", "set", BRIDGE, "up"]), "no bridge");
        let daemon = spawn(dir.path());
        let engine = Self { dir, daemon };
        engine.answers();
        engine
    }

    /// Returns where it is asked.
    pub(crate) fn endpoint(&self) -> String {
        format!("unix://{}", self.dir.path().join("docker.sock").display())
    }

    /// Runs the CLI on it; returns what it printed, or what it printed to stderr.
    pub(crate) fn try_docker(&self, arguments: &[&str]) -> Result<String, String> {
        try_docker_at(&self.endpoint(), arguments)
    }

    /// Runs the CLI on it; returns what it printed.
    #[track_caller]
    pub(crate) fn docker(&self, arguments: &[&str]) -> String {
        let said = self.try_docker(arguments);
        said.unwrap_or_else(|error| panic!("docker {arguments:?}: {error}\n{}", self.log()))
    }

    /// Brings an image over from the engine that all tests share.
    pub(crate) fn take(&self, image: &str) {
        let mut save = Command::new("docker")
            .args(["--host", ENDPOINT, "save", image])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let load = Command::new("docker")
            .args(["--host", &self.endpoint(), "load", "--quiet"])
            .stdin(save.stdout.take().unwrap())
            .stdout(Stdio::null())
            .status();
        assert!(load.unwrap().success() && save.wait().unwrap().success());
    }

    /// Kills it as a power cut would.
    pub(crate) fn kill(&mut self) {
        self.daemon.kill().unwrap();
        self.daemon.wait().unwrap();
    }

    /// Starts it again after that, and waits until it answers.
    pub(crate) fn start_again(&mut self) {
        self.spawn_again();
        self.answers();
    }

    #[track_caller]
    fn answers(&self) {
        assert!(self.is_up(), "no engine:\n{}", self.log());
    }

    /// Waits until it answers, for a while.
    fn is_up(&self) -> bool {
        let deadline = Instant::now() + PATIENCE;
        while self.try_docker(&["version"]).is_err() {
            if Instant::now() > deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        true
    }

    /// Starts the program once more.
    fn spawn_again(&mut self) {
        // What these name has died with it, and may be a zombie that counts as alive, or is
        // somebody else by now.
        for pid in ["pid", "exec/containerd/containerd.pid"] {
            drop(std::fs::remove_file(self.dir.path().join(pid)));
        }
        self.daemon = spawn(self.dir.path());
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }
}

impl Drop for SecondEngine {
    fn drop(&mut self) {
        if self.try_docker(&["version"]).is_err() {
            // Its containers outlive it, and nobody else knows them.
            drop(self.daemon.kill());
            drop(self.daemon.wait());
            self.spawn_again();
            let _up = self.is_up();
        }
        if let Ok(ids) = self.try_docker(&["ps", "--all", "--quiet"]) {
            let ids: Vec<&str> = ids.lines().collect();
            if !ids.is_empty() {
                drop(self.try_docker(&[&["rm", "--force", "--volumes"], ids.as_slice()].concat()));
            }
        }
        // Their bridges would outlive it.
        drop(self.try_docker(&["network", "prune", "--force"]));
        let pid = self.daemon.id().to_string();
        drop(Command::new("kill").arg(&pid).status());
        let deadline = Instant::now() + PATIENCE;
        while matches!(self.daemon.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(50));
        }
        drop(self.daemon.kill());
        drop(self.daemon.wait());
        for pid in left_behind(self.dir.path()) {
            drop(Command::new("kill").args(["-9", &pid]).status());
        }
        for mount in mounts_below(self.dir.path()) {
            drop(Command::new("umount").args(["--lazy"]).arg(mount).status());
        }
        let _gone = ip(&["link", "delete", BRIDGE]);
    }
}

/// Changes the machine's network; returns whether that worked.
fn ip(arguments: &[&str]) -> bool {
    let status = Command::new("busybox")
        .arg("ip")
        .args(arguments)
        .stderr(Stdio::null())
        .status();
    status.expect("busybox can be run").success()
}

fn spawn(dir: &Path) -> Child {
    let log = File::options()
        .create(true)
        .append(true)
        .open(dir.join("log"));
    let log = log.unwrap();
    let at = |name: &str| dir.join(name).display().to_string();
    Command::new("dockerd")
        .args(["--host", &format!("unix://{}", at("docker.sock"))])
        .args(["--data-root", &at("data"), "--exec-root", &at("exec")])
        .args(["--pidfile", &at("pid"), "--storage-driver", "vfs"])
        .args(["--bridge", BRIDGE, "--iptables=false"])
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .expect("dockerd can be run")
}

/// Returns the processes of containers that an engine has lost sight of when it was killed, and of
/// the programs that keep them: these name the engine's directory.
fn left_behind(dir: &Path) -> Vec<String> {
    let processes = || std::fs::read_dir("/proc").into_iter().flatten().flatten();
    let read = |pid: &Path, name| std::fs::read(pid.join(name)).unwrap_or_default();
    let dir = dir.display().to_string();
    let (mut found, mut ids) = (Vec::new(), Vec::new());
    for process in processes() {
        let line = String::from_utf8_lossy(&read(&process.path(), "cmdline")).into_owned();
        let words: Vec<&str> = line.split('\0').collect();
        if !words[0].contains("containerd-shim") || !line.contains(&dir) {
            continue;
        }
        found.push(process.file_name().to_string_lossy().into_owned());
        let id = words.iter().skip_while(|word| **word != "-id").nth(1);
        ids.extend(id.map(|id| (*id).to_owned()));
    }
    for process in processes() {
        let groups = String::from_utf8_lossy(&read(&process.path(), "cgroup")).into_owned();
        if ids.iter().any(|id| groups.contains(id.as_str())) {
            found.push(process.file_name().to_string_lossy().into_owned());
        }
    }
    found
}

/// Returns what is mounted below a directory, the deepest first.
fn mounts_below(dir: &Path) -> Vec<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let places = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    let mut below: Vec<PathBuf> = places
        .map(PathBuf::from)
        .filter(|place| place.starts_with(dir))
        .collect();
    below.sort();
    below.reverse();
    below
}
