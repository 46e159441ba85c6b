//! Releases on record, and the way back to one of them.

use super::Site;
use crate::support::arsvent::FIRST;
use crate::support::http::Prober;
use crate::systems::row::Row;

impl Site {
    /// Checks the files that each release of production writes for scripts: what is current and
    /// previous, and the releases and versions in the log.
    #[track_caller]
    fn recorded(&self, current: &str, previous: &str, log: &[(&str, &str)]) {
        let side = &self.system.production;
        let file = |name: &str| self.release_file(side, name).trim().to_owned();
        assert_eq!(file("current_release"), current);
        assert_eq!(file("previous_release"), previous);
        let text = file("releases.log");
        let lines = text.lines().map(|line| {
            let cells: Vec<&str> = line.split('\t').collect();
            let [at, release, commit, version, author, _subject] = cells[..] else {
                panic!("{line}");
            };
            assert!(at.parse::<jiff::Timestamp>().is_ok(), "{line}");
            assert_eq!((commit.len(), author.is_empty()), (40, false), "{line}");
            assert!(release.ends_with(&commit[..7]), "{line}");
            (release, version)
        });
        assert_eq!(lines.collect::<Vec<_>>(), log);
    }
}

/// Returns what a release is called.
fn release(attempt: u32, commit: &str) -> String {
    assert_eq!(commit.len(), 40);
    format!("{attempt}-{}", &commit[..7])
}

#[test]
fn release_files() {
    let _row = Row::begin("arsvent", "release files");
    let site = Site::production("releases");
    let production = &site.system.production;
    let first = release(1, &site.stage.git(&["rev-parse", "HEAD"]));
    site.recorded(&first, "", &[(&first, FIRST)]);

    // A deploy.
    site.system.images("sha-2", &["APP_SCHEMA=1"]);
    let commit = site.bump(production, FIRST, "sha-2", &[]);
    site.stage.reconcile();
    let second = release(2, &commit);
    let mut log = vec![(first.as_str(), FIRST), (&second, "sha-2")];
    site.recorded(&second, &first, &log);

    // One that fails.
    site.system
        .images("sha-3", &["APP_SCHEMA=1", "EXIT_AFTER_MS=1"]);
    site.bump(production, "sha-2", "sha-3", &[]);
    site.fails(&["rolled back"]);
    production.serves("sha-2");
    site.recorded(&second, &first, &log);

    // And back by a revert of both.
    let back = ["revert", "--no-edit", "--no-commit", "HEAD~2..HEAD"];
    site.stage.git(&back);
    let commit = site.stage.commit("back to the first", &[]);
    site.stage.reconcile();
    production.serves(FIRST);
    let third = release(4, &commit);
    log.push((&third, FIRST));
    site.recorded(&third, &second, &log);
    site.quiet();
}

#[test]
fn one_command_rollback() {
    let _row = Row::begin("arsvent", "one-command rollback");
    let site = Site::production("one-command");
    let production = &site.system.production;
    site.system.images("sha-2", &["APP_SCHEMA=1"]);
    site.bump(production, FIRST, "sha-2", &[]);
    let bumped = site.file(&production.manifest());
    site.stage.reconcile();
    production.serves("sha-2");
    assert_eq!(production.insert("second").status, 201);

    site.stage.follow("1s", "stacks: [production]\n");
    let prober = Prober::start(&production.url("/"));
    let controller = site.stage.start(&["run"]);
    let back = site.stage.moored(&["rollback", &production.stack]);
    back.exits(0)
        .says(&[&format!("{}  Git says 1-", production.stack)]);
    production.serves(FIRST);
    controller.says("released as 3-");
    drop(controller);
    let record = prober.stop();
    assert_eq!(record.versions(), ["sha-2", FIRST]);
    let (rows, schema) = site.data(production);
    assert_eq!(
        (rows, schema),
        (vec!["first".to_owned(), "second".to_owned()], 1)
    );
    site.stage.pull();
    assert_eq!(
        site.file(&production.manifest()),
        bumped.replace("sha-2", FIRST)
    );
    site.quiet();
}
