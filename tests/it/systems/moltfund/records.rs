//! What people ask of the host: maintenance, history, secrets.

use std::fs;

use rusqlite::Connection;

use super::host;
use crate::e2e::play::Play;
use crate::support::docker_cli::docker;
use crate::support::put;
use crate::support::vehicles::CANARY;
use crate::systems::row::Row;

#[test]
fn maintenance_commands() {
    let _row = Row::begin("moltfund", "maintenance commands");
    let play = host("commands", "v1.2.0");
    let (stage, system) = (&play.stage, &play.system);

    let status = stage.moored(&["status"]).exits(0);
    let release = format!("release 1-{}", &stage.git(&["rev-parse", "HEAD"])[..7]);
    let status = status.says(&[&release]);
    for service in ["api", "web", "nginx-proxy"] {
        let line = status.out.lines().find(|line| {
            let mut words = line.split_whitespace();
            words.next() == Some(service) && words.next() == Some("running")
        });
        assert!(line.is_some(), "{}", status.out);
    }

    let before = play.backups();
    let lives = play.lives();
    stage.moored(&["backup", "now", "prod"]).exits(0);
    let backups = play.backups();
    assert_eq!(backups.len(), before.len() + 1);
    let copy = Connection::open(play.backup_dir().join(backups.last().unwrap())).unwrap();
    let text = copy.query_row("SELECT text FROM entries", [], |row| row.get(0));
    assert_eq!(text, Ok("first".to_owned()));
    drop(copy);
    stage.moored(&["backup", "now"]).exits(0);
    let uploads = fs::read_dir(system.root.join("backups/uploads")).unwrap();
    assert!(uploads.count() > 0, "both are taken");

    // What they have written, and what is in the database.
    let api = stage.moored(&["logs", "api"]).exits(0);
    assert!(api.out.contains("standin: entry 1\n"), "{api:?}");
    let web = stage.moored(&["logs", "web"]).exits(0);
    assert!(web.out.contains("listens on port 3000"), "{web:?}");
    let query = "SELECT text FROM entries";
    let asked = stage.moored(&["shell", "prod", "--", query]).exits(0);
    assert_eq!(asked.out, "text\nfirst\n");
    let inside = ["shell", "api", "--", "sqlite3", "/data/prod.db", query];
    assert_eq!(stage.moored(&inside).exits(0).out, "first\n");

    // The page, for as long as somebody works on the host.
    let on = ["maintenance", "on", "--reason", "moving to the new disk"];
    stage.moored(&on).exits(0);
    let page = system.file("maintenance/maintenance.html");
    for shown in [system.get("/").unwrap(), system.insert("lost").unwrap()] {
        assert_eq!((shown.status, shown.body.as_str()), (503, page.as_str()));
        assert_eq!(shown.header("retry-after"), Some("120"));
    }
    assert_eq!(system.rows(), ["first"]);
    assert_eq!(system.get("/api/health").unwrap().status, 200);
    stage.moored(&["maintenance", "off"]).exits(0);
    assert_eq!(system.get("/").unwrap().status, 200);
    assert_eq!(play.lives(), lives);
    play.quiet();
}

/// Returns the lines of `moored history` as their cells, without the head.
fn table_of(printed: &str, columns: &[&str]) -> Vec<Vec<String>> {
    let cells = |line: &str| -> Vec<String> {
        let cells = line.split("  ").map(str::trim);
        let cells = cells.filter(|cell| !cell.is_empty());
        cells.map(str::to_owned).collect()
    };
    let mut lines = printed.lines().skip(1);
    assert_eq!(cells(lines.next().unwrap()), columns);
    lines.map(cells).collect()
}

#[test]
fn history() {
    let _row = Row::begin("moltfund", "history");
    let now = || {
        let now = jiff::Timestamp::now();
        now.strftime("%Y-%m-%d %H:%M:%S UTC").to_string()
    };
    let began = now();
    let play = host("history", "v1.2.0");
    let stage = &play.stage;
    let mut commits = vec![stage.git(&["rev-parse", "HEAD"])];
    stage.git(&["config", "author.name", "Grace Hopper"]);
    stage.git(&["config", "author.email", "grace@example.org"]);
    play.images("v1.3.0", &["APP_SCHEMA=1"]);
    commits.push(play.commit_as("moltfund v1.3.0: pictures", "v1.3.0", &[]));
    stage.reconcile();
    stage.git(&["config", "--remove-section", "author"]);
    commits.push(stage.revert());
    stage.reconcile();

    let printed = stage.moored(&["history"]).exits(0).out;
    let columns = [
        "#", "version", "commit", "began", "took", "outcome", "author", "backup", "notes",
    ];
    let mut rows = table_of(&printed, &columns);
    rows.reverse();
    let wanted = [
        ("v1.2.0", "Ada", "v1.2.0"),
        ("v1.3.0", "Grace Hopper", "moltfund v1.3.0: pictures"),
        ("v1.2.0", "Ada", "Revert \"moltfund v1.3.0: pictures\""),
    ];
    assert_eq!(rows.len(), wanted.len(), "{printed}");
    // Nothing was there to back up before the first.
    let mut backups = play.backups();
    backups.insert(0, "—".to_owned());
    let mut before = began;
    for (at, (row, (version, author, notes))) in rows.iter().zip(wanted).enumerate() {
        let told = [
            &row[0], &row[1], &row[2], &row[5], &row[6], &row[7], &row[8],
        ];
        let number = (at + 1).to_string();
        let commit = &commits[at][..7];
        let wanted = [
            &number,
            version,
            commit,
            "succeeded",
            author,
            &backups[at],
            notes,
        ];
        assert_eq!(told.map(String::as_str), wanted, "{printed}");
        assert!(before <= row[3] && row[3] <= now(), "{printed}");
        before.clone_from(&row[3]);
        assert!(row[4].ends_with(" s"), "{printed}");
    }
    play.quiet();
}

/// Runs everything that tells something; what it said is looked through by [`Play::secret`] and
/// when the stage is taken down.
fn tells_all(play: &Play) {
    for format in ["text", "json"] {
        for command in ["plan", "drift", "status", "history", "snapshot"] {
            let all = ["-vv", command, "--format", format];
            play.stage.moored(&all);
        }
    }
    play.secret();
}

#[test]
fn secrets() {
    let _row = Row::begin("moltfund", "secrets");
    let play = host("secrets", "v1.2.0");
    let (stage, system) = (&play.stage, &play.system);
    let file = system.root.join(".env");
    let secrets = fs::read_to_string(&file).unwrap();
    assert!(secrets.contains(CANARY));
    let given = docker(&[
        "inspect",
        "--format",
        "{{json .Config.Env}}",
        &stage.container("api"),
    ]);
    assert!(given.contains(CANARY), "the application has it");

    // A copy beside the manifest does not get into Git.
    put(stage.path("state/.env"), &secrets);
    play.images("v1.3.0", &["APP_SCHEMA=2", "MIGRATE=tell"]);
    play.commit("v1.3.0", &[]);
    let tracked = stage.git(&["ls-files"]);
    assert!(!tracked.lines().any(|path| path == ".env"), "{tracked}");
    stage.moored(&["-vv", "reconcile"]).exits(0);
    play.runs("v1.3.0");
    tells_all(&play);

    // What is missing is named, before anything is touched.
    let before = stage.snapshot();
    for (from, to, missing) in [
        (format!("JWT_SECRET={CANARY}-jwt"), "", "JWT_SECRET"),
        ("MAIL=off".to_owned(), "MAIL=on", "SMTP_PASSWORD"),
    ] {
        assert!(secrets.contains(&from));
        put(&file, secrets.replace(&from, to));
        for command in ["plan", "reconcile"] {
            stage.moored(&[command]).exits(65).says(&[missing]);
        }
        stage.unchanged(&before);
    }
    tells_all(&play);
    put(&file, &secrets);
    play.quiet();
}
