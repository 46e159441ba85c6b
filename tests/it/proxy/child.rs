//! The child that tests, whatever the proxy does.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use moored::desired::proxy::ProxyKind;
use moored::proxy::{CHILD_ARGUMENT, HostProxy, ProxyError, Shape};
use tempfile::TempDir;

use super::program;
use crate::support::docker_cli::eventually;
use crate::support::put;

/// A program that stands for nginx, in a directory of its own.
struct Fake {
    dir: TempDir,
}

impl Fake {
    fn new(script: &str) -> Self {
        let dir = TempDir::new().unwrap();
        let fake = Self { dir };
        let script = script.replace("@DIR@", fake.dir.path().to_str().unwrap());
        executable(&fake.path("nginx"), &format!("#!/bin/sh\n{script}\n"));
        fake
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn proxy(&self) -> HostProxy {
        HostProxy {
            kind: ProxyKind::Nginx,
            program: self.path("nginx"),
            main: None,
        }
    }

    async fn test(&self, within: Duration) -> Result<Shape, ProxyError> {
        let nothing = BTreeMap::new();
        self.proxy().test_within(program(), &nothing, within).await
    }

    /// The process that wrote its number to `pid`.
    fn pid(&self) -> Option<PathBuf> {
        let pid = fs::read_to_string(self.path("pid")).ok()?;
        let pid = pid.strip_suffix('\n')?;
        Some(Path::new("/proc").join(pid))
    }
}

fn executable(path: &Path, text: &str) {
    put(path, text);
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

const HANGS: &str = "echo $$ > @DIR@/pid; exec sleep 600";

const ENOUGH: Duration = Duration::from_secs(20);

#[test]
fn it_ends_with_its_parent() {
    let fake = Fake::new(HANGS);
    let request = serde_json::json!({
        "over": [],
        "hidden": [],
        "commands": [[fake.path("nginx")]],
    });
    let mut child = Command::new(program())
        .arg(CHILD_ARGUMENT)
        .process_group(0)
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{request}").unwrap();
    eventually("the test runs", || {
        fake.pid().is_some_and(|pid| pid.exists())
    });
    // What the kernel does for a parent that was killed.
    drop(stdin);
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    eventually("what it started has ended", || !alive(&fake));
}

fn alive(fake: &Fake) -> bool {
    let stat = fake
        .pid()
        .and_then(|pid| fs::read_to_string(pid.join("stat")).ok());
    stat.is_some_and(|stat| !stat.contains(") Z "))
}

#[tokio::test]
async fn it_ends_at_the_deadline() {
    let fake = Fake::new(HANGS);
    let began = Instant::now();
    let error = fake.test(Duration::from_millis(500)).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(10));
    let said = error.to_string();
    assert!(matches!(error, ProxyError::Timeout { .. }), "{said}");
    assert!(
        said.contains("nginx -T` did not end within 500ms"),
        "{said}"
    );
    eventually("what it started has ended", || !alive(&fake));
}

#[tokio::test]
async fn it_ends_when_nobody_waits_any_more() {
    let fake = Fake::new(HANGS);
    let waiting = tokio::time::timeout(Duration::from_secs(1), fake.test(ENOUGH));
    assert!(waiting.await.is_err());
    assert!(fake.pid().is_some());
    eventually("what it started has ended", || !alive(&fake));
}

#[tokio::test]
async fn what_it_writes_is_bounded() {
    let fake = Fake::new("exec cat /dev/zero");
    let error = fake.test(ENOUGH).await.unwrap_err();
    assert!(matches!(error, ProxyError::TooMuch { .. }), "{error}");
    // The cause stands at the end.
    let fake =
        Fake::new("head -c 3000000 /dev/zero >&2; echo >&2; echo 'nginx: [emerg] why' >&2; exit 1");
    let error = fake.test(ENOUGH).await.unwrap_err();
    assert_eq!(error.to_string(), "the configuration is invalid: why");
}

#[tokio::test]
async fn the_environment_of_the_caller_has_no_say() {
    let fake = Fake::new("env > @DIR@/env; echo '# configuration file /n:'");
    assert!(fake.test(ENOUGH).await.unwrap().is_empty());
    fake.proxy().reload().await.unwrap();
    let env = fs::read_to_string(fake.path("env")).unwrap();
    let mut names: Vec<&str> = env
        .lines()
        .filter_map(|line| line.split('=').next())
        .collect();
    names.retain(|name| !["PWD", "_", "SHLVL", "OLDPWD"].contains(name));
    names.sort_unstable();
    assert_eq!(names, ["HOME", "PATH", "XDG_CONFIG_HOME", "XDG_DATA_HOME"]);
    let home = env
        .lines()
        .find_map(|line| line.strip_prefix("HOME="))
        .unwrap();
    assert!(!Path::new(home).exists(), "it is thrown away");
}

#[tokio::test]
async fn without_the_right_to_mount_it_says_so() {
    let fake = Fake::new("echo never");
    let wrapper = fake.path("moored");
    let drop_it = "setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin";
    let text = format!("#!/bin/sh\nexec {drop_it} {} \"$@\"\n", program().display());
    executable(&wrapper, &text);
    let error = fake
        .proxy()
        .test(&wrapper, &BTreeMap::new())
        .await
        .unwrap_err();
    let said = error.to_string();
    assert!(matches!(error, ProxyError::NoPrivilege { .. }), "{said}");
    assert!(said.contains("CAP_SYS_ADMIN"), "{said}");
}

#[tokio::test]
async fn a_program_that_is_not_ours_is_told() {
    let fake = Fake::new("exit 0");
    let error = fake
        .proxy()
        .test(Path::new("/bin/false"), &BTreeMap::new())
        .await;
    let said = error.unwrap_err().to_string();
    assert!(
        said.starts_with("the program that runs the test failed: exit status: 1"),
        "{said}"
    );
    let error = fake
        .proxy()
        .test(Path::new("/gone"), &BTreeMap::new())
        .await;
    let said = error.unwrap_err().to_string();
    assert!(
        said.starts_with("the program that runs the test failed: /gone: No such"),
        "{said}"
    );
}

#[tokio::test]
async fn a_file_does_not_cover_a_directory() {
    let fake = Fake::new("exit 0");
    let (file, dir) = (fake.path("file"), fake.path("dir"));
    put(&file, "x");
    fs::create_dir(&dir).unwrap();
    let staged = BTreeMap::from([(dir.clone(), file)]);
    let error = fake.proxy().test(program(), &staged).await.unwrap_err();
    assert!(
        matches!(&error, ProxyError::Cover { path, .. } if *path == dir),
        "{error}"
    );
}
