//! What a fetch reports about the remote's branch.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use moored::config::Auth;
use moored::source::{self, FetchAnswer, Limits, SourceError};

use super::{Host, answer, settings};
use crate::support::origin::{Origin, oid};
use crate::support::put;

#[tokio::test]
async fn brings_the_first_commit_and_every_later_one() {
    let (origin, first) = Origin::with_main(&[("moored.yaml", "tag: 1\n")]);
    let host = Host::new();
    assert_eq!(
        host.fetch(&origin.url(), "main").await,
        Ok(answer(&first)),
        "first"
    );
    assert_eq!(host.read(&first, "moored.yaml"), "tag: 1\n");

    let promoted = origin.commit("main", &[("moored.yaml", "tag: 2\n")]);
    assert_eq!(
        host.fetch(&origin.url(), "main").await,
        Ok(answer(&promoted)),
        "promote"
    );
    assert_eq!(host.read(&promoted, "moored.yaml"), "tag: 2\n");

    let reverted = origin.commit("main", &[("moored.yaml", "tag: 1\n")]);
    assert_eq!(
        host.fetch(&origin.url(), "main").await,
        Ok(answer(&reverted)),
        "revert"
    );
    assert_eq!(host.read(&reverted, "moored.yaml"), "tag: 1\n");
    assert_eq!(
        host.read(&promoted, "moored.yaml"),
        "tag: 2\n",
        "history stays"
    );
}

#[tokio::test]
async fn answers_again_when_nothing_has_changed() {
    let (origin, first) = Origin::with_main(&[("a", "1")]);
    let host = Host::new();
    for _ in 0..3 {
        assert_eq!(host.fetch(&origin.url(), "main").await, Ok(answer(&first)));
    }
    let url = format!("file://{}", origin.url());
    assert_eq!(
        host.fetch(&url, "main").await,
        Ok(answer(&first)),
        "as file://"
    );
}

#[tokio::test]
async fn a_branch_of_this_host_that_has_not_moved_needs_no_child() {
    let (origin, first) = Origin::with_main(&[("a", "1")]);
    let host = Host::new();
    let nobody = Path::new("/nonexistent/moored");
    let settings = settings(&origin.url(), "main", Auth::None);
    let mirror = host.mirror();
    let without_child = || source::fetch(&settings, &mirror, nobody);
    let failed = without_child().await.unwrap_err();
    assert!(matches!(failed, SourceError::Child { .. }), "{failed}");
    host.fetch(&origin.url(), "main").await.unwrap();
    assert_eq!(without_child().await, Ok(answer(&first)));
    // A file that the mirror has lost is brought again, by a child.
    std::fs::remove_dir_all(mirror.join("objects")).unwrap();
    std::fs::create_dir_all(mirror.join("objects/pack")).unwrap();
    assert!(without_child().await.is_err());
    host.fetch(&origin.url(), "main").await.unwrap();
    assert_eq!(without_child().await, Ok(answer(&first)));
    origin.commit("main", &[("a", "2")]);
    assert!(without_child().await.is_err());
}

#[tokio::test]
async fn brings_a_merge_with_its_whole_history() {
    let (origin, first) = Origin::with_main(&[("a", "1")]);
    origin.point("side", oid(&first));
    let side = origin.commit("side", &[("b", "1")]);
    let main = origin.commit("main", &[("a", "2")]);
    let tree = origin.repository.find_commit(oid(&side)).unwrap().tree_id();
    let merge = origin.commit_tree("main", tree, &[oid(&main), oid(&side)], "merge");
    let host = Host::new();
    assert_eq!(host.fetch(&origin.url(), "main").await, Ok(answer(&merge)));
    for old in [&first, &side, &main, &merge] {
        assert_eq!(
            source::descends_from(&host.mirror(), &merge, old),
            Ok(true),
            "{old}"
        );
    }
    assert_eq!(
        source::descends_from(&host.mirror(), &first, &merge),
        Ok(false)
    );
}

#[tokio::test]
async fn reports_a_branch_that_was_deleted_or_renamed() {
    let (origin, first) = Origin::with_main(&[("a", "1")]);
    let host = Host::new();
    host.fetch(&origin.url(), "main").await.unwrap();
    for number in 0..12 {
        origin.point(&format!("other-{number:02}"), oid(&first));
    }
    origin.delete("main");
    let error = host.fetch(&origin.url(), "main").await.unwrap_err();
    let SourceError::BranchMissing {
        branch, available, ..
    } = &error
    else {
        panic!("{error}")
    };
    assert_eq!(branch, "main");
    assert_eq!(available.len(), 10, "bounded");
    assert_eq!(available[0], "other-00");
    assert!(error.to_string().contains("nothing is changed"), "{error}");

    origin.point("main", oid(&first));
    assert_eq!(
        host.fetch(&origin.url(), "main").await,
        Ok(answer(&first)),
        "it came back"
    );
}

#[tokio::test]
async fn reports_a_branch_that_never_existed() {
    let (origin, _) = Origin::with_main(&[("a", "1")]);
    let error = Host::new().fetch(&origin.url(), "production").await;
    assert!(
        matches!(&error, Err(SourceError::BranchMissing { available, .. }) if available == &["main"]),
        "{error:?}"
    );
}

#[tokio::test]
async fn reports_an_empty_repository_also_in_place_of_a_full_one() {
    let origin = Origin::empty();
    let error = Host::new().fetch(&origin.url(), "main").await.unwrap_err();
    assert!(
        matches!(error, SourceError::EmptyRepository { .. }),
        "{error}"
    );

    let (origin, first) = Origin::with_main(&[("a", "1")]);
    let host = Host::new();
    host.fetch(&origin.url(), "main").await.unwrap();
    std::fs::remove_dir_all(origin.path()).unwrap();
    git2::Repository::init_bare(origin.path()).unwrap();
    let error = host.fetch(&origin.url(), "main").await.unwrap_err();
    assert!(
        matches!(error, SourceError::EmptyRepository { .. }),
        "{error}"
    );
    assert_eq!(host.read(&first, "a"), "1", "the mirror is left alone");
}

#[tokio::test]
async fn flags_a_rewind_and_an_unrelated_history() {
    let (origin, first) = Origin::with_main(&[("a", "1")]);
    let second = origin.commit("main", &[("a", "2")]);
    let host = Host::new();
    assert_eq!(host.fetch(&origin.url(), "main").await, Ok(answer(&second)));

    origin.point("main", oid(&first));
    let rewound = FetchAnswer {
        revision: first.clone(),
        rewound: true,
    };
    assert_eq!(
        host.fetch(&origin.url(), "main").await,
        Ok(rewound),
        "rewind"
    );
    assert_eq!(
        host.fetch(&origin.url(), "main").await,
        Ok(answer(&first)),
        "told once"
    );

    let tree = origin
        .repository
        .find_commit(oid(&second))
        .unwrap()
        .tree_id();
    let orphan = origin.commit_tree("main", tree, &[], "from scratch");
    let unrelated = FetchAnswer {
        revision: orphan,
        rewound: true,
    };
    assert_eq!(
        host.fetch(&origin.url(), "main").await,
        Ok(unrelated),
        "orphan"
    );
}

#[tokio::test]
async fn follows_a_branch_whose_name_was_a_directory_before() {
    let (origin, first) = Origin::with_main(&[("a", "1")]);
    origin.point("x", oid(&first));
    let host = Host::new();
    host.fetch(&origin.url(), "x").await.unwrap();
    origin.delete("x");
    origin.point("x/y", oid(&first));
    assert_eq!(host.fetch(&origin.url(), "x/y").await, Ok(answer(&first)));
}

#[tokio::test]
async fn reports_what_is_no_repository() {
    let directory = tempfile::tempdir().unwrap();
    for path in [
        directory.path().to_owned(),
        directory.path().join("missing"),
    ] {
        let error = Host::new()
            .fetch(path.to_str().unwrap(), "main")
            .await
            .unwrap_err();
        assert!(
            matches!(error, SourceError::NotARepository { .. }),
            "{error}"
        );
    }
}

#[tokio::test]
async fn refuses_other_transports_hostile_branches_and_credentials() {
    let host = Host::new();
    for url in [
        "ext::sh -c 'touch /tmp/x'",
        "git://127.0.0.1/state",
        "relative/path",
    ] {
        let error = host.fetch(url, "main").await.unwrap_err();
        assert!(matches!(error, SourceError::Unsupported { .. }), "{error}");
    }
    for branch in [
        "--upload-pack=x",
        "$(id)",
        "a..b",
        "main:refs/heads/x",
        "x.lock",
    ] {
        let error = host.fetch("/nowhere", branch).await.unwrap_err();
        assert!(
            matches!(error, SourceError::InvalidBranch { .. }),
            "{error}"
        );
    }
    let url = "https://me:hunter2@127.0.0.1/state";
    let error = host.fetch(url, "main").await.unwrap_err();
    assert!(
        matches!(error, SourceError::CredentialsInUrl { .. }),
        "{error}"
    );
    assert!(!format!("{error} {error:?}").contains("hunter2"), "{error}");
    assert!(!host.mirror().exists(), "nothing was begun");
}

#[tokio::test]
async fn reads_a_local_repository_with_a_colon_a_space_and_a_work_tree() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("my: state");
    let repository = git2::Repository::init(&path).unwrap();
    let who = git2::Signature::now("Ada", "ada@example.org").unwrap();
    let tree = repository.treebuilder(None).unwrap().write().unwrap();
    let tree = repository.find_tree(tree).unwrap();
    let id = repository
        .commit(Some("refs/heads/main"), &who, &who, "first", &tree, &[])
        .unwrap();
    let fetched = Host::new().fetch(path.to_str().unwrap(), "main").await;
    assert_eq!(fetched.unwrap().revision, id.into());
}

#[tokio::test]
async fn reads_a_local_repository_of_another_user() {
    let (origin, first) = Origin::with_main(&[("a", "1")]);
    let path = origin.path();
    std::os::unix::fs::chown(&path, Some(12_345), None).expect("tests run as root");
    let host = Host::new();
    assert_eq!(host.fetch(&origin.url(), "main").await, Ok(answer(&first)));
}

#[tokio::test]
async fn keeps_the_mirror_to_its_owner() {
    let (origin, _) = Origin::with_main(&[("a", "1")]);
    let host = Host::new();
    host.fetch(&origin.url(), "main").await.unwrap();
    for directory in ["mirror", "mirror.home"] {
        let meta = std::fs::metadata(host.directory.path().join(directory)).unwrap();
        assert_eq!(meta.permissions().mode() & 0o777, 0o700, "{directory}");
    }
}

#[tokio::test]
async fn stops_at_the_limits() {
    let (origin, _) = Origin::with_main(&[("a", "1"), ("b", "2")]);
    let host = Host::new();
    let few = Limits {
        objects: 2,
        ..Limits::default()
    };
    let error = host.fetch_within(&origin.url(), few).await.unwrap_err();
    assert!(
        matches!(&error, SourceError::TooLarge { limit, .. } if limit == "2 objects"),
        "{error}"
    );
    origin.point("other", oid(&origin.commit("main", &[("a", "2")])));
    let one = Limits {
        refs: 1,
        ..Limits::default()
    };
    let error = host.fetch_within(&origin.url(), one).await.unwrap_err();
    assert!(
        matches!(&error, SourceError::TooLarge { limit, .. } if limit == "1 refs"),
        "{error}"
    );
    host.fetch(&origin.url(), "main").await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_whose_file_system_hangs_stops_nobody_else() {
    let (origin, _) = Origin::with_main(&[("a", "1")]);
    let host = Host::new();
    host.fetch(&origin.url(), "main").await.unwrap();
    // Whoever opens it waits for somebody to write.
    let branch = origin.path().join("refs/heads/main");
    std::fs::remove_file(&branch).unwrap();
    let mode = rustix::fs::Mode::RWXU;
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &branch,
        rustix::fs::FileType::Fifo,
        mode,
        0,
    )
    .unwrap();
    let limits = Limits {
        deadline: std::time::Duration::from_secs(1),
        ..Limits::default()
    };
    let others = tokio::spawn(tokio::time::sleep(std::time::Duration::from_millis(10)));
    let error = host.fetch_within(&origin.url(), limits).await.unwrap_err();
    assert!(matches!(error, SourceError::TimedOut { .. }), "{error}");
    assert!(others.is_finished());
    // The one that waits there may end.
    drop(std::fs::File::options().write(true).open(&branch).unwrap());
}

#[tokio::test]
async fn says_when_the_child_does_not_do_its_work() {
    let (origin, _) = Origin::with_main(&[("a", "1")]);
    let directory = tempfile::tempdir().unwrap();
    let settings = super::settings(&origin.url(), "main", Auth::None);
    let mirror = directory.path().join("mirror");
    for program in ["/bin/false", "/nonexistent"] {
        let error = source::fetch(&settings, &mirror, program.as_ref())
            .await
            .unwrap_err();
        assert!(matches!(error, SourceError::Child { .. }), "{error}");
    }
}

#[tokio::test]
async fn is_not_led_elsewhere_by_a_users_configuration() {
    let (origin, first) = Origin::with_main(&[("a", "1")]);
    let (evil, _) = Origin::with_main(&[("a", "evil")]);
    let host = Host::new();
    let home = host.directory.path().join("home");
    std::fs::create_dir(&home).unwrap();
    let config = format!(
        "[url \"file://{}\"]\n\tinsteadOf = file://{}\n",
        evil.url(),
        origin.url()
    );
    put(home.join(".gitconfig"), &config);
    // Even a child that had this home. `env` shows what the real one gets.
    let program = host.directory.path().join("program");
    let environment = host.directory.path().join("environment");
    let script = format!(
        "#!/bin/sh\nenv > {}\nHOME={} exec {} \"$@\"\n",
        environment.display(),
        home.display(),
        super::program().display()
    );
    put(&program, script);
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let settings = super::settings(&origin.url(), "main", Auth::None);
    let fetched = source::fetch(&settings, &host.mirror(), &program).await;
    assert_eq!(fetched, Ok(answer(&first)));

    let given = std::fs::read_to_string(environment).unwrap();
    assert!(given.contains("HOME=") && given.contains("mirror.home"));
    assert!(!given.contains("CARGO"), "{given}");
}

#[tokio::test]
async fn refuses_a_repository_with_other_object_ids() {
    let directory = tempfile::tempdir().unwrap();
    let made = std::process::Command::new("git")
        .args(["init", "-q", "--bare", "--object-format=sha256"])
        .arg(directory.path())
        .status();
    assert!(made.unwrap().success());
    let url = directory.path().to_str().unwrap();
    let error = Host::new().fetch(url, "main").await.unwrap_err();
    assert!(
        matches!(error, SourceError::NotARepository { .. }),
        "{error}"
    );
    assert!(error.to_string().contains("sha256"), "{error}");
}
