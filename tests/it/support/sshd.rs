//! A real OpenSSH server on a port of its own, for the user who runs the tests.

use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::put;

/// What a forge does with a read-only deploy key, in its words.
const READ_ONLY: &str = "case $SSH_ORIGINAL_COMMAND in git-upload-pack*) eval \
                         $SSH_ORIGINAL_COMMAND;; *) echo 'ERROR: The key you are authenticating \
                         with has been marked as read only.' >&2; exit 1;; esac";

/// The server; ends when dropped.
pub(crate) struct Sshd {
    process: Child,
    port: u16,
    directory: tempfile::TempDir,
}

impl Sshd {
    /// Starts one (Debian: `openssh-server`, and the directory `/run/sshd`).
    pub(crate) fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for (name, kind) in [
            ("host", "ed25519"),
            ("host_ecdsa", "ecdsa"),
            ("user", "ed25519"),
            ("reader", "ed25519"),
            ("stranger", "ed25519"),
        ] {
            make_key(&directory.path().join(name), kind);
        }
        let public = |name: &str| {
            let path = directory.path().join(name).with_extension("pub");
            std::fs::read_to_string(path).unwrap()
        };
        let authorized = format!(
            "{}command=\"{READ_ONLY}\" {}",
            public("user"),
            public("reader")
        );
        put(directory.path().join("authorized"), authorized);
        let path = |name: &str| directory.path().join(name).display().to_string();
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .unwrap()
            .port();
        let mut server = Command::new("/usr/sbin/sshd");
        server.args(["-D", "-e", "-f", "/dev/null"]);
        for option in [
            format!("Port={port}"),
            "ListenAddress=127.0.0.1".to_owned(),
            format!("HostKey={}", path("host")),
            format!("HostKey={}", path("host_ecdsa")),
            format!("AuthorizedKeysFile={}", path("authorized")),
            "StrictModes=no".to_owned(),
            "PasswordAuthentication=no".to_owned(),
            "KbdInteractiveAuthentication=no".to_owned(),
            "PidFile=none".to_owned(),
        ] {
            server.args(["-o", &option]);
        }
        let process = server
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssh-server is not installed");
        let mut sshd = Self {
            process,
            port,
            directory,
        };
        for _ in 0..100 {
            if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return sshd;
            }
            let ended = sshd.process.try_wait().unwrap();
            assert!(
                ended.is_none(),
                "sshd ended; is there a directory /run/sshd?"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("sshd does not listen");
    }

    /// Returns the address of a repository.
    pub(crate) fn url(&self, repository: &Path) -> String {
        let user = Command::new("id").arg("-un").output().unwrap().stdout;
        let user = String::from_utf8(user).unwrap();
        format!(
            "ssh://{}@127.0.0.1:{}{}",
            user.trim(),
            self.port,
            repository.display()
        )
    }

    /// Returns the server's name as `known_hosts` has it.
    pub(crate) fn name(&self) -> String {
        format!("[127.0.0.1]:{}", self.port)
    }

    /// Returns the path of a private key: `user` may do everything, `reader` may fetch, and
    /// `stranger` may not log in.
    pub(crate) fn key(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Returns a public key as `known_hosts` has it.
    pub(crate) fn public(&self, name: &str) -> String {
        let text = std::fs::read_to_string(self.key(name).with_extension("pub")).unwrap();
        text.split(' ').take(2).collect::<Vec<_>>().join(" ")
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Makes a key pair at `path` and `path.pub`.
pub(crate) fn make_key(path: &Path, kind: &str) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-N", "", "-t", kind, "-f"])
        .arg(path)
        .status()
        .expect("openssh-client is not installed");
    assert!(made.success(), "ssh-keygen {kind}");
}
