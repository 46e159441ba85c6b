//! Changes are seen at once.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use moored::source::Watch;

use crate::support::origin::Origin;
use crate::support::put;

fn watch(repository: Option<&Path>, files: &[PathBuf]) -> (Watch, Receiver<()>) {
    let (sender, changes) = channel();
    let mut watch = Watch::new(move || sender.send(()).unwrap_or_default()).unwrap();
    watch
        .set_paths(repository, &files.iter().cloned().collect())
        .unwrap();
    (watch, changes)
}

fn seen(changes: &Receiver<()>) -> bool {
    let first = changes.recv_timeout(Duration::from_secs(1)).is_ok();
    // The rest of the same change.
    while changes.recv_timeout(Duration::from_millis(100)).is_ok() {}
    first
}

fn silent(changes: &Receiver<()>) -> bool {
    changes.recv_timeout(Duration::from_millis(300)).is_err()
}

#[test]
fn sees_a_commit_on_any_branch() {
    let (origin, _) = Origin::with_main(&[("a", "1")]);
    let (_watch, changes) = watch(Some(&origin.path()), &[]);
    assert!(silent(&changes));
    origin.commit("main", &[("a", "2")]);
    assert!(seen(&changes));
    origin.commit("feature/new", &[("a", "3")]);
    assert!(seen(&changes));
    origin.commit("feature/new", &[("a", "4")]);
    assert!(seen(&changes), "in a directory that was made meanwhile");
    put(
        origin.path().join("packed-refs"),
        "# pack-refs with: peeled\n",
    );
    assert!(seen(&changes));
    put(origin.path().join("description"), "x");
    fs::read(origin.path().join("HEAD")).unwrap();
    assert!(silent(&changes), "not for other files, not for reading");
}

#[test]
fn sees_a_commit_in_a_work_tree_and_a_repository_that_appears() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("state");
    let (mut watch, changes) = watch(Some(&path), &[]);
    let repository = git2::Repository::init(&path).unwrap();
    assert!(seen(&changes));
    watch.set_paths(Some(&path), &BTreeSet::new()).unwrap();
    let who = git2::Signature::now("Ada", "ada@example.org").unwrap();
    let tree = repository.treebuilder(None).unwrap().write().unwrap();
    let tree = repository.find_tree(tree).unwrap();
    repository
        .commit(Some("refs/heads/main"), &who, &who, "first", &tree, &[])
        .unwrap();
    assert!(seen(&changes));
}

#[test]
fn sees_files_that_are_made_replaced_written_and_removed() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("app.env");
    let (_watch, changes) = watch(None, std::slice::from_ref(&file));
    put(&file, "A=1");
    assert!(seen(&changes), "made");
    put(directory.path().join("next"), "A=2");
    assert!(silent(&changes), "a neighbour");
    fs::rename(directory.path().join("next"), &file).unwrap();
    assert!(seen(&changes), "replaced");
    put(&file, "A=3");
    assert!(seen(&changes), "written in place");
    fs::read(&file).unwrap();
    assert!(silent(&changes), "read");
    fs::remove_file(&file).unwrap();
    assert!(seen(&changes), "removed");
}

#[test]
fn follows_directories_that_come_and_are_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let inner = directory.path().join("secrets");
    let file = inner.join("token");
    let files = BTreeSet::from([file.clone()]);
    let (mut watch, changes) = watch(None, std::slice::from_ref(&file));
    fs::create_dir(&inner).unwrap();
    assert!(seen(&changes), "the directory comes");
    watch.set_paths(None, &files).unwrap();
    put(&file, "1");
    assert!(seen(&changes));
    fs::rename(&inner, directory.path().join("old")).unwrap();
    fs::create_dir(&inner).unwrap();
    seen(&changes);
    watch.set_paths(None, &files).unwrap();
    put(&file, "2");
    assert!(seen(&changes), "in the directory that took its place");
}

#[test]
fn forgets_what_is_not_wanted_any_more() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("app.env");
    let (origin, _) = Origin::with_main(&[("a", "1")]);
    let (mut watch, changes) = watch(Some(&origin.path()), std::slice::from_ref(&file));
    watch
        .set_paths(None, &BTreeSet::from([file.clone()]))
        .unwrap();
    origin.commit("main", &[("a", "2")]);
    assert!(silent(&changes));
    put(&file, "1");
    assert!(seen(&changes));
}
