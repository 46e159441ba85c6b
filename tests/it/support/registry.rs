//! A registry of its own for a test: Debian's `docker-registry` on a free port.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use tempfile::TempDir;

use super::docker_cli::{docker, eventually};
use super::put;

/// A running registry on 127.0.0.1, which engines talk to without TLS. Ends when dropped.
pub(crate) struct Registry {
    process: Child,
    port: u16,
    storage: Arc<TempDir>,
}

/// Who may read a registry [with a password](Registry::with_password).
pub(crate) const USER: &str = "ada";

/// The password of [`USER`].
pub(crate) const PASSWORD: &str = "correct-horse-battery";

/// [`PASSWORD`] as `htpasswd -B` writes it; this registry takes no other form.
const USERS: &str = "ada:$2y$05$abcdefghijklmnopqrstuuSnF5tLPqPFqc0z9CY0HcSLFbSRlL67u\n";

impl Registry {
    /// Starts a registry and waits until it answers.
    pub(crate) fn start() -> Self {
        Self::serve(Arc::new(tempfile::tempdir().unwrap()), "")
    }

    /// Starts another one with the same images, which asks for [`USER`] and [`PASSWORD`].
    pub(crate) fn with_password(&self) -> Self {
        let users = self.storage.path().join("users");
        put(&users, USERS);
        let auth = format!(
            "auth: {{htpasswd: {{realm: test, path: {}}}}}\n",
            users.display()
        );
        Self::serve(Arc::clone(&self.storage), &auth)
    }

    fn serve(storage: Arc<TempDir>, auth: &str) -> Self {
        let port = free_port();
        let config = storage.path().join(format!("{port}.yml"));
        let text = format!(
            "version: 0.1\nlog: {{level: error}}\nstorage:\n  filesystem: {{rootdirectory: {}}}\n\
             http: {{addr: '127.0.0.1:{port}'}}\n{auth}",
            storage.path().join("data").display()
        );
        put(&config, text);
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
            storage,
        }
    }

    /// Returns the registry's name: `127.0.0.1:port`.
    pub(crate) fn host(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// Returns the reference of something in this registry: `127.0.0.1:port/name`.
    pub(crate) fn reference(&self, name: &str) -> String {
        format!("{}/{name}", self.host())
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
