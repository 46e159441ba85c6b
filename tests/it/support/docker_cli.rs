//! The Docker CLI as a second way to the engine, and the sandbox that cleans up after a test.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// The engine that tests talk to.
pub(crate) const ENDPOINT: &str = "unix:///var/run/docker.sock";

/// The program that every test image consists of.
const BUSYBOX: &str = "/bin/busybox";

/// Applets that are linked in `/bin` of a test image.
const APPLETS: [&str; 17] = [
    "sh", "sleep", "true", "false", "cat", "echo", "env", "ls", "mkdir", "touch", "tail", "head",
    "httpd", "nc", "wget", "kill", "id",
];

/// Runs the CLI; returns what it printed, without white space at the ends.
pub(crate) fn docker(arguments: &[&str]) -> String {
    match try_docker(arguments) {
        Ok(printed) => printed,
        Err(message) => panic!("docker {}: {message}", arguments.join(" ")),
    }
}

/// Runs the CLI; the error is what it printed to stderr.
pub(crate) fn try_docker(arguments: &[&str]) -> Result<String, String> {
    try_docker_at(ENDPOINT, arguments)
}

/// Runs the CLI on another engine; the error is what it printed to stderr.
pub(crate) fn try_docker_at(endpoint: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new("docker")
        .args(["--host", endpoint])
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .map_err(|error| format!("the docker CLI can't be run: {error}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    if output.status.success() {
        Ok(text(&output.stdout))
    } else {
        Err(text(&output.stderr))
    }
}

/// Makes an image from busybox and Dockerfile instructions (`CMD`, `ENV`, `EXPOSE`, `HEALTHCHECK`,
/// `LABEL`, `USER`, `VOLUME`, `WORKDIR`).
pub(crate) fn import(endpoint: &str, reference: &str, instructions: &[&str]) {
    let mut command = Command::new("docker");
    command.args(["--host", endpoint, "import"]);
    for instruction in instructions {
        command.args(["--change", instruction]);
    }
    let mut import = command
        .args(["-", reference])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the docker CLI can be run");
    let archive = archive(reference);
    // An engine that refuses an instruction does not read on; what it says is worth more.
    let written = import.stdin.take().unwrap().write_all(&archive);
    let output = import.wait_with_output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "docker import: {message}");
    written.expect("the CLI takes the image");
}

/// Waits until `holds` is true; panics with `what` if that takes more than 30 seconds.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !holds() {
        assert!(Instant::now() < deadline, "never came true: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Names that nobody else uses, and the clean-up of everything that carries them.
pub(crate) struct Sandbox {
    prefix: String,
    volumes: Mutex<Vec<String>>,
}

impl Sandbox {
    /// Opens a sandbox. `area` is one word for who tests: `engine`, `plan`.
    pub(crate) fn new(area: &str) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self {
            prefix: format!("mooredtest-{area}-{}-{count}", std::process::id()),
            volumes: Mutex::default(),
        }
    }

    /// Returns the name of an object: unique on this engine.
    pub(crate) fn name(&self, name: &str) -> String {
        format!("{}-{name}", self.prefix)
    }

    /// Takes over a volume without a name of its own, which outlives its container where that is
    /// removed the way we do it.
    pub(crate) fn own_volume(&self, name: &str) {
        self.volumes.lock().unwrap().push(name.to_owned());
    }

    /// Makes an image; returns its reference. See [`import`].
    pub(crate) fn image(&self, name: &str, instructions: &[&str]) -> String {
        let reference = format!("{}:1", self.name(name));
        import(ENDPOINT, &reference, instructions);
        reference
    }
}

impl Drop for Sandbox {
    /// Removes everything with the prefix. Never panics: it also runs while a failed test unwinds.
    fn drop(&mut self) {
        let listed = |arguments: &[&str]| {
            let listed = try_docker(arguments).unwrap_or_default();
            listed.lines().map(str::to_owned).collect::<Vec<_>>()
        };
        let remove = |command: &[&str], object: &str| {
            drop(try_docker(&[command, &[object]].concat()));
        };
        let ours = format!("name={}-", self.prefix);
        for id in listed(&["ps", "-aq", "--filter", &ours]) {
            remove(&["rm", "--force", "--volumes"], &id);
        }
        for id in listed(&["network", "ls", "-q", "--filter", &ours]) {
            remove(&["network", "rm"], &id);
        }
        let taken_over = self
            .volumes
            .lock()
            .map(|names| names.clone())
            .unwrap_or_default();
        for name in [
            listed(&["volume", "ls", "-q", "--filter", &ours]),
            taken_over,
        ]
        .concat()
        {
            remove(&["volume", "rm", "--force"], &name);
        }
        let format = "{{.Repository}} {{.Tag}} {{.Digest}}";
        for line in listed(&["images", "--digests", "--format", format]) {
            let words: Vec<&str> = line.split(' ').collect();
            let [repository, tag, digest] = words.as_slice() else {
                continue;
            };
            if !repository.contains(&format!("{}-", self.prefix)) {
                continue;
            }
            if *tag != "<none>" {
                remove(&["rmi", "--force"], &format!("{repository}:{tag}"));
            }
            if *digest != "<none>" {
                remove(&["rmi", "--force"], &format!("{repository}@{digest}"));
            }
        }
    }
}

/// The file system of a test image, as tar. Its name is in the file `/image`: no two images have
/// a layer in common, so that a pull never finds the layer of another test.
fn archive(reference: &str) -> Vec<u8> {
    assert!(
        Path::new(BUSYBOX).exists(),
        "{BUSYBOX} is missing: install busybox-static"
    );
    let root = tempfile::tempdir().unwrap();
    let bin = root.path().join("bin");
    std::fs::create_dir_all(&bin).unwrap();
    std::fs::create_dir_all(root.path().join("tmp")).unwrap();
    std::fs::copy(BUSYBOX, bin.join("busybox")).unwrap();
    for applet in APPLETS {
        std::os::unix::fs::symlink("busybox", bin.join(applet)).unwrap();
    }
    let mut name = std::fs::File::create(root.path().join("image")).unwrap();
    name.write_all(reference.as_bytes()).unwrap();
    let output = Command::new("tar")
        .args(["--create", "--owner=0", "--group=0", "--directory"])
        .arg(root.path())
        .args(["bin", "tmp", "image"])
        .output()
        .expect("tar can be run");
    assert!(output.status.success(), "tar packs the image");
    output.stdout
}
