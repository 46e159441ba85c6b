//! A Docker engine of its own, which a test may restart: in namespaces of its own, so that neither
//! its network rules nor its mounts nor its containers meet those of the engine that all share.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use tempfile::TempDir;

use super::docker_cli::{import, try_docker_at};

/// Runs as the first process of the namespaces; `$1` is the engine's directory. It ends when
/// nobody can talk to it any more, and takes everything along.
///
/// `/run` hides the containerd of the host, which the engine would take for its own; `/etc/docker`
/// has the key that an engine takes its id from, and our lock goes by that id. An engine that has no
/// time to stop its containers does not start those with `unless-stopped` again.
const SCRIPT: &str = r#"
mount -t tmpfs tmpfs /run && mkdir -p /run/lock /etc/docker &&
    mount -t tmpfs tmpfs /etc/docker && busybox ip link set lo up || exit 1
start() {
    dockerd --data-root "$1/data" --host "unix://$1/docker.sock" --log-level warn \
        --shutdown-timeout 120 \
        --default-address-pool base=10.200.0.0/14,size=24 >>"$1/log" 2>&1 &
    daemon=$!
    until docker --host "unix://$1/docker.sock" version >/dev/null 2>&1; do
        kill -0 $daemon 2>/dev/null || { cat "$1/log"; exit 1; }
        sleep 0.1
    done
    echo up
}
stop() { kill $daemon; wait $daemon; }
start "$1"
while read -r again; do
    stop
    start "$1"
done
stop
rm -rf "$1"
"#;

/// A running engine. It ends with this value, also when the test is killed.
pub(crate) struct PrivateEngine {
    dir: TempDir,
    process: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl PrivateEngine {
    /// Starts one, and waits until it answers. Wants root and `dockerd`.
    pub(crate) fn start() -> Self {
        // Not in `/tmp`: an engine wants binds of what it lives in to be told of its mounts.
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        let spaces = ["--mount", "--net", "--pid", "--mount-proc"];
        let mut process = Command::new("unshare")
            .args(spaces)
            .args(["--fork", "--kill-child", "sh", "-c", SCRIPT, "engine"])
            .arg(dir.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare can be run");
        let commands = process.stdin.take();
        let answers = BufReader::new(process.stdout.take().unwrap());
        let mut engine = Self {
            dir,
            process,
            commands,
            answers,
        };
        engine.is_up();
        engine
    }

    /// Returns where it listens.
    pub(crate) fn endpoint(&self) -> String {
        format!("unix://{}/docker.sock", self.dir.path().display())
    }

    /// Runs the CLI on it; returns what it printed.
    #[track_caller]
    pub(crate) fn docker(&self, arguments: &[&str]) -> String {
        try_docker_at(&self.endpoint(), arguments)
            .unwrap_or_else(|error| panic!("docker {arguments:?}: {error}"))
    }

    /// Makes an image of a static busybox; see [`import`].
    pub(crate) fn image(&self, reference: &str, instructions: &[&str]) {
        import(&self.endpoint(), reference, instructions);
    }

    /// Ends it, which stops its containers, and starts it again, and with it what has a restart
    /// policy.
    pub(crate) fn restart(&mut self) {
        writeln!(self.commands.as_mut().unwrap(), "again").unwrap();
        self.is_up();
    }

    fn is_up(&mut self) {
        let mut line = String::new();
        self.answers.read_line(&mut line).unwrap();
        if line != "up\n" {
            let rest: Vec<_> = self
                .answers
                .by_ref()
                .lines()
                .map_while(Result::ok)
                .collect();
            panic!("no engine: {line}{}", rest.join("\n"));
        }
    }
}

impl Drop for PrivateEngine {
    fn drop(&mut self) {
        drop(self.commands.take());
        drop(self.process.wait());
    }
}
