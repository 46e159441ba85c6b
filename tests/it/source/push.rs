//! Writing a commit into the mirror and pushing it: to a path, over http and over ssh.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use git2::FileMode;
use moored::config::Auth;
use moored::source::{
    self, Blob, Changes, CommitError, CommitText, Limits, Push, Revision, SourceError, Tree,
};

use super::{Host, at, program, settings};
use crate::support::git_http::{Answer, GitHttp};
use crate::support::origin::{Origin, oid};
use crate::support::put;
use crate::support::sshd::Sshd;

fn text() -> CommitText {
    CommitText {
        name: "moored".to_owned(),
        email: "moored@host".to_owned(),
        at: 1_700_000_000,
        message: "Revert shop\n\nbecause\n".to_owned(),
    }
}

impl Host {
    fn stored(&self, revision: &Revision, path: &str) -> Option<Blob> {
        let tree = Tree::at_commit(&self.mirror(), revision).unwrap();
        tree.stored(&at(path)).unwrap()
    }

    /// Writes a commit that puts paths back to what they were at a revision.
    fn put_back(
        &self,
        parent: &Revision,
        then: &Revision,
        paths: &[&str],
    ) -> Result<Revision, CommitError> {
        let changes: Changes = paths
            .iter()
            .map(|path| (at(path), self.stored(then, path)))
            .collect();
        source::commit_on(&self.mirror(), parent, &changes, &text())
    }

    async fn push_as(
        &self,
        url: &str,
        auth: Auth,
        parent: &Revision,
        commit: &Revision,
    ) -> Result<(), SourceError> {
        let push = Push {
            parent: parent.clone(),
            commit: commit.clone(),
        };
        source::push(
            &settings(url, "main", auth),
            &self.mirror(),
            program(),
            &push,
        )
        .await
    }

    async fn push(
        &self,
        url: &str,
        parent: &Revision,
        commit: &Revision,
    ) -> Result<(), SourceError> {
        self.push_as(url, Auth::None, parent, commit).await
    }
}

/// Two commits, fetched; the second is to be taken back.
async fn two_commits(url: impl Fn(&Origin) -> String, auth: Auth) -> (Origin, Host, [Revision; 3]) {
    let (origin, first) = Origin::with_main(&[("a/x", "1"), ("b", "1")]);
    let second = origin.commit("main", &[("a/x", "2"), ("a/y", "2"), ("b", "2")]);
    let host = Host::new();
    host.fetch_as(&url(&origin), "main", auth).await.unwrap();
    let commit = host.put_back(&second, &first, &["a/x", "a/y"]).unwrap();
    (origin, host, [first, second, commit])
}

fn head(origin: &Origin) -> Revision {
    let head = origin.repository.refname_to_id("refs/heads/main").unwrap();
    Revision::from(head)
}

/// Asks Git itself.
fn git(directory: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git")
        .args(["-c", "safe.directory=*", "-C"])
        .arg(directory)
        .args(arguments)
        .output()
        .unwrap();
    assert!(output.status.success(), "{arguments:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[tokio::test]
async fn a_commit_on_top_is_pushed_and_git_agrees() {
    let (origin, host, [first, second, commit]) = two_commits(Origin::url, Auth::None).await;
    host.push(&origin.url(), &second, &commit).await.unwrap();
    assert_eq!(head(&origin), commit);
    let dir = origin.path();
    git(&dir, &["fsck", "--strict"]);
    assert_eq!(git(&dir, &["show", "main:a/x"]), "1");
    assert_eq!(git(&dir, &["ls-tree", "--name-only", "main", "a/"]), "a/x");
    assert_eq!(git(&dir, &["show", "main:b"]), "2", "not asked for");
    let format = "%an <%ae> %cn %at %P %s|%b";
    let shown = git(
        &dir,
        &["show", "--no-patch", &format!("--format={format}"), "main"],
    );
    let expected = format!("moored <moored@host> moored 1700000000 {second} Revert shop|because");
    assert_eq!(shown, expected);
    let fetched = host.fetch(&origin.url(), "main").await.unwrap();
    assert_eq!((fetched.revision, fetched.rewound), (commit, false));
    assert_eq!(
        host.stored(&first, "a/x"),
        host.stored(&head(&origin), "a/x")
    );
}

#[tokio::test]
async fn a_branch_that_moved_is_left_where_it_is() {
    let (origin, host, [_, second, commit]) = two_commits(Origin::url, Auth::None).await;
    let third = origin.commit("main", &[("b", "3")]);
    let outrun = host.push(&origin.url(), &second, &commit).await;
    assert!(
        matches!(outrun, Err(SourceError::Outrun { .. })),
        "{outrun:?}"
    );
    assert_eq!(head(&origin), third);
    origin.delete("main");
    origin.point("other", oid(&third));
    let outrun = host.push(&origin.url(), &second, &commit).await;
    assert!(
        matches!(outrun, Err(SourceError::Outrun { .. })),
        "{outrun:?}"
    );
}

#[tokio::test]
async fn a_branch_with_a_work_tree_is_refused() {
    let (origin, host, [first, second, commit]) = two_commits(Origin::url, Auth::None).await;
    let clone = origin.directory.path().join("clone");
    let (from, to) = (origin.url(), clone.display().to_string());
    git(
        origin.directory.path(),
        &["clone", "-q", "--branch=main", &from, &to],
    );
    let refused = host.push(&to, &second, &commit).await.unwrap_err();
    assert!(
        matches!(refused, SourceError::CheckedOut { .. }),
        "{refused}"
    );
    assert!(refused.to_string().contains("bare"), "{refused}");
    assert_eq!(git(&clone, &["rev-parse", "main"]), second.to_string());
    assert_eq!(git(&clone, &["status", "--porcelain"]), "");
    // At another branch its files do not mind.
    git(&clone, &["checkout", "-q", "-b", "other", first.as_str()]);
    host.push(&to, &second, &commit).await.unwrap();
    assert_eq!(git(&clone, &["rev-parse", "main"]), commit.to_string());
    assert_eq!(git(&clone, &["status", "--porcelain"]), "");
    // A bare repository whose branch is checked out beside it.
    let beside = origin.directory.path().join("beside").display().to_string();
    git(&origin.path(), &["worktree", "add", "-q", &beside, "main"]);
    let refused = host
        .push(&origin.url(), &second, &commit)
        .await
        .unwrap_err();
    assert!(
        matches!(refused, SourceError::CheckedOut { .. }),
        "{refused}"
    );
}

#[tokio::test]
async fn what_is_put_there_can_be_read_by_its_owner() {
    let (origin, host, [_, second, commit]) = two_commits(Origin::url, Auth::None).await;
    let shell = Command::new("sh")
        .args(["-c", "umask 077; exec \"$0\" __fetch"])
        .arg(program())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .env("HOME", host.directory.path())
        .spawn();
    let mut child = shell.unwrap();
    let request = serde_json::json!({
        "url": origin.url(), "branch": "main", "login": "None", "received_bytes": 0, "objects": 0,
        "refs": 0,
        "mirror": host.mirror(), "push": {"parent": second, "commit": commit},
    });
    let mut stdin = child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, format!("{request}\n").as_bytes()).unwrap();
    // The end of its stdin is the end of the child, so it is kept open until it has ended.
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "{\"Ok\":null}");
    assert_eq!(head(&origin), commit);
    let mut seen = 0;
    for directory in ["objects/pack", "refs/heads"] {
        for entry in std::fs::read_dir(origin.path().join(directory)).unwrap() {
            let mode = entry.unwrap().metadata().unwrap().permissions().mode();
            assert_eq!(mode & 0o044, 0o044, "{directory}");
            seen += 1;
        }
    }
    assert!(seen >= 3, "a pack, its index and the branch");
}

#[tokio::test]
async fn pushes_over_http_with_a_token() {
    let (origin, first) = Origin::with_main(&[("a", "1")]);
    let second = origin.commit("main", &[("a", "2")]);
    let server = GitHttp::serve(origin.directory.path());
    server.take_pushes();
    // "deploy:secret"
    server.demand("ZGVwbG95OnNlY3JldA==");
    let host = Host::new();
    let token_file = host.directory.path().join("token");
    put(&token_file, "secret\n");
    let auth = || Auth::Token {
        username: "deploy".to_owned(),
        token_file: token_file.clone(),
    };
    let url = server.url("state.git");
    host.fetch_as(&url, "main", auth()).await.unwrap();
    let commit = host.put_back(&second, &first, &["a"]).unwrap();
    host.push_as(&url, auth(), &second, &commit).await.unwrap();
    assert_eq!(head(&origin), commit);
    git(&origin.path(), &["fsck", "--strict"]);
    let outrun = host.push_as(&url, auth(), &second, &commit).await;
    assert!(
        matches!(outrun, Err(SourceError::Outrun { .. })),
        "{outrun:?}"
    );
}

#[tokio::test]
async fn a_remote_that_refuses_says_why() {
    let (origin, first) = Origin::with_main(&[("a", "1")]);
    let second = origin.commit("main", &[("a", "2")]);
    let server = GitHttp::serve(origin.directory.path());
    let (host, url) = (Host::new(), server.url("state.git"));
    host.fetch(&url, "main").await.unwrap();
    let commit = host.put_back(&second, &first, &["a"]).unwrap();
    let refused = host.push(&url, &second, &commit).await.unwrap_err();
    assert!(
        matches!(refused, SourceError::PushRefused { .. }),
        "{refused}"
    );
    for status in [401, 403, 404] {
        server.set_answer(Answer::Status(status));
        let refused = host.push(&url, &second, &commit).await.unwrap_err();
        assert!(
            matches!(refused, SourceError::PushRefused { .. }),
            "{refused}"
        );
    }
    server.set_answer(Answer::Status(500));
    let error = host.push(&url, &second, &commit).await.unwrap_err();
    assert!(matches!(error, SourceError::Unreachable { .. }), "{error}");
    // A protected branch.
    server.set_answer(Answer::Git);
    server.take_pushes();
    hook(&origin, "exit 1");
    let refused = host.push(&url, &second, &commit).await.unwrap_err();
    assert!(
        matches!(&refused, SourceError::PushRefused { message, .. } if message.contains("hook declined")),
        "{refused}"
    );
    assert_eq!(head(&origin), second);
    // Somebody is faster by less than a round trip.
    let third = origin.commit("other", &[("a", "3")]);
    let move_it = format!("env -u GIT_QUARANTINE_PATH git update-ref refs/heads/main {third}");
    hook(&origin, &move_it);
    let outrun = host.push(&url, &second, &commit).await.unwrap_err();
    assert!(matches!(outrun, SourceError::Outrun { .. }), "{outrun}");
    assert_eq!(head(&origin), third);
}

/// Makes a repository do something before it takes a push.
fn hook(origin: &Origin, line: &str) {
    let hook = origin.path().join("hooks/pre-receive");
    std::fs::create_dir_all(hook.parent().unwrap()).unwrap();
    put(&hook, format!("#!/bin/sh\n{line}\n"));
    std::fs::set_permissions(&hook, std::fs::Permissions::from_mode(0o755)).unwrap();
}

#[tokio::test]
async fn a_push_that_takes_too_long_is_ended() {
    let (origin, host, [_, second, commit]) = two_commits(Origin::url, Auth::None).await;
    let server = GitHttp::serve(origin.directory.path());
    server.set_answer(Answer::Drip);
    let settings = settings(&server.url("state.git"), "main", Auth::None);
    let push = Push {
        parent: second,
        commit,
    };
    let limits = Limits {
        deadline: Duration::from_millis(700),
        ..Limits::default()
    };
    let error = source::push_within(&settings, &host.mirror(), program(), &push, &limits).await;
    assert!(
        matches!(error, Err(SourceError::PushTimedOut { .. })),
        "{error:?}"
    );
}

#[tokio::test]
async fn pushes_over_ssh_unless_the_key_is_read_only() {
    let (origin, first) = Origin::with_main(&[("a", "1")]);
    let second = origin.commit("main", &[("a", "2")]);
    let server = Sshd::start();
    let host = Host::new();
    let known_hosts = host.directory.path().join("known_hosts");
    put(
        &known_hosts,
        format!("{} {}\n", server.name(), server.public("host")),
    );
    let auth = |key: &str| Auth::SshKey {
        ssh_key: server.key(key),
        known_hosts: known_hosts.clone(),
    };
    let url = server.url(&origin.path());
    host.fetch_as(&url, "main", auth("reader")).await.unwrap();
    let commit = host.put_back(&second, &first, &["a"]).unwrap();
    let refused = host.push_as(&url, auth("reader"), &second, &commit).await;
    let refused = refused.unwrap_err();
    assert!(
        matches!(&refused, SourceError::PushRefused { message, .. } if message.contains("marked as read only")),
        "{refused}"
    );
    assert_eq!(head(&origin), second);
    host.push_as(&url, auth("user"), &second, &commit)
        .await
        .unwrap();
    assert_eq!(head(&origin), commit);
}

#[tokio::test]
async fn files_and_directories_take_each_others_place() {
    let origin = Origin::empty();
    let first = origin.commit("main", &[("conf", "1"), ("d/x/y", "1"), ("odd/z", "1")]);
    let blob = origin.blob(b"2");
    origin.repository.find_blob(blob).unwrap();
    let second = {
        let inner = origin.raw_tree(&[("100644", b"a", blob), ("100644", b"other", blob)]);
        // A mode that Git does not write any more: nobody asked to correct it.
        let odd = origin.raw_tree(&[("100664", b"z", blob)]);
        let root = origin.raw_tree(&[
            ("40000", b"conf", inner),
            ("100644", b"d", blob),
            ("40000", b"odd", odd),
        ]);
        origin.commit_tree("main", root, &[oid(&first)], "two")
    };
    let host = Host::new();
    host.fetch(&origin.url(), "main").await.unwrap();
    let blocked = host.put_back(&second, &first, &["conf", "conf/a"]);
    assert_eq!(
        blocked,
        Err(CommitError::InTheWay { path: at("conf") }),
        "conf/other belongs to somebody else"
    );
    let paths = ["conf", "conf/a", "conf/other", "d", "d/x/y"];
    let commit = host.put_back(&second, &first, &paths).unwrap();
    assert_eq!(host.read(&commit, "conf"), "1");
    assert_eq!(host.read(&commit, "d/x/y"), "1");
    let odd = |revision: &Revision| {
        let repository = git2::Repository::open_bare(host.mirror()).unwrap();
        let tree = repository
            .find_commit(oid(revision))
            .unwrap()
            .tree()
            .unwrap();
        tree.get_name("odd").unwrap().id()
    };
    assert_eq!(odd(&commit), odd(&second));
    // And back again; what becomes empty goes.
    let again = host.put_back(&commit, &second, &paths).unwrap();
    assert_eq!(host.read(&again, "conf/other"), "2");
    assert_eq!(host.read(&again, "d"), "2");
    let none: Changes = ["conf/a", "conf/other", "d", "odd/z"]
        .map(|path| (at(path), None))
        .into();
    let empty = source::commit_on(&host.mirror(), &again, &none, &text()).unwrap();
    let empty = Tree::at_commit(&host.mirror(), &empty).unwrap();
    assert_eq!(empty.list(&at("")).unwrap(), []);
}

#[tokio::test]
async fn a_tree_notes_what_was_asked_for() {
    let (origin, first) = Origin::with_main(&[("a/x", "1")]);
    let executable = origin.commit_entries(
        "main",
        &[("a/x", origin.blob(b"1"), FileMode::BlobExecutable)],
    );
    let host = Host::new();
    host.fetch(&origin.url(), "main").await.unwrap();
    let tree = Tree::at_commit(&host.mirror(), &first).unwrap();
    assert!(tree.asked().is_empty());
    tree.read(&at("a/x")).unwrap();
    tree.read(&at("a")).unwrap_err();
    tree.read(&at("nothing")).unwrap_err();
    tree.walk(&at("a")).unwrap();
    assert_eq!(tree.asked(), ["a", "a/x", "nothing"].map(at).into());
    for path in ["a", "nothing", "a/x/y"] {
        assert_eq!(tree.stored(&at(path)), Ok(None), "{path}");
    }
    assert!(tree.stored(&at("a/x")).unwrap().is_some());
    assert_ne!(host.stored(&executable, "a/x"), host.stored(&first, "a/x"));
}
