//! What a tree reads and what it refuses.

use std::fs;
use std::os::unix::fs::symlink;

use git2::FileMode;
use moored::source::{Entry, EntryKind, ReadError, Revision, Tree};

use super::{at, files};
use crate::support::origin::{Origin, oid};
use crate::support::put;

const LFS: &str = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n";

/// Returns the same files three times: committed, on disk, in memory.
fn everywhere(content: &[(&str, &str)]) -> Vec<(&'static str, Tree, Option<tempfile::TempDir>)> {
    let (origin, revision) = Origin::with_main(content);
    let committed = Tree::at_commit(&origin.path(), &revision).unwrap();
    let disk = tempfile::tempdir().unwrap();
    for (path, text) in content {
        let path = disk.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        put(path, text);
    }
    let directory = Tree::in_directory(disk.path()).unwrap();
    let memory = Tree::from_files(files(content)).unwrap();
    vec![
        ("commit", committed, Some(origin.directory)),
        ("directory", directory, Some(disk)),
        ("memory", memory, None),
    ]
}

fn file(name: &str) -> Entry {
    entry(name, EntryKind::File { executable: false })
}

fn entry(name: &str, kind: EntryKind) -> Entry {
    let name = name.to_owned();
    Entry { name, kind }
}

#[test]
fn reads_the_same_from_a_commit_a_directory_and_memory() {
    let content = [
        ("moored.yaml", "a: 1\n"),
        ("stacks/blog/compose.yaml", "services: {}\n"),
        ("stacks/blog/conf/nginx.conf", "server {}\n"),
        ("stacks/b.txt", ""),
    ];
    for (name, tree, _kept) in everywhere(&content) {
        assert_eq!(tree.read(&at("moored.yaml")).unwrap(), b"a: 1\n", "{name}");
        assert_eq!(
            tree.list(&at("stacks")).unwrap(),
            [file("b.txt"), entry("blog", EntryKind::Directory)],
            "{name}"
        );
        assert_eq!(
            tree.walk(&at("stacks")).unwrap(),
            [
                (at("stacks/b.txt"), false),
                (at("stacks/blog/compose.yaml"), false),
                (at("stacks/blog/conf/nginx.conf"), false)
            ],
            "{name}"
        );
        assert_eq!(tree.list(&at(".")).unwrap().len(), 2, "{name}");
    }
}

#[test]
fn tells_missing_from_wrong() {
    for (name, tree, _kept) in everywhere(&[("a/file", "x")]) {
        for path in ["b", "b/c", "a/c", "a/file/beneath", "a/file/beneath/deep"] {
            let path = at(path);
            let missing = ReadError::Missing { path: path.clone() };
            assert_eq!(tree.read(&path), Err(missing), "{name}");
        }
        let path = at("a");
        assert_eq!(
            tree.read(&path),
            Err(ReadError::NotAFile { path }),
            "{name}"
        );
        assert!(
            matches!(tree.read(&at(".")), Err(ReadError::NotAFile { .. })),
            "{name}"
        );
        let path = at("a/file");
        assert_eq!(
            tree.list(&path),
            Err(ReadError::NotADirectory { path }),
            "{name}"
        );
        let path = at("c");
        assert_eq!(tree.list(&path), Err(ReadError::Missing { path }), "{name}");
    }
}

#[test]
fn finds_manifests_but_not_in_hidden_or_very_deep_directories() {
    let content = [
        ("moored.yaml", ""),
        ("prod/moored.yaml", ""),
        ("prod/other.yaml", ""),
        (".github/moored.yaml", ""),
        ("1/2/3/4/5/6/7/8/moored.yaml", ""),
        ("1/2/3/4/5/6/7/8/9/moored.yaml", ""),
    ];
    for (name, tree, _kept) in everywhere(&content) {
        assert_eq!(
            tree.find_named("moored.yaml").unwrap(),
            [
                at("1/2/3/4/5/6/7/8/moored.yaml"),
                at("moored.yaml"),
                at("prod/moored.yaml")
            ],
            "{name}"
        );
    }
}

#[test]
fn refuses_lfs_pointers_and_large_files() {
    let large = "x".repeat(8 * 1024 * 1024 + 1);
    for (name, tree, _kept) in everywhere(&[("model.bin", LFS), ("large", &large)]) {
        let path = at("model.bin");
        assert_eq!(
            tree.read(&path),
            Err(ReadError::LfsPointer { path }),
            "{name}"
        );
        if name != "memory" {
            let (path, size) = (at("large"), 8 * 1024 * 1024 + 1);
            assert_eq!(
                tree.read(&path),
                Err(ReadError::TooLarge { path, size }),
                "{name}"
            );
        }
    }
}

#[test]
fn refuses_links_and_submodules_of_a_commit() {
    let (origin, first) = Origin::with_main(&[("real/file", "x")]);
    let passwd = origin.blob(b"/etc/passwd");
    let real = origin.blob(b"real");
    let revision = origin.commit_entries(
        "main",
        &[
            ("compose.yaml", passwd, FileMode::Link),
            ("linked", real, FileMode::Link),
            ("module", oid(&first), FileMode::Commit),
            ("run.sh", passwd, FileMode::BlobExecutable),
        ],
    );
    let tree = Tree::at_commit(&origin.path(), &revision).unwrap();
    let link = |path| ReadError::Symlink { path: at(path) };
    let module = ReadError::Submodule { path: at("module") };
    assert_eq!(
        tree.read(&at("compose.yaml")).unwrap_err(),
        link("compose.yaml")
    );
    assert_eq!(tree.read(&at("linked/file")).unwrap_err(), link("linked"));
    assert_eq!(tree.list(&at("linked")).unwrap_err(), link("linked"));
    assert_eq!(tree.read(&at("module")).unwrap_err(), module);
    assert_eq!(tree.read(&at("module/compose.yaml")).unwrap_err(), module);
    assert_eq!(tree.walk(&at(".")).unwrap_err(), link("compose.yaml"));
    assert_eq!(
        tree.list(&at(".")).unwrap(),
        [
            entry("compose.yaml", EntryKind::Symlink),
            entry("linked", EntryKind::Symlink),
            entry("module", EntryKind::Submodule),
            entry("real", EntryKind::Directory),
            entry("run.sh", EntryKind::File { executable: true }),
        ]
    );
    assert_eq!(
        tree.find_named("compose.yaml").unwrap(),
        [at("compose.yaml")],
        "a link is no absence"
    );
}

#[test]
fn refuses_links_and_repositories_within_a_directory() {
    let disk = tempfile::tempdir().unwrap();
    let root = disk.path().join("root");
    fs::create_dir_all(root.join("module/.git")).unwrap();
    fs::create_dir_all(root.join(".git")).unwrap();
    fs::create_dir_all(disk.path().join("outside")).unwrap();
    put(disk.path().join("outside/file"), "secret");
    put(root.join("module/file"), "x");
    symlink("../outside/file", root.join("file")).unwrap();
    symlink("../outside", root.join("dir")).unwrap();
    symlink("loop", root.join("loop")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        root.join("fifo"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    let tree = Tree::in_directory(&root).unwrap();
    let link = |path| ReadError::Symlink { path: at(path) };
    assert_eq!(tree.read(&at("file")).unwrap_err(), link("file"));
    assert_eq!(tree.read(&at("dir/file")).unwrap_err(), link("dir"));
    assert_eq!(tree.list(&at("dir")).unwrap_err(), link("dir"));
    assert_eq!(tree.read(&at("loop")).unwrap_err(), link("loop"));
    assert!(matches!(
        tree.read(&at("fifo")),
        Err(ReadError::NotAFile { .. })
    ));
    let module = ReadError::Submodule { path: at("module") };
    assert_eq!(tree.read(&at("module/file")).unwrap_err(), module);
    let names: Vec<_> = tree
        .list(&at("."))
        .unwrap()
        .into_iter()
        .map(|entry| entry.name)
        .collect();
    assert_eq!(names, ["dir", "fifo", "file", "loop", "module"]);
}

#[test]
fn refuses_names_that_no_repository_may_have() {
    let origin = Origin::empty();
    let blob = origin.blob(b"x");
    let inner = origin.raw_tree(&[("100644", b"config", blob)]);
    let fine = ("100644", b"moored.yaml".as_slice(), blob);
    let mut cases: Vec<(&str, &[u8], git2::Oid)> = vec![
        ("40000", b".git", inner),
        ("40000", b".GIT", inner),
        ("40000", b"git~1", inner),
        ("40000", b"..", inner),
        ("40000", b".", inner),
        ("100644", b"a/b", blob),
        ("100644", b"a\nb", blob),
        ("100644", b"a\xff", blob),
    ];
    cases.push(fine);
    for case in cases {
        let tree = origin.raw_tree(&[case, fine]);
        let revision = origin.commit_tree("main", tree, &[], "odd");
        let tree = Tree::at_commit(&origin.path(), &revision).unwrap();
        let name = String::from_utf8_lossy(case.1);
        for result in [tree.list(&at(".")).map(drop), tree.walk(&at(".")).map(drop)] {
            assert!(
                matches!(result, Err(ReadError::BadName { .. })),
                "{name:?} {result:?}"
            );
        }
        if case == fine {
            let twice = tree.read(&at("moored.yaml"));
            assert!(
                matches!(twice, Err(ReadError::BadName { .. })),
                "ambiguous: {twice:?}"
            );
        } else {
            assert_eq!(
                tree.find_named("moored.yaml").unwrap(),
                [at("moored.yaml")],
                "{name:?}"
            );
        }
    }
}

#[test]
fn refuses_modes_that_git_does_not_write() {
    let origin = Origin::empty();
    let blob = origin.blob(b"x");
    for mode in ["100664", "100600", "100777", "60000"] {
        let tree = origin.raw_tree(&[(mode, b"file", blob)]);
        let revision = origin.commit_tree("main", tree, &[], "odd");
        let tree = Tree::at_commit(&origin.path(), &revision).unwrap();
        assert!(
            matches!(tree.read(&at("file")), Err(ReadError::NotAFile { .. })),
            "{mode}"
        );
    }
}

#[test]
fn ignores_attributes_that_rewrite_files() {
    let (origin, revision) = Origin::with_main(&[
        (".gitattributes", "* text eol=crlf ident\n"),
        ("nginx.conf", "$Id$\nserver {}\n"),
    ]);
    let tree = Tree::at_commit(&origin.path(), &revision).unwrap();
    assert_eq!(tree.read(&at("nginx.conf")).unwrap(), b"$Id$\nserver {}\n");
}

#[test]
fn stops_at_too_many_files() {
    let origin = Origin::empty();
    let blob = origin.blob(b"x");
    let names: Vec<String> = (0..10_001).map(|n| format!("{n:06}")).collect();
    let entries: Vec<_> = names
        .iter()
        .map(|name| ("100644", name.as_bytes(), blob))
        .collect();
    let many = |entries: &[_]| {
        let tree = origin.raw_tree(entries);
        let revision = origin.commit_tree("main", tree, &[], "many");
        Tree::at_commit(&origin.path(), &revision).unwrap()
    };
    assert_eq!(
        many(&entries[..10_000]).walk(&at(".")).unwrap().len(),
        10_000
    );
    assert!(matches!(
        many(&entries).walk(&at(".")),
        Err(ReadError::TooMany { limit: 10_000, .. })
    ));
}

#[test]
fn describes_the_commit_and_bounds_what_it_says() {
    let (origin, revision) = Origin::with_main(&[("a", "1")]);
    let tree = Tree::at_commit(&origin.path(), &revision).unwrap();
    let info = tree.commit().unwrap();
    assert_eq!(info.revision, revision);
    assert_eq!(info.subject, "change");
    assert_eq!(
        (info.author_name.as_str(), info.author_email.as_str()),
        ("Ada", "ada@example.org")
    );
    assert_eq!(info.committed_at, 1_700_000_000);

    let id = origin.repository.find_commit(oid(&revision)).unwrap();
    let long = format!("{}\u{fc}\rforged\nline", "x".repeat(199));
    let revision = origin.commit_tree("main", id.tree_id(), &[], &long);
    let tree = Tree::at_commit(&origin.path(), &revision).unwrap();
    let subject = &tree.commit().unwrap().subject;
    assert_eq!(*subject, format!("{}\u{fc}", "x".repeat(199)));
    let huge = "y".repeat(1_000_000);
    let revision = origin.commit_tree("main", id.tree_id(), &[], &huge);
    let tree = Tree::at_commit(&origin.path(), &revision).unwrap();
    assert_eq!(tree.commit().unwrap().subject.len(), 200);
}

#[test]
fn says_when_the_commit_is_not_there() {
    let (origin, first) = Origin::with_main(&[("a", "1")]);
    let nowhere: Revision = "1".repeat(40).parse().unwrap();
    let tree_of_first = origin
        .repository
        .find_commit(oid(&first))
        .unwrap()
        .tree_id();
    for revision in [nowhere, Revision::from(tree_of_first)] {
        let error = Tree::at_commit(&origin.path(), &revision).err().unwrap();
        assert_eq!(error, ReadError::NoCommit { revision });
    }
}

#[test]
fn is_shared_by_threads() {
    let (origin, revision) = Origin::with_main(&[("a", "1")]);
    let tree = Tree::at_commit(&origin.path(), &revision).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(tree.read(&at("a")).unwrap(), b"1"));
        }
    });
}
