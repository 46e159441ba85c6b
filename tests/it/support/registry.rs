//! A registry of its own for a test: Debian's `docker-registry` on a free port.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::docker_cli::{docker, eventually};

/// A running registry on 127.0.0.1, which engines talk to without TLS. Ends when dropped.
pub(crate) struct Registry {
    process: Child,
    port: u16,
    _storage: TempDir,
}

impl Registry {
    /// Starts a registry and waits until it answers.
    pub(crate) fn start() -> Self {
        let storage = tempfile::tempdir().unwrap();
        let port = free_port();
        let config = storage.path().join("config.yml");
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\n\
             http: {{addr: '127.0.0.1:{port}'}}\n",
            storage.path().join("data").display()
        );
        std::fs::File::create(&config)
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
        let process = Command::new("docker-registry")
            .arg("serve")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("docker-registry can be run: install the package docker-registry");
        eventually("the registry answers", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        Self {
            process,
            port,
            _storage: storage,
        }
    }

    /// Returns the reference of something in this registry: `127.0.0.1:port/name`.
    pub(crate) fn reference(&self, name: &str) -> String {
        format!("127.0.0.1:{}/{name}", self.port)
    }

    /// Pushes an image of the engine under a name of this registry, `app:v1`, and takes the name
    /// and what belongs to it off the engine again; returns the digest that the CLI reports.
    pub(crate) fn push(&self, image: &str, name: &str) -> String {
        let reference = self.reference(name);
        docker(&["tag", image, &reference]);
        let printed = docker(&["push", &reference]);
        docker(&["rmi", &reference]);
        let digest = printed
            .split_whitespace()
            .find(|word| word.starts_with("sha256:"));
        digest.expect("docker push prints the digest").to_owned()
    }

    /// Ends the registry; from now on nobody listens at its address.
    pub(crate) fn stop(&mut self) {
        // Either fails only for a process that has ended already.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Returns a port of 127.0.0.1 on which nobody listens now.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}
