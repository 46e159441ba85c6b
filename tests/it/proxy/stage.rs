//! Copies of directories, with changes.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use moored::files::Mode;
use moored::proxy::{ProxyError, stage};
use tempfile::TempDir;

use super::changes;
use crate::support::host_proxy::snapshot;
use crate::support::put;

/// A directory `live` beside which there is room for a copy.
fn place(files: &[(&str, &str)]) -> TempDir {
    let dir = TempDir::new().unwrap();
    let live = dir.path().join("live");
    fs::create_dir(&live).unwrap();
    for (path, text) in files {
        let path = live.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        put(path, text);
    }
    dir
}

fn staged(dir: &TempDir, files: &[(&str, Option<&str>)]) -> Result<Vec<String>, ProxyError> {
    let (live, copy) = (dir.path().join("live"), dir.path().join("copy"));
    let before = live.is_dir().then(|| snapshot(&live));
    let done = stage(&live, &changes(files), &copy);
    assert_eq!(
        live.is_dir().then(|| snapshot(&live)),
        before,
        "live is untouched"
    );
    done?;
    Ok(shown(&copy))
}

fn shown(copy: &Path) -> Vec<String> {
    let line = |(path, (content, _)): (std::path::PathBuf, (Vec<u8>, _))| {
        let mode = fs::symlink_metadata(&path).unwrap().mode() & 0o7777;
        let path = path.strip_prefix(copy).unwrap().display().to_string();
        format!("{path} {mode:o} {}", String::from_utf8(content).unwrap())
    };
    snapshot(copy).into_iter().map(line).collect()
}

#[test]
fn files_are_added_changed_and_removed() {
    let dir = place(&[("a", "1"), ("b", "2"), ("sub/c", "3"), ("sub/d", "4")]);
    let live = dir.path().join("live");
    fs::set_permissions(live.join("b"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(live.join("sub"), fs::Permissions::from_mode(0o500)).unwrap();
    fs::set_permissions(&live, fs::Permissions::from_mode(0o750)).unwrap();
    let found = staged(
        &dir,
        &[
            ("a", Some("one")),
            ("sub/c", None),
            ("gone", None),
            ("gone/far", None),
            ("new/deep/e", Some("5")),
        ],
    );
    let found = found.unwrap();
    let expected = [
        "a 644 one",
        "b 600 2",
        "new 755 ",
        "new/deep 755 ",
        "new/deep/e 644 5",
        "sub 500 ",
        "sub/d 644 4",
    ];
    assert_eq!(found, expected);
    let copy = dir.path().join("copy");
    assert_eq!(fs::metadata(copy).unwrap().mode() & 0o777, 0o750);
}

#[test]
fn links_stay_links_and_a_change_takes_their_place() {
    let dir = place(&[("a", "1")]);
    let live = dir.path().join("live");
    put(dir.path().join("outside"), "secret");
    symlink("../outside", live.join("link")).unwrap();
    symlink("../outside", live.join("replaced")).unwrap();
    symlink("nowhere", live.join("dangling")).unwrap();
    let _socket = UnixListener::bind(live.join("socket")).unwrap();
    let found = staged(&dir, &[("replaced", Some("new"))]).unwrap();
    let expected = [
        "a 644 1",
        "dangling 777 nowhere",
        "link 777 ../outside",
        "replaced 644 new",
    ];
    assert_eq!(found, expected);
    assert_eq!(
        fs::read_to_string(dir.path().join("outside")).unwrap(),
        "secret"
    );
}

#[test]
fn a_source_may_be_a_file_a_link_or_absent() {
    let dir = TempDir::new().unwrap();
    let path = |name: &str| dir.path().join(name);
    put(path("file"), "1");
    fs::create_dir(path("real")).unwrap();
    put(path("real/a"), "1");
    symlink("real", path("link")).unwrap();
    symlink("file", path("linked-file")).unwrap();
    let to = |source: &str, copy: &str, files: &[(&str, Option<&str>)]| {
        stage(&path(source), &changes(files), &path(copy)).unwrap();
    };
    to("file", "c1", &[]);
    to("file", "c2", &[("", Some("2"))]);
    to("gone", "c3", &[("", Some("3"))]);
    to("gone", "c4", &[("a", Some("4"))]);
    to("link", "c5", &[("b", Some("5"))]);
    to("file", "c6", &[("", None)]);
    to("linked-file", "c7", &[]);
    let read = |name: &str| fs::read_to_string(path(name)).unwrap();
    let found = ["c1", "c2", "c3", "c4/a", "c5/a", "c5/b", "c7"].map(read);
    assert_eq!(found, ["1", "2", "3", "4", "1", "5", "1"]);
    assert!(!path("c6").exists());
    assert_eq!(read("file"), "1");
    // A directory that was made for it.
    fs::create_dir(path("c8")).unwrap();
    to("real", "c8", &[]);
    assert_eq!(read("c8/a"), "1");
}

#[test]
fn an_executable_file_stays_one() {
    let dir = place(&[]);
    let mut files = changes(&[("run", Some("x"))]);
    for change in files.values_mut().flatten() {
        change.1 = Mode::Executable;
    }
    stage(&dir.path().join("live"), &files, &dir.path().join("copy")).unwrap();
    assert_eq!(shown(&dir.path().join("copy")), ["run 755 x"]);
}

#[test]
fn what_leads_elsewhere_is_refused() {
    let refuse = |files: &[(&str, Option<&str>)]| {
        let dir = place(&[("a", "1"), ("sub/b", "2")]);
        symlink("..", dir.path().join("live/up")).unwrap();
        let error = staged(&dir, files).unwrap_err();
        assert!(matches!(error, ProxyError::StagePath { .. }), "{error}");
        assert!(!dir.path().join("x").exists());
        error.to_string()
    };
    assert!(refuse(&[("../x", Some("1"))]).contains("leads out of the directory"));
    assert!(refuse(&[("/x", Some("1"))]).contains("leads out of the directory"));
    assert!(refuse(&[("up/x", Some("1"))]).contains("a file or a link is where"));
    assert!(refuse(&[("a/x", Some("1"))]).contains("a file or a link is where"));
    assert!(refuse(&[("sub", Some("1"))]).contains("there is a directory of its name"));
    assert!(refuse(&[("", Some("1")), ("x", None)]).contains("both a file and a directory"));
}

#[test]
fn a_directory_that_is_too_large_is_refused() {
    let many = place(&[]);
    for n in 0..10_001 {
        fs::create_dir(many.path().join(format!("live/{n}"))).unwrap();
    }
    let error = staged(&many, &[]).unwrap_err().to_string();
    assert!(error.contains("has more than 10,000 entries"), "{error}");
    let large = place(&[("a", "x")]);
    let file = fs::File::create(large.path().join("live/b")).unwrap();
    file.set_len(64 * 1024 * 1024).unwrap();
    let error = stage(
        &large.path().join("live"),
        &changes(&[]),
        &large.path().join("copy"),
    );
    let error = error.unwrap_err().to_string();
    assert!(error.contains("has more than 64 MiB"), "{error}");
}
