//! Going back by a commit.

use std::process::Command;

use git2::FileMode;
use moored::journal::Outcome;
use moored::report::RollbackReport;
use moored::rollback::{Ask, RollbackError, Way};

use super::{Town, git, named, plain, shop};

#[test]
fn what_runs_is_bad() {
    let town = Town::new();
    let v1 = town.release("app:v1");
    let v2 = town.release("app:v2");
    let done = town.back().unwrap();
    let revert = town.head();
    let text = named(
        &town.printed(done),
        &[(&v1, "V1"), (&v2, "V2"), (&revert, "REVERT")],
    );
    insta::assert_snapshot!(text, @"
    shop  Git says 1-V1 (change) again
      commit    REVERT on branch main
      put back  compose.yaml
      next      the controller's next pass deploys it; moored reconcile does it now
    ");
    let shown = git(
        &town.url,
        &["show", "--no-patch", "--format=%an <%ae>%n%B", "main"],
    );
    let host = moored::host::name();
    insta::assert_snapshot!(named(&shown, &[(&v1, "V1")]).replace(&host, "HOST"), @"
    moored <moored@HOST>
    Revert shop to 1-V1

    The files of stack shop are again as in commit V1:

        change

    Run by ada on HOST, by moored rollback.
    ");
    assert_eq!(git(&town.url, &["rev-parse", "main^"]), v2.to_string());
    assert_eq!(town.files(&revert), town.files(&v1));
    git(&town.url, &["fsck", "--strict"]);
    assert_eq!(town.image("shop"), "app:v2", "until the next pass");
    // In a hurry people ask twice.
    let again = town.back().unwrap();
    assert!(matches!(again.way, Way::Already { .. }));
    assert_eq!(town.head(), revert);
    insta::assert_snapshot!(named(&town.printed(again), &[(&v1, "V1"), (&revert, "REVERT")]), @"
    shop  Git says 1-V1 (change) already
      commit    REVERT
      next      the controller's next pass deploys it; moored reconcile does it now
    ");
    town.succeeds();
    assert_eq!(town.image("shop"), "app:v1");
    // And once more when it has been deployed: never forward to what was bad.
    let none = town.back().unwrap_err();
    assert!(matches!(none, RollbackError::NoneEarlier { .. }), "{none}");
    assert_eq!(town.head(), revert);
}

#[test]
fn data_that_was_migrated_since_is_told() {
    let town = Town::new();
    town.release("app:v1");
    town.release("app:v2");
    let record = town.bench.record();
    let mut release = record.last_release(&shop()).unwrap().unwrap();
    release.schema.attempt = 2;
    record
        .record_release(&shop(), &release, jiff::Timestamp::UNIX_EPOCH)
        .unwrap();
    let done = town.back().unwrap();
    assert_eq!(done.migrated, Some(2));
    let text = town.printed(done);
    assert!(
        text.contains("  data      attempt 2 migrated it since"),
        "{text}"
    );
    assert!(text.contains("accept_schema: \"2\""), "{text}");
}

#[test]
fn two_steps_back_are_two_releases_back() {
    let town = Town::new();
    for image in ["app:v1", "app:v2", "app:v3"] {
        town.release(image);
    }
    for image in ["app:v2", "app:v1"] {
        town.back().unwrap();
        town.succeeds();
        assert_eq!(town.image("shop"), image);
    }
}

#[test]
fn a_revision_that_failed_is_taken_out_of_git() {
    let town = Town::new();
    let v1 = town.release("app:v1");
    town.release("app:v2");
    let v2 = town.head();
    town.shop("bad:v1");
    let passed = town.pass().remove(".").unwrap().unwrap();
    assert!(matches!(passed.outcome, Some(Outcome::RolledBack { .. })));
    assert_eq!(town.image("shop"), "app:v2");
    let done = town.back().unwrap();
    assert_eq!(
        done.release.revision, v2,
        "what the host went back to, not {v1}"
    );
    assert_eq!(town.files(&town.head()), town.files(&v2));
    town.succeeds();
    let history = town.bench.record().history(&shop()).unwrap();
    assert!(history.failed.is_none(), "no longer held");
    // A commit that was never tried is taken back as well.
    let released = town.head();
    town.shop("app:v3");
    assert_eq!(town.back().unwrap().release.revision, released);
}

#[test]
fn an_older_one_by_any_of_its_names() {
    let town = Town::new();
    let v1 = town.release("app:v1");
    town.release("app:v2");
    let v3 = town.release("app:v3");
    for to in ["v1", "1", &format!("1-{}", v1.short()), &v1.as_str()[..6]] {
        let done = town.back_to(to).unwrap();
        assert_eq!(done.release.attempt, 1, "{to}");
        assert_eq!(town.files(&town.head()), town.files(&v1));
        town.origin
            .point("main", git2::Oid::from_str(v3.as_str()).unwrap());
    }
    let same = town.back_to("3").unwrap();
    assert!(matches!(same.way, Way::Already { .. }), "nothing differs");
    assert_eq!(town.head(), v3);
    let unknown = town.back_to("v9").unwrap_err().to_string();
    assert!(
        unknown.contains("2-") && unknown.contains("no release \"v9\""),
        "{unknown}"
    );
}

#[test]
fn other_stacks_keep_their_files_and_are_told_of_shared_ones() {
    let town = Town::new();
    let base =
        |text: &str| format!("services: {{web: {{image: 'app:v1', labels: {{v: {text}}}}}}}\n");
    let stack =
        |name: &str| format!("stack: {name}\nsoak: 0s\ncompose: [../compose.yaml, c.yaml]\n");
    let image = |image: &str| format!("services: {{web: {{image: '{image}'}}}}\n");
    let v1 = town.commit(&[
        ("compose.yaml", &base("one")),
        ("prod/moored.yaml", &stack("shop")),
        ("prod/c.yaml", &image("app:v1")),
        ("stage/moored.yaml", &stack("stage")),
        ("stage/c.yaml", &image("app:v1")),
        ("README", "one"),
    ]);
    town.succeeds();
    // The bad change: a new file of our own, one that stage reads too, and the shared one.
    let ours =
        "stack: shop\nsoak: 0s\ncompose: [../compose.yaml, c.yaml, d.yaml, ../stage/e.yaml]\n";
    let theirs = "stack: stage\nsoak: 0s\ncompose: [../compose.yaml, c.yaml, e.yaml]\n";
    town.commit(&[
        ("compose.yaml", &base("two")),
        ("prod/moored.yaml", ours),
        ("prod/d.yaml", &image("app:v2")),
        ("stage/moored.yaml", theirs),
        ("stage/c.yaml", &image("app:v3")),
        ("stage/e.yaml", &image("app:v3")),
        ("README", "two"),
    ]);
    town.succeeds();
    let before = town.files(&town.head());
    let error = town.back().unwrap_err().to_string();
    assert!(
        error.contains("which stack? there is: shop, stage"),
        "{error}"
    );
    let ask = Ask {
        stack: Some("shop"),
        ..plain()
    };
    let done = town.ask(&ask).unwrap();
    let revert = town.head();
    insta::assert_snapshot!(named(&town.printed(done), &[(&v1, "V1"), (&revert, "REVERT")]), @"
    shop  Git says 1-V1 (change) again
      commit    REVERT on branch main
      put back  compose.yaml
      removed   prod/d.yaml
      put back  prod/moored.yaml
      shared    compose.yaml is read by stage too, which changes with it
      next      the controller's next pass deploys it; moored reconcile does it now
    ");
    let mut expected = before;
    expected.remove("prod/d.yaml");
    expected.insert("compose.yaml".to_owned(), base("one"));
    expected.insert("prod/moored.yaml".to_owned(), stack("shop"));
    assert_eq!(town.files(&revert), expected);
    town.succeeds();
    assert_eq!(
        (town.image("shop"), town.image("stage")),
        ("app:v1".into(), "app:v3".into())
    );
}

#[test]
fn mounted_directories_are_as_they_were() {
    let town = Town::new();
    let manifest = ("moored.yaml", "stack: shop\nsoak: 0s\n");
    let compose =
        "services: {web: {image: 'app:v1', volumes: ['./conf:/conf'], env_file: [web.env]}}\n";
    town.commit(&[
        manifest,
        ("compose.yaml", compose),
        ("conf/a", "one"),
        ("conf/was/x", "one"),
        ("web.env", "A=1\n"),
        (".env", "X=1\n"),
    ]);
    let blob = town.origin.blob(b"run");
    let v1 = (town.origin).commit_entries("main", &[("conf/run", blob, FileMode::BlobExecutable)]);
    town.succeeds();
    // A file becomes a directory, a directory a file, a mode changes, an override appears.
    town.commit(&[("conf/a", ""), ("conf/was/x", ""), (".env", "")]);
    town.commit(&[
        ("conf/a/b", "two"),
        ("conf/was", "two"),
        ("conf/run", "run"),
        ("web.env", "A=2\n"),
        (
            "compose.override.yaml",
            "services: {web: {image: 'app:v2'}}\n",
        ),
    ]);
    town.succeeds();
    town.back().unwrap();
    assert_eq!(town.files(&town.head()), town.files(&v1));
    town.succeeds();
    assert_eq!(town.image("shop"), "app:v1");
}

#[test]
fn what_is_broken_today_can_be_put_back() {
    let compose = "services: {web: {image: 'app:v1', volumes: ['./conf:/conf']}}\n";
    for broken in [
        [("compose.yaml", "services: ["), ("conf/new", "two")],
        [("moored.yaml", "stack: [shop"), ("conf/new", "two")],
        [("moored.yaml", ""), ("conf/new", "two")],
        [("moored.yaml", "stack: other\n"), ("conf/new", "two")],
    ] {
        let town = Town::new();
        let v1 = town.commit(&[
            ("moored.yaml", "stack: shop\nsoak: 0s\n"),
            ("compose.yaml", compose),
            ("conf/a", "one"),
        ]);
        town.succeeds();
        town.commit(&broken);
        let done = town.back().unwrap();
        assert!(matches!(done.way, Way::Pushed(_)), "{broken:?}");
        assert_eq!(
            town.files(&town.head()),
            town.files(&v1),
            "{broken:?}: also what the broken commit added to a directory"
        );
        town.succeeds();
    }
}

#[test]
fn a_stack_that_moved_moves_back() {
    let town = Town::new();
    let manifest = "stack: shop\nsoak: 0s\n";
    let compose = |image: &str| format!("services: {{web: {{image: '{image}'}}}}\n");
    let v1 = town.commit(&[
        ("old/moored.yaml", manifest),
        ("old/compose.yaml", &compose("app:v1")),
    ]);
    town.succeeds();
    town.commit(&[
        ("old/moored.yaml", ""),
        ("old/compose.yaml", ""),
        ("new/moored.yaml", manifest),
        ("new/compose.yaml", &compose("app:v2")),
    ]);
    town.succeeds();
    town.back().unwrap();
    assert_eq!(town.files(&town.head()), town.files(&v1));
    town.succeeds();
    assert_eq!(town.image("shop"), "app:v1");
}

#[test]
fn a_stack_on_a_branch_of_its_own_goes_back_there() {
    let mut town = Town::new();
    town.stacks = "[{dir: a, branch: main}, {dir: b, branch: next}]";
    let files = |dir: &str, image: &str| {
        let compose = format!("services: {{web: {{image: '{image}'}}}}\n");
        [
            (
                format!("{dir}/moored.yaml"),
                format!("stack: {dir}\nsoak: 0s\n"),
            ),
            (format!("{dir}/compose.yaml"), compose),
        ]
    };
    let commit = |branch: &str, dir: &str, image: &str| {
        let files = files(dir, image);
        let files = files
            .each_ref()
            .map(|(path, text)| (path.as_str(), text.as_str()));
        town.commit_to(branch, &files)
    };
    // Both branches have both directories; each counts on one of them.
    for (branch, dir) in [("main", "a"), ("main", "b"), ("next", "a"), ("next", "b")] {
        commit(branch, dir, "app:v1");
    }
    town.succeeds();
    let main = town.head();
    commit("next", "b", "app:v2");
    town.succeeds();
    assert_eq!(
        (town.image("a"), town.image("b")),
        ("app:v1".into(), "app:v2".into())
    );
    let ask = Ask {
        stack: Some("b"),
        ..plain()
    };
    let Way::Pushed(revert) = town.ask(&ask).unwrap().way else {
        panic!("not pushed");
    };
    assert_eq!(revert.branch, "next");
    assert_eq!((town.head(), town.head_of("next")), (main, revert.commit));
    town.succeeds();
    assert_eq!(
        (town.image("a"), town.image("b")),
        ("app:v1".into(), "app:v1".into())
    );
}

#[test]
fn what_a_person_has_to_do_does_it() {
    let mut town = Town::new();
    let compose = |image: &str| {
        format!("services: {{web: {{image: '{image}', volumes: ['./it''s [1]*:/c']}}}}\n")
    };
    let v1 = town.commit(&[
        ("moored.yaml", "stack: shop\nsoak: 0s\n"),
        ("compose.yaml", &compose("app:v1")),
        ("it's [1]*/a b", "one"),
        ("it's [1]*/c", "one"),
        ("it's 1/c", "not meant"),
    ]);
    town.succeeds();
    let v2 = town.commit(&[
        ("compose.yaml", &compose("app:v2")),
        ("it's [1]*/a b", "two"),
        ("it's [1]*/c", ""),
        ("it's [1]*/$(new)", "two"),
    ]);
    town.succeeds();
    let clone = town.origin.directory.path().join("clone");
    let (from, to) = (town.origin.url(), clone.display().to_string());
    git(
        town.origin.directory.path(),
        &["clone", "-q", "--branch=main", &from, &to],
    );
    git(&clone, &["config", "user.name", "Ada"]);
    git(&clone, &["config", "user.email", "ada@example.org"]);
    // The settings say so.
    town.push = false;
    let done = town.back().unwrap();
    assert!(matches!(done.way, Way::NotPushed(_)));
    assert_eq!(town.head(), v2, "the remote is as it was");
    let text = town.printed(done.clone());
    insta::assert_snapshot!(named(&text, &[(&v1, "V1")]), @r"
    shop  is not rolled back to 1-V1 (change): repository.push is false in the settings
      put back  compose.yaml
      removed   it's [1]*/$(new)
      put back  it's [1]*/a b
      put back  it's [1]*/c
      by hand   where a person may push to main:
                  git fetch origin
                  git checkout --detach origin/main
                  git --literal-pathspecs rm -q -- 'it'\''s [1]*/$(new)'
                  git --literal-pathspecs checkout V1 -- compose.yaml 'it'\''s [1]*/a b' 'it'\''s [1]*/c'
                  git commit -m 'Revert shop to 1-V1'
                  git push origin HEAD:main
      next      moored rollback shop --to 1-V1 --hold pins this host meanwhile
    ");
    let report = RollbackReport::new(done, &town.view().config);
    let follow = |commands: &[String]| {
        let script = commands.join(" && ");
        let ran = Command::new("sh")
            .arg("-c")
            .arg(&script)
            .current_dir(&clone)
            .output();
        let ran = ran.unwrap();
        assert!(ran.status.success(), "{script}: {ran:?}");
    };
    follow(&report.by_hand);
    assert_ne!(town.head(), v2);
    assert_eq!(town.files(&town.head()), town.files(&v1));
    // The very repository is a work tree at the branch.
    git(&clone, &["checkout", "-q", "-B", "main", v2.as_str()]);
    (town.push, town.url) = (true, clone.clone());
    let done = town.back().unwrap();
    let Way::Refused(_, error) = &done.way else {
        panic!("pushed");
    };
    assert!(error.to_string().contains("is checked out in"), "{error}");
    assert_eq!(git(&clone, &["rev-parse", "main"]), v2.to_string());
    let report = RollbackReport::new(done, &town.view().config);
    follow(&report.by_hand);
    assert_eq!(git(&clone, &["diff", "--stat", v1.as_str(), "main"]), "");
    assert_eq!(git(&clone, &["status", "--porcelain"]), "");
}
